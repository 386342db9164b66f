/* SPDX-License-Identifier: MIT */
/*
 * Segment descriptors as they lie in the GDT and LDT, and the checks that all loads share: APM volume 2, 4.7 and 4.8. For
 * the files that load segments (segments.c, far_*.c, exceptions.c, task_switch.c).
 */
#ifndef X86_DESCRIPTORS_H
#define X86_DESCRIPTORS_H

#include "x86/cpu.h"

/* Types of system descriptors. In long mode 16-bit ones are gone and 32-bit ones are 64-bit. */
enum system_type {
	SYSTEM_TSS_16 = 1,
	SYSTEM_LDT = 2,
	SYSTEM_TSS_16_BUSY = 3,
	SYSTEM_CALL_GATE_16 = 4,
	SYSTEM_TASK_GATE = 5,
	SYSTEM_INTERRUPT_GATE_16 = 6,
	SYSTEM_TRAP_GATE_16 = 7,
	SYSTEM_TSS = 9,
	SYSTEM_TSS_BUSY = 11,
	SYSTEM_CALL_GATE = 12,
	SYSTEM_INTERRUPT_GATE = 14,
	SYSTEM_TRAP_GATE = 15,
};

#define TYPE_ACCESSED 1
#define TYPE_WRITABLE 2	   /* data */
#define TYPE_READABLE 2	   /* code */
#define TYPE_EXPAND_DOWN 4 /* data */
#define TYPE_CONFORMING 4  /* code */
#define TYPE_CODE 8

#define SELECTOR_RPL 3
#define SELECTOR_TI 4
#define SELECTOR_INDEX 0xfff8

struct descriptor {
	u64 raw;     /* its 8 bytes */
	u64 high;    /* the next 8, of 16-byte ones in long mode; else 0 */
	u64 address; /* linear */
	u16 attributes;
	u16 selector;
};

static always_inline unsigned attributes_dpl(u16 attributes)
{
	return (attributes & SEGMENT_DPL) >> SEGMENT_DPL_SHIFT;
}

static always_inline unsigned descriptor_dpl(const struct descriptor *descriptor)
{
	return attributes_dpl(descriptor->attributes);
}

static always_inline bool descriptor_is_code(const struct descriptor *descriptor)
{
	return (descriptor->attributes & (SEGMENT_S | TYPE_CODE)) == (SEGMENT_S | TYPE_CODE);
}

static always_inline bool descriptor_is_conforming(const struct descriptor *descriptor)
{
	return descriptor->attributes & TYPE_CONFORMING;
}

static always_inline bool descriptor_is_system(const struct descriptor *descriptor)
{
	return !(descriptor->attributes & SEGMENT_S);
}

static always_inline bool selector_is_null(u16 selector)
{
	return !(selector & ~SELECTOR_RPL);
}

/*
 * Reads selector's descriptor; false: null selector, or past its table's limit. Reads the upper half of system descriptors
 * in long mode, too (false when that is past the limit). Raises what the memory accesses raise.
 */
bool descriptor_read(struct cpu *cpu, u16 selector, struct descriptor *descriptor);
/* The same, but raises vector(selector | error_extra) instead of false. error_extra: EXT in event delivery. */
void descriptor_get(
	struct cpu *cpu, u16 selector, struct descriptor *descriptor, u8 vector, u32 error_extra);

/* 16-byte ones: the base is canonical, and the upper half's type field is zero. */
bool descriptor_is_sound(const struct cpu *cpu, const struct descriptor *descriptor);
u64 descriptor_base(const struct descriptor *descriptor);
u32 descriptor_limit(const struct descriptor *descriptor);

/* Sets the accessed bit in memory if it is clear. May raise. */
void descriptor_set_accessed(struct cpu *cpu, struct descriptor *descriptor);
/* Sets or clears the busy bit of a TSS descriptor in memory. May raise. */
void descriptor_set_busy(struct cpu *cpu, struct descriptor *descriptor, bool busy);

/* Fills the hidden part; cannot fail. */
void segment_fill(struct segment *segment, const struct descriptor *descriptor, u16 selector);
void segment_fill_null(struct segment *segment, u16 selector, unsigned cpl);

/*
 * SS for a new privilege level: all checks of its descriptor, raising `vector` (#GP in returns, #TS in stack switches; not
 * present: #SS). The descriptor is marked accessed; nothing is loaded yet.
 */
void descriptor_get_stack(struct cpu *cpu, u16 selector, unsigned cpl,
	struct descriptor *descriptor, u8 vector, u32 error_extra);

/* Whether the segment's limit and type allow the access (legacy modes). */
bool segment_allows(const struct segment *segment, u64 offset, unsigned bytes);

/* Code at offset would be within the segment, or canonical in 64-bit code. */
bool descriptor_code_reaches(const struct cpu *cpu, const struct descriptor *code, u64 offset);

/* CS and CPL; the selector's RPL becomes the CPL. The caller sets RIP and calls cpu_mode_changed. */
void segment_set_code(struct cpu *cpu, const struct descriptor *code, unsigned cpl);

/* Reads of the processor's own tables: supervisor accesses whatever the CPL is. Linear addresses are cut to 32 bits
 * outside long mode. */
u64 system_load(struct cpu *cpu, u64 linear, unsigned bytes);
void system_store(struct cpu *cpu, u64 linear, u64 value, unsigned bytes);

#endif
