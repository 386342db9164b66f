/* SPDX-License-Identifier: MIT */
/*
 * Every row in 64-bit code and in 32-bit code of compatibility mode, and random blocks of both, translated at once and compared with the interpreter: see engines.h.
 * `N passed, N failed`: rows, and blocks in hundreds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/differential/engines.h"
#include "x86/decode/decode.h"
#include "x86/decode/undefined.h"
#include "x86/flags.h"

struct options {
	u64 seed;
	unsigned cases, blocks, failures_shown;
	long row, number, block;
	const char *semantics;
};

static u8 template[DATA_PAGES * 4096];

/* ---- what comes before the instruction ----------------------------------------------------------- */

static void append(struct program *program, const void *bytes, unsigned count)
{
	memcpy(program->bytes + program->length, bytes, count);
	program->length += count;
}

static const u8 flag_groups[] = {0, 1, 4, 5, 7}; /* of 83: add 0, or 0, and -1, sub 0, cmp */

/*
 * An instruction that sets flags and changes no register: the flags are then in the host's, and can be had again in one of the
 * translator's ways.
 */
static void append_flags_32(struct program *program, struct random *random)
{
	u8 a = (u8)random_below(random, 8), b = (u8)random_below(random, 8);
	u8 group = flag_groups[random_below(random, ARRAY_SIZE(flag_groups))];
	u8 rr[] = {random_chance(random, 50) ? 0x39 : 0x85, 0xc0 | b << 3 | a};
	u8 immediate[] = {0x83, 0xc0 | group << 3 | a, group == 4 ? 0xff : 0};
	if (random_chance(random, 50))
		append(program, rr, 2);
	else
		append(program, immediate, 3);
}

static void append_flags(struct program *program, struct random *random)
{
	u8 a = (u8)random_below(random, 16), b = (u8)random_below(random, 16);
	u8 group = flag_groups[random_below(random, ARRAY_SIZE(flag_groups))];
	u8 rr[] = {0x48 | (b >> 3) << 2 | a >> 3, random_chance(random, 50) ? 0x39 : 0x85,
		0xc0 | (b & 7) << 3 | (a & 7)};
	u8 immediate[] = {0x48 | a >> 3, 0x83, 0xc0 | group << 3 | (a & 7), group == 4 ? 0xff : 0};
	if (random_chance(random, 50))
		append(program, rr, 3);
	else
		append(program, immediate, 4);
}

/* MOVAPS of a register to itself: the guest's XMM registers are in the host's after it. */
static void append_simd(struct program *program)
{
	append(program, "\x0f\x28\xc9", 3);
}

/* In a third of the cases registers have upper halves, as 64-bit code may have left them. */
static void segments_of_case(
	struct program *program, const struct test_case *test, struct random *random)
{
	program->ds = test->ds;
	program->es = test->es;
	program->ss = test->ss;
	program->wide_segments = (u8)random_below(random, 4);
	if (!random_chance(random, 33))
		return;
	for (unsigned i = 0; i < 16; i++)
		program->before.regs[i] |= random_integer(random) << 32;
}

