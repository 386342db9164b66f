/* SPDX-License-Identifier: MIT */
/*
 * Task switches (AMD64 volume 2, 12; Intel volume 3, 7): by jmp, call, int and iret; busy bits, NT,
 * links, T, #TS.
 */
#include "guest.h"

#define TASK_A (GDT_FREE)
#define TASK_B (GDT_FREE + 8)
#define TASK_GATE (GDT_FREE + 16)
#define TASK16 (GDT_FREE + 24)
#define BAD (GDT_FREE + 32)
#define LDT_A (GDT_FREE + 40)

struct tss task_a, task_b;
static struct {
	u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs,
		ss, ds, ldt;
} task16;
static u8 stack_a[2048], stack_b[2048], stack16[2048];
static struct {
	u32 offset;
	u16 selector;
} __attribute__((packed)) far;
volatile u32 seen_tr, seen_flags, seen_eax, seen_link, seen_busy, seen_main_busy, seen_cr0,
	seen_esp, seen_edi, seen_es, seen_error;

static u32 access_of(u16 selector)
{
	return gdt[selector / 8] >> 40 & 0xff;
}

static void task_init(struct tss *t, void *entry, u8 *stack_top)
{
	fill(t, 0, sizeof(*t));
	t->eip = (u32)entry;
	t->eflags = 2;
	t->esp = (u32)stack_top;
	t->cs = KERNEL_CS;
	t->ss = t->ds = t->es = t->fs = t->gs = KERNEL_DS;
	t->esp0 = (u32)kernel_stack0_top;
	t->ss0 = KERNEL_DS;
	t->io_map = sizeof(*t);
	t->eax = 0xa0a0a0a0;
	t->edi = 0xd1d1d1d1;
	t->cr3 = cr3_get();
}

static void descriptors(void)
{
	gdt[TASK_A / 8] = descriptor((u32)&task_a, 103, 0x89, 0);
	gdt[TASK_B / 8] = descriptor((u32)&task_b, 103, 0x89, 0);
	gdt[TASK_GATE / 8] = (u64)TASK_A << 16 | 0xe5ull << 40;
	gdt[TSS_SELECTOR / 8] = (gdt[TSS_SELECTOR / 8] & ~(0xffull << 40)) | 0x8bull << 40;
}

/* What a task sees; it goes back by what it is told in seen_how. */
void task_look(void);
void task_look(void)
{
	u16 tr;

	__asm__ volatile("str %0" : "=m"(tr));
	seen_tr = tr;
	seen_busy = access_of(tr);
	seen_main_busy = access_of(TSS_SELECTOR);
	seen_link = ((struct tss *)(tr == TASK_A ? &task_a : &task_b))->link;
	seen_cr0 = cr0_get() & CR0_TS;
	__asm__ volatile("clts");
}
extern u8 task_by_iret[], task_by_jmp[], task_error[];
/* clang-format off */
__asm__(".text\n"
	"task_by_iret: pushf; pop seen_flags; mov %eax, seen_eax; mov %esp, seen_esp; mov %edi, seen_edi; mov %es, seen_es\n"
	" call task_look; mov $0x77, %eax; iret\n"
	" pushf; pop seen_flags; movl $0x1234, seen_eax; call task_look; iret\n"
	"task_by_jmp: pushf; pop seen_flags; mov %eax, seen_eax; call task_look; ljmp $0x30, $0\n"
	" jmp task_by_jmp\n"
	"task_error: pop seen_error; pushf; pop seen_flags; call task_look; iret; jmp task_error\n");
/* clang-format on */

static void show(const char *name)
{
	print("%s: tr %x, its descriptor %x, the main task's %x, link %x, NT %x, CR0.TS %x\n", name,
		seen_tr, seen_busy, seen_main_busy, seen_link, seen_flags & FLAG_NT, seen_cr0);
	print("%s afterwards: main %x, other %x, NT %x, TS %x\n", name, access_of(TSS_SELECTOR),
		access_of(TASK_A), flags_get() & FLAG_NT, cr0_get() & CR0_TS);
	__asm__ volatile("clts");
	seen_tr = seen_busy = seen_link = seen_flags = seen_main_busy = 0;
}

static void refused(const char *name, u16 selector)
{
	far.selector = selector;
	TRY(__asm__ volatile(CODE("lcall *%0")::"m"(far) : "memory"));
	report(name);
}

