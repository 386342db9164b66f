/* SPDX-License-Identifier: MIT */
/* The decoder's contracts one by one; decode_zydis compares the whole space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define HANDLER_LINKAGE __attribute__((weak)) extern

#include "base/bits.h"
#include "x86/cpu.h"
#include "x86/decode/decode.h"
#include "x86/decode/handlers.h"
#include "x86/decode/rows.h"
#include "x86/decode/undefined.h"
#include "x86/features.h"

/* Variants of semantics that the tables name and nobody has written. The limit only falls; CAVEATS.md tells about them. */
#define MISSING_HANDLERS_LIMIT 0

#define EVERYTHING (BIT(FEATURE_COUNT) - 1)
#define BYTES(...) (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__})

static struct insn insn;

static enum decode_result decode_as(
	enum insn_size code_size, u64 features, const u8 *bytes, size_t count)
{
	u8 buffer[24] = {0};

	memset(&insn, 0xee, sizeof(insn));
	memcpy(buffer, bytes, count);
	return decode(buffer, sizeof(buffer), code_size, features, &insn);
}

static void accept(enum insn_size code_size, const u8 *bytes, size_t count)
{
	assert_int_equal(decode_as(code_size, EVERYTHING, bytes, count), DECODE_OK);
	assert_int_equal(insn.length, count);
}

static void refuse(enum insn_size code_size, const u8 *bytes, size_t count)
{
	assert_int_equal(decode_as(code_size, EVERYTHING, bytes, count), DECODE_INVALID);
	assert_ptr_equal(insn.execute, execute_undefined);
	assert_int_equal(insn.row, ROW_INVALID);
}

static void assert_printed(u64 address, const char *expected)
{
	char buffer[96];
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	insn_print(&text, &insn, address);
	assert_string_equal(buffer, expected);
}

static void test_rex_counts_only_right_before_the_opcode(void **state)
{
	accept(SIZE_64, BYTES(0x48, 0x01, 0xc8));
	assert_int_equal(insn.operand_size, SIZE_64);
	accept(SIZE_64, BYTES(0x48, 0x3e, 0x01, 0xc8));
	assert_int_equal(insn.operand_size, SIZE_32);
	accept(SIZE_64, BYTES(0x66, 0x48, 0x01, 0xc8));
	assert_int_equal(insn.operand_size, SIZE_64);
}

static void test_64_bit_code_ignores_the_old_segment_overrides(void **state)
{
	accept(SIZE_64, BYTES(0x64, 0x3e, 0x8b, 0x00));
	assert_int_equal(insn.segment, SEGMENT_FS);
	accept(SIZE_64, BYTES(0x36, 0x8b, 0x00));
	assert_int_equal(insn.segment, SEGMENT_NONE);
	accept(SIZE_32, BYTES(0x64, 0x3e, 0x8b, 0x00));
	assert_int_equal(insn.segment, SEGMENT_DS);
}

static void test_stack_bases_mean_ss_outside_64_bit_code(void **state)
{
	accept(SIZE_32, BYTES(0x8b, 0x45, 0x08));
	assert_int_equal(insn.segment, SEGMENT_SS);
	accept(SIZE_32, BYTES(0x8b, 0x04, 0x24));
	assert_int_equal(insn.segment, SEGMENT_SS);
	accept(SIZE_16, BYTES(0x8b, 0x02));
	assert_int_equal(insn.segment, SEGMENT_SS);
	accept(SIZE_16, BYTES(0x8b, 0x06, 0x34, 0x12));
	assert_int_equal(insn.segment, SEGMENT_DS);
	assert_int_equal(insn.displacement, 0x1234);
}

static void test_flat_is_64_bit_code_with_64_bit_addresses(void **state)
{
	accept(SIZE_64, BYTES(0x8b, 0x00));
	assert_true(insn.flags & INSN_FLAT);
	accept(SIZE_64, BYTES(0x67, 0x8b, 0x00));
	assert_false(insn.flags & INSN_FLAT);
	assert_int_equal(insn.address_size, SIZE_32);
	accept(SIZE_32, BYTES(0x8b, 0x00));
	assert_false(insn.flags & INSN_FLAT);
}

