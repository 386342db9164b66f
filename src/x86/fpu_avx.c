/* SPDX-License-Identifier: MIT */
/* What all VEX semantics go through: the calls of stubs, MXCSR, what is allowed when. SDM volume 1, chapter 14. */
#include "x86/fpu_avx.h"
#include "x86/decode/handlers.h"

_Static_assert(offsetof(struct avx_frame, general) == 96 &&
		offsetof(struct avx_frame, flags) == 104 &&
		offsetof(struct avx_frame, mxcsr) == 108,
	"the assembly below");

/* Two halves each: what was stored by halves is not forwarded to a load of the whole. */
#define LOAD_FRAME                                  \
	"	movq 96(%rdi), %rcx\n"                    \
	"	vmovups (%rdi), %xmm0\n"                  \
	"	vmovups 32(%rdi), %xmm1\n"                \
	"	vmovups 64(%rdi), %xmm2\n"                \
	"	vinsertf128 $1, 16(%rdi), %ymm0, %ymm0\n" \
	"	vinsertf128 $1, 48(%rdi), %ymm1, %ymm1\n" \
	"	vinsertf128 $1, 80(%rdi), %ymm2, %ymm2\n"
#define STORE_FRAME                           \
	"	vmovups %xmm0, (%rdi)\n"            \
	"	vextractf128 $1, %ymm0, 16(%rdi)\n" \
	"	lahf\n"                             \
	"	seto %al\n"                         \
	"	movq %rcx, 96(%rdi)\n"              \
	"	movl %eax, 104(%rdi)\n"             \
	"	vzeroupper\n"

__asm__(".pushsection .text.fpu_avx, \"ax\", @progbits\n"
	".globl avx_call, avx_call_mxcsr\n"
	".hidden avx_call, avx_call_mxcsr\n"
	"avx_call:\n" LOAD_FRAME "	call *%rsi\n" STORE_FRAME "	ret\n"
	"avx_call_mxcsr:\n" LOAD_FRAME "	ldmxcsr 108(%rdi)\n"
	"	call *%rsi\n"
	"	stmxcsr 108(%rdi)\n" STORE_FRAME "	ret\n"
	".popsection\n");

cold void avx_raise_unavailable(struct cpu *cpu)
{
	u64 components = XCR0_SSE | XCR0_AVX;

	if (!(cpu->cr4 & CR4_OSXSAVE) || (cpu->xcr0 & components) != components || cpu_is_8086(cpu))
		raise_ud(cpu);
	raise_exception(cpu, EXCEPTION_NM);
}

void avx_plain(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame, const u8 *stub)
{
	frame->a = ymm_get(cpu, insn->vvvv);
	avx_call(frame, stub);
	ymm_set(cpu, insn->reg, frame->to);
}

/* MXCSR is not the usual: the high half's tiny results count as the low one's do. */
static no_inline void finish(struct cpu *cpu, struct avx_frame *frame, enum sse_result kind)
{
	vec value = frame->to.low;

	if ((kind == RESULT_PS || kind == RESULT_PD) && sse_result_is_tiny(frame->to.high, kind))
		value = frame->to.high;
	sse_finish(cpu, frame->mxcsr & 0x3f, value, kind);
}

void avx_run_mxcsr(struct cpu *cpu, struct avx_frame *frame, const u8 *stub, enum sse_result kind)
{
	u32 guest = fpu_get_32(&cpu->fpu, FPU_MXCSR), own;

	frame->mxcsr = *sse_begin(cpu, &own);
	avx_call_mxcsr(frame, stub);
	if (!mxcsr_is_usual(guest))
		finish(cpu, frame, kind);
	else if (unlikely(frame->mxcsr != guest))
		fpu_set_32(&cpu->fpu, FPU_MXCSR, frame->mxcsr);
}

void avx_arithmetic(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame,
	const u8 *stub, enum sse_result kind)
{
	frame->a = ymm_get(cpu, insn->vvvv);
	avx_run_mxcsr(cpu, frame, stub, kind);
	ymm_set(cpu, insn->reg, frame->to);
}
