/* SPDX-License-Identifier: MIT */
/*
 * The way from any engine to any device: one access, three address spaces. Regions declare the sizes that they take as
 * data; the bus splits or widens the rest, so a device never sees an odd one. What nobody claims reads as all ones and
 * swallows writes.
 */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include "base/list.h"
#include "base/status.h"
#include "base/types.h"
#include "core/host.h"

struct vcpu;
struct machine;

enum bus_space { BUS_MEMORY, BUS_PORT, BUS_MSR, BUS_SPACES };

struct bus_access {
	enum bus_space space;
	bool is_write;
	bool is_refused;   /* set by an MSR's device: #GP */
	u8 size;	   /* bytes: 1, 2, 4 or 8, one of the region's sizes; MSR: 8 */
	u64 address;	   /* within the region, aligned to size unless the region is `unaligned` */
	u64 value;	   /* written; or to be set by a read (bits above size are ignored) */
	struct vcpu *vcpu; /* whose it is; NULL: the host's */
};

struct bus_region {
	struct list link;
	const char *name;
	enum bus_space space;
	u64 base, bytes;
	u8 sizes;	/* sum of the sizes taken: 1 | 2 | 4 | 8 */
	bool unaligned; /* takes accesses at any address within it, of any size of `sizes` */
	void (*access)(void *owner, struct bus_access *access);
	void *owner;
	struct host_lock *lock; /* held during access; NULL: the machine's lock */
	bool is_lockless;	/* no lock at all (local APIC: its vCPU's own thread) */
};

struct bus {
	struct list regions;	 /* by base */
	struct bus_region *last; /* the one found last, tried first */
};

void bus_init(struct bus *bus);
/* The region must live as long as the bus. STATUS_BUSY when it overlaps another. Only before the machine runs. */
enum status bus_attach(struct bus *bus, struct bus_region *region);

/*
 * One access of the guest, of any size from 1 to 8 bytes at any address (memory, port), or 8 (msr). For a read the value is
 * returned in access->value. False: an MSR that does not exist or refused the value (#GP).
 */
bool bus_dispatch(struct machine *machine, struct bus_access *access);

#endif
