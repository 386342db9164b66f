/* SPDX-License-Identifier: MIT */
/* Exceptions and their error codes, common to both modes. AMD64 volume 2, chapter 8. */
#include "guest.h"

#ifdef __x86_64__
#define AX "rax"
#define SP "rsp"
#else
#define AX "eax"
#define SP "esp"
#endif

/* ---- what CPL 3 may not do */
#define PRIVILEGED(X)                            \
	X(hlt, "hlt")                            \
	X(cli, "cli")                            \
	X(sti, "sti")                            \
	X(in, "inb $0x80, %al")                  \
	X(out, "outb %al, $0x80")                \
	X(insb, "insb")                          \
	X(outsb, "outsb")                        \
	X(clts, "clts")                          \
	X(invd, "invd")                          \
	X(wbinvd, "wbinvd")                      \
	X(lgdt, "lgdt user_stack")               \
	X(lidt, "lidt user_stack")               \
	X(lldt, "lldt %ax")                      \
	X(ltr, "ltr %ax")                        \
	X(lmsw, "lmsw %ax")                      \
	X(invlpg, "invlpg user_stack")           \
	X(mov_from_cr0, "mov %cr0, %" AX)        \
	X(mov_to_cr0, "mov %" AX ", %cr0")       \
	X(mov_from_cr3, "mov %cr3, %" AX)        \
	X(mov_to_cr4, "mov %" AX ", %cr4")       \
	X(mov_from_dr7, "mov %dr7, %" AX)        \
	X(mov_to_dr0, "mov %" AX ", %dr0")       \
	X(rdmsr, "rdmsr")                        \
	X(wrmsr, "wrmsr")                        \
	X(rdpmc, "rdpmc")                        \
	X(ud2, "ud2")                            \
	X(smsw_is_allowed, "smsw %ax")           \
	X(sgdt_is_allowed, "sgdt user_stack")    \
	X(sidt_is_allowed, "sidt user_stack")    \
	X(sldt_is_allowed, "sldt %ax")           \
	X(str_is_allowed, "str %ax")             \
	X(rdtsc_is_allowed, "rdtsc")             \
	X(int_0x30_with_gate_dpl_0, "int $0x30") \
	X(int3_with_gate_dpl_3, "int3")          \
	X(int_1_with_gate_dpl_0, "int $1")       \
	X(pushf_popf_are_allowed, "pushf; popf") \
	PRIVILEGED_MODE(X)

