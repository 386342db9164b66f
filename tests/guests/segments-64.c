/* SPDX-License-Identifier: MIT */
/* Segments and gates in 64-bit mode (AMD64 volume 2, 4.8 and 4.11.3). */
#include "guest.h"

#define GATE GDT_FREE /* two slots */
#define OTHER (GDT_FREE + 16)
#define FSBASE 0xc0000100
#define GSBASE 0xc0000101

static struct {
	u32 offset;
	u16 selector;
} __attribute__((packed)) far;
USER_DATA struct {
	u32 offset;
	u16 selector;
} __attribute__((packed)) user_far = {0, 0};
volatile u64 seen[8];
extern u8 gate_target[], user_gate_call[], user_gate_jmp[];
/* clang-format off */
__asm__("gate_target: mov %rsp, seen; mov %cs, %eax; mov %rax, seen + 8; xor %eax, %eax; mov %ss, %eax; mov %rax, seen + 16\n"
	" mov 8(%rsp), %rax; mov %rax, seen + 24; mov 16(%rsp), %rax; mov %rax, seen + 32; mov 24(%rsp), %rax; mov %rax, seen + 40; lretq\n"
	".pushsection .user\n"
	"user_gate_call: mov %rsp, %rbx\n" UCODE("lcall *user_far") "mov %rsp, %rax; sub %rbx, %rax; ret\n"
	"user_gate_jmp:\n" UCODE("ljmp *user_far") "ret\n"
	".popsection");
/* clang-format on */

static void gate(int type, int dpl, u16 selector, word offset)
{
	struct gate g;

	gate_make(&g, type, dpl, selector, offset);
	copy(&gdt[GATE / 8], &g, 16);
	far.selector = GATE;
	user_far.selector = GATE | 3;
	user_far.offset = 0x1234;
}

static void go(const char *name)
{
	TRY_USER(user_gate_call, 0, 0);
	report(name);
}

