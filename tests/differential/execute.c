/* SPDX-License-Identifier: MIT */
/*
 * The differential tests' program: every row of the opcode tables that user mode can run, many cases each, against the
 * real processor. Prints what differs, what is not covered and why, and `N passed, N failed`, N being rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "differential.h"
#include "base/text.h"
#include "x86/decode/decode.h"
#include "x86/decode/undefined.h"
#include "x86/features.h"
#include "x86/flags.h"
#include "x86/paging.h"

struct options {
	u64 seed;
	unsigned cases;
	long row, number; /* -1: all */
	const char *semantics;
	unsigned failures_shown;
};

struct difference {
	char text[1024];
	size_t length;
};

static u8 template[DATA_PAGES * 4096];

/* ---- what counts --------------------------------------------------------------------------------- */

static u64 flags_compared(const struct test_case *test, const struct outcome *native)
{
	u64 mask = RFLAGS_ARITHMETIC | RFLAGS_DF;
	if (native->faulted)
		return mask;
	return mask & ~(u64)rflags_of(opcode_rows[test->row].flags_undefined);
}

/* ---- where processors differ --------------------------------------------------------------------- */

enum known_difference {
	KNOWN_SKIP = 1 << 0,	   /* the case is not run */
	KNOWN_CR2 = 1 << 1,	   /* of a page fault: the page must agree, not the byte */
	KNOWN_REGISTERS = 1 << 2,  /* after a fault */
	KNOWN_MEMORY = 1 << 3,	   /* after a fault */
	KNOWN_X87 = 1 << 4,	   /* after a fault */
	KNOWN_ERROR = 1 << 5,	   /* of a page fault */
	KNOWN_MISALIGNED = 1 << 7, /* #GP for what is past the stack segment's end, too */
	KNOWN_PAGE_FAULT = 1 << 6, /* either may have one */
};

enum known_host { HOST_ANY, HOST_INTEL, HOST_AMD };

#define OLD_MODES (BIT(SIZE_16) | BIT(SIZE_32))
#define ALL_MODES (OLD_MODES | BIT(SIZE_64))

static const struct {
	const char *semantics; /* prefix */
	u8 host, modes;	       /* enum known_host; BIT(enum insn_size) */
	u16 what;	       /* enum known_difference */
	const char *why;
} known_differences[] = {
	{"sysret", HOST_INTEL, OLD_MODES, KNOWN_SKIP, "Intel: #UD in compatibility mode"},
	{"sysexit", HOST_INTEL, ALL_MODES, KNOWN_SKIP, "AMD: #UD in long mode"},
	{"popa", HOST_ANY, OLD_MODES, KNOWN_REGISTERS, "what was popped before a fault may stay"},
	{"call_E", HOST_AMD, ALL_MODES, KNOWN_MEMORY,
		"the target may be looked at before the push or after"},
	{"sse_maskmov", HOST_ANY, ALL_MODES, KNOWN_PAGE_FAULT,
		"whether bytes that are not stored fault is the implementation's"},
	{"avx_vmaskmov", HOST_ANY, ALL_MODES, KNOWN_PAGE_FAULT, "the same"},
	{"avx_masked_store", HOST_ANY, ALL_MODES, KNOWN_CR2,
		"of elements on both sides of a page's end"},
	{"mmx_maskmov", HOST_ANY, ALL_MODES, KNOWN_PAGE_FAULT, "the same"},
	{"fxsave", HOST_ANY, ALL_MODES, KNOWN_CR2, "accessed in parts"},
	{"fxrstor", HOST_ANY, ALL_MODES, KNOWN_CR2, "accessed in parts"},
	{"xsave", HOST_ANY, ALL_MODES, KNOWN_PAGE_FAULT,
		"the end may be looked at first, and more than is used"},
	{"xrstor", HOST_ANY, ALL_MODES, KNOWN_PAGE_FAULT, "the same"},
	{"x87_fldenv", HOST_ANY, ALL_MODES, KNOWN_CR2, "accessed in parts"},
	{"x87_fnstenv", HOST_ANY, ALL_MODES, KNOWN_CR2, "accessed in parts"},
	{"x87_frstor", HOST_ANY, ALL_MODES, KNOWN_CR2, "accessed in parts"},
	{"x87_fnsave", HOST_ANY, ALL_MODES, KNOWN_CR2, "accessed in parts"},
	{"x87_store_80", HOST_ANY, ALL_MODES, KNOWN_CR2 | KNOWN_MEMORY, "stored in parts"},
	{"x87_load_80", HOST_ANY, ALL_MODES, KNOWN_CR2, "accessed in parts"},
	{"mmx_", HOST_INTEL, ALL_MODES, KNOWN_X87,
		"Intel makes the registers MMX's before it accesses memory"},
	{"arpl", HOST_ANY, OLD_MODES, KNOWN_ERROR,
		"the read and the write may be one access or two"},
};

