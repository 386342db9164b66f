/* SPDX-License-Identifier: MIT */
/* VEX instructions with an immediate: a stub of eight bytes for each of its values; inserts and extracts in C. */
#include "x86/fpu_avx.h"
#include "x86/fpu_stubs.h"
#include "x86/decode/handlers.h"

/*
 * encoding: as x86/fpu_stubs.h's, with the registers of x86/fpu_avx.h: 0xc2 is the ModRM byte of YMM0 and YMM2. In
 * VEX's last byte vvvv is YMM1: 0x70 with pp and L (4), or 0x78 where there is no such operand.
 */
#define AVX_IMMEDIATE(name, bytes, encoding, count, shape, ...) \
	DEFINE_STUBS(name, encoding, count)                     \
	DEFINE_AVX_HANDLERS(name, bytes, shape,                 \
		stubs_##name + STUB_BYTES * (insn->immediate & (count - 1)), ##__VA_ARGS__)

AVX_IMMEDIATE(vcmpps_128, 16, "0xc4, 0xe1, 0x70, 0xc2, 0xc2", 32, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vcmpps_256, 32, "0xc4, 0xe1, 0x74, 0xc2, 0xc2", 32, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vcmppd_128, 16, "0xc4, 0xe1, 0x71, 0xc2, 0xc2", 32, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vcmppd_256, 32, "0xc4, 0xe1, 0x75, 0xc2, 0xc2", 32, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vcmpss, 4, "0xc4, 0xe1, 0x72, 0xc2, 0xc2", 32, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vcmpsd, 8, "0xc4, 0xe1, 0x73, 0xc2, 0xc2", 32, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vroundps_128, 16, "0xc4, 0xe3, 0x79, 0x08, 0xc2", 16, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vroundps_256, 32, "0xc4, 0xe3, 0x7d, 0x08, 0xc2", 16, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vroundpd_128, 16, "0xc4, 0xe3, 0x79, 0x09, 0xc2", 16, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vroundpd_256, 32, "0xc4, 0xe3, 0x7d, 0x09, 0xc2", 16, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vroundss, 4, "0xc4, 0xe3, 0x71, 0x0a, 0xc2", 16, avx_arithmetic, RESULT_OTHER)
AVX_IMMEDIATE(vroundsd, 8, "0xc4, 0xe3, 0x71, 0x0b, 0xc2", 16, avx_arithmetic, RESULT_OTHER)

AVX_IMMEDIATE(vpshufd_128, 16, "0xc4, 0xe1, 0x79, 0x70, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpshufd_256, 32, "0xc4, 0xe1, 0x7d, 0x70, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpshufhw_128, 16, "0xc4, 0xe1, 0x7a, 0x70, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpshufhw_256, 32, "0xc4, 0xe1, 0x7e, 0x70, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpshuflw_128, 16, "0xc4, 0xe1, 0x7b, 0x70, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpshuflw_256, 32, "0xc4, 0xe1, 0x7f, 0x70, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vshufps_128, 16, "0xc4, 0xe1, 0x70, 0xc6, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vshufps_256, 32, "0xc4, 0xe1, 0x74, 0xc6, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vshufpd_128, 16, "0xc4, 0xe1, 0x71, 0xc6, 0xc2", 16, avx_plain)
AVX_IMMEDIATE(vshufpd_256, 32, "0xc4, 0xe1, 0x75, 0xc6, 0xc2", 16, avx_plain)
AVX_IMMEDIATE(vpermilps_imm_128, 16, "0xc4, 0xe3, 0x79, 0x04, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpermilps_imm_256, 32, "0xc4, 0xe3, 0x7d, 0x04, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpermilpd_imm_128, 16, "0xc4, 0xe3, 0x79, 0x05, 0xc2", 16, avx_plain)
AVX_IMMEDIATE(vpermilpd_imm_256, 32, "0xc4, 0xe3, 0x7d, 0x05, 0xc2", 16, avx_plain)
AVX_IMMEDIATE(vblendps_128, 16, "0xc4, 0xe3, 0x71, 0x0c, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vblendps_256, 32, "0xc4, 0xe3, 0x75, 0x0c, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vblendpd_128, 16, "0xc4, 0xe3, 0x71, 0x0d, 0xc2", 16, avx_plain)
AVX_IMMEDIATE(vblendpd_256, 32, "0xc4, 0xe3, 0x75, 0x0d, 0xc2", 16, avx_plain)
AVX_IMMEDIATE(vpblendw_128, 16, "0xc4, 0xe3, 0x71, 0x0e, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpblendw_256, 32, "0xc4, 0xe3, 0x75, 0x0e, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpblendd_128, 16, "0xc4, 0xe3, 0x71, 0x02, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vpblendd_256, 32, "0xc4, 0xe3, 0x75, 0x02, 0xc2", 256, avx_plain)
AVX_IMMEDIATE(vmpsadbw_128, 16, "0xc4, 0xe3, 0x71, 0x42, 0xc2", 64, avx_plain)
AVX_IMMEDIATE(vmpsadbw_256, 32, "0xc4, 0xe3, 0x75, 0x42, 0xc2", 64, avx_plain)
AVX_IMMEDIATE(vpclmulqdq_128, 16, "0xc4, 0xe3, 0x71, 0x44, 0xc2", 32, avx_plain)
AVX_IMMEDIATE(vpermq_256, 32, "0xc4, 0xe3, 0xfd, 0x00, 0xc2", 256, avx_plain)

/* From 32 on the result is 0, as it is for 32. */
DEFINE_STUBS(vpalignr_128, "0xc4, 0xe3, 0x71, 0x0f, 0xc2", 33)
DEFINE_AVX_HANDLERS(
	vpalignr_128, 16, avx_plain, stubs_vpalignr_128 + STUB_BYTES * MIN((u8)insn->immediate, 32))
DEFINE_STUBS(vpalignr_256, "0xc4, 0xe3, 0x75, 0x0f, 0xc2", 33)
DEFINE_AVX_HANDLERS(
	vpalignr_256, 32, avx_plain, stubs_vpalignr_256 + STUB_BYTES * MIN((u8)insn->immediate, 32))

/*
 * Dot products multiply and add in steps, and an unmasked exception of one keeps the next from happening: where MXCSR
 * isn't the usual, the steps run first, for what they raise, as in fpu_immediate.c.
 */
DEFINE_STUBS(vdpps_128, "0xc4, 0xe3, 0x71, 0x40, 0xc2", 256)
DEFINE_STUBS(vdpps_256, "0xc4, 0xe3, 0x75, 0x40, 0xc2", 256)
DEFINE_STUBS(vdppd_128, "0xc4, 0xe3, 0x71, 0x41, 0xc2", 256)
DEFINE_AVX_STUB(dot_multiply_ps, "vmulps %ymm2, %ymm1, %ymm0")
DEFINE_AVX_STUB(dot_multiply_pd, "vmulpd %ymm2, %ymm1, %ymm0")
DEFINE_AVX_STUB(dot_add_ps, "vhaddps %ymm0, %ymm0, %ymm0")
DEFINE_AVX_STUB(dot_add_pd, "vhaddpd %ymm0, %ymm0, %ymm0")

static u64 chosen_singles(u64 bits)
{
	return (bits & 1 ? 0xffffffff : 0) | (bits & 2 ? 0xffffffff00000000 : 0);
}

/* `chosen`: the elements that are multiplied. wide: both lanes. */
static void dot_steps(struct cpu *cpu, const struct insn *insn, const struct avx_frame *frame,
	vec chosen, bool wide, bool is_double)
{
	struct avx_frame steps = *frame;

	if (mxcsr_is_usual(fpu_get_32(&cpu->fpu, FPU_MXCSR)))
		return;
	steps.a = ymm_get(cpu, insn->vvvv);
	steps.a.low &= chosen;
	steps.b.low &= chosen;
	steps.a.high &= wide ? chosen : vec_of_64(0);
	steps.b.high &= wide ? chosen : vec_of_64(0);
	avx_run_mxcsr(cpu, &steps, is_double ? avx_stub_dot_multiply_pd : avx_stub_dot_multiply_ps,
		is_double ? RESULT_PD : RESULT_PS);
	avx_run_mxcsr(cpu, &steps, is_double ? avx_stub_dot_add_pd : avx_stub_dot_add_ps,
		is_double ? RESULT_PD : RESULT_PS);
	if (!is_double)
		avx_run_mxcsr(cpu, &steps, avx_stub_dot_add_ps, RESULT_PS);
}

static void dot_ps(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame,
	const u8 *stubs, bool wide)
{
	u64 bits = insn->immediate >> 4;
	vec chosen = {chosen_singles(bits), chosen_singles(bits >> 2)};

	dot_steps(cpu, insn, frame, chosen, wide, false);
	avx_arithmetic(cpu, insn, frame, stubs + STUB_BYTES * (u8)insn->immediate, RESULT_OTHER);
}

static void dot_pd(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame)
{
	vec chosen = {insn->immediate & 0x10 ? ~(u64)0 : 0, insn->immediate & 0x20 ? ~(u64)0 : 0};

	dot_steps(cpu, insn, frame, chosen, false, true);
	avx_arithmetic(
		cpu, insn, frame, stubs_vdppd_128 + STUB_BYTES * (u8)insn->immediate, RESULT_OTHER);
}

DEFINE_AVX_HANDLERS(vdpps_128, 16, dot_ps, stubs_vdpps_128, false)
DEFINE_AVX_HANDLERS(vdpps_256, 32, dot_ps, stubs_vdpps_256, true)
DEFINE_AVX_HANDLERS(vdppd_128, 16, dot_pd)

/* The round constant is exclusive-ored into doublewords 1 and 3, last. */
DEFINE_AVX_STUB(vaeskeygenassist, "vaeskeygenassist $0, %xmm2, %xmm0")

static void aeskeygenassist(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame)
{
	u64 constant = (u64)(u8)insn->immediate << 32;

	avx_call(frame, avx_stub_vaeskeygenassist);
	ymm_set_128(cpu, insn->reg, frame->to.low ^ (vec){constant, constant});
}

DEFINE_AVX_HANDLERS(vaeskeygenassist_128, 16, aeskeygenassist)

/* ---- to half precision: bit 2 of the immediate takes MXCSR's rounding, else bits 1-0 are it ------------ */

DEFINE_STUBS(vcvtps2ph_128, "0xc4, 0xe3, 0x79, 0x1d, 0xd0", 8)
DEFINE_STUBS(vcvtps2ph_256, "0xc4, 0xe3, 0x7d, 0x1d, 0xd0", 8)

static vec to_half(struct cpu *cpu, const struct insn *insn, const u8 *stubs)
{
	struct avx_frame frame = {.b = ymm_get(cpu, insn->reg)};

	avx_run_mxcsr(cpu, &frame, stubs + STUB_BYTES * (insn->immediate & 7), RESULT_PH);
	return frame.to.low;
}

void execute_avx_vcvtps2ph_128_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->rm, to_half(cpu, insn, stubs_vcvtps2ph_128));
}