void guest_main(void)
{
	/* base and limit are ignored but for fs and gs */
	gdt[OTHER / 8] = descriptor(0x100000, 0, ACCESS_DATA0, 0);
	*(volatile u8 *)0x1000040 = 0x5a;
	word v = 0;
	TRY(__asm__ volatile("mov %1, %%ds\n" CODE("movzbl (%2), %%eax")
			     : "=a"(v)
			     : "r"(OTHER), "r"(0x1000040)));
	value("ds with a base and a limit", v);
	__asm__ volatile("mov %0, %%ds" ::"r"(0));
	TRY(__asm__ volatile(CODE("movzbl (%1), %%eax") : "=a"(v) : "r"(0x1000040)));
	value("null ds", v);
	/* fs by a descriptor: 32 bits of base, and the limit does not count */
	TRY(__asm__ volatile("mov %1, %%fs\n" CODE("movzbl %%fs:(%2), %%eax")
			     : "=a"(v)
			     : "r"(OTHER), "r"(0xf00040)));
	value("fs with a base by its descriptor", v);
	value("its base msr", (word)msr_get(FSBASE));
	msr_set(FSBASE, 0x800000);
	TRY(__asm__ volatile(CODE("movzbl %%fs:(%1), %%eax") : "=a"(v) : "r"(0x800040)));
	value("fs with a base by its msr", v);
	u16 fs;
	__asm__ volatile("mov %%fs, %0" : "=m"(fs));
	value("its selector stays", fs);
	msr_set(GSBASE, 0xffff800000000000);
	__asm__ volatile("mov %0, %%gs" ::"r"(OTHER));
	value("a load of gs takes the base's high half away", (word)msr_get(GSBASE));
	gdt[OTHER / 8] = descriptor(0, 0xfffff, 0x91, FLAGS_32);
	TRY(__asm__ volatile("mov %0, %%ds\n" CODE("movb $1, (%1)")::"r"(OTHER), "r"(0x1000040)
			     : "memory"));
	report("write by a read-only ds is allowed");
	__asm__ volatile("mov %0, %%ds" ::"r"(KERNEL_DS));

	/*
	 * call gates have 16 bytes and lead to 64-bit code only; no parameters; rsp from the TSS,
	 * ss null
	 */
	gate(GATE_CALL, 3, KERNEL_CS, (word)gate_target);
	go("call gate from CPL 3");
	value("rsp after the return", trap.ax);
	value("cs", seen[1]);
	value("ss", seen[2]);
	value("bytes on the new stack", (word)kernel_stack0_top - seen[0]);
	value("old cs", seen[3]);
	check("old rsp", seen[4] == (word)user_stack_top - 8);
	value("old ss", seen[5]);
	far.selector = GATE;
	word before;
	__asm__ volatile("mov %%rsp, %0; lcall *%1" : "=&b"(before) : "m"(far) : "rax", "memory");
	value("call gate at CPL 0: bytes pushed", before - seen[0]);
	gate(GATE_CALL, 3, KERNEL_CS32, (word)gate_target);
	go("gate to 32-bit code");
	gate(GATE_CALL, 3, KERNEL_DS, (word)gate_target);
	go("gate to data");
	gate(GATE_CALL, 3, 0, (word)gate_target);
	go("gate with a null selector");
	gate(GATE_CALL, 3, KERNEL_CS, 0x800000000000);
	go("gate to an address that is not canonical");
	gate(GATE_CALL, 0, KERNEL_CS, (word)gate_target);
	go("gate with DPL 0");
	gate(GATE_CALL, 3, KERNEL_CS, (word)gate_target);
	gdt[GATE / 8] &= ~(1ull << 47);
	go("absent gate");
	gate(GATE_CALL, 3, KERNEL_CS, (word)gate_target);
	gdt[GATE / 8 + 1] |= 0x1full << 40;
	go("gate whose second half has a type");
	gate(GATE_CALL16, 3, KERNEL_CS, (word)gate_target);
	go("type 4 is not a gate in long mode");
	gate(GATE_TASK, 3, TSS_SELECTOR, 0);
	go("task gate");
	user_far.selector = TSS_SELECTOR;
	go("far call of a TSS");
	gate(GATE_CALL, 3, KERNEL_CS, (word)gate_target);
	TRY_USER(user_gate_jmp, 0, 0);
	report("jmp by a gate to a higher privilege");

	/* system descriptors have 16 bytes */
	gdt[OTHER / 8] = descriptor((u32)(word)gdt, 0xff, 0x82, 0);
	gdt[OTHER / 8 + 1] = 0;
	SHOW("lldt", "lldt %w0", "r"(OTHER));
	SHOW("a selector in the local table", "mov %0, %%fs", "r"(KERNEL_DS | 4));
	__asm__ volatile("lldt %w0" ::"r"(0));
	gdt[OTHER / 8] = descriptor((u32)(word)&tss, sizeof(tss) - 1, 0x89, 0);
	gdt[OTHER / 8 + 1] = 0;
	SHOW("ltr", "ltr %w0", "r"(OTHER));
	value("busy", (word)(gdt[OTHER / 8] >> 40 & 0xff));
	gdt[OTHER / 8] = descriptor((u32)(word)&tss, sizeof(tss) - 1, 0x81, 0);
	SHOW("ltr of a 16-bit TSS", "ltr %w0", "r"(OTHER));
	word lar = 0;
	__asm__ volatile("lar %1, %k0" : "+r"(lar) : "r"(TSS_SELECTOR));
	value("lar of the TSS", lar & 0xfff0ffff);
	lar = 0;
	__asm__ volatile("lar %1, %k0" : "+r"(lar) : "r"(OTHER));
	value("lar of a 16-bit TSS in long mode", lar);

	/* far jumps between 64-bit code and what is none */
	far.selector = KERNEL_DS;
	SHOW("far jmp to data", "ljmp *%0", "m"(far));
	gdt[OTHER / 8] = descriptor(0, 0xfffff, 0x9f, 0xa);
	far.selector = OTHER;
	extern u8 conforming_target[];
	far.offset = (u32)(word)conforming_target;
	TRY(__asm__ volatile(CODE("ljmp *%0\n conforming_target: int $0x70")::"m"(far)));
	print("conforming 64-bit code: vector %x cs %x\n", trap.vector, trap.cs);
}
