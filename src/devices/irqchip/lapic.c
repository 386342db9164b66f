/* SPDX-License-Identifier: MIT */
/* How interrupts arrive at a local APIC, wait, and reach the processor. */
#include "devices/irqchip/lapic.h"
#include "base/memory.h"
#include "base/text.h"
#include "devices/irqchip/lapic_internal.h"
#include "devices/region.h"

/* ---- the three 256-bit registers ---- */

static void vector_set(u32 *words, unsigned vector)
{
	words[vector >> 5] |= (u32)1 << (vector & 31);
}

static void vector_clear(u32 *words, unsigned vector)
{
	words[vector >> 5] &= ~((u32)1 << (vector & 31));
}

static bool vector_is_set(const u32 *words, unsigned vector)
{
	return words[vector >> 5] >> (vector & 31) & 1;
}

/* The highest one, or -1. */
static int vector_highest(const u32 *words)
{
	for (int word = 7; word >= 0; word--)
		if (words[word])
			return word * 32 + 31 - __builtin_clz(words[word]);
	return -1;
}

/* ---- towards the processor ---- */

static bool is_software_enabled(const struct lapic *lapic)
{
	return lapic->registers[LAPIC_SVR] & SVR_ENABLE;
}

/* APM volume 2, 16.6.4. */
u8 lapic_processor_priority(const struct lapic *lapic)
{
	int serviced = vector_highest(&lapic->registers[LAPIC_ISR]);
	u8 task = (u8)lapic->registers[LAPIC_TPR];

	if (serviced < 0 || task >> 4 >= serviced >> 4)
		return task;
	return (u8)(serviced & 0xf0);
}

/* The vector that may be delivered now, or -1. */
static int deliverable_vector(const struct lapic *lapic)
{
	int vector = vector_highest(&lapic->registers[LAPIC_IRR]);

	if (vector < 0 || vector >> 4 <= lapic_processor_priority(lapic) >> 4)
		return -1;
	return vector;
}

static bool lvt_is(const struct lapic *lapic, enum lapic_register lvt, enum apic_delivery delivery)
{
	u32 value = lapic->registers[lvt];

	return !(value & LVT_MASKED) && (value >> 8 & 7) == (u32)delivery;
}

/* An APIC that is off lets LINT0 through as the processor's INTR: APM volume 2, 16.3.1. */
static bool extint_is_pending(const struct lapic *lapic)
{
	if (!lapic_is_on(lapic))
		return lapic->lint[0];
	return lapic->extint_latched ||
		(lapic->lint[0] && lvt_is(lapic, LAPIC_LVT_LINT0, APIC_EXTINT));
}

void lapic_update(struct lapic *lapic)
{
	bool level = extint_is_pending(lapic);

	if (lapic_is_on(lapic) && is_software_enabled(lapic))
		level |= deliverable_vector(lapic) >= 0;
	vcpu_interrupt_line(lapic->vcpu, level);
}

static int take_vector(struct lapic *lapic)
{
	int vector = -1;

	if (lapic_is_on(lapic) && is_software_enabled(lapic))
		vector = deliverable_vector(lapic);
	if (vector >= 0) {
		vector_clear(&lapic->registers[LAPIC_IRR], (unsigned)vector);
		vector_set(&lapic->registers[LAPIC_ISR], (unsigned)vector);
	} else if (extint_is_pending(lapic) && lapic->all->extint_acknowledge) {
		lapic->extint_latched = false;
		vector = lapic->all->extint_acknowledge(lapic->all->extint_owner);
	}
	lapic_update(lapic);
	return vector;
}

static int lapic_acknowledge(void *apic)
{
	struct lapic *lapic = apic;
	struct host_lock *lock = &lapic->all->machine->lock;

	host_lock(lock);
	int vector = take_vector(lapic);
	host_unlock(lock);
	return vector;
}

static u8 lapic_task_priority_get(void *apic)
{
	const struct lapic *lapic = apic;

	return (u8)(__atomic_load_n(&lapic->registers[LAPIC_TPR], __ATOMIC_RELAXED) >> 4);
}

static void lapic_task_priority_set(void *apic, u8 priority)
{
	struct lapic *lapic = apic;
	struct host_lock *lock = &lapic->all->machine->lock;

	host_lock(lock);
	lapic->registers[LAPIC_TPR] = (u32)(priority & 0xf) << 4;
	lapic_update(lapic);
	host_unlock(lock);
}