static unsigned differences_known(const struct test_case *test)
{
	unsigned host = native_is_intel() ? HOST_INTEL : HOST_AMD, what = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(known_differences); i++) {
		const char *name = known_differences[i].semantics;
		if (!strncmp(opcode_rows[test->row].semantics, name, strlen(name)) &&
			(!known_differences[i].host || known_differences[i].host == host) &&
			(known_differences[i].modes & BIT(test->mode)))
			what |= known_differences[i].what;
	}
	if (opcode_rows[test->row].attributes & (ROW_SIMD | ROW_FPU))
		what |= KNOWN_MISALIGNED;
	return what;
}

static void differ(struct difference *d, const char *what, u64 native, u64 model)
{
	if (d->length < sizeof(d->text) - 128)
		d->length += (size_t)snprintf(d->text + d->length, sizeof(d->text) - d->length,
			"    %-8s processor %016llx  lodge %016llx\n", what,
			(unsigned long long)native, (unsigned long long)model);
}

static void compare_data(
	const struct outcome *native, const struct outcome *model, struct difference *d)
{
	if (!memcmp(native->data, model->data, DATA_WRITABLE_BYTES))
		return;
	for (unsigned i = 0; i < DATA_WRITABLE_BYTES; i += 8) {
		u64 a, b;
		char name[16];
		memcpy(&a, native->data + i, 8);
		memcpy(&b, model->data + i, 8);
		snprintf(name, sizeof(name), "[%x]", i);
		if (a != b)
			differ(d, name, a, b);
	}
}

/*
 * Of MXCSR, PE beside an unmasked overflow or underflow is left out: see x86/fpu.h.
 * FOP, FIP, FCS, FDP, FDS: processors differ in when they set them. MXCSR_MASK is no state.
 */
static bool fpu_byte_compared(unsigned at)
{
	return !(at >= 6 && at < 24) && !(at >= 28 && at < 32) && at < 416 &&
		!(at >= 32 && at < 160 && (at & 15) >= 10) && at != 5;
}

static void compare_fpu(const struct outcome *native, const struct outcome *model, unsigned known,
	struct difference *d)
{
	const u8 *a = native->state.fpu, *b = model->state.fpu;
	for (unsigned i = 0; i < 416; i++) {
		char name[16];
		u8 mask = i == 24 && native->faulted && native->vector == 19 ? 0xdf : 0xff;
		if (!((a[i] ^ b[i]) & mask) || !fpu_byte_compared(i))
			continue;
		if (i < 160 && (known & KNOWN_X87))
			continue;
		snprintf(name, sizeof(name), i < 160 ? "fpu+%u" : "xmm%u.%u",
			i < 160 ? i : (i - 160) / 16, i & 15);
		differ(d, name, a[i], b[i]);
	}
}

static void compare_ymm(
	const struct outcome *native, const struct outcome *model, struct difference *d)
{
	for (unsigned i = 0; i < 32; i++) {
		u64 a, b;
		char name[16];
		memcpy(&a, native->state.ymm_high[0] + 8 * i, 8);
		memcpy(&b, model->state.ymm_high[0] + 8 * i, 8);
		snprintf(name, sizeof(name), "ymm%u.%u", i / 2, i % 2 + 2);
		if (a != b)
			differ(d, name, a, b);
	}
}

static void compare_fault(const struct outcome *native, const struct outcome *model, unsigned known,
	struct difference *d)
{
	/* Linux says "present" of all kernel addresses. */
	u64 error_mask = native->vector == 14 && native->cr2 >> 47 ? ~PF_PRESENT : ~(u64)0;
	if (native->faulted != model->faulted)
		differ(d, "faulted", native->faulted, model->faulted);
	bool misaligned = (known & KNOWN_MISALIGNED) && native->vector + model->vector == 12 + 13;
	if (native->faulted && model->faulted && native->vector != model->vector && !misaligned)
		differ(d, "vector", native->vector, model->vector);
	else if (native->faulted && ((native->error_code ^ model->error_code) & error_mask) &&
		!(known & KNOWN_ERROR))
		differ(d, "error", native->error_code, model->error_code);
	u64 mask = known & KNOWN_CR2 ? PAGE_MASK : ~(u64)0;
	if (native->faulted && ((native->cr2 ^ model->cr2) & mask))
		differ(d, "cr2", native->cr2, model->cr2);
}

