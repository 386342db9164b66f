/* SPDX-License-Identifier: MIT */
/* The PVH entry that a note names: Xen's docs/misc/pvh.pandoc; entered in 32-bit protected mode. */
#include "entry.inc"
	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long entry

	.text
	.code32
	.global entry
entry:
	cli
	entry_keep %eax
	jmp start
