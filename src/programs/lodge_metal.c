/* SPDX-License-Identifier: MIT */
/*
 * Type 1: from the loader's jump to the last guest's power-off. What it runs is the bundle, one module: a cpio archive with machines.json and the
 * files that this names. docs/design/metal.md.
 */
#include "base/memory.h"
#include "base/text.h"
#include "control/cpio.h"
#include "control/machines.h"
#include "core/host.h"
#include "core/host_processor.h"
#include "hosts/metal/acpi/acpi.h"
#include "hosts/metal/boot/boot_info.h"
#include "hosts/metal/console/console.h"
#include "hosts/metal/guest.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/interrupts/apic.h"
#include "hosts/metal/memory/frames.h"
#include "hosts/metal/memory/paging.h"
#include "hosts/metal/panic.h"
#include "hosts/metal/power.h"
#include "hosts/metal/processor/processor.h"
#include "hosts/metal/processor/start.h"
#include "hosts/metal/schedule/thread.h"
#include "hosts/metal/time/tsc.h"

#define GUESTS_MAX CONSOLE_LINES_MAX
#define MACHINES_FILE "machines.json"

void metal_main(u32 magic, u32 address);

static struct boot_info boot_info;
static struct bundle bundle;
static struct guest *guests[GUESTS_MAX];
static unsigned guest_count;

static const char *range_name(u32 type)
{
	static const char *const names[] = {
		[BOOT_RAM] = "RAM",
		[BOOT_RESERVED] = "reserved",
		[BOOT_ACPI] = "ACPI tables",
		[BOOT_NVS] = "ACPI storage",
	};
	return type < ARRAY_SIZE(names) && names[type] ? names[type] : "unusable";
}

static void say_memory(void)
{
	for (unsigned i = 0; i < boot_info.range_count; i++) {
		const struct boot_range *range = &boot_info.ranges[i];
		console_say("memory %012lx-%012lx %s", range->start,
			range->start + range->bytes - 1, range_name(range->type));
	}
	console_say("%lu MiB free", frames_free_bytes() >> 20);
}

/* "0xf4", "244". */
static u64 number_of(const char *text)
{
	u64 value = 0, base = text_starts_with(text, "0x") ? 16 : 10;
	for (text += base == 16 ? 2 : 0; *text; text++) {
		u8 c = (u8)*text | 0x20;
		value = value * base + (c >= 'a' ? c - 'a' + 10u : (u64)(c & 15));
	}
	return value;
}

static void take_options(void)
{
	char value[32];
	if (boot_info_option(&boot_info, "exit-port", value, sizeof(value)))
		power_set_exit_port((u16)number_of(value));
}

/* ---- the guests ---- */

static enum status create_guest(const struct machine_config *config, struct error *error)
{
	struct error reason;
	if (guest_count == GUESTS_MAX)
		return error_set(error, STATUS_TOO_BIG, "more than %u machines", GUESTS_MAX);
	enum status status = guest_create(config, &bundle, &guests[guest_count], &reason);
	if (status != STATUS_OK)
		return error_set(error, status, "%s: %s", config->name, reason.text);
	guest_count++;
	return STATUS_OK;
}

/* All that are good; what is wrong with others is told, and whether there were any. */
static bool create_guests(const char *json, u64 bytes)
{
	static struct machine_config config;
	static struct machines machines;
	struct error error;
	bool good = true;
	enum status status = machines_open(&machines, json, bytes, &error);
	if (status != STATUS_OK) {
		console_say(MACHINES_FILE ": %s", error.text);
		return false;
	}
	while ((status = machines_next(&machines, &config, &error)) != STATUS_END) {
		if (status == STATUS_OK)
			status = create_guest(&config, &error);
		if (status == STATUS_OK)
			continue;
		console_say(MACHINES_FILE ": %s", error.text);
		good = false;
	}
	return good;
}

static bool read_bundle(void)
{
	struct cpio_entry entry;
	struct error error;
	bundle = (struct bundle){(const u8 *)boot_info.module_start, boot_info.module_bytes};
	if (!bundle.bytes) {
		console_say("no module: what is to run is one, a cpio archive with " MACHINES_FILE);
		return false;
	}
	if (cpio_find(bundle.archive, bundle.bytes, MACHINES_FILE, &entry, &error) != STATUS_OK) {
		console_say("the bundle: %s", error.text);
		return false;
	}
	return create_guests((const char *)entry.data, entry.bytes);
}

/* Returns whether all have ended as they wanted to. */
static bool run_guests(void)
{
	struct error error;
	bool good = true;
	for (unsigned i = 0; i < guest_count; i++) {
		if (guest_start(guests[i], &error) == STATUS_OK)
			continue;
		console_say("%s", error.text);
		good = false;
	}
	for (unsigned i = 0; i < guest_count; i++) {
		guest_wait(guests[i]);
		good &= guest_has_succeeded(guests[i]);
	}
	return good;
}

static void supervise(void *argument)
{
	processors_start();
	console_start();
	console_say("%u processors, TSC %lu MHz", processor_count, host_tsc_hz() / 1000000);
	bool good = read_bundle();
	good &= run_guests();
	console_say("powering off");
	if (!good)
		power_fail();
	power_off();
	panic("this machine cannot be powered off by ACPI; it may be switched off now");
}

/* ---- the start ---- */

static void timer_fired(void)
{
	processor_here()->needs_schedule = true;
}

static void halt(void)
{
	halt_for_ever();
}

void metal_main(u32 magic, u32 address)
{
	static const struct thread_parameters supervisor = {
		.name = "supervisor", .main = supervise, .is_service = true};

	processor_begin();
	console_init();
	if (boot_info_read(&boot_info, magic, address) != STATUS_OK)
		panic("started by something that is neither PVH nor multiboot: magic %x", magic);
	take_options();
	console_say("started by %s", boot_info.protocol);
	frames_init(&boot_info);
	paging_init(&boot_info);
	interrupts_init();
	interrupts_set_handler(VECTOR_TIMER, timer_fired);
	interrupts_set_handler(VECTOR_HALT, halt);
	processor_enter_first();
	say_memory();
	if (!acpi_init(boot_info.rsdp))
		console_say("no ACPI tables: one processor, and no power-off");
	tsc_init();
	apic_init();
	apic_enable();
	processor_here()->apic_id = apic_id();
	apic_timer_calibrate();
	thread_adopt_idle();
	if (!thread_create(&supervisor))
		panic("no memory for the first thread");
	thread_idle();
}
