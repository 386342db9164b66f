/* SPDX-License-Identifier: MIT */
/*
 * Call gates between privilege levels: stack switch, parameters copied, the way back (AMD64 volume
 * 2, 4.11.2).
 */
#include "guest.h"

#define GATE GDT_FREE
#define CONFORMING (GDT_FREE + 8)
#define OTHER (GDT_FREE + 16)

extern u8 gate_target[], gate_target16[], user_call_gate[], user_call_gate16[], user_far_call[],
	user_jmp_gate[];
extern u8 user_retf_up[], gate_retf_4[];
u32 seen_cs, seen_ss, seen_esp, seen_flags, seen_stack[8];
USER_DATA struct {
	u32 offset;
	u16 selector;
} __attribute__((packed)) user_pointer = {0, 0};

/* What the target found. The stack: EIP, CS, parameters, ESP, SS. */
/* clang-format off */
__asm__(".text\n"
	"gate_target: push %eax; push %ds; mov $0x10, %eax; mov %eax, %ds\n"
	"mov %cs, %eax; mov %eax, seen_cs; mov %ss, %eax; mov %eax, seen_ss; lea 8(%esp), %eax; mov %eax, seen_esp\n"
	"push 8(%esp); pop seen_stack; push 12(%esp); pop seen_stack + 4; push 16(%esp); pop seen_stack + 8\n"
	"push 20(%esp); pop seen_stack + 12; push 24(%esp); pop seen_stack + 16; push 28(%esp); pop seen_stack + 20\n"
	"pop %ds; pop %eax; lret $8\n"
	"gate_target16: push %eax; push %ds; mov $0x10, %eax; mov %eax, %ds\n"
	"mov %ss, %eax; mov %eax, seen_ss; lea 8(%esp), %eax; mov %eax, seen_esp\n"
	"movw 8(%esp), %ax; movw %ax, seen_stack; movw 10(%esp), %ax; movw %ax, seen_stack + 4\n"
	"movw 12(%esp), %ax; movw %ax, seen_stack + 8; movw 14(%esp), %ax; movw %ax, seen_stack + 12\n"
	"movw 16(%esp), %ax; movw %ax, seen_stack + 16; movw 18(%esp), %ax; movw %ax, seen_stack + 20\n"
	"pop %ds; pop %eax; lretw $4\n"
	".pushsection .user\n"
	"user_call_gate: mov %esp, %ebx; push $0x22222222; push $0x11111111\n" UCODE("lcall *user_pointer")
	"1: mov %esp, %eax; sub %ebx, %eax; mov %cs, %ecx; shl $16, %ecx; or %ecx, %eax; mov %ebx, %esp; ret\n"
	"user_call_gate16: mov %esp, %ebx; pushw $0x2222; pushw $0x1111\n" UCODE("lcall *user_pointer")
	"int3\n"
	"user_far_call:\n" UCODE("lcall *user_pointer") "ret\n"
	"user_jmp_gate:\n" UCODE("ljmp *user_pointer") "ret\n"
	"user_retf_up: push $0x8; push $gate_target\n" UCODE("lret") "ret\n"
	".popsection");
/* clang-format on */

static void gate(int type, int dpl, u16 selector, word offset, int parameters)
{
	struct gate g;

	gate_make(&g, type, dpl, selector, offset);
	g.flags |= (u16)parameters;
	copy(&gdt[GATE / 8], &g, 8);
	user_pointer.offset = 0x12345678; /* ignored */
	user_pointer.selector = GATE | 3;
}

static void go(const char *name, void *code)
{
	TRY_USER(code, 0, 0);
	report(name);
}

