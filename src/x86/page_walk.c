/* SPDX-License-Identifier: MIT */
#include "x86/page_walk.h"
#include "x86/paging.h"

#define PTE_P BIT(0)
#define PTE_RW BIT(1)
#define PTE_US BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
#define PTE_ADDRESS (bits_mask(52) & PAGE_MASK)

/* What an entry is called depends on its level: 0 PTE, 1 PDE, 2 PDPTE, 3 PML4E. */
enum { LEVEL_PT, LEVEL_PD, LEVEL_PDPT, LEVEL_PML4 };

static no_inline u64 entry_read_elsewhere(struct cpu *cpu, u64 physical, unsigned bytes)
{
	bool watched;
	const u8 *page = cpu->environment->ram_page(cpu, physical & PAGE_MASK, PAGE_READ, &watched);
	if (!page)
		return cpu->environment->physical_read(cpu, physical, bytes);
	page += physical & ~PAGE_MASK;
	return bytes == 8 ? ram_load_64(page) : ram_load_32(page);
}

/* Entries are aligned, so that none is half in a window. */
static always_inline u64 entry_read(struct cpu *cpu, u64 physical, unsigned bytes)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cpu->ram); i++) {
		u64 offset = physical - cpu->ram[i].start;
		if (likely(offset < cpu->ram[i].bytes)) {
			const u8 *at = cpu->ram[i].host + offset;
			return bytes == 8 ? ram_load_64(at) : ram_load_32(at);
		}
	}
	return entry_read_elsewhere(cpu, physical, bytes);
}

