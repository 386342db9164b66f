/* SPDX-License-Identifier: MIT */
/*
 * Instructions whose immediate changes what the arithmetic does: one stub of eight bytes for each value, called as
 * C functions. ENCODING is the instruction with XMM0 (destination) and XMM1, without its immediate.
 */
#ifndef X86_FPU_STUBS_H
#define X86_FPU_STUBS_H

#include "base/types.h"

#define STUB_BYTES 8

/* clang-format off */
#define DEFINE_STUBS(name, encoding, count)                                                        \
	extern const u8 stubs_##name[] __attribute__((visibility("hidden")));                      \
	__asm__(".pushsection .text.fpu_stubs, \"ax\", @progbits\n"                                \
		".balign 8\n"                                                                      \
		".globl stubs_" #name "\n"                                                         \
		".hidden stubs_" #name "\n"                                                        \
		"stubs_" #name ":\n"                                                               \
		".set stub_value, 0\n"                                                             \
		".rept " #count "\n"                                                               \
		".byte " encoding ", stub_value, 0xc3\n"                                           \
		".balign 8, 0x90\n"                                                                \
		".set stub_value, stub_value + 1\n"                                                \
		".endr\n"                                                                          \
		".popsection\n");
/* clang-format on */

#endif
