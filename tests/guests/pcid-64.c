/* SPDX-License-Identifier: MIT */
/* Process-context identifiers and INVPCID (AMD64 volume 2, 5.5.1; volume 3, INVPCID). */
#include "guest.h"

#define VA 0x300000000000ul
#define NOFLUSH (1ul << 63)

static u64 *tables[2]; /* two address spaces that differ at VA */
static u64 *pte[2];

static void invpcid(word type, word pcid, word address)
{
	struct {
		u64 pcid, address;
	} d = {pcid, address};

	__asm__ volatile("invpcid %0, %1" ::"m"(d), "r"(type) : "memory");
}

static void invpcid_try(const char *name, word type, word pcid, word address)
{
	struct {
		u64 pcid, address;
	} d = {pcid, address};

	TRY(__asm__ volatile(CODE("invpcid %0, %1")::"m"(d), "r"(type) : "memory"));
	report(name);
}

static u64 *space(void *page)
{
	u64 *top = page_alloc(), *pdpt = page_alloc(), *pd = page_alloc(), *pt = page_alloc();

	copy(top, pml4, 4096);
	top[VA >> 39 & 511] = (u64)pdpt | 7;
	pdpt[0] = (u64)pd | 7;
	pd[0] = (u64)pt | 7;
	pt[0] = (u64)page | 7;
	return top;
}

static u64 *last_level(u64 *top)
{
	u64 *t = (u64 *)(top[VA >> 39 & 511] & ~0xffful);

	t = (u64 *)(t[0] & ~0xffful);
	return (u64 *)(t[0] & ~0xffful);
}

static word peek(void)
{
	return *(volatile u8 *)VA;
}

void guest_main(void)
{
	u8 *a = page_alloc(), *b = page_alloc();

	if (!HAS_PCID || !HAS_INVPCID)
		skip("no PCID or no INVPCID");
	a[0] = 0xaa;
	b[0] = 0xbb;
	tables[0] = space(a);
	tables[1] = space(b);
	pte[0] = last_level(tables[0]);
	pte[1] = last_level(tables[1]);

	invpcid_try("invpcid without CR4.PCIDE: all", 2, 0, 0);
	invpcid_try("invpcid without CR4.PCIDE: pcid 1", 1, 1, 0);
	SHOW("cr3 bit 63 without CR4.PCIDE", "mov %0, %%cr3", "r"((word)tables[0] | NOFLUSH));
	cr3_set((word)tables[0]);
	cr4_set(cr4_get() | CR4_PCIDE);
	SHOW("PG off with PCIDE", "mov %0, %%cr0", "r"(cr0_get() & ~CR0_PG));

	cr3_set((word)tables[0] | 1);
	value("space 1", peek());
	cr3_set((word)tables[1] | 2);
	value("space 2", peek());
	cr3_set((word)tables[0] | 1 | NOFLUSH);
	value("space 1 again", peek());
	value("cr3 reads without bit 63", cr3_get() >> 63);
	value("cr3's pcid", cr3_get() & 0xfff);

	/* a changed entry counts at once after each of these, for the pcid that it names */
	pte[0][0] = (u64)b | 7;
	invpcid(0, 1, VA);
	value("by address", peek());
	pte[0][0] = (u64)a | 7;
	invpcid(1, 1, 0);
	value("by pcid", peek());
	pte[0][0] = (u64)b | 7;
	invpcid(2, 0, 0);
	value("all", peek());
	pte[0][0] = (u64)a | 7;
	invpcid(3, 0, 0);
	value("all but global", peek());
	pte[0][0] = (u64)b | 7;
	invlpg(VA);
	value("invlpg in the current pcid", peek());
	pte[0][0] = (u64)a | 7;
	cr3_set((word)tables[0] | 1);
	value("a load of cr3 without bit 63", peek());
	/* changed while another pcid runs, flushed from there */
	cr3_set((word)tables[1] | 2 | NOFLUSH);
	value("space 2 is still there", peek());
	pte[0][0] = (u64)b | 7;
	invpcid(0, 1, VA);
	cr3_set((word)tables[0] | 1 | NOFLUSH);
	value("flushed from another pcid", peek());
	pte[0][0] = (u64)a | 7;
	invlpg(VA);

	invpcid_try("type 4", 4, 0, 0);
	invpcid_try("reserved bits in the descriptor", 1, 0x1000, 0);
	invpcid_try("type 0, address not canonical", 0, 1, 0x800000000000);
	invpcid_try("type 1, address not canonical is ignored", 1, 1, 0x800000000000);
	extern u8 user_invpcid[];
	__asm__(".pushsection .user\n user_invpcid: xor %eax, %eax\n" UCODE(
		"invpcid user_stack, %rax") "ret\n .popsection");
	TRY_USER(user_invpcid, 0, 0);
	report("invpcid at CPL 3");
	cr3_set((word)pml4);
	cr4_set(cr4_get() & ~CR4_PCIDE);
	check("PCIDE is off again", !(cr4_get() & CR4_PCIDE));
}
