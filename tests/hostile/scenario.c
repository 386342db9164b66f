/* SPDX-License-Identifier: MIT */
/*
 * Puts a processor into a mode with tables of all kinds around it. Tables lie in the first 64 KiB, mapped to themselves where paging is
 * on and the scenario is not wild about it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "hosts/fake/fake.h"
#include "tests/hostile/hostile.h"
#include "x86/access.h"
#include "x86/descriptors.h"
#include "x86/flags.h"
#include "x86/fpu.h"
#include "x86/paging.h"

#define GDT 0x1000
#define GDT_BYTES 0x400
#define IDT 0x2000
#define TSS 0x3000
#define TSS_2 0x3400
#define TSS_BYTES 0x100
#define LDT 0x4000
#define TABLES 0x8000 /* six pages: PML4, PDPT, PD, PT, PD of the devices, PT of two-level paging */
#define TABLES_END 0xe000
#define CODE 0x10000
#define HANDLERS 0x14000
#define STACK 0x28000
#define DATA 0x30000
#define DATA_BYTES 0x4000

#define PAGE_LARGE 0x80

enum selector {
	CODE_32 = 0x08,
	DATA_32 = 0x10,
	CODE_64 = 0x18,
	CODE_32_USER = 0x20,
	DATA_USER = 0x28,
	CODE_64_USER = 0x30,
	CODE_16 = 0x38,
	DATA_16 = 0x40,
	TASK = 0x48,
	LOCAL = 0x58,
	CALL_GATE = 0x68,
	TASK_GATE = 0x78,
	TASK_2 = 0x80,
	CODE_CONFORMING = 0x90,
	DATA_EXPAND_DOWN = 0x98,
	CALL_GATE_16 = 0xa0,
	RANDOM_DESCRIPTORS = 0xb0,
};

struct builder {
	struct hostile *hostile;
	struct cpu *cpu;
	u8 *ram;
	struct random random;
	unsigned mode, options;
	bool is_long;
};

static bool has(const struct builder *builder, enum scenario_option option)
{
	return builder->options & option;
}

static void put_64(struct builder *builder, u64 at, u64 value)
{
	memcpy(builder->ram + at, &value, 8);
}

static void put_32(struct builder *builder, u64 at, u32 value)
{
	memcpy(builder->ram + at, &value, 4);
}

/* ---- descriptor tables ---- */

static u64 make_descriptor(u64 base, u32 limit, u16 attributes)
{
	if (attributes & SEGMENT_G)
		limit >>= 12;
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)(attributes & 0xff) << 40 |
		(u64)(limit >> 16 & 0xf) << 48 | (u64)(attributes >> 8 & 0xf) << 52 |
		(base >> 24 & 0xff) << 56;
}

static void put_descriptor(
	struct builder *builder, unsigned selector, u64 base, u32 limit, u16 attributes)
{
	put_64(builder, GDT + selector, make_descriptor(base, limit, attributes));
}

static void put_gate(struct builder *builder, unsigned selector, u16 target, u32 offset,
	unsigned type, unsigned dpl, unsigned count)
{
	put_64(builder, GDT + selector,
		(offset & 0xffff) | (u64)target << 16 | (u64)count << 32 |
			(u64)(0x80 | dpl << 5 | type) << 40 | (u64)(offset >> 16) << 48);
}

#define CODE_SEGMENT (SEGMENT_P | SEGMENT_S | 0xb | SEGMENT_G)
#define DATA_SEGMENT (SEGMENT_P | SEGMENT_S | 0x3 | SEGMENT_G)

