/* SPDX-License-Identifier: MIT */
/*
 * A processor's first instructions, copied to TRAMPOLINE_ADDRESS: from real mode to 64-bit code in the hypervisor's own address space.
 */
#include "hosts/metal/boot/layout.h"

	.section .rodata
	.globl trampoline_start, trampoline_end, trampoline_root, trampoline_stack
	.align 16
	.code16
trampoline_start:
	cli
	xor %ax, %ax
	mov %ax, %ds
	mov $BOOT_CR4, %eax
	mov %eax, %cr4
	mov TRAMPOLINE_ADDRESS + (trampoline_root - trampoline_start), %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $BOOT_EFER, %eax
	wrmsr
	mov $BOOT_CR0, %eax
	mov %eax, %cr0
	lgdtl TRAMPOLINE_ADDRESS + (gdt_pointer - trampoline_start)
	ljmpl $8, $(TRAMPOLINE_ADDRESS + (long_mode - trampoline_start))
	.code64
long_mode:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov trampoline_stack - trampoline_start + TRAMPOLINE_ADDRESS, %rsp
	xor %ebp, %ebp
	mov $processor_main, %eax
	call *%rax
	ud2
	.align 8
gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long TRAMPOLINE_ADDRESS + (gdt - trampoline_start)
	.align 8
trampoline_root:
	.long 0, 0
trampoline_stack:
	.quad 0
trampoline_end:
	.section .note.GNU-stack, "", @progbits
