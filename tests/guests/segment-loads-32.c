/* SPDX-License-Identifier: MIT */
/*
 * Every descriptor type, present and not, by every way to look at it: mov to ds and ss, lar, lsl,
 * verr, verw, lldt, ltr.
 */
#include "guest.h"

#define S GDT_FREE

static void short_trap(const char *name)
{
	print(" %s=", name);
	if (trap.vector == NONE)
		print("ok");
	else if (trap.vector == GP)
		print("gp:%x", trap.error);
	else if (trap.vector == NP)
		print("np:%x", trap.error);
	else if (trap.vector == SS)
		print("ss:%x", trap.error);
	else
		report_trap();
}

/* At either level: bit 0 verr, bit 1 verw, bit 2 lar, bit 3 lsl succeed; what lar and lsl gave. */
USER_DATA word seen_lar = 0, seen_lsl = 0;
USER_FN static word looks(word selector, word unused)
{
	u8 verr, verw, lar, lsl;
	word lar_value = 0x5555, lsl_value = 0x5555;

	__asm__ volatile("verr %w1; setz %0" : "=q"(verr) : "r"(selector) : "cc");
	__asm__ volatile("verw %w1; setz %0" : "=q"(verw) : "r"(selector) : "cc");
	__asm__ volatile("lar %2, %1; setz %0" : "=q"(lar), "+r"(lar_value) : "r"(selector) : "cc");
	__asm__ volatile("lsl %2, %1; setz %0" : "=q"(lsl), "+r"(lsl_value) : "r"(selector) : "cc");
	seen_lar = lar_value & 0xfff0ffff; /* bits 16 to 19 are undefined */
	seen_lsl = lsl_value;
	return (word)verr | (word)verw << 1 | (word)lar << 2 | (word)lsl << 3;
}

static void print_looks(const char *who, word bits)
{
	print(" %s:%s%s", who, bits & 1 ? "r" : "-", bits & 2 ? "w" : "-");
	if (bits & 4)
		print(",lar=%x", seen_lar);
	if (bits & 8)
		print(",lsl=%x", seen_lsl);
}

USER_FN static word user_load(word selector, word which)
{
	/* back at once: nothing can be pushed on a stack that grows down from where memory ends */
	if (which == 0)
		__asm__ volatile("mov %0, %%es; mov %1, %%es" ::"r"(selector), "r"(USER_DS | 3));
	else
		__asm__ volatile("mov %0, %%ss; mov %1, %%ss" ::"r"(selector), "r"(USER_DS | 3));
	return 0;
}

static void one(u8 access, word rpl)
{
	u64 d = descriptor(0, 0xfffff, access, FLAGS_32);

	print("%s access %x rpl %d:", access & 0x10 ? "segment" : "system", (word)access, (int)rpl);
	gdt[S / 8] = d;
	TRY(__asm__ volatile("mov %0, %%es; mov %1, %%es" ::"r"(S | rpl), "r"(KERNEL_DS)));
	short_trap("es");
	if (trap.vector == NONE)
		print("%s", gdt[S / 8] == (d | 1ull << 40) ? "" : " NOT ACCESSED");
	else
		print("%s", gdt[S / 8] == d ? "" : " CHANGED");
	gdt[S / 8] = d;
	TRY(__asm__ volatile("mov %0, %%ss; mov %1, %%ss" ::"r"(S | rpl), "r"(KERNEL_DS)));
	short_trap("ss");
	gdt[S / 8] = d;
	print_looks("cpl0", looks(S | rpl, 0));
	TRY_USER(user_load, S | rpl, 0);
	short_trap("es3");
	TRY_USER(user_load, S | rpl, 1);
	short_trap("ss3");
	TRY_USER(looks, S | rpl, 0);
	print_looks("cpl3", trap.ax);
	print("\n");
}