static void build_gdt(struct builder *builder)
{
	u16 gate_code = builder->is_long ? CODE_64 : CODE_32;

	put_descriptor(builder, CODE_32, 0, ~0u, CODE_SEGMENT | SEGMENT_DB);
	put_descriptor(builder, DATA_32, 0, ~0u, DATA_SEGMENT | SEGMENT_DB);
	put_descriptor(builder, CODE_64, 0, ~0u, CODE_SEGMENT | SEGMENT_L);
	put_descriptor(builder, CODE_32_USER, 0, ~0u, CODE_SEGMENT | SEGMENT_DB | SEGMENT_DPL);
	put_descriptor(builder, DATA_USER, 0, ~0u, DATA_SEGMENT | SEGMENT_DB | SEGMENT_DPL);
	put_descriptor(builder, CODE_64_USER, 0, ~0u, CODE_SEGMENT | SEGMENT_L | SEGMENT_DPL);
	put_descriptor(builder, CODE_16, CODE, 0xffff, SEGMENT_P | SEGMENT_S | 0xb);
	put_descriptor(builder, DATA_16, 0x20000, 0xffff, SEGMENT_P | SEGMENT_S | 0x3);
	put_descriptor(builder, TASK, TSS, TSS_BYTES - 1, SEGMENT_P | SYSTEM_TSS_BUSY);
	put_descriptor(builder, LOCAL, LDT, 0xfff, SEGMENT_P | SYSTEM_LDT);
	put_gate(builder, CALL_GATE, gate_code, HANDLERS, SYSTEM_CALL_GATE, 3, 3);
	put_gate(builder, TASK_GATE, TASK_2, 0, SYSTEM_TASK_GATE, 3, 0);
	put_descriptor(builder, TASK_2, TSS_2, TSS_BYTES - 1, SEGMENT_P | SYSTEM_TSS | SEGMENT_DPL);
	put_descriptor(builder, CODE_CONFORMING, 0, ~0u, CODE_SEGMENT | SEGMENT_DB | 4);
	put_descriptor(builder, DATA_EXPAND_DOWN, 0, 0xffff, (DATA_SEGMENT & ~SEGMENT_G) | 4);
	put_gate(builder, CALL_GATE_16, CODE_16, HANDLERS - CODE, SYSTEM_CALL_GATE_16, 3, 1);
	random_fill(&builder->random, builder->ram + GDT + RANDOM_DESCRIPTORS,
		GDT_BYTES - RANDOM_DESCRIPTORS);
	random_fill(&builder->random, builder->ram + LDT, 0x100);
	builder->cpu->gdtr = (struct descriptor_table){GDT, GDT_BYTES - 1};
	if (!has(builder, SCENARIO_WILD_GDT))
		return;
	for (unsigned i = 0; i < 4; i++)
		builder->ram[GDT + 8 + random_below(&builder->random, 0xa8)] ^=
			(u8)(1 << random_below(&builder->random, 8));
	if (random_one_in(&builder->random, 4))
		builder->cpu->gdtr.limit = (u16)random_next(&builder->random);
	if (random_one_in(&builder->random, 8))
		builder->cpu->gdtr.base = (u32)random_next(&builder->random);
}

static u64 choose_handler(struct builder *builder)
{
	struct random *random = &builder->random;

	if (has(builder, SCENARIO_WILD_IDT) && random_one_in(random, 16))
		return random_next(random);
	return HANDLERS + 16 * random_below(random, 64);
}

static void put_vector(struct builder *builder, unsigned vector)
{
	static const u8 types[] = {
		SYSTEM_INTERRUPT_GATE, SYSTEM_TRAP_GATE, SYSTEM_INTERRUPT_GATE, SYSTEM_TASK_GATE};
	struct random *random = &builder->random;
	bool is_wild = has(builder, SCENARIO_WILD_IDT) && random_one_in(random, 4);
	u64 offset = choose_handler(builder);
	unsigned type = types[random_below(random, is_wild ? 4 : 2)];
	u16 selector = type == SYSTEM_TASK_GATE ? TASK_2 : builder->is_long ? CODE_64 : CODE_32;
	u64 low = (offset & 0xffff) | (u64)selector << 16 | (u64)(0xe0 | type) << 40 |
		(offset >> 16 & 0xffff) << 48;

	if (is_wild && random_one_in(random, 3))
		low = random_next(random);
	else if (is_wild && builder->is_long)
		low |= random_below(random, 8) << 32; /* IST */
	if (builder->is_long) {
		put_64(builder, IDT + 16 * vector, low);
		put_64(builder, IDT + 16 * vector + 8, offset >> 32);
	} else {
		put_64(builder, IDT + 8 * vector, low);
	}
}

