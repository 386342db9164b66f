/* SPDX-License-Identifier: MIT */
/*
 * What the TLB may keep and what it must not: address spaces by PCID, global pages, invalidations; and the code keys beside
 * it. APM volume 2, 5.5; SDM volume 3, 4.10. Stale entries are made visible: tables are changed behind the TLB's back.
 */
#include "tests/unit/x86/processor.h"
#include "x86/tlb.h"

#define PAGE 0x200000 /* PT1's first page, and the next */
#define NEXT 0x201000
#define APART ((u64)TLB_ENTRIES << PAGE_SHIFT) /* pages at this distance have one place */
#define NO_FLUSH BIT(63)
#define KEPT 1
#define GONE 0

static void use_pcids(void)
{
	assert_int_equal(RAISES(control_set_cr4(&cpu, cpu.cr4 | CR4_PCIDE | CR4_PGE)), NO_FAULT);
}

static void space(u64 pcid, u64 flags)
{
	assert_int_equal(RAISES(control_set_cr3(&cpu, PML4 | pcid | flags)), NO_FAULT);
}

/* Both pages as `flags` say, and entered. */
static void enter(u64 flags)
{
	put_64(PT1, PAGE | 7 | flags);
	put_64(PT1 + 8, NEXT | 7 | flags);
	assert_int_equal(RAISES(load_32(&cpu, PAGE)), NO_FAULT);
	assert_int_equal(RAISES(load_32(&cpu, NEXT)), NO_FAULT);
	put_64(PT1, 0);
	put_64(PT1 + 8, 0);
}

static unsigned is_kept(u64 linear)
{
	return RAISES(load_32(&cpu, linear)) == NO_FAULT ? KEPT : GONE;
}

#define GLOBAL BIT(8)

static int start_pcids(void **state)
{
	start_64(state);
	cpu.ram[1] = (struct ram_window){0, RAM_BYTES, ram}; /* as walks have it in a machine */
	use_pcids();
	return 0;
}

/* ---- address spaces ---- */

static void an_address_space_is_found_as_it_was_left(void **state)
{
	space(1, 0);
	enter(0);
	space(2, 0);
	assert_int_equal(is_kept(PAGE), GONE);
	space(1, NO_FLUSH);
	assert_int_equal(is_kept(PAGE), KEPT);
	assert_int_equal(is_kept(NEXT), KEPT);
}

static void cr3_without_bit_63_drops_its_own_space_only(void **state)
{
	space(1, 0);
	enter(0);
	space(2, 0);
	enter(0);
	space(1, 0);
	assert_int_equal(is_kept(PAGE), GONE);
	space(2, NO_FLUSH);
	assert_int_equal(is_kept(PAGE), KEPT);
}

static void more_spaces_than_contexts_are_never_confused(void **state)
{
	put_64(PT1, 0);
	for (u64 pcid = 1; pcid < 20; pcid++) {
		space(pcid, NO_FLUSH);
		assert_int_equal(is_kept(PAGE), GONE);
		enter(0);
		assert_int_equal(is_kept(PAGE), KEPT);
	}
	for (u64 pcid = 13; pcid < 20; pcid++) {
		space(pcid, NO_FLUSH);
		assert_int_equal(is_kept(PAGE), KEPT);
	}
	space(1, NO_FLUSH);
	assert_int_equal(is_kept(PAGE), GONE);
}

static void bit_63_is_not_in_cr3(void **state)
{
	space(5, NO_FLUSH);
	assert_true(cpu.cr3 == (PML4 | 5));
}

static void without_pcids_every_cr3_drops_what_is_not_global(void **state)
{
	start_64(state);
	enter(0);
	assert_int_equal(RAISES(control_set_cr3(&cpu, PML4)), NO_FAULT);
	assert_int_equal(is_kept(PAGE), GONE);
}

static void cr4_pge_and_pcide_drop_all(void **state)
{
	static const u64 bits[] = {CR4_PGE, CR4_PCIDE};
	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		start_pcids(state);
		enter(GLOBAL);
		control_set_cr4(&cpu, cpu.cr4 ^ bits[i]);
		assert_int_equal(is_kept(PAGE), GONE);
		control_set_cr4(&cpu, cpu.cr4 ^ bits[i]);
		assert_int_equal(is_kept(PAGE), GONE);
	}
}

