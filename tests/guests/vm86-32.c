/* SPDX-License-Identifier: MIT */
/*
 * Virtual-8086 mode: what depends on IOPL, what is refused, and what its monitor finds (AMD64
 * volume 2, 1.3.2 and 8.7.4).
 */
#include "guest.h"

#define SEGMENT 0x2000
static u8 *const code = (u8 *)(SEGMENT << 4);
static word seen_segments[8], seen_nulls;

void vm86_enter(word flags, word ip);
/* clang-format off */
__asm__("vm86_enter: mov 4(%esp), %eax; mov 8(%esp), %edx\n"
	" push $0x2400; push $0x2300; push $0x2200; push $0x2100; push $0x2500; push $0x0800\n"
	" push %eax; push $0x2000; push %edx; iret");
/* clang-format on */

static int on_any(struct frame *f)
{
	seen_segments[0] = f->v86_es & 0xffff;
	seen_segments[1] = f->v86_ds & 0xffff;
	seen_segments[2] = f->v86_fs & 0xffff;
	seen_segments[3] = f->v86_gs & 0xffff;
	seen_segments[4] = f->ss & 0xffff;
	seen_segments[5] = f->sp;
	seen_segments[6] = f->cs & 0xffff;
	seen_segments[7] = f->flags;
	seen_nulls = (f->ds | f->es | f->fs | f->gs) & 0xffff;
	return 0;
}

static void attempt(const char *name, int iopl, const char *bytes, int length)
{
	copy(code, bytes, (size_t)length);
	code[length] = 0xf4; /* hlt: #GP(0) ends what came this far */
	TRY(vm86_enter(FLAG_VM | 2 | (word)iopl << 12, 0));
	print("%s, IOPL %d: ", name, iopl);
	if (trap.vector == GP && trap.error == 0 && trap.ip == (word)length)
		print("ok flags %x\n", trap.flags);
	else if (trap.vector == GP || trap.vector == NP || trap.vector == SS)
		print("%s(%x) at %x\n",
			trap.vector == GP	    ? "#GP"
				: trap.vector == NP ? "#NP"
						    : "#SS",
			trap.error, trap.ip);
	else
		print("vector %x at %x\n", trap.vector, trap.ip);
}
#define TEST(name, bytes)                                   \
	do {                                                \
		attempt(name, 0, bytes, sizeof(bytes) - 1); \
		attempt(name, 3, bytes, sizeof(bytes) - 1); \
	} while (0)

void guest_main(void)
{
	for (int i = 0; i < 256; i++)
		hooks[i] = on_any;
	idt_set(0x40, GATE_INT, 3, vector_stub(0x40), 0);
	TEST("nothing", "");
	for (int i = 0; i < 8; i++)
		print("pushed segment %d: %x\n", i, seen_segments[i]);
	value("ds, es, fs, gs in the monitor", seen_nulls);
	TEST("cli", "\xfa");
	TEST("sti", "\xfb");
	TEST("pushf, pop ax", "\x9c\x58");
	TEST("popf of 0x7ed7", "\x68\xd7\x7e\x9d");
	TEST("popfd with VM, RF", "\x66\x68\xd7\x7e\x03\x00\x66\x9d");
	TEST("int 0x40 with gate DPL 3", "\xcd\x40");
	TEST("int 0x41 with gate DPL 0", "\xcd\x41");
	TEST("int3", "\xcc");
	TEST("into", "\xb0\x7f\xfe\xc0\xce");
	TEST("icebp", "\xf1");
	TEST("iret", "\x9c\x0e\x68\x08\x00\xcf\x90\x90");
	TEST("in al, 0x80, refused by the bitmap", "\xe4\x80");
	tss.io_bitmap[0x80 / 8] &= 0xfe;
	TEST("in al, 0x80, allowed by the bitmap", "\xe4\x80");
	TEST("mov eax, cr0", "\x0f\x20\xc0");
	TEST("smsw ax", "\x0f\x01\xe0");
	TEST("lmsw ax", "\x0f\x01\xf0");
	TEST("clts", "\x0f\x06");
	TEST("lgdt", "\x0f\x01\x16\x00\x00");
	TEST("sgdt", "\x0f\x01\x06\x00\x01");
	TEST("sldt ax", "\x0f\x00\xc0");
	TEST("ltr ax", "\x0f\x00\xd8");
	TEST("arpl", "\x63\xc0");
	TEST("lar", "\x0f\x02\xc0");
	TEST("rdmsr", "\x0f\x32");
	TEST("sysexit", "\x0f\x35");
	TEST("div by zero", "\x31\xc0\xf6\xf0");
	TEST("ud2", "\x0f\x0b");
	TEST("word at 0xffff", "\xa1\xff\xff");
	TEST("byte at 0xffff", "\xa0\xff\xff");
	TEST("32-bit address past 64 KiB", "\x66\xbb\x00\x00\x01\x00\x67\x8a\x03");
	TEST("mov ds, mov es, push, pop", "\xb8\x34\x12\x8e\xd8\x8e\xc0\x50\x5b");
	TEST("far jmp to another segment of the same byte",
		"\xea\x15\x00\xff\x1f\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90");
	/* a gate to another level than 0 */
	gdt[GDT_FREE / 8] = gdt[USER_CS32 / 8];
	idt_set(0x40, GATE_INT, 3, vector_stub(0x40), 0);
	idt[0x40].selector = GDT_FREE | 3;
	TEST("int 0x40 by a gate to level 3", "\xcd\x40");
	gdt[GDT_FREE / 8] = descriptor(0, 0xfffff, 0x9f, FLAGS_32);
	idt[0x40].selector = GDT_FREE;
	TEST("int 0x40 by a gate to conforming code of level 0", "\xcd\x40");
	/* popf in the monitor does not enter the mode; iret at CPL 3 does not, either */
	flags_set(FLAG_VM | 2);
	value("popf at CPL 0: VM", flags_get() & FLAG_VM);
}
