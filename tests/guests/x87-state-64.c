/* SPDX-License-Identifier: MIT */
/*
 * x87's and MMX's state where an engine may keep it elsewhere for a while: pointers to the last instruction and operand, faults in the middle,
 * what the control registers and unmasked exceptions refuse, states that are switched. Each runs seldom and often. APM volume 1, chapter 6,
 * volume 2, 11.3 and 11.4.
 */
#include "avx.h"

#define FCW 0
#define FSW 2
#define FTW 4
#define FOP 6
#define FIP 8
#define FDP 16
#define ST(n) (32 + 16 * (n))

static u8 area[512] __attribute__((aligned(64))), other[512] __attribute__((aligned(64)));
static u32 environment[7];
static const double numbers[] = {1.5, 2.25, -4, 0.125};
static double sums[4];

#define AT_16(offset) (*(volatile u16 *)(area + (offset)))
#define AT_64(offset) (*(volatile u64 *)(area + (offset)))

static void save(void)
{
	__asm__ volatile("fxsave64 %0" : "=m"(area)::"memory");
}

/* All that was seen, TIMES times over, in one number: the same each time, or 0. */
static u64 first;
static int is_same;

static void again(unsigned i, u64 seen)
{
	is_same = i ? is_same && seen == first : 1;
	first = i ? first : seen;
}

static void told(const char *name)
{
	value(is_same ? name : "not always the same", first);
}

/* ---- pointers ---- */

#define POINTERS(name, text, operand)                                                       \
	static __attribute__((noinline)) void name(const double *at)                        \
	{                                                                                   \
		u64 last;                                                                   \
		__asm__ volatile("fninit\n" text "\nfnstenv %0\nlea 77b(%%rip), %1\nfninit" \
				 : "=m"(environment), "=&r"(last)                           \
				 : "b"(at), "c"(&at[2])                                     \
				 : "memory", "cc", "rax", "rdx");                           \
		again_pointers(last, operand ? (u64)(at + operand - 1) : 0);                \
	}

static unsigned turn;

/* FOP, whether FIP is the instruction at 77, and FDP the operand. */
static void again_pointers(u64 last, u64 operand)
{
	again(turn,
		(environment[4] >> 16 & 0x7ff) << 8 | (environment[3] == (u32)last) << 4 |
			(environment[5] == (u32)operand));
}

/* clang-format off */
POINTERS(load, "77: fldl (%%rbx)", 1)
POINTERS(registers, "fldl (%%rbx)\nfld1\n77: faddp", 1)
POINTERS(second_operand, "fldl (%%rbx)\n77: fmull 8(%%rbx)", 2)
POINTERS(by_another_register, "fldl (%%rbx)\nmov %%rcx, %%rdx\n77: fldl (%%rdx)\nxor %%edx, %%edx", 3)
POINTERS(integers_after_it, "77: fldl 8(%%rbx)\nmov (%%rbx), %%rax\nadd %%rax, %%rax\nmov 8(%%rcx), %%rax", 2)
POINTERS(control_after_it, "77: fldl 8(%%rbx)\nfnstsw %%ax\nfnclex\nfnstcw environment(%%rip)", 2)
POINTERS(a_jump_after_it, "77: fldl 8(%%rbx)\njmp 1f\nud2\n1: nop", 2)
POINTERS(another_page_after_it, "77: fldl 8(%%rbx)\ncall far_away", 2)
POINTERS(a_prefix, "77: .byte 0x2e\nfldl 8(%%rbx)", 2)
POINTERS(mmx_after_it, "77: fldl 8(%%rbx)\npaddd %%mm1, %%mm2\nemms", 2)
/* clang-format on */

__asm__(".balign 4096\nfar_away: nop\nret\n.balign 4096");

static const struct {
	const char *name;
	void (*run)(const double *at);
} pointers[] = {
	{"a load", load},
	{"registers after a load", registers},
	{"a second operand", second_operand},
	{"a register that changes", by_another_register},
	{"integers after it", integers_after_it},
	{"control instructions after it", control_after_it},
	{"a jump after it", a_jump_after_it},
	{"another page after it", another_page_after_it},
	{"a prefix", a_prefix},
	{"MMX after it", mmx_after_it},
};

