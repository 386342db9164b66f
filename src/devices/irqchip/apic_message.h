/* SPDX-License-Identifier: MIT */
/*
 * What travels between I/O APICs, MSI sources and local APICs: APM volume 2, 16.5-16.6; SDM volume 3, 11.11.
 */
#ifndef DEVICES_IRQCHIP_APIC_MESSAGE_H
#define DEVICES_IRQCHIP_APIC_MESSAGE_H

#include "base/types.h"

/* The encoding of ICR, LVT, redirection entries and MSI data. */
enum apic_delivery {
	APIC_FIXED,
	APIC_LOWEST_PRIORITY,
	APIC_SMI,
	APIC_REMOTE_READ,
	APIC_NMI,
	APIC_INIT,
	APIC_START_UP,
	APIC_EXTINT,
};

#define APIC_BROADCAST (~(u32)0)

struct apic_message {
	u32 destination; /* APIC id, or logical; APIC_BROADCAST: all */
	u8 vector;
	u8 delivery; /* enum apic_delivery */
	bool is_logical;
	bool is_level; /* trigger mode: EOI is to be broadcast */
};

/* Where messages go: given to their sources by the board. With machine->lock held. */
struct apic_port {
	void (*send)(void *owner, const struct apic_message *message);
	void *owner;
};

/* A message of an 8-bit destination field: 0xff is all. */
static inline u32 apic_destination_from_8(u8 destination)
{
	return destination == 0xff ? APIC_BROADCAST : destination;
}

/* MSI: APM volume 2, 16.11: the address' bits 19-12 and 2, the data's low 16 bits. */
static inline struct apic_message apic_message_from_msi(u64 address, u32 data)
{
	return (struct apic_message){
		.destination = apic_destination_from_8((u8)(address >> 12)),
		.is_logical = address >> 2 & 1,
		.vector = (u8)data,
		.delivery = data >> 8 & 7,
		.is_level = data >> 15 & 1,
	};
}

#endif