void execute_avx_vcvtps2ph_256_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->rm, to_half(cpu, insn, stubs_vcvtps2ph_256));
}

/* The conversion comes first: MXCSR has its flags even if the store faults. */
void execute_avx_vcvtps2ph_128_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	vec half = to_half(cpu, insn, stubs_vcvtps2ph_128);
	store_memory_64(cpu, insn, half[0]);
}

void execute_avx_vcvtps2ph_256_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	vec half = to_half(cpu, insn, stubs_vcvtps2ph_256);
	store_vec(cpu, address_linear(cpu, insn, 16, ACCESS_WRITE), half);
}

/* ---- elements ------------------------------------------------------------------------------------- */

union elements {
	vec whole;
	u8 bytes[16];
	u16 words[8];
	u32 dwords[4];
	u64 qwords[2];
};

/* Bits 7-6 choose the source's element (not for memory), 5-4 the destination's, 3-0 what becomes zero. */
static void insert_single(struct cpu *cpu, const struct insn *insn, u32 from)
{
	union elements result = {.whole = *xmm(cpu, insn->vvvv)};

	result.dwords[(insn->immediate >> 4) & 3] = from;
	for (unsigned i = 0; i < 4; i++)
		if (insn->immediate >> i & 1)
			result.dwords[i] = 0;
	ymm_set_128(cpu, insn->reg, result.whole);
}

