/* SPDX-License-Identifier: MIT */
/*
 * The slow side of every memory access: a linear page is resolved to its place, entered in the TLB where it may be, and
 * the access done on RAM or handed to the machine.
 */
#include "base/memory.h"
#include "x86/address.h"
#include "x86/exceptions.h"
#include "x86/page_walk.h"
#include "x86/paging.h"
#include "x86/raise.h"

/* Where a linear page is, or what stands in the way. */
struct page {
	u8 *host;     /* NULL: not RAM */
	u64 physical; /* page address */
	bool watched; /* for writes: announce them */
	u8 tag;	      /* TLB_GLOBAL, TLB_LARGE, TLB_HUGE */
	u8 fault;     /* vector: EXCEPTION_PF or EXCEPTION_GP */
	u32 error;    /* of #PF */
};

static bool mode_is_user(unsigned mode)
{
	return mode == TLB_USER || mode == TLB_USER_ALIGNED;
}

/* ---- resolving ---- */

/* Pages with a data breakpoint stay out of the TLB, so that accesses to them come by here. */
static bool page_has_breakpoint(const struct cpu *cpu, u64 linear)
{
	for (unsigned i = 0; i < 4; i++) {
		if (!bits_get(cpu->dr7, 2 * i, 2) || !bits_get(cpu->dr7, 16 + 4 * i, 2))
			continue;
		if (((cpu->dr[i] ^ linear) & PAGE_MASK) == 0)
			return true;
	}
	return false;
}

static void page_enter(struct cpu *cpu, u64 linear, enum access_kind kind, unsigned mode,
	const struct page *page, const struct page_walk *walk)
{
	unsigned permissions = kind == ACCESS_EXECUTE ? TLB_EXECUTE : TLB_READ;
	if (mode == TLB_USER_ALIGNED)
		return;
	if (kind != ACCESS_EXECUTE && cpu->debug_active && page_has_breakpoint(cpu, linear))
		return;
	/* A page that was read is mostly written soon, and what that would mark may be marked. */
	bool may_write = kind != ACCESS_EXECUTE && walk->is_dirty &&
		(kind == ACCESS_WRITE || page_walk_allows(cpu, walk, ACCESS_WRITE, mode));
	bool watched = page->watched;
	if (may_write && kind == ACCESS_READ)
		cpu->environment->ram_page(cpu, page->physical, PAGE_WRITE, &watched);
	if (may_write && !watched)
		permissions |= TLB_WRITE;
	tlb_enter(&cpu->tlb, mode, linear,
		page->physical | page->tag | (may_write && watched ? TLB_WATCHED : 0), page->host,
		permissions);
}

/* A write to a page whose writes had to be announced: do they still? */
static void page_look_again(
	struct cpu *cpu, u64 linear, unsigned mode, unsigned index, struct page *page)
{
	page->watched = false;
	cpu->environment->ram_page(cpu, page->physical, PAGE_WRITE, &page->watched);
	if (page->watched)
		return;
	cpu->tlb.current->arrays[mode].physical[index] &= ~TLB_WATCHED;
	tlb_enter(&cpu->tlb, mode, linear, page->physical | page->tag, page->host, TLB_WRITE);
}

static u64 entry_tag(const struct tlb_entry *entry, enum access_kind kind)
{
	return kind == ACCESS_WRITE   ? entry->write
		: kind == ACCESS_READ ? entry->read
				      : entry->execute;
}

/* Is this slot linear's? *is_watched: it may be written, and writes are announced. */
static bool slot_fits(const struct cpu *cpu, u64 linear, enum access_kind kind, unsigned mode,
	unsigned index, bool *is_watched)
{
	const struct tlb_entry *entry = &cpu->tlb.by_mode[mode][index];
	u64 tag = entry_tag(entry, kind);
	*is_watched = tag == TLB_INVALID && kind == ACCESS_WRITE &&
		entry->read == (linear & PAGE_MASK) && mode != TLB_USER_ALIGNED &&
		(cpu->tlb.current->arrays[mode].physical[index] & TLB_WATCHED);
	return tag == (linear & PAGE_MASK) || *is_watched;
}

