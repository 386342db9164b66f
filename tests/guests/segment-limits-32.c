/* SPDX-License-Identifier: MIT */
/*
 * Limits and rights of segments at each access (AMD64 volume 2, 4.12.1; 4.7.2 for expand-down).
 * "outside" lines must fault.
 */
#include "guest.h"

static u8 buffer[0x4000] __attribute__((aligned(4096)));

static void read_at(const char *where, u32 offset, int size)
{
	switch (size) {
	case 1:
		TRY(__asm__ volatile(CODE("movb %%fs:(%0), %%al")::"r"(offset) : "eax"));
		break;
	case 2:
		TRY(__asm__ volatile(CODE("movw %%fs:(%0), %%ax")::"r"(offset) : "eax"));
		break;
	case 4:
		TRY(__asm__ volatile(CODE("movl %%fs:(%0), %%eax")::"r"(offset) : "eax"));
		break;
	default:
		TRY(__asm__ volatile(CODE("movq %%fs:(%0), %%mm0")::"r"(offset)));
	}
	print("%s %d at %x", where, size, (word)offset);
	report("");
}

static void load(u32 base, u32 limit, u8 access, u8 flags)
{
	gdt[GDT_FREE / 8] = descriptor(base, limit, access, flags);
	__asm__ volatile("mov %0, %%fs" ::"r"(GDT_FREE));
}

/* All sizes around the last byte that is inside. */
static void around_limit(u32 last)
{
	for (int size = 1; size <= 8; size *= 2) {
		read_at("inside", last - (u32)size + 1, size);
		if (last != 0xffffffff)
			read_at("outside", last - (u32)size + 2, size);
	}
	if (last != 0xffffffff)
		read_at("outside", last + 1, 1);
	read_at("outside", 0xfffffffe, 4); /* wraps */
}

