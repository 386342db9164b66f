/* SPDX-License-Identifier: MIT */
/*
 * Paging tests common to the three table formats. Include after defining ENTRY (type of a table entry). One virtual page, walk.va, is
 * reached through walk.entry[]; first level first, the last one maps the page. AMD64 manual volume 2, chapter 5.
 */
#ifndef PAGING_H
#define PAGING_H
#include "guest.h"

#define P 1
#define W 2
#define U 4
#define A 0x20
#define D 0x40
#define PS 0x80
#define G 0x100
#define NX ((ENTRY)1 << (sizeof(ENTRY) * 8 - 1))

static struct {
	ENTRY *entry[4];
	const char *name[4];
	int levels;
	word va;
	int fixed; /* levels whose flags must stay (PAE's PDPTEs have no W, U, A) */
} walk;

static void walk_flush(void)
{
	for (int i = 0; i < 2; i++)
		invlpg(walk.va + (word)i * 4096);
	cr3_set(cr3_get());
}

enum { KERNEL_READ, KERNEL_WRITE, KERNEL_CALL, USER_READ, USER_WRITE, USER_JUMP, ACCESS_KINDS };
static const char *const access_name[] = {"kr", "kw", "kx", "ur", "uw", "ux"};

/* A page holds ret at its start: what is called or jumped to there comes back. */
static void attempt(int kind, word va)
{
	switch (kind) {
	case KERNEL_READ:
		TRY(touch_read(va));
		break;
	case KERNEL_WRITE:
		TRY(touch_write(va + 0x800));
		break;
	case KERNEL_CALL:
		TRY(touch_call(va));
		break;
	case USER_READ:
		TRY_USER(user_read8, va, 0);
		break;
	case USER_WRITE:
		TRY_USER(user_write8, va + 0x800, 0);
		break;
	default:
		TRY_USER(user_jump, va, 0);
	}
}

static void attempt_print(int kind)
{
	word want = walk.va + (kind == KERNEL_WRITE || kind == USER_WRITE ? 0x800 : 0);

	attempt(kind, walk.va);
	print(" %s=", access_name[kind]);
	if (trap.vector == NONE)
		print("ok");
	else if (trap.vector == PF) {
		print("%x", trap.error);
		if (trap.cr2 != want)
			print(" at the wrong address %x", trap.cr2);
	} else {
		report_trap();
	}
}

/* One line: every kind of access under the entries as they are. */
static void attempt_all(void)
{
	print(":");
	for (int kind = 0; kind < ACCESS_KINDS; kind++) {
		walk_flush();
		attempt_print(kind);
	}
	print("\n");
}

/* Every combination of flags in the last level, with those above allowing all. */
__attribute__((unused)) static void test_last_level(int with_nx)
{
	ENTRY *last = walk.entry[walk.levels - 1];
	ENTRY kept = *last;

	for (int flags = 0; flags < (with_nx ? 16 : 8); flags++) {
		ENTRY v = kept & ~(ENTRY)(P | W | U);

		v |= (flags & 1 ? P : 0) | (flags & 2 ? W : 0) | (flags & 4 ? U : 0) |
			(flags & 8 ? NX : 0);
		*last = v;
		print("%c%c%c%c", flags & 1 ? 'P' : '-', flags & 2 ? 'W' : '-',
			flags & 4 ? 'U' : '-', flags & 8 ? 'X' : '-');
		attempt_all();
	}
	*last = kept;
	walk_flush();
}

/* One right taken away at one level is taken away for the page. */
__attribute__((unused)) static void test_each_level(int with_nx)
{
	static const char right[] = "PWUX";

	for (int i = 0; i < walk.levels; i++) {
		ENTRY kept = *walk.entry[i];

		for (int bit = 0; bit < (with_nx ? 4 : 3); bit++) {
			if (walk.fixed & 1 << i && bit)
				continue;
			*walk.entry[i] = bit == 3 ? kept | NX : kept & ~(ENTRY)(1 << bit);
			print("%s without %c", walk.name[i], right[bit]);
			attempt_all();
		}
		*walk.entry[i] = kept;
	}
	walk_flush();
}

