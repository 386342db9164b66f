/* SPDX-License-Identifier: MIT */
#include "x86/access.h"
#include "x86/descriptors.h"
#include "x86/paging.h"
#include "x86/raise.h"

static u64 system_linear(struct cpu *cpu, u64 linear)
{
	if (!cpu_is_long_mode(cpu))
		return (u32)linear;
	if (!address_is_canonical(linear))
		raise_gp(cpu, 0);
	return linear;
}

u64 system_load(struct cpu *cpu, u64 linear, unsigned bytes)
{
	linear = system_linear(cpu, linear);
	switch (bytes) {
	case 2:
		return load_16_as(cpu, linear, TLB_SUPERVISOR);
	case 4:
		return load_32_as(cpu, linear, TLB_SUPERVISOR);
	default:
		return load_64_as(cpu, linear, TLB_SUPERVISOR);
	}
}

void system_store(struct cpu *cpu, u64 linear, u64 value, unsigned bytes)
{
	linear = system_linear(cpu, linear);
	switch (bytes) {
	case 2:
		store_16_as(cpu, linear, (u16)value, TLB_SUPERVISOR);
		break;
	case 4:
		store_32_as(cpu, linear, (u32)value, TLB_SUPERVISOR);
		break;
	default:
		store_64_as(cpu, linear, value, TLB_SUPERVISOR);
		break;
	}
}

bool descriptor_read(struct cpu *cpu, u16 selector, struct descriptor *descriptor)
{
	u64 base = cpu->gdtr.base;
	u32 limit = cpu->gdtr.limit, offset = selector & SELECTOR_INDEX;

	if (selector_is_null(selector))
		return false;
	if (selector & SELECTOR_TI) {
		const struct segment *ldt = &cpu->segments[SEGMENT_LDTR];
		if (ldt->attributes & SEGMENT_UNUSABLE)
			return false;
		base = ldt->base;
		limit = ldt->limit;
	}
	if (offset + 7 > limit)
		return false;
	descriptor->selector = selector;
	descriptor->address = base + offset;
	descriptor->raw = system_load(cpu, descriptor->address, 8);
	descriptor->attributes =
		(u16)(bits_get(descriptor->raw, 40, 8) | bits_get(descriptor->raw, 52, 4) << 8);
	descriptor->high = 0;
	if (cpu_is_long_mode(cpu) && descriptor_is_system(descriptor)) {
		if (offset + 15 > limit)
			return false;
		descriptor->high = system_load(cpu, descriptor->address + 8, 8);
	}
	return true;
}

void descriptor_get(
	struct cpu *cpu, u16 selector, struct descriptor *descriptor, u8 vector, u32 error_extra)
{
	if (!descriptor_read(cpu, selector, descriptor))
		raise_with_code(cpu, vector, (selector & ~SELECTOR_RPL) | error_extra);
}

bool descriptor_is_sound(const struct cpu *cpu, const struct descriptor *descriptor)
{
	return !cpu_is_long_mode(cpu) ||
		(address_is_canonical(descriptor_base(descriptor)) &&
			!bits_get(descriptor->high, 40, 5));
}

u64 descriptor_base(const struct descriptor *descriptor)
{
	u64 raw = descriptor->raw;
	u64 base = bits_get(raw, 16, 24) | bits_get(raw, 56, 8) << 24;
	return base | descriptor->high << 32;
}

u32 descriptor_limit(const struct descriptor *descriptor)
{
	u64 raw = descriptor->raw;
	u32 limit = (u32)(bits_get(raw, 0, 16) | bits_get(raw, 48, 4) << 16);
	return descriptor->attributes & SEGMENT_G ? limit << 12 | 0xfff : limit;
}

/* One byte of a descriptor in memory, as one locked access. */
static void descriptor_change(struct cpu *cpu, u64 linear, u8 set, u8 clear)
{
	linear = system_linear(cpu, linear);
	u8 *at = paging_host_address(cpu, linear, 1, ACCESS_WRITE, TLB_SUPERVISOR);
	if (!at) {
		u8 old = load_8_as(cpu, linear, TLB_SUPERVISOR);
		store_8_as(cpu, linear, (u8)((old | set) & ~clear), TLB_SUPERVISOR);
	} else if (set) {
		__atomic_fetch_or(at, set, __ATOMIC_SEQ_CST);
	} else {
		__atomic_fetch_and(at, (u8)~clear, __ATOMIC_SEQ_CST);
	}
}

void descriptor_set_accessed(struct cpu *cpu, struct descriptor *descriptor)
{
	if (descriptor->attributes & TYPE_ACCESSED)
		return;
	descriptor_change(cpu, descriptor->address + 5, TYPE_ACCESSED, 0);
	descriptor->attributes |= TYPE_ACCESSED;
}

void descriptor_set_busy(struct cpu *cpu, struct descriptor *descriptor, bool busy)
{
	descriptor_change(cpu, descriptor->address + 5, busy ? 2 : 0, busy ? 0 : 2);
	descriptor->attributes = (u16)((descriptor->attributes & ~2) | (busy ? 2 : 0));
}

void segment_fill(struct segment *segment, const struct descriptor *descriptor, u16 selector)
{
	segment->selector = selector;
	segment->base = descriptor_base(descriptor);
	segment->limit = descriptor_limit(descriptor);
	segment->attributes = descriptor->attributes;
}

void segment_fill_null(struct segment *segment, u16 selector, unsigned cpl)
{
	/* The limit is for real mode, should it be entered with this. */
	*segment = (struct segment){.selector = selector,
		.limit = 0xffff,
		.attributes = (u16)(SEGMENT_UNUSABLE | cpl << SEGMENT_DPL_SHIFT)};
}

void descriptor_get_stack(struct cpu *cpu, u16 selector, unsigned cpl,
	struct descriptor *descriptor, u8 vector, u32 error_extra)
{
	u32 error = (selector & ~SELECTOR_RPL) | error_extra;
	u16 wanted = SEGMENT_S | TYPE_WRITABLE;

	if ((selector & SELECTOR_RPL) != cpl && !selector_is_null(selector))
		raise_with_code(cpu, vector, error);
	descriptor_get(cpu, selector, descriptor, vector, error_extra);
	if ((descriptor->attributes & (wanted | TYPE_CODE)) != wanted ||
		descriptor_dpl(descriptor) != cpl)
		raise_with_code(cpu, vector, error);
	if (!(descriptor->attributes & SEGMENT_P))
		raise_with_code(cpu, EXCEPTION_SS, error);
	descriptor_set_accessed(cpu, descriptor);
}

bool descriptor_code_reaches(const struct cpu *cpu, const struct descriptor *code, u64 offset)
{
	if (cpu_is_long_mode(cpu) && (code->attributes & SEGMENT_L))
		return address_is_canonical(offset);
	return offset <= descriptor_limit(code);
}

void segment_set_code(struct cpu *cpu, const struct descriptor *code, unsigned cpl)
{
	segment_fill(
		&cpu->segments[SEGMENT_CS], code, (u16)((code->selector & ~SELECTOR_RPL) | cpl));
	cpu->cpl = (u8)cpl;
}