void execute_avx_vinsertps_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	union elements from = {.whole = *xmm(cpu, insn->rm)};
	insert_single(cpu, insn, from.dwords[(insn->immediate >> 6) & 3]);
}

void execute_avx_vinsertps_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	insert_single(cpu, insn, memory_32(cpu, insn));
}

/* VPINSRx and VPEXTRx; the element's number wraps. */
#define DEFINE_INSERT(name, field, bits, register_bits)                               \
	static void insert_##name(struct cpu *cpu, const struct insn *insn, u64 from) \
	{                                                                             \
		union elements result = {.whole = *xmm(cpu, insn->vvvv)};             \
		result.field[insn->immediate & (128 / bits - 1)] = (u##bits)from;     \
		ymm_set_128(cpu, insn->reg, result.whole);                            \
	}                                                                             \
	void execute_avx_##name##_r(struct cpu *cpu, const struct insn *insn)         \
	{                                                                             \
		avx_require(cpu);                                                     \
		insert_##name(cpu, insn, reg_get_##register_bits(cpu, insn->rm));     \
	}                                                                             \
	void execute_avx_##name##_m(struct cpu *cpu, const struct insn *insn)         \
	{                                                                             \
		avx_require(cpu);                                                     \
		insert_##name(cpu, insn, memory_##bits(cpu, insn));                   \
	}

#define DEFINE_EXTRACT(name, field, bits, register_bits)                                \
	void execute_avx_##name##_r(struct cpu *cpu, const struct insn *insn)           \
	{                                                                               \
		avx_require(cpu);                                                       \
		union elements from = {.whole = *xmm(cpu, insn->reg)};                  \
		reg_set_##register_bits(                                                \
			cpu, insn->rm, from.field[insn->immediate & (128 / bits - 1)]); \
	}                                                                               \
	void execute_avx_##name##_m(struct cpu *cpu, const struct insn *insn)           \
	{                                                                               \
		avx_require(cpu);                                                       \
		union elements from = {.whole = *xmm(cpu, insn->reg)};                  \
		store_##bits(cpu, address_linear(cpu, insn, bits / 8, ACCESS_WRITE),    \
			from.field[insn->immediate & (128 / bits - 1)]);                \
	}

