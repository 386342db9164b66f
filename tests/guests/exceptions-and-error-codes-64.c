/* SPDX-License-Identifier: MIT */
/*
 * Every exception that an instruction can raise in 64-bit mode, with its error code and the address
 * told.
 */
#define PRIVILEGED_MODE(X)                                                                         \
	X(swapgs, "swapgs")                                                                        \
	X(sysret, "sysretl")                                                                       \
	X(iretq_is_allowed,                                                                        \
		"mov %rsp, %rax; push $0x23; push %rax; push $2; push $0x2b; push $1f; iretq; 1:") \
	X(mov_from_cr8, "mov %cr8, %rax")                                                          \
	X(mov_to_cr8, "mov %rax, %cr8")
#include "faults.h"

static void test_not_in_long_mode(void)
{
	static const u8 opcodes[] = {0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37,
		0x3f, 0x60, 0x61, 0x62, 0x82, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea};
	u8 *code = page_alloc();

	for (unsigned i = 0; i < sizeof(opcodes); i++) {
		code[0] = opcodes[i];
		fill(code + 1, 0, 8);
		TRY(touch_call((word)code));
		print("opcode 0x%c%c", "0123456789abcdef"[opcodes[i] >> 4],
			"0123456789abcdef"[opcodes[i] & 15]);
		report("");
	}
}

void guest_main(void)
{
	/* a double fault has a stack of its own */
	tss.ist[6] = (word)kernel_stack0_top;
	idt[DF].flags |= 7;
	test_simple();
	test_not_in_long_mode();
	SHOW("sysenter (this vendor: not in long mode)", "sysenter");
	SHOW("sysexit (this vendor: not in long mode)", ".byte 0x0f, 0x35");
	SHOW("lar of a null selector is no fault", "lar %w0, %%eax", "a"(0));
	test_segment_faults();
	SHOW("ds: null", "mov %0, %%ds", "r"(0));
	SHOW("ss: null at CPL 0", "mov %0, %%ss", "r"(0));
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss" ::"r"(KERNEL_DS));
	test_fpu();
	test_alignment();
	test_delivery();
	idt[0x40].offset_top = 0x8000;
	SHOW("int by a gate to an address that is not canonical", "int $0x40");
	idt[0x40].offset_top = 0;
	idt[0x40].selector = KERNEL_CS32;
	SHOW("int by a gate to 32-bit code", "int $0x40");
	idt[0x40].selector = KERNEL_CS;
	test_privileged();
}
