/* SPDX-License-Identifier: MIT */
/* Hardware task switches outside long mode: APM volume 2, 12.3; SDM volume 3, 7.3. */
#include "base/atomic.h"
#include "base/memory.h"
#include "x86/access.h"
#include "x86/descriptors.h"
#include "x86/event.h"
#include "x86/flags.h"
#include "x86/page_walk.h"
#include "x86/paging.h"
#include "x86/segments.h"
#include "x86/stack_frame.h"

/* What a TSS holds of a task, in either size. */
struct task_state {
	u32 cr3, eip, eflags, regs[8];
	u16 segments[6]; /* as enum segment_name */
	u16 ldt;
	bool trap;
};

struct task {
	struct descriptor descriptor;
	struct task_state state;
	u64 base;
	u16 selector;
	bool is_32;
};

/* Offsets of the parts that a switch saves: SDM volume 3, figures 7-2 and 7-10. */
struct task_layout {
	u8 eip, eflags, regs, segments, segment_count, segment_step, bytes, ldt;
};

static const struct task_layout layout_16 = {0x0e, 0x10, 0x12, 0x22, 4, 2, 2, 0x2a};
static const struct task_layout layout_32 = {0x20, 0x24, 0x28, 0x48, 6, 4, 4, 0x60};

static const struct task_layout *layout_of(bool is_32)
{
	return is_32 ? &layout_32 : &layout_16;
}

/* ---- the TSS in memory ---- */

static void state_read(struct cpu *cpu, u64 base, bool is_32, struct task_state *state)
{
	const struct task_layout *layout = layout_of(is_32);

	memset(state, 0, sizeof(*state));
	state->eip = (u32)system_load(cpu, base + layout->eip, layout->bytes);
	state->eflags = (u32)system_load(cpu, base + layout->eflags, layout->bytes);
	for (unsigned i = 0; i < 8; i++)
		state->regs[i] = (u32)system_load(
			cpu, base + layout->regs + i * layout->bytes, layout->bytes);
	for (unsigned i = 0; i < layout->segment_count; i++)
		state->segments[i] = (u16)system_load(
			cpu, base + layout->segments + i * layout->segment_step, 2);
	state->ldt = (u16)system_load(cpu, base + layout->ldt, 2);
	if (is_32) {
		state->cr3 = (u32)system_load(cpu, base + 0x1c, 4);
		state->trap = system_load(cpu, base + 0x64, 2) & 1;
	}
}

/* Probed before: does not raise. */
static void state_save(struct cpu *cpu, u64 base, bool is_32, u32 eflags)
{
	const struct task_layout *layout = layout_of(is_32);

	system_store(cpu, base + layout->eip, cpu->regs[RIP], layout->bytes);
	system_store(cpu, base + layout->eflags, eflags, layout->bytes);
	for (unsigned i = 0; i < 8; i++)
		system_store(
			cpu, base + layout->regs + i * layout->bytes, cpu->regs[i], layout->bytes);
	for (unsigned i = 0; i < layout->segment_count; i++)
		system_store(cpu, base + layout->segments + i * layout->segment_step,
			cpu->segments[i].selector, 2);
}

/* ---- finding the new task ---- */

static void task_find(
	struct cpu *cpu, u16 selector, enum task_switch_kind kind, u32 ext, struct task *task)
{
	u8 vector = kind == TASK_IRET ? EXCEPTION_TS : EXCEPTION_GP;
	u32 error = (selector & ~SELECTOR_RPL) | ext;
	unsigned busy = kind == TASK_IRET ? 2 : 0;