/* ---- invalidations: in every row, space 1 and then space 2 have both pages entered, and PAGE is meant ---- */

enum { INVLPG = 10, CR3, CR3_KEEPING };

static void invalidate(unsigned how, u64 pcid)
{
	if (how == INVLPG)
		paging_invalidate_page(&cpu, PAGE + 0x123);
	else if (how == CR3 || how == CR3_KEEPING)
		space(2, how == CR3 ? 0 : NO_FLUSH);
	else
		paging_invalidate_pcid(&cpu, how, pcid, PAGE + 0x123);
}

static void invalidations_drop_what_the_manuals_say_and_no_more(void **state)
{
	static const struct {
		u8 how, pcid;
		bool global;
		u8 page_1, next_1, page_2, next_2;
	} rows[] = {
		{INVLPG, 0, false, KEPT, KEPT, GONE, KEPT},
		{INVLPG, 0, true, GONE, KEPT, GONE, KEPT},
		{CR3, 0, false, KEPT, KEPT, GONE, GONE},
		{CR3, 0, true, KEPT, KEPT, KEPT, KEPT},
		{CR3_KEEPING, 0, false, KEPT, KEPT, KEPT, KEPT},
		{0, 1, false, GONE, KEPT, KEPT, KEPT},
		{0, 2, false, KEPT, KEPT, GONE, KEPT},
		{0, 2, true, KEPT, KEPT, KEPT, KEPT},
		{0, 7, false, KEPT, KEPT, KEPT, KEPT},
		{1, 1, false, GONE, GONE, KEPT, KEPT},
		{1, 2, false, KEPT, KEPT, GONE, GONE},
		{1, 2, true, KEPT, KEPT, KEPT, KEPT},
		{2, 0, false, GONE, GONE, GONE, GONE},
		{2, 0, true, GONE, GONE, GONE, GONE},
		{3, 0, false, GONE, GONE, GONE, GONE},
		{3, 0, true, KEPT, KEPT, KEPT, KEPT},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		start_pcids(state);
		space(1, 0);
		enter(rows[i].global ? GLOBAL : 0);
		space(2, 0);
		enter(rows[i].global ? GLOBAL : 0);
		invalidate(rows[i].how, rows[i].pcid);
		assert_int_equal(is_kept(PAGE), rows[i].page_2);
		assert_int_equal(is_kept(NEXT), rows[i].next_2);
		space(1, NO_FLUSH);
		assert_int_equal(is_kept(PAGE), rows[i].page_1);
		assert_int_equal(is_kept(NEXT), rows[i].next_1);
	}
}

static void invlpg_drops_all_pieces_of_a_large_page(void **state)
{
	static const u64 flags[] = {0x87, 0x87 | GLOBAL};
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		start_pcids(state);
		put_64(PD + 8, PAGE | flags[i]);
		for (u64 at = PAGE; at < 2 * PAGE; at += PAGE_SIZE)
			load_8(&cpu, at);
		load_8(&cpu, STACK_TOP);
		put_64(PD + 8, 0);
		put_64(PT0 + (STACK_TOP >> 9), 0);
		if (flags[i] & GLOBAL)
			space(3, 0);
		paging_invalidate_page(&cpu, PAGE + 0x7f000);
		space(0, NO_FLUSH);
		for (u64 at = PAGE; at < 2 * PAGE; at += PAGE_SIZE)
			assert_int_equal(is_kept(at), GONE);
		assert_int_equal(is_kept(STACK_TOP), KEPT);
	}
}

/* Two pages whose place is the same, in either order of use. */
static void what_is_displaced_is_kept_and_dropped_like_the_rest(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		u64 first = i & 1 ? PAGE : PAGE + APART, second = PAGE + PAGE + APART - first;
		u64 dropped = i & 2 ? first : second, other = i & 2 ? second : first;
		start_pcids(state);
		put_64(PD + ((PAGE + APART) >> 21) * 8, PT1 | 7);
		load_8(&cpu, first);
		load_8(&cpu, second);
		if (i & 4)
			load_8(&cpu, first);
		put_64(PT1, 0);
		paging_invalidate_page(&cpu, dropped);
		assert_int_equal(is_kept(dropped), GONE);
		assert_int_equal(is_kept(other), KEPT);
		space(0, 0);
		assert_int_equal(is_kept(other), GONE);
	}
}

