/* SPDX-License-Identifier: MIT */
/* What a dump of a translated block looks like, and that the decoder's printer knows what translated code is made of. */
#include "engines/translator/dump.h"
#include "tests/unit/unit.h"
#include "x86/decode/decode.h"

static char output[4096];

static void take(void *context, const char *text)
{
	strcat(strcat(output, text), "\n");
}

static struct insn decoded(const u8 *bytes, unsigned count)
{
	struct insn insn;

	assert_int_equal(decode(bytes, count, SIZE_64, ~(u64)0, &insn), DECODE_OK);
	assert_int_equal(insn.length, count);
	return insn;
}

static void guest_and_host_are_side_by_side(void **state)
{
	static const u8 inc[] = {0x48, 0xff, 0x03}, nop[] = {0x90}, jump[] = {0xeb, 0xfa};
	static const u8 host[] = {0x90, 0x65, 0xff, 0x04, 0x25, 0x10, 0, 0, 0, 0xe3, 0xf5, 0x06};
	const struct insn insns[] = {decoded(inc, 3), decoded(nop, 1), decoded(jump, 2)};
	const struct dump_insn parts[] = {{&insns[0], 1}, {&insns[1], 9}, {&insns[2], 9}};
	const struct dump dump = {parts, 3, 0xffffffff81000000, host, sizeof(host)};

	output[0] = 0;
	block_dump(&dump, take, NULL);
	assert_string_equal(output,
		"                                                          |    0  nop\n"
		"ffffffff81000000  inc qword ptr [rbx]                     |    1  inc dword ptr gs:[0x10]\n"
		"ffffffff81000003  nop\n"
		"ffffffff81000004  jmp 0xffffffff81000000                  |    9  jrcxz 0x0\n"
		"                                                          |    b  byte 0x06\n");
}

static void a_block_may_be_empty_or_longer_than_its_code(void **state)
{
	static const u8 nop[] = {0x90};
	const struct insn insn = decoded(nop, 1);
	const struct dump_insn part = {&insn, 7};

	output[0] = 0;
	block_dump(&(struct dump){NULL, 0, 0, nop, 0}, take, NULL);
	assert_string_equal(output, "");
	block_dump(&(struct dump){&part, 1, 0x1000, nop, 1}, take, NULL);
	assert_string_equal(output,
		"                                                          |    0  nop\n"
		"0000000000001000  nop\n");
}

static void the_printer_knows_what_translated_code_is_made_of(void **state)
{
	static const struct {
		u8 bytes[15], count;
		const char *text;
	} cases[] = {
		{{0x65, 0x48, 0x8b, 0x04, 0x25, 0x08, 0, 0, 0}, 9, "mov rax, qword ptr gs:[0x8]"},
		{{0x65, 0x48, 0x03, 0x0c, 0x25, 0x10, 1, 0, 0}, 9, "add rcx, qword ptr gs:[0x110]"},
		{{0x65, 0xff, 0x24, 0x25, 0x18, 0, 0, 0}, 8, "jmp qword ptr gs:[0x18]"},
		{{0xe8, 0xfb, 0x0f, 0, 0}, 5, "call 0x2000"},
		{{0xe9, 0xfb, 0xff, 0xff, 0xff}, 5, "jmp 0x1000"},
		{{0x0f, 0x85, 0x0a, 0, 0, 0}, 6, "jne 0x1010"},
		{{0xe3, 0x10}, 2, "jrcxz 0x1012"},
		{{0x9f}, 1, "lahf"},
		{{0x9e}, 1, "sahf"},
		{{0x0f, 0x90, 0xc0}, 3, "seto al"},
		{{0xff, 0xe1}, 2, "jmp rcx"},
		{{0xff, 0xd0}, 2, "call rax"},
		{{0xc3}, 1, "ret"},
		{{0x48, 0x3b, 0x41, 0x08}, 4, "cmp rax, qword ptr [rcx+0x8]"},
		{{0x48, 0x8d, 0x84, 0xb3, 0, 1, 0, 0}, 8, "lea rax, [rbx+rsi*4+0x100]"},
		{{0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}, 10, "mov rax, 0x807060504030201"},
		{{0x48, 0x25, 0, 0xf0, 0xff, 0xff}, 6, "and rax, 0xfffffffffffff000"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct insn insn = decoded(cases[i].bytes, cases[i].count);
		char buffer[128];
		struct text text;
		text_init(&text, buffer, sizeof(buffer));
		insn_print(&text, &insn, 0x1000);
		assert_string_equal(buffer, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_and_host_are_side_by_side),
		cmocka_unit_test(a_block_may_be_empty_or_longer_than_its_code),
		cmocka_unit_test(the_printer_knows_what_translated_code_is_made_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
