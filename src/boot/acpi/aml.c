/* SPDX-License-Identifier: MIT */
#include "boot/acpi/aml.h"

#include "base/text.h"

enum aml_op {
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_DWORD = 0x0c,
	AML_STRING = 0x0d,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_ROOT = 0x5c,
	AML_EXTENDED = 0x5b,
	AML_DEVICE = 0x82,
};

void aml_byte(struct aml *aml, u8 byte)
{
	if (aml->length < aml->capacity)
		aml->bytes[aml->length++] = byte;
	else
		aml->overflowed = true;
}

void aml_bytes(struct aml *aml, const void *from, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		aml_byte(aml, ((const u8 *)from)[i]);
}

/* A length of two bytes always: 20.2.4 allows more of them than are needed. It counts itself. */
static u32 begin_length(struct aml *aml)
{
	u32 begun = aml->length;

	aml_byte(aml, 0);
	aml_byte(aml, 0);
	return begun;
}

void aml_end(struct aml *aml, u32 begun)
{
	u32 length = aml->length - begun;

	if (length > 4095 || begun + 2 > aml->length) {
		aml->overflowed = true;
		return;
	}
	aml->bytes[begun] = (u8)(1 << 6 | (length & 15));
	aml->bytes[begun + 1] = (u8)(length >> 4);
}

u32 aml_scope_begin(struct aml *aml, const char *name)
{
	u32 begun;

	aml_byte(aml, AML_SCOPE);
	begun = begin_length(aml);
	aml_byte(aml, AML_ROOT);
	aml_bytes(aml, name, 4);
	return begun;
}

u32 aml_device_begin(struct aml *aml, const char *name)
{
	u32 begun;

	aml_byte(aml, AML_EXTENDED);
	aml_byte(aml, AML_DEVICE);
	begun = begin_length(aml);
	aml_bytes(aml, name, 4);
	return begun;
}

static void begin_name(struct aml *aml, const char *name)
{
	aml_byte(aml, AML_NAME);
	aml_bytes(aml, name, 4);
}

static void put_integer(struct aml *aml, u8 value)
{
	aml_byte(aml, AML_BYTE);
	aml_byte(aml, value);
}

void aml_name_integer(struct aml *aml, const char *name, u8 value)
{
	begin_name(aml, name);
	put_integer(aml, value);
}

