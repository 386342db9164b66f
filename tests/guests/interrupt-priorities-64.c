/* SPDX-License-Identifier: MIT */
/*
 * What comes first when several things are due between two instructions: traps of the last instruction, NMI, interrupts,
 * breakpoints on the next, its faults (AMD64 volume 2, 8.5; Intel volume 3, 6.9).
 */
#include "guest.h"

#define VECTOR 0x50
#define LOW_VECTOR 0x40
#define DR6_CLEAR 0xffff0ff0ul

static struct {
	word vector, ip, dr6;
} events[16];
static volatile unsigned count;
static volatile u32 from_nmi[2];
static volatile word start;

static void self(u32 icr_low)
{
	apic_write(0x310, 0);
	apic_write(0x300, 0x40000 | icr_low);
}

static void note(struct frame *f)
{
	if (count < 16) {
		events[count].vector = f->vector;
		events[count].ip = f->ip;
		events[count].dr6 = dr6_get();
	}
	count++;
}

static int on_event(struct frame *f)
{
	note(f);
	if (f->vector == DB) {
		dr6_set(DR6_CLEAR);
		if (events[(count - 1) & 15].dr6 &
			2) /* a breakpoint on an instruction: go on past it */
			f->flags |= FLAG_RF;
	}
	if (f->vector == NMI && from_nmi[0]) {
		/* both become due while NMIs are blocked and IF is 0: this iret opens both */
		self(from_nmi[0]);
		self(from_nmi[1]);
		from_nmi[0] = 0;
	}
	if (f->vector == UD)
		f->ip += 2;
	if (f->vector >= 32)
		apic_write(0xb0, 0);
	return count < 16;
}

static void show(const char *name)
{
	print("%s:", name);
	for (unsigned i = 0; i < count && i < 16; i++) {
		word off = events[i].ip - start;

		print(" %x", events[i].vector);
		if (events[i].ip >= vector_stub(0) && events[i].ip < vector_stub(256))
			print(" at the handler of %x", (events[i].ip - vector_stub(0)) / 16);
		else if (off < 64)
			print(" +%d", (int)off);
		if (events[i].vector == DB)
			print("%s%s%s", events[i].dr6 & 0x4000 ? " BS" : "",
				events[i].dr6 & 1 ? " B0" : "", events[i].dr6 & 2 ? " B1" : "");
	}
	print("%s\n", count ? "" : " none");
	count = 0;
	dr7_set(0x400);
	dr6_set(DR6_CLEAR);
	__asm__ volatile("sti; nop; nop; cli" ::: "memory");
	if (count)
		print("  left pending: %x\n", events[0].vector);
	count = 0;
}

/* Label 1 is where offsets count from. */
#define RUN(name, text, ...)                                                     \
	do {                                                                     \
		__asm__ volatile("lea 1f(%%rip), %%rbx; mov %%rbx, start\n" text \
				 "\n nop; nop; cli" ::__VA_ARGS__                \
				 : "memory", "cc", "rbx", "rcx");                \
		show(name);                                                      \
	} while (0)
#define PUSH_FLAGS(v) "push $" #v "; popf\n"
#define NO_TF "pushf; andq $~0x100, (%%rsp); popf; nop\n"

static volatile u64 data;

