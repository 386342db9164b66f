/* SPDX-License-Identifier: MIT */
/*
 * 16-bit code in protected mode (AMD64 volume 2, 4.7.2; volume 1, 2.2): default sizes and their prefixes, a stack whose
 * pointer is SP, gates of both widths, limits of 64 KiB.
 */
#include "guest.h"

#define ORIGIN 0x8000
#define STACK 0x7f00
#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define GATE_16 GDT_FREE
#define GATE_32 (GDT_FREE + 8)
#define STUBS 0x8400 /* at STUBS: what a 16-bit call gate leads to; + 0x10: 16-bit interrupt gate */
#define DATA 0x9000

/* Each snippet runs at CODE16:ORIGIN; its label l is 0x8000 + l - its begin. */
#define AT(label) "(" #label " - 0b + 0x8000)"
/* clang-format off */
#define SNIPPETS(X) \
	X(push, "push, pop", "pushw $0x1234; mov %sp, %ax; pop %bx") \
	X(pushl, "push with an operand prefix", "pushl $0x12345678; mov %sp, %ax; popl %ebx") \
	X(push_ds, "push ds", "push %ds; mov %sp, %ax; pop %ds") \
	X(pushl_ds, "push ds with an operand prefix", "pushl %ds; mov %sp, %ax; popl %ebx; movzwl %bx, %ebx") \
	X(pusha, "pusha, popa", "pusha; mov %sp, %bx; add $16, %sp") \
	X(pushal, "pusha with an operand prefix", "pushal; mov %sp, %bx; add $32, %sp") \
	X(pushf, "pushf", "pushf; mov %sp, %ax; popf") \
	X(pushfl, "pushf with an operand prefix", "pushfl; mov %sp, %ax; popfl") \
	X(enter, "enter, leave", "mov $0x5555, %bp; enter $8, $0; mov %bp, %ax; mov %sp, %bx; leave; mov %bp, %cx; mov %sp, %dx") \
	X(enter2, "enter of level 2", "mov $0x7800, %bp; movw $0x7777, 0x77fe; enter $4, $2; mov %sp, %ax; mov 2(%bp), %bx; " \
		"movw -2(%bp), %cx; movw -4(%bp), %dx; leave; mov $0x7f00, %sp") \
	X(call, "call, ret", "call 1f; jmp 2f; 1: mov %sp, %ax; ret; 2: mov %sp, %bx") \
	X(calll, "call, ret with operand prefixes", "calll 1f; jmp 2f; 1: mov %sp, %ax; retl; 2: mov %sp, %bx") \
	X(ret_n, "ret 4", "pushl $0; pushw $" AT(1f) "; ret $4; 1: mov %sp, %ax") \
	X(lcall, "far call and return", "lcall $" STRING(CODE16) ", $" AT(1f) "; jmp 2f; 1: mov %sp, %ax; lret; 2: mov %sp, %bx") \
	X(gate16, "16-bit call gate", "lcall $" STRING(GATE_16) ", $0") \
	X(gate32, "32-bit call gate", "lcall $" STRING(GATE_32) ", $0") \
	X(int16, "16-bit interrupt gate", "int $0x40") \
	X(int32, "32-bit interrupt gate", "int $0x41") \
	X(iret, "iret", "pushw $0x8d7; push %cs; pushw $" AT(1f) "; iret; 1: pushf; pop %ax; mov %sp, %bx") \
	X(sp_wraps, "sp wraps, esp's high half stays", "mov $0x12340000, %esp; pushw $0x4321; mov %esp, %eax; pop %bx; mov %esp, %ecx; mov $0x7f00, %esp") \
	X(loop, "loop counts cx", "mov $0x10001, %ecx; loop 1f; mov $1, %ax; 1: mov %ecx, %edx") \
	X(loopl, "loop counts ecx with an address prefix", "mov $0x10001, %ecx; addr32 loop 1f; mov $1, %ax; 1: mov %ecx, %edx") \
	X(jcxz, "jcxz looks at cx", "mov $0x10000, %ecx; jcxz 1f; mov $1, %ax; 1:") \
	X(jecxz, "jecxz looks at ecx", "mov $0x10000, %ecx; jecxz 1f; mov $1, %ax; 1:") \
	X(lodsb, "lodsb uses si", "mov $0xabcd9000, %esi; lodsb; mov %esi, %edx") \
	X(rep, "rep lodsb counts cx", "mov $0x9000, %si; mov $0x10002, %ecx; rep lodsb; mov %esi, %edx") \
	X(rep32, "rep lodsb with an address prefix", "mov $0x9000, %esi; mov $0x3, %ecx; addr32 rep lodsb; mov %esi, %edx") \
	X(wrap, "bx + si wraps", "mov $0xfff0, %bx; mov $0x9010, %si; movw (%bx,%si), %ax") \
	X(lea, "lea of 16 bits", "mov $0x1fff0, %ebx; mov $0x20, %si; mov $-1, %eax; lea (%bx,%si), %ax; lea (%bx,%si), %edx") \
	X(les, "les, lfs with 16 and 32 bits", "les 0x9010, %ax; mov %es, %dx; lfsl 0x9014, %ebx; mov %fs, %cx") \
	X(indirect, "jmp by a word in memory", "movw $" AT(1f) ", 0x9020; mov $0x9020, %bx; jmp *(%bx); ud2; 1: mov $1, %ax") \
	X(far_indirect, "far jmp by a pointer of 4 bytes", \
		"movw $" AT(1f) ", 0x9020; movw %cs, 0x9022; ljmp *0x9020; ud2; 1: mov $1, %ax") \
	X(cbw, "0x98 is cbw, 0x99 is cwd", "mov $0x11111180, %eax; mov $0x22222222, %edx; .byte 0x98, 0x99") \
	X(cwde, "with prefixes cwde, cdq", "mov $0x11118080, %eax; .byte 0x66, 0x98, 0x66, 0x99") \
	X(movzx, "movzx of a word", "mov $-1, %eax; mov $0x8180, %bx; .byte 0x0f, 0xb7, 0xc3") \
	X(lidt, "lidt takes 24 bits of the base", "lidtw 0x9030; int $0x40; sidtl 0x9040; movl 0x9042, %ebx; lidtl 0x9050; shrl $24, %ebx") \
	X(lidtl, "with an operand prefix 32", "lidtl 0x9050; int $0x40; sidtl 0x9040; movl 0x9042, %ebx; cmpl %ebx, 0x9052; mov $0, %ebx; sete %bl") \
	X(bound, "bound of words", "mov $11, %ax; bound %ax, 0x9060") \
	X(word_end, "word at 0xffff", "movw 0xffff, %ax") \
	X(byte_end, "byte at 0xffff", "movb 0xffff, %al; mov $0, %al") \
	X(past, "32-bit address past the limit", "mov $0x10000, %ebx; movb (%ebx), %al") \
	X(jmp_past, "jmp with an operand prefix past the limit", ".byte 0x66, 0xe9; .long 0x10000") \
	X(call_past, "call with an operand prefix past the limit", ".byte 0x66, 0xe8; .long 0x10000") \
	X(ret_past, "ret with an operand prefix past the limit", "pushl $0x18000; retl") \
	X(far_data, "far jmp to data", "ljmp $" STRING(DATA16) ", $0") \
	X(far_null, "far call of a null selector", "lcall $0, $0") \
	X(ds_null, "a null ds", "xor %ax, %ax; mov %ax, %ds; movb 0x9000, %al") \
	X(ud2, "ud2", "nop; ud2") \
	X(ss_past, "pop past the limit", "mov $0xffff, %sp; pop %ax; mov $0x7f00, %sp")