/* Which of the given bits are reserved where: "pte bit 51: ok" or the fault's code. */
__attribute__((unused)) static void test_reserved(int level, int bit)
{
	ENTRY kept = *walk.entry[level];

	*walk.entry[level] = kept | (ENTRY)1 << bit;
	print("%s bit %d:", walk.name[level], bit);
	for (int kind = 0; kind < ACCESS_KINDS; kind += kind == 0 ? 4 : 1) {
		walk_flush();
		attempt_print(kind);
	}
	print("\n");
	*walk.entry[level] = kept;
	walk_flush();
}

static void accessed_clear(void)
{
	for (int i = 0; i < walk.levels; i++)
		if (!(walk.fixed & 1 << i))
			*walk.entry[i] &= ~(ENTRY)(A | D);
	walk_flush();
}

static void accessed_print(void)
{
	for (int i = 0; i < walk.levels; i++)
		print(" %s=%s%s", walk.name[i], *walk.entry[i] & A ? "A" : "-",
			*walk.entry[i] & D ? "D" : "-");
	print("\n");
}

/*
 * Accessed and dirty bits: set by an access that succeeds, at the levels that the manual says, and
 * by no other.
 */
__attribute__((unused)) static void test_accessed_dirty(void)
{
	ENTRY *last = walk.entry[walk.levels - 1];
	ENTRY kept = *last;

	for (int kind = 0; kind < ACCESS_KINDS; kind++) {
		accessed_clear();
		attempt(kind, walk.va);
		print("%s:", access_name[kind]);
		accessed_print();
	}
	/* a read fills the TLB; the write after it must still set D */
	accessed_clear();
	touch_read(walk.va);
	touch_write(walk.va + 0x800);
	print("read then write:");
	accessed_print();
	*last = kept & ~(ENTRY)(W | A | D);
	walk_flush();
	attempt(USER_WRITE, walk.va);
	print("write to a read-only page sets no D: %s\n", *last & D ? "NO" : "yes");
	*last = kept & ~(ENTRY)(P | A | D);
	walk_flush();
	attempt(USER_READ, walk.va);
	print("read of an absent page sets no A: %s\n", *last & A ? "NO" : "yes");
	*last = kept & ~(ENTRY)(A | D);
	walk_flush();
	/*
	 * the processor reads the byte and writes it back only if equal: cmpxchg always writes, so
	 * D is set (volume 3, CMPXCHG)
	 */
	TRY(__asm__ volatile("lock cmpxchgb %%cl, (%0)" ::"r"(walk.va + 0x900), "a"(0x77), "c"(1)
			     : "memory", "cc"));
	print("failed cmpxchg:");
	accessed_print();
	*last = kept;
	walk_flush();
}

/*
 * Accesses over the end of a page whose successor is absent: nothing is written, CR2 is the first
 * byte that fails.
 */
__attribute__((unused)) static void test_page_crossing(ENTRY *next)
{
	volatile u8 *end = (volatile u8 *)(walk.va + 4096);
	ENTRY kept = *next;

	for (int i = 1; i <= 8; i++)
		end[-i] = 0x11;
	*next = 0;
	walk_flush();
	TRY(__asm__ volatile(CODE("movl $0xaabbccdd, (%0)")::"r"(end - 2) : "memory"));
	report("write over the page's end");
	check("nothing was written", end[-1] == 0x11 && end[-2] == 0x11);
	TRY(__asm__ volatile(CODE("addl $0x01010101, (%0)")::"r"(end - 1) : "memory", "cc"));
	report("read-modify-write over the page's end");
	check("nothing was added", end[-1] == 0x11);
	TRY(__asm__ volatile(CODE("movl (%0), %%eax")::"r"(end - 3) : "memory", "eax"));
	report("read over the page's end");
	TRY(__asm__ volatile(
		CODE("lock cmpxchg8b (%0)")::"r"(end - 4), "a"(0), "b"(0), "c"(0), "d"(0)
		: "memory", "cc"));
	report("cmpxchg8b over the page's end");
	/* a repeated store stops with its registers at the element that failed */
	TRY(({
		word d = (word)end - 8, c = 20;
		__asm__ volatile("1: rep stosb" : "+D"(d), "+c"(c) : "a"(0x22) : "memory");
	}));
	report("rep stosb over the page's end");
	check("its first eight bytes are there", end[-8] == 0x22 && end[-1] == 0x22);
	*next = kept & ~(ENTRY)W;
	cr0_set(cr0_get() | CR0_WP);
	walk_flush();
	end[-1] = 0x33;
	end[-2] = 0x33;
	TRY(__asm__ volatile(CODE("movl $0xaabbccdd, (%0)")::"r"(end - 2) : "memory"));
	report("write into a read-only second page");
	check("nothing was written there", end[-1] == 0x33 && end[-2] == 0x33);
	cr0_set(cr0_get() & ~CR0_WP);
	*next = kept;
	walk_flush();
}

