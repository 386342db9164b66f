/* SPDX-License-Identifier: MIT */
/*
 * syscall, sysret, iretq and far returns in long mode, to 64-bit and compatibility mode (AMD64
 * volume 3, SYSCALL, SYSRET, IRET).
 */
#include "guest.h"

#define STAR 0xc0000081
#define LSTAR 0xc0000082
#define CSTAR 0xc0000083
#define FMASK 0xc0000084

volatile u64 seen[8]; /* rcx, r11, rflags, cs, ss, rsp, entry (1 long, 2 compatibility) */

/* The entries: what the processor left, then back by a plain exception, which TRY catches. */
extern u8 entry_long[], entry_compat[];
/* clang-format off */
__asm__("entry_compat: movq $2, seen + 48; jmp 1f\n"
	"entry_long: movq $1, seen + 48\n"
	"1: mov %rcx, seen; mov %r11, seen + 8; mov %rsp, seen + 40; mov $kernel_stack0_top, %esp; pushfq; popq seen + 16\n"
	" xor %eax, %eax; mov %cs, %eax; mov %rax, seen + 24; mov %ss, %eax; mov %rax, seen + 32; int $0x81\n"
	"entry_int82: xor %eax, %eax; mov %ss, %eax; mov %rax, seen + 32; mov 32(%rsp), %rax; mov %rax, seen + 40; iretq\n"
	".pushsection .user\n"
	"user_syscall: mov %rdi, %rax; push %rsi; popfq\n" UCODE("syscall") "int $0x80\n"
	"user_int82: int $0x82; ret\n"
	".code32\n"
	"user32_syscall: movl $771f, user_try_ip\n 771: syscall\n int $0x80\n"
	"user32_code: mov %cs, %eax; mov %esp, %ecx; int $0x80\n"
	"user32_sysenter: movl $771f, user_try_ip\n 771: sysenter\n int $0x80\n"
	"user32_wrap: movl $771f, user_try_ip\n mov $0xffffffff, %ebx\n 771: movb 0x100001(%ebx), %al; int $0x80\n"
	"user32_push: movl $771f, user_try_ip\n 771: push $0x12345678; pop %eax; inc %eax; int $0x80\n"
	"user32_rex: xor %eax, %eax; .byte 0x48, 0x89, 0xc1; int $0x80\n" /* dec eax; mov ecx, eax */
	"user32_lcall: lcall $0x2b, $1f; jmp user32_after\n .code64\n 1: mov %cs, %eax; lretl\n .code32\n"
	"user32_after: int $0x80\n"
	".code64\n"
	".popsection");
/* clang-format on */
extern u8 user_syscall[], user32_syscall[], user32_code[], user32_sysenter[], user32_wrap[],
	user32_push[], user32_rex[], user32_lcall[];

static void show_entry(const char *name, u64 rcx)
{
	print("%s: ", name);
	report_trap();
	print("\n");
	if (trap.vector == 0x81)
		print("%s: by %s, rcx right %d, r11 %q, flags %q, cs %q, ss %q, rsp kept %d\n",
			name, seen[6] == 1 ? "LSTAR" : "CSTAR", seen[0] == rcx, seen[1], seen[2],
			seen[3], seen[4],
			seen[5] >= (word)user_stack && seen[5] <= (word)user_stack_top);
}

/* sysret with everything named; the processor's mode of operand decides where to. */
static void sysret_try(const char *name, int wide, u64 rcx, u64 r11)
{
	TRY({
		if (wide)
			__asm__ volatile("mov $user_stack_top - 8, %%rsp\n mov %1, %%r11\n" CODE(
						 "sysretq")::"c"(rcx),
					 "r"(r11)
					 : "r11");
		else
			__asm__ volatile("mov $user_stack_top - 8, %%rsp\n mov %1, %%r11\n" CODE(
						 "sysretl")::"c"(rcx),
					 "r"(r11)
					 : "r11");
	});
	print("%s: ", name);
	report_trap();
	if (trap.vector == NONE)
		print(" flags %x cs %x ss %x", trap.flags, trap.cs, trap.ss);
	print("\n");
}

