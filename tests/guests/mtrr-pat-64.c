/* SPDX-License-Identifier: MIT */
/* Memory types: MTRRs and PAT are read back as written, and what is undefined is refused (AMD64 volume 2, 7.7 and 7.8). */
#include "guest.h"

#define MTRR_CAP 0xfe
#define PAT 0x277
#define DEF_TYPE 0x2ff

static void back(const char *name, u32 msr, u64 v)
{
	u64 kept = msr_get(msr);

	TRY(__asm__ volatile(CODE("wrmsr")::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32))));
	print("%s: ", name);
	report_trap();
	print(", reads %q\n", msr_get(msr));
	msr_set(msr, kept);
}

static void refused(const char *name, u32 msr, u64 v)
{
	u64 kept = msr_get(msr), after;

	TRY(__asm__ volatile(CODE("wrmsr")::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32))));
	after = msr_get(msr);
	msr_set(msr, kept);
	print("refused: %s: ", name);
	report_trap();
	print("%s\n", after == kept ? "" : ", BUT WRITTEN");
}

void guest_main(void)
{
	static const u16 fixed[] = {
		0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
	u64 cap = msr_get(MTRR_CAP);

	print("at least 8 variable ranges: %d, fixed ranges %d, write combining %d\n",
		(cap & 0xff) >= 8, (int)(cap >> 8 & 1), (int)(cap >> 10 & 1));
	TRY(__asm__ volatile(CODE("wrmsr")::"c"(MTRR_CAP), "a"(0), "d"(0)));
	print("refused: MTRR_CAP: ");
	report_trap();
	print("\n");
	for (u32 i = 0; i < 8; i++) {
		print("%d ", (int)i);
		back("base, write-back", 0x200 + 2 * i, 0x80000006 + i * 0x10000000ull);
		print("%d ", (int)i);
		back("mask, valid", 0x201 + 2 * i, 0xff0000800);
	}
	back("base, uncacheable", 0x200, 0);
	back("base, write-combining", 0x200, 0xe0000001);
	back("base, write-through", 0x200, 0xe0000004);
	back("base, write-protected", 0x200, 0xe0000005);
	back("mask, not valid", 0x201, 0xfffffe000);
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		print("fixed %x ", (word)fixed[i]);
		back("types", fixed[i], 0x0605040100060504);
	}
	back("default type, all on, write-back", DEF_TYPE, 0xc06);
	back("default type, off", DEF_TYPE, 0);
	back("PAT", PAT, 0x0007040600070406);
	back("PAT, every type", PAT, 0x0001040506070001);
	refused("base of type 2", 0x200, 0x80000002);
	refused("base of type 7", 0x200, 0x80000007);
	refused("base with bit 8", 0x200, 0x80000106);
	refused("base past the address width", 0x200, 1ull << 52);
	refused("mask with bit 0", 0x201, 0xff0000801);
	refused("mask past the address width", 0x201, 1ull << 52 | 0x800);
	refused("fixed range of type 2", 0x250, 0x0202020202020202);
	refused("fixed range of type 7", 0x26f, 0x0606060606060607);
	refused("default type 2", DEF_TYPE, 0xc02);
	refused("default type with bit 9", DEF_TYPE, 0xe06);
	refused("PAT of type 2", PAT, 2);
	refused("PAT of type 3", PAT, 0x0300000000000000);
	refused("PAT of type 8", PAT, 0x0800);
	/* types change nothing that a program can see but speed */
	volatile u32 *page = page_alloc();
	*page = 0x12345678;
	u64 kept = msr_get(PAT);
	msr_set(PAT, 0);
	value("memory under an uncacheable type", *page);
	*page = 0x87654321;
	msr_set(PAT, kept);
	value("and what was written then", *page);
}
