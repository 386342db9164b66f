/* SPDX-License-Identifier: MIT */
/* VEX moves: no arithmetic. _load is register from register or memory, _store the other direction. */
#include "x86/fpu_avx.h"
#include "x86/paging.h"
#include "x86/decode/handlers.h"

static always_inline bool is_256(const struct insn *insn)
{
	return insn->operand_size == SIZE_256;
}

/* 32 bytes, none of them unless all may be written. */
static always_inline void store_ymm(struct cpu *cpu, u64 linear, struct ymm value)
{
	if (unlikely(tlb_crosses_page(linear, 32)))
		paging_probe(cpu, linear, 32, ACCESS_WRITE, cpu->tlb_mode);
	store_vec(cpu, linear, value.low);
	store_vec(cpu, linear + 16, value.high);
}

static always_inline u64 aligned_address(
	struct cpu *cpu, const struct insn *insn, unsigned bytes, enum access_kind kind)
{
	u64 linear = address_linear(cpu, insn, bytes, kind);

	if (unlikely(linear & (bytes - 1)))
		raise_gp(cpu, 0);
	return linear;
}

/* address(cpu, insn, bytes, kind) checks alignment or doesn't. */
#define DEFINE_MOVES(name, address)                                                         \
	void execute_avx_##name##_load_128_r(struct cpu *cpu, const struct insn *insn)      \
	{                                                                                   \
		avx_require(cpu);                                                           \
		ymm_set_128(cpu, insn->reg, *xmm(cpu, insn->rm));                           \
	}                                                                                   \
	void execute_avx_##name##_load_256_r(struct cpu *cpu, const struct insn *insn)      \
	{                                                                                   \
		avx_require(cpu);                                                           \
		ymm_set(cpu, insn->reg, ymm_get(cpu, insn->rm));                            \
	}                                                                                   \
	void execute_avx_##name##_load_128_m(struct cpu *cpu, const struct insn *insn)      \
	{                                                                                   \
		avx_require(cpu);                                                           \
		u64 linear = address(cpu, insn, 16, ACCESS_READ);                           \
		ymm_set_128(cpu, insn->reg, load_vec(cpu, linear));                         \
	}                                                                                   \
	void execute_avx_##name##_load_256_m(struct cpu *cpu, const struct insn *insn)      \
	{                                                                                   \
		avx_require(cpu);                                                           \
		u64 linear = address(cpu, insn, 32, ACCESS_READ);                           \
		vec low = load_vec(cpu, linear);                                            \
		ymm_set(cpu, insn->reg, (struct ymm){low, load_vec(cpu, linear + 16)});     \
	}                                                                                   \
	void execute_avx_##name##_store_128_r(struct cpu *cpu, const struct insn *insn)     \
	{                                                                                   \
		avx_require(cpu);                                                           \
		ymm_set_128(cpu, insn->rm, *xmm(cpu, insn->reg));                           \
	}                                                                                   \
	void execute_avx_##name##_store_256_r(struct cpu *cpu, const struct insn *insn)     \
	{                                                                                   \
		avx_require(cpu);                                                           \
		ymm_set(cpu, insn->rm, ymm_get(cpu, insn->reg));                            \
	}                                                                                   \
	void execute_avx_##name##_store_128_m(struct cpu *cpu, const struct insn *insn)     \
	{                                                                                   \
		avx_require(cpu);                                                           \
		store_vec(cpu, address(cpu, insn, 16, ACCESS_WRITE), *xmm(cpu, insn->reg)); \
	}                                                                                   \
	void execute_avx_##name##_store_256_m(struct cpu *cpu, const struct insn *insn)     \
	{                                                                                   \
		avx_require(cpu);                                                           \
		u64 linear = address(cpu, insn, 32, ACCESS_WRITE);                          \
		store_ymm(cpu, linear, ymm_get(cpu, insn->reg));                            \
	}

DEFINE_MOVES(move, address_linear)
DEFINE_MOVES(move_aligned, aligned_address)

/* VMOVSS, VMOVSD: the rest from vvvv between registers, zero-extended from memory. */
static vec merge_single(struct cpu *cpu, const struct insn *insn, u64 from)
{
	vec rest = *xmm(cpu, insn->vvvv);

	return (vec){(rest[0] & ~(u64)0xffffffff) | (u32)from, rest[1]};
}

void execute_avx_vmovss_load_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->reg, merge_single(cpu, insn, (*xmm(cpu, insn->rm))[0]));
}

void execute_avx_vmovss_store_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->rm, merge_single(cpu, insn, (*xmm(cpu, insn->reg))[0]));
}

void execute_avx_vmovss_load_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->reg, memory_vec_32(cpu, insn));
}

void execute_avx_vmovss_store_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	store_memory_32(cpu, insn, (u32)(*xmm(cpu, insn->reg))[0]);
}

