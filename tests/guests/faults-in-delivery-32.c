/* SPDX-License-Identifier: MIT */
/*
 * Events from CPL 3 whose stack the TSS names wrongly (AMD64 volume 2, 8.7.3; Intel volume 3, 6.12.1 and volume 2, INT n).
 * Who is told of it is a task of its own, since no other handler would have a stack either.
 */
#include "guest.h"

#define TASK(n) (GDT_FREE + 8 * (n)) /* #DF, #TS, #SS, #GP */
#define STACK_SEGMENT (GDT_FREE + 32)
#define VECTOR 0x50

static struct tss tasks[4];
static u8 task_stacks[4][1024], back_stack[64];
static const u8 task_vectors[4] = {DF, TS, SS, GP};
static u8 small_stack[4096] __attribute__((aligned(4096)));

/* In the task: what it is told, and the main task then goes on as TRY wants it. */
void told(word vector, word error);
void told(word vector, word error)
{
	word *stack = (word *)(back_stack + sizeof(back_stack)) - 2;

	__asm__ volatile("clts");
	trap.vector = vector;
	trap.error = error;
	trap.ip = tss.eip;
	trap.cs = tss.eflags & FLAG_VM ? 0 : tss.cs & 0xffff;
	recovery_armed = 0;
	stack[1] = (word)&recovery;
	tss.eip = (word)context_restore;
	tss.esp = (word)stack;
	tss.cs = KERNEL_CS;
	tss.ss = tss.ds = tss.es = KERNEL_DS;
	tss.fs = tss.gs = 0;
	tss.eflags = 2;
}
extern u8 told_0[], told_1[], told_2[], told_3[], user_int40[], user_ud2[], user_np[], user_wait[];
/* clang-format off */
__asm__(".text\n"
	"told_0: push $8; call told; iret\n"
	"told_1: push $10; call told; iret\n"
	"told_2: push $12; call told; iret\n"
	"told_3: push $13; call told; iret\n"
	".global vm86_enter\n"
	"vm86_enter: push $0; push $0; push $0; push $0; push $0x2500; push $0x0800; push $0x23002; push $0x2000; push $0; iret\n"
	".pushsection .user\n"
	"user_int40:" UCODE("int $0x40") "ret\n"
	"user_ud2:" UCODE("ud2") "ret\n"
	"user_np:" UCODE("mov %eax, %es") "ret\n"
	"user_wait:" UCODE("jmp 771b") "ret\n"
	".popsection");
/* clang-format on */
void vm86_enter(void);

static void tasks_init(void)
{
	static u8 *const entries[4] = {told_0, told_1, told_2, told_3};

	for (int i = 0; i < 4; i++) {
		struct tss *t = &tasks[i];

		fill(t, 0, sizeof(*t));
		t->eip = (word)entries[i];
		t->eflags = 2;
		t->esp = (word)task_stacks[i] + sizeof(task_stacks[i]);
		t->cs = KERNEL_CS;
		t->ss = t->ds = t->es = t->fs = t->gs = KERNEL_DS;
		t->io_map = sizeof(*t);
		gdt[TASK(i) / 8] = descriptor((u32)t, 103, 0x89, 0);
		gate_make(&idt[task_vectors[i]], GATE_TASK, 0, TASK(i), 0);
	}
}

static void attempt(const char *name, u8 *code, word argument)
{
	tasks_init();
	TRY_USER(code, argument, 0);
	/* before printing: a usable stack, and the usual gates */
	tss.ss0 = KERNEL_DS;
	tss.esp0 = (word)kernel_stack0_top;
	for (int i = 0; i < 4; i++)
		gate_make(&idt[task_vectors[i]], GATE_INT, 0, KERNEL_CS,
			vector_stub(task_vectors[i]));
	report(name);
}

static void stack(word ss0, word esp0)
{
	tss.ss0 = ss0;
	tss.esp0 = esp0;
}

static void test_stack_segments(const char *who, u8 *code)
{
	u64 data = gdt[KERNEL_DS / 8];
	static const struct {
		const char *name;
		u32 ss0;
		u64 clear;
	} rows[] = {
		{"the usual stack", KERNEL_DS, 0},
		{"null", 0, 0},
		{"null with rpl 3", 3, 0},
		{"past the table", 0x3f8, 0},
		{"in the absent local table", KERNEL_DS | 4, 0},
		{"rpl 3", KERNEL_DS | 3, 0},
		{"dpl 3", USER_DS, 0},
		{"code", KERNEL_CS, 0},
		{"the task's segment", TSS_SELECTOR, 0},
		{"not writable", STACK_SEGMENT, 1ull << 41},
		{"absent", STACK_SEGMENT, 1ull << 47},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gdt[STACK_SEGMENT / 8] = data & ~rows[i].clear;
		stack(rows[i].ss0, (word)kernel_stack0_top);
		print("%s, ss0 ", who);
		attempt(rows[i].name, code, 0);
	}
}

/* A stack with room for so many bytes: what is below its base does not exist. */
static void room(const char *name, u8 *code, word argument, word bytes)
{
	/* grows down from 0x1000: offsets above 0xfff - bytes are within its limit */
	gdt[STACK_SEGMENT / 8] = descriptor((u32)small_stack, 0x1000 - bytes - 1, 0x97, 4);
	stack(STACK_SEGMENT, 0x1000);
	print("room for %d bytes: ", (int)bytes);
	attempt(name, code, argument);
}

void guest_main(void)
{
	gate_make(&idt[0x40], GATE_INT, 3, KERNEL_CS, vector_stub(0x40));
	test_stack_segments("int", user_int40);
	test_stack_segments("ud2", user_ud2);

	/* an interrupt from outside */
	apic_enable();
	hooks[VECTOR] = NULL;
	tasks_init();
	stack(0, 0);
	apic_write(0x310, 0);
	apic_write(0x300, 0x40000 | VECTOR);
	TRY(user_enter_flags(user_wait, 0, 0, FLAG_IF | 2, USER_CS | 3, USER_DS | 3));
	stack(KERNEL_DS, (word)kernel_stack0_top);
	report("interrupt, ss0 null");
	apic_write(0xb0, 0);

	/* the room that the frame needs: 20 bytes, 24 with an error code; the stub's first push is one more word */
	gdt[0x1f0 / 8] = gdt[USER_DS / 8] & ~(1ull << 47);
	room("int", user_int40, 0, 19);
	room("int, and the handler's first push has none", user_int40, 0, 20);
	room("#NP", user_np, 0x1f3, 23);
	room("#NP, and the handler's first push has none", user_np, 0x1f3, 24);
	/* from virtual-8086 mode 36 bytes */
	*(volatile u16 *)0x20000 = 0x40cd;
	for (word bytes = 35; bytes <= 36; bytes++) {
		gdt[STACK_SEGMENT / 8] = descriptor((u32)small_stack, 0x1000 - bytes - 1, 0x97, 4);
		stack(STACK_SEGMENT, 0x1000);
		tasks_init();
		TRY(vm86_enter());
		stack(KERNEL_DS, (word)kernel_stack0_top);
		print("room for %d bytes: int in virtual-8086 mode: vector %x, error %x, %s\n",
			(int)bytes, trap.vector, trap.error,
			trap.ip == 0 ? "told in the mode" : "told in the handler");
	}
}