static void build_idt(struct builder *builder)
{
	struct random *random = &builder->random;

	for (unsigned vector = 0; vector < 256 && builder->mode != SCENARIO_REAL; vector++)
		put_vector(builder, vector);
	for (unsigned vector = 0; vector < 256; vector++) /* real mode's */
		put_32(builder, 4 * vector,
			(u32)((CODE >> 4) << 16 |
				(HANDLERS - CODE + 16 * random_below(random, 64))));
	builder->cpu->idtr = builder->mode == SCENARIO_REAL ? (struct descriptor_table){0, 0x3ff}
							    : (struct descriptor_table){IDT, 0xfff};
	if (has(builder, SCENARIO_WILD_IDT) && random_one_in(random, 4))
		builder->cpu->idtr.limit = (u16)random_next(random);
	if (has(builder, SCENARIO_WILD_IDT) && random_one_in(random, 8))
		builder->cpu->idtr.base = (u32)random_next(random);
}

static void build_task_32(struct builder *builder, u64 at)
{
	put_32(builder, at + 4, STACK - 0x2000);
	put_32(builder, at + 8, DATA_32);
	put_32(builder, at + 28, TABLES); /* CR3 */
	put_32(builder, at + 32, HANDLERS + 0x400);
	put_32(builder, at + 36, RFLAGS_FIXED);
	put_32(builder, at + 56, STACK - 0x3000); /* ESP */
	put_32(builder, at + 72, DATA_32);	  /* ES, CS, SS, DS */
	put_32(builder, at + 76, CODE_32);
	put_32(builder, at + 80, DATA_32);
	put_32(builder, at + 84, DATA_32);
	put_32(builder, at + 100, 0x680000 | (builder->options & 1));
}

static void build_tasks(struct builder *builder)
{
	if (builder->is_long) {
		for (unsigned i = 0; i < 3; i++)
			put_64(builder, TSS + 4 + 8 * i, STACK - 0x1000 * (i + 1));
		for (unsigned i = 0; i < 7; i++)
			put_64(builder, TSS + 36 + 8 * i, STACK - 0x800 * (i + 1));
		put_32(builder, TSS + 100, 0x680000);
	} else {
		build_task_32(builder, TSS);
		build_task_32(builder, TSS_2);
	}
	random_fill(&builder->random, builder->ram + TSS + 0x68, 32); /* the I/O bitmap's begin */
	if (has(builder, SCENARIO_WILD_GDT) && random_one_in(&builder->random, 4))
		random_fill(&builder->random, builder->ram + TSS, TSS_BYTES);
}

/* ---- page tables ---- */

static u64 wild_entry(struct builder *builder)
{
	struct random *random = &builder->random;
	u64 flags = random_next(random) & 0x1ff;

	switch (random_below(random, 8)) {
	case 0:
		return random_next(random);
	case 1: /* a table as a page, or as a table of another level */
	case 2:
		return (TABLES + PAGE_SIZE * random_below(random, 6)) | flags | 1;
	case 3: /* past memory */
		return (HOSTILE_RAM_BYTES + PAGE_SIZE * random_below(random, 4)) | flags | 3;
	case 4:
		return (random_one_in(random, 2) ? 0xfee00000 : 0xfec00000) | flags | 1;
	case 5:
		return BIT(random_below(random, 64)) | flags | 7;
	case 6:
		return (random_below(random, 512) << PAGE_SHIFT) | flags | 1;
	default:
		return bits_mask(52) & PAGE_MASK & ~(random_next(random) << 40) &
			(~(u64)0 << 12 | flags);
	}
}

static void make_tables_wild(struct builder *builder, unsigned entry_bytes)
{
	struct random *random = &builder->random;
	unsigned count = 1 + (unsigned)random_below(random, 24);

	for (unsigned i = 0; i < count; i++) {
		u64 page = TABLES + PAGE_SIZE * random_below(random, 6);
		/* Where entries are used, most of the time. */
		u64 index = random_below(random, random_one_in(random, 4) ? 512 : 64);
		u64 value = wild_entry(builder);

		memcpy(builder->ram + page + index * entry_bytes, &value, entry_bytes);
	}
}

