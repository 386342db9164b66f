/* SPDX-License-Identifier: MIT */
/* Start, stubs and context switches of 64-bit guests; entry-*.S come here in 32-bit protected mode. */
	.text
	.code32
	.global start
start:
	cli
	cld
	mov $boot_stack_top, %esp
	lgdt gdt_pointer32
	mov $bss_start, %edi
	mov $bss_end, %ecx
	sub %edi, %ecx
	xor %eax, %eax
	rep stosb

	/* 4 GiB one to one in 2 MiB pages (AMD64 manual volume 2, 5.3.4); C refines the first 4 MiB */
	movl $pdpt_low + 7, pml4
	mov $page_directories + 7, %eax
	mov $pdpt_low, %edi
	mov $4, %ecx
1:	mov %eax, (%edi)
	add $4096, %eax
	add $8, %edi
	loop 1b
	mov $page_directories, %edi
	mov $0x83, %eax
	mov $2048, %ecx
1:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b

	mov $0x20, %eax
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	mov $0x100, %eax
	xor %edx, %edx
	wrmsr
	mov $0x80000031, %eax
	mov %eax, %cr0
	ljmp $0x08, $1f
	.code64
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $boot_stack_top, %esp
	push $0
	popf
	call runtime_start
	hlt

	.global context_save
context_save:
	mov %rbx, (%rdi)
	mov %rbp, 8(%rdi)
	mov %r12, 16(%rdi)
	mov %r13, 24(%rdi)
	mov %r14, 32(%rdi)
	mov %r15, 40(%rdi)
	mov %rsp, 48(%rdi)
	mov (%rsp), %rax
	mov %rax, 56(%rdi)
	xor %eax, %eax
	ret

	.global context_restore
context_restore:
	mov $0x10, %eax
	mov %eax, %ss
	mov 48(%rdi), %rsp
	mov %eax, %ds
	mov %eax, %es
	mov (%rdi), %rbx
	mov 8(%rdi), %rbp
	mov 16(%rdi), %r12
	mov 24(%rdi), %r13
	mov 32(%rdi), %r14
	mov 40(%rdi), %r15
	mov 56(%rdi), %rax
	mov %rax, (%rsp)
	push $2
	popf
	mov $1, %eax
	ret

	/* void user_enter_flags(fn, a, b, flags, cs, ss): the arguments arrive in rdi, rsi */
	.global user_enter_flags
user_enter_flags:
	mov $0x23, %eax /* iretq makes data segments null that CPL 3 may not have: 0x10 is one */
	mov %eax, %ds
	mov %eax, %es
	mov $user_stack_top - 8, %eax
	push %r9
	push %rax
	push %rcx
	push %r8
	push %rdi
	mov %rsi, %rdi
	mov %rdx, %rsi
	iretq

	.global touch_read, touch_write, touch_call
touch_read:
	movq $1f, try_ip
1:	movb (%rdi), %al
	ret
touch_write:
	movq $1f, try_ip
1:	movb $0x5a, (%rdi)
	ret
touch_call:
	mov %rdi, try_ip
	call *%rdi
	ret

	.section .user, "ax"
	.global user_exit, user_read8, user_read32, user_write8, user_jump
user_exit:
	int $0x80
user_read8:
	movq $1f, user_try_ip
1:	movzbl (%rdi), %eax
	ret
user_read32:
	movq $1f, user_try_ip
1:	mov (%rdi), %eax
	ret
user_write8:
	movq $1f, user_try_ip
1:	movb $0x5a, (%rdi)
	ret
user_jump:
	mov %rdi, user_try_ip
	jmp *%rdi

	.text
	.global stubs
	/* Every stub leaves vector and error code; #DF #TS #NP #SS #GP #PF #AC bring their own. */
	.macro stub_n
	.balign 16
	.if (n == 8) || ((n >= 10) && (n <= 14)) || (n == 17)
	.else
	push $0
	.endif
	pushq $n
	jmp common
	.endm
	.balign 16
stubs:
	.set n, 0
	.rept 256
	stub_n
	.set n, n + 1
	.endr
common:
	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
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
	call trap_enter
	mov %rbp, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp
	iretq

	.data
	.balign 4
gdt_pointer32:
	.word 511
	.long gdt

	.bss
	.balign 4096
	.global pml4, pdpt_low, page_directories, boot_stack_top
pml4:	.space 4096
pdpt_low:
	.space 4096
page_directories:
	.space 16384
	.space 16384
boot_stack_top:
	.section .note.GNU-stack
