/* SPDX-License-Identifier: MIT */
/*
 * Accesses of every size, odd ones included, to every port, every MSR that is known and its neighbours, and the pages of all
 * devices and what lies beside them: by the bus, and by the guest's own instructions, one at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "tests/hostile/hostile.h"

#define CODE 0x10000
#define STACK 0x28000
#define DATA 0x30000

static struct hostile hostile;

static struct vcpu *vcpu(void)
{
	return hostile.machine.vcpus[0];
}

/* ---- by the bus ---- */

static void touch(
	struct random *random, enum bus_space space, u64 address, unsigned size, bool is_write)
{
	struct bus_access access = {.space = space,
		.is_write = is_write,
		.size = (u8)size,
		.address = address,
		.value = random_next(random),
		.vcpu = vcpu()};

	bus_dispatch(&hostile.machine, &access);
	if (machine_has_ended(&hostile.machine) || random_one_in(random, 1000))
		hostile_restore(&hostile, random_one_in(random, 2));
}

static void touch_all_sizes(struct random *random, enum bus_space space, u64 address)
{
	for (unsigned size = 1; size <= 8; size++) {
		touch(random, space, address, size, false);
		touch(random, space, address, size, true);
	}
}

/* ---- by instructions ---- */

#define INSN(...)                                                            \
	{                                                                    \
		(const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}) \
	}

struct template
{
	const u8 *bytes;
	size_t length;
};

static const struct template port_insns[] = {
	INSN(0xec),
	INSN(0x66, 0xed),
	INSN(0xed),
	INSN(0xee),
	INSN(0x66, 0xef),
	INSN(0xef), /* IN, OUT */
	INSN(0x6c),
	INSN(0x66, 0x6d),
	INSN(0x6d),
	INSN(0x6e),
	INSN(0x66, 0x6f),
	INSN(0x6f), /* INS, OUTS */
	INSN(0xf3, 0x6c),
	INSN(0xf3, 0x6d),
	INSN(0xf3, 0x6e),
	INSN(0xf3, 0x6f),
};

static const struct template msr_insns[] = {INSN(0x0f, 0x32), INSN(0x0f, 0x30)};

/* [RDI], or both [RDI] and [RSI]. */
static const struct template memory_insns[] = {
	INSN(0x8a, 0x07), INSN(0x66, 0x8b, 0x07), INSN(0x8b, 0x07),
	INSN(0x48, 0x8b, 0x07), /* loads */
	INSN(0x88, 0x07), INSN(0x66, 0x89, 0x07), INSN(0x89, 0x07),
	INSN(0x48, 0x89, 0x07), /* stores */
	INSN(0x00, 0x07), INSN(0x48, 0x01, 0x07), INSN(0xf0, 0x48, 0x01, 0x07),
	INSN(0xf0, 0x0f, 0xb1, 0x07), INSN(0x48, 0x87, 0x07), INSN(0xf0, 0x0f, 0xc1, 0x07),
	INSN(0x0f, 0xc7, 0x0f), INSN(0x48, 0x0f, 0xc7, 0x0f),	    /* CMPXCHG8B, 16B */
	INSN(0x48, 0x0f, 0xab, 0x07), INSN(0x0f, 0xba, 0x3f, 0x05), /* BTS, BTC */
	INSN(0x0f, 0x10, 0x07), INSN(0x0f, 0x11, 0x07), INSN(0x66, 0x0f, 0x6f, 0x07), /* 16 bytes */
	INSN(0x66, 0x0f, 0x7f, 0x07), INSN(0x0f, 0x6f, 0x07), INSN(0xf3, 0x0f, 0x10, 0x07),
	INSN(0xdb, 0x2f), INSN(0xdb, 0x3f), INSN(0xd9, 0x37),
	INSN(0xd9, 0x27), /* FLD, FSTP tbyte, FNSTENV, FLDENV */
	INSN(0xdd, 0x37), INSN(0xdd, 0x27), INSN(0xdf, 0x27),
	INSN(0xdf, 0x37),				/* FNSAVE, FRSTOR, FBLD, FBSTP */
	INSN(0x0f, 0xae, 0x07), INSN(0x0f, 0xae, 0x0f), /* FXSAVE, FXRSTOR */
	INSN(0x0f, 0xae, 0x27), INSN(0x0f, 0xae, 0x2f), INSN(0x0f, 0xae, 0x17),
	INSN(0x0f, 0xae, 0x1f), INSN(0xa4), INSN(0xf3, 0xa4), INSN(0xf3, 0xa5),
	INSN(0xf3, 0x48, 0xa5), INSN(0xf3, 0xaa), INSN(0xf3, 0x48, 0xab), INSN(0xf3, 0xac),
	INSN(0xf3, 0xa6), INSN(0xf2, 0xae), INSN(0x48, 0xa7), INSN(0xff, 0x37), INSN(0x8f, 0x07),
	INSN(0xff, 0x27), INSN(0xff, 0x17), INSN(0xff, 0xe7), /* PUSH .. JMP RDI */
	INSN(0x0f, 0x01, 0x17), INSN(0x0f, 0x01, 0x1f),
	INSN(0x0f, 0x01, 0x07), /* LGDT, LIDT, SGDT */
	INSN(0x0f, 0x01, 0x3f), INSN(0x0f, 0xae, 0x3f), INSN(0xff, 0x2f),
	INSN(0x66, 0x0f, 0x38, 0x82, 0x07), INSN(0x48, 0x89, 0xfc, 0x50),
	INSN(0x48, 0x89, 0xfc, 0xcf), INSN(0x48, 0x89, 0xfc, 0xcb), /* a stack there */
	INSN(0x0f, 0x22, 0xdf),					    /* page tables there */
};