/*
 * An instruction whose last bytes lie in the next page: the fault is a fetch there, and it restarts
 * at its first byte.
 */
static word refill_ip;
static ENTRY *refill_entry, refill_value;
static unsigned refill_count;
static int refill(struct frame *f)
{
	refill_ip = f->ip;
	refill_count++;
	*refill_entry = refill_value;
	invlpg(cr2_get());
	return 1;
}

__attribute__((unused)) static void test_code_crossing(ENTRY *next)
{
	u8 *end = (u8 *)(walk.va + 4096);
	word result;

	/* mov $0x12345678, %eax; ret: two bytes of the immediate here, two there */
	end[-3] = 0xb8;
	end[-2] = 0x78;
	end[-1] = 0x56;
	end[0] = 0x34;
	end[1] = 0x12;
	end[2] = 0xc3;
	refill_entry = next;
	refill_value = *next;
	refill_count = 0;
	hooks[PF] = refill;
	*next = 0;
	walk_flush();
	__asm__ volatile("call *%1" : "=a"(result) : "r"(end - 3) : "memory");
	hooks[PF] = NULL;
	value("code over the page's end gives", result);
	check("one fault, told at the instruction's first byte",
		refill_count == 1 && refill_ip == (word)(end - 3));
	end[-3] = 0;
	*(volatile u8 *)walk.va = 0xc3;
}

/*
 * A changed entry counts once it is flushed; invlpg flushes a global page, a load of CR3 does not
 * have to.
 */
__attribute__((unused)) static void test_invlpg(word other_page)
{
	ENTRY *last = walk.entry[walk.levels - 1];
	ENTRY kept = *last;

	*(volatile u8 *)(walk.va + 0x40) = 0x41;
	*(volatile u8 *)(other_page + 0x40) = 0x42;
	*last = (kept & (ENTRY)0xfff) | (ENTRY)other_page;
	invlpg(walk.va + 0x123);
	value("after invlpg the new page answers", *(volatile u8 *)(walk.va + 0x40));
	*last = kept;
	cr3_set(cr3_get());
	value("after a load of cr3 the old page answers", *(volatile u8 *)(walk.va + 0x40));
	cr4_set(cr4_get() | CR4_PGE);
	*last = kept | G;
	walk_flush();
	(void)*(volatile u8 *)(walk.va + 0x40);
	*last = ((kept & (ENTRY)0xfff) | (ENTRY)other_page) | G;
	invlpg(walk.va);
	value("invlpg flushes a global page", *(volatile u8 *)(walk.va + 0x40));
	*last = kept | G;
	cr4_set(cr4_get() & ~CR4_PGE);
	value("clearing CR4.PGE flushes global pages", *(volatile u8 *)(walk.va + 0x40));
	*last = kept;
	walk_flush();
}

__attribute__((unused)) static void test_all(int with_nx, ENTRY *next, word other_page)
{
	for (int wp = 0; wp < 2; wp++) {
		cr0_set((cr0_get() & ~CR0_WP) | (wp ? CR0_WP : 0));
		print("CR0.WP: %d\n", wp);
		test_last_level(with_nx);
		test_each_level(with_nx);
	}
	cr0_set(cr0_get() & ~CR0_WP);
	test_accessed_dirty();
	test_page_crossing(next);
	test_code_crossing(next);
	test_invlpg(other_page);
}
#endif
