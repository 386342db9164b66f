/* SPDX-License-Identifier: MIT */
#include "hosts/metal/processor/processor.h"

#include "base/bits.h"
#include "base/check.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/interrupts/interrupts.h"
#include "hosts/metal/memory/frames.h"
#include "hosts/metal/memory/paging.h"
#include "hosts/metal/processor/extended_state.h"
#include "hosts/metal/schedule/thread.h"
#include "hosts/metal/spinlock.h"

#define MSR_FS_BASE 0xc0000100u
#define INTERRUPT_STACK_BYTES (4 * FRAME_BYTES)

static struct processor first;
struct processor *processors[PROCESSORS_MAX];
unsigned processor_count;

/* The top of a stack whose lowest page is not there. */
static u64 stack_new(void)
{
	u8 *stack = frames_get(INTERRUPT_STACK_BYTES, FRAME_BYTES);
	if (!stack)
		return 0;
	paging_unmap_page(stack);
	return (u64)stack + INTERRUPT_STACK_BYTES;
}

/* False: no memory. */
static bool processor_init(struct processor *processor)
{
	processor->self = processor;
	processor->task.io_map = sizeof(struct task_state);
	run_queue_init(&processor->queue);
	for (unsigned i = 0; i < STACK_NMI; i++)
		if (!(processor->task.interrupt_stacks[i] = stack_new()))
			return false;
	return true;
}

struct processor *processor_create(u32 apic_id)
{
	struct processor *processor = frames_get(sizeof(*processor), FRAME_BYTES);
	if (!processor || !processor_init(processor))
		return NULL;
	processor->apic_id = apic_id;
	return processor;
}

void processor_begin(void)
{
	first.self = &first;
	msr_set(MSR_FS_BASE, (u64)&first);
}

void processor_enter_first(void)
{
	check(processor_init(&first));
	first.is_started = true;
	processors[0] = &first;
	processor_count = 1;
	processor_enter(&first);
}

/* APM volume 2, 4.8. */
static void descriptors_load(struct processor *processor)
{
	u64 task = (u64)&processor->task;
	u64 *table = processor->descriptors;
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = {sizeof(processor->descriptors) - 1, (u64)table};

	table[1] = 0x00af9b000000ffff;
	table[2] = 0x00cf93000000ffff;
	table[3] = (sizeof(struct task_state) - 1) | bits_get(task, 0, 24) << 16 | (u64)0x89 << 40 |
		bits_get(task, 24, 8) << 56;
	table[4] = task >> 32;
	__asm__ volatile("lgdt %0" : : "m"(pointer));
	__asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:"
			 :
			 : "i"(SELECTOR_CODE)
			 : "rax", "memory");
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %1, %%fs; mov %1, %%gs; "
			 "ltr %w2"
			 :
			 : "r"(SELECTOR_DATA), "r"(0), "r"(SELECTOR_TASK));
}

void processor_enter(struct processor *processor)
{
	descriptors_load(processor);
	msr_set(MSR_FS_BASE, (u64)processor);
	interrupts_load();
	extended_state_enable();
}

void preempt_enable(void)
{
	struct processor *here = processor_here();
	if (here->preempt_disabled == 1 && here->needs_schedule && interrupts_are_enabled()) {
		interrupts_disable();
		processor_here()->preempt_disabled--;
		thread_schedule();
		interrupts_enable();
		return;
	}
	__asm__ volatile("decl %%fs:%c0"
			 :
			 : "i"(offsetof(struct processor, preempt_disabled))
			 : "memory");
}

void spinlock_take(struct spinlock *lock)
{
	preempt_disable();
	spinlock_take_bare(lock);
}

void spinlock_release(struct spinlock *lock)
{
	spinlock_release_bare(lock);
	preempt_enable();
}
