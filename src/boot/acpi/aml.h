/* SPDX-License-Identifier: MIT */
/*
 * A little writer of ACPI machine language: ACPI specification 6.4, chapter 20, and the resource descriptors of 6.4. Things that
 * hold others are begun and ended; the end fills in the length.
 */
#ifndef BOOT_ACPI_AML_H
#define BOOT_ACPI_AML_H

#include "base/types.h"

struct aml {
	u8 *bytes;
	u32 capacity, length;
	bool overflowed; /* what did not fit is missing */
};

void aml_byte(struct aml *aml, u8 byte);
void aml_bytes(struct aml *aml, const void *from, u32 bytes);

/* Each begin returns what its aml_end takes. At most 4,095 bytes lie between them. */
u32 aml_scope_begin(struct aml *aml, const char *name);	 /* "_SB_": four letters, from the root */
u32 aml_device_begin(struct aml *aml, const char *name); /* "COM1" */
void aml_end(struct aml *aml, u32 begun);

void aml_name_integer(struct aml *aml, const char *name, u8 value);
/* Name (_HID, EisaId ("PNP0501")) */
void aml_name_eisa(struct aml *aml, const char *name, const char *identity);
/* Name (_HID, "QEMU0001") */
void aml_name_string(struct aml *aml, const char *name, const char *value);
/* Name (name, Package () {values}) */
void aml_name_package(struct aml *aml, const char *name, const u8 *values, u8 count);
/* Packages in general: name NULL within another one. `count` elements follow, then aml_end. */
u32 aml_package_begin(struct aml *aml, const char *name, u8 count);
void aml_integer(struct aml *aml, u32 value);

/* What a device's _CRS lists. */
struct aml_resources {
	struct {
		u16 port;
		u8 count; /* 0: not there */
	} ports[2];
	i16 irq; /* ISA interrupt, edge; -1: none */
};
void aml_name_resources(struct aml *aml, const struct aml_resources *resources);

/* A _CRS of other things: begin, what it lists, end. At most 200 bytes of it. */
struct aml_list {
	u32 begun, size_at;
};
struct aml_list aml_resources_begin(struct aml *aml);
void aml_resources_end(struct aml *aml, struct aml_list list);
void aml_resource_ports(struct aml *aml, u16 port, u8 count);
void aml_resource_memory(struct aml *aml, u32 base, u32 bytes);
/* What a bridge passes on: numbers of buses, ports, memory. */
void aml_resource_bus_window(struct aml *aml, u16 first, u16 last);
void aml_resource_port_window(struct aml *aml, u16 first, u16 last);
void aml_resource_memory_window(struct aml *aml, u32 first, u32 last);

#endif