/* The lower two levels: 2 MiB of RAM, and both APICs' pages. */
static void build_pages_64(struct builder *builder)
{
	bool large = has(builder, SCENARIO_LARGE_PAGES);

	for (u64 i = 0; i < 512; i++)
		put_64(builder, TABLES + 0x3000 + 8 * i, i << PAGE_SHIFT | 7);
	put_64(builder, TABLES + 0x2000, large ? 7 | PAGE_LARGE : (TABLES + 0x3000) | 7);
	put_64(builder, TABLES + 0x2008, 2 * MIB | 7 | PAGE_LARGE);
	for (u64 i = 0x1f6; i < 512; i++)
		put_64(builder, TABLES + 0x4000 + 8 * i, (3 * GIB + i * 2 * MIB) | 7 | PAGE_LARGE);
}

static void build_four_level(struct builder *builder)
{
	build_pages_64(builder);
	put_64(builder, TABLES, (TABLES + 0x1000) | 7);
	put_64(builder, TABLES + 8 * 255, TABLES | 7); /* itself */
	put_64(builder, TABLES + 8 * 511, (TABLES + 0x1000) | 7);
	put_64(builder, TABLES + 0x1000, (TABLES + 0x2000) | 7);
	put_64(builder, TABLES + 0x1018, (TABLES + 0x4000) | 7);
	put_64(builder, TABLES + 0x1010, 7 | PAGE_LARGE);
	put_64(builder, TABLES + 0x1000 + 8 * 511, (TABLES + 0x2000) | 7);
}

/* CR3 points at the second page: the four pointers. */
static void build_pae(struct builder *builder)
{
	build_pages_64(builder);
	put_64(builder, TABLES + 0x1000, (TABLES + 0x2000) | 1);
	put_64(builder, TABLES + 0x1008, (TABLES + 0x2000) | 1);
	put_64(builder, TABLES + 0x1010, 0);
	put_64(builder, TABLES + 0x1018, (TABLES + 0x4000) | 1);
}

static void build_two_level(struct builder *builder)
{
	bool large = has(builder, SCENARIO_LARGE_PAGES);

	for (u32 i = 0; i < 1024; i++)
		put_32(builder, TABLES + 0x5000 + 4 * i, i << PAGE_SHIFT | 7);
	put_32(builder, TABLES, large ? 7 | PAGE_LARGE : (TABLES + 0x5000) | 7);
	put_32(builder, TABLES + 4 * 1000, TABLES | 7); /* itself */
	for (u32 i = 0x3fb; i < 1024; i++)
		put_32(builder, TABLES + 4 * i, i << 22 | 7 | PAGE_LARGE);
}

static void build_paging(struct builder *builder, unsigned paging)
{
	struct cpu *cpu = builder->cpu;

	cpu->cr3 = TABLES;
	if (builder->is_long) {
		build_four_level(builder);
		cpu->cr4 |= CR4_PAE;
		cpu->efer |= EFER_LME | EFER_LMA;
	} else if (paging == SCENARIO_PAE) {
		build_pae(builder);
		cpu->cr3 = TABLES + 0x1000;
		cpu->cr4 |= CR4_PAE;
	} else {
		build_two_level(builder);
		cpu->cr4 |= CR4_PSE;
	}
	cpu->cr0 |= CR0_PG;
	if (has(builder, SCENARIO_WILD_PAGES))
		make_tables_wild(builder, cpu->cr4 & CR4_PAE ? 8 : 4);
	if (has(builder, SCENARIO_WILD_CR3) && random_one_in(&builder->random, 2))
		cpu->cr3 = random_next(&builder->random) & cpu->physical_mask;
	else if (has(builder, SCENARIO_WILD_CR3))
		cpu->cr3 = random_below(&builder->random, HOSTILE_RAM_BYTES * 2);
	for (unsigned i = 0; i < 4; i++)
		memcpy(&cpu->pdptes[i], builder->ram + TABLES + 0x1000 + 8 * i, 8);
}

/* ---- registers ---- */

u16 scenario_selector(struct random *random)
{
	return (u16)((8 * random_below(random, RANDOM_DESCRIPTORS / 8)) | random_below(random, 4));
}

u32 scenario_target(struct random *random, unsigned code_size)
{
	u32 offset = 16 * (u32)random_below(random, 128);

	return code_size == SIZE_16 ? HANDLERS - CODE + offset : HANDLERS + offset;
}