/* Replaces an entry if it is still what was read. Tables that are not RAM take what comes. */
static bool entry_exchange(struct cpu *cpu, u64 physical, unsigned bytes, u64 old, u64 new)
{
	const struct environment *environment = cpu->environment;
	bool watched = false;
	u8 *page = environment->ram_page(cpu, physical & PAGE_MASK, PAGE_WRITE, &watched);
	if (!page) {
		environment->physical_write(cpu, physical, bytes, new);
		return true;
	}
	if (watched)
		environment->code_written(cpu, physical, bytes);
	page += physical & ~PAGE_MASK;
	if (bytes == 8)
		return __atomic_compare_exchange_n(
			(u64 *)page, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	u32 old_32 = (u32)old;
	return __atomic_compare_exchange_n(
		(u32 *)page, &old_32, (u32) new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* ---- reserved bits ---- */

/* On all levels. */
static u64 reserved_64(const struct cpu *cpu)
{
	u64 reserved = ~cpu->physical_mask & bits_mask(52);
	if (!(cpu->efer & EFER_NXE))
		reserved |= PTE_NX;
	if (!cpu_is_long_mode(cpu))
		reserved |= bits_mask(63) & ~bits_mask(52);
	return reserved;
}

/* Beside these, by level and PS. */
static const u64 reserved_on[][2] = {
	[LEVEL_PT] = {0, 0},
	[LEVEL_PD] = {0, 0x1fe000},
	[LEVEL_PDPT] = {0, 0x3fffe000},
	[LEVEL_PML4] = {PTE_G, PTE_PS | PTE_G},
};

/* ---- the three forms ---- */

/* One present entry. Rights: all entries must give them, and none take them away. */
static always_inline void walk_add(struct page_walk *walk, u64 address, u64 entry)
{
	walk->address[walk->count] = address;
	walk->value[walk->count++] = entry;
}

/* all, any: what all entries have and what any has; the last is `entry`. */
static always_inline void walk_finish(struct cpu *cpu, struct page_walk *walk, u64 linear, u64 base,
	unsigned shift, u64 all, u64 any)
{
	u64 entry = walk->value[walk->count - 1];
	walk->physical = ((base & ~bits_mask(shift)) | (linear & bits_mask(shift))) &
		cpu->physical_mask & PAGE_MASK;
	walk->is_writable = all & PTE_RW;
	walk->is_user = all & PTE_US;
	walk->is_accessed = all & PTE_A;
	walk->is_executable = !(any & PTE_NX);
	walk->is_global = (entry & PTE_G) && (cpu->cr4 & CR4_PGE);
	walk->is_dirty = entry & PTE_D;
	walk->size = shift == 12 ? 0 : shift == 30 ? TLB_HUGE : TLB_LARGE;
}

/* Four levels, and the lower two of PAE. */
static bool walk_64(
	struct cpu *cpu, u64 linear, struct page_walk *walk, u64 table, unsigned top_level)
{
	u64 reserved = reserved_64(cpu), all = ~(u64)0, any = 0;
	walk->entry_bytes = 8;
	for (unsigned level = top_level;; level--) {
		unsigned shift = 12 + 9 * level;
		u64 address = (table & PTE_ADDRESS) | bits_get(linear, shift, 9) << 3;
		u64 entry = entry_read(cpu, address, 8);
		if (!(entry & PTE_P))
			return false;
		if (unlikely(entry & (reserved | reserved_on[level][!!(entry & PTE_PS)]))) {
			walk->error = PF_PRESENT | PF_RESERVED;
			return false;
		}
		walk_add(walk, address, entry);
		all &= entry;
		any |= entry;
		if (level == LEVEL_PT || (entry & PTE_PS)) {
			walk_finish(cpu, walk, linear, entry & PTE_ADDRESS, shift, all, any);
			return true;
		}
		table = entry;
	}
}

static bool walk_pae(struct cpu *cpu, u64 linear, struct page_walk *walk)
{
	u64 pointer = cpu->pdptes[bits_get(linear, 30, 2)];
	return (pointer & PTE_P) && walk_64(cpu, linear, walk, pointer, LEVEL_PD);
}

/* Two levels. A 4 MiB page's address bits 39-32 are the entry's bits 20-13 (PSE-36). */
static bool walk_32(struct cpu *cpu, u64 linear, struct page_walk *walk)
{
	walk->entry_bytes = 4;
	u64 address = (cpu->cr3 & 0xfffff000) | bits_get(linear, 22, 10) << 2;
	u64 entry = entry_read(cpu, address, 4);
	if (!(entry & PTE_P))
		return false;
	walk_add(walk, address, entry);
	u64 all = entry;
	if ((entry & PTE_PS) && (cpu->cr4 & CR4_PSE)) {
		if (entry & BIT(21)) {
			walk->error = PF_PRESENT | PF_RESERVED;
			return false;
		}
		u64 base = (entry & 0xffc00000) | bits_get(entry, 13, 8) << 32;
		walk_finish(cpu, walk, linear, base, 22, all, 0);
		return true;
	}
	address = (entry & 0xfffff000) | bits_get(linear, 12, 10) << 2;
	entry = entry_read(cpu, address, 4);
	if (!(entry & PTE_P))
		return false;
	walk_add(walk, address, entry);
	walk_finish(cpu, walk, linear, entry & 0xfffff000, 12, all & entry, 0);
	return true;
}

bool page_walk(struct cpu *cpu, u64 linear, struct page_walk *walk)
{
	walk->error = 0;
	walk->count = 0;
	if (!(cpu->cr0 & CR0_PG)) {
		walk->is_writable = walk->is_user = walk->is_executable = walk->is_accessed = true;
		walk->physical = linear & cpu->physical_mask & PAGE_MASK;
		walk->is_dirty = true;
		walk->is_global = false;
		walk->size = 0;
		return true;
	}
	if (cpu_is_long_mode(cpu))
		return walk_64(cpu, linear, walk, cpu->cr3, LEVEL_PML4);
	if (cpu->cr4 & CR4_PAE)
		return walk_pae(cpu, linear, walk);
	return walk_32(cpu, linear, walk);
}

/* ---- judging ---- */

bool page_walk_allows(
	const struct cpu *cpu, const struct page_walk *walk, enum access_kind kind, unsigned mode)
{
	if (!(cpu->cr0 & CR0_PG))
		return true;
	bool by_user = mode == TLB_USER || mode == TLB_USER_ALIGNED;
	if (kind == ACCESS_EXECUTE && !walk->is_executable)
		return false;
	if (kind == ACCESS_WRITE && !walk->is_writable && (by_user || (cpu->cr0 & CR0_WP)))
		return false;
	if (by_user)
		return walk->is_user;
	if (!walk->is_user)
		return true;
	if (kind == ACCESS_EXECUTE)
		return !(cpu->cr4 & CR4_SMEP);
	return mode != TLB_SUPERVISOR || !(cpu->cr4 & CR4_SMAP);
}

u32 page_walk_error(
	const struct cpu *cpu, const struct page_walk *walk, enum access_kind kind, unsigned mode)
{
	u32 error = walk->error;
	bool fetches_tell =
		(cpu->cr4 & CR4_SMEP) || ((cpu->efer & EFER_NXE) && (cpu->cr4 & CR4_PAE));
	if (kind == ACCESS_WRITE)
		error |= PF_WRITE;
	if (mode == TLB_USER || mode == TLB_USER_ALIGNED)
		error |= PF_USER;
	if (kind == ACCESS_EXECUTE && fetches_tell)
		error |= PF_FETCH;
	return error;
}

bool page_walk_mark(struct cpu *cpu, struct page_walk *walk, bool is_write)
{
	if (likely(walk->is_accessed && (!is_write || walk->is_dirty)))
		return true;
	for (unsigned i = 0; i < walk->count; i++) {
		u64 old = walk->value[i];
		u64 new = old | PTE_A;
		if (is_write && i == walk->count - 1)
			new |= PTE_D;
		if (new == old)
			continue;
		if (!entry_exchange(cpu, walk->address[i], walk->entry_bytes, old, new))
			return false;
	}
	walk->is_dirty |= is_write;
	return true;
}

/* APM volume 2, 5.2.3: bits 2-1, 8-5 and everything from MAXPHYADDR on must be zero in a present one. */
bool page_walk_load_pdptes(struct cpu *cpu, u64 table)
{
	u64 reserved = ~cpu->physical_mask | 0x1e6;
	u64 pdptes[4];
	for (unsigned i = 0; i < 4; i++) {
		pdptes[i] = entry_read(cpu, (table & 0xffffffe0) + 8 * i, 8);
		if ((pdptes[i] & PTE_P) && (pdptes[i] & reserved))
			return false;
	}
	for (unsigned i = 0; i < 4; i++)
		cpu->pdptes[i] = pdptes[i];
	return true;
}
