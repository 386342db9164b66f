/* SPDX-License-Identifier: MIT */
/*
 * Code that changes: a store must be seen by the next instruction fetched (AMD64 volume 2, 7.6.1),
 * by whatever address it was made.
 */
#include "guest.h"

typedef word (*code_fn)(void);

/* mov $imm, %eax; ret */
static void put_code(volatile u8 *p, u32 v)
{
	p[0] = 0xb8;
	p[1] = (u8)v;
	p[2] = (u8)(v >> 8);
	p[3] = (u8)(v >> 16);
	p[4] = (u8)(v >> 24);
	p[5] = 0xc3;
}

static word run(volatile u8 *p)
{
	return ((code_fn)(word)p)();
}

static u8 area[3 * 4096] __attribute__((aligned(4096)));

static void test_code(void)
{
	word v;

	put_code(area, 1);
	value("first", run(area));
	put_code(area, 2);
	value("rewritten", run(area));
	area[1] = 3;
	value("one byte rewritten", run(area));
	/* many times, so that any cache of decoded code is warm */
	word sum = 0;
	for (int i = 0; i < 1000; i++) {
		area[1] = (u8)i;
		sum += run(area);
	}
	value("a thousand versions, their sum", sum);

	/* the very next instruction: mov $0x11, %cl becomes mov $0x22, %cl */
	__asm__ volatile(
		"xor %%ecx, %%ecx; movb $0x22, 1f + 1\n jmp 1f\n 1: mov $0x11, %%cl; movzbl %%cl, %%eax"
		: "=a"(v)::"ecx", "memory");
	value("store, jump, changed instruction", v);
	__asm__ volatile(
		"xor %%ecx, %%ecx; movb $0x33, 1f + 1\n 1: mov $0x11, %%cl; movzbl %%cl, %%eax"
		: "=a"(v)::"ecx", "memory");
	value("store, changed instruction at once", v);
	__asm__ volatile(
		"xor %%ecx, %%ecx; movb $0x44, 1f + 1; nop; nop; nop\n 1: mov $0x11, %%cl; movzbl %%cl, %%eax"
		: "=a"(v)::"ecx", "memory");
	value("store, changed instruction a few later", v);
	/* a loop that increments its own immediate */
	__asm__ volatile("xor %%eax, %%eax; mov $5, %%ecx\n 1: add $1, %%eax; incb 1b + 2; loop 1b"
			 : "=a"(v)::"ecx", "memory", "cc");
	value("a loop that changes its own immediate: 1+2+3+4+5", v);
	/* an instruction that overwrites itself runs as it was */
	__asm__ volatile("xor %%eax, %%eax; mov $2f, %%edi; mov $0x90, %%al\n 2: stosb; nop; nop"
			 : "=a"(v)::"edi", "memory");
	value("stosb over itself", v & 0xff);
	/* code over a page's end, either half changed */
	u8 *cross = area + 4096 - 3;
	put_code(cross, 0x01020304);
	value("over a page's end", run(cross));
	area[4096] = 0x77;
	value("second page's part changed", run(cross));
	area[4096 - 1] = 0x66;
	value("first page's part changed", run(cross));

	/* by string store and by a write that begins in the page before */
	put_code(area + 4096, 5);
	value("second page", run(area + 4096));
	static u8 image[16];
	put_code(image, 6);
	u8 *from = image, *to = area + 4096;
	word n = 6;
	__asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(n)::"memory");
	value("after rep movsb", run(area + 4096));
	*(volatile u32 *)(area + 4096 - 2) = 0x07b80000;
	value("after a store that begins in the page before", run(area + 4096));
	/* by a locked instruction, by push, by the FPU */
	__asm__ volatile("lock incb %0" : "+m"(*(volatile u8 *)(area + 4097)));
	value("after lock inc", run(area + 4096));
	word image_word = 0;
	copy(&image_word, area + 4096, sizeof(word));
	image_word = (image_word & ~(word)0xff00) | 0x900;
	__asm__ volatile("xchg %0, %1" : "+r"(image_word), "+m"(*(volatile word *)(area + 4096)));
	value("after xchg", run(area + 4096));
	u64 whole;
	copy(&whole, area + 4096, 8);
	whole = (whole & ~0xff00ull) | 0xa00;
	__asm__ volatile("fildll %1; fistpll %0"
			 : "=m"(*(volatile u64 *)(area + 4096))
			 : "m"(whole));
	value("after fistp", run(area + 4096));
	/* data beside code in one page changes nothing but itself */
	for (int i = 0; i < 1000; i++)
		*(volatile u32 *)(area + 4096 + 64) = (u32)i;
	value("data beside it", run(area + 4096));
}
