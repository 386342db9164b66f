/* SPDX-License-Identifier: MIT */
/*
 * A processor with an array for memory and nothing else, for tests of x86/. It runs instructions as an engine would.
 * Included once by a test program.
 */
#ifndef TESTS_UNIT_X86_PROCESSOR_H
#define TESTS_UNIT_X86_PROCESSOR_H

#include "tests/unit/unit.h"
#include "base/memory.h"
#include "x86/access.h"
#include "x86/decode/decode.h"
#include "x86/environment.h"
#include "x86/exceptions.h"
#include "x86/flags.h"
#include "x86/model.h"
#include "x86/paging.h"
#include "x86/segments.h"

#define RAM_BYTES (4 * MIB)
#define NO_FAULT 0xff
#define MMIO_VALUE 0x1122334455667788

static u8 ram[RAM_BYTES] __attribute__((aligned(4096)));
static struct cpu cpu;
static u64 watched_page = ~(u64)0;
static unsigned code_writes, mmio_reads, mmio_writes;
static int interrupt_vector = -1;
static u64 random_state = 1;

static inline u64 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static u8 *env_ram_page(struct cpu *c, u64 physical, enum page_use use, bool *watched)
{
	*watched = physical == watched_page;
	return physical < RAM_BYTES ? ram + physical : NULL;
}

static u64 env_physical_read(struct cpu *c, u64 physical, unsigned bytes)
{
	mmio_reads++;
	return MMIO_VALUE & bits_mask(8 * bytes);
}

static void env_physical_write(struct cpu *c, u64 physical, unsigned bytes, u64 value)
{
	mmio_writes++;
}

static void env_code_written(struct cpu *c, u64 physical, u64 bytes)
{
	code_writes++;
}

static u32 env_port_read(struct cpu *c, u16 port, unsigned bytes)
{
	return 0x12345678;
}

static void env_port_write(struct cpu *c, u16 port, unsigned bytes, u32 value) {}

static bool env_msr_read(struct cpu *c, u32 index, u64 *value)
{
	return false;
}

static bool env_msr_write(struct cpu *c, u32 index, u64 value)
{
	return false;
}

static int env_acknowledge(struct cpu *c)
{
	int vector = interrupt_vector;
	interrupt_vector = -1;
	c->pending &= ~(u32)PENDING_INTERRUPT;
	return vector;
}

static u8 task_priority;
static u8 env_priority_get(struct cpu *c)
{
	return task_priority;
}

static void env_priority_set(struct cpu *c, u8 priority)
{
	task_priority = priority;
}

static u64 env_tsc_read(struct cpu *c)
{
	return 1000;
}

static void env_tsc_move(struct cpu *c, u64 by) {}

static bool env_random(struct cpu *c, u64 *value)
{
	*value = next_random();
	return true;
}

static bool env_cpuid(struct cpu *c, u32 leaf, u32 subleaf, u32 result[4])
{
	return false;
}

static void env_nothing(struct cpu *c) {}

static const struct environment test_environment = {
	.ram_page = env_ram_page,
	.physical_read = env_physical_read,
	.physical_write = env_physical_write,
	.code_written = env_code_written,
	.port_read = env_port_read,
	.port_write = env_port_write,
	.msr_read = env_msr_read,
	.msr_write = env_msr_write,
	.interrupt_acknowledge = env_acknowledge,
	.task_priority_get = env_priority_get,
	.task_priority_set = env_priority_set,
	.tsc_read = env_tsc_read,
	.tsc_move = env_tsc_move,
	.random = env_random,
	.cpuid = env_cpuid,
	.activity_changed = env_nothing,
	.pause = env_nothing,
	.fpu_error = env_nothing,
};

static inline void put_64(u64 physical, u64 value)
{
	memcpy(ram + physical, &value, 8);
}

static inline void put_32(u64 physical, u32 value)
{
	memcpy(ram + physical, &value, 4);
}

static inline u64 get_64(u64 physical)
{
	u64 value;
	memcpy(&value, ram + physical, 8);
	return value;
}

static inline u32 get_32(u64 physical)
{
	return (u32)get_64(physical);
}

/* Real mode, as after power-on; memory of zeroes. */
static inline int processor_reset(void **state)
{
	memset(ram, 0, sizeof(ram));
	memset(&cpu, 0, sizeof(cpu));
	cpu.model = cpu_model_find("x86-64-v2");
	cpu.environment = &test_environment;
	cpu.cpu_count = 1;
	cpu.tsc_hz = 1000000000;
	watched_page = ~(u64)0;
	code_writes = mmio_reads = mmio_writes = 0;
	interrupt_vector = -1;
	cpu_reset(&cpu, true);
	return 0;
}

