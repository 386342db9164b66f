/* SPDX-License-Identifier: MIT */
	.text
/* void thread_switch_stacks(u64 *save, u64 load) */
	.globl thread_switch_stacks
thread_switch_stacks:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret

/* The first instructions of a thread: frames end here. */
	.globl thread_begin
thread_begin:
	xor %ebp, %ebp
	push %rbp
	call thread_main
	ud2
	.section .note.GNU-stack, "", @progbits
