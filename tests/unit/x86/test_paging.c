/* SPDX-License-Identifier: MIT */
/* Page-table walks, TLB refill, flushes: APM volume 2 chapter 5. */
#include "tests/unit/x86/processor.h"
#include "x86/tlb.h"

#define PAGE 0x200000 /* the page that tests change: PT1's first */
#define ENTRY PT1

static u8 load(u64 linear)
{
	return RAISES(load_32(&cpu, linear));
}

static u8 store(u64 linear)
{
	return RAISES(store_32(&cpu, linear, 0x12345678));
}

static void mode(unsigned cpl)
{
	cpu.cpl = (u8)cpl;
	cpu_mode_changed(&cpu);
}

static void a_read_sets_accessed_on_all_levels_and_dirty_nowhere(void **state)
{
	assert_int_equal(load(PAGE), NO_FAULT);
	assert_int_equal(get_64(PML4) & 0x60, 0x20);
	assert_int_equal(get_64(PDPT) & 0x60, 0x20);
	assert_int_equal(get_64(PD + 8) & 0x60, 0x20);
	assert_int_equal(get_64(ENTRY) & 0x60, 0x20);
}

static void a_write_after_a_read_sets_dirty_on_the_leaf(void **state)
{
	load(PAGE);
	assert_int_equal(store(PAGE), NO_FAULT);
	assert_int_equal(get_64(ENTRY) & 0x60, 0x60);
	assert_int_equal(get_64(PD + 8) & 0x60, 0x20);
	assert_int_equal(get_32(PAGE), 0x12345678);
}

static void a_refused_access_sets_nothing(void **state)
{
	put_64(ENTRY, PAGE | 5);
	assert_int_equal(store(PAGE), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, PF_PRESENT | PF_WRITE);
	assert_int_equal(cpu.fault.cr2, PAGE);
	assert_int_equal(get_64(ENTRY) & 0x60, 0);
	assert_int_equal(get_64(PML4) & 0x60, 0);
}

static void error_codes_say_what_the_access_was(void **state)
{
	put_64(ENTRY, 0);
	assert_int_equal(load(PAGE), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, 0);
	mode(3);
	assert_int_equal(store(PAGE + 4), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, PF_WRITE | PF_USER);
	assert_int_equal(RAISES(paging_fetch_probe(&cpu, PAGE)), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, PF_USER | PF_FETCH);
	put_64(ENTRY, PAGE | 3);
	assert_int_equal(load(PAGE), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, PF_USER | PF_PRESENT);
}

static void reserved_bits_fault(void **state)
{
	static const struct {
		u64 entry, bits;
	} cases[] = {
		{ENTRY, BIT(46)},
		{ENTRY, BIT(51)},
		{PD + 8, BIT(7) | BIT(13)},
		{PDPT, BIT(7) | BIT(13)},
		{PML4, BIT(7)},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 old = get_64(cases[i].entry);
		put_64(cases[i].entry, old | cases[i].bits);
		assert_int_equal(load(PAGE), EXCEPTION_PF);
		assert_int_equal(cpu.fault.error_code, PF_PRESENT | PF_RESERVED);
		put_64(cases[i].entry, old);
	}
	put_64(ENTRY, PAGE | 7 | BIT(63));
	assert_int_equal(load(PAGE), NO_FAULT);
	control_set_efer(&cpu, cpu.efer & ~EFER_NXE);
	assert_int_equal(load(PAGE), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, PF_PRESENT | PF_RESERVED);
}

static void write_protection_is_for_users_and_cr0_wp(void **state)
{
	put_64(ENTRY, PAGE | 5);
	assert_int_equal(store(PAGE), EXCEPTION_PF);
	assert_int_equal(RAISES(control_set_cr0(&cpu, cpu.cr0 & ~CR0_WP)), NO_FAULT);
	assert_int_equal(store(PAGE), NO_FAULT);
	mode(3);
	assert_int_equal(store(PAGE), EXCEPTION_PF);
}