void guest_main(void)
{
	descriptors();
	task_init(&task_a, task_by_iret, stack_a + sizeof(stack_a));
	far.selector = TASK_A;
	__asm__ volatile("mov $0x11223344, %%esi; lcall *%0" ::"m"(far) : "memory", "esi");
	show("call");
	value("call: eax from the TSS", seen_eax);
	value("call: edi from the TSS", seen_edi);
	value("call: es from the TSS", seen_es);
	check("call: esp from the TSS", seen_esp == (u32)stack_a + sizeof(stack_a));
	value("call: esi saved in the old TSS", tss.esi);
	value("call: old cs saved", tss.cs);
	value("call: eax saved by iret", task_a.eax);
	value("call: the link stays", task_a.link);
	value("call: NT saved by iret in the other's flags", task_a.eflags & FLAG_NT);
	/* it goes on where it was */
	__asm__ volatile("lcall *%0" ::"m"(far) : "memory", "eax");
	value("second call goes on after the iret", seen_eax);
	show("second call");

	descriptors();
	task_init(&task_a, task_by_jmp, stack_a + sizeof(stack_a));
	task_a.eflags = 2;
	__asm__ volatile("ljmp *%0" ::"m"(far) : "memory");
	show("jmp");

	/* through a task gate, by call and by int; a gate's privilege counts, not the TSS's */
	descriptors();
	task_init(&task_a, task_by_iret, stack_a + sizeof(stack_a));
	far.selector = TASK_GATE;
	__asm__ volatile("lcall *%0" ::"m"(far) : "memory");
	show("call by a task gate");
	task_init(&task_a, task_by_iret, stack_a + sizeof(stack_a));
	gate_make(&idt[0x40], GATE_TASK, 3, TASK_A, 0);
	__asm__ volatile("int $0x40");
	show("int by a task gate");
	extern u8 user_int40[];
	task_init(&task_a, task_by_iret, stack_a + sizeof(stack_a));
	TRY_USER(user_int40, 0, 0);
	report("int by a task gate from CPL 3");
	show("int from CPL 3");

	/* an exception by a task gate: its error code is on the new task's stack */
	task_init(&task_a, task_error, stack_a + sizeof(stack_a));
	gate_make(&idt[GP], GATE_TASK, 0, TASK_A, 0);
	/* the handler returns to the instruction, which is right the second time */
	gdt[BAD / 8] = 0;
	static volatile u32 bad = BAD;
	seen_error = 0xffff;
	extern void fix_bad(void);
	task_init(&task_b, task_error, stack_b + sizeof(stack_b));
	task_a.eip = (u32)fix_bad;
	__asm__ volatile("mov %0, %%fs" ::"r"(bad));
	value("#GP by a task gate: error code", seen_error);
	show("#GP by a task gate");
	gate_make(&idt[GP], GATE_INT, 0, KERNEL_CS, vector_stub(GP));

	/* refused before the switch: told in the old task */
	descriptors();
	gdt[TASK_A / 8] |= 2ull << 40;
	refused("busy task", TASK_A);
	descriptors();
	gdt[TASK_A / 8] &= ~(1ull << 47);
	refused("absent task", TASK_A);
	descriptors();
	gdt[TASK_A / 8] = descriptor((u32)&task_a, 102, 0x89, 0);
	refused("limit of 102", TASK_A);
	descriptors();
	refused("a selector of rpl 3 to a TSS of dpl 0", TASK_A | 3);
	refused("past the table", 0x3f8);
	gdt[TASK_GATE / 8] = (u64)KERNEL_DS << 16 | 0xe5ull << 40;
	refused("task gate to a data segment", TASK_GATE);
	gdt[TASK_GATE / 8] = 0xe5ull << 40;
	refused("task gate with a null selector", TASK_GATE);
	gdt[TASK_GATE / 8] = (u64)(TASK_A | 4) << 16 | 0xe5ull << 40;
	refused("task gate into the local table", TASK_GATE);
	gdt[TASK_GATE / 8] = (u64)TASK_A << 16 | 0x65ull << 40;
	refused("absent task gate", TASK_GATE);
	descriptors();
	value("nothing has changed: main task's descriptor", access_of(TSS_SELECTOR));
	flags_set(FLAG_NT | 2);
	tss.link = TASK_A;
	TRY(__asm__ volatile("pushl $0x4002; popf\n" CODE("iret")::: "memory"));
	report("iret with NT to a task that is not busy");
	tss.link = 0;
	TRY(__asm__ volatile("pushl $0x4002; popf\n" CODE("iret")::: "memory"));
	report("iret with NT and a null link");
	tss.link = 0x3f8;
	TRY(__asm__ volatile("pushl $0x4002; popf\n" CODE("iret")::: "memory"));
	report("iret with NT and a link past the table");

	/*
	 * refused after the switch: told in the new task, at its first instruction, as #TS, #NP or
	 * #SS with the selector
	 */
	static const struct {
		const char *name;
		u32 cs, ss, ds, ldt;
	} bad_tasks[] = {
		{"new task: null ss", KERNEL_CS, 0, KERNEL_DS, 0},
		{"new task: ss past the table", KERNEL_CS, 0x3f8, KERNEL_DS, 0},
		{"new task: ss of rpl 3", KERNEL_CS, KERNEL_DS | 3, KERNEL_DS, 0},
		{"new task: ss of code", KERNEL_CS, KERNEL_CS, KERNEL_DS, 0},
		{"new task: null cs", 0, KERNEL_DS, KERNEL_DS, 0},
		{"new task: cs of data", KERNEL_DS, KERNEL_DS, KERNEL_DS, 0},
		{"new task: cs past the table", 0x3f8, KERNEL_DS, KERNEL_DS, 0},
		{"new task: ds past the table", KERNEL_CS, KERNEL_DS, 0x3f8, 0},
		{"new task: ds of the task", KERNEL_CS, KERNEL_DS, TSS_SELECTOR, 0},
		{"new task: local table of data", KERNEL_CS, KERNEL_DS, KERNEL_DS, KERNEL_DS},
		{"new task: local table past the table", KERNEL_CS, KERNEL_DS, KERNEL_DS, 0x3f8},
	};
	for (unsigned i = 0; i < sizeof(bad_tasks) / sizeof(bad_tasks[0]); i++) {
		descriptors();
		task_init(&task_a, task_by_iret, stack_a + sizeof(stack_a));
		task_a.cs = bad_tasks[i].cs;
		task_a.ss = bad_tasks[i].ss;
		task_a.ds = bad_tasks[i].ds;
		task_a.ldt = bad_tasks[i].ldt;
		/* the handler is a third task: the broken one has no stack to speak of */
		task_init(&task_b, task_error, stack_b + sizeof(stack_b));
		extern void broken_told(void);
		task_b.eip = (u32)broken_told;
		for (int v = TS; v <= GP; v++)
			gate_make(&idt[v], GATE_TASK, 0, TASK_B, 0);
		far.selector = TASK_A;
		seen_error = 0xffff;
		__asm__ volatile("ljmp *%0" ::"m"(far) : "memory");
		print("%s: error %x, told in task %x\n", bad_tasks[i].name, seen_error, seen_link);
		for (int v = TS; v <= GP; v++)
			gate_make(&idt[v], GATE_INT, 0, KERNEL_CS, vector_stub(v));
	}

	/* the T bit: a debug trap before the new task's first instruction */
	descriptors();
	task_init(&task_a, task_by_iret, stack_a + sizeof(stack_a));
	task_a.trap = 1;
	far.selector = TASK_A;
	dr6_set(0xffff0ff0);
	TRY(__asm__ volatile("ljmp *%0" ::"m"(far) : "memory"));
	print("T bit: ");
	if (trap.vector == DB)
		print("#DB %s, dr6 %x\n",
			trap.ip == (u32)task_by_iret ? "at the first instruction" : "elsewhere",
			dr6_get() & 0xe00f);
	else
		report_trap(), print("\n");
	dr6_set(0xffff0ff0);
	/* we are in task A now: the main one again */
	descriptors();
	gdt[TSS_SELECTOR / 8] = (gdt[TSS_SELECTOR / 8] & ~(0xffull << 40)) | 0x89ull << 40;
	__asm__ volatile("ltr %w0" ::"r"(TSS_SELECTOR));

	/* a 16-bit task */
	descriptors();
	fill(&task16, 0, sizeof(task16));
	extern u8 task16_entry[];
	gdt[BAD / 8] = descriptor((u32)task16_entry, 0xffff, 0x9b, FLAGS_16);
	task16.ip = 0;
	task16.flags = 2;
	task16.cs = BAD;
	task16.ss = DATA16;
	gdt[LDT_A / 8] = descriptor((u32)stack16, 0xffff, 0x93, 0);
	task16.ss = LDT_A;
	task16.sp = sizeof(stack16);
	task16.ds = task16.es = KERNEL_DS;
	task16.ax = 0x1616;
	gdt[TASK16 / 8] = descriptor((u32)&task16, 43, 0x81, 0);
	far.selector = TASK16;
	seen_eax = seen_esp = 0xffffffff;
	__asm__ volatile("mov $0x5555aaaa, %%ecx; lcall *%0" ::"m"(far) : "memory", "eax", "ecx");
	value("16-bit task: ax", seen_eax & 0xffff);
	value("16-bit task: sp", seen_esp & 0xffff);
	value("16-bit task: link", task16.link);
	value("16-bit task: descriptor afterwards", access_of(TASK16));
	value("16-bit task: main task's cx comes back", tss.ecx);
}
/* clang-format off */
__asm__(".pushsection .user\nuser_int40: int $0x40; ret\n.popsection\n"
	".text\n"
	/* makes the selector that failed a good one, then returns to it */
	"fix_bad: pop seen_error; pushf; pop seen_flags; call task_look; movl gdt + 16, %eax; movl %eax, gdt + 0x80\n"
	" movl gdt + 20, %eax; movl %eax, gdt + 0x84; iret\n"
	"broken_told: pop seen_error; mov task_b, %eax; mov %eax, seen_link; ljmp $0x30, $0\n"
	"	.code16\n"
	"task16_entry: mov $seen_eax, %ebx; mov %eax, (%ebx); mov $seen_esp, %ebx; mov %esp, (%ebx); iret\n"
	"	.code32\n");
/* clang-format on */
