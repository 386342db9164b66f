/* SPDX-License-Identifier: MIT */
/*
 * The library's side: a struct cpu in user mode, whose four-level page tables map the test's data pages to a small RAM.
 */
#include <stdlib.h>
#include <string.h>
#include "differential.h"
#include "x86/environment.h"
#include "x86/flags.h"
#include "x86/model.h"
#include "x86/paging.h"

#define RAM_PAGES 16
#define TABLES ((u64)0x1000) /* four pages of them */
#define DATA_PHYSICAL ((u64)0x8000)

static u8 *ram;
static struct cpu *cpu;

static u8 *ram_page(struct cpu *of, u64 physical, enum page_use use, bool *watched)
{
	*watched = false;
	return physical < RAM_PAGES * PAGE_SIZE ? ram + physical : NULL;
}

static u64 physical_read(struct cpu *of, u64 physical, unsigned bytes)
{
	return ~(u64)0;
}

static void physical_write(struct cpu *of, u64 physical, unsigned bytes, u64 value) {}

static void code_written(struct cpu *of, u64 physical, u64 bytes) {}

static u32 port_read(struct cpu *of, u16 port, unsigned bytes)
{
	return ~(u32)0;
}

static void port_write(struct cpu *of, u16 port, unsigned bytes, u32 value) {}

static bool msr_read_none(struct cpu *of, u32 index, u64 *value)
{
	return false;
}

static bool msr_write_none(struct cpu *of, u32 index, u64 value)
{
	return false;
}

static u64 tsc_read(struct cpu *of)
{
	return 0;
}

static void fpu_error(struct cpu *of) {}
static void pause_nothing(struct cpu *of) {}

static const struct environment environment = {
	.ram_page = ram_page,
	.physical_read = physical_read,
	.physical_write = physical_write,
	.code_written = code_written,
	.port_read = port_read,
	.port_write = port_write,
	.msr_read = msr_read_none,
	.msr_write = msr_write_none,
	.tsc_read = tsc_read,
	.fpu_error = fpu_error,
	.pause = pause_nothing,
};

static void entry_set(u64 table, u64 index, u64 value)
{
	memcpy(ram + table + 8 * index, &value, 8);
}

static void tables_build(void)
{
	u64 table = TABLES;
	for (unsigned level = 3; level > 0; level--, table += PAGE_SIZE)
		entry_set(table, (DATA_LINEAR >> (12 + 9 * level)) & 511, (table + PAGE_SIZE) | 7);
	for (u64 page = 0; page < DATA_PAGES; page++) {
		bool writable = page * PAGE_SIZE < DATA_WRITABLE_BYTES;
		bool mapped = writable || page * PAGE_SIZE == DATA_READ_ONLY;
		u64 physical = DATA_PHYSICAL + page * PAGE_SIZE;
		entry_set(table, ((DATA_LINEAR >> 12) + page) & 511,
			mapped ? physical | (writable ? 7 : 5) : 0);
	}
}

static struct segment segment_of(u16 selector)
{
	struct segment segment = {.selector = selector,
		.limit = 0xffffffff,
		.attributes = SEGMENT_S | SEGMENT_P | SEGMENT_DPL | SEGMENT_G | SEGMENT_DB | 3};
	if (!(selector & ~3))
		segment.attributes = SEGMENT_UNUSABLE;
	if (selector == LINUX_CS32 || selector == LINUX_CS64)
		segment.attributes |= 8;
	if (selector == LINUX_CS64)
		segment.attributes ^= SEGMENT_L | SEGMENT_DB;
	if (!(selector & 4))
		return segment;
	const struct ldt_segment *from = &ldt_segments[selector >> 3];
	segment.base = from->base;
	segment.limit = from->limit;
	segment.attributes = SEGMENT_S | SEGMENT_P | SEGMENT_DPL | 1;
	segment.attributes |= (from->code ? 8 : 0) | (from->expand_down ? 4 : 0);
	segment.attributes |= (from->read_only ? 0 : 2) | (from->wide ? SEGMENT_DB : 0);
	return segment;
}