static void iret_try(const char *name, word ip, word cs, word flags, word sp, word ss)
{
	TRY(__asm__ volatile("push %4; push %3; push %2; push %1; push %0\n" CODE("iretq")::"r"(ip),
			     "r"(cs), "r"(flags), "r"(sp), "r"(ss)
			     : "memory"));
	print("%s: ", name);
	report_trap();
	if (trap.vector == NONE)
		print(" flags %x cs %x ss %x", trap.flags, trap.cs, trap.ss);
	print("\n");
}

static void compat_try(const char *name, void *code)
{
	TRY(user_enter_flags(code, 0, 0, 2, USER_CS32 | 3, USER_DS | 3));
	print("%s: ", name);
	report_trap();
	if (trap.vector == NONE)
		print(" rax %x", trap.ax);
	print("\n");
}

void guest_main(void)
{
	word top = (word)user_stack_top - 8;

	TRY_USER(user_syscall, 0, 2);
	report("syscall without EFER.SCE");
	SHOW("sysret without EFER.SCE", "sysretq");
	msr_set(MSR_EFER, msr_get(MSR_EFER) | EFER_SCE);
	msr_set(STAR, (u64)(USER_CS32 | 3) << 48 | (u64)KERNEL_CS << 32);
	msr_set(LSTAR, (u64)entry_long);
	msr_set(CSTAR, (u64)entry_compat);
	msr_set(FMASK, 0);
	TRY_USER(user_syscall, 0, 0xcd7);
	show_entry("syscall, no mask", seen[0]);
	check("rcx is the next instruction", seen[0] == user_try_ip + 2);
	msr_set(FMASK, 0x47700);
	TRY_USER(user_syscall, 0, 0x40cd7);
	show_entry("syscall, FMASK 0x47700", user_try_ip + 2);
	TRY(user_enter_flags(user32_syscall, 0, 0, 0x2, USER_CS32 | 3, USER_DS | 3));
	show_entry("syscall from compatibility mode", user_try_ip + 2);
	msr_set(FMASK, 0);

	sysret_try("sysretq", 1, (word)user_exit, 2);
	sysret_try("sysretq, all flags", 1, (word)user_exit, 0x247ed7);
	sysret_try("sysretq, RF and VM in r11", 1, (word)user_exit, 0x30002);
	sysret_try("sysretl", 0, (word)user32_code, 2);
	sysret_try("sysretl: high half of rcx is dropped", 0,
		(word)user32_code | 0xffffffff00000000, 2);
	/*
	 * not canonical: this vendor loads it and faults at CPL 3 on the fetch; what matters here
	 * is only that it is #GP
	 */
	TRY(__asm__ volatile("mov $user_stack_top - 8, %%rsp\n mov $2, %%r11d\n" CODE(
		"sysretq")::"c"(0x800000000000)
			     : "r11"));
	print("sysretq, rcx not canonical: #GP %d\n", trap.vector == GP);
	/* sysret loads fixed attributes: a bad descriptor does not matter */
	u64 kept = gdt[USER_CS64 / 8];
	gdt[USER_CS64 / 8] = 0;
	sysret_try("sysretq with an empty descriptor", 1, (word)user_exit, 2);
	gdt[USER_CS64 / 8] = kept;

	iret_try("iretq", (word)user_exit, USER_CS64 | 3, 2, top, USER_DS | 3);
	iret_try("iretq to compatibility mode", (word)user32_code, USER_CS32 | 3, 2, top,
		USER_DS | 3);
	value("rax there: cs", trap.ax);
	iret_try("iretq, null ss at CPL 3", (word)user_exit, USER_CS64 | 3, 2, top, 3);
	iret_try("iretq, null ss, rpl 0, at CPL 3", (word)user_exit, USER_CS64 | 3, 2, top, 0);
	iret_try("iretq to compatibility mode with a null ss", (word)user32_code, USER_CS32 | 3, 2,
		top, 3);
	iret_try("iretq, ip not canonical", 0x800000000000, USER_CS64 | 3, 2, top, USER_DS | 3);
	iret_try("iretq, cs null", (word)user_exit, 0, 2, top, USER_DS | 3);
	iret_try("iretq, cs data", (word)user_exit, USER_DS | 3, 2, top, USER_DS | 3);
	iret_try("iretq, cs rpl 3 dpl 0", (word)user_exit, KERNEL_CS | 3, 2, top, USER_DS | 3);
	iret_try("iretq, ss rpl 0", (word)user_exit, USER_CS64 | 3, 2, top, USER_DS);
	iret_try("iretq, ss dpl 0", (word)user_exit, USER_CS64 | 3, 2, top, KERNEL_DS | 3);
	iret_try("iretq, NT", (word)user_exit, USER_CS64 | 3, 0x4002, top, USER_DS | 3);
	TRY(__asm__ volatile("push $0x4002; popfq\n" CODE("iretq")::: "memory"));
	report("iretq while NT is set");
	/* to the same level: rsp and ss are popped all the same */
	word got_sp, got_ss;
	__asm__ volatile(
		"mov %%rsp, %%rbx; push $0; lea -256(%%rbx), %%rax; push %%rax; push $2; mov %%cs, %%eax; push %%rax; "
		"lea 1f(%%rip), %%rax; push %%rax; iretq\n"
		"1: lea 256(%%rsp), %0; sub %%rbx, %0; xor %%eax, %%eax; mov %%ss, %%eax; mov %%rax, %1; mov %%rbx, %%rsp"
		: "=&c"(got_sp), "=&d"(got_ss)::"rax", "rbx", "memory", "cc");
	print("iretq to CPL 0 with a null ss: rsp off by %x, ss %x\n", got_sp, got_ss);
	__asm__ volatile("mov %0, %%ss" ::"r"(KERNEL_DS));

	/* an interrupt from CPL 3 leaves a null ss in 64-bit mode, with rpl 0 */
	extern u8 user_int82[], entry_int82[];
	idt_set(0x82, GATE_INT, 3, (word)entry_int82, 0);
	TRY_USER(user_int82, 0, 0);
	value("ss in the handler of an event from CPL 3", seen[4]);
	value("ss pushed", seen[5]);

	compat_try("compatibility mode: cs", user32_code);
	compat_try("compatibility mode: addresses wrap at 4 GiB", user32_wrap);
	compat_try("compatibility mode: push has 4 bytes, 0x40 is inc", user32_push);
	compat_try("compatibility mode: 0x48 is dec", user32_rex);
	compat_try("sysenter in compatibility mode", user32_sysenter);
	compat_try("far call to 64-bit code and back", user32_lcall);
	/* CPL 0 in compatibility mode, and back */
	word r;
	__asm__ volatile("mov %%rsp, %%rbx; push %1; lea 1f(%%rip), %%rax; push %%rax; lretq\n"
			 ".code32\n 1: mov %%cs, %%eax; mov %%esp, %%ecx; ljmp %2, $2f\n .code64\n"
			 "2: mov %%rbx, %%rsp"
			 : "=&a"(r)
			 : "i"(KERNEL_CS32), "i"(KERNEL_CS)
			 : "rbx", "rcx", "memory");
	value("cs there", r);
	/* an exception from compatibility mode at CPL 0 comes to 64-bit code */
	TRY(__asm__ volatile(
		"push %0; lea 1f(%%rip), %%rax; push %%rax; lretq\n .code32\n 1: movl $771f, try_ip\n 771: ud2\n .code64" ::
			"i"(KERNEL_CS32)
		: "rax", "memory"));
	report("ud2 in compatibility mode at CPL 0");
	value("its cs", trap.cs);
}