void execute_avx_vmovsd_load_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->reg, (vec){(*xmm(cpu, insn->rm))[0], (*xmm(cpu, insn->vvvv))[1]});
}

void execute_avx_vmovsd_store_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->rm, (vec){(*xmm(cpu, insn->reg))[0], (*xmm(cpu, insn->vvvv))[1]});
}

void execute_avx_vmovsd_load_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->reg, memory_vec_64(cpu, insn));
}

void execute_avx_vmovsd_store_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	store_memory_64(cpu, insn, (*xmm(cpu, insn->reg))[0]);
}

/* The low or high quadword, the other one from vvvv. */
void execute_avx_low_load(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	u64 low = memory_64(cpu, insn);
	ymm_set_128(cpu, insn->reg, (vec){low, (*xmm(cpu, insn->vvvv))[1]});
}

void execute_avx_high_load(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	u64 high = memory_64(cpu, insn);
	ymm_set_128(cpu, insn->reg, (vec){(*xmm(cpu, insn->vvvv))[0], high});
}

void execute_avx_low_store(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	store_memory_64(cpu, insn, (*xmm(cpu, insn->reg))[0]);
}

void execute_avx_high_store(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	store_memory_64(cpu, insn, (*xmm(cpu, insn->reg))[1]);
}

void execute_avx_vmovhlps(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->reg, (vec){(*xmm(cpu, insn->rm))[1], (*xmm(cpu, insn->vvvv))[1]});
}

void execute_avx_vmovlhps(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->reg, (vec){(*xmm(cpu, insn->vvvv))[0], (*xmm(cpu, insn->rm))[0]});
}

/* VMOVD and VMOVQ. */
#define DEFINE_MOVD(bits)                                                                 \
	void execute_avx_vmovd_load_##bits##_r(struct cpu *cpu, const struct insn *insn)  \
	{                                                                                 \
		avx_require(cpu);                                                         \
		ymm_set_128(cpu, insn->reg, vec_of_64(reg_get_##bits(cpu, insn->rm)));    \
	}                                                                                 \
	void execute_avx_vmovd_load_##bits##_m(struct cpu *cpu, const struct insn *insn)  \
	{                                                                                 \
		avx_require(cpu);                                                         \
		ymm_set_128(cpu, insn->reg, memory_vec_##bits(cpu, insn));                \
	}                                                                                 \
	void execute_avx_vmovd_store_##bits##_r(struct cpu *cpu, const struct insn *insn) \
	{                                                                                 \
		avx_require(cpu);                                                         \
		reg_set_##bits(cpu, insn->rm, (u##bits)(*xmm(cpu, insn->reg))[0]);        \
	}                                                                                 \
	void execute_avx_vmovd_store_##bits##_m(struct cpu *cpu, const struct insn *insn) \
	{                                                                                 \
		avx_require(cpu);                                                         \
		store_memory_##bits(cpu, insn, (u##bits)(*xmm(cpu, insn->reg))[0]);       \
	}

DEFINE_MOVD(32)
DEFINE_MOVD(64)

void execute_avx_vmovq_load_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->reg, vec_of_64((*xmm(cpu, insn->rm))[0]));
}

void execute_avx_vmovq_load_m(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->reg, memory_vec_64(cpu, insn));
}

void execute_avx_vmovq_store_r(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	ymm_set_128(cpu, insn->rm, vec_of_64((*xmm(cpu, insn->reg))[0]));
}

/* Outside 64-bit code there are only the first eight. */
static unsigned register_count(const struct cpu *cpu)
{
	return cpu_is_64_bit(cpu) ? 16 : 8;
}

void execute_avx_vzeroupper(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	for (unsigned i = 0; i < register_count(cpu); i++)
		*ymm_high(cpu, i) = vec_of_64(0);
}

void execute_avx_vzeroall(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	for (unsigned i = 0; i < register_count(cpu); i++)
		ymm_set_128(cpu, i, vec_of_64(0));
}

void execute_avx_vldmxcsr(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	u32 value = memory_32(cpu, insn);
	if (value & ~FPU_MXCSR_VALID)
		raise_gp(cpu, 0);
	fpu_set_32(&cpu->fpu, FPU_MXCSR, value);
}

void execute_avx_vstmxcsr(struct cpu *cpu, const struct insn *insn)
{
	avx_require(cpu);
	store_memory_32(cpu, insn, fpu_get_32(&cpu->fpu, FPU_MXCSR));
}

/* ---- under a mask ----------------------------------------------------------------------------------- */

void execute_avx_vmaskmovdqu(struct cpu *cpu, const struct insn *insn)
{
	const u8 *from = (const u8 *)xmm(cpu, insn->reg), *mask = (const u8 *)xmm(cpu, insn->rm);

	avx_require(cpu);
	fpu_store_masked(cpu, insn, from, mask, 16);
}

