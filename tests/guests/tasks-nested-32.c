/* SPDX-License-Identifier: MIT */
/*
 * Tasks two deep (AMD64 volume 2, 12.3; Intel volume 3, 7.4): links, busy bits and NT on the way in and out, a task that
 * is in the chain already, and a jmp in the middle of it.
 */
#include "guest.h"

#define TASK_A GDT_FREE
#define TASK_B (GDT_FREE + 8)

struct tss task_a, task_b;
static u8 stack_a[2048], stack_b[2048];
struct far {
	u32 offset;
	u16 selector;
} __attribute__((packed));
struct far to_a = {0, TASK_A}, to_b = {0, TASK_B}, to_main = {0, TSS_SELECTOR};

static struct {
	const char *name;
	u32 busy_main, busy_a, busy_b, link_a, link_b, nt, tr;
} looks[16];
static unsigned look_count;

static u32 busy(u16 selector)
{
	return gdt[selector / 8] >> 41 & 1;
}

void look(const char *name);
void look(const char *name)
{
	u16 tr;

	__asm__ volatile("str %0" : "=m"(tr));
	if (look_count == 16)
		return;
	looks[look_count].name = name;
	looks[look_count].busy_main = busy(TSS_SELECTOR);
	looks[look_count].busy_a = busy(TASK_A);
	looks[look_count].busy_b = busy(TASK_B);
	looks[look_count].link_a = task_a.link & 0xffff;
	looks[look_count].link_b = task_b.link & 0xffff;
	looks[look_count].tr = tr;
	looks[look_count++].nt = flags_get() >> 14 & 1;
}

static void show(void)
{
	for (unsigned i = 0; i < look_count; i++)
		print("%s: tr %x, busy %d %d %d, links %x %x, NT %d\n", looks[i].name,
			(word)looks[i].tr, (int)looks[i].busy_main, (int)looks[i].busy_a,
			(int)looks[i].busy_b, (word)looks[i].link_a, (word)looks[i].link_b,
			(int)looks[i].nt);
	look_count = 0;
}

static void task_init(struct tss *t, void (*entry)(void), u8 *stack_top)
{
	fill(t, 0, sizeof(*t));
	t->eip = (u32)entry;
	t->eflags = 2;
	t->esp = (u32)stack_top - 16;
	t->cs = KERNEL_CS;
	t->ss = t->ds = t->es = t->fs = t->gs = KERNEL_DS;
	t->esp0 = (u32)kernel_stack0_top;
	t->ss0 = KERNEL_DS;
	t->io_map = sizeof(*t);
	t->cr3 = cr3_get();
}

/* What the hook of #TS and #GP finds in the task that failed; then the instruction is passed over. */
static u32 refused_vector, refused_error;
static u32 pass;
static int on_refusal(struct frame *f)
{
	refused_vector = f->vector;
	refused_error = f->error;
	f->ip += pass;
	return 1;
}

static void entry_b(void)
{
	look("B, called by A");
	/* all three are busy: nobody may be called or jumped to */
	pass = 6; /* a far transfer by a pointer */
	refused_vector = 0;
	__asm__ volatile("lcall *%0" ::"m"(to_a) : "memory");
	look("B, after a call of A that is refused");
	__asm__ volatile("iret");
	for (;;) {
		look("B, called again: after its iret");
		__asm__ volatile("iret");
	}
}

static void entry_a(void)
{
	for (;;) {
		look("A, called by the main task");
		__asm__ volatile("lcall *%0" ::"m"(to_b) : "memory");
		look("A, back from B");
		__asm__ volatile("iret");
		look("A, called again");
		/* A leaves by jmp: the main task, which A's link names, stays busy and cannot be jumped to */
		refused_vector = 0;
		__asm__ volatile("ljmp *%0" ::"m"(to_main) : "memory");
		look("A, after a jmp to the main task that is refused");
		__asm__ volatile("ljmp *%0" ::"m"(to_b) : "memory");
		look("A, jumped to by B");
		__asm__ volatile("iret");
	}
}

static void entry_b_jumps(void)
{
	look("B, jumped to by A");
	__asm__ volatile("ljmp *%0" ::"m"(to_a) : "memory");
	for (;;)
		__asm__ volatile("iret");
}

void guest_main(void)
{
	hooks[TS] = hooks[GP] = on_refusal;
	gdt[TASK_A / 8] = descriptor((u32)&task_a, 103, 0x89, 0);
	gdt[TASK_B / 8] = descriptor((u32)&task_b, 103, 0x89, 0);
	task_init(&task_a, entry_a, stack_a + sizeof(stack_a));
	task_init(&task_b, entry_b, stack_b + sizeof(stack_b));
	look("at first");
	__asm__ volatile("lcall *%0" ::"m"(to_a) : "memory", "eax", "ecx", "edx");
	look("back in the main task");
	show();
	print("the call that was refused: vector %x, error %x\n", (word)refused_vector,
		(word)refused_error);
	value("NT kept in A's flags", task_a.eflags & FLAG_NT);
	value("NT kept in B's flags", task_b.eflags & FLAG_NT);
	value("NT in the main task's saved flags", tss.eflags & FLAG_NT);

	task_init(&task_b, entry_b_jumps, stack_b + sizeof(stack_b));
	refused_vector = 0;
	__asm__ volatile("lcall *%0" ::"m"(to_a) : "memory", "eax", "ecx", "edx");
	look("back once more");
	show();
	print("the jmp that was refused: vector %x, error %x\n", (word)refused_vector,
		(word)refused_error);
}