	if (selector & SELECTOR_TI)
		raise_with_code(cpu, vector, error);
	descriptor_get(cpu, selector, &task->descriptor, vector, ext);
	unsigned type = task->descriptor.attributes & (SEGMENT_S | SEGMENT_TYPE);
	if (type != (SYSTEM_TSS | busy) && type != (SYSTEM_TSS_16 | busy))
		raise_with_code(cpu, vector, error);
	if (!(task->descriptor.attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, error);
	task->selector = selector;
	task->is_32 = type & 8;
	task->base = descriptor_base(&task->descriptor);
	if (descriptor_limit(&task->descriptor) < (task->is_32 ? 0x67u : 0x2bu))
		raise_with_code(cpu, EXCEPTION_TS, error);
	state_read(cpu, task->base, task->is_32, &task->state);
}

/* ---- the new task's segments; faults are the new task's ---- */

static _Noreturn void raise_ts(struct cpu *cpu, u16 selector, u32 ext)
{
	raise_with_code(cpu, EXCEPTION_TS, (selector & ~SELECTOR_RPL) | ext);
}

static void load_ldt(struct cpu *cpu, u16 selector, u32 ext)
{
	struct descriptor descriptor;

	segment_fill_null(&cpu->segments[SEGMENT_LDTR], selector, 0);
	if (selector_is_null(selector))
		return;
	if ((selector & SELECTOR_TI) || !descriptor_read(cpu, selector, &descriptor) ||
		(descriptor.attributes & (SEGMENT_S | SEGMENT_TYPE)) != SYSTEM_LDT ||
		!(descriptor.attributes & SEGMENT_P))
		raise_ts(cpu, selector, ext);
	segment_fill(&cpu->segments[SEGMENT_LDTR], &descriptor, selector);
}

static void load_code(struct cpu *cpu, u16 selector, u32 ext)
{
	struct descriptor code;
	unsigned rpl = selector & SELECTOR_RPL;

	descriptor_get(cpu, selector, &code, EXCEPTION_TS, ext);
	unsigned dpl = descriptor_dpl(&code);
	if (!descriptor_is_code(&code) ||
		(descriptor_is_conforming(&code) ? dpl > rpl : dpl != rpl))
		raise_ts(cpu, selector, ext);
	if (!(code.attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, (selector & ~SELECTOR_RPL) | ext);
	descriptor_set_accessed(cpu, &code);
	segment_set_code(cpu, &code, rpl);
}

static void load_data(struct cpu *cpu, enum segment_name name, u16 selector, u32 ext)
{
	struct descriptor data;
	unsigned rpl = selector & SELECTOR_RPL;

	if (selector_is_null(selector))
		return;
	descriptor_get(cpu, selector, &data, EXCEPTION_TS, ext);
	bool is_code = descriptor_is_code(&data);
	bool conforms = is_code && descriptor_is_conforming(&data);
	if (descriptor_is_system(&data) || (is_code && !(data.attributes & TYPE_READABLE)) ||
		(!conforms && MAX(rpl, cpu->cpl) > descriptor_dpl(&data)))
		raise_ts(cpu, selector, ext);
	if (!(data.attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, (selector & ~SELECTOR_RPL) | ext);
	descriptor_set_accessed(cpu, &data);
	segment_fill(&cpu->segments[name], &data, selector);
}

static void load_segments(struct cpu *cpu, const struct task_state *state, u32 ext)
{
	static const u8 names[] = {SEGMENT_ES, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS};
	const u16 *selectors = state->segments;
	struct descriptor stack;

	load_ldt(cpu, state->ldt, ext);
	if (cpu_is_virtual_8086(cpu))
		return;
	load_code(cpu, selectors[SEGMENT_CS], ext);
	descriptor_get_stack(cpu, selectors[SEGMENT_SS], cpu->cpl, &stack, EXCEPTION_TS, ext);
	segment_fill(&cpu->segments[SEGMENT_SS], &stack, selectors[SEGMENT_SS]);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		load_data(cpu, names[i], selectors[names[i]], ext);
}

static void push_error_code(struct cpu *cpu, bool is_32, u32 error_code)
{
	struct stack_frame frame;
	stack_frame_init(cpu, &frame);
	stack_frame_push(cpu, &frame, error_code, is_32 ? 4 : 2);
	stack_frame_commit(cpu, &frame);
}

/* ---- the switch ---- */

static void busy_and_links(
	struct cpu *cpu, struct task *task, enum task_switch_kind kind, struct descriptor *old)
{
	if (kind == TASK_JUMP || kind == TASK_IRET)
		descriptor_set_busy(cpu, old, false);
	if (kind != TASK_IRET)
		descriptor_set_busy(cpu, &task->descriptor, true);
	if (kind == TASK_CALL || kind == TASK_GATE)
		system_store(cpu, task->base, cpu->segments[SEGMENT_TR].selector, 2);
}

/* Registers of the new task. Its segments have only their selectors yet. */
static void registers_load(struct cpu *cpu, const struct task *task, bool nested)
{
	const struct task_state *state = &task->state;
	u16 tr_attributes = task->descriptor.attributes | 2;

	segment_fill(&cpu->segments[SEGMENT_TR], &task->descriptor, task->selector);
	cpu->segments[SEGMENT_TR].attributes = tr_attributes;
	if (task->is_32 && (cpu->cr0 & CR0_PG)) {
		cpu->cr3 = state->cr3;
		if (cpu->cr4 & CR4_PAE)
			page_walk_load_pdptes(cpu, cpu->cr3);
		paging_cr3_changed(cpu, false);
	}
	cpu->cr0 |= CR0_TS;
	cpu->dr7 &= ~(u64)0x155;
	cpu->regs[RIP] = state->eip;
	for (unsigned i = 0; i < 8; i++)
		cpu->regs[i] = task->is_32 ? state->regs[i] : 0xffff0000 | state->regs[i];
	flags_set(cpu,
		(task->is_32 ? state->eflags : state->eflags & 0xffff) | (nested ? RFLAGS_NT : 0));
	bool is_8086 = cpu_is_virtual_8086(cpu);
	cpu->cpl = is_8086 ? 3 : state->segments[SEGMENT_CS] & SELECTOR_RPL;
	for (unsigned i = 0; i < 6; i++) {
		if (is_8086)
			segment_load_8086(cpu, i, state->segments[i]);
		else if (i != SEGMENT_CS)
			segment_fill_null(&cpu->segments[i], state->segments[i], cpu->cpl);
		else
			cpu->segments[i].selector = state->segments[i];
	}
	cpu_mode_changed(cpu);
}

/*
 * All that may fail in the new task's context. Not within task_enter, nor inlined: clang does not know that its setjmp returns
 * twice, and takes the stack slots of what it believes dead by then.
 */
static no_inline void task_begin(
	struct cpu *cpu, const struct task *task, bool has_error_code, u32 error_code, u32 ext)
{
	load_segments(cpu, &task->state, ext);
	cpu_mode_changed(cpu);
	if (has_error_code)
		push_error_code(cpu, task->is_32, error_code);
	if (cpu->regs[RIP] > cpu->segments[SEGMENT_CS].limit)
		raise_gp(cpu, ext);
}

/* False: cpu->fault says what failed. */
static no_inline bool task_enter(
	struct cpu *cpu, const struct task *task, bool has_error_code, u32 error_code, u32 ext)
{
	if (__builtin_setjmp(cpu->unwind))
		return false;
	task_begin(cpu, task, has_error_code, error_code, ext);
	return true;
}

static void switch_to(struct cpu *cpu, u16 selector, enum task_switch_kind kind,
	bool has_error_code, u32 error_code, u32 ext)
{
	struct task task;
	struct descriptor old;
	const struct segment *tr = &cpu->segments[SEGMENT_TR];
	bool old_is_32 = tr->attributes & 8;
	void *unwind[ARRAY_SIZE(cpu->unwind)];

	task_find(cpu, selector, kind, ext, &task);
	if (tr->limit < (old_is_32 ? 0x5fu : 0x29u) || !descriptor_read(cpu, tr->selector, &old))
		raise_ts(cpu, tr->selector, ext);
	paging_probe(cpu, (u32)tr->base, old_is_32 ? 0x60 : 0x2a, ACCESS_WRITE, TLB_SUPERVISOR);
	paging_probe(cpu, (u32)task.base, 2, ACCESS_WRITE, TLB_SUPERVISOR);
	paging_probe(cpu, (u32)old.address, 8, ACCESS_WRITE, TLB_SUPERVISOR);
	paging_probe(cpu, (u32)task.descriptor.address, 8, ACCESS_WRITE, TLB_SUPERVISOR);

	u32 eflags = (u32)flags_get(cpu);
	bool stepping = eflags & RFLAGS_TF;
	if (kind == TASK_IRET)
		eflags &= ~(u32)RFLAGS_NT;
	busy_and_links(cpu, &task, kind, &old);
	state_save(cpu, (u32)tr->base, old_is_32, eflags);
	registers_load(cpu, &task, kind == TASK_CALL || kind == TASK_GATE);
	if (task.state.trap) {
		cpu->pending_dr6 |= DR6_BT;
		atomic_or_32(&cpu->pending, PENDING_TRAP);
	}

	memcpy(unwind, cpu->unwind, sizeof(unwind));
	bool entered = task_enter(cpu, &task, has_error_code, error_code, ext);
	memcpy(cpu->unwind, unwind, sizeof(unwind));
	cpu->step_suppressed = stepping && kind != TASK_GATE;
	if (!entered) {
		cpu_mode_changed(cpu);
		exception_deliver(cpu);
	}
}

void task_switch(struct cpu *cpu, u16 selector, enum task_switch_kind kind, bool has_error_code,
	u32 error_code)
{
	switch_to(cpu, selector, kind, has_error_code, error_code, 0);
}

void task_switch_event(
	struct cpu *cpu, u16 selector, bool has_error_code, u32 error_code, u32 error_extra)
{
	switch_to(cpu, selector, TASK_GATE, has_error_code, error_code, error_extra);
}
