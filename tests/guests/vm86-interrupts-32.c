/* SPDX-License-Identifier: MIT */
/*
 * Interrupts on the way into virtual-8086 mode, there, and out of it (AMD64 volume 2, 8.7.4 and IRET; Intel volume 3,
 * 21.3): what is pending is taken at once, the monitor's IRET goes back, segments are kept.
 */
#include "guest.h"

#define SEGMENT 0x2000
#define VECTOR 0x50
static u8 *const code = (u8 *)(SEGMENT << 4);

void vm86_enter(word flags, word ip);
/* clang-format off */
__asm__("vm86_enter: mov 4(%esp), %eax; mov 8(%esp), %edx\n"
	" push $0x2400; push $0x2300; push $0x2200; push $0x2100; push $0x2500; push $0x0800\n"
	" push %eax; push $0x2000; push %edx; iret");
/* clang-format on */

/* Every event on the way, in the order of their handlers. */
static struct {
	u8 vector;
	u8 vm;
	word ip, flags, ds, sp;
} events[16];
static volatile unsigned count;
static volatile int raise_again;
static int emulate; /* #GP of cli and sti: as a monitor does it, by the IF of the frame */

static void self(u32 icr_low)
{
	apic_write(0x310, 0);
	apic_write(0x300, 0x40000 | icr_low);
}

static void note(struct frame *f)
{
	if (count == 16)
		return;
	events[count].vector = (u8)f->vector;
	events[count].vm = (f->flags & FLAG_VM) != 0;
	events[count].ip = f->ip;
	events[count].flags = f->flags;
	events[count].ds = f->flags & FLAG_VM ? f->v86_ds & 0xffff : 0;
	events[count].sp = f->sp;
	count++;
}

static int on_vector(struct frame *f)
{
	note(f);
	apic_write(0xb0, 0);
	if (raise_again) {
		raise_again--;
		self(VECTOR + 1);
	}
	return 1;
}

static int on_debug(struct frame *f)
{
	note(f);
	dr6_set(0xffff0ff0);
	return count < 12;
}

static int on_gp(struct frame *f)
{
	u8 *at;

	if (!(f->flags & FLAG_VM) || !emulate)
		return 0;
	at = (u8 *)((f->cs << 4) + (f->ip & 0xffff));
	if (*at != 0xfa && *at != 0xfb)
		return 0;
	note(f);
	f->flags = *at == 0xfb ? f->flags | FLAG_IF : f->flags & ~FLAG_IF;
	f->ip++;
	return 1;
}

static void attempt(const char *name, const char *bytes, int length, word flags, int pending)
{
	copy(code, bytes, (size_t)length);
	code[length] = 0xf4; /* hlt: #GP(0) ends what came this far */
	count = 0;
	if (pending)
		self(VECTOR);
	TRY(vm86_enter(FLAG_VM | 2 | flags, 0));
	print("%s:", name);
	for (unsigned i = 0; i < count; i++) {
		print(" %x", (word)events[i].vector);
		if (events[i].vm)
			print(" at +%x%s%s", events[i].ip, events[i].flags & FLAG_IF ? " IF" : "",
				events[i].ds == 0x2200 ? "" : " ANOTHER DS");
		else
			print(" outside");
		if (events[i].vm && events[i].sp != 0x800)
			print(" sp %x", events[i].sp);
	}
	if (trap.vector == GP && trap.ip == (word)length)
		print(", then the end%s\n", trap.flags & FLAG_IF ? " with IF" : "");
	else
		print(", then %x(%x) at %x\n", trap.vector, trap.error, trap.ip);
	/* what is still pending */
	count = 0;
	__asm__ volatile("sti; nop; nop; cli" ::: "memory");
	if (count)
		print("  left pending: %x\n", (word)events[0].vector);
}
#define TEST(name, bytes, flags, pending) attempt(name, bytes, sizeof(bytes) - 1, flags, pending)
#define IOPL3 0x3000

void guest_main(void)
{
	apic_enable();
	hooks[VECTOR] = hooks[VECTOR + 1] = hooks[NMI] = on_vector;
	hooks[GP] = on_gp;
	hooks[DB] = on_debug;

	TEST("pending, IF 0", "\x90\x90", IOPL3, 1);
	TEST("pending, IF 1: at the first instruction", "\x90\x90", IOPL3 | FLAG_IF, 1);
	TEST("IOPL 0: the same", "\x90\x90", FLAG_IF, 1);
	raise_again = 1;
	TEST("another while that is handled: after its iret", "\x90\x90", FLAG_IF, 1);
	TEST("nothing pending", "\x90\x90", FLAG_IF, 0);
	TEST("sti: one instruction later", "\x90\xfb\x90\x90", IOPL3, 1);
	TEST("sti, cli", "\xfb\xfa\x90", IOPL3, 1);
	TEST("popf with IF: at once", "\x68\x02\x32\x9d\x90", IOPL3, 1);
	TEST("mov ss after sti: another one later", "\xb8\x00\x25\xfb\x8e\xd0\x90\x90", IOPL3, 1);
	/* iret in the mode: flags 0x202, cs 0x2000, ip 0x0a */
	TEST("iret with IF: at its target", "\x68\x02\x32\x0e\x68\x0a\x00\xcf\x90\x90\x90\x90",
		IOPL3, 1);
	TEST("int 0x51 by a gate of dpl 0", "\xcd\x51", IOPL3, 0);
	idt_set(VECTOR + 1, GATE_INT, 3, vector_stub(VECTOR + 1), 0);
	TEST("int 0x51 by one of dpl 3", "\xcd\x51\x90", IOPL3 | FLAG_IF, 0);
	TEST("int 0x51 with 0x50 pending", "\xcd\x51\x90", IOPL3 | FLAG_IF, 1);
	emulate = 1;
	TEST("IOPL 0: the monitor's sti", "\x90\xfb\x90\x90", 0, 1);
	TEST("IOPL 0: the monitor's cli, then sti", "\xfa\x90\xfb\x90", 0, 1);
	TEST("IOPL 0: popf is the monitor's", "\x68\x02\x32\x9d", 0, 1);
	emulate = 0;
	/* single step: each instruction, then the interrupt after its handler */
	TEST("single step", "\x90\x90", IOPL3 | FLAG_TF, 0);
	TEST("single step and pending: before the first", "\x90\x90", IOPL3 | FLAG_TF | FLAG_IF, 1);
	TEST("single step over sti", "\xfb\x90", IOPL3 | FLAG_TF, 1);
	TEST("RF in the monitor's iret", "\x90", IOPL3 | FLAG_RF, 0);
	/* an NMI that is pending when the monitor goes in */
	self(0x400);
	print("NMI outside: %d\n", (int)count);
	/* nested: the handler of the interrupt from the mode is interrupted itself, by a trap gate */
	idt_set(VECTOR, GATE_TRAP, 0, vector_stub(VECTOR), 0);
	raise_again = 1;
	TEST("handler by a trap gate, interrupted", "\x90\x90", IOPL3 | FLAG_IF, 1);
	idt_set(VECTOR, GATE_INT, 0, vector_stub(VECTOR), 0);
}
