/* SPDX-License-Identifier: MIT */
/* RDMSR, WRMSR, CPUID, time stamps, random numbers, FS and GS bases, caches, and what is always #UD. APM volume 3. */
#include "x86/environment.h"
#include "x86/execute/privilege.h"
#include "x86/model.h"
#include "x86/paging.h"

static void set_edx_eax(struct cpu *cpu, u64 value)
{
	cpu->regs[RAX] = (u32)value;
	cpu->regs[RDX] = value >> 32;
}

HANDLER(rdmsr)
{
	u64 value;
	require_cpl0(cpu);
	if (!msr_read(cpu, (u32)cpu->regs[RCX], &value))
		raise_gp(cpu, 0);
	set_edx_eax(cpu, value);
}

HANDLER(wrmsr)
{
	u64 value = cpu->regs[RDX] << 32 | (u32)cpu->regs[RAX];
	require_cpl0(cpu);
	if (!msr_write(cpu, (u32)cpu->regs[RCX], value))
		raise_gp(cpu, 0);
	cpu_end_block(cpu);
}

static void require_tsc(struct cpu *cpu)
{
	if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0)
		raise_gp(cpu, 0);
}

HANDLER(rdtsc)
{
	require_tsc(cpu);
	set_edx_eax(cpu, cpu->environment->tsc_read(cpu));
}

HANDLER(rdtscp)
{
	require_tsc(cpu);
	set_edx_eax(cpu, cpu->environment->tsc_read(cpu));
	cpu->regs[RCX] = (u32)cpu->msrs.tsc_aux;
}

HANDLER(rdpid)
{
	reg_set_64(cpu, insn->rm, (u32)cpu->msrs.tsc_aux);
}

/* Four counters, which never count (msr.def). */
HANDLER(rdpmc)
{
	if (cpu->cpl != 0 && !(cpu->cr4 & CR4_PCE))
		raise_gp(cpu, 0);
	if ((u32)cpu->regs[RCX] > 3)
		raise_gp(cpu, 0);
	set_edx_eax(cpu, 0);
}

HANDLER(cpuid)
{
	u32 result[4];
	cpuid_read(cpu, (u32)cpu->regs[RAX], (u32)cpu->regs[RCX], result);
	cpu->regs[RAX] = result[0];
	cpu->regs[RBX] = result[1];
	cpu->regs[RCX] = result[2];
	cpu->regs[RDX] = result[3];
}

/* CF says whether there was a number; the other flags are cleared. */
static void get_random(struct cpu *cpu, const struct insn *insn)
{
	u64 value = 0;
	bool ok = cpu->environment->random(cpu, &value);
	reg_set_sized(cpu, insn->rm, insn->operand_size, ok ? value : 0);
	cpu->arithmetic_flags = ok ? PACKED_CF : 0;
}

HANDLER(rdrand)
{
	get_random(cpu, insn);
}

HANDLER(rdseed)
{
	get_random(cpu, insn);
}

/* ---- FS and GS bases ---- */

static void require_fsgsbase(struct cpu *cpu)
{
	if (!(cpu->cr4 & CR4_FSGSBASE))
		raise_ud(cpu);
}

static void base_read(struct cpu *cpu, const struct insn *insn, enum segment_name name)
{
	require_fsgsbase(cpu);
	reg_set_sized(cpu, insn->rm, insn->operand_size, cpu->segments[name].base);
}

static void base_write(struct cpu *cpu, const struct insn *insn, enum segment_name name)
{
	u64 base = reg_get_64(cpu, insn->rm);
	require_fsgsbase(cpu);
	if (insn->operand_size == SIZE_32)
		base = (u32)base;
	if (!address_is_canonical(base))
		raise_gp(cpu, 0);
	cpu->segments[name].base = base;
}

HANDLER(rdfsbase)
{
	base_read(cpu, insn, SEGMENT_FS);
}

HANDLER(rdgsbase)
{
	base_read(cpu, insn, SEGMENT_GS);
}

HANDLER(wrfsbase)
{
	base_write(cpu, insn, SEGMENT_FS);
}

HANDLER(wrgsbase)
{
	base_write(cpu, insn, SEGMENT_GS);
}

/* ---- caches: there are none ---- */

HANDLER(invd)
{
	require_cpl0(cpu);
}

HANDLER(wbinvd)
{
	require_cpl0(cpu);
}

/* Checked as a load of one byte. */
HANDLER(clflush)
{
	paging_probe(cpu, address_linear(cpu, insn, 1, ACCESS_READ), 1, ACCESS_READ, cpu->tlb_mode);
}

/* ---- always #UD: UD0-2, and RSM outside SMM ---- */

HANDLER(ud)
{
	raise_ud(cpu);
}

HANDLER(rsm)
{
	raise_ud(cpu);
}