static const char *const register_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};

static bool compare(const struct test_case *test, const struct outcome *native,
	const struct outcome *model, struct difference *d)
{
	u64 mask = flags_compared(test, native);
	unsigned known = native->faulted ? differences_known(test) : 0;
	d->length = 0;
	d->text[0] = 0;
	bool page_faults = native->vector == 14 || (model->faulted && model->vector == 14);
	if ((known & KNOWN_PAGE_FAULT) && page_faults)
		return true;
	compare_fault(native, model, known, d);
	for (unsigned i = 0; i < 16; i++)
		if (native->state.regs[i] != model->state.regs[i] && !(known & KNOWN_REGISTERS))
			differ(d, register_names[i], native->state.regs[i], model->state.regs[i]);
	if (native->state.rip != model->state.rip)
		differ(d, "rip", native->state.rip, model->state.rip);
	if ((native->state.rflags ^ model->state.rflags) & mask)
		differ(d, "rflags", native->state.rflags & mask, model->state.rflags & mask);
	compare_fpu(native, model, known, d);
	compare_ymm(native, model, d);
	if (!(known & KNOWN_MEMORY))
		compare_data(native, model, d);
	return !d->length;
}

/* ---- reports ------------------------------------------------------------------------------------- */

static void print_case(const struct test_case *test)
{
	const struct opcode_row *row = &opcode_rows[test->row];
	char buffer[128];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	insn_print(&text, &test->insn, test->before.rip);
	printf("row %u (%s, %s), case %u, %u-bit code:", test->row, row->mnemonic, row->semantics,
		test->number, 8u << test->mode);
	for (unsigned i = 0; i < test->length; i++)
		printf(" %02x", test->bytes[i]);
	printf("   %s\n", buffer);
}

static void print_before(const struct test_case *test)
{
	for (unsigned i = 0; i < 16; i++)
		printf("%s%4s %016llx%s", i % 4 ? "" : "    ", register_names[i],
			(unsigned long long)test->before.regs[i], i % 4 == 3 ? "\n" : "  ");
	const u8 *fpu = test->before.fpu;
	if (test->mode != SIZE_64)
		printf("    cs %x ds %x es %x ss %x\n", test->cs, test->ds, test->es, test->ss);
	printf("    rflags %llx  fcw %02x%02x fsw %02x%02x tags %02x mxcsr %02x%02x\n",
		(unsigned long long)test->before.rflags, fpu[1], fpu[0], fpu[3], fpu[2], fpu[4],
		fpu[25], fpu[24]);
	const struct insn *insn = &test->insn;
	if (!(opcode_rows[test->row].attributes & (ROW_SIMD | ROW_FPU)))
		return;
	for (unsigned i = 0; i < 8; i++) {
		u64 low, high;
		memcpy(&low, fpu + 32 + 16 * i, 8);
		memcpy(&high, fpu + 40 + 16 * i, 8);
		printf("    st%u %04llx:%016llx", i, (unsigned long long)high & 0xffff,
			(unsigned long long)low);
		memcpy(&low, fpu + 160 + 16 * i, 8);
		memcpy(&high, fpu + 168 + 16 * i, 8);
		printf("  xmm%u %016llx:%016llx\n", i, (unsigned long long)high,
			(unsigned long long)low);
	}
	for (unsigned i = 0; i < 16 && opcode_rows[test->row].map >= 4; i++) {
		u64 quads[4];
		memcpy(quads, fpu + 160 + 16 * i, 16);
		memcpy(quads + 2, test->before.ymm_high[i], 16);
		printf("    ymm%-2u %016llx:%016llx:%016llx:%016llx\n", i,
			(unsigned long long)quads[3], (unsigned long long)quads[2],
			(unsigned long long)quads[1], (unsigned long long)quads[0]);
	}
	(void)insn;
}

