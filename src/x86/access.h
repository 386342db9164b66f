/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory as instructions see it. The hit path is here, inline; everything else (miss, MMIO, watched
 * page, page end, breakpoint) is x86/paging.c's. Guest RAM is shared with other vCPUs and devices, so every
 * access is one host instruction of its size (base/atomic.h), never a compiler's idea of one.
 *
 * load_N and store_N take linear addresses: segmentation has been done by address_linear. All may raise, and an access
 * that raises has changed nothing, page crossing included.
 */
#ifndef X86_ACCESS_H
#define X86_ACCESS_H

#include "base/atomic.h"
#include "x86/cpu.h"
#include "x86/environment.h"

enum access_kind { ACCESS_READ, ACCESS_WRITE, ACCESS_EXECUTE };

/*
 * The slow ways. `mode` is an enum tlb_mode. Values are zero-extended. bytes: 1, 2, 4 or 8.
 */
u64 paging_load(struct cpu *cpu, u64 linear, unsigned bytes, unsigned mode);
void paging_store(struct cpu *cpu, u64 linear, unsigned bytes, u64 value, unsigned mode);

/*
 * The host address for `bytes` at linear, which must lie in one page: RAM that may be accessed so (for writing:
 * watched code pages have been announced already), or NULL where it is MMIO. Raises #PF, #GP. The pointer is
 * valid until the next TLB change.
 */
u8 *paging_host_address(
	struct cpu *cpu, u64 linear, u64 bytes, enum access_kind kind, unsigned mode);
/* Raises what an access would raise, without accessing (several pages allowed). */
void paging_probe(struct cpu *cpu, u64 linear, u64 bytes, enum access_kind kind, unsigned mode);

#define DEFINE_ACCESS(bits)                                                                       \
	static always_inline u##bits load_##bits##_in(                                            \
		struct cpu *cpu, const struct tlb_entry *entries, u64 linear, unsigned mode)      \
	{                                                                                         \
		const struct tlb_entry *entry = &entries[tlb_index(linear)];                      \
		if (likely(entry->read == (linear & PAGE_MASK) &&                                 \
			    !tlb_crosses_page(linear, bits / 8)))                                 \
			return ram_load_##bits((const void *)(linear + entry->addend));           \
		return (u##bits)paging_load(cpu, linear, bits / 8, mode);                         \
	}                                                                                         \
	static always_inline void store_##bits##_in(struct cpu *cpu,                              \
		const struct tlb_entry *entries, u64 linear, u##bits value, unsigned mode)        \
	{                                                                                         \
		const struct tlb_entry *entry = &entries[tlb_index(linear)];                      \
		if (likely(entry->write == (linear & PAGE_MASK) &&                                \
			    !tlb_crosses_page(linear, bits / 8)))                                 \
			ram_store_##bits((void *)(linear + entry->addend), value);                \
		else                                                                              \
			paging_store(cpu, linear, bits / 8, value, mode);                         \
	}                                                                                         \
	static always_inline u##bits load_##bits##_as(struct cpu *cpu, u64 linear, unsigned mode) \
	{                                                                                         \
		return load_##bits##_in(cpu, cpu->tlb.by_mode[mode], linear, mode);               \
	}                                                                                         \
	static always_inline void store_##bits##_as(                                              \
		struct cpu *cpu, u64 linear, u##bits value, unsigned mode)                        \
	{                                                                                         \
		store_##bits##_in(cpu, cpu->tlb.by_mode[mode], linear, value, mode);              \
	}                                                                                         \
	static always_inline u##bits load_##bits(struct cpu *cpu, u64 linear)                     \
	{                                                                                         \
		return load_##bits##_in(cpu, cpu->data_tlb, linear, cpu->tlb_mode);               \
	}                                                                                         \
	static always_inline void store_##bits(struct cpu *cpu, u64 linear, u##bits value)        \
	{                                                                                         \
		store_##bits##_in(cpu, cpu->data_tlb, linear, value, cpu->tlb_mode);              \
	}

DEFINE_ACCESS(8)
DEFINE_ACCESS(16)
DEFINE_ACCESS(32)
DEFINE_ACCESS(64)

/*
 * 16 bytes: not atomic as a whole unless aligned, as on the processor; load_128 and store_128 check nothing of
 * alignment (SSE's #GP is the caller's).
 */
u128 load_128(struct cpu *cpu, u64 linear);
void store_128(struct cpu *cpu, u64 linear, u128 value);
/* Any size up to 64 KiB, all pages checked before the first byte moves; not atomic. (FXSAVE, task switches.) */
void load_bytes(struct cpu *cpu, u64 linear, void *to, unsigned bytes);
void store_bytes(struct cpu *cpu, u64 linear, const void *from, unsigned bytes);

/*
 * For read-modify-write: the host address of an operand that may be read and written (raises otherwise), or NULL
 * where it must be done with load and store (MMIO, page end). Inline hit.
 */
static always_inline void *access_rmw(struct cpu *cpu, u64 linear, unsigned bytes)
{
	const struct tlb_entry *entry = &cpu->data_tlb[tlb_index(linear)];
	if (likely(entry->write == (linear & PAGE_MASK) && !tlb_crosses_page(linear, bytes)))
		return (void *)(linear + entry->addend);
	if (tlb_crosses_page(linear, bytes)) {
		paging_probe(cpu, linear, bytes, ACCESS_WRITE, cpu->tlb_mode);
		return NULL;
	}
	return paging_host_address(cpu, linear, bytes, ACCESS_WRITE, cpu->tlb_mode);
}

#endif