static void show_pointers(void)
{
	for (unsigned p = 0; p < sizeof(pointers) / sizeof(pointers[0]); p++) {
		for (turn = 0; turn < TIMES; turn++)
			pointers[p].run(numbers);
		told(pointers[p].name);
	}
}

/* ---- a fault in the middle ---- */

static void fault_in_the_middle(void)
{
	for (unsigned i = 0; i < TIMES; i++) {
		TRY(__asm__ volatile("fninit\nfldl (%0)\nfldpi\nfdiv %%st(1), %%st\n" CODE(
					     "faddl (%1)")::"r"(numbers),
				     "r"(0x123400000000ul)
				     : "memory"));
		save();
		again(i,
			trap.vector << 48 | (u64)AT_16(FSW) << 32 | (u64)area[FTW] << 16 |
				AT_16(FOP));
	}
	told("a page fault: vector, FSW, FTW, FOP");
	value("FDP is the last operand that was read", AT_64(FDP) == (u64)numbers);
	value("FIP is before the one that faults", try_ip - AT_64(FIP) <= 16);
}

/* ---- what is refused ---- */

/* clang-format off */
#define GATE(name, text)                                                                  \
	static __attribute__((noinline)) void name(void)                                  \
	{                                                                                 \
		TRY(__asm__ volatile(CODE(text)::"b"(numbers) : "memory", "cc", "rax"));  \
	}
/* clang-format on */
GATE(gate_load, "fldl (%%rbx)")
GATE(gate_constant, "fld1")
GATE(gate_status, "fnstsw %%ax")
GATE(gate_wait, "fwait")
GATE(gate_mmx, "paddd %%mm1, %%mm2")
GATE(gate_emms, "emms")

static const struct {
	const char *name;
	void (*run)(void);
} gated[] = {
	{"fld m", gate_load},
	{"fld1", gate_constant},
	{"fnstsw", gate_status},
	{"fwait", gate_wait},
	{"paddd", gate_mmx},
	{"emms", gate_emms},
};

static const struct {
	const char *name;
	word cr0, cr4_without;
} states[] = {
	{"all on", 0, 0},
	{"CR0.TS", CR0_TS, 0},
	{"CR0.EM", CR0_EM, 0},
	{"CR4.OSFXSR off", 0, CR4_OSFXSR},
	{"all on again", 0, 0},
};

static void gates(void)
{
	for (unsigned s = 0; s < sizeof(states) / sizeof(states[0]); s++)
		for (unsigned g = 0; g < sizeof(gated) / sizeof(gated[0]); g++) {
			for (unsigned i = 0; i < TIMES; i++) {
				__asm__ volatile("fninit");
				cr4_set(cr4_get() & ~states[s].cr4_without);
				cr0_set(cr0_get() | states[s].cr0);
				gated[g].run();
				cr0_set(cr0_get() & ~(CR0_TS | CR0_EM));
				cr4_set(cr4_get() | CR4_OSFXSR);
				again(i, trap.vector);
			}
			print("%s, %s%s: ", states[s].name, gated[g].name,
				is_same ? "" : " (not always)");
			report_trap();
			print("\n");
		}
}

/* ---- unmasked exceptions ---- */

#define DIVIDE "fninit\nfldcw %0\nfld1\nfldz\nfdivrp\n"

static void unmasked(void)
{
	static const u16 by_zero = 0x37b, all_masked = 0x37f;

	REPORT_TIMES("division by zero, masked",
		TRY(__asm__ volatile(DIVIDE CODE("fwait")::"m"(all_masked)
				     : "memory")));
	REPORT_TIMES("division by zero, unmasked, and fwait",
		TRY(__asm__ volatile(DIVIDE CODE("fwait")::"m"(by_zero)
				     : "memory")));
	REPORT_TIMES("division by zero, unmasked, and fld1",
		TRY(__asm__ volatile(DIVIDE CODE("fld1")::"m"(by_zero)
				     : "memory")));
	REPORT_TIMES("division by zero, unmasked, and paddd",
		TRY(__asm__ volatile(DIVIDE CODE("paddd %%mm1, %%mm2")::"m"(by_zero)
				     : "memory")));
	REPORT_TIMES("division by zero, unmasked, and fnstsw",
		TRY(__asm__ volatile(DIVIDE CODE("fnstsw %%ax")::"m"(by_zero)
				     : "memory", "rax")));
	REPORT_TIMES("unmasked after it happened",
		TRY(__asm__ volatile(
			"fninit\nfld1\nfldz\nfdivrp\nfldcw %0\n" CODE("fldz")::"m"(by_zero)
			: "memory")));
	REPORT_TIMES("cleared before it is unmasked",
		TRY(__asm__ volatile(
			"fninit\nfld1\nfldz\nfdivrp\nfnclex\nfldcw %0\n" CODE("fldz")::"m"(by_zero)
			: "memory")));
	__asm__ volatile("fninit");
}