static void test_addresses_have_base_index_scale_and_displacement(void **state)
{
	accept(SIZE_64, BYTES(0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff));
	assert_int_equal(insn.base, LOCATION_RIP);
	assert_int_equal(insn.index, LOCATION_ZERO);
	assert_int_equal(insn.displacement, -4);
	accept(SIZE_32, BYTES(0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff));
	assert_int_equal(insn.base, LOCATION_ZERO);
	accept(SIZE_64, BYTES(0x43, 0x8b, 0x44, 0xa5, 0x80));
	assert_int_equal(insn.base, R13 * 8);
	assert_int_equal(insn.index, R12 * 8);
	assert_int_equal(insn.scale, 2);
	assert_int_equal(insn.displacement, -128);
	accept(SIZE_64, BYTES(0x41, 0x8b, 0x04, 0x25, 0, 0, 0, 1));
	assert_int_equal(insn.base, LOCATION_ZERO);
	accept(SIZE_64, BYTES(0x8b, 0x04, 0x20));
	assert_int_equal(insn.index, LOCATION_ZERO);
	accept(SIZE_16, BYTES(0x8b, 0x41, 0xff));
	assert_int_equal(insn.base, RBX * 8);
	assert_int_equal(insn.index, RDI * 8);
}

static void test_lock_needs_a_memory_destination_that_is_modified(void **state)
{
	accept(SIZE_64, BYTES(0xf0, 0x01, 0x00));
	assert_true(insn.flags & INSN_LOCK);
	assert_ptr_equal(insn.execute, execute_add_EG_32_l);
	refuse(SIZE_64, BYTES(0xf0, 0x01, 0xc0)); /* add eax, eax */
	refuse(SIZE_64, BYTES(0xf0, 0x03, 0x00)); /* add eax, [rax] */
	refuse(SIZE_64, BYTES(0xf0, 0x39, 0x00)); /* cmp */
	refuse(SIZE_64, BYTES(0xf0, 0x89, 0x00)); /* mov */
	refuse(SIZE_64, BYTES(0xf0, 0x90));
	refuse(SIZE_64, BYTES(0xf0, 0x0f, 0xba, 0x20, 0x01)); /* bt */
	accept(SIZE_64, BYTES(0xf0, 0x0f, 0xba, 0x28, 0x01)); /* bts */
}

static void test_handlers_are_picked_by_size_form_and_condition(void **state)
{
	accept(SIZE_64, BYTES(0x00, 0xc8));
	assert_ptr_equal(insn.execute, execute_add_EG_8_r);
	accept(SIZE_64, BYTES(0x66, 0x05, 0x34, 0x12));
	assert_ptr_equal(insn.execute, execute_add_EI_16_r);
	assert_int_equal(insn.rm, RAX * 8);
	accept(SIZE_64, BYTES(0x48, 0x0f, 0x44, 0x00));
	assert_ptr_equal(insn.execute, execute_cmovcc_GE_4_64_m);
	accept(SIZE_64, BYTES(0x0f, 0x95, 0xc0));
	assert_ptr_equal(insn.execute, execute_setcc_E_5_r);
	accept(SIZE_64, BYTES(0x7e, 0x00));
	assert_ptr_equal(insn.execute, execute_jcc_J_14);
	assert_true(insn.flags & INSN_ENDS_BLOCK);
}

static void test_byte_registers_depend_on_rex(void **state)
{
	accept(SIZE_64, BYTES(0x88, 0xe1)); /* mov cl, ah */
	assert_int_equal(insn.reg, RAX * 8 + 1);
	assert_int_equal(insn.rm, RCX * 8);
	accept(SIZE_64, BYTES(0x40, 0x88, 0xe1)); /* mov cl, spl */
	assert_int_equal(insn.reg, RSP * 8);
	accept(SIZE_64, BYTES(0xb7, 0x01)); /* mov bh, 1 */
	assert_int_equal(insn.reg, RBX * 8 + 1);
	accept(SIZE_64, BYTES(0x41, 0xb7, 0x01)); /* mov r15b, 1 */
	assert_int_equal(insn.reg, R15 * 8);
}

static void test_immediates_are_extended_as_the_row_says(void **state)
{
	accept(SIZE_64, BYTES(0x48, 0x83, 0xc0, 0xff));
	assert_true(insn.immediate == ~(u64)0);
	accept(SIZE_64, BYTES(0x48, 0x81, 0xc0, 0x00, 0x00, 0x00, 0x80));
	assert_true(insn.immediate == 0xffffffff80000000);
	accept(SIZE_64, BYTES(0xcd, 0x80));
	assert_true(insn.immediate == 0x80);
	accept(SIZE_64, BYTES(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8));
	assert_true(insn.immediate == 0x0807060504030201);
	accept(SIZE_64, BYTES(0xd1, 0xe0));
	assert_true(insn.immediate == 1);
	accept(SIZE_64, BYTES(0xc8, 0x10, 0x20, 0x03));
	assert_true(insn.immediate == 0x32010);
	accept(SIZE_32, BYTES(0xea, 1, 2, 3, 4, 5, 6));
	assert_true(insn.immediate == 0x060504030201);
	accept(SIZE_16, BYTES(0x9a, 1, 2, 3, 4));
	assert_true(insn.immediate == 0x040300000201);
	accept(SIZE_64, BYTES(0xa1, 1, 2, 3, 4, 5, 6, 7, 8));
	assert_true(insn.immediate == 0x0807060504030201 && insn.flags & INSN_MEMORY);
	accept(SIZE_64, BYTES(0x67, 0xa1, 1, 2, 3, 4));
	assert_true(insn.immediate == 0x04030201);
}

