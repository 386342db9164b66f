/* SPDX-License-Identifier: MIT */
#include "base/memory.h"
#include "x86/descriptors.h"
#include "x86/environment.h"
#include "x86/event.h"
#include "x86/flags.h"
#include "x86/paging.h"
#include "x86/segments.h"
#include "x86/stack_frame.h"
#include "x86/task_state.h"
#include "x86/transfer_quick.h"

struct gate {
	u64 offset;
	u16 selector;
	u16 attributes; /* in the descriptor's layout */
	u8 ist;
};

/* ---- the TSS's stacks ---- */

static void task_state_check(struct cpu *cpu, u64 offset, unsigned bytes, u32 error_extra)
{
	const struct segment *tr = &cpu->segments[SEGMENT_TR];
	if (offset + bytes - 1 > tr->limit)
		raise_with_code(cpu, EXCEPTION_TS, (tr->selector & ~SELECTOR_RPL) | error_extra);
}

void task_state_stack(struct cpu *cpu, unsigned cpl, u32 error_extra, u16 *ss, u32 *esp)
{
	const struct segment *tr = &cpu->segments[SEGMENT_TR];
	if (tr->attributes & 8) {
		u64 offset = 4 + 8 * cpl;
		task_state_check(cpu, offset, 8, error_extra);
		*esp = (u32)system_load(cpu, tr->base + offset, 4);
		*ss = (u16)system_load(cpu, tr->base + offset + 4, 2);
	} else {
		u64 offset = 2 + 4 * cpl;
		task_state_check(cpu, offset, 4, error_extra);
		*esp = (u32)system_load(cpu, tr->base + offset, 2);
		*ss = (u16)system_load(cpu, tr->base + offset + 2, 2);
	}
}

u64 task_state_stack_64(struct cpu *cpu, unsigned cpl, unsigned ist, u32 error_extra)
{
	u64 offset = ist ? 28 + 8 * ist : 4 + 8 * cpl;
	task_state_check(cpu, offset, 8, error_extra);
	u64 rsp = system_load(cpu, cpu->segments[SEGMENT_TR].base + offset, 8);
	if (!address_is_canonical(rsp))
		raise_with_code(cpu, EXCEPTION_SS, error_extra);
	return rsp;
}

/* ---- gates ---- */

/* EXT: the event was not asked for by the program. */
static u32 event_ext(const struct event *event)
{
	return event->kind != EVENT_SOFTWARE && event->kind != EVENT_SOFTWARE_EXCEPTION;
}

static u64 event_flags(const struct cpu *cpu, const struct event *event)
{
	return flags_get(cpu) | (event->resumes ? RFLAGS_RF : 0);
}

static void gate_read(struct cpu *cpu, const struct event *event, struct gate *gate)
{
	unsigned bytes = cpu_is_long_mode(cpu) ? 16 : 8;
	u64 address = cpu->idtr.base + (u64)event->vector * bytes;

	if ((u32)event->vector * bytes + bytes - 1 > cpu->idtr.limit)
		raise_gp(cpu, event->vector * 8u + 2 + event_ext(event));
	u64 raw = system_load(cpu, address, 8);
	gate->offset = bits_get(raw, 0, 16) | bits_get(raw, 48, 16) << 16;
	gate->selector = (u16)bits_get(raw, 16, 16);
	gate->attributes = (u16)bits_get(raw, 40, 8);
	gate->ist = 0;
	if (bytes == 16) {
		gate->offset |= system_load(cpu, address + 8, 8) << 32;
		gate->ist = (u8)bits_get(raw, 32, 3);
	}
}

