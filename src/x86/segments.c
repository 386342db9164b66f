/* SPDX-License-Identifier: MIT */
/* Loads of data segments, LDTR and TR; segment checks of accesses; LAR and its kin. */
#include "x86/address.h"
#include "x86/descriptors.h"
#include "x86/raise.h"
#include "x86/segments.h"

/* ---- accesses: APM volume 2, 4.12 ---- */

static _Noreturn cold void access_refuse(struct cpu *cpu, unsigned segment)
{
	raise_with_code(cpu, segment == SEGMENT_SS ? EXCEPTION_SS : EXCEPTION_GP, 0);
}

static bool type_allows(u16 attributes, enum access_kind kind)
{
	if (attributes & TYPE_CODE)
		return kind == ACCESS_EXECUTE ||
			(kind == ACCESS_READ && (attributes & TYPE_READABLE));
	return kind != ACCESS_WRITE || (attributes & TYPE_WRITABLE);
}

bool segment_allows(const struct segment *segment, u64 offset, unsigned bytes)
{
	u64 last = offset + bytes - 1;
	if ((segment->attributes & (TYPE_CODE | TYPE_EXPAND_DOWN)) != TYPE_EXPAND_DOWN)
		return last <= segment->limit || (segment->limit == 0xffffffff);
	u32 end = segment->attributes & SEGMENT_DB ? 0xffffffff : 0xffff;
	return offset > segment->limit && last <= end;
}

u64 segment_linear(
	struct cpu *cpu, unsigned segment, u64 offset, unsigned bytes, enum access_kind kind)
{
	const struct segment *s = &cpu->segments[segment];

	if (cpu_is_64_bit(cpu))
		return segment == SEGMENT_FS || segment == SEGMENT_GS ? s->base + offset : offset;
	if (unlikely(!segment_allows(s, offset, bytes)))
		access_refuse(cpu, segment);
	if (!cpu_is_8086(cpu) &&
		unlikely((s->attributes & SEGMENT_UNUSABLE) || !type_allows(s->attributes, kind)))
		access_refuse(cpu, segment);
	return (u32)(s->base + offset);
}

/* ---- loads ---- */

void segment_load_8086(struct cpu *cpu, enum segment_name name, u16 selector)
{
	struct segment *segment = &cpu->segments[name];
	segment->selector = selector;
	segment->base = (u32)selector << 4;
	if (segment->attributes & SEGMENT_UNUSABLE)
		segment->attributes = SEGMENT_P | SEGMENT_S | TYPE_WRITABLE | TYPE_ACCESSED;
	if (cpu_is_virtual_8086(cpu)) {
		segment->limit = 0xffff;
		segment->attributes =
			SEGMENT_P | SEGMENT_DPL | SEGMENT_S | TYPE_WRITABLE | TYPE_ACCESSED;
	}
}

/* SDM volume 2, MOV: null in SS only for 64-bit code below CPL 3, with RPL = CPL. */
static void load_null(struct cpu *cpu, enum segment_name name, u16 selector)
{
	if (name == SEGMENT_SS &&
		(!cpu_is_64_bit(cpu) || cpu->cpl == 3 || (selector & SELECTOR_RPL) != cpu->cpl))
		raise_gp(cpu, 0);
	segment_fill_null(&cpu->segments[name], selector, name == SEGMENT_SS ? cpu->cpl : 0);
}

