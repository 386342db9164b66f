/* SPDX-License-Identifier: MIT */
/*
 * Debug exceptions, common to both modes (AMD64 volume 2, 13.1): single step, breakpoints, DR6, RF,
 * GD.
 */
#include "guest.h"

#ifdef __x86_64__
#define AX "rax"
#define CX "rcx"
#define SP "rsp"
#define BX "rbx"
#define LEA773(r) "lea 773f(%%rip), %%" r
#define LEA(r) "lea 771f(%%rip), %%" r
#else
#define AX "eax"
#define CX "ecx"
#define SP "esp"
#define BX "ebx"
#define LEA773(r) "mov $773f, %%" r
#define LEA(r) "mov $771f, %%" r
#endif
#define DR6_CLEAR 0xffff0ff0ul

static volatile u64 data[4];
static struct {
	word ip, dr6, rf, tf, handler_tf;
} events[64];
static volatile unsigned count;
static volatile int set_rf;

static int on_debug(struct frame *f)
{
	if (count < 64) {
		events[count].ip = f->ip;
		events[count].dr6 = dr6_get();
		events[count].rf = f->flags & FLAG_RF;
		events[count].tf = f->flags & FLAG_TF;
		events[count].handler_tf = flags_get() & FLAG_TF;
	}
	count++;
	dr6_set(DR6_CLEAR);
	/* a breakpoint on an instruction is a fault: without RF it would come again */
	if (set_rf)
		f->flags |= FLAG_RF;
	return count > 60 ? 0 : 1;
}

static int on_other(struct frame *f)
{
	return 1;
}

static word start;
/* Each event: offset from the block's start and DR6's bits. */
static void show(const char *name)
{
	print("%s:%s", name, count ? "" : " none");
	for (unsigned i = 0; i < count && i < 64; i++) {
		print(" +%d", (int)(events[i].ip - start));
		if (events[i].dr6 & 0x8000)
			print(",BT");
		if (events[i].dr6 & 0x4000)
			print(",BS");
		if (events[i].dr6 & 0x2000)
			print(",BD");
		for (int b = 0; b < 4; b++)
			if (events[i].dr6 & 1u << b)
				print(",B%d", b);
		if (events[i].handler_tf)
			print(",TF IN HANDLER");
	}
	print("\n");
	count = 0;
}

/* clang-format off */
#define TF_ON "pushf; or" SUFFIX " $0x100, (%%" SP "); popf\n"
#define TF_OFF "\npushf; and" SUFFIX " $~0x100, (%%" SP "); popf; nop\n"
#ifdef __x86_64__
#define SUFFIX "q"
#else
#define SUFFIX "l"
#endif

#define STEP(name, text, ...) \
	do { \
		count = 0; \
		__asm__ volatile(LEA(AX) "; mov %%" AX ", %0\n" TF_ON "771:" text TF_OFF \
				 : "=m"(start)::AX, CX, "edx", "esi", "edi", "memory", "cc"); \
		show(name); \
	} while (0)
#define RUN(name, text) \
	do { \
		count = 0; \
		__asm__ volatile(LEA(AX) "; mov %%" AX ", %0\n771:" text "\n772: nop" \
				 : "=m"(start)::AX, CX, "edx", "esi", "edi", "memory", "cc"); \
		dr7_set(0x400); \
		show(name); \
	} while (0)