#define SNIPPET(id, name, text) \
	__asm__(".pushsection .rodata\n.code16\nbegin_" #id ": 0: " text "\nend_" #id ":\n.code32\n.popsection");
/* clang-format on */
#define SNIPPET_EXTERN(id, name, text) extern const u8 begin_##id[], end_##id[];
#define SNIPPET_ROW(id, name, text) {name, begin_##id, end_##id},
SNIPPETS(SNIPPET)
SNIPPETS(SNIPPET_EXTERN)
static const struct {
	const char *name;
	const u8 *begin, *end;
} snippets[] = {SNIPPETS(SNIPPET_ROW)};

volatile u32 seen[6]; /* eax, ebx, ecx, edx, esp; the runtime's esp */
void run_16(void);
extern const u8 stubs_16[], stubs_16_end[], gate_entry_32[], int_entry_32[];
/* clang-format off */
__asm__(".text\n"
	/* ds, es, ss: 64 KiB; gs: all, for the way back */
	"run_16: pusha; mov %esp, seen + 20; mov $0x10, %eax; mov %eax, %gs\n"
	" mov $" STRING(DATA16) ", %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss; mov $" STRING(STACK) ", %esp\n"
	" xor %eax, %eax; xor %ebx, %ebx; xor %ecx, %ecx; xor %edx, %edx; xor %ebp, %ebp\n"
	" ljmp $" STRING(CODE16) ", $" STRING(ORIGIN) "\n"
	".global back_32\n"
	"back_32: mov %eax, %gs:seen; mov %ebx, %gs:seen + 4; mov %ecx, %gs:seen + 8; mov %edx, %gs:seen + 12; mov %esp, %gs:seen + 16\n"
	" mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss; mov %eax, %fs; mov seen + 20, %esp; popa; ret\n"
	"gate_entry_32: mov %esp, %eax; lretl\n"
	"int_entry_32: mov %esp, %eax; iretl\n"
	".pushsection .rodata\n.code16\n"
	".balign 16\nstubs_16: mov %sp, %ax; lret\n .balign 16\n"
	" mov %sp, %ax; iret\n"
	"stubs_16_end:\n.code32\n.popsection");
/* clang-format on */

static void attempt(const char *name, const u8 *begin, const u8 *end)
{
	extern const u8 back_32[];
	u8 *code = (u8 *)ORIGIN;

	copy(code, begin, (size_t)(end - begin));
	code += end - begin;
	/* ljmpl $KERNEL_CS, $back_32 */
	*code++ = 0x66;
	*code++ = 0xea;
	*(volatile u32 *)code = (u32)back_32;
	*(volatile u16 *)(code + 4) = KERNEL_CS;
	TRY(try_ip = ORIGIN; run_16());
	print("%s: ", name);
	report_trap();
	if (trap.vector == NONE)
		print(" ax %x bx %x cx %x dx %x, sp %x", (word)seen[0], (word)seen[1],
			(word)seen[2], (word)seen[3], (word)seen[4]);
	print("\n");
	lidt(&idt_pointer);
}

void guest_main(void)
{
	u8 *data = (u8 *)DATA;
	struct gate g;

	copy((void *)STUBS, stubs_16, (size_t)(stubs_16_end - stubs_16));
	gate_make(&g, GATE_CALL16, 0, CODE16, STUBS);
	copy(&gdt[GATE_16 / 8], &g, 8);
	gate_make(&g, GATE_CALL, 0, KERNEL_CS, (word)gate_entry_32);
	copy(&gdt[GATE_32 / 8], &g, 8);
	gate_make(&idt[0x40], GATE_INT16, 0, CODE16, STUBS + 0x10);
	gate_make(&idt[0x41], GATE_INT, 0, KERNEL_CS, (word)int_entry_32);

	for (int i = 0; i < 16; i++)
		data[i] = (u8)(0xa0 + i);
	*(volatile u16 *)(data + 0x10) = 0x1234;
	*(volatile u16 *)(data + 0x12) = KERNEL_DS;
	*(volatile u32 *)(data + 0x14) = 0x56789abc;
	*(volatile u16 *)(data + 0x18) = DATA16;
	copy(data + 0x30, &idt_pointer, sizeof(idt_pointer));
	data[0x35] = 0x55; /* the base's highest byte */
	copy(data + 0x50, &idt_pointer, sizeof(idt_pointer));
	*(volatile u16 *)(data + 0x60) = (u16)-5;
	*(volatile u16 *)(data + 0x62) = 10;
	for (unsigned i = 0; i < sizeof(snippets) / sizeof(snippets[0]); i++)
		attempt(snippets[i].name, snippets[i].begin, snippets[i].end);
}
