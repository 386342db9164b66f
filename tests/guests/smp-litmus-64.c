/* SPDX-License-Identifier: MIT */
/*
 * The memory model (Intel volume 3, 8.2; AMD64 volume 2, 7.2): what it forbids is counted and must be 0. Two processors a thread
 * of the test each (four for IRIW); places lie on cache lines of their own, and each round goes through all of them unsynchronised.
 */
#include "smp.h"

#define PLACES 4096
#define ROUNDS 6
struct place {
	volatile u64 x, pad1[7], y, pad2[7], r[4], pad3[4];
} __attribute__((aligned(64)));
static struct place places[PLACES];
static volatile u32 bad, weak;

struct litmus {
	const char *name;
	unsigned threads;
	void (*step)(struct place *p, unsigned thread);
	int (*forbidden)(const struct place *p);
	int (*interesting)(
		const struct place *p); /* allowed, and not in order: to be seen now and then */
};

#define MOV_STORE(at, v) __asm__ volatile("movq %1, %0" : "=m"(at) : "r"((u64)(v)) : "memory")
#define MOV_LOAD(at)                                                             \
	({                                                                       \
		u64 v_;                                                          \
		__asm__ volatile("movq %1, %0" : "=r"(v_) : "m"(at) : "memory"); \
		v_;                                                              \
	})
#define XCHG(at, v)                                                                 \
	({                                                                          \
		u64 v_ = (v);                                                       \
		__asm__ volatile("xchgq %0, %1" : "+r"(v_), "+m"(at) : : "memory"); \
		v_;                                                                 \
	})
#define LOCKED() __asm__ volatile("lock addl $0, -8(%%rsp)" ::: "memory", "cc")

static void sb(struct place *p, unsigned t)
{
	if (!t) {
		MOV_STORE(p->x, 1);
		p->r[0] = MOV_LOAD(p->y);
	} else {
		MOV_STORE(p->y, 1);
		p->r[1] = MOV_LOAD(p->x);
	}
}
static void sb_mfence(struct place *p, unsigned t)
{
	if (!t) {
		MOV_STORE(p->x, 1);
		mfence();
		p->r[0] = MOV_LOAD(p->y);
	} else {
		MOV_STORE(p->y, 1);
		mfence();
		p->r[1] = MOV_LOAD(p->x);
	}
}
static void sb_lock(struct place *p, unsigned t)
{
	if (!t) {
		MOV_STORE(p->x, 1);
		LOCKED();
		p->r[0] = MOV_LOAD(p->y);
	} else {
		MOV_STORE(p->y, 1);
		LOCKED();
		p->r[1] = MOV_LOAD(p->x);
	}
}
static void sb_xchg(struct place *p, unsigned t)
{
	if (!t) {
		XCHG(p->x, 1);
		p->r[0] = MOV_LOAD(p->y);
	} else {
		XCHG(p->y, 1);
		p->r[1] = MOV_LOAD(p->x);
	}
}
static void sb_cpuid(struct place *p, unsigned t)
{
	u32 r[4];
	if (!t) {
		MOV_STORE(p->x, 1);
		cpuid(0, 0, r);
		p->r[0] = MOV_LOAD(p->y);
	} else {
		MOV_STORE(p->y, 1);
		cpuid(0, 0, r);
		p->r[1] = MOV_LOAD(p->x);
	}
}
static int both_zero(const struct place *p)
{
	return !p->r[0] && !p->r[1];
}
static int never(const struct place *p)
{
	return 0;
}

static void mp(struct place *p, unsigned t)
{
	if (!t) {
		MOV_STORE(p->x, 1);
		MOV_STORE(p->y, 1);
	} else {
		p->r[0] = MOV_LOAD(p->y);
		p->r[1] = MOV_LOAD(p->x);
	}
}
static void mp_lock(struct place *p, unsigned t)
{
	if (!t) {
		XCHG(p->x, 1);
		XCHG(p->y, 1);
	} else {
		p->r[0] = MOV_LOAD(p->y);
		LOCKED();
		p->r[1] = MOV_LOAD(p->x);
	}
}
static void mp_sse(struct place *p, unsigned t)
{
	static const u64 one[2] __attribute__((aligned(16))) = {1, 1};
	if (!t) {
		__asm__ volatile("movdqa %2, %%xmm0; movdqa %%xmm0, %0; movdqa %%xmm0, %1"
				 : "=m"(*(char(*)[16]) & p->x), "=m"(*(char(*)[16]) & p->y)
				 : "m"(*(char(*)[16])one)
				 : "memory");
	} else {
		__asm__ volatile(
			"movdqa %2, %%xmm0; movdqa %3, %%xmm1; movq %%xmm0, %0; movq %%xmm1, %1"
			: "=m"(p->r[0]), "=m"(p->r[1])
			: "m"(*(char(*)[16]) & p->y), "m"(*(char(*)[16]) & p->x)
			: "memory");
	}
}
static int new_then_old(const struct place *p)
{
	return p->r[0] && !p->r[1];
}