static void lapic_tsc_changed(void *apic)
{
	struct lapic *lapic = apic;

	if (lapic->tsc_deadline)
		lapic_timer_set_deadline(lapic, lapic->tsc_deadline);
}

static const struct apic_ops lapic_apic_ops = {
	lapic_acknowledge, lapic_task_priority_get, lapic_task_priority_set, lapic_tsc_changed};

/* ---- arrival ---- */

void lapic_error(struct lapic *lapic, u32 error)
{
	lapic->errors |= error;
	lapic_lvt_fire(lapic, LAPIC_LVT_ERROR);
}

static void accept_vector(struct lapic *lapic, u8 vector, bool is_level)
{
	if (!is_software_enabled(lapic))
		return;
	if (vector < 16) {
		/* The error's own LVT may hold an illegal vector: note it, and fire nothing. */
		lapic->errors |= ERROR_RECEIVE_VECTOR;
		u32 lvt = lapic->registers[LAPIC_LVT_ERROR];
		if (!(lvt & LVT_MASKED) && (u8)lvt >= 16)
			accept_vector(lapic, (u8)lvt, false);
		return;
	}
	vector_set(&lapic->registers[LAPIC_IRR], vector);
	if (is_level)
		vector_set(&lapic->registers[LAPIC_TMR], vector);
	else
		vector_clear(&lapic->registers[LAPIC_TMR], vector);
	lapic_update(lapic);
}

void lapic_accept(struct lapic *lapic, const struct apic_message *message)
{
	if (!lapic_is_on(lapic) && message->delivery < APIC_NMI)
		return;
	switch (message->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST_PRIORITY:
		accept_vector(lapic, message->vector, message->is_level);
		break;
	case APIC_NMI:
		vcpu_nmi(lapic->vcpu);
		break;
	case APIC_INIT:
		lapic_reset_registers(lapic);
		vcpu_init_signal(lapic->vcpu);
		break;
	case APIC_START_UP:
		vcpu_start_up(lapic->vcpu, message->vector);
		break;
	case APIC_EXTINT:
		lapic->extint_latched = lapic_is_on(lapic);
		lapic_update(lapic);
		break;
	}
}

/* The local vector table's entry has its reason. */
void lapic_lvt_fire(struct lapic *lapic, enum lapic_register lvt)
{
	u32 value = lapic->registers[lvt];
	struct apic_message message = {.vector = (u8)value, .delivery = value >> 8 & 7};

	if (value & LVT_MASKED)
		return;
	if (lvt == LAPIC_LVT_TIMER || lvt == LAPIC_LVT_ERROR)
		message.delivery = APIC_FIXED; /* these have no delivery mode */
	if (message.delivery == APIC_FIXED || message.delivery == APIC_NMI)
		lapic_accept(lapic, &message);
}

/* ---- the LINT pins ---- */

/* A level-triggered fixed LINT0: like an I/O APIC's pin, it asks again at EOI while it is up. */
static void lint_service_level(struct lapic *lapic, unsigned pin)
{
	u32 *lvt = &lapic->registers[LAPIC_LVT_LINT0 + pin];

	if (!lapic->lint[pin] || (*lvt & (LVT_MASKED | LVT_REMOTE_IRR)) ||
		(*lvt >> 8 & 7) != APIC_FIXED)
		return;
	*lvt |= LVT_REMOTE_IRR;
	accept_vector(lapic, (u8)*lvt, true);
}

/* The pin's level, or its table entry, has changed. */
void lapic_lint_changed(struct lapic *lapic, unsigned pin)
{
	u32 lvt = lapic->registers[LAPIC_LVT_LINT0 + pin];

	if (lapic_is_on(lapic) && lvt & LVT_LEVEL)
		lint_service_level(lapic, pin);
	lapic_update(lapic);
}

static void lapic_set_lint(struct lapic *lapic, unsigned pin, bool level)
{
	bool is_rising = level && !lapic->lint[pin];
	u32 lvt = lapic->registers[LAPIC_LVT_LINT0 + pin];

	lapic->lint[pin] = level;
	if (is_rising && !lapic_is_on(lapic) && pin == 1)
		vcpu_nmi(lapic->vcpu);
	else if (is_rising && lapic_is_on(lapic) &&
		(!(lvt & LVT_LEVEL) || (lvt >> 8 & 7) == APIC_NMI))
		lapic_lvt_fire(lapic, LAPIC_LVT_LINT0 + pin);
	lapic_lint_changed(lapic, pin);
}

void lapics_set_lint(void *owner, unsigned line, bool level)
{
	struct lapics *lapics = owner;

	for (unsigned i = 0; line < 2 && i < lapics->count; i++)
		lapic_set_lint(&lapics->lapic[i], line, level);
}