static void smap_and_smep_keep_the_kernel_off_user_pages(void **state)
{
	assert_int_equal(RAISES(control_set_cr4(&cpu, cpu.cr4 | CR4_SMAP | CR4_SMEP)), NO_FAULT);
	assert_int_equal(load(PAGE), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, PF_PRESENT);
	cpu.other_flags |= RFLAGS_AC;
	cpu_mode_changed(&cpu);
	assert_int_equal(load(PAGE), NO_FAULT);
	assert_int_equal(RAISES(load_32_as(&cpu, PAGE, TLB_SUPERVISOR)), EXCEPTION_PF);
	assert_int_equal(RAISES(paging_fetch_probe(&cpu, PAGE)), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, PF_PRESENT | PF_FETCH);
	mode(3);
	assert_int_equal(load(PAGE), NO_FAULT);
}

static void large_pages_are_found_and_invalidated_whole(void **state)
{
	put_64(PD + 8, 0 | 0x87);
	assert_int_equal(store(PAGE + 0x5000), NO_FAULT);
	assert_int_equal(get_32(0x5000), 0x12345678);
	assert_int_equal(get_64(PD + 8) & 0x60, 0x60);
	put_64(PD + 8, PT1 | 7);
	paging_invalidate_page(&cpu, PAGE + 0x1ff000);
	assert_int_equal(store(PAGE + 0x5000), NO_FAULT);
	assert_int_equal(get_32(PAGE + 0x5000), 0x12345678);
}

static void a_page_crossing_store_that_faults_changes_nothing(void **state)
{
	put_64(ENTRY + 8, 0);
	put_32(PAGE + 0xffc, 0x55555555);
	assert_int_equal(store(PAGE + 0xffe), EXCEPTION_PF);
	assert_int_equal(cpu.fault.cr2, PAGE + 0x1000);
	assert_int_equal(get_32(PAGE + 0xffc), 0x55555555);
}

static void mmio_is_never_entered(void **state)
{
	put_64(ENTRY, 0x10000000 | 7);
	assert_int_equal(load(PAGE), NO_FAULT);
	assert_int_equal(load(PAGE), NO_FAULT);
	assert_int_equal(store(PAGE), NO_FAULT);
	assert_int_equal(mmio_reads, 2);
	assert_int_equal(mmio_writes, 1);
	put_64(ENTRY + 8, 0x10000000 | 7);
	put_64(ENTRY, PAGE | 7);
	paging_flush(&cpu);
	put_32(PAGE + 0xffc, 0xaabbccdd);
	assert_int_equal(load_32(&cpu, PAGE + 0xffe), 0x7788aabb);
}

static void writes_to_watched_pages_are_announced(void **state)
{
	watched_page = PAGE;
	store(PAGE);
	store(PAGE + 8);
	assert_int_equal(code_writes, 2);
	watched_page = ~(u64)0;
	store(PAGE);
	store(PAGE);
	assert_int_equal(code_writes, 2);
	watched_page = PAGE;
	tlb_protect_physical(&cpu.tlb, PAGE);
	store(PAGE);
	assert_int_equal(code_writes, 3);
	paging_flush(&cpu);
	load(PAGE);
	store(PAGE);
	assert_int_equal(code_writes, 4);
}

static void global_pages_survive_cr3(void **state)
{
	control_set_cr4(&cpu, cpu.cr4 | CR4_PGE);
	put_64(ENTRY, PAGE | 0x107);
	load(PAGE);
	load(PAGE + 0x1000);
	put_64(ENTRY, 0);
	put_64(ENTRY + 8, 0);
	assert_int_equal(load(PAGE + 0x1000), NO_FAULT);
	control_set_cr3(&cpu, cpu.cr3);
	assert_int_equal(load(PAGE), NO_FAULT);
	assert_int_equal(load(PAGE + 0x1000), EXCEPTION_PF);
	paging_invalidate_page(&cpu, PAGE);
	assert_int_equal(load(PAGE), EXCEPTION_PF);
}