static void program_of_case(struct program *program, const struct test_case *test)
{
	struct random random = {test->seed ^ (u64)test->row << 32 ^ test->number};
	random_next(&random);
	memset(program, 0, sizeof(*program));
	program->before = test->before;
	program->patches = test;
	if (random_chance(&random, 30))
		append_simd(program);
	program->mode = test->mode;
	if (test->mode == SIZE_32)
		segments_of_case(program, test, &random);
	if (random_chance(&random, 50)) {
		if (test->mode == SIZE_32)
			append_flags_32(program, &random);
		else
			append_flags(program, &random);
	}
	unsigned before = program->length ? 1 + (program->length > 4) : 0;
	program->at = test->before.rip - program->length;
	append(program, test->bytes, test->length);
	/* Privileged ones would change what the next case stands on. */
	program->is_user = random_chance(&random, 50) ||
		opcode_rows[test->row].attributes & (ROW_CPL0 | ROW_IOPL | ROW_IO);
	if (random_chance(&random, 8))
		program->fpu_control = (u8)random_below(&random, FPU_CONTROLS);
	if (random_chance(&random, 30))
		program->cut = 1 + (unsigned)random_below(&random, before + 2);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static void print_case(const struct options *options, const struct test_case *test,
	const struct program *program, const char *text)
{
	const struct opcode_row *row = &opcode_rows[test->row];
	char buffer[128];
	struct text out;
	text_init(&out, buffer, sizeof(buffer));
	insn_print(&out, &test->insn, test->before.rip);
	printf("row %u (%s, %s), case %u:", test->row, row->mnemonic, row->semantics, test->number);
	for (unsigned i = 0; i < program->length; i++)
		printf(" %02x", program->bytes[i]);
	printf("   %s%s\n%s", buffer, program->is_user ? " (user)" : "", text);
	printf("    again: translated --seed %llu --row %u --case %u\n",
		(unsigned long long)options->seed, test->row, test->number);
}

enum row_result { ROW_PASSED, ROW_FAILED, ROW_UNCOVERED };

static bool is_in_user_reach(const struct test_case *test, unsigned mode)
{
	return test->mode == mode && test->insn.execute != execute_undefined;
}

static enum row_result run_row(const struct options *options, unsigned row, unsigned mode)
{
	unsigned done = 0, failed = 0;
	struct random random = {options->seed ^ (u64)row << 32};
	if (row_untestable(&opcode_rows[row]) || !(opcode_rows[row].modes & BIT(mode - 1)))
		return ROW_UNCOVERED;
	random_data(&random, template, sizeof(template));
	unsigned first = options->number >= 0 ? (unsigned)options->number : 0;
	for (unsigned number = first; done < options->cases && number < first + 50 * options->cases;
		number++) {
		struct test_case test;
		struct program program;
		char text[2048];
		if (options->number >= 0 && number != first)
			break;
		if (!case_generate(&test, options->seed, row, number) ||
			!is_in_user_reach(&test, mode))
			continue;
		done++;
		program_of_case(&program, &test);
		if (engines_run(&program, template, text, sizeof(text)) != VERDICT_DIFFERENT)
			continue;
		if (failed++ < options->failures_shown)
			print_case(options, &test, &program, text);
	}
	if (failed)
		printf("FAIL row %u %s (%s), %s-bit code: %u of %u cases\n", row,
			opcode_rows[row].mnemonic, opcode_rows[row].semantics,
			mode == SIZE_64 ? "64" : "32", failed, done);
	return failed ? ROW_FAILED : done ? ROW_PASSED : ROW_UNCOVERED;
}

static bool is_wanted(const struct options *options, unsigned row)
{
	if (options->row >= 0)
		return row == (unsigned)options->row;
	return !options->semantics ||
		!strncmp(
			opcode_rows[row].semantics, options->semantics, strlen(options->semantics));
}

static int run(const struct options *options)
{
	unsigned counts[3] = {0}, bad_blocks = 0;
	bool all = options->row < 0 && !options->semantics;
	for (unsigned row = 0; row < opcode_row_count && options->block < 0 && options->cases;
		row++) {
		if (is_wanted(options, row)) {
			counts[run_row(options, row, SIZE_64)]++;
			counts[run_row(options, row, SIZE_32)]++;
		}
		fflush(stdout);
	}
	if (all)
		bad_blocks = blocks_run(
			options->seed, options->block, options->blocks, options->failures_shown);
	printf("seed %llu, %u cases a row, %u blocks\n", (unsigned long long)options->seed,
		options->cases, all ? options->blocks : 0);
	printf("blocks that differ: %u\n", bad_blocks);
	unsigned passed = counts[ROW_PASSED] + (all && !bad_blocks);
	unsigned failed = counts[ROW_FAILED] + (bad_blocks != 0);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}

int main(int argc, char **argv)
{
	struct options options = {.seed = 1,
		.cases = 300,
		.blocks = 20000,
		.row = -1,
		.number = -1,
		.block = -1,
		.failures_shown = 2};
	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (value && !strcmp(argv[i], "--seed"))
			options.seed = strtoull(value, NULL, 0);
		else if (value && !strcmp(argv[i], "--row"))
			options.row = atol(value);
		else if (value && !strcmp(argv[i], "--case"))
			options.number = atol(value);
		else if (value && !strcmp(argv[i], "--cases"))
			options.cases = (unsigned)atol(value);
		else if (value && !strcmp(argv[i], "--blocks"))
			options.blocks = (unsigned)atol(value);
		else if (value && !strcmp(argv[i], "--block"))
			options.block = atol(value);
		else if (value && !strcmp(argv[i], "--show"))
			options.failures_shown = (unsigned)atol(value);
		else if (value && !strcmp(argv[i], "--semantics"))
			options.semantics = value;
		else
			return fprintf(stderr,
				       "usage: translated [--seed S] [--cases N] [--blocks N] [--show N] [--semantics PREFIX] [--row N [--case K]] [--block N]\n"),
			       2;
	}
	native_init();
	engines_init();
	return run(&options);
}
