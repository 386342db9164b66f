/* SPDX-License-Identifier: MIT */
/* Start, stubs and context switches of 32-bit guests; entry-*.S come here. */
	.text
	.global start
start:
	cli
	cld
	mov $boot_stack_top, %esp
	lgdt gdt_pointer
	ljmp $0x08, $1f
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $bss_start, %edi
	mov $bss_end, %ecx
	sub %edi, %ecx
	rep stosb
	push $0
	popf
	call runtime_start
	hlt

	/* int context_save(struct context *) */
	.global context_save
context_save:
	mov 4(%esp), %eax
	mov %ebx, (%eax)
	mov %esi, 4(%eax)
	mov %edi, 8(%eax)
	mov %ebp, 12(%eax)
	mov %esp, 16(%eax)
	mov (%esp), %ecx
	mov %ecx, 20(%eax)
	xor %eax, %eax
	ret

	/* Segments go back to the usual ones, since anything may have been interrupted. */
	.global context_restore
context_restore:
	mov 4(%esp), %eax
	mov $0x10, %ecx
	mov %ecx, %ss
	mov 16(%eax), %esp
	mov %ecx, %ds
	mov %ecx, %es
	mov (%eax), %ebx
	mov 4(%eax), %esi
	mov 8(%eax), %edi
	mov 12(%eax), %ebp
	mov 20(%eax), %ecx
	mov %ecx, (%esp)
	push $2
	popf
	mov $1, %eax
	ret

	/* void user_enter_flags(fn, a, b, flags, cs, ss) */
	.global user_enter_flags
user_enter_flags:
	mov $user_stack_top - 4, %ecx
	mov 4(%esp), %ebx
	mov 8(%esp), %eax
	mov 12(%esp), %edx
	mov 16(%esp), %esi
	mov 20(%esp), %edi
	mov 24(%esp), %ebp
	mov %ebp, %ds
	mov %ebp, %es
	push %ebp
	push %ecx
	push %esi
	push %edi
	push %ebx
	iret

	.global touch_read, touch_write, touch_call
touch_read:
	mov 4(%esp), %eax
	movl $1f, try_ip
1:	movb (%eax), %al
	ret
touch_write:
	mov 4(%esp), %eax
	movl $1f, try_ip
1:	movb $0x5a, (%eax)
	ret
touch_call:
	mov 4(%esp), %eax
	mov %eax, try_ip
	call *%eax
	ret

	.section .user, "ax"
	.global user_exit, user_read8, user_read32, user_write8, user_jump
user_exit:
	int $0x80
user_read8:
	movl $1f, user_try_ip
1:	movzbl (%eax), %eax
	ret
user_read32:
	movl $1f, user_try_ip
1:	mov (%eax), %eax
	ret
user_write8:
	movl $1f, user_try_ip
1:	movb $0x5a, (%eax)
	ret
user_jump:
	mov %eax, user_try_ip
	jmp *%eax

	.text
	.global stubs
	/* Every stub leaves vector and error code; #DF #TS #NP #SS #GP #PF #AC bring their own. */
	.macro stub_n
	.balign 16
	.if (n == 8) || ((n >= 10) && (n <= 14)) || (n == 17)
	.else
	push $0
	.endif
	pushl $n
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
	pusha
	push %ds
	push %es
	push %fs
	push %gs
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	cld
	push %esp
	call trap_enter
	pop %eax
	pop %gs
	pop %fs
	pop %es
	pop %ds
	popa
	add $8, %esp
	iret

	.bss
	.balign 16
	.space 16384
	.global boot_stack_top
boot_stack_top:
	.section .note.GNU-stack
