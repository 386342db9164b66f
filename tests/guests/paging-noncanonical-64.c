/* SPDX-License-Identifier: MIT */
/*
 * Addresses that are not canonical: #GP(0), and #SS(0) where rsp or rbp is the base (AMD64 volume
 * 2, 1.1.3 and 8.2.13).
 */
#include "guest.h"

/* SHOW with rsp or rbp taken away and given back. */
#define WITH(reg, bad, text) \
	"mov %%" reg ", %%r12\n mov %0, %%" reg "\n" CODE(text) "mov %%r12, %%" reg
#define SHOW_WITH(name, reg, bad, text)                                \
	do {                                                           \
		TRY(__asm__ volatile(WITH(reg, bad, text)::"r"(bad)    \
				     : "memory", "cc", "r12", "rax")); \
		report(name);                                          \
	} while (0)

void guest_main(void)
{
	word low = 0x800000000000, high = 0xffff7fffffffffff, edge = 0x7fffffffffff;

	/*
	 * a fault is delivered on the stack that rsp names: on a bad one that would be a double
	 * fault, so IST takes these
	 */
	idt[SS].flags |= 1;
	idt[GP].flags |= 1;
	idt[PF].flags |= 1;
	tss.ist[0] = (word)kernel_stack0_top;

	TRY(__asm__ volatile(CODE("mov (%0), %%al")::"r"(low) : "rax"));
	report("read of the first bad address");
	TRY(__asm__ volatile(CODE("mov (%0), %%al")::"r"(high) : "rax"));
	report("read of the last bad address");
	TRY(__asm__ volatile(CODE("mov (%0), %%al")::"r"(edge) : "rax"));
	report("read of the last good address, which is not mapped");
	TRY(__asm__ volatile(CODE("movb $1, (%0)")::"r"(low) : "memory"));
	report("write");
	SHOW_WITH("read by rsp", "rsp", low, "mov (%%rsp), %%rax");
	SHOW_WITH("read by rbp", "rbp", low, "mov (%%rbp), %%rax");
	SHOW_WITH("read by rbp as index", "rbp", low, "mov (%%rbx, %%rbp), %%rax");
	SHOW_WITH("push", "rsp", low + 8, "push %%rax");
	SHOW_WITH("push to the last bad address", "rsp", high + 8, "push %%rax");
	SHOW_WITH("pop", "rsp", low, "pop %%rax");
	SHOW_WITH("call", "rsp", low + 8, "call 1f\n1:");
	SHOW_WITH("ret", "rsp", low, "ret");
	SHOW_WITH("leave", "rbp", low, "leave");
	SHOW_WITH("pushf", "rsp", low + 8, "pushf");
	SHOW_WITH("popf", "rsp", low, "popf");
	SHOW_WITH("iretq", "rsp", low, "iretq");
	TRY(__asm__ volatile(CODE("jmp *%0")::"r"(low)));
	report("jmp");
	TRY(__asm__ volatile(CODE("call *%0")::"r"(low) : "memory"));
	report("call to a bad address");
	TRY(__asm__ volatile("push %0\n" CODE("ret")::"r"(low) : "memory"));
	report("ret to a bad address");
	TRY(__asm__ volatile(CODE("lgdt (%0)")::"r"(low)));
	report("lgdt from a bad address");
	TRY(__asm__ volatile(CODE("invlpg (%0)")::"r"(low)));
	report("invlpg of a bad address does nothing");
	TRY(__asm__ volatile(CODE("lea (%0), %%rax")::"r"(low) : "rax"));
	report("lea of a bad address");
	TRY(__asm__ volatile(CODE("prefetcht0 (%0)")::"r"(low)));
	report("prefetch of a bad address");
	TRY(__asm__ volatile(CODE("clflush (%0)")::"r"(low)));
	report("clflush of a bad address");
	struct table_pointer p = {4095, low};
	TRY(__asm__ volatile(CODE("lidt %0")::"m"(p)));
	lidt(&idt_pointer);
	report("lidt with a bad base");
	TRY(__asm__ volatile(CODE("lgdt %0")::"m"(p)));
	lgdt(&gdt_pointer);
	report("lgdt with a bad base");
	TRY(__asm__ volatile(CODE("wrmsr")::"c"(0xc0000100), "a"(0), "d"(0x8000)));
	report("wrmsr FS base");
	TRY(__asm__ volatile(CODE("wrmsr")::"c"(0xc0000102), "a"(0), "d"(0x8000)));
	report("wrmsr KernelGSbase");
	/* segment overrides change nothing but FS and GS, whose base is added before the check */
	msr_set(0xc0000100, 0x7ffffffff000);
	TRY(__asm__ volatile(CODE("mov %%fs:(%0), %%al")::"r"(0x1000ul) : "rax"));
	report("FS base carries the address over the edge");
	msr_set(0xc0000100, (word)&low - 0x1000);
	TRY(__asm__ volatile(CODE("mov %%fs:(%0), %%al")::"r"(0x1000ul) : "rax"));
	report("FS base and offset are right");
	msr_set(0xc0000100, 0xffff800000000000);
	TRY(__asm__ volatile(CODE("mov %%fs:(%0), %%al")::"r"(0x0000800000000000ul + 0x100000)
			     : "rax"));
	report("an offset that is bad alone is good with its base");
	msr_set(0xc0000100, 0);
}
