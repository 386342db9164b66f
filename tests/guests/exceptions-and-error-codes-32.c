/* SPDX-License-Identifier: MIT */
/*
 * Every exception that an instruction can raise in 32-bit protected mode, with its error code and
 * the address told.
 */
#define PRIVILEGED_MODE(X) X(into_with_overflow, "mov $0x7fffffff, %eax; inc %eax; into")
#include "faults.h"

void guest_main(void)
{
	static const int bounds[2] = {-5, 10};

	test_simple();
	TRY(__asm__ volatile("mov $0x7f, %%al; inc %%al\n" CODE("into")::: "eax", "cc"));
	report("into with overflow");
	TRY(__asm__ volatile("xor %%eax, %%eax\n" CODE("into")::: "eax", "cc"));
	report("into without overflow");
	SHOW("bound below", "bound %0, %1", "r"(-6), "m"(bounds[0]));
	SHOW("bound at the lower end", "bound %0, %1", "r"(-5), "m"(bounds[0]));
	SHOW("bound at the upper end", "bound %0, %1", "r"(10), "m"(bounds[0]));
	SHOW("bound above", "bound %0, %1", "r"(11), "m"(bounds[0]));
	SHOW("bound of a register", ".byte 0x62, 0xc0, 0x90");
	SHOW("aam 0", "aam $0", "a"(5));
	SHOW("arpl is an instruction here", "arpl %%ax, %%ax", "a"(0));
	test_segment_faults();
	SHOW("ss: null", "mov %0, %%ss", "r"(0));
	test_fpu();
	test_alignment();
	test_delivery();
	test_privileged();
}