void guest_main(void)
{
	apic_enable();
	for (int i = 0; i < 0x60; i++)
		hooks[i] = i == PF || i == GP || i == DF ? NULL : on_event;
	dr6_set(DR6_CLEAR);
	volatile u32 *icr = (volatile u32 *)0xfee00300ul;

	/* interrupts by their vectors' priority */
	self(LOW_VECTOR);
	self(VECTOR);
	RUN("two interrupts", "sti; nop\n 1: nop");
	/* an NMI and an interrupt due at one IRET */
	from_nmi[0] = 0x400;
	from_nmi[1] = VECTOR;
	__asm__ volatile(
		"lea 2f(%%rip), %%rbx; mov %%rbx, start; sti; mov $1000, %%ecx; movl %1, (%0)\n 2: loop 2b; cli" ::
			"r"(icr),
		"r"(0x40400)
		: "rbx", "rcx", "memory");
	show("NMI and interrupt after the NMI's iret");
	/* the trap of an instruction that makes an NMI due */
	RUN("step, and an NMI by the stepped instruction",
		PUSH_FLAGS(0x102) "movl %1, (%0)\n1: nop\n" NO_TF, "r"(icr), "r"(0x40400));
	/* popf sets TF and IF with an interrupt pending: no trap yet, TF was 0; the interrupt is at once */
	self(VECTOR);
	RUN("interrupt at popf that sets TF and IF", PUSH_FLAGS(0x302) "1: nop\n" NO_TF);
	/* sti under TF: the trap after it comes in its shadow, and ends that */
	self(VECTOR);
	RUN("step over sti with an interrupt pending",
		PUSH_FLAGS(0x102) "1: sti\n nop\n nop\n" NO_TF);
	/* the data breakpoint of the last instruction, the interrupt, the breakpoint on the next */
	dr0_set((word)&data);
	dr7_set(0x400 | 1 | 0x1 << 16); /* writes of one byte */
	RUN("data breakpoint, and an NMI by hand after it",
		"movb $1, data\n 1: mov $1000, %%ecx; movl %1, (%0)\n 2: loop 2b", "r"(icr),
		"r"(0x40400));
	/* an interrupt pending at an instruction with a breakpoint: the interrupt first, then the breakpoint */
	self(VECTOR);
	__asm__ volatile("lea 3f(%%rip), %%rax; mov %%rax, %%dr1" ::: "rax");
	dr7_set(0x400 | 4);
	__asm__ volatile(
		"lea 3f(%%rip), %%rbx; mov %%rbx, start; push $0x202; popf\n 3: nop; nop; cli" ::
			: "rbx", "memory");
	show("interrupt and breakpoint on the next instruction");
	__asm__ volatile("lea 4f(%%rip), %%rax; mov %%rax, %%dr1" ::: "rax");
	dr7_set(0x400 | 4);
	__asm__ volatile(
		"lea 4f(%%rip), %%rbx; mov %%rbx, start; movl %1, (%0)\n 4: nop; nop" ::"r"(icr),
		"r"(0x40400)
		: "rbx", "memory");
	show("NMI and breakpoint on the next instruction");
	/* a breakpoint on an instruction that faults itself */
	__asm__ volatile("lea 5f(%%rip), %%rax; mov %%rax, %%dr1" ::: "rax");
	dr7_set(0x400 | 4);
	__asm__ volatile("lea 5f(%%rip), %%rbx; mov %%rbx, start; nop\n 5: ud2; nop" ::
				 : "rbx", "memory");
	show("breakpoint on ud2");
	/* a step into it: the trap of the last instruction and the breakpoint on the next are two */
	__asm__ volatile("lea 6f(%%rip), %%rax; mov %%rax, %%dr1" ::: "rax");
	dr7_set(0x400 | 4);
	__asm__ volatile(
		"lea 6f(%%rip), %%rbx; mov %%rbx, start; push $0x102; popf; nop\n 6: nop; nop\n" NO_TF ::
			: "rbx", "memory");
	show("step to an instruction with a breakpoint");
	/* an interrupt pending while ud2 is the next instruction */
	self(VECTOR);
	RUN("interrupt pending at ud2", PUSH_FLAGS(0x202) "1: ud2");
	self(VECTOR);
	RUN("interrupt pending in a shadow at ud2: the fault first", "sti\n 1: ud2");
	self(VECTOR);
	RUN("interrupt pending at hlt in a shadow", "sti\n hlt\n 1: nop");
	/* an exception's handler opens nothing: the interrupt waits for its iret */
	self(VECTOR);
	RUN("int3 with an interrupt pending, IF 0", "int3\n 1: nop; sti; nop");
}
