/* SPDX-License-Identifier: MIT */
/*
 * void svm_enter(u64 vmcb, u64 *regs, u64 host_vmcb): guest mode, until an exit. regs is struct cpu's; RAX and RSP are the VMCB's. The host's FS, GS, TR
 * and system call registers come back from its own VMCB. Global interrupts are off before and after.
 */
	.text
	.globl svm_enter
svm_enter:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdx
	push %rsi
	mov %rdi, %rax
	vmload %rax
	mov 1 * 8(%rsi), %rcx
	mov 2 * 8(%rsi), %rdx
	mov 3 * 8(%rsi), %rbx
	mov 5 * 8(%rsi), %rbp
	mov 7 * 8(%rsi), %rdi
	mov 8 * 8(%rsi), %r8
	mov 9 * 8(%rsi), %r9
	mov 10 * 8(%rsi), %r10
	mov 11 * 8(%rsi), %r11
	mov 12 * 8(%rsi), %r12
	mov 13 * 8(%rsi), %r13
	mov 14 * 8(%rsi), %r14
	mov 15 * 8(%rsi), %r15
	mov 6 * 8(%rsi), %rsi
	sti /* an interrupt ends guest mode, and is taken after it: global interrupts are off */
	vmrun %rax
	cli
	vmsave %rax
	mov (%rsp), %rax
	mov %rcx, 1 * 8(%rax)
	mov %rdx, 2 * 8(%rax)
	mov %rbx, 3 * 8(%rax)
	mov %rbp, 5 * 8(%rax)
	mov %rsi, 6 * 8(%rax)
	mov %rdi, 7 * 8(%rax)
	mov %r8, 8 * 8(%rax)
	mov %r9, 9 * 8(%rax)
	mov %r10, 10 * 8(%rax)
	mov %r11, 11 * 8(%rax)
	mov %r12, 12 * 8(%rax)
	mov %r13, 13 * 8(%rax)
	mov %r14, 14 * 8(%rax)
	mov %r15, 15 * 8(%rax)
	mov 8(%rsp), %rax
	vmload %rax
	add $16, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret
	.section .note.GNU-stack, "", @progbits