/* A fresh 64-bit machine, devices mapped where they are. */
static void begin(struct random *random)
{
	struct scenario scenario = {.mode = SCENARIO_LONG, .seed = random_next(random)};

	if (random_one_in(random, 4))
		scenario.options |= SCENARIO_INTERRUPTS;
	if (random_one_in(random, 2))
		scenario.options |= SCENARIO_NO_REBOOT;
	scenario_apply(&hostile, &scenario);
}

static void execute(struct random *random, const struct template *template, u64 address)
{
	struct cpu *cpu = hostile_cpu(&hostile);

	if (machine_has_ended(&hostile.machine) || cpu->activity != CPU_RUNNING ||
		cpu->code_size != SIZE_64 || cpu->cpl || random_one_in(random, 256))
		begin(random);
	if (!memory_write(&hostile.machine, CODE, template->bytes, template->length))
		abort();
	cpu->regs[RIP] = CODE;
	cpu->regs[RSP] = STACK;
	cpu->regs[RDI] = address;
	cpu->regs[RSI] = random_one_in(random, 4) ? address : DATA;
	cpu->regs[RCX] = random_below(random, 40);
	cpu->regs[RDX] = random_next(random);
	cpu->regs[RAX] = random_next(random);
}

static void run_template(struct random *random, const struct template *template, u64 address)
{
	execute(random, template, address);
	scenario_run(&hostile, 1 + random_below(random, 3));
}

/* ---- cases ---- */

#define PORTS_A_CASE 512
#define PORT_CASES (0x10000 / PORTS_A_CASE)

static void run_ports(struct random *random, u64 number)
{
	u32 first = (u32)number * PORTS_A_CASE;

	for (u32 port = first; port < first + PORTS_A_CASE; port++) {
		touch_all_sizes(random, BUS_PORT, port);
		for (unsigned i = 0; i < ARRAY_SIZE(port_insns); i++) {
			execute(random, &port_insns[i], DATA);
			hostile_cpu(&hostile)->regs[RDX] = port;
			scenario_run(&hostile, 1 + random_below(random, 3));
		}
	}
}

