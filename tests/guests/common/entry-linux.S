/* SPDX-License-Identifier: MIT */
/* Linux's boot protocol (Documentation/x86/boot.rst), by the 32-bit entry, or by the 64-bit one: that leaves long mode first. */
#include "entry.inc"
	.global entry
entry:
	cli
#ifdef __x86_64__
	entry_keep %rax
	lgdt gdt_pointer64
	push $0x40
	push $1f
	lretq
	.code32
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	jmp start

	.data
gdt_pointer64:
	.word 511
	.quad gdt
#else
	entry_keep %eax
	jmp start
#endif