/* Random data, with a far pointer, a selector's register image or an interrupt frame in every second place. */
static void build_data(struct builder *builder)
{
	struct random *random = &builder->random;
	unsigned size = scenario_code_size(builder->mode);

	random_fill(random, builder->ram + DATA, DATA_BYTES);
	for (u64 at = 0; at < DATA_BYTES; at += 32) {
		u64 selector = scenario_selector(random);
		u64 target = scenario_target(random, size);

		if (size == SIZE_16)
			put_32(builder, DATA + at, (u32)(selector << 16 | target));
		else
			put_64(builder, DATA + at, selector << 32 | target);
		if (random_one_in(random, 2))
			continue;
		put_64(builder, DATA + at, target);
		put_64(builder, DATA + at + 8, selector);
		put_64(builder, DATA + at + 16, RFLAGS_FIXED | (random_next(random) & 0x3ffff));
		put_64(builder, DATA + at + 24, STACK);
	}
}

static u64 choose_address(struct builder *builder)
{
	struct random *random = &builder->random;
	static const u64 edges[] = {HOSTILE_RAM_BYTES, MEMORY_HOLE_START, 0xfec00000, 0xfec00010,
		0xfee00000, 0xfee00300, 0xfee01000, (u64)1 << 32, 0x00007ffffffff000,
		0x0000800000000000, 0xffff800000000000, 0xfffffffffffff000, 0x7ffff000,
		0xffffffff80000000, 0, TABLES, GDT, IDT, TSS, 0x10000};

	if (has(builder, SCENARIO_DEVICES) && random_one_in(random, 2))
		return (random_one_in(random, 2) ? 0xfee00000 : 0xfec00000) +
			random_below(random, 0x400);
	if (random_one_in(random, 8))
		return edges[random_below(random, ARRAY_SIZE(edges))] + random_below(random, 32) -
			16;
	if (random_one_in(random, 8))
		return TABLES + random_below(random, TABLES_END - TABLES);
	if (random_one_in(random, 8))
		return CODE + random_below(random, 256);
	if (random_one_in(random, 4)) /* near a page's end */
		return DATA + PAGE_SIZE * (1 + random_below(random, 3)) - random_below(random, 20);
	if (random_one_in(random, 2)) /* what build_data has put there */
		return DATA + 32 * random_below(random, DATA_BYTES / 32);
	return DATA + random_below(random, DATA_BYTES);
}

/* A control register's value with one bit changed. */
static u64 choose_control(struct builder *builder)
{
	const struct cpu *cpu = builder->cpu;
	const u64 values[] = {cpu->cr0, cpu->cr3, cpu->cr4, cpu->efer, cpu->dr7 | 0x400};
	u64 value = values[random_below(&builder->random, ARRAY_SIZE(values))];

	return value ^
		BIT(random_below(&builder->random, random_one_in(&builder->random, 4) ? 64 : 32));
}

static u32 choose_msr(struct random *random)
{
	static const u32 msrs[] = {0x10, 0x1b, 0x174, 0x200, 0x277, 0x2ff, 0x6e0, 0x802, 0x830,
		0xc0000080, 0xc0000081, 0xc0000100, 0xc0000101, 0xc0000103, 0x4b564d00, 0x4b564d01};

	return msrs[random_below(random, ARRAY_SIZE(msrs))];
}

static void build_registers(struct builder *builder)
{
	struct random *random = &builder->random;
	struct cpu *cpu = builder->cpu;

	for (unsigned i = RAX; i <= R15; i++) {
		bool wild = has(builder, SCENARIO_WILD_REGISTERS) && random_one_in(random, 4);

		cpu->regs[i] = wild ? random_next(random) : choose_address(builder);
		if (random_one_in(random, 8))
			cpu->regs[i] = scenario_selector(random);
		if (random_one_in(random, 8))
			cpu->regs[i] = choose_control(builder);
		if (!wild && builder->mode == SCENARIO_REAL)
			cpu->regs[i] = random_below(random, 0x10000);
	}
	if (!random_one_in(random, 16))
		cpu->regs[RCX] = random_below(random, 300);
	if (random_one_in(random, 8))
		cpu->regs[RCX] = choose_msr(random);
	if (!has(builder, SCENARIO_WILD_REGISTERS) || random_one_in(random, 2))
		cpu->regs[RSP] = scenario_code_size(builder->mode) == SIZE_16 ? 0x8000 : STACK;
	cpu->arithmetic_flags = flags_pack(random_next(random));
	random_fill(random, cpu->fpu.image, sizeof(cpu->fpu.image));
	cpu->msrs.star = (u64)CODE_32_USER << 48 | (u64)CODE_64 << 32 | CODE;
	cpu->msrs.lstar = cpu->msrs.cstar = HANDLERS;
	cpu->msrs.kernel_gs_base = DATA;
}