/* What the TLB knows already. */
static bool page_hit(
	struct cpu *cpu, u64 linear, enum access_kind kind, unsigned mode, struct page *page)
{
	unsigned index = tlb_index(linear);
	bool is_watched;
	while (!slot_fits(cpu, linear, kind, mode, index, &is_watched)) {
		index += TLB_ENTRIES;
		if (index >= TLB_SLOTS)
			return false;
	}
	if (index >= TLB_ENTRIES) {
		index -= TLB_ENTRIES;
		tlb_promote(&cpu->tlb, mode, index);
	}
	page->host = (u8 *)((linear & PAGE_MASK) + cpu->tlb.by_mode[mode][index].addend);
	u64 physical = cpu->tlb.current->arrays[mode].physical[index];
	page->physical = physical & PAGE_MASK;
	page->tag = physical & (TLB_GLOBAL | TLB_LARGE | TLB_HUGE);
	page->watched = false;
	if (is_watched)
		page_look_again(cpu, linear, mode, index, page);
	return true;
}

static bool page_resolve(
	struct cpu *cpu, u64 linear, enum access_kind kind, unsigned mode, struct page *page)
{
	static const u8 uses[] = {PAGE_READ, PAGE_WRITE, PAGE_EXECUTE};
	struct page_walk walk;

	if (page_hit(cpu, linear, kind, mode, page))
		return true;
	if (unlikely(!address_is_canonical(linear))) {
		page->fault = EXCEPTION_GP;
		return false;
	}
	do {
		bool mapped = page_walk(cpu, linear, &walk);
		if (mapped)
			walk.error = PF_PRESENT;
		if (!mapped || !page_walk_allows(cpu, &walk, kind, mode)) {
			page->fault = EXCEPTION_PF;
			page->error = page_walk_error(cpu, &walk, kind, mode);
			return false;
		}
	} while (!page_walk_mark(cpu, &walk, kind == ACCESS_WRITE));

	page->physical = walk.physical;
	page->tag = walk.size | (walk.is_global ? TLB_GLOBAL : 0);
	page->watched = false;
	page->host = cpu->environment->ram_page(cpu, walk.physical, uses[kind], &page->watched);
	if (page->host)
		page_enter(cpu, linear, kind, mode, page, &walk);
	return true;
}

/*
 * A non-canonical address is #SS where the stack was meant (APM volume 2, 1.3.1). The stack is meant by instructions
 * without another memory operand, and by rSP and rBP as a base.
 */
static bool operand_is_stack(const struct cpu *cpu, u64 linear)
{
	const struct insn *insn = cpu->insn;
	if (!insn)
		return false;
	if (!(insn->flags & INSN_MEMORY))
		return true;
	if (insn->segment == SEGMENT_FS || insn->segment == SEGMENT_GS)
		return false;
	return insn->base == RSP * 8 || insn->base == RBP * 8;
}

static _Noreturn cold void page_raise(
	struct cpu *cpu, u64 linear, enum access_kind kind, const struct page *page)
{
	if (page->fault == EXCEPTION_PF)
		raise_page_fault(cpu, linear, page->error);
	if (kind != ACCESS_EXECUTE && operand_is_stack(cpu, linear))
		raise_with_code(cpu, EXCEPTION_SS, 0);
	raise_gp(cpu, 0);
}

static void page_get(
	struct cpu *cpu, u64 linear, enum access_kind kind, unsigned mode, struct page *page)
{
	if (unlikely(!page_resolve(cpu, linear, kind, mode, page)))
		page_raise(cpu, linear, kind, page);
}

/* The first byte of the next page. Outside 64-bit code addresses wrap at 4 GiB. */
static u64 page_next(const struct cpu *cpu, u64 linear)
{
	u64 next = (linear & PAGE_MASK) + PAGE_SIZE;
	if (next == BIT(32) && !cpu_is_64_bit(cpu))
		return 0;
	return next;
}

/* ---- one piece within a page ---- */

static u64 piece_read(struct cpu *cpu, const struct page *page, u64 linear, unsigned bytes)
{
	u64 offset = linear & ~PAGE_MASK;
	if (!page->host)
		return cpu->environment->physical_read(cpu, page->physical + offset, bytes);
	const u8 *at = page->host + offset;
	switch (bytes) {
	case 1:
		return ram_load_8(at);
	case 2:
		return ram_load_16(at);
	case 4:
		return ram_load_32(at);
	case 8:
		return ram_load_64(at);
	}
	u64 value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (u64)ram_load_8(at + i) << (8 * i);
	return value;
}

