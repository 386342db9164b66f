/* SPDX-License-Identifier: MIT */
/* The local APIC's registers: as a page, as MSRs of the x2APIC, and the two MSRs beside them. */
#include "core/vcpu.h"
#include "devices/irqchip/lapic_internal.h"

/* NULL for the host's own accesses: a register page belongs to a processor. */
static struct lapic *lapic_of(struct lapics *lapics, const struct bus_access *access)
{
	if (!access->vcpu || access->vcpu->index >= lapics->count)
		return NULL;
	return &lapics->lapic[access->vcpu->index];
}

static u32 register_read(const struct lapic *lapic, unsigned index)
{
	switch (index) {
	case LAPIC_PPR:
		return lapic_processor_priority(lapic);
	case LAPIC_TIMER_CURRENT:
		return lapic_timer_count(lapic);
	default:
		return lapic->registers[index];
	}
}

/* What can be written of an LVT entry: APM volume 2, 16.4. */
static u32 lvt_writable(unsigned index)
{
	switch (index) {
	case LAPIC_LVT_TIMER:
		return 0x700ff;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		return 0x1a7ff;
	case LAPIC_LVT_ERROR:
		return 0x100ff;
	default:
		return 0x107ff;
	}
}

static void lvt_write(struct lapic *lapic, unsigned index, u32 value)
{
	u32 *lvt = &lapic->registers[index];

	value &= lvt_writable(index);
	if (!(lapic->registers[LAPIC_SVR] & SVR_ENABLE))
		value |= LVT_MASKED; /* cannot be cleared while software-disabled */
	if (index == LAPIC_LVT_TIMER)
		lapic_timer_set_mode(lapic, value);
	*lvt = value | (value & LVT_LEVEL ? *lvt & (u32)LVT_REMOTE_IRR : 0);
	if (index == LAPIC_LVT_LINT0 || index == LAPIC_LVT_LINT1)
		lapic_lint_changed(lapic, index - LAPIC_LVT_LINT0);
}

static void svr_write(struct lapic *lapic, u32 value)
{
	lapic->registers[LAPIC_SVR] = value & 0x3ff;
	if (value & SVR_ENABLE)
		return;
	for (unsigned lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt++)
		lapic->registers[lvt] |= LVT_MASKED;
}

/* Registers that both forms write alike. False: there is no such register to write. */
static bool register_write(struct lapic *lapic, unsigned index, u32 value)
{
	lapic_timer_catch_up(lapic);
	switch (index) {
	case LAPIC_TPR:
		lapic->registers[LAPIC_TPR] = value & 0xff;
		break;
	case LAPIC_EOI:
		lapic_end_of_interrupt(lapic);
		break;
	case LAPIC_SVR:
		svr_write(lapic, value);
		break;
	case LAPIC_ESR:
		lapic->registers[LAPIC_ESR] = lapic->errors;
		lapic->errors = 0;
		break;
	case LAPIC_LVT_TIMER ... LAPIC_LVT_ERROR:
		lvt_write(lapic, index, value);
		break;
	case LAPIC_TIMER_INITIAL:
		if (lapic_timer_mode(lapic) != TIMER_TSC_DEADLINE)
			lapic->registers[LAPIC_TIMER_INITIAL] = value;
		lapic_timer_start(lapic);
		break;
	case LAPIC_TIMER_DIVIDE:
		lapic_timer_set_divide(lapic, value);
		break;
	default:
		return false;
	}
	lapic_update(lapic);
	return true;
}

/* ---- the page ---- */

static bool page_register_exists(unsigned index)
{
	switch (index) {
	case LAPIC_ID ... LAPIC_VERSION:
	case LAPIC_TPR ... LAPIC_EOI:
	case LAPIC_LDR ... LAPIC_ESR:
	case LAPIC_ICR_LOW ... LAPIC_TIMER_CURRENT:
	case LAPIC_TIMER_DIVIDE:
		return true;
	}
	return false;
}

static void page_write(struct lapic *lapic, unsigned index, u32 value)
{
	switch (index) {
	case LAPIC_ID:
	case LAPIC_LDR:
		lapic->registers[index] = value & 0xff000000;
		break;
	case LAPIC_DFR:
		lapic->registers[index] = value | 0x0fffffff;
		break;
	case LAPIC_ICR_HIGH:
		lapic->registers[index] = value & 0xff000000;
		break;
	case LAPIC_ICR_LOW:
		lapic->registers[index] = value & 0xccfff; /* never busy: delivery is at once */
		lapic_send_ipi(lapic, value,
			apic_destination_from_8((u8)(lapic->registers[LAPIC_ICR_HIGH] >> 24)));
		break;
	default:
		if (!register_write(lapic, index, value) && !page_register_exists(index))
			lapic_error(lapic, ERROR_REGISTER);
	}
}

void lapic_access_memory(void *owner, struct bus_access *access)
{
	struct lapic *lapic = lapic_of(owner, access);
	unsigned index = (unsigned)(access->address >> 4);

	access->value = access->is_write ? access->value : ~(u64)0;
	if (!lapic || !lapic_is_on(lapic) || lapic_is_x2apic(lapic) ||
		align_down(lapic->base, 0x1000) != LAPIC_BASE)
		return;
	if (access->address & 0xf || index >= LAPIC_REGISTERS) {
		access->value = 0;
		return;
	}
	if (access->is_write) {
		page_write(lapic, index, (u32)access->value);
	} else if (page_register_exists(index)) {
		access->value = register_read(lapic, index);
	} else {
		access->value = 0;
		lapic_error(lapic, ERROR_REGISTER);
	}
}

