/* SPDX-License-Identifier: MIT */
/*
 * Floating point and SIMD: what user mode on the real processor cannot show (tests/differential has the rest). Tiny
 * instruction sequences run on a processor without paging, whose RAM is one array.
 */
#include "tests/unit/unit.h"
#include "base/memory.h"
#include "x86/decode/decode.h"
#include "x86/environment.h"
#include "x86/flags.h"
#include "x86/fpu.h"
#include "x86/model.h"
#include "x86/paging.h"
#include "x86/raise.h"

#define RAM_BYTES 0x10000
#define AREA 0x4000 /* where RDI points */
#define NON_CANONICAL BIT(63)

static u8 ram[RAM_BYTES] __attribute__((aligned(4096)));
static struct cpu cpu;
static unsigned fpu_errors;

static u8 *ram_page(struct cpu *c, u64 physical, enum page_use use, bool *watched)
{
	*watched = false;
	return physical < RAM_BYTES ? ram + physical : NULL;
}

static u64 physical_read(struct cpu *c, u64 physical, unsigned bytes)
{
	return ~(u64)0;
}

static void physical_write(struct cpu *c, u64 physical, unsigned bytes, u64 value) {}

static void fpu_error(struct cpu *c)
{
	fpu_errors++;
}

static const struct environment environment = {
	.ram_page = ram_page,
	.physical_read = physical_read,
	.physical_write = physical_write,
	.fpu_error = fpu_error,
};

static int start(void **state)
{
	memset(&cpu, 0, sizeof(cpu));
	memset(ram, 0, sizeof(ram));
	cpu.model = cpu_model_find("x86-64-v2");
	cpu.environment = &environment;
	cpu_reset(&cpu, true);
	cpu.physical_mask = bits_mask(40);
	cpu.cr0 = CR0_PE | CR0_NE | CR0_ET;
	cpu.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	cpu.xcr0 = XCR0_X87 | XCR0_SSE;
	cpu.efer = EFER_LME | EFER_LMA;
	cpu.code_size = SIZE_64;
	cpu.stack_size = SIZE_64;
	cpu.regs[RDI] = AREA;
	cpu.regs[RAX] = 3;
	fpu_reset(&cpu.fpu);
	fpu_errors = 0;
	return 0;
}

/* One instruction: the vector that it raises, or -1. */
static int run(const u8 *bytes, unsigned count)
{
	struct insn insn;

	assert_int_equal(
		decode(bytes, count, cpu.code_size, cpu.model->features, &insn), DECODE_OK);
	assert_int_equal(insn.length, count);
	cpu.insn = &insn;
	if (__builtin_setjmp(cpu.unwind))
		return cpu.fault.vector;
	cpu.regs[RIP] = 0x1000 + insn.length;
	insn.execute(&cpu, &insn);
	return -1;
}

#define RUN(...) run((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))
#define FNINIT 0xdb, 0xe3
#define FNCLEX 0xdb, 0xe2
#define FWAIT 0x9b
#define FLD1 0xd9, 0xe8
#define FLDZ 0xd9, 0xee
#define FLDPI 0xd9, 0xeb
#define FDIVRP 0xde, 0xf1 /* ST(1) = ST / ST(1), pop */
#define FNSTSW_AX 0xdf, 0xe0

static u16 word_at(unsigned offset)
{
	u16 value;
	memcpy(&value, ram + AREA + offset, 2);
	return value;
}

static u64 quad_at(unsigned offset)
{
	u64 value;
	memcpy(&value, ram + AREA + offset, 8);
	return value;
}

static void set_quad(unsigned offset, u64 value)
{
	memcpy(ram + AREA + offset, &value, 8);
}

