/* SPDX-License-Identifier: MIT */
#include "x86/access.h"
#include "x86/descriptors.h"
#include "x86/flags.h"
#include "x86/modes.h"
#include "x86/paging.h"
#include "x86/raise.h"
#include "x86/stack_frame.h"

void stack_frame_init(struct cpu *cpu, struct stack_frame *frame)
{
	*frame = (struct stack_frame){.segment = &cpu->segments[SEGMENT_SS],
		.pointer = cpu->regs[RSP],
		.size = cpu->stack_size,
		.mode = (u8)tlb_mode_for(cpu, cpu->cpl)};
}

void stack_frame_init_new(struct cpu *cpu, struct stack_frame *frame, const struct segment *segment,
	u64 pointer, unsigned cpl, bool flat, u32 error)
{
	*frame = (struct stack_frame){.segment = segment,
		.pointer = pointer,
		.size = flat				   ? SIZE_64
			: segment->attributes & SEGMENT_DB ? SIZE_32
							   : SIZE_16,
		.mode = (u8)tlb_mode_for(cpu, cpl),
		.error = error};
}

static u64 frame_mask(const struct stack_frame *frame)
{
	return bits_mask(8u << frame->size);
}

static u64 frame_linear(
	struct cpu *cpu, const struct stack_frame *frame, u64 pointer, unsigned bytes)
{
	u64 offset = pointer & frame_mask(frame);
	if (frame->size == SIZE_64) {
		if (!address_is_canonical(offset) || !address_is_canonical(offset + bytes - 1))
			raise_with_code(cpu, EXCEPTION_SS, frame->error);
		return offset;
	}
	if ((cpu_is_protected(cpu) && (frame->segment->attributes & SEGMENT_UNUSABLE)) ||
		!segment_allows(frame->segment, offset, bytes))
		raise_with_code(cpu, EXCEPTION_SS, frame->error);
	return (u32)(frame->segment->base + offset);
}

static u64 frame_moved(const struct stack_frame *frame, u64 delta)
{
	u64 mask = frame_mask(frame);
	return (frame->pointer & ~mask) | ((frame->pointer + delta) & mask);
}

/* In the order of the pushes, so that the first that would fault says so; within one page that is one look. */
void stack_frame_reserve(struct cpu *cpu, struct stack_frame *frame, unsigned count, unsigned bytes)
{
	if (frame->size == SIZE_64) {
		u64 first = frame->pointer - bytes, last = frame->pointer - (u64)count * bytes;
		if (!((first ^ last) & PAGE_MASK) && !(last & (bytes - 1)))
			count = 1;
	}
	for (unsigned i = 1; i <= count; i++) {
		u64 linear = frame_linear(cpu, frame, frame->pointer - (u64)i * bytes, bytes);
		paging_probe(cpu, linear, bytes, ACCESS_WRITE, frame->mode);
	}
}

void stack_frame_push(struct cpu *cpu, struct stack_frame *frame, u64 value, unsigned bytes)
{
	u64 pointer = frame_moved(frame, -(u64)bytes);
	u64 linear = frame_linear(cpu, frame, pointer, bytes);
	if (bytes == 8)
		store_64_as(cpu, linear, value, frame->mode);
	else if (bytes == 4)
		store_32_as(cpu, linear, (u32)value, frame->mode);
	else
		store_16_as(cpu, linear, (u16)value, frame->mode);
	frame->pointer = pointer;
}

u64 stack_frame_pop(struct cpu *cpu, struct stack_frame *frame, unsigned bytes)
{
	u64 linear = frame_linear(cpu, frame, frame->pointer, bytes);
	u64 value;
	if (bytes == 8)
		value = load_64_as(cpu, linear, frame->mode);
	else if (bytes == 4)
		value = load_32_as(cpu, linear, frame->mode);
	else
		value = load_16_as(cpu, linear, frame->mode);
	frame->pointer = frame_moved(frame, bytes);
	return value;
}

void stack_frame_skip(struct stack_frame *frame, u64 bytes)
{
	frame->pointer = frame_moved(frame, bytes);
}

void stack_frame_commit(struct cpu *cpu, const struct stack_frame *frame)
{
	cpu->regs[RSP] = frame->size == SIZE_32 ? (u32)frame->pointer : frame->pointer;
}