/* ---- x2APIC: SDM volume 3, table 11-6 ---- */

/* The bits of a register that a write may set; the others are reserved: #GP. False: not writable at all. */
static bool x2apic_writable(unsigned index, u64 *mask)
{
	switch (index) {
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		*mask = 0xff;
		return true;
	case LAPIC_EOI:
	case LAPIC_ESR:
		*mask = 0;
		return true;
	case LAPIC_SVR:
		*mask = 0x3ff;
		return true;
	case LAPIC_ICR_LOW:
		*mask = 0xffffffff000ccfff | BIT(12);
		return true;
	case LAPIC_LVT_TIMER ... LAPIC_LVT_ERROR:
		*mask = lvt_writable(index) | 0x5000; /* read-only status bits are ignored */
		return true;
	case LAPIC_TIMER_INITIAL:
		*mask = 0xffffffff;
		return true;
	case LAPIC_TIMER_DIVIDE:
		*mask = 0xb;
		return true;
	}
	return false;
}

static bool x2apic_write(struct lapic *lapic, unsigned index, u64 value)
{
	u64 mask;

	if (!x2apic_writable(index, &mask) || value & ~mask)
		return false;
	if (index == LAPIC_ICR_LOW) {
		lapic->registers[LAPIC_ICR_LOW] = value & 0xccfff;
		lapic->registers[LAPIC_ICR_HIGH] = (u32)(value >> 32);
		lapic_send_ipi(lapic, (u32)value, (u32)(value >> 32));
		return true;
	}
	if (index == LAPIC_SELF_IPI) {
		lapic_send_ipi(lapic, (u32)value | 1 << 18, 0);
		return true;
	}
	return register_write(lapic, index, (u32)value);
}

static bool x2apic_read(const struct lapic *lapic, unsigned index, u64 *value)
{
	if (index >= LAPIC_REGISTERS || !page_register_exists(index) || index == LAPIC_APR ||
		index == LAPIC_EOI || index == LAPIC_DFR || index == LAPIC_ICR_HIGH)
		return false;
	*value = register_read(lapic, index);
	if (index == LAPIC_ICR_LOW)
		*value |= (u64)lapic->registers[LAPIC_ICR_HIGH] << 32;
	return true;
}

void lapic_access_x2apic(void *owner, struct bus_access *access)
{
	struct lapic *lapic = lapic_of(owner, access);
	unsigned index = (unsigned)access->address;

	if (!lapic || !lapic_is_x2apic(lapic))
		access->is_refused = true;
	else if (access->is_write)
		access->is_refused = !x2apic_write(lapic, index, access->value);
	else
		access->is_refused = !x2apic_read(lapic, index, &access->value);
}

/* ---- MSR 0x1b: APM volume 2, 16.3.2; transitions: SDM volume 3, 11.12.5 ---- */

static bool base_is_valid(const struct lapic *lapic, u64 value)
{
	u64 reserved = 0x2ff | ~lapic->vcpu->cpu.physical_mask;
	bool was_on = lapic_is_on(lapic), was_x2apic = lapic_is_x2apic(lapic);
	bool on = value & APIC_BASE_ENABLE, x2apic = value & APIC_BASE_X2APIC;

	if (value & (reserved & ~(u64)0xd00))
		return false;
	if (x2apic && !on)
		return false;
	return x2apic ? was_on : !(was_x2apic && on);
}

static void base_write(struct lapic *lapic, u64 value)
{
	bool was_on = lapic_is_on(lapic), was_x2apic = lapic_is_x2apic(lapic);
	u32 id = lapic->vcpu->index;

	lapic->base = (value & ~APIC_BASE_BSP) | (lapic->base & APIC_BASE_BSP);
	if (was_on && !lapic_is_on(lapic)) {
		lapic_reset_registers(lapic);
		lapic->registers[LAPIC_ID] = id << 24;
		lapic->registers[LAPIC_LDR] = 0;
	} else if (!was_x2apic && lapic_is_x2apic(lapic)) {
		lapic->registers[LAPIC_ID] = id;
		lapic->registers[LAPIC_LDR] = (id >> 4) << 16 | (u32)1 << (id & 15);
		lapic->registers[LAPIC_ICR_HIGH] = 0;
	}
	lapic_update(lapic);
}

void lapic_access_base(void *owner, struct bus_access *access)
{
	struct lapic *lapic = lapic_of(owner, access);

	if (!lapic)
		access->is_refused = true;
	else if (!access->is_write)
		access->value = lapic->base;
	else if (base_is_valid(lapic, access->value))
		base_write(lapic, access->value);
	else
		access->is_refused = true;
}

void lapic_access_deadline(void *owner, struct bus_access *access)
{
	struct lapic *lapic = lapic_of(owner, access);

	if (!lapic) {
		access->is_refused = true;
		return;
	}
	lapic_timer_catch_up(lapic);
	if (access->is_write)
		lapic_timer_set_deadline(lapic, access->value);
	else
		access->value = lapic->tsc_deadline;
}
