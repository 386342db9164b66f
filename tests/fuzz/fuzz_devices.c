/* SPDX-License-Identifier: MIT */
/*
 * All devices of the board, by what reaches them: accesses of any size, time, acknowledged interrupts, console input, the power button,
 * resets, and a machine saved and loaded in between. Eight bytes a step.
 */
#include <string.h>

#include "base/bits.h"
#include "boards/pc.h"
#include "tests/hostile/hostile.h"

#define STEP_BYTES 8

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct hostile hostile;

struct step {
	u8 kind, size; /* size's bit 7: a write */
	u16 where;
	u32 value;
};

static const u16 ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x505, 0x40, 0x41, 0x42, 0x43,
	0x61, 0x60, 0x64, 0x70, 0x71, 0x80, 0x92, 0xf4, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd,
	0x3fe, 0x3ff, 0xcf8, 0xcf9, 0xcfc, 0x600, 0x602, 0x604, 0x608, 0x620, 0x628};
static const u32 msrs[] = {0x1b, 0x6e0, 0x800, 0x808, 0x80b, 0x80d, 0x80f, 0x828, 0x82f, 0x830,
	0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x839, 0x83e, 0x83f, 0x11, 0x12,
	0x4b564d00, 0x4b564d01};

static void access(const struct step *step, enum bus_space space, u64 address)
{
	struct bus_access access = {.space = space,
		.is_write = step->size & 0x80,
		.size = space == BUS_MSR ? 8 : 1 + step->size % 8,
		.address = address,
		.value = step->value,
		.vcpu = hostile.machine.vcpus[0]};

	/* All ones in the upper half now and then. */
	if (step->size & 0x40)
		access.value |= ~(u64)0 << 32;
	bus_dispatch(&hostile.machine, &access);
}

static void access_memory(const struct step *step)
{
	u64 page = step->kind & 0x80 ? 0xfec00000 : 0xfee00000;

	access(step, BUS_MEMORY, page + step->where % 0x1010);
}

/* Configuration space of the first slots, and where BARs begin. */
static void access_pci(const struct step *step)
{
	if (step->kind & 0x80)
		access(step, BUS_MEMORY,
			PC_PCI_ECAM + (step->where & 15) * 0x8000 + (step->where >> 4) % 0x108);
	else
		access(step, BUS_MEMORY, PC_PCI_WINDOW + step->where * 4);
}

static void let_time_pass(const struct step *step)
{
	struct machine *machine = &hostile.machine;
	u64 ns = (u64)step->value << (step->size % 16);

	if (machine->clock.now_ns + ns < (u64)1 << 61)
		clock_advance(&machine->clock, ns);
	events_run(machine, machine->clock.now_ns);
}

static void ask_apic(const struct step *step)
{
	const struct apic *apic = &hostile.machine.vcpus[0]->apic;

	if (step->size & 1)
		apic->ops->task_priority_set(apic->object, step->value & 0xf);
	else
		apic->ops->acknowledge(apic->object);
	apic->ops->task_priority_get(apic->object);
}

static void use_console(const struct step *step)
{
	struct console_device *console = &hostile.console;

	host_lock(&hostile.machine.lock);
	if (step->size & 1)
		console->receive(console->device, (const u8 *)&step->value, 1 + step->size % 4);
	else
		console->writable(console->device);
	host_unlock(&hostile.machine.lock);
}

static void disturb(const struct step *step)
{
	switch (step->size % 4) {
	case 0:
		hostile.machine.reset(&hostile.machine);
		break;
	case 1:
		pc_power_button(&hostile.machine);
		break;
	default:
		hostile_save_and_load(&hostile);
	}
}

static void take(const struct step *step)
{
	switch (step->kind & 0x7f) {
	case 0 ... 0x0f:
		access(step, BUS_PORT, step->where);
		break;
	case 0x10 ... 0x4f:
		access(step, BUS_PORT, ports[step->where % ARRAY_SIZE(ports)]);
		break;
	case 0x50 ... 0x57:
		access_pci(step);
		break;
	case 0x58 ... 0x5f:
		access_memory(step);
		break;
	case 0x60 ... 0x67:
		access(step, BUS_MSR, msrs[step->where % ARRAY_SIZE(msrs)]);
		break;
	case 0x68 ... 0x6f:
		let_time_pass(step);
		break;
	case 0x70 ... 0x77:
		ask_apic(step);
		break;
	case 0x78 ... 0x7d:
		use_console(step);
		break;
	default:
		disturb(step);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct step step;

	_Static_assert(sizeof(step) == STEP_BYTES, "a step is packed");
	if (!hostile.machine.vcpu_count)
		hostile_create(&hostile);
	hostile_restore(&hostile, false);
	for (; size >= STEP_BYTES; data += STEP_BYTES, size -= STEP_BYTES) {
		memcpy(&step, data, STEP_BYTES);
		take(&step);
	}
	hostile_save_and_load(&hostile);
	return 0;
}
