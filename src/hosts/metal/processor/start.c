/* SPDX-License-Identifier: MIT */
#include "hosts/metal/processor/start.h"
#include "base/memory.h"
#include "core/host.h"
#include "hosts/metal/acpi/acpi.h"
#include "hosts/metal/boot/layout.h"
#include "hosts/metal/console/console.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/interrupts/apic.h"
#include "hosts/metal/memory/frames.h"
#include "hosts/metal/memory/paging.h"
#include "hosts/metal/processor/processor.h"
#include "hosts/metal/schedule/thread.h"

#define INIT_NS 10000000
#define START_UP_NS 1000000
#define PATIENCE_NS 1000000000

extern const u8 trampoline_start[], trampoline_end[], trampoline_root[], trampoline_stack[];
void processor_main(void); /* from the trampoline */

static struct processor *starting;

void processor_main(void)
{
	struct processor *here = starting;
	processor_enter(here);
	apic_enable();
	thread_adopt_idle();
	__atomic_store_n(&here->is_started, true, __ATOMIC_RELEASE);
	thread_idle();
}

/* Where something of the trampoline is in its copy. */
static void *in_copy(const u8 *at)
{
	return (u8 *)TRAMPOLINE_ADDRESS + (at - trampoline_start);
}

static void wait_ns(u64 ns)
{
	u64 start_ns = host_time_ns();
	while (host_time_ns() - start_ns < ns)
		cpu_pause();
}

static bool has_started(const struct processor *processor)
{
	return __atomic_load_n(&processor->is_started, __ATOMIC_ACQUIRE);
}

/* INIT, and a start-up message, twice if need be. */
static bool start(struct processor *processor, u64 stack)
{
	u64 root = paging_root(), begun_ns = host_time_ns();
	paging_set_executable(TRAMPOLINE_ADDRESS, false);
	memcpy((void *)TRAMPOLINE_ADDRESS, trampoline_start,
		(size_t)(trampoline_end - trampoline_start));
	memcpy(in_copy(trampoline_root), &root, sizeof(u32));
	memcpy(in_copy(trampoline_stack), &stack, sizeof(stack));
	paging_set_executable(TRAMPOLINE_ADDRESS, true);
	__atomic_store_n(&starting, processor, __ATOMIC_SEQ_CST);
	apic_send_init(processor->apic_id);
	wait_ns(INIT_NS);
	apic_send_start_up(processor->apic_id, TRAMPOLINE_ADDRESS >> 12);
	wait_ns(START_UP_NS);
	if (!has_started(processor))
		apic_send_start_up(processor->apic_id, TRAMPOLINE_ADDRESS >> 12);
	while (!has_started(processor) && host_time_ns() - begun_ns < PATIENCE_NS)
		cpu_pause();
	return has_started(processor);
}

static void start_one(u32 apic_id)
{
	struct processor *processor = processor_create(apic_id);
	u8 *stack = frames_get(THREAD_STACK_BYTES, FRAME_BYTES);
	if (!processor || !stack) {
		console_say("no memory for processor %u", apic_id);
		return;
	}
	paging_unmap_page(stack);
	processor->index = processor_count;
	if (!start(processor, (u64)stack + THREAD_STACK_BYTES)) {
		/* It may come yet, and must find its memory: it stays. */
		console_say("processor %u does not start", apic_id);
		return;
	}
	processors[processor_count] = processor;
	__atomic_store_n(&processor_count, processor_count + 1, __ATOMIC_RELEASE);
}

void processors_start(void)
{
	const struct acpi_processors *all = acpi_processors();
	for (unsigned i = 0; i < all->count && processor_count < PROCESSORS_MAX; i++)
		if (all->apic_ids[i] != apic_id())
			start_one(all->apic_ids[i]);
}