static void tables_past_memory_and_on_themselves_do_no_harm(void **state)
{
	put_64(PML4, PML4 | 7);
	load(0x1234567);
	put_64(PML4, 0x200000000000 | 7);
	load(0x1234567);
	control_set_cr3(&cpu, cpu.physical_mask & PAGE_MASK);
	load(0x1234567);
	store(0x7ffffffff000);
}

static void two_level_tables_know_pse_36(void **state)
{
	start_32(state);
	put_32(0x100000, 0x101000 | 7);
	put_32(0x100004, 0x02000000 | 0x87 | BIT(13)); /* at 4 GiB and more: no RAM */
	put_32(0x101000, 0x5000 | 7);
	put_32(0x5000, 0xcafe);
	cpu.cr4 = CR4_PSE;
	cpu.cr3 = 0x100000;
	assert_int_equal(RAISES(control_set_cr0(&cpu, cpu.cr0 | CR0_PG)), NO_FAULT);
	assert_int_equal(load_32(&cpu, 0), 0xcafe);
	assert_int_equal(load(0x400000), NO_FAULT);
	assert_int_equal(mmio_reads, 1);
	put_32(0x100004, 0x00000087 | BIT(21));
	control_set_cr3(&cpu, cpu.cr3);
	assert_int_equal(load(0x400000), EXCEPTION_PF);
	assert_int_equal(cpu.fault.error_code, PF_PRESENT | PF_RESERVED);
}

static void pae_pointers_are_loaded_with_cr3(void **state)
{
	start_32(state);
	put_64(0x100000, 0x101000 | 1);
	put_64(0x101000, 0x83);
	cpu.cr4 = CR4_PAE;
	cpu.cr3 = 0x100000;
	assert_int_equal(RAISES(control_set_cr0(&cpu, cpu.cr0 | CR0_PG)), NO_FAULT);
	assert_int_equal(load(0x1000), NO_FAULT);
	put_64(0x100000, 0);
	paging_flush(&cpu);
	assert_int_equal(load(0x1000), NO_FAULT);
	put_64(0x100008, 0x101000 | 3); /* RW is reserved here */
	assert_int_equal(RAISES(control_set_cr3(&cpu, 0x100000)), EXCEPTION_GP);
	assert_int_equal(load(0x1000), NO_FAULT);
}

static void alignment_is_checked_for_users_who_ask(void **state)
{
	RAISES(control_set_cr0(&cpu, cpu.cr0 | CR0_AM));
	cpu.other_flags |= RFLAGS_AC;
	mode(0);
	assert_int_equal(load(PAGE + 1), NO_FAULT);
	mode(3);
	assert_int_equal(load(PAGE + 4), NO_FAULT);
	assert_int_equal(load(PAGE + 1), EXCEPTION_AC);
	assert_int_equal(store(PAGE + 0xffe), EXCEPTION_AC);
}

static void addresses_that_are_not_canonical_are_gp(void **state)
{
	cpu.insn = NULL;
	assert_int_equal(load(BIT(47)), EXCEPTION_GP);
	assert_int_equal(store(BIT(63)), EXCEPTION_GP);
	assert_int_equal(load(0x7ffffffffffe), EXCEPTION_PF);
}