/* It would else be found in the second way for ever. */
static void what_was_displaced_comes_back_when_it_is_used(void **state)
{
	put_64(PD + ((PAGE + APART) >> 21) * 8, PT1 | 7);
	load_8(&cpu, PAGE);
	load_8(&cpu, PAGE + APART);
	assert_true(cpu.data_tlb[tlb_index(PAGE)].read == PAGE + APART);
	load_8(&cpu, PAGE);
	assert_true(cpu.data_tlb[tlb_index(PAGE)].read == PAGE);
	assert_true(cpu.data_tlb[tlb_index(PAGE) + TLB_ENTRIES].read == PAGE + APART);
	put_64(PT1, 0);
	paging_invalidate_page(&cpu, PAGE);
	assert_int_equal(is_kept(PAGE), GONE);
	assert_int_equal(is_kept(PAGE + APART), KEPT);
}

static void invlpg_of_small_pages_leaves_large_ones(void **state)
{
	put_64(PD + 8, PAGE | 0x87);
	load_8(&cpu, PAGE);
	put_64(PD + 8, 0);
	/* Anywhere else, other regions that share a bit of the filter included. */
	for (u64 at = 0; at < 512 * GIB; at += GIB / 2 + 0x3000)
		if ((at ^ PAGE) >= 4 * MIB)
			paging_invalidate_page(&cpu, at);
	assert_int_equal(is_kept(PAGE), KEPT);
}

/* ---- the entries that inline accesses look at ---- */

static bool data_tlb_is_right(void)
{
	return cpu.data_tlb == cpu.tlb.by_mode[cpu.tlb_mode];
}

static void the_data_tlb_follows_space_and_mode(void **state)
{
	const struct tlb_entry *first = cpu.data_tlb, *second;
	assert_true(data_tlb_is_right());
	space(1, 0);
	second = cpu.data_tlb;
	assert_true(data_tlb_is_right() && second != first);
	cpu.cpl = 3;
	cpu_mode_changed(&cpu);
	assert_true(data_tlb_is_right() && cpu.data_tlb != second);
	cpu.cpl = 0;
	cpu_mode_changed(&cpu);
	assert_ptr_equal(cpu.data_tlb, second);
	space(0, NO_FLUSH);
	assert_ptr_equal(cpu.data_tlb, first);
	control_set_cr4(&cpu, cpu.cr4 | CR4_SMAP);
	assert_true(data_tlb_is_right() && cpu.data_tlb != first);
	space(1, NO_FLUSH);
	control_set_cr4(&cpu, cpu.cr4 & ~CR4_PCIDE);
	assert_true(data_tlb_is_right());
	assert_ptr_equal(cpu.tlb.current, &cpu.tlb.contexts[0]);
}

static void no_space_may_write_a_protected_page(void **state)
{
	for (u64 pcid = 0; pcid < 4; pcid++) {
		space(pcid, 0);
		store_8(&cpu, PAGE, 1);
		store_8(&cpu, NEXT, 1);
	}
	watched_page = PAGE;
	assert_true(tlb_protect_physical(&cpu.tlb, PAGE));
	assert_false(tlb_protect_physical(&cpu.tlb, PAGE));
	for (u64 pcid = 0; pcid < 4; pcid++) {
		space(pcid, NO_FLUSH);
		store_8(&cpu, NEXT, 1);
		assert_int_equal(code_writes, pcid);
		store_8(&cpu, PAGE, 1);
		assert_int_equal(code_writes, pcid + 1);
	}
}

/* ---- code keys ---- */

static u64 key_of(u64 linear)
{
	struct code_location at = {0};
	assert_int_equal(RAISES(paging_code_page(&cpu, linear, &at)), NO_FAULT);
	return at.is_global ? cpu.code_key_global : cpu.code_key;
}

