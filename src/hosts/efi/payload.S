/* SPDX-License-Identifier: MIT */
	.section .rodata
	.globl image_file, image_file_end
	.align 16
image_file:
	.incbin IMAGE_FILE
image_file_end:
	.section .note.GNU-stack, "", @progbits