static void print_failure(const struct options *options, const struct test_case *test,
	const struct outcome *native, const struct outcome *model, const struct difference *d)
{
	print_case(test);
	print_before(test);
	if (native->faulted || model->faulted)
		printf("    processor %s %u(%x) at %llx, lodge %s %u(%x) at %llx\n",
			native->faulted ? "fault" : "completes", native->vector, native->error_code,
			(unsigned long long)native->cr2, model->faulted ? "fault" : "completes",
			model->vector, model->error_code, (unsigned long long)model->cr2);
	fputs(d->text, stdout);
	printf("    again: execute --seed %llu --row %u --case %u\n",
		(unsigned long long)options->seed, test->row, test->number);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

enum row_result { ROW_PASSED, ROW_FAILED, ROW_UNCOVERED };

static bool run_case(const struct options *options, const struct test_case *test, bool quiet)
{
	static struct outcome native, model;
	static struct difference d;
	native_run(test, template, &native);
	model_run(test, template, &model);
	if (compare(test, &native, &model, &d)) {
		if (options->number >= 0) {
			print_case(test);
			print_before(test);
			printf("    equal\n");
		}
		return true;
	}
	if (!quiet)
		print_failure(options, test, &native, &model, &d);
	return false;
}

static void print_known(void)
{
	printf("left out: aligned operands: #GP or #SS past the end of the stack segment\n");
	for (unsigned i = 0; i < ARRAY_SIZE(known_differences); i++) {
		u8 host = known_differences[i].host;
		if (!host || (host == HOST_INTEL) == native_is_intel())
			printf("left out: %s: %s\n", known_differences[i].semantics,
				known_differences[i].why);
	}
}

static enum row_result run_row(const struct options *options, unsigned row, const char **why)
{
	unsigned done = 0, failed = 0, tries = 0;
	struct test_case test;
	struct random random = {options->seed ^ (u64)row << 32};
	*why = row_untestable(&opcode_rows[row]);
	if (*why)
		return ROW_UNCOVERED;
	random_data(&random, template, sizeof(template));
	for (unsigned number = 0; done < options->cases && tries < 100 * options->cases; number++) {
		tries++;
		if (options->number >= 0)
			number = (unsigned)options->number;
		if (!case_generate(&test, options->seed, row, number)) {
			if (options->number >= 0)
				break;
			continue;
		}
		if (differences_known(&test) & KNOWN_SKIP)
			continue;
		if (test.insn.execute == execute_undefined) {
			*why = "no semantics yet";
			return ROW_UNCOVERED;
		}
		done++;
		if (!run_case(options, &test, failed >= options->failures_shown))
			failed++;
		if (options->number >= 0)
			break;
	}
	if (failed)
		printf("FAIL row %u %s (%s): %u of %u cases\n", row, opcode_rows[row].mnemonic,
			opcode_rows[row].semantics, failed, done);
	*why = "no bytes could be made for it";
	return failed ? ROW_FAILED : done ? ROW_PASSED : ROW_UNCOVERED;
}

static int run(const struct options *options)
{
	unsigned counts[3] = {0};
	for (unsigned row = 0; row < opcode_row_count; row++) {
		const char *why;
		if (options->row >= 0 && row != (unsigned)options->row)
			continue;
		if (options->semantics &&
			strncmp(opcode_rows[row].semantics, options->semantics,
				strlen(options->semantics)))
			continue;
		enum row_result result = run_row(options, row, &why);
		counts[result]++;
		if (result == ROW_UNCOVERED)
			printf("not covered: row %u %s (%s): %s\n", row, opcode_rows[row].mnemonic,
				opcode_rows[row].semantics, why);
		fflush(stdout);
	}
	if (options->row < 0 && !options->semantics)
		print_known();
	unsigned covered = counts[ROW_PASSED] + counts[ROW_FAILED];
	printf("seed %llu, %u cases a row\n", (unsigned long long)options->seed, options->cases);
	printf("rows covered %u of %u\n", covered, covered + counts[ROW_UNCOVERED]);
	printf("%u passed, %u failed\n", counts[ROW_PASSED], counts[ROW_FAILED]);
	return counts[ROW_FAILED] || !covered;
}

int main(int argc, char **argv)
{
	struct options options = {
		.seed = 1, .cases = 1000, .row = -1, .number = -1, .failures_shown = 2};
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
		else if (value && !strcmp(argv[i], "--show"))
			options.failures_shown = (unsigned)atol(value);
		else if (value && !strcmp(argv[i], "--semantics"))
			options.semantics = value;
		else
			return fprintf(stderr,
				       "usage: execute [--seed S] [--cases N] [--show N] [--semantics PREFIX] [--row N [--case K]]\n"),
			       2;
	}
	native_init();
	model_init();
	return run(&options);
}