void lapic_end_of_interrupt(struct lapic *lapic)
{
	int vector = vector_highest(&lapic->registers[LAPIC_ISR]);

	if (vector < 0)
		return;
	vector_clear(&lapic->registers[LAPIC_ISR], (unsigned)vector);
	if (vector_is_set(&lapic->registers[LAPIC_TMR], (unsigned)vector)) {
		for (unsigned pin = 0; pin < 2; pin++) {
			u32 *lvt = &lapic->registers[LAPIC_LVT_LINT0 + pin];
			if ((u8)*lvt != vector || !(*lvt & LVT_REMOTE_IRR))
				continue;
			*lvt &= (u32)~LVT_REMOTE_IRR;
			lint_service_level(lapic, pin);
		}
		if (lapic->all->end_of_interrupt)
			lapic->all->end_of_interrupt(
				lapic->all->end_of_interrupt_owner, (u8)vector);
	}
	lapic_update(lapic);
}

/* ---- between APICs ---- */

/* APM volume 2, 16.6.1; x2APIC: SDM volume 3, 11.12.10.2. */
static bool matches_logical(const struct lapic *lapic, u32 destination)
{
	u32 ldr = lapic->registers[LAPIC_LDR];

	if (lapic_is_x2apic(lapic))
		return ldr >> 16 == destination >> 16 && (ldr & destination & 0xffff);
	ldr >>= 24;
	if (lapic->registers[LAPIC_DFR] >> 28 == 0xf)
		return ldr & destination & 0xff;
	return (ldr >> 4 == (destination >> 4 & 0xf)) && (ldr & destination & 0xf);
}

static bool matches(const struct lapic *lapic, const struct apic_message *message)
{
	u32 id = lapic->registers[LAPIC_ID];

	if (message->destination == APIC_BROADCAST)
		return true;
	if (message->is_logical)
		return matches_logical(lapic, message->destination);
	return message->destination == (lapic_is_x2apic(lapic) ? id : id >> 24);
}

/* The one with the lowest priority; the first one of several. Only those that would take it compete. */
static struct lapic *find_lowest_priority(struct lapics *lapics, const struct apic_message *message)
{
	struct lapic *best = NULL;

	for (unsigned i = 0; i < lapics->count; i++) {
		struct lapic *lapic = &lapics->lapic[i];
		if (!lapic_is_on(lapic) || !is_software_enabled(lapic) || !matches(lapic, message))
			continue;
		if (!best || lapic_processor_priority(lapic) < lapic_processor_priority(best))
			best = lapic;
	}
	return best;
}

void lapics_send(void *owner, const struct apic_message *message)
{
	struct lapics *lapics = owner;

	if (message->delivery == APIC_LOWEST_PRIORITY) {
		struct lapic *lapic = find_lowest_priority(lapics, message);
		if (lapic)
			lapic_accept(lapic, message);
		return;
	}
	for (unsigned i = 0; i < lapics->count; i++)
		if (matches(&lapics->lapic[i], message))
			lapic_accept(&lapics->lapic[i], message);
}

/* A write of the interrupt command register: APM volume 2, 16.5. destination is in the message's form. */
void lapic_send_ipi(struct lapic *lapic, u32 command, u32 destination)
{
	unsigned shorthand = command >> 18 & 3;
	struct apic_message message = {
		.destination = shorthand ? APIC_BROADCAST : destination,
		.vector = (u8)command,
		.delivery = command >> 8 & 7,
		.is_logical = command >> 11 & 1,
	};

	if (message.delivery == APIC_INIT && (command >> 14 & 3) == 2)
		return; /* INIT level de-assert: nothing on any processor since P6 */
	if (message.delivery == APIC_EXTINT)
		return; /* not an IPI */
	if (message.delivery <= APIC_LOWEST_PRIORITY && message.vector < 16) {
		lapic_error(lapic, ERROR_SEND_VECTOR);
		return;
	}
	if (shorthand == 1) {
		lapic_accept(lapic, &message);
	} else if (shorthand == 3) {
		for (unsigned i = 0; i < lapic->all->count; i++)
			if (&lapic->all->lapic[i] != lapic)
				lapic_accept(&lapic->all->lapic[i], &message);
	} else {
		lapics_send(lapic->all, &message);
	}
}

/* ---- reset, state, creation ---- */

