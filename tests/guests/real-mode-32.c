/* SPDX-License-Identifier: MIT */
/*
 * Real mode from protected mode and back: the interrupt table, addresses of 16 bits, limits, and
 * "unreal" mode.
 */
#include "guest.h"

/*
 * The code below is copied to 0x8000 and runs with CS = 0, so that a label's offset is its distance from real_base plus 0x8000. Results
 * lie from 0x9000 on. A stub a vector: it notes the vector and goes on at the word "resume".
 */
#define ORIGIN 0x8000
#define RESULT 0x9000
#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define R(label) "(" #label " - real_base + " STRING(ORIGIN) ")"
#define NOTE 0x8f00 /* vector, ip, cs, flags as noted by the stubs */
#define RESUME 0x8f10

/* clang-format off */
/* Runs text; result n: the vector (0xff none) and where it was told, relative to text. */
#define ATTEMPT(n, text) \
	"movw $(79f - real_base + 0x8000), " STRING(RESUME) "\n movw $0xff, " STRING(NOTE) "\n movw $(78f - real_base + 0x8000), " STRING( \
		NOTE) " + 2\n" \
	"78: " text "\n79: xor %ax, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss; mov $0x7f00, %sp\n" \
	"movw " STRING(NOTE) ", %ax; movw %ax, " STRING(RESULT) " + " #n "*4; movw " STRING( \
		NOTE) " + 2, %ax; subw $(78b - real_base + 0x8000), %ax; movw %ax, " STRING(RESULT) " + " #n "*4 + 2\n"
/* A word as result n. */
#define KEEP(n, reg) "movw %" reg ", " STRING(RESULT) " + " #n "*4; movw $0, " STRING(RESULT) " + " #n "*4 + 2\n"

/* clang-format on */
extern u8 real_base[], real_end[];
void real_run(void);
/* clang-format off */
__asm__(".text\n"
	"real_run: pusha; pushf; cli\n"
	" mov %esp, 0x8f20\n"
	" sidt 0x8f28; lidt real_idt\n"
	" ljmp $" STRING(CODE16) ", $" R(real_16) "\n"
	"real_back: mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss; mov %eax, %fs; mov %eax, %gs\n"
	" mov 0x8f20, %esp; lidt 0x8f28; popf; popa; ret\n"
	"real_idt: .word 0x3ff\n .long 0\n"
	".balign 16\n"
	"real_base:\n"
	".code16\n"
	/* 5 bytes a stub */
	".set n, 0\n .rept 32\n .byte 0x6a, n\n .byte 0xe9\n .word real_common - . - 2\n .set n, n + 1\n .endr\n"
	"real_common: push %bp; mov %sp, %bp; push %ax; push %ds; xor %ax, %ax; mov %ax, %ds\n"
	" movw 2(%bp), %ax; andw $0xff, %ax; movw %ax, " STRING(NOTE) "; movw 4(%bp), %ax; movw %ax, " STRING(NOTE) " + 2\n"
	" movw 6(%bp), %ax; movw %ax, " STRING(NOTE) " + 4; movw 8(%bp), %ax; movw %ax, " STRING(NOTE) " + 6\n"
	" movw " STRING(RESUME) ", %ax; movw %ax, 4(%bp); movw $0, 6(%bp); pop %ds; pop %ax; pop %bp; add $2, %sp; iret\n"
	"real_16:\n"
	/* data segments with limits of 64 KiB, except fs, which keeps 4 GiB */
	" mov $" STRING(DATA16) ", %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss; mov %ax, %gs\n"
	" mov $0x10, %ax; mov %ax, %fs\n"
	" mov %cr0, %eax; and $0xfe, %al; mov %eax, %cr0; ljmp $0, $" R(1f) "\n"
	"1: xor %ax, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss; mov %ax, %gs; mov $0x7f00, %sp\n"
	" smsw %ax; and $1, %ax\n" KEEP(0, "ax")
	ATTEMPT(1, "int $0x10")
	" movw " STRING(NOTE) " + 4, %ax\n" KEEP(2, "ax")
	ATTEMPT(3, "xor %ax, %ax; div %al")
	ATTEMPT(4, "ud2")
	ATTEMPT(5, "int3")
	ATTEMPT(6, "mov $0x7f, %al; inc %al; into")
	ATTEMPT(7, "movw 0xffff, %ax")
	ATTEMPT(8, "movb 0xffff, %al")
	ATTEMPT(9, "mov $0x10000, %ebx; movb (%ebx), %al")
	ATTEMPT(10, "mov $0xffff, %bp; movw (%bp), %ax")
	ATTEMPT(11, "mov $0x200000, %ebx; movb %fs:(%ebx), %al")
	/* a load in real mode changes fs's base and keeps its limit */
	ATTEMPT(12, "xor %ax, %ax; mov %ax, %fs; mov $0x200000, %ebx; movb %fs:(%ebx), %al")
	/* 16-bit addresses wrap at 64 KiB */
	" movw $0xabcd, 0x7000; mov $0xfff0, %bx; mov $0x7010, %si; movw (%bx,%si), %ax\n" KEEP(13, "ax")
	/*
	 * ffff:0010 is 1 MiB, since A20 is on: the multiboot header's code is there, not the
	 * interrupt table
	 */
	" mov $0xffff, %ax; mov %ax, %es; movw %es:0x10, %ax; xor %bx, %bx; mov %bx, %es; cmpw 0, %ax; sete %al; movzbw %al, %ax\n" KEEP(14, "ax")
	/* sp wraps */
	" mov $0x6000, %ax; mov %ax, %ss; xor %sp, %sp; push $0x1234; mov %sp, %cx; mov $0x6000, %ax; mov %ax, %es; movw %es:0xfffe, %ax; "
	"xor %bx, %bx; mov %bx, %ss; mov %bx, %es; mov $0x7f00, %sp\n" KEEP(15, "cx") KEEP(16, "ax")
	ATTEMPT(17, "sldt %ax")
	ATTEMPT(18, "str %ax")
	ATTEMPT(19, "arpl %ax, %ax")
	ATTEMPT(20, "lar %ax, %ax")
	ATTEMPT(21, "verr %ax")
	ATTEMPT(22, "mov $0x1f, %al; int $0x1f")
	/* far calls and returns */
	" lcall $0x800, $(2f - real_base)\n jmp 3f\n 2: mov %cs, %ax; lret\n 3:\n" KEEP(23, "ax")
	" pushw $0x1234; pushl $0x56789abc; pop %ax; pop %bx; pop %cx\n" KEEP(24, "ax") KEEP(25, "bx") KEEP(26, "cx")
	/* a 32-bit operand works here, too */
	" mov $0x12345678, %eax; shr $16, %eax\n" KEEP(27, "ax")
	" pushf; pop %ax; and $0xf000, %ax\n" KEEP(28, "ax")
	" pushw $0x7002; popf; pushf; pop %ax; pushw $2; popf; and $0xf000, %ax\n" KEEP(29, "ax")
	/* a table of its own place and size */
	" lidtl " R(real_idt2) "\n"
	ATTEMPT(30, "int $0x1e")
	" lidtl " R(real_idt3) "\n"
	ATTEMPT(31, "mov $0x3000, %ax; mov %ax, %ds; movw %ds:0x10, %bx; int $2")
	" mov $0x3000, %ax; mov %ax, %ds; mov %ds, %bx; xor %ax, %ax; mov %ax, %ds\n" KEEP(32, "bx")
	ATTEMPT(33, "clts")
	ATTEMPT(34, "mov $0, %cx; jcxz 4f; ud2; 4:")
	ATTEMPT(35, "mov $0x10001, %ecx; loop 4f; jmp 5f; 4: ud2; 5:")
	" mov %cr0, %eax; or $1, %al; mov %eax, %cr0; ljmpl $8, $real_back\n"
	"real_idt2: .word 0x3ff\n .long 0xa000\n"
	"real_idt3: .word 0x3ff\n .long 0\n"
	".code32\n"
	"real_end:\n");
