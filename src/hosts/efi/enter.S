/* SPDX-License-Identifier: MIT */
/*
 * The last instructions before the image's: copied to a page below 4 GiB, so that they go on when paging ends. enter_entry: EDI the entry,
 * ESI hvm_start_info, RDX the end of a stack below 4 GiB.
 */
	.section .rodata
	.globl enter_code, enter_code_end
	.align 16
enter_code:
	.code64
	cli
	cld
	mov %rdx, %rsp
	mov %esi, %ebx
	lea gdt(%rip), %rax
	mov %rax, gdt_pointer + 2(%rip)
	lgdt gdt_pointer(%rip)
	lea 1f(%rip), %rax
	pushq $8
	push %rax
	lretq

	.code32
1:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	mov %cr0, %eax
	and $0x7fffffff, %eax /* PG */
	mov %eax, %cr0
	mov $0xc0000080, %ecx /* EFER: LME */
	rdmsr
	and $~0x100, %eax
	wrmsr
	mov %cr4, %eax
	and $~0x20000, %eax /* PCIDE */
	mov %eax, %cr4
	jmp *%edi

	.align 8
gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word . - gdt - 1
	.quad 0
	.align 8
enter_code_end:
	.section .note.GNU-stack, "", @progbits