static void page_announce(struct cpu *cpu, const struct page *page, u64 linear, u64 bytes)
{
	if (page->host && page->watched)
		cpu->environment->code_written(cpu, page->physical + (linear & ~PAGE_MASK), bytes);
}

static void piece_write(
	struct cpu *cpu, const struct page *page, u64 linear, unsigned bytes, u64 value)
{
	u64 offset = linear & ~PAGE_MASK;
	if (!page->host) {
		cpu->environment->physical_write(cpu, page->physical + offset, bytes, value);
		return;
	}
	page_announce(cpu, page, linear, bytes);
	u8 *at = page->host + offset;
	switch (bytes) {
	case 1:
		ram_store_8(at, (u8)value);
		return;
	case 2:
		ram_store_16(at, (u16)value);
		return;
	case 4:
		ram_store_32(at, (u32)value);
		return;
	case 8:
		ram_store_64(at, value);
		return;
	}
	for (unsigned i = 0; i < bytes; i++)
		ram_store_8(at + i, (u8)(value >> (8 * i)));
}

/* APM volume 2, 8.2.18: only for accesses by CPL 3, which then have a TLB mode of their own. */
static void alignment_check(struct cpu *cpu, u64 linear, u64 bytes, unsigned mode)
{
	if (likely(mode != TLB_USER_ALIGNED) || bytes > 16 || (bytes & (bytes - 1)))
		return;
	if (linear & (bytes - 1))
		raise_with_code(cpu, EXCEPTION_AC, 0);
}

static void data_check(struct cpu *cpu, u64 linear, u64 bytes, bool is_write)
{
	if (unlikely(cpu->debug_active))
		debug_check_data(cpu, linear, (unsigned)bytes, is_write);
}

/* ---- access.h ---- */

u64 paging_load(struct cpu *cpu, u64 linear, unsigned bytes, unsigned mode)
{
	struct page first, second;
	u64 value;

	alignment_check(cpu, linear, bytes, mode);
	page_get(cpu, linear, ACCESS_READ, mode, &first);
	if (likely(!tlb_crosses_page(linear, bytes))) {
		value = piece_read(cpu, &first, linear, bytes);
	} else {
		u64 next = page_next(cpu, linear);
		unsigned part = (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK));
		page_get(cpu, next, ACCESS_READ, mode, &second);
		value = piece_read(cpu, &first, linear, part) & bits_mask(8 * part);
		value |= piece_read(cpu, &second, next, bytes - part) << (8 * part);
	}
	data_check(cpu, linear, bytes, false);
	return value & bits_mask(8 * bytes);
}

void paging_store(struct cpu *cpu, u64 linear, unsigned bytes, u64 value, unsigned mode)
{
	struct page first, second;

	alignment_check(cpu, linear, bytes, mode);
	value &= bits_mask(8 * bytes);
	page_get(cpu, linear, ACCESS_WRITE, mode, &first);
	if (likely(!tlb_crosses_page(linear, bytes))) {
		piece_write(cpu, &first, linear, bytes, value);
	} else {
		u64 next = page_next(cpu, linear);
		unsigned part = (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK));
		page_get(cpu, next, ACCESS_WRITE, mode, &second);
		piece_write(cpu, &first, linear, part, value & bits_mask(8 * part));
		piece_write(cpu, &second, next, bytes - part, value >> (8 * part));
	}
	data_check(cpu, linear, bytes, true);
}

u8 *paging_host_address(
	struct cpu *cpu, u64 linear, u64 bytes, enum access_kind kind, unsigned mode)
{
	struct page page;
	alignment_check(cpu, linear, bytes, mode);
	page_get(cpu, linear, kind, mode, &page);
	if (!page.host)
		return NULL;
	if (kind == ACCESS_WRITE)
		page_announce(cpu, &page, linear, bytes);
	if (kind != ACCESS_EXECUTE)
		data_check(cpu, linear, bytes, kind == ACCESS_WRITE);
	return page.host + (linear & ~PAGE_MASK);
}

