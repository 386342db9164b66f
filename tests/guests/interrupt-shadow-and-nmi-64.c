/* SPDX-License-Identifier: MIT */
/*
 * When interrupts and NMIs are taken: after sti and mov ss, by popf, at once by iret; NMIs blocked
 * until iret; IST.
 */
#include "guest.h"

#define VECTOR 0x50
static volatile word hits, last_ip, last_sp, last_flags;

static int on_interrupt(struct frame *f)
{
	hits++;
	last_ip = f->ip;
	last_sp = (word)f;
	last_flags = flags_get();
	apic_write(0xb0, 0);
	return 1;
}

static void self(u32 icr_low)
{
	apic_write(0x310, 0);
	apic_write(0x300, 0x40000 | icr_low);
}

/*
 * With an interrupt pending and IF 0, runs text and tells how many times and where it came; label 1
 * is offset 0.
 */
#define PENDING(name, text)                                                    \
	do {                                                                   \
		word start;                                                    \
		hits = 0;                                                      \
		self(VECTOR);                                                  \
		__asm__ volatile("lea 1f(%%rip), %0\n 1:" text "\n nop; cli"   \
				 : "=r"(start)::"memory", "cc", "rax", "rcx"); \
		print("%s: %d", name, (int)hits);                              \
		if (hits)                                                      \
			print(" +%d", (int)(last_ip - start));                 \
		print("\n");                                                   \
		__asm__ volatile("sti; nop; nop; cli");                        \
	} while (0)

static volatile int nmi_count, nmi_inner, nmi_depth, nmi_max;
static int on_nmi(struct frame *f)
{
	nmi_count++;
	if (++nmi_depth > nmi_max)
		nmi_max = nmi_depth;
	if (nmi_count == 1) {
		/* two more while one is handled: one is remembered, and it waits for iret */
		self(0x400);
		self(0x400);
		for (volatile int i = 0; i < 1000; i++)
			;
		nmi_inner = nmi_count;
	}
	last_sp = (word)f;
	nmi_depth--;
	return 1;
}

static int skip_ud(struct frame *f)
{
	f->ip += 2;
	return 1;
}

/* The inner iret of another exception ends the blocking, though the NMI's handler still runs. */
static int on_nmi_with_fault(struct frame *f)
{
	nmi_count++;
	if (nmi_count == 1) {
		self(0x400);
		nmi_inner = nmi_count;
		__asm__ volatile("ud2");
		nmi_max = nmi_count;
	}
	return 1;
}

USER static word user_spin(word a, word b)
{
	while (!*(volatile word *)user_stack)
		;
	return 7;
}

static int release_user(struct frame *f)
{
	hits++;
	last_ip = f->cs;
	last_sp = (word)f;
	*(volatile word *)user_stack = 1;
	apic_write(0xb0, 0);
	return 1;
}

