/* SPDX-License-Identifier: MIT */
/* Reset, INIT, start-up and what is derived from the mode. */
#include "base/memory.h"
#include "x86/cpu.h"
#include "x86/exceptions.h"
#include "x86/flags.h"
#include "x86/fpu.h"
#include "x86/model.h"
#include "x86/modes.h"
#include "x86/paging.h"

static u8 code_size_of(const struct cpu *cpu)
{
	u16 attributes = cpu->segments[SEGMENT_CS].attributes;
	if (cpu_is_long_mode(cpu) && (attributes & SEGMENT_L))
		return SIZE_64;
	return attributes & SEGMENT_DB ? SIZE_32 : SIZE_16;
}

void cpu_mode_changed(struct cpu *cpu)
{
	u8 code_size = code_size_of(cpu);

	cpu->code_size = code_size;
	if (code_size == SIZE_64)
		cpu->stack_size = SIZE_64;
	else
		cpu->stack_size =
			cpu->segments[SEGMENT_SS].attributes & SEGMENT_DB ? SIZE_32 : SIZE_16;
	cpu->debug_active = (cpu->dr7 & 0xff) != 0;
	cpu_privilege_changed(cpu);
}

static void segments_reset(struct cpu *cpu)
{
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		cpu->segments[i] =
			(struct segment){.limit = 0xffff, .attributes = SEGMENT_P | SEGMENT_S | 3};
	cpu->segments[SEGMENT_CS].selector = 0xf000;
	cpu->segments[SEGMENT_CS].base = 0xffff0000;
	cpu->segments[SEGMENT_LDTR].attributes = SEGMENT_P | 2;
	cpu->segments[SEGMENT_TR].attributes = SEGMENT_P | 11;
	cpu->segments[SEGMENT_NONE].limit = 0xffffffff;
	cpu->gdtr = (struct descriptor_table){0, 0xffff};
	cpu->idtr = (struct descriptor_table){0, 0xffff};
}

/* APM volume 2, table 14-1. */
void cpu_init(struct cpu *cpu, bool bootstrap)
{
	memset(cpu->regs, 0, sizeof(cpu->regs));
	cpu->regs[RIP] = 0xfff0;
	cpu->regs[RDX] = cpu_signature(cpu);
	flags_set(cpu, RFLAGS_FIXED);
	segments_reset(cpu);
	/* CD and NW stay; after power-on they are set. */
	cpu->cr0 = (cpu->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->efer = 0;
	memset(cpu->dr, 0, sizeof(cpu->dr));
	memset(cpu->pdptes, 0, sizeof(cpu->pdptes));
	cpu->dr6 = DR6_RESET;
	cpu->dr7 = DR7_RESET;
	cpu->pending_dr6 = 0;
	cpu->cpl = 0;
	cpu->interrupt_shadow = SHADOW_NONE;
	cpu->nmi_blocked = 0;
	cpu->step_suppressed = 0;
	cpu->activity = bootstrap ? CPU_RUNNING : CPU_WAIT_FOR_SIPI;
	cpu_mode_changed(cpu);
	paging_flush(cpu);
}

void cpu_reset(struct cpu *cpu, bool bootstrap)
{
	tlb_init(&cpu->tlb);
	cpu->cr0 = CR0_CD | CR0_NW;
	cpu->physical_mask = bits_mask(cpu->model->physical_bits);
	cpu->xcr0 = XCR0_X87;
	fpu_reset(&cpu->fpu);
	msr_reset(cpu);
	cpu_init(cpu, bootstrap);
}

void cpu_start_up(struct cpu *cpu, u8 vector)
{
	struct segment *cs = &cpu->segments[SEGMENT_CS];
	if (cpu->activity != CPU_WAIT_FOR_SIPI)
		return;
	cs->selector = (u16)(vector << 8);
	cs->base = (u64)vector << 12;
	cpu->regs[RIP] = 0;
	cpu->activity = CPU_RUNNING;
	cpu_mode_changed(cpu);
	paging_flush(cpu);
}
