/* SPDX-License-Identifier: MIT */
#include "x86/transfer_quick.h"
#include "x86/access.h"
#include "x86/descriptors.h"
#include "x86/far_return.h"
#include "x86/flags.h"
#include "x86/modes.h"
#include "x86/paging.h"

/* ---- tables and stacks, as far as the TLB has them ---- */

static u8 *hit(const struct cpu *cpu, unsigned mode, u64 linear, unsigned bytes, bool is_write)
{
	const struct tlb_entry *entry = &cpu->tlb.by_mode[mode][tlb_index(linear)];
	u64 page = is_write ? entry->write : entry->read;
	if (unlikely(page != (linear & PAGE_MASK) || tlb_crosses_page(linear, bytes)))
		return NULL;
	return (u8 *)(linear + entry->addend);
}

static const u8 *table_hit(const struct cpu *cpu, u64 linear, unsigned bytes)
{
	return hit(cpu, TLB_SUPERVISOR, linear, bytes, false);
}

#define LOADED (SEGMENT_S | SEGMENT_P | TYPE_ACCESSED)

/* A descriptor of the GDT, code or data, that is present and was loaded before. */
static bool descriptor_hit(const struct cpu *cpu, u16 selector, struct descriptor *descriptor)
{
	u32 offset = selector & SELECTOR_INDEX;
	if (unlikely((selector & SELECTOR_TI) || !offset || offset + 7 > cpu->gdtr.limit))
		return false;
	const u8 *at = table_hit(cpu, cpu->gdtr.base + offset, 8);
	if (unlikely(!at))
		return false;
	u64 raw = ram_load_64(at);
	*descriptor = (struct descriptor){.raw = raw,
		.selector = selector,
		.attributes = (u16)(bits_get(raw, 40, 8) | bits_get(raw, 52, 4) << 8)};
	return (descriptor->attributes & LOADED) == LOADED;
}

/* 64-bit code that does not conform. */
static bool is_code_64(const struct descriptor *code)
{
	u16 mask = TYPE_CODE | TYPE_CONFORMING | SEGMENT_L | SEGMENT_DB;
	return (code->attributes & mask) == (TYPE_CODE | SEGMENT_L);
}

static bool is_stack_of(const struct descriptor *stack, unsigned cpl)
{
	u16 mask = TYPE_CODE | TYPE_WRITABLE | SEGMENT_DPL;
	return (stack->attributes & mask) == (TYPE_WRITABLE | cpl << SEGMENT_DPL_SHIFT);
}

/* ---- into the kernel: deliver_long of exceptions.c ---- */

static bool is_gate_for(const struct cpu *cpu, const struct event *event, u64 gate)
{
	unsigned type = bits_get(gate, 40, 5);
	bool is_asked_for =
		event->kind == EVENT_SOFTWARE || event->kind == EVENT_SOFTWARE_EXCEPTION;
	return (gate & BIT(47)) && (type == SYSTEM_INTERRUPT_GATE || type == SYSTEM_TRAP_GATE) &&
		(!is_asked_for || bits_get(gate, 45, 2) >= cpu->cpl);
}

/* The pointer that the TSS has for the handler. */
static bool task_stack_hit(const struct cpu *cpu, unsigned cpl, unsigned ist, u64 *rsp)
{
	const struct segment *tr = &cpu->segments[SEGMENT_TR];
	u32 offset = ist ? 28 + 8 * ist : 4 + 8 * cpl;
	const u8 *at = table_hit(cpu, tr->base + offset, 8);
	if (unlikely(!at || offset + 7 > tr->limit))
		return false;
	*rsp = ram_load_64(at);
	return address_is_canonical(*rsp);
}

static void frame_store(const struct cpu *cpu, const struct event *event, u8 *at)
{
	u64 flags = flags_get(cpu) | (event->resumes ? RFLAGS_RF : 0);
	if (event->has_error_code) {
		ram_store_64(at, event->error_code);
		at += 8;
	}
	ram_store_64(at, cpu->regs[RIP]);
	ram_store_64(at + 8, cpu->segments[SEGMENT_CS].selector);
	ram_store_64(at + 16, flags);
	ram_store_64(at + 24, cpu->regs[RSP]);
	ram_store_64(at + 32, cpu->segments[SEGMENT_SS].selector);
}