/* clang-format on */
static void test_step(void)
{
	STEP("step: nop, nop", "nop; nop");
	STEP("step: two-byte instructions and a jump",
		"xor %%ecx, %%ecx; jmp 1f; nop; 1: inc %%ecx");
	STEP("step: rep stosb of 3", "mov $3, %%ecx; mov $data, %%edi; rep stosb");
	STEP("step: rep movsb of 0", "xor %%ecx, %%ecx; rep movsb");
	STEP("step: repne cmpsb ends early",
		"mov $3, %%ecx; mov $data, %%esi; mov $data, %%edi; repne cmpsb; nop");
	STEP("step: mov ss", "mov %%ss, %%ecx; mov %%ecx, %%ss; nop; nop");
	STEP("step: int3", "int3; nop");
	STEP("step: int 0x40", "int $0x40; nop");
	STEP("step: ud2 (skipped by its handler)", "ud2; nop");
	STEP("step: icebp", ".byte 0xf1; nop");
	STEP("step: loop", "mov $2, %%ecx; 1: loop 1b");
	STEP("step: push, pop, pushf", "push %%" AX "; pop %%" AX "; pushf; pop %%" AX);
	STEP("step: cpuid", "push %%" BX "; xor %%eax, %%eax; cpuid; pop %%" BX);
}

static int skip_two(struct frame *f)
{
	f->ip += 2;
	return 1;
}

#define BREAK(n, type, length) \
	(2ul << (n)*2 | (word)(type) << (16 + (n)*4) | (word)(length) << (18 + (n)*4))
enum { EXECUTE, WRITE, IO, ACCESS };
enum { BYTE, WORD, QWORD, DWORD };

/* clang-format off */
/* Breakpoint 0 at label 773 of the block. */
#define BREAK_AT(name, bits, text) \
	do { \
		count = 0; \
		__asm__ volatile(LEA773(AX) "; mov %%" AX ", %%dr0; mov %1, %%" CX "; mov %%" CX ", %%dr7; " LEA(AX) "; mov %%" AX \
				       ", %0\n771:" text "\n" \
				 : "=m"(start) \
				 : "i"(bits) \
				 : AX, CX, "edx", "esi", "edi", "memory", "cc"); \
		dr7_set(0x400); \
		show(name); \
	} while (0)

/* clang-format on */
static void test_execute(void)
{
	set_rf = 1;
	BREAK_AT("execute", 2, "nop; 773: nop; nop");
	value("RF as pushed for it", events[0].rf);
	BREAK_AT("execute, local enable", 1, "nop; 773: nop; nop");
	BREAK_AT("execute, not enabled", 0x400, "nop; 773: nop; nop");
	BREAK_AT("execute: inside an instruction", 2, "nop; .byte 0x66; 773: nop; nop");
	BREAK_AT("execute: in a loop of 3", 2, "mov $3, %%ecx; 773: loop 773b; nop");
	BREAK_AT("execute: rep stosb of 3", 2,
		"mov $3, %%ecx; mov $data, %%edi; 773: rep stosb; nop");
	BREAK_AT("execute: after mov ss", 2, "mov %%ss, %%ecx; mov %%ecx, %%ss; 773: nop; nop");
	BREAK_AT("execute: ud2 with a breakpoint", 2, "nop; 773: ud2; nop");
	set_rf = 0;
	/* iret with RF 1 passes the breakpoint by itself once, and the flag is spent then */
	count = 0;
	__asm__ volatile(LEA773(AX) "; mov %%" AX ", %%dr0; mov $2, %%ecx; mov %%" CX
				    ", %%dr7\n" IRET_RF(773) "773: nop; pushf; pop %0\n"
			 : "=r"(start)::AX, CX, "memory", "cc");
	dr7_set(0x400);
	value("RF: events", count);
	value("RF afterwards", start & FLAG_RF);
	/* popf does not set RF */
	__asm__ volatile("push $0x10002; popf; pushf; pop %0" : "=r"(start)::"memory", "cc");
	value("RF by popf", start & FLAG_RF);
}

static void watch(const char *name, word address, int type, int length)
{
	dr1_set(address);
	dr7_set(0x400 | BREAK(1, type, length));
	count = 0;
	print("%s, ", name);
}