static void control_registers_refuse_what_the_manual_refuses(void **state)
{
	assert_int_equal(RAISES(control_set_cr0(&cpu, cpu.cr0 & ~CR0_PE)), EXCEPTION_GP);
	assert_int_equal(RAISES(control_set_cr0(&cpu, cpu.cr0 & ~CR0_PG)), EXCEPTION_GP);
	assert_int_equal(RAISES(control_set_cr0(&cpu, cpu.cr0 | CR0_NW)), EXCEPTION_GP);
	assert_int_equal(RAISES(control_set_cr0(&cpu, cpu.cr0 | BIT(32))), EXCEPTION_GP);
	assert_int_equal(RAISES(control_set_cr4(&cpu, cpu.cr4 & ~CR4_PAE)), EXCEPTION_GP);
	assert_int_equal(RAISES(control_set_cr4(&cpu, cpu.cr4 | BIT(12))), EXCEPTION_GP);
	assert_int_equal(RAISES(control_set_cr3(&cpu, BIT(46))), EXCEPTION_GP);
	assert_int_equal(RAISES(control_set_efer(&cpu, 0)), EXCEPTION_GP);
	assert_int_equal(RAISES(control_set_efer(&cpu, cpu.efer | BIT(12))), EXCEPTION_GP);
	cpu.cr3 |= 8;
	assert_int_equal(RAISES(control_set_cr4(&cpu, cpu.cr4 | CR4_PCIDE)), EXCEPTION_GP);
}

static void bytes_go_across_pages_that_are_apart_or_a_device(void **state)
{
	u8 out[600], back[600];
	put_64(ENTRY + 8, 0x300000 | 7);
	put_64(ENTRY + 16, BIT(32) | 7);
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (u8)(i * 7 + 3);
	for (unsigned bytes = 0; bytes < sizeof(out); bytes += 1 + bytes / 9) {
		u64 at = PAGE + PAGE_SIZE - 300;
		watched_page = 0x300000;
		code_writes = 0;
		memset(ram + 0x300000, 0, PAGE_SIZE);
		assert_int_equal(RAISES(store_bytes(&cpu, at, out, bytes)), NO_FAULT);
		assert_int_equal(RAISES(load_bytes(&cpu, at, back, bytes)), NO_FAULT);
		assert_memory_equal(out, back, bytes);
		assert_int_equal(code_writes, bytes > 300);
		assert_memory_equal(ram + PAGE + PAGE_SIZE - 300, out, MIN(bytes, 300u));
		assert_memory_equal(ram + 0x300000, out + 300, bytes > 300 ? bytes - 300 : 0);
		assert_int_equal(ram[0x300000 + (bytes > 300 ? bytes - 300 : 0)], 0);
	}
	assert_int_equal(RAISES(load_bytes(&cpu, PAGE + 2 * PAGE_SIZE - 5, back, 26)), NO_FAULT);
	assert_int_equal(mmio_reads, 3);
	assert_int_equal(back[5], (u8)MMIO_VALUE);
	assert_int_equal(back[25], (u8)(MMIO_VALUE >> 32));
	assert_int_equal(RAISES(store_bytes(&cpu, PAGE + 2 * PAGE_SIZE - 5, back, 20)), NO_FAULT);
	assert_int_equal(mmio_writes, 2);
}

#define TEST(name) cmocka_unit_test_setup(name, start_64)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_read_sets_accessed_on_all_levels_and_dirty_nowhere),
		TEST(a_write_after_a_read_sets_dirty_on_the_leaf),
		TEST(a_refused_access_sets_nothing),
		TEST(error_codes_say_what_the_access_was),
		TEST(reserved_bits_fault),
		TEST(write_protection_is_for_users_and_cr0_wp),
		TEST(smap_and_smep_keep_the_kernel_off_user_pages),
		TEST(large_pages_are_found_and_invalidated_whole),
		TEST(a_page_crossing_store_that_faults_changes_nothing),
		TEST(bytes_go_across_pages_that_are_apart_or_a_device),
		TEST(mmio_is_never_entered),
		TEST(writes_to_watched_pages_are_announced),
		TEST(global_pages_survive_cr3),
		TEST(tables_past_memory_and_on_themselves_do_no_harm),
		TEST(two_level_tables_know_pse_36),
		TEST(pae_pointers_are_loaded_with_cr3),
		TEST(alignment_is_checked_for_users_who_ask),
		TEST(addresses_that_are_not_canonical_are_gp),
		TEST(control_registers_refuse_what_the_manual_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
