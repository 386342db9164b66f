/* SPDX-License-Identifier: MIT */
/*
 * Code and global pages in several address spaces: after every way to flush what was executed before counts no more, and no
 * sooner than it must is asked (AMD64 volume 2, 5.5; SDM volume 3, 4.10.4).
 */
#include "guest.h"

#define VA 0x300000000000ul
#define NOFLUSH (1ul << 63)
#define PTE_G 0x100

static u64 *tops[2], *ptes[2]; /* two address spaces that differ at VA */
static u8 *pages[2];	       /* of functions that return 0, 1 */

static void invpcid(word type, word pcid, word address)
{
	struct {
		u64 pcid, address;
	} d = {pcid, address};

	__asm__ volatile("invpcid %0, %1" ::"m"(d), "r"(type) : "memory");
}

static void space_make(unsigned which)
{
	u64 *pdpt = page_alloc(), *pd = page_alloc();

	tops[which] = page_alloc();
	ptes[which] = page_alloc();
	copy(tops[which], pml4, 4096);
	tops[which][VA >> 39 & 511] = (u64)pdpt | 7;
	pdpt[0] = (u64)pd | 7;
	pd[0] = (u64)ptes[which] | 7;
}

/* mov $value, %eax; ret */
static u8 *function_make(u8 returned)
{
	u8 *page = page_alloc();

	page[0] = 0xb8;
	page[1] = returned;
	page[5] = 0xc3;
	return page;
}

static void map(unsigned which, unsigned page, u64 flags)
{
	*(volatile u64 *)ptes[which] = (u64)pages[page] | 7 | flags;
}

static void go(unsigned which, u64 flags)
{
	cr3_set((word)tops[which] | (which + 1) | flags);
}

/* What VA's function returns, called often enough that every cache knows it. */
static word call(void)
{
	word result = 0;

	for (unsigned i = 0; i < 100; i++)
		result = ((word(*)(void))VA)();
	return result;
}

/* Space 0 has run page 0, space 1 page 1; space 1 goes on. */
static void begin(u64 flags)
{
	map(0, 0, flags);
	map(1, flags ? 0 : 1, flags);
	invpcid(2, 0, 0);
	go(0, NOFLUSH);
	value("  space 0", call());
	go(1, NOFLUSH);
	value("  space 1", call());
	go(0, NOFLUSH);
	value("  space 0", call());
	go(1, NOFLUSH);
}

static void other_by_address(void)
{
	invpcid(0, 1, VA);
}

static void other_by_pcid(void)
{
	invpcid(1, 1, 0);
}

static void all(void)
{
	invpcid(2, 0, 0);
}

static void all_but_global(void)
{
	invpcid(3, 0, 0);
}

static void other_by_cr3(void)
{
	go(0, 0);
}

static void own_by_invlpg(void)
{
	go(0, NOFLUSH);
	invlpg(VA);
}

static void from_space_1(void)
{
	invlpg(VA);
}

static void pge_toggle(void)
{
	cr4_set(cr4_get() ^ CR4_PGE);
	cr4_set(cr4_get() ^ CR4_PGE);
}

static const struct {
	const char *name;
	void (*flush)(void);
	u64 flags;
} ways[] = {
	{"invpcid by address", other_by_address, 0},
	{"invpcid by pcid", other_by_pcid, 0},
	{"invpcid all", all, 0},
	{"invpcid all but global", all_but_global, 0},
	{"cr3", other_by_cr3, 0},
	{"invlpg", own_by_invlpg, 0},
	{"cr4.pge", pge_toggle, 0},
	{"global: invpcid all", all, PTE_G},
	{"global: invlpg", own_by_invlpg, PTE_G},
	{"global: invlpg in another space", from_space_1, PTE_G},
	{"global: cr4.pge", pge_toggle, PTE_G},
};

void guest_main(void)
{
	if (!HAS_PCID || !HAS_INVPCID)
		skip("no PCID or no INVPCID");
	pages[0] = function_make(0);
	pages[1] = function_make(1);
	space_make(0);
	space_make(1);
	cr3_set((word)pml4);
	cr4_set(cr4_get() | CR4_PCIDE | CR4_PGE);

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		begin(ways[i].flags);
		map(0, 1, ways[i].flags);
		ways[i].flush();
		go(0, NOFLUSH);
		value(ways[i].name, call());
	}
	invpcid(2, 0, 0);
	cr3_set((word)pml4);
	cr4_set(cr4_get() & ~(CR4_PCIDE | CR4_PGE));
	check("PCIDE is off again", !(cr4_get() & CR4_PCIDE));
}