void paging_probe(struct cpu *cpu, u64 linear, u64 bytes, enum access_kind kind, unsigned mode)
{
	alignment_check(cpu, linear, bytes, mode);
	for (;;) {
		struct page page;
		u64 here = PAGE_SIZE - (linear & ~PAGE_MASK);
		page_get(cpu, linear, kind, mode, &page);
		if (bytes <= here)
			return;
		bytes -= here;
		linear = page_next(cpu, linear);
	}
}

u128 load_128(struct cpu *cpu, u64 linear)
{
	const struct tlb_entry *entry = &cpu->data_tlb[tlb_index(linear)];
	if (likely(entry->read == (linear & PAGE_MASK) && !tlb_crosses_page(linear, 16))) {
		const u8 *at = (const u8 *)(linear + entry->addend);
		return (u128)ram_load_64(at + 8) << 64 | ram_load_64(at);
	}
	paging_probe(cpu, linear, 16, ACCESS_READ, cpu->tlb_mode);
	u64 parts[2];
	load_bytes(cpu, linear, parts, 16);
	return (u128)parts[1] << 64 | parts[0];
}

void store_128(struct cpu *cpu, u64 linear, u128 value)
{
	const struct tlb_entry *entry = &cpu->data_tlb[tlb_index(linear)];
	if (likely(entry->write == (linear & PAGE_MASK) && !tlb_crosses_page(linear, 16))) {
		u8 *at = (u8 *)(linear + entry->addend);
		ram_store_64(at, (u64)value);
		ram_store_64(at + 8, (u64)(value >> 64));
		return;
	}
	paging_probe(cpu, linear, 16, ACCESS_WRITE, cpu->tlb_mode);
	u64 parts[2] = {(u64)value, (u64)(value >> 64)};
	store_bytes(cpu, linear, parts, 16);
}

/* How much of what is left is in this page. */
static unsigned bytes_in_page(u64 linear, unsigned left)
{
	return (unsigned)MIN(PAGE_SIZE - (linear & ~PAGE_MASK), (u64)left);
}

/* RAM in one go; a device takes eight bytes at most. */
static void page_read(struct cpu *cpu, const struct page *page, u64 linear, u8 *to, unsigned bytes)
{
	if (likely(page->host)) {
		ram_copy(to, page->host + (linear & ~PAGE_MASK), bytes);
		return;
	}
	for (unsigned done = 0; done < bytes; done += 8) {
		unsigned piece = MIN(bytes - done, 8u);
		u64 value = piece_read(cpu, page, linear + done, piece);
		memcpy(to + done, &value, piece);
	}
}

static void page_write(
	struct cpu *cpu, const struct page *page, u64 linear, const u8 *from, unsigned bytes)
{
	if (likely(page->host)) {
		page_announce(cpu, page, linear, bytes);
		ram_copy(page->host + (linear & ~PAGE_MASK), from, bytes);
		return;
	}
	for (unsigned done = 0; done < bytes; done += 8) {
		unsigned piece = MIN(bytes - done, 8u);
		u64 value = 0;
		memcpy(&value, from + done, piece);
		piece_write(cpu, page, linear + done, piece, value);
	}
}

void load_bytes(struct cpu *cpu, u64 linear, void *to, unsigned bytes)
{
	unsigned mode = cpu->tlb_mode == TLB_USER_ALIGNED ? TLB_USER : cpu->tlb_mode;
	u8 *out = to;

	if (!bytes)
		return;
	paging_probe(cpu, linear, bytes, ACCESS_READ, mode);
	data_check(cpu, linear, bytes, false);
	for (unsigned here; bytes; bytes -= here) {
		struct page page;
		here = bytes_in_page(linear, bytes);
		page_get(cpu, linear, ACCESS_READ, mode, &page);
		page_read(cpu, &page, linear, out, here);
		out += here;
		linear = page_next(cpu, linear);
	}
}

void store_bytes(struct cpu *cpu, u64 linear, const void *from, unsigned bytes)
{
	unsigned mode = cpu->tlb_mode == TLB_USER_ALIGNED ? TLB_USER : cpu->tlb_mode;
	const u8 *in = from;

	if (!bytes)
		return;
	paging_probe(cpu, linear, bytes, ACCESS_WRITE, mode);
	data_check(cpu, linear, bytes, true);
	for (unsigned here; bytes; bytes -= here) {
		struct page page;
		here = bytes_in_page(linear, bytes);
		page_get(cpu, linear, ACCESS_WRITE, mode, &page);
		page_write(cpu, &page, linear, in, here);
		in += here;
		linear = page_next(cpu, linear);
	}
}