static void gate_check(struct cpu *cpu, const struct event *event, const struct gate *gate)
{
	unsigned type = gate->attributes & (SEGMENT_S | SEGMENT_TYPE);
	u32 types = cpu_is_long_mode(cpu) ? 0xc000 : 0xc0e0;
	u32 error = event->vector * 8u + 2;
	bool is_asked_for =
		event->kind == EVENT_SOFTWARE || event->kind == EVENT_SOFTWARE_EXCEPTION;

	if (!(types >> type & 1))
		raise_gp(cpu, error + event_ext(event));
	if (is_asked_for && attributes_dpl(gate->attributes) < cpu->cpl)
		raise_gp(cpu, error);
	if (!(gate->attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, error + event_ext(event));
}

/* The handler's code segment: returns the CPL to be. */
static unsigned gate_get_code(
	struct cpu *cpu, const struct gate *gate, u32 ext, struct descriptor *code)
{
	u32 error = (gate->selector & ~SELECTOR_RPL) | ext;
	bool conforms;

	descriptor_get(cpu, gate->selector, code, EXCEPTION_GP, ext);
	conforms = descriptor_is_conforming(code);
	if (!descriptor_is_code(code) || descriptor_dpl(code) > cpu->cpl)
		raise_gp(cpu, error);
	if (cpu_is_virtual_8086(cpu) && (conforms || descriptor_dpl(code) != 0))
		raise_gp(cpu, error);
	if (cpu_is_long_mode(cpu) && (code->attributes & (SEGMENT_L | SEGMENT_DB)) != SEGMENT_L)
		raise_gp(cpu, error);
	if (!(code->attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, error);
	return conforms ? cpu->cpl : descriptor_dpl(code);
}

/* CS, RIP and flags of the handler. */
static void gate_enter(
	struct cpu *cpu, const struct gate *gate, const struct descriptor *code, unsigned cpl)
{
	u32 cleared = RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM;
	bool is_interrupt_gate = !(gate->attributes & 1);

	segment_set_code(cpu, code, cpl);
	cpu->regs[RIP] = gate->offset;
	cpu->other_flags &= ~(cleared | (is_interrupt_gate ? RFLAGS_IF : 0));
	cpu_mode_changed(cpu);
}

/* ---- long mode: APM volume 2, 8.9 ---- */

static void deliver_long(struct cpu *cpu, const struct event *event)
{
	struct gate gate;
	struct descriptor code;
	struct stack_frame frame;
	u32 ext = event_ext(event);

	gate_read(cpu, event, &gate);
	gate_check(cpu, event, &gate);
	unsigned cpl = gate_get_code(cpu, &gate, ext, &code);
	if (!address_is_canonical(gate.offset))
		raise_gp(cpu, ext);
	u64 rsp = cpu->regs[RSP];
	if (gate.ist || cpl < cpu->cpl)
		rsp = task_state_stack_64(cpu, cpl, gate.ist, ext);
	stack_frame_init_new(cpu, &frame, NULL, rsp & ~(u64)15, cpl, true, ext);
	stack_frame_reserve(cpu, &frame, event->has_error_code ? 6 : 5, 8);
	descriptor_set_accessed(cpu, &code);

	stack_frame_push(cpu, &frame, cpu->segments[SEGMENT_SS].selector, 8);
	stack_frame_push(cpu, &frame, cpu->regs[RSP], 8);
	stack_frame_push(cpu, &frame, event_flags(cpu, event), 8);
	stack_frame_push(cpu, &frame, cpu->segments[SEGMENT_CS].selector, 8);
	stack_frame_push(cpu, &frame, cpu->regs[RIP], 8);
	if (event->has_error_code)
		stack_frame_push(cpu, &frame, event->error_code, 8);
	if (cpl < cpu->cpl)
		segment_fill_null(&cpu->segments[SEGMENT_SS], (u16)cpl, cpl);
	cpu->regs[RSP] = frame.pointer;
	gate_enter(cpu, &gate, &code, cpl);
}

/* ---- protected mode: APM volume 2, 8.7 ---- */

static void push_8086_segments(struct cpu *cpu, struct stack_frame *frame, unsigned bytes)
{
	static const u8 order[] = {SEGMENT_GS, SEGMENT_FS, SEGMENT_DS, SEGMENT_ES};
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		stack_frame_push(cpu, frame, cpu->segments[order[i]].selector, bytes);
}

static void clear_8086_segments(struct cpu *cpu)
{
	static const u8 names[] = {SEGMENT_GS, SEGMENT_FS, SEGMENT_DS, SEGMENT_ES};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		segment_fill_null(&cpu->segments[names[i]], 0, 0);
}

/* The stack of the handler's level: *ss is what SS becomes. */
static void gate_get_stack(
	struct cpu *cpu, unsigned cpl, u32 ext, struct segment *ss, struct stack_frame *frame)
{
	struct descriptor stack;
	u16 selector;
	u32 esp;

	if (cpl == cpu->cpl) {
		stack_frame_init(cpu, frame);
		frame->error = ext;
		return;
	}
	task_state_stack(cpu, cpl, ext, &selector, &esp);
	descriptor_get_stack(cpu, selector, cpl, &stack, EXCEPTION_TS, ext);
	segment_fill(ss, &stack, selector);
	stack_frame_init_new(cpu, frame, ss, esp, cpl, false, (selector & ~SELECTOR_RPL) | ext);
}

static void push_frame(struct cpu *cpu, const struct event *event, struct stack_frame *frame,
	unsigned bytes, bool inner)
{
	if (cpu_is_virtual_8086(cpu))
		push_8086_segments(cpu, frame, bytes);
	if (inner) {
		stack_frame_push(cpu, frame, cpu->segments[SEGMENT_SS].selector, bytes);
		stack_frame_push(cpu, frame, cpu->regs[RSP], bytes);
	}
	stack_frame_push(cpu, frame, event_flags(cpu, event), bytes);
	stack_frame_push(cpu, frame, cpu->segments[SEGMENT_CS].selector, bytes);
	stack_frame_push(cpu, frame, cpu->regs[RIP], bytes);
	if (event->has_error_code)
		stack_frame_push(cpu, frame, event->error_code, bytes);
}

static void deliver_through_gate(
	struct cpu *cpu, const struct event *event, const struct gate *gate)
{
	struct descriptor code;
	struct stack_frame frame;
	struct segment ss = cpu->segments[SEGMENT_SS];
	u32 ext = event_ext(event);
	unsigned bytes = gate->attributes & 8 ? 4 : 2;
	bool was_8086 = cpu_is_virtual_8086(cpu);
	unsigned count = event->has_error_code ? 4 : 3;

	unsigned cpl = gate_get_code(cpu, gate, ext, &code);
	bool inner = cpl < cpu->cpl;
	if (inner)
		count += was_8086 ? 6 : 2;
	gate_get_stack(cpu, cpl, ext, &ss, &frame);
	stack_frame_reserve(cpu, &frame, count, bytes);
	if (!descriptor_code_reaches(cpu, &code, gate->offset))
		raise_gp(cpu, ext);
	descriptor_set_accessed(cpu, &code);

	push_frame(cpu, event, &frame, bytes, inner);
	cpu->segments[SEGMENT_SS] = ss;
	stack_frame_commit(cpu, &frame);
	if (was_8086)
		clear_8086_segments(cpu);
	gate_enter(cpu, gate, &code, cpl);
}

static void deliver_protected(struct cpu *cpu, const struct event *event)
{
	struct gate gate;

	gate_read(cpu, event, &gate);
	gate_check(cpu, event, &gate);
	if ((gate.attributes & SEGMENT_TYPE) == SYSTEM_TASK_GATE) {
		/* What the old task saves of RF is what would have been pushed. */
		if (event->resumes)
			cpu->other_flags |= RFLAGS_RF;
		task_switch_event(cpu, gate.selector, event->has_error_code, event->error_code,
			event_ext(event));
		return;
	}
	if (!(gate.attributes & 8))
		gate.offset &= 0xffff;
	deliver_through_gate(cpu, event, &gate);
}

/* ---- real mode: APM volume 2, 8.6 ---- */

static void deliver_real(struct cpu *cpu, const struct event *event)
{
	struct stack_frame frame;
	struct segment *cs = &cpu->segments[SEGMENT_CS];

	if (event->vector * 4u + 3 > cpu->idtr.limit)
		raise_gp(cpu, event->vector * 8u + 2);
	u32 target = (u32)system_load(cpu, cpu->idtr.base + event->vector * 4u, 4);
	stack_frame_init(cpu, &frame);
	stack_frame_reserve(cpu, &frame, 3, 2);
	stack_frame_push(cpu, &frame, event_flags(cpu, event), 2);
	stack_frame_push(cpu, &frame, cs->selector, 2);
	stack_frame_push(cpu, &frame, cpu->regs[RIP], 2);
	stack_frame_commit(cpu, &frame);
	cs->selector = (u16)(target >> 16);
	cs->base = (u64)cs->selector << 4;
	cpu->regs[RIP] = (u16)target;
	cpu->other_flags &= ~(u32)(RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
	cpu_mode_changed(cpu);
}

/* ---- delivery ---- */

/* Not inlined, for deliver_or_fail's sake: see task_begin in task_switch.c. */
static no_inline void deliver(struct cpu *cpu, const struct event *event)
{
	if (!cpu_is_protected(cpu))
		deliver_real(cpu, event);
	else if (cpu_is_long_mode(cpu))
		deliver_long(cpu, event);
	else
		deliver_protected(cpu, event);
	cpu->interrupt_shadow = SHADOW_NONE;
}

void event_deliver(
	struct cpu *cpu, u8 vector, enum event_kind kind, bool has_error_code, u32 error_code)
{
	struct event event = {.vector = vector,
		.kind = (u8)kind,
		.has_error_code = has_error_code,
		.error_code = error_code};
	/* Without VME, INT n in virtual-8086 mode goes by IOPL: APM volume 2, 10.5. */
	if (kind == EVENT_SOFTWARE && cpu_is_virtual_8086(cpu) && cpu_iopl(cpu) < 3)
		raise_gp(cpu, 0);
	bool stepping = cpu->other_flags & RFLAGS_TF;
	if (event_deliver_quick(cpu, &event))
		cpu->interrupt_shadow = SHADOW_NONE;
	else
		deliver(cpu, &event);
	cpu->step_suppressed = stepping;
}

static no_inline bool deliver_or_fail(struct cpu *cpu, const struct event *event)
{
	if (__builtin_setjmp(cpu->unwind))
		return false;
	deliver(cpu, event);
	return true;
}

enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

/* APM volume 2, table 8-3; SDM volume 3, table 6-4. */
static enum exception_class event_class(const struct event *event)
{
	u32 contributory = 1u << EXCEPTION_DE | 1u << EXCEPTION_TS | 1u << EXCEPTION_NP |
		1u << EXCEPTION_SS | 1u << EXCEPTION_GP;
	if (event->kind != EVENT_EXCEPTION || event->vector > 31)
		return BENIGN;
	if (event->vector == EXCEPTION_PF)
		return PAGE_FAULT;
	if (event->vector == EXCEPTION_DF)
		return DOUBLE_FAULT;
	return contributory >> event->vector & 1 ? CONTRIBUTORY : BENIGN;
}

static void event_from_fault(struct cpu *cpu, struct event *event)
{
	*event = (struct event){.vector = cpu->fault.vector,
		.kind = EVENT_EXCEPTION,
		.has_error_code = cpu->fault.has_error_code,
		.error_code = cpu->fault.error_code,
		.resumes = true};
	if (event->vector == EXCEPTION_PF)
		cpu->cr2 = cpu->fault.cr2;
}

/* What a fault during delivery of *event makes of it; false: triple fault. */
static bool event_combine(struct cpu *cpu, struct event *event)
{
	enum exception_class first = event_class(event);
	event_from_fault(cpu, event);
	enum exception_class second = event_class(event);

	if (first == BENIGN || second == BENIGN || (first == CONTRIBUTORY && second == PAGE_FAULT))
		return true;
	if (first == DOUBLE_FAULT)
		return false;
	*event = (struct event){.vector = EXCEPTION_DF,
		.kind = EVENT_EXCEPTION,
		.has_error_code = true,
		.resumes = true};
	return true;
}

void event_deliver_safely(struct cpu *cpu, struct event *event)
{
	void *unwind[ARRAY_SIZE(cpu->unwind)];

	if (likely(event_deliver_quick(cpu, event))) {
		cpu->interrupt_shadow = SHADOW_NONE;
		return;
	}
	memcpy(unwind, cpu->unwind, sizeof(unwind));
	while (!deliver_or_fail(cpu, event)) {
		if (!event_combine(cpu, event)) {
			cpu->activity = CPU_SHUTDOWN;
			cpu_end_block(cpu);
			cpu->environment->activity_changed(cpu);
			break;
		}
	}
	memcpy(cpu->unwind, unwind, sizeof(unwind));
}

void exception_deliver(struct cpu *cpu)
{
	struct event event;

	event_from_fault(cpu, &event);
	if (event.vector == EXCEPTION_DB) {
		/* SDM volume 3, 17.3.1.1: all faults but instruction breakpoints push RF set. */
		event.resumes = !(cpu->pending_dr6 & 0xf);
		debug_note(cpu);
	} else {
		debug_drop(cpu);
	}
	event_deliver_safely(cpu, &event);
}