void lapic_reset_registers(struct lapic *lapic)
{
	u32 id = lapic->registers[LAPIC_ID], ldr = lapic->registers[LAPIC_LDR];

	lapic_timer_stop(lapic);
	memset(lapic->registers, 0, sizeof(lapic->registers));
	lapic->registers[LAPIC_ID] = id;
	if (lapic_is_x2apic(lapic))
		lapic->registers[LAPIC_LDR] = ldr;
	lapic->registers[LAPIC_VERSION] = 0x50014; /* six LVT entries: APM volume 2, 16.3.4 */
	lapic->registers[LAPIC_DFR] = ~(u32)0;
	lapic->registers[LAPIC_SVR] = 0xff;
	for (unsigned lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt++)
		lapic->registers[lvt] = LVT_MASKED;
	lapic->errors = 0;
	lapic->extint_latched = false;
	lapic_update(lapic);
}

static void lapic_reset(struct device *device)
{
	struct lapic *lapic = container_of(device, struct lapic, device);
	u32 id = lapic->vcpu->index;

	lapic->base = LAPIC_BASE | APIC_BASE_ENABLE | (id ? 0 : APIC_BASE_BSP);
	lapic->lint[0] = lapic->lint[1] = false;
	lapic->registers[LAPIC_ID] = id << 24;
	lapic_reset_registers(lapic);
}

void lapics_set_virtual_wire(struct lapics *lapics)
{
	struct lapic *lapic = &lapics->lapic[0];

	lapic->registers[LAPIC_SVR] = 0x1ff;
	lapic->registers[LAPIC_LVT_LINT0] = APIC_EXTINT << 8 | (u32)LVT_LEVEL;
	lapic->registers[LAPIC_LVT_LINT1] = APIC_NMI << 8;
}

static bool lapic_loaded(void *object)
{
	struct lapic *lapic = object;
	bool is_on = lapic->base & APIC_BASE_ENABLE;

	if (lapic->base & APIC_BASE_X2APIC && !is_on)
		return false;
	return !(lapic->registers[LAPIC_IRR] & 0xffff);
}

static const struct state_field lapic_fields[] = {
	STATE_UINT(struct lapic, base),
	STATE_ARRAY(struct lapic, registers),
	STATE_UINT(struct lapic, errors),
	STATE_FLAG(struct lapic, lint[0]),
	STATE_FLAG(struct lapic, lint[1]),
	STATE_FLAG(struct lapic, extint_latched),
	STATE_TIMER(struct lapic, timer),
	STATE_UINT(struct lapic, timer_expiry_ns),
	STATE_UINT(struct lapic, tsc_deadline),
};
static const struct state_table lapic_state = STATE_TABLE("lapic", 1, lapic_fields, lapic_loaded);
static const struct device_ops lapic_ops = {"lapic", lapic_reset, &lapic_state};

static void lapic_init(struct lapics *lapics, struct vcpu *vcpu)
{
	struct lapic *lapic = &lapics->lapic[vcpu->index];
	struct text text;

	lapic->all = lapics;
	lapic->vcpu = vcpu;
	text_init(&text, lapic->name, sizeof(lapic->name));
	text_format(&text, "lapic%u", vcpu->index);
	event_init(&lapic->timer, lapics->machine, lapic_timer_fire, lapic);
	device_attach(lapics->machine, &lapic->device, &lapic_ops, lapic->name, lapic);
	vcpu->apic = (struct apic){&lapic_apic_ops, lapic};
}

enum status lapics_init(struct lapics *lapics, struct machine *machine)
{
	memset(lapics, 0, sizeof(*lapics));
	lapics->machine = machine;
	lapics->count = machine->vcpu_count;
	enum status status = region_attach(machine, &lapics->memory_region, "lapic", BUS_MEMORY,
		LAPIC_BASE, 0x1000, 4, lapic_access_memory, lapics);
	if (status == STATUS_OK)
		status = region_attach(machine, &lapics->base_region, "apic-base", BUS_MSR, 0x1b, 1,
			8, lapic_access_base, lapics);
	if (status == STATUS_OK)
		status = region_attach(machine, &lapics->deadline_region, "tsc-deadline", BUS_MSR,
			0x6e0, 1, 8, lapic_access_deadline, lapics);
	if (status == STATUS_OK)
		status = region_attach(machine, &lapics->x2apic_region, "x2apic", BUS_MSR, 0x800,
			0x100, 8, lapic_access_x2apic, lapics);
	for (unsigned i = 0; status == STATUS_OK && i < lapics->count; i++)
		lapic_init(lapics, machine->vcpus[i]);
	return status;
}