/* clang-format on */

static const char *const names[] = {
	"smsw: PE",
	"int 0x10",
	"its cs",
	"#DE",
	"#UD",
	"int3",
	"into",
	"word at 0xffff",
	"byte at 0xffff",
	"32-bit address past the limit",
	"word at 0xffff by bp",
	"fs with a limit of 4 GiB",
	"the same after a load of fs",
	"bx + si wraps",
	"ffff:0010 wraps to 0",
	"sp wraps",
	"and writes at 0xfffe",
	"sldt",
	"str",
	"arpl",
	"lar",
	"verr",
	"int 0x1f",
	"far call: cs",
	"pushl: low",
	"pushl: high",
	"pushw",
	"32-bit operand",
	"flags: high bits",
	"flags: IOPL and NT by popf",
	"int by a table elsewhere",
	"int 2 with another ds",
	"ds",
	"clts",
	"jcxz looks at cx",
	"loop counts cx",
};

void guest_main(void)
{
	u16 *ivt = (u16 *)0, *other = (u16 *)0xa000;
	volatile u16 *result = (volatile u16 *)RESULT;

	/* 0 is a good address here */
	__asm__("" : "+r"(ivt));
	copy((void *)ORIGIN, real_base, (size_t)(real_end - real_base));
	fill((void *)RESULT, 0xee, 0x400);
	fill((void *)0x8f00, 0, 0x80);
	for (int i = 0; i < 32; i++) {
		ivt[i * 2] = (u16)(ORIGIN + i * 5);
		ivt[i * 2 + 1] = 0;
		other[i * 2] =
			(u16)(ORIGIN + ((i + 1) & 31) * 5); /* off by one, to tell them apart */
		other[i * 2 + 1] = 0;
	}
	real_run();
	check("back in protected mode", cr0_get() & CR0_PE);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		print("%s: %x +%d\n", names[i], (word)result[i * 2],
			(int)(int16_t)result[i * 2 + 1]);
}