/* ---- segments and modes ---- */

/* As the GDT of before it was made wild has it. */
static void load_segment(struct builder *builder, enum segment_name name, u16 selector)
{
	struct descriptor descriptor = {0};
	struct segment *segment = &builder->cpu->segments[name];

	memcpy(&descriptor.raw, builder->ram + GDT + (selector & SELECTOR_INDEX), 8);
	descriptor.attributes =
		(u16)((descriptor.raw >> 40 & 0xff) | (descriptor.raw >> 52 & 0xf) << 8);
	segment_fill(segment, &descriptor, selector);
}

static void load_8086(struct builder *builder, enum segment_name name, u16 selector)
{
	struct segment *segment = &builder->cpu->segments[name];

	*segment = (struct segment){.base = (u64)selector << 4,
		.limit = 0xffff,
		.selector = selector,
		.attributes = SEGMENT_P | SEGMENT_S | 3};
	if (builder->mode == SCENARIO_VIRTUAL_8086)
		segment->attributes |= SEGMENT_DPL;
}

static void load_segments_8086(struct builder *builder)
{
	for (unsigned name = SEGMENT_ES; name <= SEGMENT_GS; name++)
		load_8086(builder, name,
			(u16)(random_one_in(&builder->random, 2) ? DATA >> 4
								 : random_next(&builder->random)));
	load_8086(builder, SEGMENT_CS, CODE >> 4);
	load_8086(builder, SEGMENT_SS, 0x2000);
	/* "Unreal" mode: limits and big segments left over from protected mode. */
	if (builder->mode == SCENARIO_REAL && random_one_in(&builder->random, 4)) {
		builder->cpu->segments[SEGMENT_DS].limit = 0xffffffff;
		builder->cpu->segments[SEGMENT_ES].base = 0xffff0000;
	}
}

static void load_segments(struct builder *builder)
{
	static const struct {
		u16 code, data;
	} selectors[SCENARIO_MODES] = {
		[SCENARIO_PROTECTED_16] = {CODE_16, DATA_16},
		[SCENARIO_PROTECTED_32] = {CODE_32, DATA_32},
		[SCENARIO_PROTECTED_32_USER] = {CODE_32_USER | 3, DATA_USER | 3},
		[SCENARIO_COMPATIBILITY] = {CODE_32_USER | 3, DATA_USER | 3},
		[SCENARIO_LONG] = {CODE_64, DATA_32},
		[SCENARIO_LONG_USER] = {CODE_64_USER | 3, DATA_USER | 3},
	};
	u16 code = selectors[builder->mode].code, data = selectors[builder->mode].data;

	load_segment(builder, SEGMENT_TR, TASK);
	load_segment(builder, SEGMENT_LDTR, LOCAL);
	if (!code) {
		load_segments_8086(builder);
		return;
	}
	load_segment(builder, SEGMENT_CS, code);
	for (unsigned name = SEGMENT_ES; name <= SEGMENT_GS; name++)
		if (name != SEGMENT_CS)
			load_segment(builder, name, data);
	if (builder->mode == SCENARIO_PROTECTED_32 && random_one_in(&builder->random, 4))
		load_segment(builder, SEGMENT_ES, DATA_EXPAND_DOWN);
	if (builder->is_long)
		builder->cpu->segments[SEGMENT_FS].base = DATA;
}