/* ---- code ---- */

/* Fetches go by the privilege alone. */
static unsigned fetch_mode(const struct cpu *cpu)
{
	return mode_is_user(cpu->tlb_mode) ? TLB_USER : cpu->tlb_mode;
}

bool paging_code_page(struct cpu *cpu, u64 linear, struct code_location *location)
{
	struct page page;
	page_get(cpu, linear, ACCESS_EXECUTE, fetch_mode(cpu), &page);
	location->host = page.host;
	location->physical = page.physical;
	location->is_global = page.tag & TLB_GLOBAL;
	tlb_note_executed(&cpu->tlb, linear, location->is_global, page.tag & ~TLB_GLOBAL);
	return page.host;
}

unsigned paging_fetch(struct cpu *cpu, u64 linear, u8 *buffer, unsigned bytes)
{
	unsigned done = 0;
	while (done < bytes) {
		struct page page;
		if (!page_resolve(cpu, linear, ACCESS_EXECUTE, fetch_mode(cpu), &page))
			break;
		u64 offset = linear & ~PAGE_MASK;
		unsigned here = (unsigned)MIN(PAGE_SIZE - offset, (u64)(bytes - done));
		if (page.host)
			ram_copy_code(buffer + done, page.host + offset, here);
		for (unsigned i = 0; !page.host && i < here; i++)
			buffer[done + i] = (u8)piece_read(cpu, &page, linear + i, 1);
		done += here;
		linear = page_next(cpu, linear);
	}
	return done;
}

void paging_fetch_probe(struct cpu *cpu, u64 linear)
{
	struct page page;
	page_get(cpu, linear, ACCESS_EXECUTE, fetch_mode(cpu), &page);
}

bool paging_translate_debug(struct cpu *cpu, u64 linear, u64 *physical)
{
	struct page_walk walk;
	if (!address_is_canonical(linear) || !page_walk(cpu, linear, &walk))
		return false;
	*physical = walk.physical | (linear & ~PAGE_MASK);
	return true;
}

/* ---- invalidation ---- */

static u16 current_pcid(const struct cpu *cpu)
{
	return cpu->cr4 & CR4_PCIDE ? cpu->cr3 & 0xfff : 0;
}

/* The words that engines look at follow the TLB. */
static void space_changed(struct cpu *cpu)
{
	cpu->data_tlb = cpu->tlb.by_mode[cpu->tlb_mode];
	cpu->code_key = cpu->tlb.current->code_key;
	cpu->code_key_global = cpu->tlb.code_key_global;
	cpu_end_block(cpu);
}

void paging_invalidate_page(struct cpu *cpu, u64 linear)
{
	tlb_flush_page(&cpu->tlb, current_pcid(cpu), linear, TLB_SCOPE_BOTH);
	space_changed(cpu);
}

void paging_flush(struct cpu *cpu)
{
	tlb_flush_used(&cpu->tlb);
	tlb_select(&cpu->tlb, current_pcid(cpu));
	space_changed(cpu);
}

void paging_cr3_changed(struct cpu *cpu, bool keeps)
{
	u16 pcid = current_pcid(cpu);
	tlb_select(&cpu->tlb, pcid);
	if (!keeps)
		tlb_flush_non_global(&cpu->tlb, pcid);
	space_changed(cpu);
}

/* INVPCID: APM volume 3; which translations each type spares: SDM volume 2. */
void paging_invalidate_pcid(struct cpu *cpu, unsigned type, u64 pcid, u64 linear)
{
	switch (type) {
	case 0:
		tlb_flush_page(&cpu->tlb, (u16)pcid, linear, TLB_SCOPE_LOCAL);
		break;
	case 1:
		tlb_flush_non_global(&cpu->tlb, (u16)pcid);
		break;
	case 2:
		tlb_flush_used(&cpu->tlb);
		break;
	default:
		tlb_flush_non_global_all(&cpu->tlb);
		break;
	}
	space_changed(cpu);
}