void guest_main(void)
{
	gate(GATE_CALL, 3, KERNEL_CS, (word)gate_target, 2);
	go("call gate, 2 parameters", user_call_gate);
	value("esp moved and cs after the return", trap.ax);
	value("cs", seen_cs);
	value("ss", seen_ss);
	value("bytes on the new stack", (word)kernel_stack0_top - seen_esp);
	check("return address",
		seen_stack[0] > (u32)user_call_gate && seen_stack[0] < (u32)user_call_gate + 40);
	value("old cs", seen_stack[1]);
	value("first parameter", seen_stack[2]);
	value("second parameter", seen_stack[3]);
	check("old esp", seen_stack[4] == (u32)user_stack_top - 4 - 8);
	value("old ss", seen_stack[5]);

	gate(GATE_CALL, 0, KERNEL_CS, (word)gate_target, 0);
	go("gate with DPL 0 from CPL 3", user_far_call);
	user_pointer.selector = GATE;
	gate(GATE_CALL, 3, KERNEL_CS, (word)gate_target, 0);
	gdt[GATE / 8] &= ~(1ull << 47);
	go("absent gate", user_far_call);
	gate(GATE_CALL, 3, 0, (word)gate_target, 0);
	go("gate with a null selector", user_far_call);
	gate(GATE_CALL, 3, KERNEL_DS, (word)gate_target, 0);
	go("gate to a data segment", user_far_call);
	gate(GATE_CALL, 3, 0x3f8, (word)gate_target, 0);
	go("gate past the table", user_far_call);
	gdt[OTHER / 8] = gdt[KERNEL_CS / 8] & ~(1ull << 47);
	gate(GATE_CALL, 3, OTHER, (word)gate_target, 0);
	go("gate to an absent segment", user_far_call);
	gate(GATE_CALL, 3, KERNEL_CS, (word)gate_target, 0);
	go("jmp by a gate to a higher privilege", user_jmp_gate);

	/*
	 * the new stack is checked: #TS with its selector. Of level 1, since the event itself needs
	 * that of level 0.
	 */
	/* level 1: a gate may not lead to less privilege than the caller's, and may to level 1 */
	gdt[OTHER / 8] = descriptor(0, 0xfffff, 0xbb, FLAGS_32);
	gdt[OTHER / 8 + 1] = descriptor(0, 0xfffff, 0xb3, FLAGS_32);
	static u8 stack1[1024];
	tss.ss1 = OTHER + 8 + 1;
	tss.esp1 = (u32)stack1 + sizeof(stack1);
	gate(GATE_CALL, 3, OTHER, (word)gate_target, 2);
	go("gate to level 1 loads ds that it may not have", user_call_gate);
	tss.ss1 = 0;
	go("level 1 with a null ss", user_call_gate);
	tss.ss1 = 0x3f9;
	go("level 1 with ss past the table", user_call_gate);
	tss.ss1 = OTHER + 8;
	go("level 1 with ss of rpl 0", user_call_gate);
	tss.ss1 = KERNEL_DS + 1;
	go("level 1 with ss of dpl 0", user_call_gate);
	tss.ss1 = OTHER + 1;
	go("level 1 with ss of code", user_call_gate);
	gdt[OTHER / 8 + 1] &= ~(1ull << 47);
	tss.ss1 = OTHER + 8 + 1;
	go("level 1 with an absent ss", user_call_gate);

	/* conforming code runs at its caller's level, without a stack switch */
	gdt[CONFORMING / 8] = descriptor(0, 0xfffff, 0x9f, FLAGS_32);
	user_pointer.selector = CONFORMING;
	user_pointer.offset = (u32)user_exit;
	go("far call of conforming code of level 0", user_far_call);
	value("its cs", trap.cs);
	user_pointer.selector = KERNEL_CS;
	go("far call of level 0", user_far_call);
	user_pointer.selector = KERNEL_CS | 3;
	go("far jmp to level 0", user_jmp_gate);
	user_pointer.selector = 0;
	go("far call of a null selector", user_far_call);
	user_pointer.selector = USER_DS | 3;
	go("far call of data", user_far_call);
	user_pointer.selector = 0x3fb;
	go("far call past the table", user_far_call);
	user_pointer.selector = USER_CS32;
	user_pointer.offset = (u32)user_exit;
	go("far call of the own level with rpl 0", user_far_call);
	value("its cs", trap.cs);
	go("lret to a higher privilege", user_retf_up);

	/* at CPL 0 */
	static struct {
		u32 offset;
		u16 selector;
	} __attribute__((packed)) p;
	gate(GATE_CALL, 0, KERNEL_CS, (word)gate_target, 0);
	p.selector = GATE;
	seen_esp = 0;
	u32 before, after;
	__asm__ volatile("push $2; push $1; mov %%esp, %0; lcall *%2; mov %%esp, %1"
			 : "=&r"(before), "=&r"(after)
			 : "m"(p)
			 : "memory");
	value("gate at the same level: bytes pushed", before - seen_esp);
	value("and removed by lret 8", after - before);
	p.selector = USER_CS32;
	SHOW("far call of level 3 from level 0", "lcall *%0", "m"(p));
	p.selector = USER_CS32 | 3;
	SHOW("far jmp to level 3", "ljmp *%0", "m"(p));
	gate(GATE_CALL, 0, USER_CS32, (word)user_exit, 0);
	p.selector = GATE;
	SHOW("gate to level 3 from level 0", "lcall *%0", "m"(p));
	gate(GATE_CALL, 0, KERNEL_CS, (word)gate_target, 0);
	p.selector = GATE | 3;
	SHOW("gate with DPL 0 and rpl 3", "lcall *%0", "m"(p));

	/* 16-bit gate: words are copied and pushed */
	gate(GATE_CALL16, 3, KERNEL_CS, (word)gate_target16, 2);
	if ((u32)gate_target16 >> 16) {
		/* its offset has 16 bits: a code segment that begins at the target */
		gdt[OTHER / 8] = descriptor((u32)gate_target16, 0xfffff, 0x9b, FLAGS_32);
		gate(GATE_CALL16, 3, OTHER, 0, 2);
	}
	TRY_USER(user_call_gate16, 0, 0);
	/* its lret took 16 bits of EIP: what ran then says nothing */
	value("bytes on the new stack (16-bit gate)", (word)kernel_stack0_top - seen_esp);
	value("old cs (16-bit gate)", seen_stack[1] & 0xffff);
	value("first parameter (16-bit gate)", seen_stack[2] & 0xffff);
	value("second parameter (16-bit gate)", seen_stack[3] & 0xffff);
	value("old ss (16-bit gate)", seen_stack[5] & 0xffff);
}