DEFINE_INSERT(pinsrb, bytes, 8, 32)
DEFINE_INSERT(pinsrw, words, 16, 32)
DEFINE_INSERT(pinsr_32, dwords, 32, 32)
DEFINE_INSERT(pinsr_64, qwords, 64, 64)
DEFINE_EXTRACT(pextrb, bytes, 8, 32)
DEFINE_EXTRACT(pextrw_store, words, 16, 32)
DEFINE_EXTRACT(pextr_32, dwords, 32, 32)
DEFINE_EXTRACT(pextr_64, qwords, 64, 64)

/* C5: the operands are the other way round. */
void execute_avx_vpextrw(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	union elements from = {.whole = *xmm(cpu, insn->rm)};
	reg_set_32(cpu, insn->reg, from.words[insn->immediate & 7]);
}

/* ---- 128-bit lanes ------------------------------------------------------------------------------------ */

static void insert_lane(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame)
{
	struct ymm result = ymm_get(cpu, insn->vvvv);

	if (insn->immediate & 1)
		result.high = frame->b.low;
	else
		result.low = frame->b.low;
	ymm_set(cpu, insn->reg, result);
}

DEFINE_AVX_HANDLERS(insert_128, 16, insert_lane)

static vec lane_get(struct cpu *cpu, const struct insn *insn)
{
	return insn->immediate & 1 ? *ymm_high(cpu, insn->reg) : *xmm(cpu, insn->reg);
}

void execute_avx_extract_128_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->rm, lane_get(cpu, insn));
}

void execute_avx_extract_128_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	store_vec(cpu, address_linear(cpu, insn, 16, ACCESS_WRITE), lane_get(cpu, insn));
}

/* Two bits choose of four lanes, bit 3 makes zero. */
static vec lane_choose(const struct avx_frame *frame, u64 bits)
{
	const vec lanes[4] = {frame->a.low, frame->a.high, frame->b.low, frame->b.high};

	return bits & 8 ? vec_of_64(0) : lanes[bits & 3];
}

static void permute_lanes(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame)
{
	frame->a = ymm_get(cpu, insn->vvvv);
	ymm_set(cpu, insn->reg,
		(struct ymm){lane_choose(frame, insn->immediate),
			lane_choose(frame, insn->immediate >> 4)});
}

DEFINE_AVX_HANDLERS(permute_128, 32, permute_lanes)

void execute_avx_broadcast_128(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	vec lane = memory_unaligned(cpu, insn);
	ymm_set(cpu, insn->reg, (struct ymm){lane, lane});
}