static u8 hex_value(char c)
{
	return (u8)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits each and four digits, most significant byte first: 19.6.36 (EISAID). */
void aml_name_eisa(struct aml *aml, const char *name, const char *identity)
{
	u16 letters =
		(u16)((identity[0] & 31) << 10 | (identity[1] & 31) << 5 | (identity[2] & 31));

	begin_name(aml, name);
	aml_byte(aml, AML_DWORD);
	aml_byte(aml, (u8)(letters >> 8));
	aml_byte(aml, (u8)letters);
	aml_byte(aml, (u8)(hex_value(identity[3]) << 4 | hex_value(identity[4])));
	aml_byte(aml, (u8)(hex_value(identity[5]) << 4 | hex_value(identity[6])));
}

void aml_name_string(struct aml *aml, const char *name, const char *value)
{
	begin_name(aml, name);
	aml_byte(aml, AML_STRING);
	aml_bytes(aml, value, (u32)text_length(value) + 1);
}

void aml_name_package(struct aml *aml, const char *name, const u8 *values, u8 count)
{
	u32 begun;

	begin_name(aml, name);
	aml_byte(aml, AML_PACKAGE);
	begun = begin_length(aml);
	aml_byte(aml, count);
	for (u8 i = 0; i < count; i++)
		put_integer(aml, values[i]);
	aml_end(aml, begun);
}

u32 aml_package_begin(struct aml *aml, const char *name, u8 count)
{
	u32 begun;

	if (name)
		begin_name(aml, name);
	aml_byte(aml, AML_PACKAGE);
	begun = begin_length(aml);
	aml_byte(aml, count);
	return begun;
}

void aml_integer(struct aml *aml, u32 value)
{
	aml_byte(aml, AML_DWORD);
	aml_bytes(aml, &value, sizeof(value));
}

/* I/O port descriptor, 6.4.2.5: 16-bit decoding, one possible place. */
void aml_resource_ports(struct aml *aml, u16 port, u8 count)
{
	const u8 descriptor[] = {
		0x47, 1, (u8)port, (u8)(port >> 8), (u8)port, (u8)(port >> 8), 1, count};

	aml_bytes(aml, descriptor, sizeof(descriptor));
}

/* IRQ descriptor without flags, 6.4.2.1: edge, active high, exclusive. */
static void put_irq(struct aml *aml, u8 irq)
{
	const u8 descriptor[] = {0x22, (u8)(1 << irq), (u8)(1 << irq >> 8)};

	aml_bytes(aml, descriptor, sizeof(descriptor));
}

void aml_name_resources(struct aml *aml, const struct aml_resources *resources)
{
	struct aml_list list = aml_resources_begin(aml);

	for (unsigned i = 0; i < ARRAY_SIZE(resources->ports); i++) {
		if (resources->ports[i].count)
			aml_resource_ports(
				aml, resources->ports[i].port, resources->ports[i].count);
	}
	if (resources->irq >= 0)
		put_irq(aml, (u8)resources->irq);
	aml_resources_end(aml, list);
}

/* ---- what bridges list ---- */

struct aml_list aml_resources_begin(struct aml *aml)
{
	struct aml_list list;

	begin_name(aml, "_CRS");
	aml_byte(aml, AML_BUFFER);
	list.begun = begin_length(aml);
	put_integer(aml, 0);
	list.size_at = aml->length - 1;
	return list;
}

void aml_resources_end(struct aml *aml, struct aml_list list)
{
	aml_byte(aml, 0x79); /* end tag, with a checksum that need not be */
	aml_byte(aml, 0);
	if (!aml->overflowed)
		aml->bytes[list.size_at] = (u8)(aml->length - list.size_at - 1);
	aml_end(aml, list.begun);
}

/* 32-bit fixed memory range, 6.4.3.4: it can be written. */
void aml_resource_memory(struct aml *aml, u32 base, u32 bytes)
{
	const u8 head[] = {0x86, 9, 0, 1};

	aml_bytes(aml, head, sizeof(head));
	aml_bytes(aml, &base, sizeof(base));
	aml_bytes(aml, &bytes, sizeof(bytes));
}

enum window_kind { WINDOW_MEMORY, WINDOW_PORTS, WINDOW_BUSES };
#define WINDOW_FIXED 0x0c /* both ends; the bridge passes it on */

/* Word address space descriptor, 6.4.3.5.3. */
static void put_window_16(struct aml *aml, enum window_kind kind, u8 flags, u16 first, u16 last)
{
	const u8 head[] = {0x88, 13, 0, (u8)kind, WINDOW_FIXED, flags};
	const u16 range[] = {0, first, last, 0, (u16)(last - first + 1)};

	aml_bytes(aml, head, sizeof(head));
	aml_bytes(aml, range, sizeof(range));
}

void aml_resource_bus_window(struct aml *aml, u16 first, u16 last)
{
	put_window_16(aml, WINDOW_BUSES, 0, first, last);
}

void aml_resource_port_window(struct aml *aml, u16 first, u16 last)
{
	put_window_16(aml, WINDOW_PORTS, 3 /* all of them */, first, last);
}

/* Double word address space descriptor, 6.4.3.5.2: not cached, can be written. */
void aml_resource_memory_window(struct aml *aml, u32 first, u32 last)
{
	const u8 head[] = {0x87, 23, 0, WINDOW_MEMORY, WINDOW_FIXED, 1};
	const u32 range[] = {0, first, last, 0, last - first + 1};

	aml_bytes(aml, head, sizeof(head));
	aml_bytes(aml, range, sizeof(range));
}