static void lb(struct place *p, unsigned t)
{
	if (!t) {
		p->r[0] = MOV_LOAD(p->x);
		MOV_STORE(p->y, 1);
	} else {
		p->r[1] = MOV_LOAD(p->y);
		MOV_STORE(p->x, 1);
	}
}
static void lb_lock(struct place *p, unsigned t)
{
	if (!t) {
		p->r[0] = MOV_LOAD(p->x);
		XCHG(p->y, 1);
	} else {
		p->r[1] = MOV_LOAD(p->y);
		XCHG(p->x, 1);
	}
}
static int both_one(const struct place *p)
{
	return p->r[0] && p->r[1];
}

static void iriw(struct place *p, unsigned t)
{
	if (t == 0) {
		MOV_STORE(p->x, 1);
	} else if (t == 1) {
		MOV_STORE(p->y, 1);
	} else if (t == 2) {
		p->r[0] = MOV_LOAD(p->x);
		p->r[1] = MOV_LOAD(p->y);
	} else {
		p->r[2] = MOV_LOAD(p->y);
		p->r[3] = MOV_LOAD(p->x);
	}
}
static void iriw_lock(struct place *p, unsigned t)
{
	if (t == 0) {
		XCHG(p->x, 1);
	} else if (t == 1) {
		XCHG(p->y, 1);
	} else {
		iriw(p, t);
	}
}
static int two_orders(const struct place *p)
{
	return p->r[0] && !p->r[1] && p->r[2] && !p->r[3];
}

/* Two loads of one place never go back; a store's own load sees it at once. */
static void corr(struct place *p, unsigned t)
{
	if (!t) {
		MOV_STORE(p->x, 1);
	} else {
		p->r[0] = MOV_LOAD(p->x);
		p->r[1] = MOV_LOAD(p->x);
	}
}
static void own(struct place *p, unsigned t)
{
	MOV_STORE(p->x, t + 1);
	p->r[t] = MOV_LOAD(p->x) == t + 1 || MOV_LOAD(p->x) == 2 - t;
}
static int not_own(const struct place *p)
{
	return !p->r[0] || !p->r[1];
}

static const struct litmus tests[] = {
	{"store buffering", 2, sb, never, both_zero},
	{"store buffering, mfence", 2, sb_mfence, both_zero, never},
	{"store buffering, lock add", 2, sb_lock, both_zero, never},
	{"store buffering, xchg", 2, sb_xchg, both_zero, never},
	{"store buffering, cpuid", 2, sb_cpuid, both_zero, never},
	{"message passing", 2, mp, new_then_old, never},
	{"message passing, locked", 2, mp_lock, new_then_old, never},
	{"message passing, 16 bytes", 2, mp_sse, new_then_old, never},
	{"load buffering", 2, lb, both_one, never},
	{"load buffering, locked", 2, lb_lock, both_one, never},
	{"independent reads of independent writes", 4, iriw, two_orders, never},
	{"the same, locked", 4, iriw_lock, two_orders, never},
	{"two loads of one place", 2, corr, new_then_old, never},
	{"one's own store", 2, own, not_own, never},
};
static const struct litmus *test;

static void judge(void)
{
	for (unsigned i = 0; i < PLACES; i++) {
		bad += (u32)test->forbidden(&places[i]);
		weak += (u32)test->interesting(&places[i]);
		places[i] = (struct place){0};
	}
}

static void thread(unsigned cpu)
{
	__asm__ volatile("mov %%cr4, %%rax; or $0x600, %%eax; mov %%rax, %%cr4" ::: "rax");
	for (unsigned round = 0; round < ROUNDS; round++) {
		smp_barrier();
		for (unsigned i = 0; cpu < test->threads && i < PLACES; i++)
			test->step(&places[i], cpu);
		smp_barrier();
		if (!cpu)
			judge();
	}
}

void guest_main(void)
{
	value("processors", smp_count());
	check("all start", smp_start());
	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		test = &tests[i];
		bad = 0;
		int ran = smp_run(thread);
		print("%s: %s\n", test->name, !ran ? "did not end" : bad ? "seen" : "never");
	}
}