static const struct {
	u32 first, count;
} msr_ranges[] = {{0, 0x1000}, {0x40000000, 0x200}, {0x4b564cf0, 0x20}, {0x4b564d00, 0x20},
	{0x80000000, 0x100}, {0xbfffff00, 0x100}, {0xc0000000, 0x400}, {0xc0010000, 0x400},
	{0xc0011000, 0x100}, {0xffffff00, 0x100}};

#define MSR_CASES ((u64)ARRAY_SIZE(msr_ranges) + 1)

static u64 choose_msr_value(struct random *random)
{
	u64 value = random_next(random);

	switch (random_below(random, 4)) {
	case 0:
		return value;
	case 1:
		return BIT(value % 64);
	case 2:
		return value % 0x1000;
	default:
		return value % (4 * HOSTILE_RAM_BYTES); /* an address, in memory or past it */
	}
}

static void run_msr(struct random *random, u32 index)
{
	for (unsigned i = 0; i < 8; i++) {
		u64 value = choose_msr_value(random);

		execute(random, &msr_insns[i % 2], DATA);
		hostile_cpu(&hostile)->regs[RCX] = index;
		hostile_cpu(&hostile)->regs[RAX] = (u32)value;
		hostile_cpu(&hostile)->regs[RDX] = value >> 32;
		scenario_run(&hostile, 1 + random_below(random, 3));
		touch(random, BUS_MSR, index, 8, i % 2);
	}
}

static void run_msrs(struct random *random, u64 number)
{
	if (number < ARRAY_SIZE(msr_ranges)) {
		for (u32 i = 0; i < msr_ranges[number].count; i++)
			run_msr(random, msr_ranges[number].first + i);
		return;
	}
	for (unsigned i = 0; i < 1000; i++)
		run_msr(random, (u32)random_next(random));
}

static const u64 pages[] = {0xfec00000, 0xfee00000, 0xfebff000, 0xfec01000, 0xfedff000, 0xfee01000,
	0xfed00000, 0xfffff000, HOSTILE_RAM_BYTES - 4096, HOSTILE_RAM_BYTES, 0, 0xa0000, 0xf0000,
	MEMORY_HOLE_START, 0x80000000};

/* 64-bit addresses: the end of what is canonical, and physical memory's for the bus. */
static const u64 far_pages[] = {0x00007ffffffff000, 0x0000800000000000, 0xffff7ffffffff000,
	0xffff800000000000, 0xfffffffffffff000, 0x100000000, 0x3ffffffff000, 0x400000000000};

#define MEMORY_CASES ((u64)ARRAY_SIZE(pages) + ARRAY_SIZE(far_pages))

static void run_memory(struct random *random, u64 number)
{
	bool is_far = number >= ARRAY_SIZE(pages);
	u64 page = is_far ? far_pages[number - ARRAY_SIZE(pages)] : pages[number];
	bool is_device = page == 0xfec00000 || page == 0xfee00000;

	/* Every address of the devices' pages; of the others one in 61, and the last ones. */
	for (u64 offset = 0; offset < 4096; offset += is_device || offset > 4070 ? 1 : 61) {
		touch_all_sizes(random, BUS_MEMORY, page + offset);
		for (unsigned i = 0; i < ARRAY_SIZE(memory_insns); i++)
			run_template(random, &memory_insns[i], page + offset);
	}
}

static void run_accesses(u64 seed, u64 number)
{
	struct random random = {seed * 0x1000003 + number};

	if (!hostile.machine.vcpu_count)
		hostile_create(&hostile);
	begin(&random);
	if (number < PORT_CASES)
		run_ports(&random, number);
	else if (number - PORT_CASES < MSR_CASES)
		run_msrs(&random, number - PORT_CASES);
	else
		run_memory(&random, (number - PORT_CASES - MSR_CASES) % MEMORY_CASES);
}

int main(int argc, char **argv)
{
	static const struct hostile_program program = {
		"accesses", PORT_CASES + MSR_CASES + MEMORY_CASES, run_accesses};

	return hostile_main(argc, argv, &program);
}