#define USER_CODE(name, text) \
	__asm__(".pushsection .user\nuser_" #name ":" UCODE(text) "ret\n.popsection");
#define USER_EXTERN(name, text) extern u8 user_##name[];
#define USER_ROW(name, text) {#name, user_##name},

PRIVILEGED(USER_CODE)
PRIVILEGED(USER_EXTERN)
static const struct {
	const char *name;
	u8 *code;
} privileged[] = {PRIVILEGED(USER_ROW)};

static void test_privileged(void)
{
	for (unsigned i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
		TRY_USER(privileged[i].code, 0, 0);
		print("cpl 3 ");
		report(privileged[i].name);
	}
}

static void test_simple(void)
{
	static u8 scratch[16];

	SHOW("div by zero", "div %0", "r"(0), "a"(1), "d"(0));
	SHOW("div overflow", "divb %b0", "a"(0x200), "c"(1));
	TRY(__asm__ volatile("mov $0x200, %%eax; mov $2, %%ecx\n" CODE("divb %%cl")::
				     : "eax", "ecx"));
	report("div that just overflows");
	TRY(__asm__ volatile("mov $0x1ff, %%eax; mov $2, %%ecx\n" CODE("divb %%cl")::
				     : "eax", "ecx"));
	report("div that just fits");
	TRY(__asm__ volatile("mov $0xff80, %%eax; mov $-1, %%ecx\n" CODE("idivb %%cl")::
				     : "eax", "ecx"));
	report("idiv -128 by -1");
	TRY(__asm__ volatile("mov $0x80000000, %%eax; cltd; mov $-1, %%ecx\n" CODE("idivl %%ecx")::
				     : "eax", "ecx", "edx"));
	report("idiv -2^31 by -1");
	SHOW("int3", "int3");
	SHOW("int $3", ".byte 0xcd, 3");
	SHOW("int $4", "int $4");
	SHOW("ud2", "ud2");
	SHOW("ud1", ".byte 0x0f, 0xb9, 0xc0");
	SHOW("lock mov", ".byte 0xf0, 0x89, 0x00", "a"(scratch));
	SHOW("lock add to a register", ".byte 0xf0, 0x01, 0xc0");
	SHOW("lock cmp", ".byte 0xf0, 0x39, 0x00", "a"(scratch));
	SHOW("lock nop", ".byte 0xf0, 0x90");
	SHOW("lea of a register", ".byte 0x8d, 0xc0");
	SHOW("mov to cs", ".byte 0x8e, 0xc8");
	SHOW("mov to segment register 6", ".byte 0x8e, 0xf0");
	SHOW("mov from segment register 7", ".byte 0x8c, 0xf8");
	SHOW("mov from cr1", ".byte 0x0f, 0x20, 0xc8");
	SHOW("mov from cr5", ".byte 0x0f, 0x20, 0xe8");
	SHOW("mov to cr6", ".byte 0x0f, 0x22, 0xf0");
	SHOW("group 0xc6 /1", ".byte 0xc6, 0xc8, 0", "a"(0));
	SHOW("group 0xfe /2", ".byte 0xfe, 0xd0");
	SHOW("group 0xff /7", ".byte 0xff, 0xf8");
	TRY(__asm__ volatile("push %%" AX "\n" CODE(".byte 0x8f, 0x48, 0")::"a"(scratch)
			     : "memory"));
	report("group 0x8f /1");
	SHOW("far jmp by a register", ".byte 0xff, 0xe8");
	SHOW("cmpxchg8b of a register", ".byte 0x0f, 0xc7, 0xc8");
	SHOW("0f 0a", ".byte 0x0f, 0x0a");
	SHOW("0f ff", ".byte 0x0f, 0xff, 0xc0");
	SHOW("fifteen bytes",
		".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
	SHOW("sixteen bytes",
		".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
	cr4_set(cr4_get() | CR4_DE);
	SHOW("mov from dr4 with CR4.DE", ".byte 0x0f, 0x21, 0xe0");
	cr4_set(cr4_get() & ~CR4_DE);
	SHOW("mov from dr4 without CR4.DE", ".byte 0x0f, 0x21, 0xe0", "a"(0));
}

static void test_fpu(void)
{
	u32 mxcsr = 0x1f80;
	u16 control = 0x37f;

	cr4_set(cr4_get() & ~(CR4_OSFXSR | CR4_OSXMMEXCPT));
	SHOW("sse without CR4.OSFXSR", "addps %%xmm0, %%xmm0");
	SHOW("ldmxcsr without CR4.OSFXSR", "ldmxcsr %0", "m"(mxcsr));
	SHOW("mmx without CR4.OSFXSR", "paddb %%mm0, %%mm0");
	SHOW("sfence without CR4.OSFXSR", "sfence");
	SHOW("movnti without CR4.OSFXSR", "movnti %%eax, %0", "m"(mxcsr));
	mxcsr = 0x1f80;
	cr4_set(cr4_get() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	SHOW("sse", "addps %%xmm0, %%xmm0");
	SHOW("movaps misaligned", "movaps %0, %%xmm0", "m"(*((u8 *)gdt + 8)));
	SHOW("movups misaligned", "movups %0, %%xmm0", "m"(*((u8 *)gdt + 8)));
	SHOW("paddb with a misaligned operand", "paddb %0, %%xmm0", "m"(*((u8 *)gdt + 8)));
	SHOW("fxsave misaligned", "fxsave %0", "m"(*((u8 *)kernel_stack0 + 8)));
	SHOW("fxsave", "fxsave %0", "m"(*((u8 *)kernel_stack0)));
	mxcsr = 0x10000;
	SHOW("ldmxcsr with a reserved bit", "ldmxcsr %0", "m"(mxcsr));
	cr0_set(cr0_get() | CR0_TS);
	SHOW("TS: fnop", "fnop");
	SHOW("TS: fld1", "fld1");
	SHOW("TS: sse", "addps %%xmm0, %%xmm0");
	SHOW("TS: mmx", "paddb %%mm0, %%mm0");
	SHOW("TS: fxsave", "fxsave %0", "m"(*((u8 *)kernel_stack0)));
	SHOW("TS: stmxcsr", "stmxcsr %0", "m"(mxcsr));
	SHOW("TS: prefetcht0", "prefetcht0 %0", "m"(mxcsr));
	SHOW("TS, MP: wait", "wait");
	cr0_set(cr0_get() & ~CR0_MP);
	SHOW("TS, no MP: wait", "wait");
	cr0_set((cr0_get() & ~CR0_TS) | CR0_EM);
	SHOW("EM: fld1", "fld1");
	SHOW("EM: wait", "wait");
	SHOW("EM: sse", "addps %%xmm0, %%xmm0");
	SHOW("EM: mmx", "paddb %%mm0, %%mm0");
	SHOW("EM: fxsave", "fxsave %0", "m"(*((u8 *)kernel_stack0)));
	cr0_set((cr0_get() & ~CR0_EM) | CR0_MP);

	/* x87: told by the next instruction that waits, not by the one that failed */
	control = 0x37b;
	__asm__ volatile("fninit; fldcw %0" ::"m"(control));
	TRY(__asm__ volatile(CODE("fld1; fldz; fdivrp") "nop"));
	report("x87 division by zero, nothing waiting after it");
	SHOW("wait after it", "wait");
	SHOW("fld1 after it", "fld1");
	SHOW("fnstsw after it does not wait", "fnstsw %%ax", "a"(0));
	SHOW("fnclex after it does not wait", "fnclex");
	SHOW("wait after fnclex", "wait");
	TRY(__asm__ volatile(
		"fninit; fldcw %0; fld1; fldz; fdivrp\n" CODE("paddb %%mm0, %%mm0")::"m"(control)));
	report("mmx with an exception pending");
	/* unmasking what is already recorded raises it, too */
	TRY(__asm__ volatile("fninit; fld1; fldz; fdivrp; fldcw %0\n" CODE("fnop")::"m"(control)));
	report("unmasked afterwards");
	__asm__ volatile("fninit");

	mxcsr = 0x1d80;
	TRY(__asm__ volatile(
		"ldmxcsr %0; xorps %%xmm1, %%xmm1; mov $1, %%eax; cvtsi2ss %%eax, %%xmm0\n" CODE(
			"divss %%xmm1, %%xmm0")::"m"(mxcsr)
		: "eax"));
	report("sse division by zero, unmasked");
	cr4_set(cr4_get() & ~CR4_OSXMMEXCPT);
	TRY(__asm__ volatile(
		"ldmxcsr %0; xorps %%xmm1, %%xmm1; mov $1, %%eax; cvtsi2ss %%eax, %%xmm0\n" CODE(
			"divss %%xmm1, %%xmm0")::"m"(mxcsr)
		: "eax"));
	report("the same without CR4.OSXMMEXCPT");
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
}

/* ---- alignment check: CPL 3, CR0.AM and EFLAGS.AC all needed */
USER_DATA u8 user_buffer[64] __attribute__((aligned(64))) = {0};
#define ALIGNMENT(X)                                                                         \
	X(word_at_1, "movw user_buffer + 1, %ax")                                            \
	X(dword_at_2, "movl user_buffer + 2, %eax")                                          \
	X(dword_at_4, "movl user_buffer + 4, %eax")                                          \
	X(write_dword_at_1, "movl %eax, user_buffer + 1")                                    \
	X(byte_at_3, "movb user_buffer + 3, %al")                                            \
	X(push_pop, "push %" AX "; pop %" AX)                                                \
	X(push_misaligned,                                                                   \
		"lea -1(%" SP "), %" SP "; push %" AX "; pop %" AX "; lea 1(%" SP "), %" SP) \
	X(fld_qword_at_4, "fldl user_buffer + 4; fstp %st(0)")                               \
	X(movsl_at_2, "mov $user_buffer + 2, %esi; mov $user_buffer + 16, %edi; movsl")
ALIGNMENT(USER_CODE)
ALIGNMENT(USER_EXTERN)
static const struct {
	const char *name;
	u8 *code;
} alignment[] = {ALIGNMENT(USER_ROW)};

static void test_alignment(void)
{
	for (int am = 0; am < 2; am++) {
		cr0_set((cr0_get() & ~CR0_AM) | (am ? CR0_AM : 0));
		for (unsigned i = 0; i < sizeof(alignment) / sizeof(alignment[0]); i++) {
			TRY(user_enter_flags(
				alignment[i].code, 0, 0, FLAG_AC | 2, USER_CS | 3, USER_DS | 3));
			print("AM %d AC 1 ", am);
			report(alignment[i].name);
		}
	}
	TRY_USER(user_dword_at_2, 0, 0);
	report("AM 1 AC 0 dword_at_2");
	TRY(__asm__ volatile("push %0; popf\n" CODE("mov user_buffer + 1, %%eax")::"r"(FLAG_AC | 2)
			     : AX, "memory"));
	report("AM 1 AC 1 at CPL 0");
	cr0_set(cr0_get() & ~CR0_AM);
}

/* ---- error codes of events that cannot be delivered: index, IDT bit, EXT */
static void test_delivery(void)
{
	struct gate kept = idt[0x40], kept_de = idt[DE], kept_gp = idt[GP];
	struct table_pointer short_idt = {0x40 * sizeof(struct gate) - 1, (word)idt};

	idt[0x40].flags &= 0x7fff;
	SHOW("int by an absent gate", "int $0x40");
	idt[0x40] = kept;
	idt[0x40].flags = (u16)((kept.flags & 0xe0ff) | 0x0200);
	SHOW("int by a gate of another type", "int $0x40");
	idt[0x40] = kept;
	idt[0x40].selector = 0;
	SHOW("int by a gate with a null selector", "int $0x40");
	idt[0x40].selector = 0x3f8;
	SHOW("int by a gate whose selector is past the table", "int $0x40");
	idt[0x40].selector = KERNEL_DS;
	SHOW("int by a gate to a data segment", "int $0x40");
	gdt[GDT_FREE / 8] = gdt[KERNEL_CS / 8] & ~(1ull << 47);
	idt[0x40].selector = GDT_FREE;
	SHOW("int by a gate to an absent segment", "int $0x40");
	gdt[GDT_FREE / 8] = gdt[USER_CS / 8];
	idt[0x40].selector = GDT_FREE | 3;
	SHOW("int by a gate to CPL 3", "int $0x40");
	idt[0x40] = kept;
	lidt(&short_idt);
	SHOW("int past the table's limit", "int $0x40");
	SHOW("int at the table's last vector", "int $0x3f");
	lidt(&idt_pointer);

	/* an exception instead of int: EXT is 1 */
	idt[BP].flags &= 0x7fff;
	SHOW("int3 by an absent gate", "int3");
	idt[BP].flags |= 0x8000;
	idt[UD].flags &= 0x7fff;
	SHOW("ud2 by an absent gate", "ud2");
	idt[UD].flags |= 0x8000;
	idt[UD].selector = KERNEL_DS;
	SHOW("ud2 by a gate to a data segment", "ud2");
	idt[UD].selector = KERNEL_CS;
	idt[NM].flags &= 0x7fff;
	cr0_set(cr0_get() | CR0_TS);
	SHOW("#NM by an absent gate", "fld1");
	cr0_set(cr0_get() & ~CR0_TS);
	idt[NM].flags |= 0x8000;

	/* contributory after contributory is a double fault; after a benign one it is itself */
	idt[DE].flags &= 0x7fff;
	SHOW("#DE by an absent gate", "div %0", "r"(0), "a"(1), "d"(0));
	idt[DE] = kept_de;
	idt[DE].selector = 0;
	SHOW("#DE by a gate with a null selector", "div %0", "r"(0), "a"(1), "d"(0));
	idt[DE] = kept_de;
	idt[GP].flags &= 0x7fff;
	SHOW("#GP by an absent gate", "mov %0, %%ds", "r"(0x3f8));
	idt[GP] = kept_gp;
	idt[NP].flags &= 0x7fff;
	gdt[GDT_FREE / 8] = gdt[KERNEL_DS / 8] & ~(1ull << 47);
	SHOW("#NP by an absent gate", "mov %0, %%es", "r"(GDT_FREE));
	idt[0x40].flags &= 0x7fff;
	SHOW("#NP for int, by an absent gate", "int $0x40");
	idt[NP].flags |= 0x8000;
	idt[0x40] = kept;
}

/* For what may succeed: back at once, since the next store goes by ds. */
#define SHOW_DS(name, selector) \
	SHOW(name, "mov %0, %%ds; mov %1, %%ds", "r"((word)(selector)), "r"((word)KERNEL_DS))

static void test_segment_faults(void)
{
	gdt[GDT_FREE / 8] = gdt[KERNEL_DS / 8] & ~(1ull << 47);
	SHOW("ds: absent segment", "mov %0, %%ds", "r"(GDT_FREE));
	SHOW("ss: absent segment", "mov %0, %%ss", "r"(GDT_FREE));
	SHOW("ds: past the table", "mov %0, %%ds", "r"(0x3f8));
	SHOW("ss: past the table", "mov %0, %%ss", "r"(0x3f8));
	SHOW("ds: past the table, RPL 3", "mov %0, %%ds", "r"(0x3fb));
	SHOW("ds: in no local table", "mov %0, %%ds", "r"(4));
	SHOW("fs: in no local table, high index", "mov %0, %%fs", "r"(0xfffc));
	SHOW("ds: the task's segment", "mov %0, %%ds", "r"(TSS_SELECTOR));
	SHOW("ss: code", "mov %0, %%ss", "r"(KERNEL_CS));
	SHOW("ss: DPL 3 at CPL 0", "mov %0, %%ss", "r"(USER_DS | 3));
	SHOW("ss: RPL 3", "mov %0, %%ss", "r"(KERNEL_DS | 3));
	SHOW_DS("ds: code that can be read", KERNEL_CS);
	gdt[GDT_FREE / 8] = gdt[KERNEL_CS / 8] & ~(1ull << 41);
	SHOW("ds: code that cannot be read", "mov %0, %%ds", "r"(GDT_FREE));
	gdt[GDT_FREE / 8] = gdt[KERNEL_DS / 8] & ~(1ull << 41);
	SHOW("ss: data that cannot be written", "mov %0, %%ss", "r"(GDT_FREE));
	SHOW_DS("ds: data that cannot be written", GDT_FREE);
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(KERNEL_DS));
}