void guest_main(void)
{
	static u8 stacks[3][4096] __attribute__((aligned(16)));

	apic_enable();
	hooks[VECTOR] = on_interrupt;

	PENDING("cli", "cli");
	PENDING("sti: one instruction later", "sti; nop; nop");
	PENDING("sti; cli: never", "sti; cli");
	PENDING("sti; sti: the second has no shadow", "sti; sti; nop; nop");
	PENDING("popf: at once", "push $0x202; popf; nop");
	PENDING("iretq: at once",
		"mov %%ss, %%eax; mov %%rsp, %%rcx; push %%rax; push %%rcx; push $0x202; mov %%cs, %%eax; push %%rax; "
		"lea 2f(%%rip), %%rax; push %%rax; iretq; 2: nop; nop");
	PENDING("popf; mov ss: at popf",
		"mov %%ss, %%eax; push $0x202; popf; mov %%eax, %%ss; nop");
	PENDING("sti; hlt: wakes", "sti; hlt; nop");

	/* with IF 1 an interrupt comes by itself */
	hits = 0;
	__asm__ volatile("sti");
	self(VECTOR);
	for (volatile int i = 0; i < 1000; i++)
		;
	__asm__ volatile("cli");
	value("self-IPI with IF 1: taken", hits);

	/* gates: interrupt gates clear IF, trap gates do not; TF, NT and RF are cleared by both */
	self(VECTOR);
	__asm__ volatile("sti; nop; nop; cli");
	value("IF in the handler of an interrupt gate", last_flags & FLAG_IF);
	idt_set(VECTOR, GATE_TRAP, 0, vector_stub(VECTOR), 0);
	self(VECTOR);
	__asm__ volatile("sti; nop; nop; cli");
	value("IF in the handler of a trap gate", last_flags & FLAG_IF);
	idt_set(VECTOR, GATE_INT, 0, vector_stub(VECTOR), 0);

	/* stacks: rsp is aligned to 16, then five words are pushed; IST is used from any level */
	__asm__ volatile("mov %%rsp, %%rcx; lea -8(%%rsp), %%rsp; int $0x50; mov %%rcx, %%rsp" ::
				 : "rcx", "memory");
	value("the frame's alignment at the same level", (last_sp + sizeof(struct frame)) & 15);
	tss.ist[2] = (word)stacks[0] + 4096;
	idt[VECTOR].flags |= 3;
	__asm__ volatile("int $0x50");
	value("IST 3: distance from its top",
		(word)stacks[0] + 4096 - last_sp - sizeof(struct frame));
	tss.ist[2] -= 7;
	__asm__ volatile("int $0x50");
	value("IST 3 not aligned: distance from its top",
		(word)stacks[0] + 4096 - last_sp - sizeof(struct frame));
	tss.ist[2] += 7;
	/* from CPL 3, an interrupt takes rsp0, or IST */
	hooks[VECTOR] = release_user;
	for (int ist = 0; ist < 2; ist++) {
		idt[VECTOR].flags = (u16)((idt[VECTOR].flags & ~7) | (ist ? 3 : 0));
		*(volatile word *)user_stack = 0;
		hits = 0;
		self(VECTOR);
		TRY(user_enter_flags(user_spin, 0, 0, 0x202, USER_CS | 3, USER_DS | 3));
		print("interrupt at CPL 3: %d taken, cs %x, user went on to %x, on %s\n", (int)hits,
			last_ip, trap.ax,
			last_sp >= (word)stacks[0] && last_sp < (word)stacks[0] + 4096 ? "the IST"
										       : "rsp0");
	}
	idt[VECTOR].flags &= (u16)~7;
	hooks[VECTOR] = on_interrupt;

	/* NMI: not masked by IF */
	hooks[NMI] = on_nmi;
	tss.ist[1] = (word)stacks[1] + 4096;
	idt[NMI].flags |= 2;
	self(0x400);
	for (volatile int i = 0; i < 1000; i++)
		;
	value("NMIs in all", (word)nmi_count);
	value("NMIs seen inside the first handler", (word)nmi_inner);
	value("nesting", (word)nmi_max);
	check("NMI on its IST", last_sp >= (word)stacks[1] && last_sp < (word)stacks[1] + 4096);
	/* the inner NMI must not come on the same stack: no IST, for once */
	idt[NMI].flags &= (u16)~7;
	hooks[NMI] = on_nmi_with_fault;
	hooks[UD] = skip_ud;
	nmi_count = nmi_inner = nmi_max = 0;
	self(0x400);
	for (volatile int i = 0; i < 1000; i++)
		;
	value("NMIs before the inner iret", (word)nmi_inner);
	value("NMIs after the inner iret", (word)nmi_max);
	nmi_count = 1;
	hooks[UD] = NULL;
	self(0x400);
	for (volatile int i = 0; i < 1000; i++)
		;
	value("NMI with IF 0", (word)nmi_count);
}