static void handler_enter(struct cpu *cpu, const struct descriptor *code, u64 gate, u64 rip)
{
	unsigned cpl = descriptor_dpl(code);
	u32 cleared = RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM;
	bool is_interrupt_gate = !(gate & BIT(40));

	if (cpl < cpu->cpl)
		segment_fill_null(&cpu->segments[SEGMENT_SS], (u16)cpl, cpl);
	segment_set_code(cpu, code, cpl);
	cpu->regs[RIP] = rip;
	cpu->other_flags &= ~(cleared | (is_interrupt_gate ? RFLAGS_IF : 0));
	cpu_mode_is_64(cpu);
}

bool event_deliver_quick(struct cpu *cpu, const struct event *event)
{
	u32 offset = event->vector * 16u, bytes = event->has_error_code ? 48 : 40;
	struct descriptor code;

	if (unlikely(!cpu_is_long_mode(cpu) || offset + 15 > cpu->idtr.limit))
		return false;
	const u8 *entry = table_hit(cpu, cpu->idtr.base + offset, 16);
	if (unlikely(!entry))
		return false;
	u64 gate = ram_load_64(entry), high = ram_load_64(entry + 8);
	u64 rip = bits_get(gate, 0, 16) | bits_get(gate, 48, 16) << 16 | high << 32;
	if (unlikely(!is_gate_for(cpu, event, gate) || !address_is_canonical(rip) ||
		    !descriptor_hit(cpu, (u16)bits_get(gate, 16, 16), &code)))
		return false;
	unsigned cpl = descriptor_dpl(&code), ist = bits_get(gate, 32, 3);
	if (unlikely(!is_code_64(&code) || cpl > cpu->cpl))
		return false;
	u64 rsp = cpu->regs[RSP];
	if ((ist || cpl < cpu->cpl) && unlikely(!task_stack_hit(cpu, cpl, ist, &rsp)))
		return false;
	rsp = (rsp & ~(u64)15) - bytes;
	u8 *frame = hit(cpu, tlb_mode_for(cpu, cpl), rsp, bytes, true);
	if (unlikely(!frame))
		return false;
	frame_store(cpu, event, frame);
	cpu->regs[RSP] = rsp;
	handler_enter(cpu, &code, gate, rip);
	return true;
}

/* ---- and back: return_protected of interrupt_return.c ---- */

/* What SS becomes. A null one is taken back where an interrupt within the kernel has left it. */
static bool stack_hit(const struct cpu *cpu, u16 selector, unsigned cpl, struct segment *ss)
{
	struct descriptor stack;
	if (selector_is_null(selector)) {
		segment_fill_null(ss, selector, cpl);
		return cpl != 3;
	}
	if (unlikely((selector & SELECTOR_RPL) != cpl || !descriptor_hit(cpu, selector, &stack) ||
		    !is_stack_of(&stack, cpl)))
		return false;
	segment_fill(ss, &stack, selector);
	return true;
}

bool interrupt_return_quick(struct cpu *cpu)
{
	struct descriptor code;
	struct segment ss;
	const u8 *frame = hit(cpu, tlb_mode_for(cpu, cpu->cpl), cpu->regs[RSP], 40, false);

	if (unlikely(!frame || !cpu_is_64_bit(cpu) || (cpu->other_flags & RFLAGS_NT)))
		return false;
	u64 rip = ram_load_64(frame), flags = ram_load_64(frame + 16);
	u16 selector = ram_load_16(frame + 8);
	unsigned cpl = selector & SELECTOR_RPL;
	if (unlikely(cpl < cpu->cpl || !address_is_canonical(rip) ||
		    !descriptor_hit(cpu, selector, &code) || !is_code_64(&code) ||
		    descriptor_dpl(&code) != cpl ||
		    !stack_hit(cpu, ram_load_16(frame + 32), cpl, &ss)))
		return false;
	bool is_outer = cpl > cpu->cpl;
	return_set_flags(cpu, flags, 8);
	segment_set_code(cpu, &code, cpl);
	cpu->segments[SEGMENT_SS] = ss;
	cpu->regs[RIP] = rip;
	cpu->regs[RSP] = ram_load_64(frame + 24);
	cpu->nmi_blocked = 0;
	cpu_mode_is_64(cpu);
	if (is_outer)
		return_drop_segments(cpu);
	return true;
}