static void unavailable_units_raise_ud_or_nm(void **state)
{
	cpu.cr0 |= CR0_TS;
	assert_int_equal(RUN(0x66, 0x0f, 0xef, 0xc0), EXCEPTION_NM); /* pxor xmm0, xmm0 */
	assert_int_equal(RUN(0x0f, 0xef, 0xc0), EXCEPTION_NM);
	assert_int_equal(RUN(FLD1), EXCEPTION_NM);
	assert_int_equal(RUN(FWAIT), -1);
	cpu.cr0 |= CR0_MP;
	assert_int_equal(RUN(FWAIT), EXCEPTION_NM);
	cpu.cr0 = (cpu.cr0 & ~CR0_TS) | CR0_EM;
	assert_int_equal(RUN(0x66, 0x0f, 0xef, 0xc0), EXCEPTION_UD);
	assert_int_equal(RUN(0x0f, 0xef, 0xc0), EXCEPTION_UD);
	assert_int_equal(RUN(FLD1), EXCEPTION_NM);
	cpu.cr0 &= ~CR0_EM;
	cpu.cr4 &= ~CR4_OSFXSR;
	assert_int_equal(RUN(0x66, 0x0f, 0xef, 0xc0), EXCEPTION_UD);
	assert_int_equal(RUN(FNINIT), -1);
}

static void misaligned_operands_raise_gp_except_where_allowed(void **state)
{
	cpu.regs[RDI] = AREA + 1;
	assert_int_equal(RUN(0x0f, 0x28, 0x07), EXCEPTION_GP);	     /* movaps */
	assert_int_equal(RUN(0x66, 0x0f, 0xfc, 0x07), EXCEPTION_GP); /* paddb */
	assert_int_equal(RUN(0x0f, 0x10, 0x07), -1);		     /* movups */
	assert_int_equal(RUN(0x66, 0x0f, 0x3a, 0x63, 0x07, 0), -1);  /* pcmpistri */
	assert_int_equal(RUN(0xf2, 0x0f, 0x58, 0x07), -1);	     /* addsd */
}

static void unmasked_simd_exceptions_write_flags_but_no_result(void **state)
{
	u32 mxcsr = FPU_MXCSR_DEFAULT & ~(u32)0x200; /* zero divide unmasked */
	u64 one = 0x3ff0000000000000;

	fpu_set_32(&cpu.fpu, FPU_MXCSR, mxcsr);
	fpu_set_64(&cpu.fpu, FPU_XMM, one);
	assert_int_equal(RUN(0xf2, 0x0f, 0x5e, 0xc1), EXCEPTION_XM); /* divsd xmm0, xmm1 */
	assert_int_equal(fpu_get_32(&cpu.fpu, FPU_MXCSR), mxcsr | 4);
	assert_int_equal(fpu_get_64(&cpu.fpu, FPU_XMM), one);
	cpu.cr4 &= ~CR4_OSXMMEXCPT;
	assert_int_equal(RUN(0xf2, 0x0f, 0x5e, 0xc1), EXCEPTION_UD);
}

static void an_unmasked_x87_exception_waits_for_the_next_instruction(void **state)
{
	RUN(FNINIT);
	fpu_set_16(&cpu.fpu, FPU_FCW, FPU_FCW_DEFAULT & ~4);
	RUN(FLDZ);
	RUN(FLD1);
	assert_int_equal(RUN(FDIVRP), -1);
	assert_int_equal(fpu_top(&cpu.fpu), 6); /* not popped */
	assert_int_equal(RUN(FNSTSW_AX), -1);
	assert_int_equal(cpu.regs[RAX] & 0x80ff, 0x8084);
	assert_int_equal(RUN(FWAIT), EXCEPTION_MF);
	assert_int_equal(RUN(FLD1), EXCEPTION_MF);
	assert_int_equal(RUN(0x0f, 0xef, 0xc0), EXCEPTION_MF); /* pxor mm0, mm0 */
	assert_int_equal(RUN(FNCLEX), -1);
	assert_int_equal(RUN(FLD1), -1);
}

static void without_ne_the_machine_is_told_and_execution_goes_on(void **state)
{
	cpu.cr0 &= ~CR0_NE;
	RUN(FNINIT);
	fpu_set_16(&cpu.fpu, FPU_FCW, FPU_FCW_DEFAULT & ~4);
	RUN(FLDZ);
	RUN(FLD1);
	RUN(FDIVRP);
	assert_int_equal(RUN(FLD1), -1);
	assert_int_equal(fpu_errors, 1);
	assert_int_equal(fpu_top(&cpu.fpu), 5);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW) & 0x8084, 0x8084);
}

static void a_faulting_store_neither_pops_nor_sets_flags(void **state)
{
	RUN(FNINIT);
	RUN(FLDPI);
	cpu.regs[RDI] = NON_CANONICAL;
	assert_int_equal(RUN(0xd9, 0x1f), EXCEPTION_GP); /* fstp m32 */
	assert_int_equal(RUN(0xdb, 0x3f), EXCEPTION_GP); /* fstp m80 */
	assert_int_equal(fpu_top(&cpu.fpu), 7);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW) & 0x3f, 0);
}

/* The host's own sticky exceptions stay from one instruction to the next. */
static void what_fnclex_has_cleared_does_not_come_back(void **state)
{
	RUN(FNINIT);
	RUN(FLDPI);
	RUN(FLDPI);
	RUN(0xd8, 0xc9); /* fmul st, st(1): inexact */
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW) & 0x3f, 0x20);
	RUN(FLDZ);
	RUN(0xdc, 0xf9); /* fdiv st(1), st: by zero */
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW) & 0x3f, 0x24);
	RUN(FNCLEX);
	RUN(FLD1);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW) & 0x3f, 0);
	RUN(0xd9, 0x1f); /* fstp m32: exact */
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW) & 0x3f, 0);
	RUN(FLDPI);
	cpu.regs[RDI] = NON_CANONICAL;
	RUN(0xd9, 0x1f); /* inexact, but it faults */
	RUN(FLD1);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW) & 0x3f, 0);
}

/* Every way in which TOP moves keeps the values where they were. */
static void the_stack_rotates_whole(void **state)
{
	RUN(FNINIT);
	for (unsigned i = 1; i <= 8; i++) {
		const u16 number = (u16)i;
		memcpy(ram + AREA, &number, 2);
		RUN(0xdf, 0x07); /* fild m16 */
	}
	RUN(0xd9, 0xf7); /* fincstp */
	RUN(0xd9, 0xf7);
	RUN(0xd9, 0xf6); /* fdecstp */
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(RUN(0xdf, 0x1f), -1); /* fistp m16 */
		assert_int_equal(word_at(0), (7 - i) & 7 ? (7 - i) & 7 : 8);
	}
	assert_int_equal(cpu.fpu.image[FPU_FTW], 0);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW) & 0x3f, 0);
}

static void an_unmasked_invalid_store_leaves_memory_and_stack(void **state)
{
	RUN(FNINIT);
	fpu_set_16(&cpu.fpu, FPU_FCW, FPU_FCW_DEFAULT & ~1);
	set_quad(0, 0x7ff0000000000000); /* infinity */
	RUN(0xdd, 0x07);		 /* fld m64 */
	set_quad(0, 0x1122334455667788);
	assert_int_equal(RUN(0xdb, 0x1f), -1); /* fistp m32 */
	assert_int_equal(quad_at(0), 0x1122334455667788);
	assert_int_equal(fpu_top(&cpu.fpu), 7);
	assert_int_equal(RUN(FWAIT), EXCEPTION_MF);
}

static void environments_have_their_form_in_every_mode(void **state)
{
	RUN(FNINIT);
	RUN(FLDPI);
	assert_int_equal(RUN(0xd9, 0x37), -1); /* fnstenv, 32 bits, protected */
	assert_int_equal(quad_at(0), 0xffff3800ffff037f);
	assert_int_equal(quad_at(8), 0x00001000ffff3fff);
	assert_int_equal(quad_at(16) & 0xffffffff, 0x1eb << 16); /* FOP; FCS 0 */
	assert_int_equal(RUN(0x66, 0xd9, 0x37), -1);		 /* 16 bits */
	assert_int_equal(quad_at(0), 0x10003fff3800037f);
	cpu.cr0 &= ~CR0_PE;
	fpu_set_64(&cpu.fpu, FPU_FIP, 0x54321);
	assert_int_equal(RUN(0x66, 0xd9, 0x37), -1); /* 16 bits, real mode */
	assert_int_equal(word_at(6), 0x4321);
	assert_int_equal(word_at(8), 0x51eb);
	fpu_set_64(&cpu.fpu, FPU_FIP, 0);
	assert_int_equal(RUN(0x66, 0xd9, 0x27), -1); /* fldenv */
	assert_int_equal(fpu_get_64(&cpu.fpu, FPU_FIP), 0x54321);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FOP), 0x1eb);
}

static void fnsave_initializes_and_frstor_brings_back(void **state)
{
	struct fpu before;

	RUN(FNINIT);
	RUN(FLDPI);
	RUN(FLDZ);
	before = cpu.fpu;
	assert_int_equal(RUN(0xdd, 0x37), -1);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FTW), 0);
	assert_int_equal(fpu_top(&cpu.fpu), 0);
	assert_int_equal(RUN(0xdd, 0x27), -1);
	assert_memory_equal(before.image, cpu.fpu.image, FPU_XMM);
}

static void changing_top_leaves_registers_in_place(void **state)
{
	RUN(FNINIT);
	RUN(FLDPI);	 /* R7 */
	RUN(0xd9, 0xf7); /* fincstp: R7 is ST(7) now */
	assert_int_equal(fpu_get_64(&cpu.fpu, FPU_ST + 7 * 16), 0xc90fdaa22168c235);
	RUN(FNINIT); /* TOP 0: still ST(7) */
	RUN(FLD1);
	RUN(FNINIT);
	assert_int_equal(fpu_get_64(&cpu.fpu, FPU_ST + 7 * 16), BIT(63));
}

static void mmx_makes_top_zero_and_all_tags_valid(void **state)
{
	RUN(FNINIT);
	RUN(FLDPI);
	assert_int_equal(RUN(0x0f, 0xef, 0xff), -1); /* pxor mm7, mm7 */
	assert_int_equal(fpu_top(&cpu.fpu), 0);
	assert_int_equal(cpu.fpu.image[FPU_FTW], 0xff);
	assert_int_equal(fpu_get_64(&cpu.fpu, FPU_ST + 7 * 16), 0);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_ST + 7 * 16 + 8), 0xffff);
	assert_int_equal(RUN(0x0f, 0x77), -1); /* emms */
	assert_int_equal(cpu.fpu.image[FPU_FTW], 0);
}

static void a_faulting_mmx_operand_leaves_the_x87_state(void **state)
{
	RUN(FNINIT);
	RUN(FLDPI);
	cpu.regs[RDI] = NON_CANONICAL;
	assert_int_equal(RUN(0x0f, 0xef, 0x07), EXCEPTION_GP); /* pxor mm0, [rdi] */
	assert_int_equal(RUN(0x0f, 0x7f, 0x07), EXCEPTION_GP); /* movq [rdi], mm0 */
	assert_int_equal(fpu_top(&cpu.fpu), 7);
}

static void ldmxcsr_and_fxrstor_refuse_reserved_bits(void **state)
{
	struct fpu before = cpu.fpu;

	set_quad(0, 0x10000);
	assert_int_equal(RUN(0x0f, 0xae, 0x17), EXCEPTION_GP); /* ldmxcsr */
	set_quad(FPU_MXCSR, 0x10000);
	memset(ram + AREA + FPU_ST, 0x55, 128);
	assert_int_equal(RUN(0x0f, 0xae, 0x0f), EXCEPTION_GP); /* fxrstor */
	assert_memory_equal(&before, &cpu.fpu, sizeof(before));
}

static void fxsave_writes_what_the_mode_can_name(void **state)
{
	memset(ram + AREA, 0xaa, 512);
	memset(cpu.fpu.image + FPU_XMM, 0x11, 256);
	fpu_set_64(&cpu.fpu, FPU_FIP, 0x123456789abcdef0);
	assert_int_equal(RUN(0x0f, 0xae, 0x07), -1);
	assert_int_equal(quad_at(FPU_FIP), 0x9abcdef0);
	assert_int_equal(quad_at(FPU_MXCSR), 0x0000ffff00001f80);
	assert_int_equal(quad_at(FPU_XMM_END - 8), 0x1111111111111111);
	assert_int_equal(quad_at(FPU_XMM_END), 0xaaaaaaaaaaaaaaaa);
	assert_int_equal(RUN(0x48, 0x0f, 0xae, 0x07), -1); /* fxsave64 */
	assert_int_equal(quad_at(FPU_FIP), 0x123456789abcdef0);
	cpu.regs[RDI] = AREA + 8;
	assert_int_equal(RUN(0x0f, 0xae, 0x07), EXCEPTION_GP);
}

static void fast_fxsave_leaves_xmm_out_in_the_kernel_only(void **state)
{
	memset(ram + AREA, 0xaa, 512);
	cpu.efer |= EFER_FFXSR;
	assert_int_equal(RUN(0x0f, 0xae, 0x07), -1);
	assert_int_equal(quad_at(FPU_XMM), 0xaaaaaaaaaaaaaaaa);
	cpu.cpl = 3;
	assert_int_equal(RUN(0x0f, 0xae, 0x07), -1);
	assert_int_equal(quad_at(FPU_XMM), 0);
}

static void a_loaded_image_with_pending_exceptions_raises_mf_next(void **state)
{
	RUN(FNINIT);
	assert_int_equal(RUN(0x0f, 0xae, 0x07), -1);
	ram[AREA + FPU_FCW] = 0x40; /* all unmasked */
	ram[AREA + FPU_FSW] = 0x01;
	assert_int_equal(RUN(0x0f, 0xae, 0x0f), -1);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW), 0x8081);
	assert_int_equal(RUN(FLD1), EXCEPTION_MF);
}

static void xsave_tells_what_is_in_use_and_xrstor_initializes_the_rest(void **state)
{
	RUN(FNINIT);
	for (unsigned i = 0; i < 8; i++)
		memset(cpu.fpu.image + FPU_ST + 16 * i, 0, 16);
	cpu.fpu.image[FPU_XMM] = 1;
	set_quad(FPU_XSAVE_HEADER, 0xff00);
	assert_int_equal(RUN(0x0f, 0xae, 0x27), -1); /* xsave */
	assert_int_equal(quad_at(FPU_XSAVE_HEADER), 0xff02);
	set_quad(FPU_XSAVE_HEADER, 0);
	set_quad(0, 0x7777777777777777);
	assert_int_equal(RUN(0x0f, 0xae, 0x37), -1); /* xsaveopt: x87 is left out */
	assert_int_equal(quad_at(0), 0x7777777777777777);
	assert_int_equal(quad_at(FPU_XMM), 1);
	RUN(FLDPI);
	cpu.fpu.image[FPU_XMM] = 2;
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), -1); /* xrstor */
	assert_int_equal(cpu.fpu.image[FPU_XMM], 1);
	assert_int_equal(cpu.fpu.image[FPU_FTW], 0);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FCW), FPU_FCW_DEFAULT);
	cpu.cr4 &= ~CR4_OSXSAVE;
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), EXCEPTION_UD);
}

static void xrstor_refuses_bad_headers(void **state)
{
	set_quad(FPU_XSAVE_HEADER, 4); /* AVX is not enabled */
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), EXCEPTION_GP);
	set_quad(FPU_XSAVE_HEADER, 3);
	set_quad(FPU_XSAVE_HEADER + 16, 1);
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), EXCEPTION_GP);
	set_quad(FPU_XSAVE_HEADER + 16, 0);
	set_quad(FPU_XSAVE_HEADER + 8, 1); /* XCOMP_BV without its top bit */
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), EXCEPTION_GP);
	set_quad(FPU_XSAVE_HEADER + 8, 0);
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), -1);
	cpu.regs[RDI] = AREA + 16;
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), EXCEPTION_GP);
}

static void masked_stores_write_marked_bytes_only(void **state)
{
	memset(cpu.fpu.image + FPU_XMM, 0x11, 16);
	cpu.fpu.image[FPU_XMM + 16 + 3] = 0x80;
	assert_int_equal(RUN(0x66, 0x0f, 0xf7, 0xc1), -1); /* maskmovdqu xmm0, xmm1 */
	assert_int_equal(quad_at(0), 0x11000000);
	cpu.regs[RDI] = NON_CANONICAL;
	assert_int_equal(RUN(0x66, 0x0f, 0xf7, 0xc1), EXCEPTION_GP);
}

static void xcr0_always_has_x87(void **state)
{
	assert_true(fpu_xcr0_is_valid(&cpu, 1));
	assert_true(fpu_xcr0_is_valid(&cpu, 3));
	assert_false(fpu_xcr0_is_valid(&cpu, 2));
	assert_false(fpu_xcr0_is_valid(&cpu, 7));
}

static void xcr0_has_avx_in_v3_and_only_with_sse(void **state)
{
	cpu.model = cpu_model_find("x86-64-v3");
	assert_true(fpu_xcr0_is_valid(&cpu, 7));
	assert_true(fpu_xcr0_is_valid(&cpu, 3));
	assert_false(fpu_xcr0_is_valid(&cpu, 5));
	assert_false(fpu_xcr0_is_valid(&cpu, 15));
}

/* With AVX on, or skips the test where the host has none. */
static void start_v3(void)
{
	cpu.model = cpu_model_find("x86-64-v3");
	cpu.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
	if (!cpu_model_runs_on(cpu.model, cpu_host_features(), NULL))
		skip();
	memset(cpu.fpu.ymm_high, 0x55, sizeof(cpu.fpu.ymm_high));
}

#define VADDPS_XMM0 0xc5, 0xf0, 0x58, 0xc2 /* xmm0 = xmm1 + xmm2 */

static void avx_needs_osxsave_xcr0_and_protected_mode(void **state)
{
	start_v3();
	assert_int_equal(RUN(VADDPS_XMM0), -1);
	cpu.cr0 |= CR0_EM; /* which means nothing here */
	assert_int_equal(RUN(VADDPS_XMM0), -1);
	cpu.cr0 |= CR0_TS;
	assert_int_equal(RUN(VADDPS_XMM0), EXCEPTION_NM);
	cpu.cr4 &= ~CR4_OSXSAVE;
	assert_int_equal(RUN(VADDPS_XMM0), EXCEPTION_UD);
	cpu.cr4 |= CR4_OSXSAVE;
	cpu.cr0 &= ~CR0_TS;
	cpu.xcr0 = XCR0_X87 | XCR0_SSE;
	assert_int_equal(RUN(VADDPS_XMM0), EXCEPTION_UD);
	cpu.xcr0 |= XCR0_AVX;
	cpu.cr0 &= ~CR0_PE;
	assert_int_equal(RUN(VADDPS_XMM0), EXCEPTION_UD);
	assert_int_equal(RUN(0xc4, 0xe2, 0x70, 0xf2, 0xc2), EXCEPTION_UD); /* andn */
}

static void vex_clears_upper_halves_and_sse_keeps_them(void **state)
{
	start_v3();
	assert_int_equal(RUN(0x0f, 0x58, 0xc2), -1); /* addps xmm0, xmm2 */
	assert_int_equal(cpu.fpu.ymm_high[0][0], 0x55);
	assert_int_equal(RUN(VADDPS_XMM0), -1);
	assert_int_equal(cpu.fpu.ymm_high[0][0], 0);
	assert_int_equal(cpu.fpu.ymm_high[1][0], 0x55);
	assert_int_equal(RUN(0xc5, 0xf8, 0x77), -1); /* vzeroupper */
	assert_int_equal(cpu.fpu.ymm_high[15][15], 0);
}

static void xsave_has_the_upper_halves_behind_the_header(void **state)
{
	u32 result[4];

	start_v3();
	cpuid_read(&cpu, 0xd, 0, result);
	assert_int_equal(result[0], 7);
	assert_int_equal(result[1], 832);
	cpuid_read(&cpu, 0xd, 2, result);
	assert_int_equal(result[0], 256);
	assert_int_equal(result[1], 576);
	cpu.regs[RAX] = 7;
	assert_int_equal(RUN(0x0f, 0xae, 0x27), -1); /* xsave */
	assert_int_equal(quad_at(512) & XCR0_AVX, XCR0_AVX);
	assert_int_equal(quad_at(576), 0x5555555555555555);
	assert_int_equal(quad_at(824), 0x5555555555555555);
	set_quad(824, 1);
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), -1); /* xrstor */
	assert_int_equal(cpu.fpu.ymm_high[15][8], 1);
	set_quad(512, 3);
	assert_int_equal(RUN(0x0f, 0xae, 0x2f), -1); /* the component's initial state */
	assert_int_equal(cpu.fpu.ymm_high[0][0], 0);
	assert_int_equal(RUN(0x0f, 0xae, 0x27), -1);
	assert_int_equal(quad_at(512) & XCR0_AVX, 0);
}

static void masked_elements_do_not_fault(void **state)
{
	start_v3();
	memset(cpu.fpu.image + FPU_XMM + 16, 0, 16);
	cpu.regs[RDI] = NON_CANONICAL;
	assert_int_equal(RUN(0xc4, 0xe2, 0x71, 0x2c, 0x07), -1); /* vmaskmovps xmm0, xmm1, [rdi] */
	assert_int_equal(RUN(0xc4, 0xe2, 0x71, 0x2e, 0x07), -1); /* and stored */
	cpu.fpu.image[FPU_XMM + 16 + 7] = 0x80;
	assert_int_equal(RUN(0xc4, 0xe2, 0x71, 0x2c, 0x07), EXCEPTION_GP);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unavailable_units_raise_ud_or_nm),
		TEST(misaligned_operands_raise_gp_except_where_allowed),
		TEST(unmasked_simd_exceptions_write_flags_but_no_result),
		TEST(an_unmasked_x87_exception_waits_for_the_next_instruction),
		TEST(without_ne_the_machine_is_told_and_execution_goes_on),
		TEST(a_faulting_store_neither_pops_nor_sets_flags),
		TEST(what_fnclex_has_cleared_does_not_come_back),
		TEST(the_stack_rotates_whole),
		TEST(an_unmasked_invalid_store_leaves_memory_and_stack),
		TEST(environments_have_their_form_in_every_mode),
		TEST(fnsave_initializes_and_frstor_brings_back),
		TEST(changing_top_leaves_registers_in_place),
		TEST(mmx_makes_top_zero_and_all_tags_valid),
		TEST(a_faulting_mmx_operand_leaves_the_x87_state),
		TEST(ldmxcsr_and_fxrstor_refuse_reserved_bits),
		TEST(fxsave_writes_what_the_mode_can_name),
		TEST(fast_fxsave_leaves_xmm_out_in_the_kernel_only),
		TEST(a_loaded_image_with_pending_exceptions_raises_mf_next),
		TEST(xsave_tells_what_is_in_use_and_xrstor_initializes_the_rest),
		TEST(xrstor_refuses_bad_headers),
		TEST(masked_stores_write_marked_bytes_only),
		TEST(xcr0_always_has_x87),
		TEST(xcr0_has_avx_in_v3_and_only_with_sse),
		TEST(avx_needs_osxsave_xcr0_and_protected_mode),
		TEST(vex_clears_upper_halves_and_sse_keeps_them),
		TEST(xsave_has_the_upper_halves_behind_the_header),
		TEST(masked_elements_do_not_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