/* ---- states that are switched ---- */

/* Rounding as FISTP does it, by the control word's four ways: as C's conversions do. */
static void rounding(void)
{
	static const u16 ways[] = {0x37f, 0x77f, 0xb7f, 0xf7f};
	u16 before, after;
	u32 seen;

	for (unsigned i = 0; i < TIMES; i++) {
		u64 all = 0;
		for (unsigned n = 0; n < 4; n++) {
			__asm__ volatile("fninit\nfldpi\nfchs\nfnstcw %1\nfldcw %3\nfistpl "
					 "%0\nfldcw %1\nfnstcw %2"
					 : "=m"(seen), "=m"(before), "=m"(after)
					 : "m"(ways[n]));
			all = all << 8 | (seen & 0xff);
			all += before != after;
		}
		again(i, all);
	}
	told("minus pi, rounded in four ways");
}

static void two_states(void)
{
	u64 bits[2];

	__asm__ volatile("fninit\nfld1\nfxsave64 %0\nfninit\nfldpi\nfldpi\nfxsave64 %1"
			 : "=m"(area), "=m"(other)::"memory");
	for (unsigned i = 0; i < TIMES; i++) {
		__asm__ volatile("fxrstor64 %0\nfldl %1\nfaddp\nfxsave64 %0\n"
				 : "+m"(area)
				 : "m"(numbers[1])
				 : "memory");
		__asm__ volatile("fxrstor64 %0\nfmull %1\nfmull %2\nfxsave64 %0\n"
				 : "+m"(other)
				 : "m"(numbers[2]), "m"(numbers[3])
				 : "memory");
	}
	__asm__ volatile("fxrstor64 %2\nfstpl %0\nfxrstor64 %3\nfstpl %1\nfninit"
			 : "=m"(bits[0]), "=m"(bits[1])
			 : "m"(area), "m"(other)
			 : "memory");
	value("the first state", bits[0]);
	value("the second state", bits[1]);
}

static void mmx_and_x87(void)
{
	for (unsigned i = 0; i < TIMES; i++) {
		__asm__ volatile("fninit\nfld1\nfldpi\nfldz\npcmpeqd %%mm3, %%mm3" ::: "memory");
		save();
		again(i,
			(u64)AT_16(FSW) << 48 | (u64)area[FTW] << 32 | (u64)AT_16(ST(3) + 8) << 16 |
				AT_16(ST(6) + 8));
	}
	told("MMX after three loads: FSW, FTW, exponents of MM3 and MM6");
	for (unsigned i = 0; i < TIMES; i++) {
		__asm__ volatile("emms\nfld1" ::: "memory");
		save();
		again(i, (u64)AT_16(FSW) << 48 | area[FTW]);
		__asm__ volatile("fninit");
	}
	told("a load after EMMS: FSW, FTW");
}

static void a_full_stack(void)
{
	for (unsigned i = 0; i < TIMES; i++) {
		__asm__ volatile("fninit\nfld1\nfld1\nfld1\nfld1\nfld1\nfld1\nfld1\nfld1\nfldz\n"
				 "fstl %0"
				 : "=m"(sums[0])::"memory");
		save();
		again(i, (u64)AT_16(FSW) << 48 | area[FTW]);
		__asm__ volatile("fninit");
	}
	told("nine loads: FSW, FTW");
	value("what is stored of the ninth", *(volatile u64 *)sums);
}

void guest_main(void)
{
	cr4_set(cr4_get() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	cr0_set((cr0_get() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	show_pointers();
	fault_in_the_middle();
	gates();
	unmasked();
	rounding();
	two_states();
	mmx_and_x87();
	a_full_stack();
}