static void check_data(struct cpu *cpu, const struct descriptor *descriptor)
{
	u16 attributes = descriptor->attributes;
	u32 error = descriptor->selector & ~SELECTOR_RPL;
	unsigned rpl = descriptor->selector & SELECTOR_RPL;
	bool conforms = descriptor_is_code(descriptor) && (attributes & TYPE_CONFORMING);

	if (descriptor_is_system(descriptor) ||
		(descriptor_is_code(descriptor) && !(attributes & TYPE_READABLE)))
		raise_gp(cpu, error);
	if (!conforms && MAX(rpl, cpu->cpl) > descriptor_dpl(descriptor))
		raise_gp(cpu, error);
	if (!(attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, error);
}

void segment_load(struct cpu *cpu, enum segment_name name, u16 selector)
{
	struct descriptor descriptor;

	if (cpu_is_8086(cpu)) {
		segment_load_8086(cpu, name, selector);
		return;
	}
	if (selector_is_null(selector)) {
		load_null(cpu, name, selector);
	} else if (name == SEGMENT_SS) {
		descriptor_get_stack(cpu, selector, cpu->cpl, &descriptor, EXCEPTION_GP, 0);
		segment_fill(&cpu->segments[name], &descriptor, selector);
	} else {
		descriptor_get(cpu, selector, &descriptor, EXCEPTION_GP, 0);
		check_data(cpu, &descriptor);
		descriptor_set_accessed(cpu, &descriptor);
		segment_fill(&cpu->segments[name], &descriptor, selector);
	}
	if (name == SEGMENT_SS)
		cpu_mode_changed(cpu);
}

void segment_load_ldt(struct cpu *cpu, u16 selector)
{
	struct segment *ldtr = &cpu->segments[SEGMENT_LDTR];
	struct descriptor descriptor;
	u32 error = selector & ~SELECTOR_RPL;

	if (selector_is_null(selector)) {
		segment_fill_null(ldtr, selector, 0);
		return;
	}
	if (selector & SELECTOR_TI)
		raise_gp(cpu, error);
	descriptor_get(cpu, selector, &descriptor, EXCEPTION_GP, 0);
	if ((descriptor.attributes & (SEGMENT_S | SEGMENT_TYPE)) != SYSTEM_LDT)
		raise_gp(cpu, error);
	if (!(descriptor.attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, error);
	if (!descriptor_is_sound(cpu, &descriptor))
		raise_gp(cpu, error);
	segment_fill(ldtr, &descriptor, selector);
}

void segment_load_task(struct cpu *cpu, u16 selector)
{
	struct descriptor descriptor;
	u32 error = selector & ~SELECTOR_RPL;
	unsigned type;

	if (selector_is_null(selector) || (selector & SELECTOR_TI))
		raise_gp(cpu, error);
	descriptor_get(cpu, selector, &descriptor, EXCEPTION_GP, 0);
	type = descriptor.attributes & (SEGMENT_S | SEGMENT_TYPE);
	if (type != SYSTEM_TSS && (type != SYSTEM_TSS_16 || cpu_is_long_mode(cpu)))
		raise_gp(cpu, error);
	if (!(descriptor.attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_NP, error);
	if (!descriptor_is_sound(cpu, &descriptor))
		raise_gp(cpu, error);
	descriptor_set_busy(cpu, &descriptor, true);
	segment_fill(&cpu->segments[SEGMENT_TR], &descriptor, selector);
}

void segment_set_flat(
	struct cpu *cpu, enum segment_name name, u16 selector, unsigned dpl, u16 attributes)
{
	cpu->segments[name] = (struct segment){.limit = 0xffffffff,
		.selector = selector,
		.attributes = (u16)(attributes | SEGMENT_P | SEGMENT_S | TYPE_ACCESSED | SEGMENT_G |
			dpl << SEGMENT_DPL_SHIFT)};
}

/* ---- LAR, LSL, VERR, VERW: APM volume 3 ---- */

static bool is_visible(const struct cpu *cpu, const struct descriptor *descriptor)
{
	unsigned rpl = descriptor->selector & SELECTOR_RPL;
	if (descriptor_is_code(descriptor) && descriptor_is_conforming(descriptor))
		return true;
	return MAX(rpl, cpu->cpl) <= descriptor_dpl(descriptor);
}

/* A bit a system type that the instruction accepts. */
static bool type_in(const struct descriptor *descriptor, u32 system_types)
{
	return !descriptor_is_system(descriptor) ||
		(system_types >> (descriptor->attributes & SEGMENT_TYPE) & 1);
}

bool segment_access_rights(struct cpu *cpu, u16 selector, u32 *rights)
{
	struct descriptor descriptor;
	u32 types = cpu_is_long_mode(cpu) ? 0x1a04 : 0x1a3e;
	if (!descriptor_read(cpu, selector, &descriptor) || !is_visible(cpu, &descriptor) ||
		!type_in(&descriptor, types))
		return false;
	*rights = (u32)(descriptor.raw >> 32) & 0x00ffff00;
	return true;
}

bool segment_limit(struct cpu *cpu, u16 selector, u32 *limit)
{
	struct descriptor descriptor;
	u32 types = cpu_is_long_mode(cpu) ? 0x0a04 : 0x0a0e;
	if (!descriptor_read(cpu, selector, &descriptor) || !is_visible(cpu, &descriptor) ||
		!type_in(&descriptor, types))
		return false;
	*limit = descriptor_limit(&descriptor);
	return true;
}

bool segment_verify(struct cpu *cpu, u16 selector, bool for_write)
{
	struct descriptor descriptor;
	if (!descriptor_read(cpu, selector, &descriptor) || descriptor_is_system(&descriptor) ||
		!is_visible(cpu, &descriptor))
		return false;
	return type_allows(descriptor.attributes, for_write ? ACCESS_WRITE : ACCESS_READ);
}

/* ---- I/O permissions: APM volume 2, 12.2.4 ---- */

void segment_check_io(struct cpu *cpu, u16 port, unsigned bytes)
{
	const struct segment *tr = &cpu->segments[SEGMENT_TR];
	u32 map, mask = (u32)bits_mask(bytes);

	if (!cpu_is_protected(cpu) || (!cpu_is_virtual_8086(cpu) && cpu->cpl <= cpu_iopl(cpu)))
		return;
	if (!(tr->attributes & 8) || tr->limit < 103)
		raise_gp(cpu, 0);
	map = (u32)system_load(cpu, tr->base + 102, 2) + (port >> 3);
	/* Two bytes are always read, so both must be there. */
	if (map + 1 > tr->limit)
		raise_gp(cpu, 0);
	if ((system_load(cpu, tr->base + map, 2) >> (port & 7)) & mask)
		raise_gp(cpu, 0);
}
