/* SPDX-License-Identifier: MIT */
/* SSE4.2's string comparisons and their VEX forms: APM volume 4, PCMPESTRI and its three relatives. */
#include "x86/fpu_avx.h"
#include "x86/fpu_stubs.h"
#include "x86/decode/handlers.h"

DEFINE_STUBS(pcmpestrm, "0x66, 0x0f, 0x3a, 0x60, 0xc1", 256)
DEFINE_STUBS(pcmpestri, "0x66, 0x0f, 0x3a, 0x61, 0xc1", 256)
DEFINE_STUBS(pcmpistrm, "0x66, 0x0f, 0x3a, 0x62, 0xc1", 256)
DEFINE_STUBS(pcmpistri, "0x66, 0x0f, 0x3a, 0x63, 0xc1", 256)

struct string_result {
	vec mask;  /* XMM0 */
	u32 index; /* ECX */
	u32 flags; /* packed_flags */
};

/*
 * Runs one stub with the strings in XMM0 and XMM1 and the lengths in EAX and EDX, which are theirs by definition.
 * An assembly function, since a call within inline assembly would use the caller's red zone.
 */
void string_run(struct string_result *result, vec a, vec b, u32 length_a, u32 length_b,
	const u8 *stub) __attribute__((visibility("hidden")));
__asm__(".pushsection .text.fpu_string, \"ax\", @progbits\n"
	".hidden string_run\n"
	".globl string_run\n"
	"string_run:\n"
	"	mov %rcx, %r8\n"
	"	mov %esi, %eax\n"
	"	call *%r8\n"
	"	movups %xmm0, (%rdi)\n"
	"	mov %ecx, 16(%rdi)\n"
	"	lahf\n"
	"	seto %al\n"
	"	mov %eax, 20(%rdi)\n"
	"	ret\n"
	".popsection\n");

/* Lengths beyond the vector are the same as its size, so REX.W's 64-bit ones fit in 32. */
static u32 explicit_length(const struct cpu *cpu, const struct insn *insn, unsigned location)
{
	i64 length = insn->operand_size == SIZE_64 ? (i64)reg_get_64(cpu, location)
						   : (i32)reg_get_32(cpu, location);

	return (u32)(i32)(length > 16 ? 16 : length < -16 ? -16 : length);
}

static void compare(struct cpu *cpu, const struct insn *insn, vec from, const u8 *stubs, bool index)
{
	struct string_result result;

	string_run(&result, *xmm(cpu, insn->reg), from, explicit_length(cpu, insn, RAX * 8),
		explicit_length(cpu, insn, RDX * 8), stubs + STUB_BYTES * (u8)insn->immediate);
	if (index)
		reg_set_32(cpu, RCX * 8, result.index);
	else
		*xmm(cpu, 0) = result.mask;
	cpu->arithmetic_flags = (packed_flags)result.flags;
}

#define DEFINE_STRING(name, index)                                                    \
	void execute_sse_##name##_r(struct cpu *cpu, const struct insn *insn)         \
	{                                                                             \
		sse_require(cpu);                                                     \
		compare(cpu, insn, *xmm(cpu, insn->rm), stubs_##name, index);         \
	}                                                                             \
	void execute_sse_##name##_m(struct cpu *cpu, const struct insn *insn)         \
	{                                                                             \
		sse_require(cpu);                                                     \
		compare(cpu, insn, memory_unaligned(cpu, insn), stubs_##name, index); \
	}

/* The VEX forms differ in that a mask in XMM0 clears YMM0's upper half. */
#define DEFINE_STRING_AVX(name, index)                                                \
	void execute_avx_##name##_r(struct cpu *cpu, const struct insn *insn)         \
	{                                                                             \
		avx_require(cpu);                                                     \
		compare(cpu, insn, *xmm(cpu, insn->rm), stubs_##name, index);         \
		if (!index)                                                           \
			*ymm_high(cpu, 0) = vec_of_64(0);                             \
	}                                                                             \
	void execute_avx_##name##_m(struct cpu *cpu, const struct insn *insn)         \
	{                                                                             \
		avx_require(cpu);                                                     \
		compare(cpu, insn, memory_unaligned(cpu, insn), stubs_##name, index); \
		if (!index)                                                           \
			*ymm_high(cpu, 0) = vec_of_64(0);                             \
	}

DEFINE_STRING_AVX(pcmpestrm, false)
DEFINE_STRING_AVX(pcmpestri, true)
DEFINE_STRING_AVX(pcmpistrm, false)
DEFINE_STRING_AVX(pcmpistri, true)

DEFINE_STRING(pcmpestrm, false)
DEFINE_STRING(pcmpestri, true)
DEFINE_STRING(pcmpistrm, false)
DEFINE_STRING(pcmpistri, true)