static void segments_set(const struct test_case *test)
{
	cpu->segments[SEGMENT_CS] = segment_of(test->cs);
	cpu->segments[SEGMENT_DS] = segment_of(test->ds);
	cpu->segments[SEGMENT_ES] = segment_of(test->es);
	cpu->segments[SEGMENT_SS] = segment_of(test->ss);
	cpu->segments[SEGMENT_FS] = segment_of(0);
	cpu->segments[SEGMENT_GS] = segment_of(0);
	cpu->segments[SEGMENT_FS].base = native_fs_base();
	cpu->segments[SEGMENT_GS].base = native_gs_base();
	cpu_mode_changed(cpu);
}

void model_init(void)
{
	ram = aligned_alloc(PAGE_SIZE, RAM_PAGES * PAGE_SIZE);
	cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~(size_t)63);
	memset(ram, 0, RAM_PAGES * PAGE_SIZE);
	memset(cpu, 0, sizeof(*cpu));
	tables_build();
	cpu->environment = &environment;
	cpu->model = cpu_model_find(native_has_avx() ? "x86-64-v3" : "x86-64-v2");
	cpu_reset(cpu, true);
	cpu->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP;
	cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	cpu->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	cpu->xcr0 = XCR0_X87 | XCR0_SSE | (native_has_avx() ? XCR0_AVX : 0);
	cpu->cr3 = TABLES;
	cpu->cpl = 3;
	/* A task state without I/O permissions. */
	cpu->segments[SEGMENT_TR] = (struct segment){.limit = 0x5f, .attributes = SEGMENT_P | 11};
}

static void state_load(const struct test_case *test)
{
	memcpy(cpu->regs, test->before.regs, sizeof(test->before.regs));
	cpu->regs[RIP] = test->before.rip + test->length;
	cpu->regs[REGISTER_ZERO] = 0;
	flags_set(cpu, test->before.rflags);
	memcpy(cpu->fpu.image, test->before.fpu, sizeof(test->before.fpu));
	memcpy(cpu->fpu.ymm_high, test->before.ymm_high, sizeof(test->before.ymm_high));
	memset(&cpu->fault, 0, sizeof(cpu->fault));
	cpu->pending = 0;
	segments_set(test);
	if (test->number % 8 == 0)
		paging_flush(cpu);
}

static no_inline bool execute(const struct insn *insn, const struct state *before)
{
	if (__builtin_setjmp(cpu->unwind))
		return false;
	cpu->insn = insn;
	insn->execute(cpu, insn);
	/* A repeated instruction may stop anywhere, and be executed again. */
	while ((insn->flags & (INSN_REP | INSN_REPNE)) && cpu->regs[RIP] == before->rip) {
		cpu->regs[RIP] += insn->length;
		insn->execute(cpu, insn);
	}
	return true;
}

void model_run(const struct test_case *test, const u8 *template, struct outcome *outcome)
{
	u8 *data = ram + DATA_PHYSICAL;
	data_prepare(test, template, data);
	memcpy(data + DATA_READ_ONLY, template + DATA_READ_ONLY, PAGE_SIZE);
	state_load(test);
	outcome->faulted = !execute(&test->insn, &test->before);
	if (outcome->faulted)
		cpu->regs[RIP] = test->before.rip;
	memcpy(outcome->state.regs, cpu->regs, sizeof(outcome->state.regs));
	outcome->state.rip = cpu->regs[RIP];
	outcome->state.rflags = flags_get(cpu);
	memcpy(outcome->state.fpu, cpu->fpu.image, sizeof(outcome->state.fpu));
	memcpy(outcome->state.ymm_high, cpu->fpu.ymm_high, sizeof(outcome->state.ymm_high));
	outcome->vector = cpu->fault.vector;
	outcome->error_code = cpu->fault.error_code;
	outcome->cr2 = outcome->vector == 14 && outcome->faulted ? cpu->fault.cr2 : 0;
	outcome->data = data;
}

void data_prepare(const struct test_case *test, const u8 *template, u8 *data)
{
	memcpy(data, template, DATA_WRITABLE_BYTES);
	for (unsigned i = 0; i < test->patch_count; i++) {
		const struct data_patch *patch = &test->patches[i];
		u64 offset = patch->linear - DATA_LINEAR;
		if (offset < DATA_WRITABLE_BYTES && offset + patch->bytes <= DATA_WRITABLE_BYTES)
			memcpy(data + offset, &patch->value, patch->bytes);
	}
}
