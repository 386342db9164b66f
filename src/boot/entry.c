/* SPDX-License-Identifier: MIT */
/* The first processor's state at a kernel's entry: what a firmware and a boot loader would have left. */
#include "base/memory.h"
#include "boot/boot.h"
#include "x86/cpu.h"
#include "x86/fpu.h"
#include "x86/paging.h"

static void set_flat(struct cpu *cpu, enum segment_name name, u16 selector, u16 attributes)
{
	cpu->segments[name] = (struct segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = selector,
		.attributes = attributes | SEGMENT_S | SEGMENT_P | SEGMENT_G,
	};
}

static void set_segments(struct cpu *cpu, const struct boot_entry *entry)
{
	static const enum segment_name data[] = {
		SEGMENT_DS, SEGMENT_ES, SEGMENT_SS, SEGMENT_FS, SEGMENT_GS};
	u16 mode = entry->mode == BOOT_LONG_64 ? SEGMENT_L : SEGMENT_DB;

	set_flat(cpu, SEGMENT_CS, 0x10, 0xb | mode); /* code, readable, accessed */
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
		set_flat(cpu, data[i], 0x18, 0x3 | SEGMENT_DB); /* writable, accessed */
	cpu->segments[SEGMENT_TR] =
		(struct segment){.limit = 0x67, .selector = 0x20, .attributes = 0xb | SEGMENT_P};
	cpu->segments[SEGMENT_LDTR] = (struct segment){.attributes = SEGMENT_UNUSABLE};
	cpu->gdtr = (struct descriptor_table){.base = entry->gdt, .limit = entry->gdt_limit};
	cpu->idtr = (struct descriptor_table){0};
}

/* Memory is write-back. Linux takes disabled MTRRs as a reason to do without PAT, and different ones as a broken BIOS. */
void boot_prepare(struct cpu *cpu)
{
	cpu->msrs.mtrr_def_type = 0x806;
}

void boot_apply(struct cpu *cpu, const struct boot_entry *entry)
{
	memset(cpu->regs, 0, sizeof(cpu->regs));
	cpu->regs[RIP] = entry->rip;
	cpu->regs[RAX] = entry->rax;
	cpu->regs[RBX] = entry->rbx;
	cpu->regs[RSI] = entry->rsi;
	cpu->arithmetic_flags = 0;
	cpu->other_flags = RFLAGS_FIXED;
	set_segments(cpu, entry);
	cpu->cr0 = CR0_PE | CR0_ET;
	cpu->cr3 = 0;
	cpu->cr4 = 0;
	cpu->efer = 0;
	if (entry->mode == BOOT_LONG_64) {
		cpu->cr0 |= CR0_PG;
		cpu->cr3 = entry->cr3;
		cpu->cr4 = CR4_PAE;
		cpu->efer = EFER_LME | EFER_LMA;
	}
	boot_prepare(cpu);
	/* So is the x87, by FNINIT; after a reset alone its exceptions would be unmasked. */
	fpu_set_16(&cpu->fpu, FPU_FCW, FPU_FCW_DEFAULT);
	cpu->fpu.image[FPU_FTW] = 0;
	cpu->cpl = 0;
	cpu->activity = CPU_RUNNING;
	paging_flush(cpu);
	cpu_mode_changed(cpu);
}