static void test_near_branches_are_64_bits_or_16_with_66(void **state)
{
	accept(SIZE_64, BYTES(0xe8, 0, 0, 0, 0x80));
	assert_int_equal(insn.operand_size, SIZE_64);
	assert_true((i64)insn.immediate == -(i64)0x80000000);
	accept(SIZE_64, BYTES(0x66, 0xe8, 0, 0x80));
	assert_int_equal(insn.operand_size, SIZE_16);
}

static void test_nop_is_not_xchg_and_pause_not_nop(void **state)
{
	accept(SIZE_64, BYTES(0x90));
	assert_ptr_equal(insn.execute, execute_nop);
	accept(SIZE_64, BYTES(0xf3, 0x90));
	assert_ptr_equal(insn.execute, execute_pause);
	accept(SIZE_64, BYTES(0x41, 0x90));
	assert_ptr_equal(insn.execute, execute_xchg_RA_32);
	assert_int_equal(insn.reg, R8 * 8);
	assert_int_equal(insn.rm, RAX * 8);
}

static void test_what_the_model_lacks_decodes_as_without_it(void **state)
{
	u64 without = EVERYTHING & ~(BIT(FEATURE_ABM) | BIT(FEATURE_BMI1) | BIT(FEATURE_MOVBE));

	accept(SIZE_64, BYTES(0xf3, 0x0f, 0xbd, 0xc1));
	assert_ptr_equal(insn.execute, execute_lzcnt_GE_32_r);
	assert_int_equal(decode_as(SIZE_64, without, BYTES(0xf3, 0x0f, 0xbd, 0xc1)), DECODE_OK);
	assert_ptr_equal(insn.execute, execute_bsr_GE_32_r);
	assert_int_equal(decode_as(SIZE_64, without, BYTES(0xf3, 0x0f, 0xbc, 0xc1)), DECODE_OK);
	assert_ptr_equal(insn.execute, execute_bsf_GE_32_r);
	assert_int_equal(
		decode_as(SIZE_64, without, BYTES(0x0f, 0x38, 0xf0, 0x00)), DECODE_INVALID);
}

static void test_modes_decide_about_old_and_new_opcodes(void **state)
{
	refuse(SIZE_64, BYTES(0x27));
	accept(SIZE_32, BYTES(0x27));
	accept(SIZE_32, BYTES(0x40));
	accept(SIZE_64, BYTES(0x63, 0xc1));
	assert_ptr_equal(insn.execute, execute_movsxd_GE_32_r);
	accept(SIZE_32, BYTES(0x63, 0xc1));
	assert_string_equal(opcode_rows[insn.row].semantics, "arpl");
	refuse(SIZE_64, BYTES(0x62, 0xf1, 0x7c, 0x48));
	refuse(SIZE_64, BYTES(0x8f, 0xe9, 0x78, 0x12)); /* XOP */
}

static void test_vex_is_les_or_lds_or_nothing_without_avx(void **state)
{
	u64 without = EVERYTHING & ~BIT(FEATURE_AVX);

	assert_int_equal(decode_as(SIZE_64, without, BYTES(0xc5, 0xf8, 0x77)), DECODE_INVALID);
	assert_int_equal(decode_as(SIZE_32, without, BYTES(0xc5, 0xf8, 0x77)), DECODE_INVALID);
	assert_int_equal(
		decode_as(SIZE_64, without, BYTES(0xc4, 0xe2, 0x78, 0xf2, 0xc1)), DECODE_INVALID);
	accept(SIZE_32, BYTES(0xc5, 0x00));
	assert_string_equal(opcode_rows[insn.row].semantics, "lds");
	accept(SIZE_32, BYTES(0xc4, 0x40, 0x12));
	assert_string_equal(opcode_rows[insn.row].semantics, "les");
}

