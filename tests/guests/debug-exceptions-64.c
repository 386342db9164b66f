/* SPDX-License-Identifier: MIT */
/* Debug exceptions in 64-bit mode. */
#define IRET_RF(label)                                                                                            \
	"mov %%ss, %%eax; mov %%rsp, %%rcx; push %%rax; push %%rcx; push $0x10002; mov %%cs, %%eax; push %%rax; " \
	"lea " #label "f(%%rip), %%rax; push %%rax; iretq\n"
#include "debug.h"

void guest_main(void)
{
	test_debug();
	watch("qword written", (word)data, WRITE, QWORD);
	RUN("its last byte", "movb $1, data + 7; nop");
	SHOW("dr7 with a high bit", "mov %0, %%dr7", "r"(1ul << 32));
	SHOW("dr6 with a high bit", "mov %0, %%dr6", "r"(1ul << 32));
	SHOW("dr0 that is not canonical is allowed", "mov %0, %%dr0", "r"(1ul << 63));
	dr0_set(0);
	/* TF and syscall: the mask decides whether the handler is stepped */
	msr_set(MSR_EFER, msr_get(MSR_EFER) | EFER_SCE);
	msr_set(0xc0000081, (u64)KERNEL_CS << 32);
	extern u8 syscall_entry[];
	msr_set(0xc0000082, (u64)syscall_entry);
	msr_set(0xc0000084, FLAG_TF);
	STEP("step: syscall with TF masked", "syscall; nop");
	STEP("step: syscall at CPL 0 again", "nop; syscall; nop");
}
/* from CPL 0: flags and place are in r11 and rcx; goes back without leaving CPL 0 */
__asm__("syscall_entry: push %r11; popfq; jmp *%rcx");
