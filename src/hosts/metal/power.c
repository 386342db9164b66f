/* SPDX-License-Identifier: MIT */
#include "hosts/metal/power.h"
#include "core/host.h"
#include "hosts/metal/acpi/acpi.h"
#include "hosts/metal/instructions.h"

#define EXIT_FAILED 1 /* isa-debug-exit ends with 2 v + 1 */
#define PATIENCE_NS 5000000000
#define SLEEP_ENABLE (1 << 13)
#define SLEEP_TYPE_SHIFT 10

static u16 exit_port;

void power_set_exit_port(u16 port)
{
	exit_port = port;
}

/* ACPI 6.4, 4.8.3.2. */
void power_off(void)
{
	const struct acpi_power *power = acpi_power();
	if (!power->has_sleep)
		return;
	port_write_16(
		power->pm1a_control, (u16)(power->sleep_type_a << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
	if (power->pm1b_control)
		port_write_16(power->pm1b_control,
			(u16)(power->sleep_type_b << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
	/* It takes effect when it does. */
	for (u64 start_ns = host_time_ns(); host_time_ns() - start_ns < PATIENCE_NS;)
		cpu_pause();
}

void power_fail(void)
{
	if (exit_port)
		port_write_8(exit_port, EXIT_FAILED);
}