void guest_main(void)
{
	print("limit: 0xff bytes\n");
	load((u32)buffer, 0xff, ACCESS_DATA0, 4);
	around_limit(0xff);
	print("limit: 0 bytes\n");
	load((u32)buffer, 0, ACCESS_DATA0, 4);
	read_at("inside", 0, 1);
	read_at("outside", 0, 2);
	read_at("outside", 1, 1);
	print("limit: 1 page\n");
	load((u32)buffer, 0, ACCESS_DATA0, 0xc);
	around_limit(0xfff);
	print("limit: 4 GiB\n");
	load(0, 0xfffff, ACCESS_DATA0, 0xc);
	read_at("inside", 0xfffffffe, 2);
	print("expand-down, 32 bit, above: 0xfff\n");
	load((u32)buffer, 0xfff, 0x97, 4);
	read_at("outside", 0xfff, 1);
	read_at("outside", 0xffe, 4);
	read_at("outside", 0, 1);
	read_at("inside", 0x1000, 1);
	read_at("inside", 0x1000, 8);
	read_at("inside", 0x12345, 4);
	print("expand-down, 16 bit, above: 0xfff\n");
	load((u32)buffer, 0xfff, 0x97, 0);
	read_at("outside", 0xfff, 2);
	read_at("inside", 0x1000, 4);
	read_at("inside", 0xfffe, 2);
	read_at("outside", 0xfffe, 4);
	read_at("outside", 0x10000, 1);
	print("expand-down, pages, above: 0x1fff\n");
	load((u32)buffer, 1, 0x97, 0xc);
	read_at("outside", 0x1fff, 1);
	read_at("inside", 0x2000, 4);

	load(0, 0xfffff, 0x91, 0xc);
	SHOW("read of a read-only segment", "movb %%fs:(%0), %%al", "r"(buffer), "a"(0));
	SHOW("outside: write to a read-only segment", "movb %%al, %%fs:(%0)", "r"(buffer), "a"(0));
	SHOW("outside: add of 0 to a read-only segment", "addb $0, %%fs:(%0)", "r"(buffer), "a"(0));
	load(0, 0xfffff, 0x9b, 0xc);
	SHOW("read of a code segment", "movb %%fs:(%0), %%al", "r"(buffer), "a"(0));
	SHOW("outside: write to a code segment", "movb %%al, %%fs:(%0)", "r"(buffer), "a"(0));
	SHOW("outside: write by cs", "movb %%al, %%cs:(%0)", "r"(buffer), "a"(0));
	/* code that cannot be read, at the same addresses */
	gdt[GDT_FREE / 8 + 1] = descriptor(0, 0xfffff, 0x99, 0xc);
	TRY(__asm__ volatile(
		"ljmp %0, $1f\n 1:" CODE("movb %%cs:(%1), %%al\n")::"i"(GDT_FREE + 8), "r"(buffer)
		: "eax"));
	report("outside: read by cs of execute-only code");
	__asm__ volatile("ljmp %0, $1f\n 1:" ::"i"(KERNEL_CS));

	/* the stack segment tells with #SS; at CPL 3, since the event needs a stack */
	gdt[GDT_FREE / 8 + 2] = descriptor((u32)user_stack, 0xeff, ACCESS_DATA3, 4);
	extern u8 user_stack_probe[];
	TRY(user_enter_flags(user_stack_probe, 0, 0, 2, USER_CS | 3, (GDT_FREE + 16) | 3));
	report("outside the stack: pop");
	extern u8 user_stack_probe2[];
	TRY(user_enter_flags(user_stack_probe2, 0, 0, 2, USER_CS | 3, (GDT_FREE + 16) | 3));
	report("outside the stack: mov by ebp");
	extern u8 user_stack_probe3[];
	TRY(user_enter_flags(user_stack_probe3, 0, 0, 2, USER_CS | 3, (GDT_FREE + 16) | 3));
	report("inside the stack: push, pop");
	extern u8 user_stack_probe4[];
	TRY(user_enter_flags(user_stack_probe4, 0, 0, 2, USER_CS | 3, (GDT_FREE + 16) | 3));
	report("outside the stack: call");
	extern u8 user_stack_probe5[];
	TRY(user_enter_flags(user_stack_probe5, 0, 0, 2, USER_CS | 3, (GDT_FREE + 16) | 3));
	report("outside the stack: enter");

	/* code past its segment's end: a fetch, told at the instruction that does not fit */
	u8 *code = buffer + 0x1000;
	code[0] = 0x90;
	code[1] = 0xb8; /* mov imm32, of which two bytes are inside */
	gdt[GDT_FREE / 8 + 3] = descriptor((u32)code, 3, ACCESS_CODE0, 4);
	static struct {
		u32 offset;
		u16 selector;
	} __attribute__((packed)) target = {0, GDT_FREE + 24};
	target.offset = 0;
	code[2] = code[3] = code[4] = code[5] = 0;
	code[6] = 0xcb; /* lret, for a processor that does not look */
	TRY(__asm__ volatile("lcall *%0" ::"m"(target) : "memory", "eax"));
	print("outside the code: ");
	if (trap.vector == GP)
		print("#GP(%x) at %x\n", trap.error, trap.ip);
	else
		report_trap(), print("\n");
	target.offset = 4;
	TRY(__asm__ volatile(CODE("lcall *%0")::"m"(target) : "memory", "eax"));
	report("outside: far call past the end");
}

/*
 * ss:esp is user_stack + something: the segment's base is user_stack, so an offset into it is
 * wanted
 */
/* clang-format off */
__asm__(".pushsection .user\n"
	"user_stack_probe: mov $0x23, %eax; mov %eax, %ds; mov $0xefd, %esp\n" UCODE("pop %eax") "int $0x80\n"
	"user_stack_probe2: mov $0x23, %eax; mov %eax, %ds; mov $0xefd, %ebp\n" UCODE("mov (%ebp), %eax") "int $0x80\n"
	"user_stack_probe3: mov $0x23, %eax; mov %eax, %ds; mov $0xf00, %esp\n" UCODE("push %eax; pop %eax") "int $0x80\n"
	"user_stack_probe4: mov $0x23, %eax; mov %eax, %ds; mov $0xf04, %esp\n" UCODE("call 1f\n 1:") "int $0x80\n"
	"user_stack_probe5: mov $0x23, %eax; mov %eax, %ds; mov $0xf02, %esp\n" UCODE("enter $16, $0") "int $0x80\n"
	".popsection");
/* clang-format on */
