/* SPDX-License-Identifier: MIT */
/*
 * What the gdb tests debug: enters by its PVH note in 32-bit code, switches to long mode, and loops in the upper half. `mode`, which only
 * a debugger sets, ends the loop. Two pages at 0x800000 are mapped the wrong way round, the one behind them is not there.
 */
#define MODE_IDLE 1
#define MODE_POWER_OFF 2

	.section .note, "a"
	.long 4, 4, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start

	.section .boot, "awx"
	.code32
	.globl start
start:
	mov $0x6a0, %eax		/* PAE, PGE, OSFXSR, OSXMMEXCPT */
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	mov $0x100, %eax
	xor %edx, %edx
	wrmsr
	mov $0x80000011, %eax
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $in_long_mode
	.code64
in_long_mode:
	mov $stack, %rsp
	mov $main, %rax
	jmp *%rax

	.balign 8
gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word 23
	.long gdt
	.balign 4096
pml4:
	.quad directories + 3
	.fill 510, 8, 0
	.quad directories + 3
directories:
	.quad directory + 3
	.fill 509, 8, 0
	.quad directory + 3, 0
directory:
	.quad 0x83, 0x200083, 0x400083, 0x600083, swapped + 3, 0xa00083
	.fill 506, 8, 0
swapped:
	.quad 0xa01003, 0xa00003
	.fill 510, 8, 0

	.text
	.globl main, work, work_inside, after_count, idle
main:
	mov $0x1122334455667788, %rbx
	movq %rbx, %xmm3
	fld1
loop:
	incq counter(%rip)
after_count:
	call work
	rdtsc
	mov %eax, now(%rip)
	mov %edx, now + 4(%rip)
	cmpl $MODE_IDLE, mode(%rip)
	jb loop
	je idle
	mov $0x3f8, %dx
	mov $'!', %al
	out %al, %dx
	mov $0x604, %dx
	mov $5 << 10 | 1 << 13, %ax
	out %ax, %dx
idle:
	cli
	hlt
	jmp idle

work:
	push %rax
work_inside:
	mov counter(%rip), %rax
	pop %rax
	ret

	.data
	.globl counter, now, mode
counter:
	.quad 0
now:
	.quad 0
mode:
	.long 0
	.balign 16
	.skip 4096
stack:
