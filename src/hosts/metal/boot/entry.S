/* SPDX-License-Identifier: MIT */
/*
 * Where loaders enter: three headers, one way into 64-bit code on the first 4 GiB mapped as they are. PVH and multiboot enter in flat
 * 32-bit protected mode without paging; EBX is the address of what they say.
 */
#include "hosts/metal/boot/layout.h"

	.set MULTIBOOT_FLAGS, 0x3 /* modules on pages, a memory map */
	.section .boot.header, "a"
#ifndef WITHOUT_MULTIBOOT_1
	.align 4
	.long 0x1badb002, MULTIBOOT_FLAGS, -(0x1badb002 + MULTIBOOT_FLAGS)
#endif
	.align 8
multiboot2:
	.long 0xe85250d6, 0, multiboot2_end - multiboot2, -(0xe85250d6 + multiboot2_end - multiboot2)
	.word 0, 0
	.long 8
multiboot2_end:

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long pvh_entry

	.section .boot.text, "ax"
	.code32
	.globl boot_entry
pvh_entry:
	mov $0x336ec578, %eax
boot_entry:
	cli
	cld
	mov $boot_stack_end, %esp
	mov %eax, %edi
	mov %ebx, %esi

	/* Four directories of 2 MiB pages. */
	mov $boot_pointers + 3, %eax
	mov %eax, boot_top
	mov $boot_directories + 3, %eax
	xor %ecx, %ecx
1:	mov %eax, boot_pointers(, %ecx, 8)
	add $0x1000, %eax
	inc %ecx
	cmp $4, %ecx
	jne 1b
	mov $0x83, %eax
	xor %ecx, %ecx
1:	mov %eax, boot_directories(, %ecx, 8)
	add $0x200000, %eax
	inc %ecx
	cmp $2048, %ecx
	jne 1b

	mov $boot_top, %eax
	mov %eax, %cr3
	mov $BOOT_CR4, %eax
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $BOOT_EFER, %eax
	wrmsr
	mov $BOOT_CR0, %eax
	mov %eax, %cr0
	lgdt boot_gdt_pointer
	ljmp $8, $1f

	.code64
1:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov %edi, %edi
	mov %esi, %esi
	xor %ebp, %ebp
	call metal_main
1:	cli
	hlt
	jmp 1b

	.section .rodata
	.globl boot_gdt_pointer
	.align 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
	.word . - boot_gdt - 1
	.quad boot_gdt

	.bss
	.align 4096
boot_top:
	.skip 4096
boot_pointers:
	.skip 4096
boot_directories:
	.skip 4 * 4096
	.globl boot_stack, boot_stack_end
boot_stack:
	.skip BOOT_STACK_BYTES
boot_stack_end:
	.section .note.GNU-stack, "", @progbits
