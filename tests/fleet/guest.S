/* SPDX-License-Identifier: MIT */
/*
 * The fleet's guest: says "ready", then counts, looks at its power button and obeys what it is typed:
 *   c  prints the count, eight hexadecimal digits        f  prints 3 MiB
 *   d  is deaf to the power button from now on            p  panics (pvpanic), and goes on
 *   q  powers off       t  triple fault       h  halts for good
 * Everything else comes back as it is.
 */
	.code32
	.globl _start
_start:
	.long 0x1badb002, 0x10000, -0x1badb002 - 0x10000
	.long _start, _start, 0, 0, begin

begin:
	mov $stack, %esp
	xor %ebx, %ebx		/* the count */
	xor %ebp, %ebp		/* deaf */
	mov $ready, %esi
1:	lodsb
	test %al, %al
	jz loop
	call put
	jmp 1b

loop:	inc %ebx
	test $0xff, %bl
	jnz loop
	test %ebp, %ebp
	jnz 1f
	mov $0x600, %dx
	in %dx, %ax
	test $1, %ah		/* PWRBTN_STS */
	jnz power_off
1:	mov $0x3fd, %dx
	in %dx, %al
	test $1, %al
	jz loop
	mov $0x3f8, %dx
	in %dx, %al
	cmp $'q', %al
	je power_off
	cmp $'c', %al
	je count
	cmp $'f', %al
	je flood
	cmp $'p', %al
	je panic
	cmp $'t', %al
	je triple
	cmp $'h', %al
	je halt
	cmp $'d', %al
	jne 2f
	inc %ebp
2:	call put
	jmp loop

power_off:
	mov $0x604, %dx
	mov $(5 << 10 | 1 << 13), %ax
	out %ax, %dx
halt:	cli
	hlt
	jmp halt

triple:	lidt none
	int3

panic:	mov $0x505, %dx
	mov $1, %al
	out %al, %dx
	mov $'p', %al
	call put
	jmp loop

count:	mov $8, %ecx
	mov %ebx, %edi
1:	rol $4, %edi
	mov %edi, %eax
	and $15, %eax
	mov digits(%eax), %al
	call put
	loop 1b
	mov $'\n', %al
	call put
	jmp loop

flood:	mov $(3 << 20), %ecx
1:	mov %ecx, %eax
	and $15, %eax
	mov digits(%eax), %al
	call put
	loop 1b
	mov $'\n', %al
	call put
	jmp loop

/* al to the serial port, once it takes it */
put:	push %edx
	push %eax
	mov $0x3fd, %dx
1:	in %dx, %al
	test $0x20, %al
	jz 1b
	pop %eax
	mov $0x3f8, %dx
	out %al, %dx
	pop %edx
	ret

ready:	.asciz "ready\n"
digits:	.ascii "0123456789abcdef"
none:	.fill 6, 1, 0
	.fill 256, 1, 0
stack:
