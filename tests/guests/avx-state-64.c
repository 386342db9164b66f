/* SPDX-License-Identifier: MIT */
/*
 * The upper halves of YMM registers: when VEX instructions run at all (SDM volume 2, 2.4; volume 1, 14.3), what keeps and what
 * clears the upper halves (volume 1, 14.1.2), and XSAVE's third component (volume 1, 13).
 */
#include "avx.h"

static u64 seed[16][4], seen[16][4], before[16][4];
static u8 area[1024] __attribute__((aligned(64)));
#define AREA_64(offset) (*(volatile u64 *)(area + (offset)))
#define AREA_32(offset) (*(volatile u32 *)(area + (offset)))
#define XSTATE_BV 512
#define XCOMP_BV 520
#define UPPER 576
#define MXCSR 24

/* ---- when they run ---- */

/* clang-format off */
#define GATE(name, text)                                                              \
	static __attribute__((noinline)) void name(void)                              \
	{                                                                             \
		TRY(__asm__ volatile(CODE(text)::"b"(area) : "memory", "cc", "rax")); \
	}
/* clang-format on */
GATE(vex_256, "vaddps %%ymm2, %%ymm1, %%ymm0")
GATE(vex_128, "vpaddd %%xmm2, %%xmm1, %%xmm0")
GATE(vex_load, "vmovups (%%rbx), %%ymm0")
GATE(vex_zero, "vzeroupper")
GATE(vex_general, "andn %%rbx, %%rbx, %%rax")
GATE(legacy, "addps %%xmm2, %%xmm1")

static const struct {
	const char *name;
	void (*run)(void);
} gated[] = {
	{"vaddps ymm", vex_256},
	{"vpaddd xmm", vex_128},
	{"vmovups load", vex_load},
	{"vzeroupper", vex_zero},
	{"andn", vex_general},
	{"addps", legacy},
};

static const struct {
	const char *name;
	word cr0, cr4_without;
	u32 xcr0;
} states[] = {
	{"all on", 0, 0, 7},
	{"CR4.OSXSAVE off", 0, CR4_OSXSAVE, 7},
	{"XCR0 without AVX", 0, 0, 3},
	{"XCR0 without SSE", 0, 0, 1},
	{"CR0.TS", CR0_TS, 0, 7},
	{"CR0.TS and no OSXSAVE", CR0_TS, CR4_OSXSAVE, 7},
	{"CR0.TS and XCR0 without AVX", CR0_TS, 0, 3},
	{"CR0.EM", CR0_EM, 0, 7},
	{"CR4.OSFXSR off", 0, CR4_OSFXSR, 7},
	{"all on again", 0, 0, 7},
};

/* The same code in every state: what was made fast in one must still be refused in the next. */
static void gates(void)
{
	for (unsigned s = 0; s < sizeof(states) / sizeof(states[0]); s++) {
		for (unsigned g = 0; g < sizeof(gated) / sizeof(gated[0]); g++) {
			int same = 1;
			word first = 0;

			xcr0_set(states[s].xcr0);
			for (unsigned i = 0; i < TIMES; i++) {
				cr4_set(cr4_get() & ~states[s].cr4_without);
				cr0_set(cr0_get() | states[s].cr0);
				gated[g].run();
				cr0_set(cr0_get() & ~(CR0_TS | CR0_EM));
				cr4_set(cr4_get() | CR4_OSXSAVE | CR4_OSFXSR);
				first = i ? first : trap.vector;
				same = same && trap.vector == first;
			}
			print("%s, %s%s: ", states[s].name, gated[g].name,
				same ? "" : " (not always)");
			report_trap();
			print("\n");
		}
	}
	xcr0_set(7);
}

static void encodings(void)
{
	REPORT_TIMES(
		"66 before VEX", TRY(__asm__ volatile(CODE(".byte 0x66, 0xc5, 0xf4, 0x58, 0xc2"))));
	REPORT_TIMES(
		"f3 before VEX", TRY(__asm__ volatile(CODE(".byte 0xf3, 0xc5, 0xf4, 0x58, 0xc2"))));
	REPORT_TIMES("lock before VEX",
		TRY(__asm__ volatile(CODE(".byte 0xf0, 0xc5, 0xf4, 0x58, 0xc2"))));
	REPORT_TIMES("REX before VEX",
		TRY(__asm__ volatile(CODE(".byte 0x48, 0xc5, 0xf4, 0x58, 0xc2"))));
	REPORT_TIMES("vvvv where there is none",
		TRY(__asm__ volatile(CODE(".byte 0xc5, 0xec, 0x28, 0xc2"))));
	REPORT_TIMES("map 0", TRY(__asm__ volatile(CODE(".byte 0xc4, 0xe0, 0x74, 0x58, 0xc2"))));
	REPORT_TIMES("map 4", TRY(__asm__ volatile(CODE(".byte 0xc4, 0xe4, 0x74, 0x58, 0xc2"))));
	REPORT_TIMES("vmovaps misaligned",
		TRY(__asm__ volatile(CODE("vmovaps 16(%0), %%ymm0")::"r"(area))));
	REPORT_TIMES("vmovups misaligned",
		TRY(__asm__ volatile(CODE("vmovups 1(%0), %%ymm0")::"r"(area))));
	REPORT_TIMES("vaddps misaligned",
		TRY(__asm__ volatile(CODE("vaddps 1(%0), %%ymm0, %%ymm0")::"r"(area))));
	REPORT_TIMES(
		"addps misaligned", TRY(__asm__ volatile(CODE("addps 1(%0), %%xmm0")::"r"(area))));
}

static void xcr0(void)
{
	static const u32 values[] = {7, 3, 1, 0, 2, 4, 5, 6, 7};
	u32 r[4];

	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		TRY(__asm__ volatile(CODE("xsetbv")::"a"(values[i]), "c"(0), "d"(0)));
		print("xsetbv %x: ", (word)values[i]);
		report_trap();
		cpuid(0xd, 0, r);
		print(", the area has %x bytes\n", (word)r[1]);
	}
	SHOW("xsetbv of register 1", "xsetbv", "a"(7), "c"(1), "d"(0));
	cpuid(0xd, 2, r);
	print("upper halves: %x bytes at %x\n", (word)r[0], (word)r[1]);
}

/* ---- what keeps and what clears ---- */

/* clang-format off */
#define CASE(id, text)                                                                                 \
	static __attribute__((noinline)) void id(void)                                                 \
	{                                                                                              \
		__asm__ volatile(text "\n"::"b"(seed), "a"(0x123456789ull) : "memory", "cc", "rcx", "rdx"); \
	}
/* clang-format on */
CASE(sse_addps, "addps %%xmm2, %%xmm1")
CASE(sse_movaps, "movaps %%xmm2, %%xmm1")
CASE(sse_load, "movups 96(%%rbx), %%xmm1")
CASE(sse_movss, "movss 96(%%rbx), %%xmm1")
CASE(sse_movq, "movq %%rax, %%xmm1")
CASE(sse_cvtsi2sd, "cvtsi2sdq %%rax, %%xmm1")
CASE(sse_pinsrw, "pinsrw $3, %%eax, %%xmm1")
CASE(sse_pshufb, "pshufb %%xmm2, %%xmm1")
CASE(sse_xorps, "xorps %%xmm1, %%xmm1")
CASE(vex_movaps_128, "vmovaps %%xmm2, %%xmm1")
CASE(vex_load_128, "vmovups 96(%%rbx), %%xmm1")
CASE(vex_movss, "vmovss 96(%%rbx), %%xmm1")
CASE(vex_movss_registers, "vmovss %%xmm3, %%xmm2, %%xmm1")
CASE(vex_addss, "vaddss %%xmm3, %%xmm2, %%xmm1")
CASE(vex_movq, "vmovq %%rax, %%xmm1")
CASE(vex_pinsrw, "vpinsrw $3, %%eax, %%xmm2, %%xmm1")
CASE(vex_xorps, "vxorps %%xmm1, %%xmm1, %%xmm1")
CASE(vex_addps, "vaddps %%ymm3, %%ymm2, %%ymm1")
CASE(vex_paddq, "vpaddq 96(%%rbx), %%ymm2, %%ymm1")
CASE(vex_perm, "vperm2i128 $0x21, %%ymm3, %%ymm2, %%ymm1")
CASE(vex_broadcast, "vbroadcastss 96(%%rbx), %%ymm1")
CASE(vex_insert, "vinsertf128 $1, %%xmm3, %%ymm2, %%ymm1")
CASE(vex_extract, "vextractf128 $1, %%ymm2, %%xmm1")
CASE(vex_high, "vaddps %%ymm13, %%ymm12, %%ymm1")
CASE(vex_zeroupper, "vzeroupper")
CASE(vex_zeroall, "vzeroall")
CASE(mixed,
	"addps %%xmm2, %%xmm1\n vaddps %%ymm1, %%ymm1, %%ymm1\n vzeroupper\n addps %%xmm2, %%xmm1\n vpor %%ymm1, %%ymm1, %%ymm2")
CASE(apart,
	"push %%rbx\n vaddps %%ymm2, %%ymm1, %%ymm1\n xor %%eax, %%eax\n cpuid\n pop %%rbx\n vaddps %%ymm2, %%ymm1, %%ymm1")
CASE(fxsave_fxrstor,
	"sub $512, %%rsp\n mov %%rsp, %%rcx\n and $-16, %%rcx\n fxsave64 (%%rcx)\n pxor %%xmm1, %%xmm1\n"
	"fxrstor64 (%%rcx)\n add $512, %%rsp")

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"addps", sse_addps},
	{"movaps", sse_movaps},
	{"movups, a load", sse_load},
	{"movss, a load", sse_movss},
	{"movq", sse_movq},
	{"cvtsi2sd", sse_cvtsi2sd},
	{"pinsrw", sse_pinsrw},
	{"pshufb", sse_pshufb},
	{"xorps", sse_xorps},
	{"vmovaps xmm", vex_movaps_128},
	{"vmovups xmm, a load", vex_load_128},
	{"vmovss, a load", vex_movss},
	{"vmovss of registers", vex_movss_registers},
	{"vaddss", vex_addss},
	{"vmovq", vex_movq},
	{"vpinsrw", vex_pinsrw},
	{"vxorps xmm", vex_xorps},
	{"vaddps ymm", vex_addps},
	{"vpaddq ymm", vex_paddq},
	{"vperm2i128", vex_perm},
	{"vbroadcastss", vex_broadcast},
	{"vinsertf128", vex_insert},
	{"vextractf128", vex_extract},
	{"vaddps of ymm12 and 13", vex_high},
	{"vzeroupper", vex_zeroupper},
	{"vzeroall", vex_zeroall},
	{"both kinds in turns", mixed},
	{"cpuid between two", apart},
	{"fxsave and fxrstor", fxsave_fxrstor},
};

static int is_same(u64 (*a)[4], u64 (*b)[4])
{
	for (unsigned i = 0; i < 64; i++)
		if (a[i / 4][i % 4] != b[i / 4][i % 4])
			return 0;
	return 1;
}

/* Register 1, and how many of the others changed in either half. */
static void print_registers(const char *name, int is_steady)
{
	unsigned low = 0, high = 0;

	for (unsigned i = 0; i < 16; i++) {
		low += i != 1 && (seen[i][0] != seed[i][0] || seen[i][1] != seed[i][1]);
		high += i != 1 && (seen[i][2] != seed[i][2] || seen[i][3] != seed[i][3]);
	}
	print("%s%s: %x %x %x %x, of the others %d and %d\n", name,
		is_steady ? "" : " (not always)", seen[1][0], seen[1][1], seen[1][2], seen[1][3],
		(int)low, (int)high);
}

static void halves(void)
{
	for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		int same = 1;

		for (unsigned i = 0; i < TIMES; i++) {
			ymm_load(seed);
			cases[c].run();
			ymm_store(seen);
			if (i)
				same = same && is_same(seen, before);
			copy(before, seen, sizeof(seen));
		}
		print_registers(cases[c].name, same);
	}
}

/* A fault finds what the instructions before it computed. */
static void fault(void)
{
	int same = 1;

	for (unsigned i = 0; i < TIMES; i++) {
		ymm_load(seed);
		TRY(__asm__ volatile("vaddps %%ymm3, %%ymm2, %%ymm1\n" CODE(
			"movq (%0), %%rax")::"r"(0x300000000000ul)
				     : "rax"));
		ymm_store(seen);
		if (i)
			same = same && is_same(seen, before);
		copy(before, seen, sizeof(seen));
	}
	report("a page fault behind vaddps");
	print_registers("  finds its sum", same);
}

/* ---- XSAVE and XRSTOR ---- */

static void xsave(u32 mask)
{
	__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(mask), "d"(0) : "memory");
}

static void xsaveopt(u32 mask)
{
	__asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(mask), "d"(0) : "memory");
}

static void xrstor(u32 mask)
{
	__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(mask), "d"(0) : "memory");
}

static void show_save(const char *name, void (*save)(u32), u32 mask)
{
	ymm_load(seed);
	fill(area, 0xee, sizeof(area));
	AREA_64(XSTATE_BV) = 0;
	save(mask);
	print("%s: XSTATE_BV & 4 %x, xmm1 %q, upper half of 1 %q, of 15 %q, behind %q\n", name,
		(word)(AREA_64(XSTATE_BV) & 4), AREA_64(160 + 16), AREA_64(UPPER + 16),
		AREA_64(UPPER + 240), AREA_64(UPPER + 256));
}

/* Restores mask of an image whose XSTATE_BV is given, over registers that hold something else. */
static void show_restore(const char *name, u32 mask, u64 present)
{
	int same = 1;

	for (unsigned i = 0; i < TIMES; i++) {
		ymm_load(seed);
		fill(area, 0, sizeof(area));
		xsave(7);
		AREA_64(XSTATE_BV) = present;
		__asm__ volatile("vpcmpeqd %%ymm1, %%ymm1, %%ymm1\n vmovaps %%ymm1, %%ymm15" ::);
		xrstor(mask);
		ymm_store(seen);
		if (i)
			same = same && is_same(seen, before);
		copy(before, seen, sizeof(seen));
	}
	print_registers(name, same);
}

static void show_bad(const char *name, unsigned offset, u64 bits, u32 mask)
{
	fill(area, 0, sizeof(area));
	xsave(7);
	AREA_64(offset) |= bits;
	SHOW(name, "xrstor64 (%0)", "r"(area), "a"(mask), "d"(0));
}

static void saves(void)
{
	show_save("xsave of all", xsave, 7);
	show_save("xsave of AVX", xsave, 4);
	show_save("xsave of x87 and SSE", xsave, 3);
	show_save("xsaveopt of all", xsaveopt, 7);
	show_restore("xrstor of all", 7, 7);
	show_restore("xrstor of AVX", 4, 7);
	show_restore("xrstor of SSE", 2, 7);
	show_restore("xrstor of all, AVX at its start", 7, 3);
	show_restore("xrstor of all, SSE at its start", 7, 5);
	show_restore("xrstor of AVX, at its start", 4, 0);
	show_bad("XSTATE_BV with a component that is not in XCR0", XSTATE_BV, 1ull << 40, 7);
	show_bad("the same, not asked for", XSTATE_BV, 1ull << 40, 4);
	show_bad("XCOMP_BV without its highest bit", XCOMP_BV, 4, 7);
	show_bad("a reserved byte of the header", XCOMP_BV + 8, 1, 7);
	show_bad("MXCSR with a reserved bit", MXCSR, 0x10000, 7);
	show_bad("MXCSR with a reserved bit, AVX only", MXCSR, 0x10000, 4);
	show_bad("MXCSR with a reserved bit, x87 only", MXCSR, 0x10000, 1);
	SHOW("xsave misaligned", "xsave64 16(%0)", "r"(area), "a"(7), "d"(0));
	SHOW("xrstor misaligned", "xrstor64 16(%0)", "r"(area), "a"(7), "d"(0));
	fill(area, 0, sizeof(area));
	xsave(7);
	AREA_64(XSTATE_BV) = 7;
	xcr0_set(3);
	SHOW("xrstor of what XCR0 no longer has", "xrstor64 (%0)", "r"(area), "a"(3), "d"(0));
	xcr0_set(7);
	cr0_set(cr0_get() | CR0_TS);
	SHOW("xsave under CR0.TS", "xsave64 (%0)", "r"(area), "a"(7), "d"(0));
	cr0_set(cr0_get() & ~CR0_TS);
	cr4_set(cr4_get() & ~CR4_OSXSAVE);
	SHOW("xsave without CR4.OSXSAVE", "xsave64 (%0)", "r"(area), "a"(7), "d"(0));
	cr4_set(cr4_get() | CR4_OSXSAVE);
}

void guest_main(void)
{
	if (!HAS_AVX)
		skip("no AVX");
	for (unsigned i = 0; i < 16; i++) /* floats a little above 1 */
		for (unsigned j = 0; j < 4; j++)
			seed[i][j] = 0x3f8000003f800000 + i * 0x0000010000000100 +
				j * 0x0000000200000001;
	avx_enable();
	gates();
	encodings();
	xcr0();
	halves();
	fault();
	saves();
}