void guest_main(void)
{
	for (int type = 0; type < 32; type++)
		for (int dpl = 0; dpl < 4; dpl += 3) {
			u8 access = (u8)(0x80 | dpl << 5 | type);

			if (type & 0x10 && type & 1)
				continue; /* accessed already: as its neighbour */
			one(access, 0);
			one(access, 3);
		}
	one(0x12, 0);
	one(0x1a, 0);
	one(0x72, 3);

	static const word selectors[] = {
		0, 1, 3, 4, 0x3f8, 0x3ff, KERNEL_CS, KERNEL_DS, USER_DS, TSS_SELECTOR};
	for (unsigned i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		print("selector %x:", selectors[i]);
		print_looks("cpl0", looks(selectors[i], 0));
		TRY_USER(looks, selectors[i], 0);
		print_looks("cpl3", trap.ax);
		print("\n");
	}
	/* limits as lsl tells them */
	gdt[S / 8] = descriptor(0, 0x12345, 0x93, 4);
	__asm__ volatile("lsl %1, %0" : "=r"(seen_lsl) : "r"(S));
	value("lsl in bytes", seen_lsl);
	gdt[S / 8] = descriptor(0, 0x12345, 0x93, 0xc);
	__asm__ volatile("lsl %1, %0" : "=r"(seen_lsl) : "r"(S));
	value("lsl in pages", seen_lsl);
	u16 small = 0;
	__asm__ volatile("lslw %w1, %w0" : "=r"(small) : "r"(S));
	value("lsl of 16 bits", small);

	/* a null selector is loaded without a fault and refuses its use */
	SHOW("es: null", "mov %0, %%es", "r"(0));
	TRY(__asm__ volatile("mov %0, %%es\n" CODE("movb %%es:(%1), %%al")::"r"(0), "r"(0x200000)
			     : "eax"));
	report("read by a null es");
	TRY(__asm__ volatile("mov %0, %%fs\n" CODE("movb $0, %%fs:(%1)")::"r"(3), "r"(0x200000)
			     : "memory"));
	report("write by a null fs, rpl 3");

	/* arpl */
	static const u8 pairs[][2] = {{0, 3}, {3, 0}, {1, 2}, {2, 2}};
	for (int i = 0; i < 4; i++) {
		word to = 0x40u | pairs[i][0], z;

		__asm__ volatile("arpl %w2, %w0; setz %b1; movzbl %b1, %1"
				 : "+r"(to), "=q"(z)
				 : "r"((word)pairs[i][1])
				 : "cc");
		print("arpl %d %d: %x zf=%d\n", pairs[i][0], pairs[i][1], to, (int)z);
	}

	/* leaving to CPL 3 nulls data segments that CPL 3 may not have */
	word fs, gs;
	TRY(({
		__asm__ volatile("mov %0, %%fs; mov %1, %%gs" ::"r"(KERNEL_DS), "r"(USER_DS | 3));
		user_enter(user_exit, 0, 0);
	}));
	__asm__ volatile("mov %%fs, %0; mov %%gs, %1" : "=r"(fs), "=r"(gs));
	value("fs (DPL 0) after iret to CPL 3", fs);
	value("gs (DPL 3) after iret to CPL 3", gs);

	/* lldt and ltr */
	gdt[S / 8] = descriptor((u32)gdt, 0xff, 0x82, 0);
	SHOW("lldt", "lldt %w0", "r"(S));
	u16 sel;
	__asm__ volatile("sldt %0" : "=m"(sel));
	value("sldt", sel);
	SHOW("a selector in the local table", "mov %0, %%fs", "r"(KERNEL_DS | 4));
	SHOW("lldt of a selector in the local table", "lldt %w0", "r"(S | 4));
	SHOW("lldt null", "lldt %w0", "r"(0));
	SHOW("then a selector in the local table", "mov %0, %%fs", "r"(KERNEL_DS | 4));
	SHOW("lldt of a data segment", "lldt %w0", "r"(KERNEL_DS));
	gdt[S / 8] &= ~(1ull << 47);
	SHOW("lldt absent", "lldt %w0", "r"(S));
	SHOW("lldt past the table", "lldt %w0", "r"(0x3f8));
	SHOW("ltr of a busy segment", "ltr %w0", "r"(TSS_SELECTOR));
	value("the busy bit is set", (word)(gdt[TSS_SELECTOR / 8] >> 40 & 0xff));
	SHOW("ltr null", "ltr %w0", "r"(0));
	gdt[S / 8] = descriptor((u32)&tss, sizeof(tss) - 1, 0x09, 0);
	SHOW("ltr absent", "ltr %w0", "r"(S));
	gdt[S / 8] |= 1ull << 47;
	SHOW("ltr", "ltr %w0", "r"(S));
	__asm__ volatile("str %0" : "=m"(sel));
	value("str", sel);
}
