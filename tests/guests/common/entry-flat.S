/* SPDX-License-Identifier: MIT */
/* Multiboot Specification 0.6.96, 3.1.3: no ELF, the header's addresses say where the file goes. */
#include "entry.inc"
	.section .multiboot, "ax"
	.balign 4
header:
	.long 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
	.long header, header, 0, bss_end, entry /* 0: the file to its end */

	.text
	.code32
	.global entry
entry:
	cli
	entry_keep %eax
	jmp start
