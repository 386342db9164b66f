/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: one block of host memory (on Linux a memfd), seen by the guest in one piece below the PCI hole and the rest from
 * 4 GiB on. One checked way in for everything but the engines' TLBs. All of it is shared with running vCPUs: what the guest wrote is copied
 * once, then checked, then used.
 */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include "base/status.h"
#include "base/types.h"

#define MEMORY_HOLE_START ((u64)0xc0000000) /* 3 GiB: RAM below ends here at most */
#define MEMORY_HIGH_START ((u64)1 << 32)
#define MEMORY_MINIMUM (1 * MIB)
#define MEMORY_MAXIMUM ((u64)1 << 40)

struct machine;

struct memory {
	u8 *host;  /* low RAM at 0, high RAM behind it */
	u64 bytes; /* all of it; a multiple of 4 KiB */
	u64 low_bytes;
	/*
	 * One a page, in host order, atomic: how many vCPUs' engines hold something made from its bytes (decoded code). While
	 * there are any, writes are announced to them: a watched page.
	 */
	u8 *page_watchers;
	/*
	 * One a page, atomic: bits of the vCPUs that may have a TLB entry for writing it, or are about to write it. They set it before they
	 * look at the watchers; who begins to watch does the reverse.
	 */
	u32 *page_writers;
};

/* Takes RAM that the host has mapped (zeroed, page aligned); the rest comes from host_memory_get. */
enum status memory_init(struct memory *memory, u8 *host, u64 bytes);
void memory_fini(struct memory *memory);

/* Offset in host RAM of [gpa, gpa + bytes), all RAM and in one piece; false otherwise. bytes may be 0. */
bool memory_offset(const struct memory *memory, u64 gpa, u64 bytes, u64 *offset) must_use;
/* Host address, or NULL. For loaders before the start, engines' TLB fills, and devices that say memory_written where they write. */
u8 *memory_host(const struct memory *memory, u64 gpa, u64 bytes) must_use;
static inline bool memory_is_watched(const struct memory *memory, u64 offset)
{
	return __atomic_load_n(&memory->page_watchers[offset / 4096], __ATOMIC_ACQUIRE);
}

static inline u32 memory_writers(const struct memory *memory, u64 offset)
{
	return __atomic_load_n(&memory->page_writers[offset / 4096], __ATOMIC_SEQ_CST);
}
static inline void memory_writer_end(struct memory *memory, u64 offset, unsigned vcpu)
{
	__atomic_fetch_and(
		&memory->page_writers[offset / 4096], ~((u32)1 << vcpu), __ATOMIC_SEQ_CST);
}
/* True: the vCPU is one from now on, and was none. */
static inline bool memory_writer_begin(struct memory *memory, u64 offset, unsigned vcpu)
{
	u32 bit = (u32)1 << vcpu;
	return !(memory_writers(memory, offset) & bit) &&
		!(__atomic_fetch_or(&memory->page_writers[offset / 4096], bit, __ATOMIC_SEQ_CST) &
			bit);
}

/* The gpa of an offset in host RAM. */
u64 memory_gpa(const struct memory *memory, u64 offset);

/*
 * Copies for devices and loaders; false, and nothing copied, where not all of it is RAM. Writes tell the engine where pages hold code.
 */
bool memory_read(struct machine *machine, u64 gpa, void *to, u64 bytes) must_use;
bool memory_write(struct machine *machine, u64 gpa, const void *from, u64 bytes) must_use;

/* Somebody else (the host's kernel, for a disk) has written [offset, offset + bytes) of host RAM: the engine is told where pages hold code. */
void memory_written(struct machine *machine, u64 offset, u64 bytes);
/* Guest RAM in whole pages goes back to the host, and reads as zeroes from now on. False: it is not all RAM, or no whole pages. */
bool memory_release(struct machine *machine, u64 gpa, u64 bytes) must_use;

#endif