static bool key_holds(u64 key)
{
	return key == cpu.code_key || key == cpu.code_key_global;
}

static void a_code_key_comes_back_with_its_space(void **state)
{
	u64 first = key_of(PAGE);
	space(1, 0);
	assert_false(key_holds(first));
	u64 second = key_of(PAGE);
	space(0, NO_FLUSH);
	assert_true(key_holds(first) && !key_holds(second));
	space(0, 0);
	assert_false(key_holds(first));
	space(1, NO_FLUSH);
	assert_true(key_holds(second));
}

static void a_code_key_ends_with_any_flush_of_its_page(void **state)
{
	static const struct {
		u8 how, pcid;
	} ways[] = {{INVLPG, 0}, {CR3, 0}, {0, 2}, {1, 2}, {2, 0}, {3, 0}};
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		start_pcids(state);
		space(2, 0);
		u64 key = key_of(PAGE);
		invalidate(ways[i].how, ways[i].pcid);
		assert_false(key_holds(key));
		/* From elsewhere, too. */
		key = key_of(PAGE);
		if (ways[i].how == INVLPG || ways[i].how == CR3)
			continue;
		space(1, 0);
		invalidate(ways[i].how, ways[i].pcid);
		space(2, NO_FLUSH);
		assert_false(key_holds(key));
	}
}

static void a_code_key_outlives_what_does_not_concern_code(void **state)
{
	u64 key = key_of(PAGE);
	load_8(&cpu, NEXT);
	paging_invalidate_page(&cpu, NEXT);
	paging_invalidate_pcid(&cpu, 0, 0, NEXT);
	paging_invalidate_pcid(&cpu, 0, 3, PAGE);
	paging_invalidate_pcid(&cpu, 1, 3, 0);
	space(0, NO_FLUSH);
	assert_true(key_holds(key));
}

static void a_space_without_code_keeps_its_key(void **state)
{
	u64 key = cpu.code_key;
	load_8(&cpu, NEXT);
	space(0, 0);
	assert_true(cpu.code_key == key);
}

static void a_global_key_ends_only_with_flushes_of_global_pages(void **state)
{
	put_64(PT1, PAGE | 7 | GLOBAL);
	u64 key = key_of(PAGE), local = key_of(NEXT);
	assert_true(key == cpu.code_key_global && local == cpu.code_key);
	space(0, 0);
	assert_false(key_holds(local));
	space(1, 0);
	paging_invalidate_pcid(&cpu, 3, 0, 0);
	paging_invalidate_pcid(&cpu, 0, 1, PAGE);
	assert_true(key_holds(key));
	paging_invalidate_page(&cpu, PAGE);
	assert_false(key_holds(key));
	key = key_of(PAGE);
	paging_invalidate_pcid(&cpu, 2, 0, 0);
	assert_false(key_holds(key));
	key = key_of(PAGE);
	control_set_cr4(&cpu, cpu.cr4 & ~CR4_PGE);
	assert_false(key_holds(key));
}

/* Who keeps a global page under the other key is not wrong either. */
static void a_code_key_ends_with_the_global_pages_under_it(void **state)
{
	put_64(PT1, PAGE | 7 | GLOBAL);
	key_of(PAGE);
	u64 key = cpu.code_key;
	space(1, 0);
	paging_invalidate_page(&cpu, PAGE);
	space(0, NO_FLUSH);
	assert_false(key_holds(key));
}

static void invlpg_anywhere_in_a_large_page_ends_its_key(void **state)
{
	put_64(PD + 8, PAGE | 0x87);
	u64 key = key_of(PAGE + 0x5000);
	paging_invalidate_page(&cpu, PAGE + 0x1ff000);
	assert_false(key_holds(key));
	put_64(PDPT + 8, 0x87);
	key = key_of(GIB + 0x5000);
	paging_invalidate_page(&cpu, 2 * GIB - 1);
	assert_false(key_holds(key));
}

static void a_page_resolved_again_under_a_new_key_counts_again(void **state)
{
	key_of(PAGE);
	key_of(NEXT);
	paging_invalidate_page(&cpu, PAGE);
	u64 key = key_of(NEXT); /* still in the TLB */
	paging_invalidate_page(&cpu, NEXT);
	assert_false(key_holds(key));
}

