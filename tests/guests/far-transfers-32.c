/* SPDX-License-Identifier: MIT */
/*
 * lret and iret in 32-bit protected mode: privileges, what they check and what they leave (AMD64
 * volume 3, RET far and IRET).
 */
#include "guest.h"

static void iret_frame(const char *name, word ip, word cs, word flags, word sp, word ss)
{
	TRY(__asm__ volatile("push %4; push %3; push %2; push %1; push %0\n" CODE("iret")::"m"(ip),
			     "m"(cs), "m"(flags), "m"(sp), "m"(ss)
			     : "memory"));
	report(name);
}

static void retf_frame(const char *name, word ip, word cs, word sp, word ss)
{
	TRY(__asm__ volatile("push %3; push %2; push %1; push %0\n" CODE("lret")::"m"(ip), "m"(cs),
			     "m"(sp), "m"(ss)
			     : "memory"));
	report(name);
}

void guest_main(void)
{
	word ip = (word)user_exit, sp = (word)user_stack_top - 4;

	iret_frame("iret to CPL 3", ip, USER_CS32 | 3, 2, sp, USER_DS | 3);
	iret_frame("iret: cs null", ip, 0, 2, sp, USER_DS | 3);
	iret_frame("iret: cs data", ip, USER_DS | 3, 2, sp, USER_DS | 3);
	iret_frame("iret: cs rpl 3, dpl 0", ip, KERNEL_CS | 3, 2, sp, USER_DS | 3);
	iret_frame("iret: cs rpl 0, dpl 3", ip, USER_CS32, 2, sp, USER_DS | 3);
	iret_frame("iret: cs past the table", ip, 0x3fb, 2, sp, USER_DS | 3);
	gdt[GDT_FREE / 8] = gdt[USER_CS32 / 8] & ~(1ull << 47);
	iret_frame("iret: cs absent", ip, GDT_FREE | 3, 2, sp, USER_DS | 3);
	iret_frame("iret: ss null", ip, USER_CS32 | 3, 2, sp, 0);
	iret_frame("iret: ss null, rpl 3", ip, USER_CS32 | 3, 2, sp, 3);
	iret_frame("iret: ss dpl 0", ip, USER_CS32 | 3, 2, sp, KERNEL_DS | 3);
	iret_frame("iret: ss rpl 0", ip, USER_CS32 | 3, 2, sp, USER_DS);
	iret_frame("iret: ss code", ip, USER_CS32 | 3, 2, sp, USER_CS32 | 3);
	gdt[GDT_FREE / 8] = gdt[USER_DS / 8] & ~(1ull << 47);
	iret_frame("iret: ss absent", ip, USER_CS32 | 3, 2, sp, GDT_FREE | 3);
	iret_frame("iret: ss past the table", ip, USER_CS32 | 3, 2, sp, 0x3fb);
	retf_frame("lret to CPL 3", ip, USER_CS32 | 3, sp, USER_DS | 3);
	retf_frame("lret: cs null", ip, 0, sp, USER_DS | 3);
	retf_frame("lret: cs data", ip, USER_DS | 3, sp, USER_DS | 3);
	retf_frame("lret: ss null", ip, USER_CS32 | 3, sp, 0);
	retf_frame("lret: ss dpl 0", ip, USER_CS32 | 3, sp, KERNEL_DS | 3);
	retf_frame("lret: cs absent", ip, GDT_FREE | 3, sp, USER_DS | 3);

	/* flags that iret sets at each level */
	iret_frame("iret to CPL 3, all flags", ip, USER_CS32 | 3, 0x247fd7 & ~FLAG_TF & ~FLAG_NT,
		sp, USER_DS | 3);
	value("flags at CPL 3", trap.flags & 0x3fffff & ~FLAG_RF);
	word got;
	__asm__ volatile(
		"pushf; push %%cs; push $1f; orl $0x3ad5, 8(%%esp); iret; 1: pushf; pop %0; push $2; popf"
		: "=r"(got)::"memory", "cc");
	value("flags at CPL 0", got);

	/* CPL 3 with IOPL 0 changes neither IF nor IOPL by popf, and there is no fault */
	extern u8 user_popf[], user_iret_same[];
	TRY_USER(user_popf, 0, 0);
	value("popf at CPL 3, IOPL 0: flags", trap.flags & 0x3fffff);
	TRY(user_enter_flags(user_popf, 0, 0, 0x3002, USER_CS | 3, USER_DS | 3));
	value("popf at CPL 3, IOPL 3: flags", trap.flags & 0x3fffff & ~FLAG_RF);
	TRY_USER(user_iret_same, 0, 0);
	value("iret at CPL 3, IOPL 0: flags", trap.flags & 0x3fffff);
	extern u8 user_sti[], user_iret_up[];
	TRY(user_enter_flags(user_sti, 0, 0, 0x3002, USER_CS | 3, USER_DS | 3));
	report("sti, cli at CPL 3, IOPL 3");
	TRY_USER(user_iret_up, 0, 0);
	report("iret to CPL 0 from CPL 3");
}
/* clang-format off */
__asm__(".pushsection .user\n"
	"user_popf: push $0x3cd7; popf; int $0x80\n"
	"user_iret_same: push $0x3cd7; push %cs; push $1f; iret; 1: int $0x80\n"
	"user_sti:\n" UCODE("sti; cli") "int $0x80\n"
	"user_iret_up: push $2; push $8; push $user_exit\n" UCODE("iret") "int $0x80\n"
	".popsection");
/* clang-format on */
