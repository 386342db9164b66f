/* SPDX-License-Identifier: MIT */
/*
 * Repeated string instructions against a model that does one element after the other: random sizes, alignments, directions,
 * overlaps (by address and by two pages being one), page borders, faults, devices, watched pages, interrupts in between.
 */
#include <stdlib.h>

#include "tests/unit/x86/processor.h"

#define WINDOW 0x200000 /* linear; PT1's first pages */
#define WINDOW_PAGES 16
#define FRAMES 0x300000 /* physical */
#define FRAME_COUNT 12
#define DEVICE_PAGE 0x10000000

enum operation { MOVS, STOS, LODS, SCAS, CMPS };

/* One case: what is executed, and the registers that count; the model works on a second one. */
struct subject {
	enum operation operation;
	unsigned bytes;
	bool repeats, equal, backward;
	u64 rax, rcx, rsi, rdi;
	packed_flags flags;
	u8 vector;
	u64 cr2;
	u32 error_code;
};

static u8 expected[FRAME_COUNT * PAGE_SIZE];
static unsigned model_mmio_reads, model_mmio_writes;
static bool model_wrote_watched;

/* ---- the model --------------------------------------------------------------------------------- */

static u64 model_entry(u64 linear)
{
	u64 page = (linear - WINDOW) >> PAGE_SHIFT;
	return page < WINDOW_PAGES ? get_64(PT1 + 8 * page) : 0;
}

static bool model_may(struct subject *subject, u64 linear, bool is_write)
{
	u64 entry = model_entry(linear);
	if ((entry & 1) && (!is_write || (entry & 2)))
		return true;
	subject->vector = EXCEPTION_PF;
	subject->cr2 = linear;
	subject->error_code = (entry & 1) | (is_write ? 2 : 0);
	return false;
}

/* How much of an element lies in its first page. */
static unsigned model_part(u64 linear, unsigned bytes)
{
	return (unsigned)MIN(PAGE_SIZE - (linear & ~PAGE_MASK), (u64)bytes);
}

static bool model_check(struct subject *subject, u64 linear, unsigned bytes, bool is_write)
{
	unsigned part = model_part(linear, bytes);
	return model_may(subject, linear, is_write) &&
		(part == bytes || model_may(subject, linear + part, is_write));
}

/* NULL: a device. */
static u8 *model_place(u64 linear)
{
	u64 offset = (model_entry(linear) & 0xfffffff000) - FRAMES;
	return offset < sizeof(expected) ? expected + offset + (linear & ~PAGE_MASK) : NULL;
}

static u64 model_read_part(u64 linear, unsigned bytes)
{
	u64 value = 0;
	const u8 *from = model_place(linear);
	if (from)
		memcpy(&value, from, bytes);
	else
		value = MMIO_VALUE & bits_mask(8 * bytes);
	model_mmio_reads += !from;
	return value;
}

static bool model_read(struct subject *subject, u64 linear, u64 *value)
{
	unsigned bytes = subject->bytes, part = model_part(linear, bytes);
	if (!model_check(subject, linear, bytes, false))
		return false;
	*value = model_read_part(linear, part);
	if (part < bytes)
		*value |= model_read_part(linear + part, bytes - part) << (8 * part);
	return true;
}

static void model_write_part(u64 linear, u64 value, unsigned bytes)
{
	u8 *to = model_place(linear);
	if (to)
		memcpy(to, &value, bytes);
	model_mmio_writes += !to;
	model_wrote_watched |= (model_entry(linear) & 0xfffffff000) == watched_page;
}

static bool model_write(struct subject *subject, u64 linear, u64 value)
{
	unsigned bytes = subject->bytes, part = model_part(linear, bytes);
	if (!model_check(subject, linear, bytes, true))
		return false;
	model_write_part(linear, value, part);
	if (part < bytes)
		model_write_part(linear + part, value >> (8 * part), bytes - part);
	return true;
}

static packed_flags model_compare(u64 a, u64 b, unsigned bytes)
{
	unsigned top = 8 * bytes - 1;
	u64 result = (a - b) & bits_mask(8 * bytes);
	unsigned flags = 0;
	flags |= a < b ? PACKED_CF : 0;
	flags |= !result ? PACKED_ZF : 0;
	flags |= result >> top & 1 ? PACKED_SF : 0;
	flags |= ((a ^ b) & (a ^ result)) >> top & 1 ? PACKED_OF : 0;
	flags |= (a ^ b ^ result) >> 4 & 1 ? PACKED_AF : 0;
	flags |= __builtin_parity((u8)result) ? 0 : PACKED_PF;
	return (packed_flags)flags;
}