/* In another space, or as the other kind. */
static void keys_never_repeat(void **state)
{
	static u8 owners[10000];
	const u8 global = 0xff;
	for (u64 i = 0; i < 3000; i++) {
		u64 pcid = i * 7 % 13;
		space(pcid, i & 1 ? NO_FLUSH : 0);
		key_of(PAGE);
		if (i % 5 == 0)
			paging_flush(&cpu);
		if (i % 5 == 1)
			paging_invalidate_page(&cpu, PAGE);
		assert_true(cpu.code_key < sizeof(owners) && cpu.code_key_global < sizeof(owners));
		u8 *owner = &owners[cpu.code_key];
		assert_true(!*owner || *owner == pcid + 1);
		*owner = (u8)(pcid + 1);
		owner = &owners[cpu.code_key_global];
		assert_true(!*owner || *owner == global);
		*owner = global;
	}
}

/* ---- a model of what may be kept ---- */

struct mapping {
	u64 pcid, linear, physical, key;
};

/* Code that was resolved, and no flush since allows to forget it: its key must not hold with another place. */
static void random_flushes_never_leave_a_stale_key(void **state)
{
	static struct mapping known[64];
	unsigned count = 0;
	for (unsigned i = 0; i < 200000; i++) {
		u64 random = next_random(), page = random >> 8 & 31, slot = PT1 + 8 * page;
		u64 linear = PAGE + (page << 12);
		switch (random & 7) {
		case 0:
			space(random >> 20 & 15, random & BIT(40) ? NO_FLUSH : 0);
			break;
		case 1: /* the guest moves a page, and does what it must */
			put_64(slot, (random >> 20 & 255) << 12 | 7);
			paging_invalidate_pcid(&cpu, 3, 0, 0);
			break;
		case 2:
			put_64(slot, (random >> 20 & 255) << 12 | 7);
			for (u64 pcid = 0; pcid < 16; pcid++)
				paging_invalidate_pcid(&cpu, 0, pcid, linear);
			break;
		default: {
			struct code_location at;
			paging_code_page(&cpu, linear, &at);
			assert_true(at.physical == (get_64(slot) & 0xfffff000));
			known[count++ % 64] =
				(struct mapping){0, linear, at.physical, cpu.code_key};
		}
		}
		struct mapping *old = &known[random >> 32 & 63];
		if (old->key && key_holds(old->key))
			assert_true(old->physical ==
				(get_64(PT1 + ((old->linear - PAGE) >> 9)) & 0xfffff000));
	}
}

#define TEST(name) cmocka_unit_test_setup(name, start_pcids)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_address_space_is_found_as_it_was_left),
		TEST(cr3_without_bit_63_drops_its_own_space_only),
		TEST(more_spaces_than_contexts_are_never_confused),
		TEST(bit_63_is_not_in_cr3),
		TEST(without_pcids_every_cr3_drops_what_is_not_global),
		TEST(cr4_pge_and_pcide_drop_all),
		TEST(invalidations_drop_what_the_manuals_say_and_no_more),
		TEST(invlpg_drops_all_pieces_of_a_large_page),
		TEST(what_is_displaced_is_kept_and_dropped_like_the_rest),
		TEST(what_was_displaced_comes_back_when_it_is_used),
		TEST(invlpg_of_small_pages_leaves_large_ones),
		TEST(the_data_tlb_follows_space_and_mode),
		TEST(no_space_may_write_a_protected_page),
		TEST(a_code_key_comes_back_with_its_space),
		TEST(a_code_key_ends_with_any_flush_of_its_page),
		TEST(a_code_key_outlives_what_does_not_concern_code),
		TEST(a_space_without_code_keeps_its_key),
		TEST(a_global_key_ends_only_with_flushes_of_global_pages),
		TEST(a_code_key_ends_with_the_global_pages_under_it),
		TEST(invlpg_anywhere_in_a_large_page_ends_its_key),
		TEST(a_page_resolved_again_under_a_new_key_counts_again),
		TEST(keys_never_repeat),
		TEST(random_flushes_never_leave_a_stale_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