static void build_control(struct builder *builder)
{
	struct random *random = &builder->random;
	struct cpu *cpu = builder->cpu;

	cpu->cr0 = CR0_ET | CR0_NE | CR0_MP;
	cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	cpu->xcr0 = XCR0_X87 | XCR0_SSE;
	if (fpu_xcr0_is_valid(cpu, cpu->xcr0 | XCR0_AVX) && !random_one_in(random, 8))
		cpu->xcr0 |= XCR0_AVX;
	cpu->efer = EFER_SCE | EFER_NXE;
	if (builder->mode != SCENARIO_REAL)
		cpu->cr0 |= CR0_PE;
	if (has(builder, SCENARIO_ALIGNMENT))
		cpu->cr0 |= CR0_AM;
	if (!has(builder, SCENARIO_WILD_CONTROL))
		return;
	cpu->cr0 ^= random_next(random) & (CR0_WP | CR0_EM | CR0_TS | CR0_NE | CR0_MP | CR0_AM);
	cpu->cr4 ^= random_next(random) & control_cr4_allowed(cpu) & ~(CR4_PCIDE | CR4_PAE);
	cpu->efer ^= random_next(random) & (EFER_NXE | EFER_SCE);
	if (builder->is_long && random_one_in(random, 4))
		cpu->cr4 |= CR4_PCIDE;
}

static void build_flags(struct builder *builder)
{
	struct random *random = &builder->random;
	struct cpu *cpu = builder->cpu;
	u32 flags = RFLAGS_FIXED;

	if (has(builder, SCENARIO_INTERRUPTS))
		flags |= RFLAGS_IF;
	if (has(builder, SCENARIO_TRAP))
		flags |= RFLAGS_TF;
	if (has(builder, SCENARIO_ALIGNMENT))
		flags |= RFLAGS_AC;
	if (builder->mode == SCENARIO_VIRTUAL_8086)
		flags |= RFLAGS_VM;
	flags |= (u32)random_next(random) & RFLAGS_IOPL;
	if (random_one_in(random, 4))
		flags |= RFLAGS_DF;
	if (random_one_in(random, 8))
		flags |= RFLAGS_NT;
	cpu->other_flags = flags;
	if (has(builder, SCENARIO_BREAKPOINTS)) {
		for (unsigned i = 0; i < 4; i++)
			cpu->dr[i] = choose_address(builder);
		cpu->dr[0] = CODE + random_below(random, 64);
		cpu->dr7 = 0x400 | (random_next(random) & 0xffff03ff);
	}
}

/* ---- code, handlers, devices ---- */

static void build_code(struct builder *builder, const struct scenario *scenario)
{
	u64 offset =
		has(builder, SCENARIO_PAGE_END) ? 0xffd - random_below(&builder->random, 16) : 0;
	unsigned size = scenario_code_size(builder->mode);

	if (scenario->code_bytes)
		memcpy(builder->ram + CODE + offset, scenario->code,
			MIN(scenario->code_bytes, (size_t)SCENARIO_CODE_MAX));
	builder->cpu->regs[RIP] = size == SIZE_16 ? offset : CODE + offset;
}

/* IRET, with the error code popped in half of them; or whatever. */
static void build_handlers(struct builder *builder)
{
	static const u8 iret_16[] = {0xcf}, iret_32[] = {0x83, 0xc4, 0x04, 0xcf},
			iret_64[] = {0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf},
			skip_64[] = {0x48, 0xff, 0x04, 0x24, 0x48, 0xcf};
	static const struct {
		const u8 *bytes;
		size_t length;
	} kinds[] = {{iret_16, 1}, {iret_32, 4}, {iret_64, 6}, {iret_64 + 4, 2}, {skip_64, 6}};

	for (unsigned i = 0; i < 128; i++) {
		u8 *to = builder->ram + HANDLERS + 16 * i;
		unsigned kind = (unsigned)random_below(&builder->random, ARRAY_SIZE(kinds));

		if (has(builder, SCENARIO_WILD_HANDLERS) && random_one_in(&builder->random, 2))
			random_fill(&builder->random, to, 16);
		else
			memcpy(to, kinds[kind].bytes, kinds[kind].length);
	}
}

static void device_write(
	struct builder *builder, enum bus_space space, u64 address, unsigned size, u64 value)
{
	struct bus_access access = {.space = space,
		.address = address,
		.size = (u8)size,
		.is_write = true,
		.value = value,
		.vcpu = builder->hostile->machine.vcpus[0]};

	bus_dispatch(&builder->hostile->machine, &access);
}

