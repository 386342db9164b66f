/* SPDX-License-Identifier: MIT */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS: APM volume 2, 6.1, and volume 3. */
#include "x86/execute/privilege.h"
#include "x86/modes.h"
#include "x86/paging.h"
#include "x86/segments.h"

#define CODE_64 (SEGMENT_L | 10)
#define CODE_32 (SEGMENT_DB | 10)
#define DATA_32 (SEGMENT_DB | 2)

/* CS and SS of a fixed pair of flat segments. */
static void set_flat_pair(struct cpu *cpu, u16 cs, u16 ss, unsigned cpl, u16 code_attributes)
{
	segment_set_flat(cpu, SEGMENT_CS, cs, cpl, code_attributes);
	segment_set_flat(cpu, SEGMENT_SS, ss, cpl, DATA_32);
	cpu->cpl = (u8)cpl;
}

static void require_sce(struct cpu *cpu)
{
	if (unlikely(!(cpu->efer & EFER_SCE)))
		raise_ud(cpu);
}

static void syscall_long(struct cpu *cpu, u16 selector)
{
	bool from_64_bit = cpu_is_64_bit(cpu);
	u64 flags = flags_get(cpu) & ~(u64)RFLAGS_RF;

	cpu->regs[RCX] = cpu->regs[RIP];
	cpu->regs[R11] = flags;
	cpu->regs[RIP] = from_64_bit ? cpu->msrs.lstar : cpu->msrs.cstar;
	flags_set(cpu, flags & ~cpu->msrs.sfmask);
	set_flat_pair(cpu, selector & 0xfffc, (u16)((selector & 0xfffc) + 8), 0, CODE_64);
	cpu_mode_is_64(cpu);
}

static void syscall_legacy(struct cpu *cpu, u16 selector)
{
	cpu->regs[RCX] = (u32)cpu->regs[RIP];
	cpu->regs[RIP] = (u32)cpu->msrs.star;
	cpu->other_flags &= ~(u32)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
	set_flat_pair(cpu, selector & 0xfffc, (u16)((selector & 0xfffc) + 8), 0, CODE_32);
	cpu_mode_changed(cpu);
}

/* TF after it is SFMASK's doing: a trap comes by the flags as they are then. */
HANDLER(syscall)
{
	u16 selector = (u16)(cpu->msrs.star >> 32);

	require_sce(cpu);
	bool stepping = cpu->other_flags & RFLAGS_TF;
	if (cpu_is_long_mode(cpu))
		syscall_long(cpu, selector);
	else
		syscall_legacy(cpu, selector);
	cpu->step_suppressed = stepping && !(cpu->other_flags & RFLAGS_TF);
}

HANDLER(sysret)
{
	u16 selector = (u16)(cpu->msrs.star >> 48) | 3;
	u64 target = cpu->regs[RCX];
	u64 flags = cpu->regs[R11] & ~(u64)(RFLAGS_RF | RFLAGS_VM);

	require_sce(cpu);
	require_protected(cpu);
	require_cpl0(cpu);
	/*
	 * Where the target is not canonical, this AMD-like processor faults at the target, in CPL 3 (APM volume 3,
	 * SYSRET); fetching does that.
	 */
	if (insn->operand_size == SIZE_64) {
		cpu->regs[RIP] = target;
		set_flat_pair(cpu, (u16)(selector + 16), (u16)(selector + 8) | 3, 3, CODE_64);
	} else {
		cpu->regs[RIP] = (u32)target;
		set_flat_pair(cpu, selector, (u16)(selector + 8) | 3, 3, CODE_32);
	}
	if (cpu_is_long_mode(cpu))
		flags_set(cpu, flags);
	else
		cpu->other_flags |= RFLAGS_IF;
	if (likely(insn->operand_size == SIZE_64))
		cpu_mode_is_64(cpu);
	else
		cpu_mode_changed(cpu);
}

/* AMD has these two in legacy mode only: APM volume 3, SYSENTER. */
static void require_legacy_mode(struct cpu *cpu)
{
	if (cpu_is_long_mode(cpu))
		raise_ud(cpu);
}

HANDLER(sysenter)
{
	u16 selector = (u16)cpu->msrs.sysenter_cs;

	require_legacy_mode(cpu);
	if (!cpu_is_protected(cpu) || !(selector & 0xfffc))
		raise_gp(cpu, 0);
	cpu->other_flags &= ~(u32)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
	set_flat_pair(cpu, selector & 0xfffc, (u16)((selector & 0xfffc) + 8), 0, CODE_32);
	cpu->regs[RIP] = (u32)cpu->msrs.sysenter_eip;
	cpu->regs[RSP] = (u32)cpu->msrs.sysenter_esp;
	cpu_mode_changed(cpu);
}

HANDLER(sysexit)
{
	u16 selector = (u16)cpu->msrs.sysenter_cs;

	require_legacy_mode(cpu);
	if (!cpu_is_protected(cpu) || cpu->cpl != 0 || !(selector & 0xfffc))
		raise_gp(cpu, 0);
	set_flat_pair(cpu, (u16)(selector + 16) | 3, (u16)(selector + 24) | 3, 3, CODE_32);
	cpu->regs[RIP] = (u32)cpu->regs[RDX];
	cpu->regs[RSP] = (u32)cpu->regs[RCX];
	cpu_mode_changed(cpu);
}

HANDLER(swapgs)
{
	struct segment *gs = &cpu->segments[SEGMENT_GS];
	u64 base = gs->base;

	require_cpl0(cpu);
	gs->base = cpu->msrs.kernel_gs_base;
	cpu->msrs.kernel_gs_base = base;
}

/*
 * VMCALL and VMMCALL: a guest that sees the hypervisor's leaves may call it by either. There are no calls, so the answer
 * is Linux' KVM_ENOSYS, or KVM_EPERM below CPL 0 (Documentation/virt/kvm/x86/hypercalls.rst).
 */
HANDLER(hypercall)
{
	i64 answer = cpu->cpl ? -1 : -1000;

	if (!cpu_is_protected(cpu) || cpu_is_virtual_8086(cpu))
		raise_ud(cpu);
	cpu->regs[RAX] = cpu_is_64_bit(cpu) ? (u64)answer : (u32)answer;
}
