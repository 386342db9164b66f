/* SPDX-License-Identifier: MIT */
/* Far jumps, calls and returns: APM volume 2, 4.11 and volume 3; SDM volume 2, CALL, JMP, RET. */
#include "x86/descriptors.h"
#include "x86/far_return.h"
#include "x86/raise.h"
#include "x86/segments.h"
#include "x86/stack_frame.h"
#include "x86/task_state.h"

struct call_gate {
	u64 offset;
	u16 selector;
	u8 parameters; /* words or doublewords to copy */
	u8 bytes;      /* of each push */
};

static u32 selector_error(u16 selector)
{
	return selector & ~SELECTOR_RPL;
}

static void check_code_attributes(struct cpu *cpu, const struct descriptor *code)
{
	u16 both = SEGMENT_L | SEGMENT_DB;
	if (!(code->attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, selector_error(code->selector));
	if (cpu_is_long_mode(cpu) && (code->attributes & both) == both)
		raise_gp(cpu, selector_error(code->selector));
}

/* ---- real and virtual-8086 mode ---- */

static void set_code_8086(struct cpu *cpu, u16 selector, u64 offset)
{
	struct segment *cs = &cpu->segments[SEGMENT_CS];
	cs->selector = selector;
	cs->base = (u64)selector << 4;
	cpu->regs[RIP] = offset;
	cpu_mode_changed(cpu);
}

static void check_offset_8086(struct cpu *cpu, u64 offset)
{
	if (offset > cpu->segments[SEGMENT_CS].limit)
		raise_gp(cpu, 0);
}

/* ---- directly to a code segment ---- */

static void check_direct(struct cpu *cpu, const struct descriptor *code, u64 offset)
{
	unsigned dpl = descriptor_dpl(code), rpl = code->selector & SELECTOR_RPL;
	bool allowed = descriptor_is_conforming(code) ? dpl <= cpu->cpl
						      : rpl <= cpu->cpl && dpl == cpu->cpl;
	if (!allowed)
		raise_gp(cpu, selector_error(code->selector));
	check_code_attributes(cpu, code);
	if (!descriptor_code_reaches(cpu, code, offset))
		raise_gp(cpu, 0);
}

static void enter_code(struct cpu *cpu, struct descriptor *code, unsigned cpl, u64 offset)
{
	segment_set_code(cpu, code, cpl);
	cpu->regs[RIP] = offset;
	cpu_mode_changed(cpu);
}

static void push_return(struct cpu *cpu, struct stack_frame *frame, unsigned bytes)
{
	stack_frame_push(cpu, frame, cpu->segments[SEGMENT_CS].selector, bytes);
	stack_frame_push(cpu, frame, cpu->regs[RIP], bytes);
}

/* ---- gates ---- */

/*
 * What a system descriptor says about the transfer. False: it was a task, and the switch is done.
 */
static bool gate_open(
	struct cpu *cpu, const struct descriptor *descriptor, bool is_call, struct call_gate *gate)
{
	u32 error = selector_error(descriptor->selector);
	unsigned type = descriptor->attributes & SEGMENT_TYPE;
	unsigned rpl = descriptor->selector & SELECTOR_RPL;
	bool is_task = type == SYSTEM_TASK_GATE || type == SYSTEM_TSS || type == SYSTEM_TSS_16;
	u64 raw = descriptor->raw;
	u16 target = (u16)bits_get(raw, 16, 16);

	if (!(type == SYSTEM_CALL_GATE ||
		    (!cpu_is_long_mode(cpu) && (is_task || type == SYSTEM_CALL_GATE_16))))
		raise_gp(cpu, error);
	if (MAX(rpl, cpu->cpl) > descriptor_dpl(descriptor) || bits_get(descriptor->high, 40, 5))
		raise_gp(cpu, error);
	if (!(descriptor->attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, error);
	if (is_task) {
		task_switch(cpu, type == SYSTEM_TASK_GATE ? target : descriptor->selector,
			is_call ? TASK_CALL : TASK_JUMP, false, 0);
		return false;
	}
	gate->selector = target;
	gate->offset = bits_get(raw, 0, 16);
	if (type == SYSTEM_CALL_GATE)
		gate->offset |= bits_get(raw, 48, 16) << 16;
	gate->offset |= descriptor->high << 32; /* 0 outside long mode */
	gate->parameters = (u8)bits_get(raw, 32, 5);
	gate->bytes = cpu_is_long_mode(cpu) ? 8 : type == SYSTEM_CALL_GATE ? 4 : 2;
	return true;
}

/* The gate's code segment; returns the CPL to be, which for a jump is the current one. */
static unsigned gate_get_code(
	struct cpu *cpu, const struct call_gate *gate, bool is_call, struct descriptor *code)
{
	descriptor_get(cpu, gate->selector, code, EXCEPTION_GP, 0);
	unsigned dpl = descriptor_dpl(code);
	bool conforms = descriptor_is_conforming(code);
	u16 both = SEGMENT_L | SEGMENT_DB;

	if (!descriptor_is_code(code) || dpl > cpu->cpl ||
		(!is_call && !conforms && dpl != cpu->cpl))
		raise_gp(cpu, selector_error(gate->selector));
	if (cpu_is_long_mode(cpu) && (code->attributes & both) != SEGMENT_L)
		raise_gp(cpu, selector_error(gate->selector));
	if (!(code->attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, selector_error(gate->selector));
	return conforms ? cpu->cpl : dpl;
}

static void gate_call_same(struct cpu *cpu, const struct call_gate *gate, struct descriptor *code)
{
	struct stack_frame frame;

	stack_frame_init(cpu, &frame);
	stack_frame_reserve(cpu, &frame, 2, gate->bytes);
	if (!descriptor_code_reaches(cpu, code, gate->offset))
		raise_gp(cpu, 0);
	descriptor_set_accessed(cpu, code);
	push_return(cpu, &frame, gate->bytes);
	stack_frame_commit(cpu, &frame);
	enter_code(cpu, code, cpu->cpl, gate->offset);
}

/* The new stack of a call to an inner level. *ss is what SS becomes. */
static void gate_get_stack(struct cpu *cpu, const struct call_gate *gate, unsigned cpl,
	struct segment *ss, struct stack_frame *frame)
{
	struct descriptor stack;
	u16 selector;
	u32 esp;

	if (cpu_is_long_mode(cpu)) {
		u64 rsp = task_state_stack_64(cpu, cpl, 0, 0);
		segment_fill_null(ss, (u16)cpl, cpl);
		stack_frame_init_new(cpu, frame, ss, rsp, cpl, true, 0);
		return;
	}
	task_state_stack(cpu, cpl, 0, &selector, &esp);
	descriptor_get_stack(cpu, selector, cpl, &stack, EXCEPTION_TS, 0);
	segment_fill(ss, &stack, selector);
	stack_frame_init_new(cpu, frame, ss, esp, cpl, false, selector_error(selector));
}

static void gate_call_inner(
	struct cpu *cpu, const struct call_gate *gate, struct descriptor *code, unsigned cpl)
{
	struct stack_frame old, new;
	struct segment ss;
	u64 parameters[32];
	unsigned count = cpu_is_long_mode(cpu) ? 0 : gate->parameters;

	gate_get_stack(cpu, gate, cpl, &ss, &new);
	stack_frame_reserve(cpu, &new, 4 + count, gate->bytes);
	stack_frame_init(cpu, &old);
	for (unsigned i = 0; i < count; i++)
		parameters[i] = stack_frame_pop(cpu, &old, gate->bytes);
	if (!descriptor_code_reaches(cpu, code, gate->offset))
		raise_gp(cpu, 0);
	descriptor_set_accessed(cpu, code);

	stack_frame_push(cpu, &new, cpu->segments[SEGMENT_SS].selector, gate->bytes);
	stack_frame_push(cpu, &new, cpu->regs[RSP], gate->bytes);
	for (unsigned i = count; i-- > 0;)
		stack_frame_push(cpu, &new, parameters[i], gate->bytes);
	push_return(cpu, &new, gate->bytes);
	cpu->segments[SEGMENT_SS] = ss;
	stack_frame_commit(cpu, &new);
	enter_code(cpu, code, cpl, gate->offset);
}

/* ---- JMP, CALL ---- */

static u64 offset_cut(u64 offset, enum insn_size operand_size)
{
	return offset & bits_mask(8u << operand_size);
}

void far_jump(struct cpu *cpu, u16 selector, u64 offset, enum insn_size operand_size)
{
	struct descriptor target;
	struct call_gate gate;

	offset = offset_cut(offset, operand_size);
	if (cpu_is_8086(cpu)) {
		check_offset_8086(cpu, offset);
		set_code_8086(cpu, selector, offset);
		return;
	}
	descriptor_get(cpu, selector, &target, EXCEPTION_GP, 0);
	if (descriptor_is_system(&target)) {
		if (!gate_open(cpu, &target, false, &gate))
			return;
		gate_get_code(cpu, &gate, false, &target);
		if (!descriptor_code_reaches(cpu, &target, gate.offset))
			raise_gp(cpu, 0);
		offset = gate.offset;
	} else {
		if (!descriptor_is_code(&target))
			raise_gp(cpu, selector_error(selector));
		check_direct(cpu, &target, offset);
	}
	descriptor_set_accessed(cpu, &target);
	enter_code(cpu, &target, cpu->cpl, offset);
}

void far_call(struct cpu *cpu, u16 selector, u64 offset, enum insn_size operand_size)
{
	struct descriptor target;
	struct call_gate gate;
	struct stack_frame frame;
	unsigned bytes = 1u << operand_size;

	offset = offset_cut(offset, operand_size);
	if (!cpu_is_8086(cpu)) {
		descriptor_get(cpu, selector, &target, EXCEPTION_GP, 0);
		if (descriptor_is_system(&target)) {
			if (!gate_open(cpu, &target, true, &gate))
				return;
			unsigned cpl = gate_get_code(cpu, &gate, true, &target);
			if (cpl < cpu->cpl)
				gate_call_inner(cpu, &gate, &target, cpl);
			else
				gate_call_same(cpu, &gate, &target);
			return;
		}
		if (!descriptor_is_code(&target))
			raise_gp(cpu, selector_error(selector));
		check_direct(cpu, &target, offset);
	}
	stack_frame_init(cpu, &frame);
	stack_frame_reserve(cpu, &frame, 2, bytes);
	if (cpu_is_8086(cpu))
		check_offset_8086(cpu, offset);
	else
		descriptor_set_accessed(cpu, &target);
	push_return(cpu, &frame, bytes);
	stack_frame_commit(cpu, &frame);
	if (cpu_is_8086(cpu))
		set_code_8086(cpu, selector, offset);
	else
		enter_code(cpu, &target, cpu->cpl, offset);
}

/* ---- RET ---- */

void return_get_code(struct cpu *cpu, u16 selector, u64 offset, struct descriptor *code)
{
	u32 error = selector_error(selector);
	unsigned rpl = selector & SELECTOR_RPL;

	descriptor_get(cpu, selector, code, EXCEPTION_GP, 0);
	unsigned dpl = descriptor_dpl(code);
	if (!descriptor_is_code(code) || rpl < cpu->cpl)
		raise_gp(cpu, error);
	if (descriptor_is_conforming(code) ? dpl > rpl : dpl != rpl)
		raise_gp(cpu, error);
	check_code_attributes(cpu, code);
	if (!descriptor_code_reaches(cpu, code, offset))
		raise_gp(cpu, 0);
	descriptor_set_accessed(cpu, code);
}

void return_get_stack(
	struct cpu *cpu, u16 selector, const struct descriptor *code, struct segment *ss)
{
	unsigned cpl = code->selector & SELECTOR_RPL;
	struct descriptor stack;

	if (selector_is_null(selector)) {
		if (!cpu_is_long_mode(cpu) || !(code->attributes & SEGMENT_L) || cpl == 3)
			raise_gp(cpu, 0);
		segment_fill_null(ss, selector, cpl);
		return;
	}
	descriptor_get_stack(cpu, selector, cpl, &stack, EXCEPTION_GP, 0);
	segment_fill(ss, &stack, selector);
}

/* SDM volume 2, RET: an outer level must not find segments that it could not load itself. */
void return_drop_segments(struct cpu *cpu)
{
	static const u8 names[] = {SEGMENT_ES, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct segment *segment = &cpu->segments[names[i]];
		u16 attributes = segment->attributes;
		u16 conforming_code = TYPE_CODE | TYPE_CONFORMING;
		if ((attributes & SEGMENT_UNUSABLE) ||
			(attributes & conforming_code) == conforming_code ||
			attributes_dpl(attributes) >= cpu->cpl)
			continue;
		segment_fill_null(segment, 0, 0);
	}
}

void return_set_stack(struct cpu *cpu, const struct segment *ss, u64 rsp)
{
	cpu->segments[SEGMENT_SS] = *ss;
	cpu_mode_changed(cpu);
	if (cpu->stack_size == SIZE_64)
		cpu->regs[RSP] = rsp;
	else if (cpu->stack_size == SIZE_32)
		cpu->regs[RSP] = (u32)rsp;
	else
		cpu->regs[RSP] = (cpu->regs[RSP] & ~(u64)0xffff) | (u16)rsp;
}

static void far_return_8086(struct cpu *cpu, unsigned bytes, u16 pop_bytes)
{
	struct stack_frame frame;

	stack_frame_init(cpu, &frame);
	u64 offset = stack_frame_pop(cpu, &frame, bytes);
	u16 selector = (u16)stack_frame_pop(cpu, &frame, bytes);
	check_offset_8086(cpu, offset);
	stack_frame_skip(&frame, pop_bytes);
	stack_frame_commit(cpu, &frame);
	set_code_8086(cpu, selector, offset);
}

void far_return(struct cpu *cpu, enum insn_size operand_size, u16 pop_bytes)
{
	struct stack_frame frame;
	struct descriptor code;
	struct segment ss;
	unsigned bytes = 1u << operand_size;

	if (cpu_is_8086(cpu)) {
		far_return_8086(cpu, bytes, pop_bytes);
		return;
	}
	stack_frame_init(cpu, &frame);
	u64 offset = stack_frame_pop(cpu, &frame, bytes);
	u16 selector = (u16)stack_frame_pop(cpu, &frame, bytes);
	unsigned cpl = selector & SELECTOR_RPL;
	return_get_code(cpu, selector, offset, &code);
	stack_frame_skip(&frame, pop_bytes);
	if (cpl == cpu->cpl) {
		stack_frame_commit(cpu, &frame);
		enter_code(cpu, &code, cpl, offset);
		return;
	}
	u64 rsp = stack_frame_pop(cpu, &frame, bytes);
	return_get_stack(cpu, (u16)stack_frame_pop(cpu, &frame, bytes), &code, &ss);
	enter_code(cpu, &code, cpl, offset);
	return_set_stack(cpu, &ss, rsp);
	stack_frame_init(cpu, &frame);
	stack_frame_skip(&frame, pop_bytes);
	stack_frame_commit(cpu, &frame);
	return_drop_segments(cpu);
}