static bool model_element(struct subject *subject, packed_flags *flags)
{
	u64 mask = bits_mask(8 * subject->bytes), a, b;
	switch (subject->operation) {
	case MOVS:
		return model_read(subject, subject->rsi, &a) &&
			model_write(subject, subject->rdi, a);
	case STOS:
		return model_write(subject, subject->rdi, subject->rax & mask);
	case LODS:
		if (!model_read(subject, subject->rsi, &a))
			return false;
		subject->rax = subject->bytes == 4 ? a : (subject->rax & ~mask) | a;
		return true;
	case SCAS:
		if (!model_read(subject, subject->rdi, &b))
			return false;
		*flags = model_compare(subject->rax & mask, b, subject->bytes);
		return true;
	default:
		if (!model_read(subject, subject->rdi, &b) ||
			!model_read(subject, subject->rsi, &a))
			return false;
		*flags = model_compare(a, b, subject->bytes);
		return true;
	}
}

static void model_run(struct subject *subject)
{
	packed_flags flags = subject->flags;
	u64 step = subject->backward ? -(u64)subject->bytes : subject->bytes;
	bool compares = subject->operation == SCAS || subject->operation == CMPS;
	while (!subject->repeats || subject->rcx) {
		if (!model_element(subject, &flags))
			return;
		if (subject->operation != STOS && subject->operation != SCAS)
			subject->rsi += step;
		if (subject->operation != LODS)
			subject->rdi += step;
		if (!subject->repeats)
			break;
		subject->rcx--;
		if (compares && !(flags & PACKED_ZF) == subject->equal)
			break;
	}
	subject->flags = flags;
}

/* ---- the processor ----------------------------------------------------------------------------- */

static unsigned encode(const struct subject *subject, u8 *code)
{
	static const u8 opcodes[] = {0xa4, 0xaa, 0xac, 0xae, 0xa6};
	unsigned length = 0;
	if (subject->bytes == 2)
		code[length++] = 0x66;
	if (subject->repeats)
		code[length++] = subject->equal ? 0xf3 : 0xf2;
	if (subject->bytes == 8)
		code[length++] = 0x48;
	code[length++] = opcodes[subject->operation] | (subject->bytes > 1);
	return length;
}

/* Executes until the instruction is done or faults; returns how many executions that took. */
static unsigned execute(struct subject *subject)
{
	u8 code[16] = {0};
	struct insn insn;
	unsigned executions = 0;
	encode(subject, code);
	assert_int_equal(decode(code, 15, SIZE_64, cpu.model->features, &insn), DECODE_OK);
	cpu.other_flags = RFLAGS_FIXED | (subject->backward ? RFLAGS_DF : 0);
	cpu.arithmetic_flags = subject->flags;
	cpu.regs[RAX] = subject->rax;
	cpu.regs[RCX] = subject->rcx;
	cpu.regs[RSI] = subject->rsi;
	cpu.regs[RDI] = subject->rdi;
	cpu.insn = &insn;
	raises_begin();
	do {
		cpu.regs[RIP] = CODE + insn.length;
		executions++;
		if (!execute_or_raise(&insn)) {
			subject->vector = cpu.fault.vector;
			subject->cr2 = cpu.fault.cr2;
			subject->error_code = cpu.fault.error_code;
			break;
		}
	} while (cpu.regs[RIP] == CODE);
	subject->flags = flags_pack(flags_unpack(cpu.arithmetic_flags));
	subject->rax = cpu.regs[RAX];
	subject->rcx = cpu.regs[RCX];
	subject->rsi = cpu.regs[RSI];
	subject->rdi = cpu.regs[RDI];
	return executions;
}

/* ---- cases ------------------------------------------------------------------------------------- */

static unsigned below(unsigned limit)
{
	return (unsigned)(next_random() >> 20) % limit;
}

static void map_anew(void)
{
	put_64(PT0 + 8 * 511, 0);
	for (unsigned i = 0; i <= WINDOW_PAGES; i++) {
		u64 entry = (FRAMES + below(FRAME_COUNT) * PAGE_SIZE) | 7;
		switch (below(12)) {
		case 0:
			entry = 0;
			break;
		case 1:
			entry &= ~(u64)2;
			break;
		case 2:
			entry = DEVICE_PAGE | 7;
			break;
		}
		put_64(PT1 + 8 * i, i < WINDOW_PAGES ? entry : 0);
	}
	watched_page = below(2) ? FRAMES + below(FRAME_COUNT) * PAGE_SIZE : ~(u64)0;
	paging_flush(&cpu);
}

/* Bytes of which most are equal, so that comparisons go on for a while. */
static void fill_anew(void)
{
	unsigned odd = 1 + below(500);
	for (unsigned i = 0; i < sizeof(expected); i++)
		expected[i] = below(odd) ? 0x5a : (u8)next_random();
	memcpy(ram + FRAMES, expected, sizeof(expected));
}