/* Timers that interrupt every few instructions. */
static void start_timers(struct builder *builder)
{
	static const struct {
		u16 port;
		u8 value;
	} ports[] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 3}, {0x21, 0}, {0xa0, 0x11},
		{0xa1, 0x28}, {0xa1, 2}, {0xa1, 1}, {0xa1, 0}, {0x43, 0x34}, {0x40, 20}, {0x40, 0},
		{0x70, 0x0b}, {0x71, 0x42}, {0x70, 0x0a}, {0x71, 0x21}, {0x3f9, 0x0f}};

	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		device_write(builder, BUS_PORT, ports[i].port, 1, ports[i].value);
	device_write(builder, BUS_MEMORY, 0xfee003e0, 4, 0xb);
	device_write(builder, BUS_MEMORY, 0xfee00320, 4, 0x20040);
	device_write(
		builder, BUS_MEMORY, 0xfee00380, 4, 100 + random_below(&builder->random, 1000));
}

static void poke_devices(struct builder *builder)
{
	static const u16 ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x43, 0x61, 0x60, 0x64, 0x70,
		0x71, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x4d0, 0x4d1, 0x600, 0x602, 0x620};
	struct random *random = &builder->random;

	for (unsigned i = 0; i < 64; i++) {
		u64 value = random_next(random);

		if (random_one_in(random, 2))
			device_write(builder, BUS_PORT,
				ports[random_below(random, ARRAY_SIZE(ports))], 1, value);
		else if (random_one_in(random, 2))
			device_write(builder, BUS_MEMORY,
				0xfee00000 + 16 * random_below(random, 64), 4, value);
		else
			device_write(builder, BUS_MEMORY, 0xfec00000 + 16 * random_below(random, 2),
				4, random_below(random, 0x40));
	}
}

/* ---- the whole ---- */

unsigned scenario_code_size(unsigned mode)
{
	static const u8 sizes[SCENARIO_MODES] = {
		SIZE_16, SIZE_16, SIZE_32, SIZE_32, SIZE_16, SIZE_32, SIZE_64, SIZE_64};

	return sizes[mode % SCENARIO_MODES];
}

static void build_cpl(struct builder *builder)
{
	bool user = builder->mode == SCENARIO_PROTECTED_32_USER ||
		builder->mode == SCENARIO_VIRTUAL_8086 || builder->mode == SCENARIO_COMPATIBILITY ||
		builder->mode == SCENARIO_LONG_USER;

	builder->cpu->cpl = user ? 3 : 0;
}

void scenario_apply(struct hostile *hostile, const struct scenario *scenario)
{
	struct builder builder = {.hostile = hostile,
		.cpu = hostile_cpu(hostile),
		.ram = hostile->machine.memory.host,
		.random = {scenario->seed},
		.mode = scenario->mode % SCENARIO_MODES,
		.options = scenario->options};
	unsigned paging = scenario->paging % SCENARIO_PAGINGS;

	hostile_restore(hostile, has(&builder, SCENARIO_NO_REBOOT));
	builder.is_long = builder.mode >= SCENARIO_COMPATIBILITY;
	build_data(&builder);
	build_cpl(&builder);
	build_control(&builder);
	build_tasks(&builder);
	build_gdt(&builder);
	load_segments(&builder);
	build_idt(&builder);
	if (builder.is_long || (builder.mode != SCENARIO_REAL && paging != SCENARIO_FLAT))
		build_paging(&builder, paging);
	build_registers(&builder);
	build_flags(&builder);
	build_handlers(&builder);
	build_code(&builder, scenario);
	if (has(&builder, SCENARIO_INTERRUPTS))
		start_timers(&builder);
	if (has(&builder, SCENARIO_POKED_DEVICES))
		poke_devices(&builder);
	/* Through the door by which any state comes in: if it is none that may be, it is the pristine machine that runs. */
	if (!cpu_state_is_valid(builder.cpu))
		hostile_restore(hostile, has(&builder, SCENARIO_NO_REBOOT));
	else if (!vcpu_state.loaded(hostile->machine.vcpus[0]))
		abort();
}

void scenario_run(struct hostile *hostile, u64 insns)
{
	struct cpu *cpu = hostile_cpu(hostile);

	vcpu_run_insns(hostile->machine.vcpus[0], insns);
	if (!cpu_state_is_valid(cpu) || cpu->regs[REGISTER_ZERO] ||
		cpu->segments[SEGMENT_NONE].base) {
		fprintf(stderr, "the processor is in a state that may not be\n");
		abort();
	}
}