static void test_vex_has_its_own_registers_length_and_refusals(void **state)
{
	accept(SIZE_64, BYTES(0xc5, 0xf8, 0x77));
	accept(SIZE_32, BYTES(0xc5, 0xfc, 0x77));
	accept(SIZE_64, BYTES(0xc4, 0x41, 0x2c, 0x58, 0xcb));
	assert_int_equal(insn.reg, 9);
	assert_int_equal(insn.vvvv, 10);
	assert_int_equal(insn.rm, 11);
	assert_int_equal(insn.operand_size, SIZE_256);
	assert_printed(0, "vaddps ymm9, ymm10, ymm11");
	refuse(SIZE_64, BYTES(0xc5, 0xf0, 0x77));		    /* vvvv names a register */
	refuse(SIZE_64, BYTES(0x66, 0xc5, 0xf8, 0x77));		    /* prefixes before VEX */
	refuse(SIZE_64, BYTES(0xf3, 0xc5, 0xf8, 0x77));		    /* */
	refuse(SIZE_64, BYTES(0xf0, 0xc5, 0xf8, 0x58, 0x00));	    /* lock */
	refuse(SIZE_64, BYTES(0x48, 0xc5, 0xf8, 0x77));		    /* rex */
	refuse(SIZE_64, BYTES(0xc4, 0xe0, 0x78, 0x58, 0xc1));	    /* map 0 */
	refuse(SIZE_64, BYTES(0xc5, 0xfd, 0x6e, 0xc0));		    /* vmovd with L */
	accept(SIZE_64, BYTES(0x64, 0x67, 0xc5, 0xf8, 0x58, 0x00)); /* fs, 32-bit address */
	accept(SIZE_64, BYTES(0xc4, 0xe2, 0x70, 0xf2, 0x00));
	assert_printed(0, "andn eax, ecx, dword ptr [rax]");
}

static void test_gathers_have_a_vector_index(void **state)
{
	accept(SIZE_64, BYTES(0xc4, 0xe2, 0x75, 0x92, 0x14, 0xa0));
	assert_int_equal(insn.rm, 4);
	assert_int_equal(insn.index, LOCATION_ZERO);
	assert_printed(0, "vgatherdps ymm2, dword ptr [rax+ymm4*4], ymm1");
	refuse(SIZE_64, BYTES(0xc4, 0xe2, 0x75, 0x92, 0x0c, 0xa0)); /* destination and mask */
	refuse(SIZE_64, BYTES(0xc4, 0xe2, 0x75, 0x92, 0x24, 0xa0)); /* destination and index */
	refuse(SIZE_64, BYTES(0xc4, 0xe2, 0x75, 0x92, 0x14, 0x88)); /* mask and index */
	refuse(SIZE_64, BYTES(0xc4, 0xe2, 0x75, 0x92, 0x10));	    /* no SIB */
}

static void test_registers_that_do_not_exist_are_refused(void **state)
{
	refuse(SIZE_64, BYTES(0x8e, 0xc8));		/* mov cs, ax */
	refuse(SIZE_64, BYTES(0x8c, 0xf0));		/* segment register 6 */
	refuse(SIZE_64, BYTES(0x0f, 0x20, 0xc8));	/* cr1 */
	accept(SIZE_64, BYTES(0x44, 0x0f, 0x20, 0xc0)); /* cr8 */
	assert_int_equal(insn.reg, 8);
	accept(SIZE_64, BYTES(0x0f, 0x22, 0x18)); /* mod is ignored: mov cr3, rax */
	assert_int_equal(insn.operand_size, SIZE_64);
	assert_int_equal(insn.rm, RAX * 8);
	assert_false(insn.flags & INSN_MEMORY);
	refuse(SIZE_64, BYTES(0x44, 0x0f, 0x21, 0xc0)); /* dr8 */
	refuse(SIZE_64, BYTES(0xf0, 0x0f, 0x20, 0xc0)); /* AltMovCr8 is not there */
}

static void test_repeat_prefixes_are_told_apart_where_it_matters(void **state)
{
	accept(SIZE_64, BYTES(0xf3, 0xa4));
	assert_int_equal(insn.flags & (INSN_REP | INSN_REPNE), INSN_REP);
	accept(SIZE_64, BYTES(0xf2, 0xa4));
	assert_int_equal(insn.flags & (INSN_REP | INSN_REPNE), INSN_REP);
	accept(SIZE_64, BYTES(0xf2, 0xae));
	assert_int_equal(insn.flags & (INSN_REP | INSN_REPNE), INSN_REPNE);
	accept(SIZE_64, BYTES(0xf3, 0x01, 0xc0));
	assert_int_equal(insn.flags & (INSN_REP | INSN_REPNE), 0);
}