static u64 any_address(unsigned bytes)
{
	u64 page = WINDOW + below(WINDOW_PAGES) * PAGE_SIZE;
	switch (below(4)) {
	case 0:
		return page + below(32) - 16;
	case 1:
		return page + below(PAGE_SIZE / bytes) * bytes;
	default:
		return page + below(PAGE_SIZE);
	}
}

static struct subject any_subject(void)
{
	struct subject subject = {.operation = below(5),
		.bytes = 1u << below(4),
		.repeats = below(8),
		.equal = below(2),
		.backward = below(2),
		.rax = below(2) ? 0x5a5a5a5a5a5a5a5a : next_random(),
		.flags = (packed_flags)(next_random() & (PACKED_CF | PACKED_ZF | PACKED_OF)),
		.vector = NO_FAULT};
	subject.rcx = below(3) ? below(40) : below(3 * PAGE_SIZE);
	subject.rsi = any_address(subject.bytes);
	u64 nearby = below(2) ? below(80) - (u64)40 : below(1200) - (u64)600;
	subject.rdi = below(2) ? any_address(subject.bytes) : subject.rsi + nearby;
	return subject;
}

static void print_subject(const char *name, const struct subject *subject)
{
	print_message(
		"%s: operation %u, %u bytes, repeats %u, equal %u, backward %u, rax %lx, rcx %lx, "
		"rsi %lx, rdi %lx, flags %x, vector %u, cr2 %lx, error %x\n",
		name, subject->operation, subject->bytes, subject->repeats, subject->equal,
		subject->backward, subject->rax, subject->rcx, subject->rsi, subject->rdi,
		subject->flags, subject->vector, subject->cr2, subject->error_code);
}

static bool same_end(const struct subject *a, const struct subject *b)
{
	if (a->vector == EXCEPTION_PF && (a->cr2 != b->cr2 || a->error_code != b->error_code))
		return false;
	return a->rax == b->rax && a->rcx == b->rcx && a->rsi == b->rsi && a->rdi == b->rdi &&
		a->flags == b->flags && a->vector == b->vector;
}

static void compare_one(void)
{
	struct subject begin = any_subject(), model = begin, processor = begin;
	model_mmio_reads = model_mmio_writes = mmio_reads = mmio_writes = code_writes = 0;
	model_wrote_watched = false;
	/* An interrupt that waits ends each run; a breakpoint elsewhere makes all go one by one. */
	cpu.pending = below(2) ? PENDING_INTERRUPT : 0;
	cpu.debug_active = !below(8);
	model_run(&model);
	execute(&processor);
	if (same_end(&model, &processor) && model_mmio_reads == mmio_reads &&
		model_mmio_writes == mmio_writes && (!model_wrote_watched || code_writes) &&
		!memcmp(expected, ram + FRAMES, sizeof(expected)))
		return;
	print_subject("begin", &begin);
	print_subject("model", &model);
	print_subject("processor", &processor);
	print_message("device reads %u %u, writes %u %u\n", model_mmio_reads, mmio_reads,
		model_mmio_writes, mmio_writes);
	fail();
}

static void string_instructions_are_as_if_done_element_by_element(void **state)
{
	const char *cases = getenv("STRING_CASES");
	unsigned count = cases ? (unsigned)atoi(cases) : 20000;
	for (unsigned i = 0; i < count; i++) {
		if (i % 16 == 0)
			map_anew();
		if (i % 64 == 0)
			fill_anew();
		if (i % 5 == 0)
			paging_flush(&cpu);
		compare_one();
	}
}

/* ---- how much one execution does ---------------------------------------------------------------- */

static unsigned executions_of_movs(u64 count)
{
	struct subject subject = {.operation = MOVS, .bytes = 1, .repeats = true, .rcx = count};
	subject.rsi = 0x10000;
	subject.rdi = 0x80010;
	subject.vector = NO_FAULT;
	cpu.pending = cpu.debug_active = 0;
	return execute(&subject);
}

/* What counts as one instruction under the instruction clock. */
static void an_execution_ends_where_it_does_whatever_the_tlb_holds(void **state)
{
	unsigned first = executions_of_movs(0x70000);
	assert_int_equal(first, 4); /* two runs a page of 112, 64 runs an execution */
	assert_int_equal(executions_of_movs(0x70000), first);
	watched_page = 0x90000;
	paging_flush(&cpu);
	assert_int_equal(executions_of_movs(0x70000), first);
	cpu.pending_waits = ~(u32)PENDING_TRAP;
	cpu.pending = PENDING_INTERRUPT;
	assert_int_equal(executions_of_movs(0x70000), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			string_instructions_are_as_if_done_element_by_element, start_64),
		cmocka_unit_test_setup(
			an_execution_ends_where_it_does_whatever_the_tlb_holds, start_64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