/* ---- tables of the tests: GDT, IDT, TSS, page tables at fixed places ---- */

#define GDT 0x1000
#define IDT 0x2000
#define TSS 0x3000
#define CODE 0x8000
#define STACK_TOP 0x20000
#define KERNEL_STACK 0x30000
#define HANDLERS 0x40000 /* vector v is handled at HANDLERS + 16 * v */

/* Selectors: code and data of 64 bits, 32 bits, 16 bits, and of CPL 3. */
#define CS_64 0x08
#define DS_FLAT 0x10
#define CS_32 0x18
#define CS_16 0x20
#define CS_64_USER 0x2b
#define DS_USER 0x33
#define CS_32_USER 0x3b
#define DS_16 0x40
#define FREE_SELECTOR 0x48
#define TSS_SELECTOR 0x60
#define GDT_LIMIT 0x7f

static inline u64 make_descriptor(u32 base, u32 limit, u8 access, u8 flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 |
		(u64)(limit >> 16 & 0xf) << 48 | (u64)flags << 52 | (u64)(base >> 24) << 56;
}

static inline void tables_make(void)
{
	put_64(GDT + CS_64, make_descriptor(0, 0xfffff, 0x9b, 0xa));
	put_64(GDT + DS_FLAT, make_descriptor(0, 0xfffff, 0x93, 0xc));
	put_64(GDT + CS_32, make_descriptor(0, 0xfffff, 0x9b, 0xc));
	put_64(GDT + CS_16, make_descriptor(0, 0xffff, 0x9b, 0));
	put_64(GDT + (CS_64_USER & ~3), make_descriptor(0, 0xfffff, 0xfb, 0xa));
	put_64(GDT + (DS_USER & ~3), make_descriptor(0, 0xfffff, 0xf3, 0xc));
	put_64(GDT + (CS_32_USER & ~3), make_descriptor(0, 0xfffff, 0xfb, 0xc));
	put_64(GDT + DS_16, make_descriptor(0, 0xffff, 0x93, 0));
	put_64(GDT + TSS_SELECTOR, make_descriptor(TSS, 0x67, 0x8b, 0));
	cpu.gdtr = (struct descriptor_table){GDT, GDT_LIMIT};
}

static inline void segment_set(unsigned name, u16 selector)
{
	u64 raw = get_64(GDT + (selector & ~7u));
	bool large = raw >> 55 & 1;
	u32 limit = (u32)((raw & 0xffff) | (raw >> 32 & 0xf0000));
	cpu.segments[name] = (struct segment){.selector = selector,
		.base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000),
		.limit = large ? limit << 12 | 0xfff : limit,
		.attributes = (u16)((raw >> 40 & 0xff) | (raw >> 44 & 0xf00))};
}

static inline void segments_set(u16 cs, u16 data)
{
	segment_set(SEGMENT_CS, cs);
	for (unsigned i = 0; i < 6; i++)
		if (i != SEGMENT_CS)
			segment_set(i, data);
	segment_set(SEGMENT_TR, TSS_SELECTOR);
	cpu.cpl = cs & 3;
	cpu_mode_changed(&cpu);
}

/* Flat protected mode of 32 bits; interrupt gates for all vectors; paging off. */
static inline int start_32(void **state)
{
	processor_reset(state);
	tables_make();
	cpu.cr0 = CR0_PE | CR0_ET;
	for (unsigned v = 0; v < 256; v++)
		put_64(IDT + 8 * v,
			((HANDLERS + 16 * v) & 0xffff) | CS_32 << 16 | (u64)0x8e << 40 |
				(u64)(HANDLERS >> 16) << 48);
	cpu.idtr = (struct descriptor_table){IDT, 0x7ff};
	put_32(TSS + 4, KERNEL_STACK);
	put_32(TSS + 8, DS_FLAT);
	segments_set(CS_32, DS_FLAT);
	cpu.regs[RIP] = CODE;
	cpu.regs[RSP] = STACK_TOP;
	return 0;
}

/* Four-level tables at 0x100000, 0x101000, ...: identity for the first 4 MiB in 4 KiB pages, user, writable. */
#define PML4 0x100000
#define PDPT 0x101000
#define PD 0x102000
#define PT0 0x103000
#define PT1 0x104000