static void test_sixteen_bytes_are_too_long(void **state)
{
	u8 bytes[24];

	memset(bytes, 0x66, sizeof(bytes));
	bytes[14] = 0x90;
	assert_int_equal(decode(bytes, 24, SIZE_64, EVERYTHING, &insn), DECODE_OK);
	assert_int_equal(insn.length, 15);
	assert_int_equal(decode(bytes, 14, SIZE_64, EVERYTHING, &insn), DECODE_INCOMPLETE);
	bytes[14] = 0x66;
	bytes[15] = 0x90;
	assert_int_equal(decode(bytes, 24, SIZE_64, EVERYTHING, &insn), DECODE_TOO_LONG);
	assert_ptr_equal(insn.execute, execute_too_long);
	bytes[14] = 0xb8; /* its immediate ends past 15 */
	assert_int_equal(decode(bytes, 15, SIZE_32, EVERYTHING, &insn), DECODE_TOO_LONG);
}

static void test_instructions_are_printed_in_intel_syntax(void **state)
{
	accept(SIZE_64, BYTES(0xf0, 0x48, 0x01, 0x44, 0x8b, 0xf8));
	assert_printed(0, "lock add qword ptr [rbx+rcx*4-0x8], rax");
	accept(SIZE_64, BYTES(0x75, 0xfe));
	assert_printed(0x1000, "jne 0x1000");
	accept(SIZE_64, BYTES(0xf3, 0x48, 0xab));
	assert_printed(0, "rep stosq qword ptr es:[rdi], rax");
	accept(SIZE_64, BYTES(0x48, 0x98));
	assert_printed(0, "cdqe");
	accept(SIZE_64, BYTES(0x88, 0xe1));
	assert_printed(0, "mov cl, ah");
	accept(SIZE_64, BYTES(0x65, 0x48, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0));
	assert_printed(0, "mov rax, qword ptr gs:[0x10]");
	accept(SIZE_64, BYTES(0xe3, 0x00));
	assert_printed(0, "jrcxz 0x2");
	accept(SIZE_16, BYTES(0xc8, 0x10, 0x20, 0x03));
	assert_printed(0, "enter 0x2010, 0x3");
	accept(SIZE_64, BYTES(0x0f, 0x22, 0xd8));
	assert_printed(0, "mov cr3, rax");
	accept(SIZE_64, BYTES(0x66, 0x0f, 0x6f, 0x00));
	assert_printed(0, "movdqa xmm0, xmmword ptr [rax]");
	refuse(SIZE_64, BYTES(0x27));
	assert_printed(0, "(invalid)");
}

static void print_missing(void *context, const char *handler)
{
	print_message("no semantics: %s\n", handler);
}

static void test_no_more_semantics_are_missing_than_were(void **state)
{
	assert_in_range(decode_missing_handlers(print_missing, NULL), 0, MISSING_HANDLERS_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rex_counts_only_right_before_the_opcode),
		cmocka_unit_test(test_64_bit_code_ignores_the_old_segment_overrides),
		cmocka_unit_test(test_stack_bases_mean_ss_outside_64_bit_code),
		cmocka_unit_test(test_flat_is_64_bit_code_with_64_bit_addresses),
		cmocka_unit_test(test_addresses_have_base_index_scale_and_displacement),
		cmocka_unit_test(test_lock_needs_a_memory_destination_that_is_modified),
		cmocka_unit_test(test_handlers_are_picked_by_size_form_and_condition),
		cmocka_unit_test(test_byte_registers_depend_on_rex),
		cmocka_unit_test(test_immediates_are_extended_as_the_row_says),
		cmocka_unit_test(test_near_branches_are_64_bits_or_16_with_66),
		cmocka_unit_test(test_nop_is_not_xchg_and_pause_not_nop),
		cmocka_unit_test(test_what_the_model_lacks_decodes_as_without_it),
		cmocka_unit_test(test_modes_decide_about_old_and_new_opcodes),
		cmocka_unit_test(test_vex_is_les_or_lds_or_nothing_without_avx),
		cmocka_unit_test(test_vex_has_its_own_registers_length_and_refusals),
		cmocka_unit_test(test_gathers_have_a_vector_index),
		cmocka_unit_test(test_registers_that_do_not_exist_are_refused),
		cmocka_unit_test(test_repeat_prefixes_are_told_apart_where_it_matters),
		cmocka_unit_test(test_sixteen_bytes_are_too_long),
		cmocka_unit_test(test_instructions_are_printed_in_intel_syntax),
		cmocka_unit_test(test_no_more_semantics_are_missing_than_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
