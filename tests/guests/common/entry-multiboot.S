/* SPDX-License-Identifier: MIT */
/* Multiboot Specification 0.6.96, 3.1 and 3.2: entered in 32-bit protected mode. */
#include "entry.inc"
	.section .multiboot, "ax"
	.balign 4
	.long 0x1badb002, 0x3, -(0x1badb002 + 0x3) /* modules on pages, memory information */

	.text
	.code32
	.global entry
entry:
	cli
	entry_keep %eax
	jmp start