static void test_data(void)
{
	word a = (word)data;

	watch("dword written", a, WRITE, DWORD);
	RUN("write of it", "movl $1, data; nop");
	watch("dword written", a, WRITE, DWORD);
	RUN("read of it", "movl data, %%ecx; nop");
	watch("dword accessed", a, ACCESS, DWORD);
	RUN("read of it", "movl data, %%ecx; nop");
	watch("dword accessed", a, ACCESS, DWORD);
	RUN("byte write of its last byte", "movb $1, data + 3; nop");
	watch("dword accessed", a, ACCESS, DWORD);
	RUN("byte write after it", "movb $1, data + 4; nop");
	watch("dword written", a + 4, WRITE, DWORD);
	RUN("dword write that overlaps it", "movl $1, data + 2; nop");
	watch("word written", a + 2, WRITE, WORD);
	RUN("byte write before it", "movb $1, data + 1; nop");
	watch("byte written", a + 1, WRITE, BYTE);
	RUN("dword write over it", "movl $1, data; nop");
	watch("byte written", a + 1, WRITE, BYTE);
	RUN("read-modify-write", "addl $1, data; nop");
	watch("byte written", a + 1, WRITE, BYTE);
	RUN("rep stosb of 4, the second hits", "mov $4, %%ecx; mov $data, %%edi; rep stosb; nop");
	watch("dword written", a, WRITE, DWORD);
	RUN("xchg", "xchg %%ecx, data; nop");
	watch("dword written", a, WRITE, DWORD);
	RUN("failed cmpxchg", "mov $0x12345, %%eax; mov $7, %%edx; cmpxchg %%edx, data; nop");
	watch("dword accessed", a, ACCESS, DWORD);
	RUN("movsb from it", "mov $data, %%esi; mov $data + 16, %%edi; movsb; nop");
	/* two at once */
	dr0_set(a);
	dr1_set(a + 4);
	dr7_set(0x400 | BREAK(0, WRITE, DWORD) | BREAK(1, WRITE, DWORD));
	RUN("one write over two watched dwords", "movl $1, data + 2; nop");
	/* single step and a watch together */
	dr0_set(a);
	dr7_set(0x400 | BREAK(0, WRITE, DWORD));
	STEP("step and watch", "movl $1, data; nop");
	dr7_set(0x400);
	/* ports, with CR4.DE */
	cr4_set(cr4_get() | CR4_DE);
	dr0_set(0x80);
	dr7_set(0x400 | BREAK(0, IO, BYTE));
	RUN("port 0x80 written", "out %%al, $0x80; nop");
	dr7_set(0x400 | BREAK(0, IO, BYTE));
	RUN("port 0x81 written", "out %%al, $0x81; nop");
	cr4_set(cr4_get() & ~CR4_DE);
}

static void test_registers(void)
{
	value("dr6 at rest", dr6_get());
	value("dr7 at rest", dr7_get());
	dr6_set(0);
	value("dr6 written 0", dr6_get());
	dr6_set(0xffffffff);
	value("dr6 written all ones", dr6_get());
	dr6_set(DR6_CLEAR);
	dr7_set(0);
	value("dr7 written 0", dr7_get());
	dr0_set((word)-1 / 3);
	value("dr0", dr0_get());
	dr0_set(0);
	/* general detect: a fault, and GD is off in the handler */
	dr7_set(0x2400);
	count = 0;
	__asm__ volatile(LEA(AX) "; mov %%" AX ", %0\n 771: mov %%dr0, %%" AX
			 : "=m"(start)::AX, "memory");
	show("GD: mov from dr0");
	value("dr7 afterwards", dr7_get());
	dr7_set(0x400);
}

static void test_debug(void)
{
	hooks[DB] = on_debug;
	hooks[BP] = on_other;
	hooks[0x40] = on_other;
	hooks[UD] = skip_two;
	test_registers();
	test_step();
	test_execute();
	test_data();
	RUN("icebp", "nop; .byte 0xf1; nop");
	RUN("int 1", "nop; int $1; nop");
}
