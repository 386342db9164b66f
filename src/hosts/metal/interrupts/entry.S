/* SPDX-License-Identifier: MIT */
/* One entry a vector, which makes the frame of interrupts.h: the same with an error code of the processor's and without. */
	.text
	.altmacro
	.macro entry vector
	.align 8
interrupt_entry_\vector:
	.if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30)
	push $0
	.endif
	push $\vector
	jmp interrupt_common
	.endm
	.set vector, 0
	.rept 256
	entry %vector
	.set vector, vector + 1
	.endr

interrupt_common:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	mov %rsp, %rbp
	and $-16, %rsp
	call interrupt_dispatch
	mov %rbp, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	.section .rodata
	.globl interrupt_entries
	.align 8
interrupt_entries:
	.macro address vector
	.quad interrupt_entry_\vector
	.endm
	.set vector, 0
	.rept 256
	address %vector
	.set vector, vector + 1
	.endr
	.section .note.GNU-stack, "", @progbits
