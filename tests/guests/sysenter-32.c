/* SPDX-License-Identifier: MIT */
/* sysenter, sysexit and syscall in 32-bit protected mode (AMD64 volume 3). */
#include "guest.h"

volatile u32 seen[6]; /* cs, ss, esp, flags, ecx */
extern u8 entry[], user_sysenter[], user_syscall[], syscall_entry[];
/* clang-format off */
__asm__("entry: mov %esp, seen + 8; pushf; pop seen + 12; mov %cs, %eax; mov %eax, seen; mov %ss, %eax; mov %eax, seen + 4; int $0x81\n"
	"syscall_entry: mov %ecx, seen + 16; mov %esp, seen + 8; mov $kernel_stack0_top, %esp; jmp entry_tail\n"
	"entry_tail: pushf; pop seen + 12; mov %cs, %eax; mov %eax, seen; mov %ss, %eax; mov %eax, seen + 4; int $0x81\n"
	".pushsection .user\n"
	"user_sysenter: push %eax; popf\n" UCODE("sysenter") "int $0x80\n"
	"user_syscall: push %eax; popf\n" UCODE("syscall") "int $0x80\n"
	".popsection");
/* clang-format on */

void guest_main(void)
{
	static u8 stack[1024];

	msr_set(0x174, 0);
	TRY_USER(user_sysenter, 2, 0);
	report("sysenter with a null selector");
	SHOW("sysexit with a null selector", "sysexit", "c"(user_stack_top), "d"(user_exit));
	msr_set(0x174, KERNEL_CS);
	msr_set(0x175, (u32)stack + sizeof(stack));
	msr_set(0x176, (u32)entry);
	TRY(user_enter_flags(user_sysenter, 0x3cd7, 0, 0x3002, USER_CS | 3, USER_DS | 3));
	report("sysenter");
	print("cs %x ss %x flags %x esp is SYSENTER_ESP: %d\n", (word)seen[0], (word)seen[1],
		(word)seen[3], seen[2] == (u32)stack + sizeof(stack));
	SHOW("sysexit", "sysexit", "c"(user_stack_top), "d"(user_exit));
	print("cs %x ss %x, esp is ecx: %d\n", trap.cs, trap.ss, trap.sp == (word)user_stack_top);
	extern u8 user_sysexit[];
	__asm__(".pushsection .user\n user_sysexit:\n" UCODE("sysexit") "int $0x80\n .popsection");
	TRY_USER(user_sysexit, 0, 0);
	report("sysexit at CPL 3");
	/* rpl bits of the MSR are ignored; descriptors are not read */
	msr_set(0x174, KERNEL_CS | 3);
	TRY(user_enter_flags(user_sysenter, 2, 0, 2, USER_CS | 3, USER_DS | 3));
	report("sysenter with rpl 3 in the MSR");
	print("cs %x ss %x\n", (word)seen[0], (word)seen[1]);

	TRY_USER(user_syscall, 2, 0);
	report("syscall without EFER.SCE");
	msr_set(MSR_EFER, EFER_SCE);
	msr_set(0xc0000081, (u64)(USER_CS32 | 3) << 48 | (u64)KERNEL_CS << 32 | (u32)syscall_entry);
	TRY(user_enter_flags(user_syscall, 0xcd7, 0, 0x202, USER_CS | 3, USER_DS | 3));
	report("syscall");
	print("cs %x ss %x flags %x, ecx is the next instruction: %d, esp stays: %d\n",
		(word)seen[0], (word)seen[1], (word)seen[3], seen[4] == user_try_ip + 2,
		seen[2] == (u32)user_stack_top - 4);
	TRY(__asm__ volatile(CODE("sysret")::"c"(user_exit)));
	print("sysret: ");
	report_trap();
	print(" cs %x ss %x flags %x\n", trap.cs, trap.ss, trap.flags & 0x202);
}
