/* SPDX-License-Identifier: MIT */
/* IRET: APM volume 3; SDM volume 2, IRET. */
#include "x86/far_return.h"
#include "x86/flags.h"
#include "x86/raise.h"
#include "x86/segments.h"
#include "x86/stack_frame.h"
#include "x86/transfer_quick.h"

/* Puts the popped flags into the place of those in `mask`. */
static void flags_return(struct cpu *cpu, u64 flags, u64 mask)
{
	flags_set(cpu, (flags & mask) | (flags_get(cpu) & ~mask));
}

#define ALWAYS \
	(RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)

static u64 size_mask(unsigned bytes)
{
	return bytes == 2 ? 0xffff : ~(u64)0;
}

/* Real mode, and virtual-8086 mode with IOPL 3, which keeps its IOPL. */
static void return_8086(struct cpu *cpu, unsigned bytes)
{
	struct stack_frame frame;
	struct segment *cs = &cpu->segments[SEGMENT_CS];
	u64 mask = (ALWAYS | RFLAGS_IF) & size_mask(bytes);

	if (!cpu_is_virtual_8086(cpu))
		mask |= RFLAGS_IOPL;
	stack_frame_init(cpu, &frame);
	u64 offset = stack_frame_pop(cpu, &frame, bytes);
	u16 selector = (u16)stack_frame_pop(cpu, &frame, bytes);
	u64 flags = stack_frame_pop(cpu, &frame, bytes);
	if (offset > cs->limit)
		raise_gp(cpu, 0);
	cs->selector = selector;
	cs->base = (u64)selector << 4;
	cpu->regs[RIP] = offset;
	stack_frame_commit(cpu, &frame);
	flags_return(cpu, flags, mask);
	cpu->nmi_blocked = 0;
	cpu_mode_changed(cpu);
}

/* Into virtual-8086 mode: the frame goes on with ESP, SS, ES, DS, FS, GS. */
static void return_to_8086(
	struct cpu *cpu, struct stack_frame *frame, u64 offset, u16 cs, u64 flags)
{
	static const u8 order[] = {SEGMENT_SS, SEGMENT_ES, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS};
	u16 selectors[ARRAY_SIZE(order)];

	u64 rsp = stack_frame_pop(cpu, frame, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		selectors[i] = (u16)stack_frame_pop(cpu, frame, 4);
	if (offset > 0xffff)
		raise_gp(cpu, 0);
	flags_set(cpu, flags);
	cpu->cpl = 3;
	segment_load_8086(cpu, SEGMENT_CS, cs);
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		segment_load_8086(cpu, order[i], selectors[i]);
	cpu->regs[RIP] = offset;
	cpu->regs[RSP] = rsp;
	cpu->nmi_blocked = 0;
	cpu_mode_changed(cpu);
}

void return_set_flags(struct cpu *cpu, u64 flags, unsigned bytes)
{
	u64 mask = ALWAYS;
	if (cpu->cpl <= cpu_iopl(cpu))
		mask |= RFLAGS_IF;
	if (cpu->cpl == 0)
		mask |= RFLAGS_IOPL | RFLAGS_VIF | RFLAGS_VIP;
	flags_return(cpu, flags, mask & size_mask(bytes));
}

static void return_protected(struct cpu *cpu, unsigned bytes)
{
	struct stack_frame frame;
	struct descriptor code;
	struct segment ss;
	u64 rsp = 0;

	stack_frame_init(cpu, &frame);
	u64 offset = stack_frame_pop(cpu, &frame, bytes);
	u16 selector = (u16)stack_frame_pop(cpu, &frame, bytes);
	u64 flags = stack_frame_pop(cpu, &frame, bytes);
	unsigned cpl = selector & SELECTOR_RPL;
	if ((flags & RFLAGS_VM) && bytes == 4 && cpu->cpl == 0 && !cpu_is_long_mode(cpu)) {
		return_to_8086(cpu, &frame, offset, selector, flags);
		return;
	}
	return_get_code(cpu, selector, offset, &code);
	/* 64-bit code always takes SS and RSP back. */
	bool takes_stack = cpu_is_64_bit(cpu) || cpl > cpu->cpl;
	bool outer = cpl > cpu->cpl;
	if (takes_stack) {
		rsp = stack_frame_pop(cpu, &frame, bytes);
		return_get_stack(cpu, (u16)stack_frame_pop(cpu, &frame, bytes), &code, &ss);
	}
	return_set_flags(cpu, flags, bytes);
	segment_set_code(cpu, &code, cpl);
	cpu->regs[RIP] = offset;
	cpu->nmi_blocked = 0;
	if (takes_stack) {
		return_set_stack(cpu, &ss, rsp);
	} else {
		stack_frame_commit(cpu, &frame);
		cpu_mode_changed(cpu);
	}
	if (outer)
		return_drop_segments(cpu);
}

void interrupt_return(struct cpu *cpu, enum insn_size operand_size)
{
	unsigned bytes = 1u << operand_size;

	if (likely(operand_size == SIZE_64) && likely(interrupt_return_quick(cpu)))
		return;
	if (cpu_is_8086(cpu)) {
		if (cpu_is_virtual_8086(cpu) && cpu_iopl(cpu) < 3)
			raise_gp(cpu, 0);
		return_8086(cpu, bytes);
	} else if (cpu->other_flags & RFLAGS_NT) {
		if (cpu_is_long_mode(cpu))
			raise_gp(cpu, 0);
		/* The link to the task before is the TSS's first word. */
		u64 tss = cpu->segments[SEGMENT_TR].base;
		task_switch(cpu, (u16)system_load(cpu, tss, 2), TASK_IRET, false, 0);
		cpu->nmi_blocked = 0;
	} else {
		return_protected(cpu, bytes);
	}
}