union elements {
	struct ymm whole;
	u32 dwords[8];
	u64 qwords[4];
	i32 signs_32[8];
	i64 signs_64[4];
};

/* Elements whose mask has its top bit clear are not touched, and do not fault. */
#define DEFINE_MASKED(bits, field)                                                             \
	void execute_avx_masked_load_##bits(struct cpu *cpu, const struct insn *insn)          \
	{                                                                                      \
		avx_require(cpu);                                                              \
		union elements mask = {.whole = ymm_get(cpu, insn->vvvv)};                     \
		union elements result = {.qwords = {0}};                                       \
		for (unsigned i = 0; i < (is_256(insn) ? 256 : 128) / bits; i++)               \
			if (mask.signs_##bits[i] < 0)                                          \
				result.field[i] = load_##bits(cpu,                             \
					address_linear_at(cpu, insn, i * (bits / 8), bits / 8, \
						ACCESS_READ));                                 \
		ymm_set(cpu, insn->reg, result.whole);                                         \
	}                                                                                      \
	void execute_avx_masked_store_##bits(struct cpu *cpu, const struct insn *insn)         \
	{                                                                                      \
		avx_require(cpu);                                                              \
		union elements mask = {.whole = ymm_get(cpu, insn->vvvv)};                     \
		union elements from = {.whole = ymm_get(cpu, insn->reg)};                      \
		unsigned count = (is_256(insn) ? 256 : 128) / bits;                            \
		u64 linear[8];                                                                 \
		for (unsigned i = 0; i < count; i++) {                                         \
			if (mask.signs_##bits[i] >= 0)                                         \
				continue;                                                      \
			linear[i] = address_linear_at(                                         \
				cpu, insn, i * (bits / 8), bits / 8, ACCESS_WRITE);            \
			paging_probe(cpu, linear[i], bits / 8, ACCESS_WRITE, cpu->tlb_mode);   \
		}                                                                              \
		for (unsigned i = 0; i < count; i++)                                           \
			if (mask.signs_##bits[i] < 0)                                          \
				store_##bits(cpu, linear[i], from.field[i]);                   \
	}

DEFINE_MASKED(32, dwords)
DEFINE_MASKED(64, qwords)

/*
 * Gathers: every mask becomes all ones or zero first. From the lowest element on, each one loaded has its mask cleared,
 * so that after a fault the instruction goes on where it was. What is beyond the elements becomes zero. SDM volume 2,
 * VGATHERDPS.
 */
#define DEFINE_GATHER(index_bits, bits, field, count, length)                                      \
	void execute_avx_gather_##index_bits##_##bits##_##length(                                  \
		struct cpu *cpu, const struct insn *insn)                                          \
	{                                                                                          \
		avx_require(cpu);                                                                  \
		union elements mask = {.whole = ymm_get(cpu, insn->vvvv)};                         \
		union elements index = {.whole = ymm_get(cpu, insn->rm)};                          \
		union elements to = {.whole = ymm_get(cpu, insn->reg)};                            \
		for (unsigned i = 0; i < 256 / bits; i++)                                          \
			mask.field[i] =                                                            \
				i < length / bits && mask.signs_##bits[i] < 0 ? ~(u##bits)0 : 0;   \
		ymm_set(cpu, insn->vvvv, mask.whole);                                              \
		for (unsigned i = 0; i < count; i++) {                                             \
			u64 offset = (u64)(i64)index.signs_##index_bits[i] << insn->scale;         \
			if (!mask.field[i])                                                        \
				continue;                                                          \
			to.field[i] = load_##bits(cpu,                                             \
				address_linear_at(cpu, insn, (i64)offset, bits / 8, ACCESS_READ)); \
			mask.field[i] = 0;                                                         \
			if (length == 128)                                                         \
				to.whole.high = vec_of_64(0);                                      \
			ymm_set(cpu, insn->reg, to.whole);                                         \
			ymm_set(cpu, insn->vvvv, mask.whole);                                      \
		}                                                                                  \
		for (unsigned i = count; i < 256 / bits; i++)                                      \
			to.field[i] = 0;                                                           \
		ymm_set(cpu, insn->reg, to.whole);                                                 \
		ymm_set_128(cpu, insn->vvvv, vec_of_64(0));                                        \
	}

DEFINE_GATHER(32, 32, dwords, 4, 128)
DEFINE_GATHER(32, 32, dwords, 8, 256)
DEFINE_GATHER(32, 64, qwords, 2, 128)
DEFINE_GATHER(32, 64, qwords, 4, 256)
DEFINE_GATHER(64, 32, dwords, 2, 128)
DEFINE_GATHER(64, 32, dwords, 4, 256)
DEFINE_GATHER(64, 64, qwords, 2, 128)
DEFINE_GATHER(64, 64, qwords, 4, 256)