static inline void identity_map(void)
{
	put_64(PML4, PDPT | 7);
	put_64(PDPT, PD | 7);
	put_64(PD, PT0 | 7);
	put_64(PD + 8, PT1 | 7);
	for (u64 i = 0; i < 1024; i++)
		put_64(PT0 + 8 * i, i << 12 | 7);
}

static inline int start_64(void **state)
{
	processor_reset(state);
	tables_make();
	identity_map();
	for (unsigned v = 0; v < 256; v++) {
		put_64(IDT + 16 * v,
			((HANDLERS + 16 * v) & 0xffff) | CS_64 << 16 | (u64)0x8e << 40 |
				(u64)(HANDLERS >> 16) << 48);
	}
	cpu.idtr = (struct descriptor_table){IDT, 0xfff};
	put_64(TSS + 4, KERNEL_STACK);
	cpu.cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_WP;
	cpu.cr4 = CR4_PAE;
	cpu.cr3 = PML4;
	cpu.efer = EFER_LME | EFER_LMA | EFER_NXE;
	segments_set(CS_64, DS_FLAT);
	cpu.regs[RIP] = CODE;
	cpu.regs[RSP] = STACK_TOP;
	paging_flush(&cpu);
	return 0;
}

/* ---- doing things that may raise ---- */

/* What `statement` raises: cpu.fault.vector, or NO_FAULT. */
#define RAISES(statement)                            \
	({                                           \
		volatile u8 raised_ = NO_FAULT;      \
		raises_begin();                      \
		if (!__builtin_setjmp(cpu.unwind)) { \
			statement;                   \
		} else {                             \
			raised_ = cpu.fault.vector;  \
		}                                    \
		raised_;                             \
	})

static inline void raises_begin(void)
{
	cpu.fault.vector = NO_FAULT;
	cpu.fault.error_code = 0;
}

static no_inline bool execute_or_raise(const struct insn *insn)
{
	if (__builtin_setjmp(cpu.unwind))
		return false;
	insn->execute(&cpu, insn);
	return true;
}

static no_inline unsigned fetch_or_raise(u8 *bytes)
{
	u64 base = cpu.code_size == SIZE_64 ? 0 : cpu.segments[SEGMENT_CS].base;
	u64 linear = base + cpu.regs[RIP];
	if (cpu.code_size != SIZE_64)
		linear = (u32)linear;
	if (__builtin_setjmp(cpu.unwind))
		return 0;
	if (cpu.code_size != SIZE_64 && cpu.regs[RIP] > cpu.segments[SEGMENT_CS].limit)
		raise_gp(&cpu, 0);
	unsigned count = paging_fetch(&cpu, linear, bytes, 15);
	if (!count)
		paging_fetch_probe(&cpu, linear);
	return count;
}

/* One instruction at RIP. What it raises is delivered, and returned; NO_FAULT otherwise. */
static inline u8 step(void)
{
	u8 bytes[16] = {0};
	struct insn insn;
	bool trap = cpu.other_flags & RFLAGS_TF;
	u8 shadow = cpu.interrupt_shadow;

	raises_begin();
	unsigned count = fetch_or_raise(bytes);
	if (!count) {
		u8 vector = cpu.fault.vector;
		exception_deliver(&cpu);
		return vector;
	}
	if (decode(bytes, count, cpu.code_size, cpu.model->features, &insn) == DECODE_INCOMPLETE) {
		cpu.fault.vector = EXCEPTION_GP;
		cpu.fault.has_error_code = true;
		exception_deliver(&cpu);
		return EXCEPTION_GP;
	}
	cpu.insn = &insn;
	cpu.other_flags &= ~(u32)RFLAGS_RF;
	cpu.regs[RIP] += insn.length;
	if (!execute_or_raise(&insn)) {
		u8 vector = cpu.fault.vector;
		cpu.regs[RIP] -= insn.length;
		exception_deliver(&cpu);
		return vector;
	}
	interrupts_shadow_step(&cpu, shadow);
	debug_after_instruction(&cpu, trap);
	return NO_FAULT;
}

/* Puts the bytes at RIP's linear address (identity) and steps once. */
#define STEP(...)                                                  \
	({                                                         \
		static const u8 code_[] = {__VA_ARGS__};           \
		memcpy(ram + cpu.regs[RIP], code_, sizeof(code_)); \
		step();                                            \
	})

#endif
