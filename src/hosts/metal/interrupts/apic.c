/* SPDX-License-Identifier: MIT */
#include "hosts/metal/interrupts/apic.h"

#include <cpuid.h>

#include "base/bits.h"
#include "core/host.h"
#include "hosts/metal/acpi/acpi.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/memory/paging.h"

enum apic_register {
	APIC_ID = 0x20,
	APIC_EOI = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_ICR_LOW = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

#define MSR_APIC_BASE 0x1bu
#define MSR_X2APIC 0x800u
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_ADDRESS 0xffffffffff000u

#define SPURIOUS_ENABLE BIT(8)
#define LVT_MASKED BIT(16)
#define LVT_NMI (4 << 8)
#define DIVIDE_BY_1 0xb
#define ICR_PENDING BIT(12)
#define ICR_ASSERT BIT(14)
#define ICR_ALL_BUT_SELF (3 << 18)
#define ICR_INIT (5 << 8)
#define ICR_START_UP (6 << 8)

#define CALIBRATION_NS 10000000
#define TIMER_COUNT_MAX 0xffffffffu

static bool is_x2apic;
static u64 base;
static u64 timer_hz;

static u32 apic_read(enum apic_register reg)
{
	if (is_x2apic)
		return (u32)msr_get(MSR_X2APIC + reg / 16);
	return *(volatile u32 *)(base + reg);
}

static void apic_write(enum apic_register reg, u32 value)
{
	if (is_x2apic)
		msr_set(MSR_X2APIC + reg / 16, value);
	else
		*(volatile u32 *)(base + reg) = value;
}

void apic_init(void)
{
	u32 a, b, c, d;
	__cpuid(1, a, b, c, d);
	is_x2apic = c & BIT(21);
	base = msr_get(MSR_APIC_BASE) & APIC_BASE_ADDRESS;
	if (!is_x2apic)
		paging_map_device(base, 4096);
	/* The two 8259s: everything masked. */
	port_write_8(0x21, 0xff);
	port_write_8(0xa1, 0xff);
}

void apic_enable(void)
{
	u64 mode = APIC_BASE_ENABLE | (is_x2apic ? APIC_BASE_X2APIC : 0);
	msr_set(MSR_APIC_BASE, msr_get(MSR_APIC_BASE) | mode);
	apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_NMI);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
}

u32 apic_id(void)
{
	u32 id = apic_read(APIC_ID);
	return is_x2apic ? id : id >> 24;
}

void apic_end_of_interrupt(void)
{
	apic_write(APIC_EOI, 0);
}

/* ---- the timer ---- */

void apic_timer_calibrate(void)
{
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, TIMER_COUNT_MAX);
	u64 start_ns = host_time_ns(), now_ns;
	do
		now_ns = host_time_ns();
	while (now_ns - start_ns < CALIBRATION_NS);
	u64 ticks = TIMER_COUNT_MAX - apic_read(APIC_TIMER_CURRENT);
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	timer_hz = ticks * 1000000000 / (now_ns - start_ns);
}

void apic_timer_set(u64 deadline_ns)
{
	u64 now_ns = host_time_ns(), ns, ticks;
	if (deadline_ns == TIME_NEVER) {
		apic_write(APIC_TIMER_INITIAL, 0);
		return;
	}
	/* A second at most: the product fits, and whoever waits longer looks again then. */
	ns = deadline_ns > now_ns ? MIN(deadline_ns - now_ns, 1000000000) : 0;
	ticks = ns * (timer_hz / 1000) / 1000000 + 1;
	apic_write(APIC_TIMER_INITIAL, (u32)MIN(ticks, TIMER_COUNT_MAX));
}

/* ---- messages ---- */

static void send(u32 to, u32 command)
{
	if (is_x2apic) {
		msr_set(MSR_X2APIC + APIC_ICR_LOW / 16, (u64)to << 32 | command);
		return;
	}
	bool were = interrupts_save(); /* the two halves belong together */
	while (apic_read(APIC_ICR_LOW) & ICR_PENDING)
		cpu_pause();
	apic_write(APIC_ICR_HIGH, to << 24);
	apic_write(APIC_ICR_LOW, command);
	interrupts_restore(were);
}

void apic_send(u32 to, enum interrupt_vector vector)
{
	send(to, ICR_ASSERT | vector);
}

void apic_send_to_others(enum interrupt_vector vector)
{
	if (base) /* a panic may come before there is an APIC */
		send(0, ICR_ALL_BUT_SELF | ICR_ASSERT | vector);
}

void apic_send_init(u32 to)
{
	send(to, ICR_ASSERT | ICR_INIT);
}

void apic_send_start_up(u32 to, u8 page)
{
	send(to, ICR_ASSERT | ICR_START_UP | page);
}

/* ---- the I/O APIC ---- */

#define IOAPIC_REDIRECTION 0x10

static void ioapic_write(u64 at, u32 reg, u32 value)
{
	*(volatile u32 *)at = reg;
	*(volatile u32 *)(at + 0x10) = value;
}

bool apic_route_isa(unsigned irq, enum interrupt_vector vector)
{
	const struct acpi_interrupts *acpi = acpi_interrupts();
	u32 pin;
	if (!acpi->ioapic_address)
		return false;
	pin = acpi->isa_pin[irq] - acpi->ioapic_first_pin;
	paging_map_device(acpi->ioapic_address, 4096);
	ioapic_write(acpi->ioapic_address, IOAPIC_REDIRECTION + 2 * pin + 1, apic_id() << 24);
	ioapic_write(
		acpi->ioapic_address, IOAPIC_REDIRECTION + 2 * pin, vector | acpi->isa_flags[irq]);
	return true;
}
