/* SPDX-License-Identifier: MIT */
/* XMM moves: no arithmetic, no MXCSR. _load is register from register or memory, _store the other direction. */
#include "x86/fpu_simd.h"
#include "x86/decode/handlers.h"

void execute_sse_move_aligned_load_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = *xmm(cpu, insn->rm);
}

void execute_sse_move_aligned_load_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = memory_aligned(cpu, insn);
}

void execute_sse_move_aligned_store_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->rm) = *xmm(cpu, insn->reg);
}

void execute_sse_move_aligned_store_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	store_vec(cpu, address_aligned(cpu, insn, ACCESS_WRITE), *xmm(cpu, insn->reg));
}

void execute_sse_move_unaligned_load_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = *xmm(cpu, insn->rm);
}

void execute_sse_move_unaligned_load_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = memory_unaligned(cpu, insn);
}

void execute_sse_move_unaligned_store_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->rm) = *xmm(cpu, insn->reg);
}

void execute_sse_move_unaligned_store_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	store_vec(cpu, address_linear(cpu, insn, 16, ACCESS_WRITE), *xmm(cpu, insn->reg));
}

/* MOVSS, MOVSD: merged between registers, zero-extended from memory. */
void execute_sse_movss_load_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	u64 from = (*xmm(cpu, insn->rm))[0];
	vec *to = xmm(cpu, insn->reg);
	*to = (vec){((*to)[0] & ~(u64)0xffffffff) | (u32)from, (*to)[1]};
}

void execute_sse_movss_load_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = memory_vec_32(cpu, insn);
}

void execute_sse_movss_store_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	u64 from = (*xmm(cpu, insn->reg))[0];
	vec *to = xmm(cpu, insn->rm);
	*to = (vec){((*to)[0] & ~(u64)0xffffffff) | (u32)from, (*to)[1]};
}

void execute_sse_movss_store_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	store_memory_32(cpu, insn, (u32)(*xmm(cpu, insn->reg))[0]);
}

void execute_sse_movsd_load_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	(*xmm(cpu, insn->reg))[0] = (*xmm(cpu, insn->rm))[0];
}

void execute_sse_movsd_store_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	(*xmm(cpu, insn->rm))[0] = (*xmm(cpu, insn->reg))[0];
}

/* Zero-extended: MOVQ, MOVSD's load from memory. */
void execute_sse_movq_load_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = vec_of_64((*xmm(cpu, insn->rm))[0]);
}

void execute_sse_movq_load_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = memory_vec_64(cpu, insn);
}

void execute_sse_movq_store_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->rm) = vec_of_64((*xmm(cpu, insn->reg))[0]);
}

/* The low or high quadword against memory: MOVLPS, MOVHPS, MOVSD, MOVQ and their kin. */
void execute_sse_low_load(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	(*xmm(cpu, insn->reg))[0] = memory_64(cpu, insn);
}

void execute_sse_low_store(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	store_memory_64(cpu, insn, (*xmm(cpu, insn->reg))[0]);
}

void execute_sse_high_load(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	(*xmm(cpu, insn->reg))[1] = memory_64(cpu, insn);
}

void execute_sse_high_store(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	store_memory_64(cpu, insn, (*xmm(cpu, insn->reg))[1]);
}

void execute_sse_movhlps(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	(*xmm(cpu, insn->reg))[0] = (*xmm(cpu, insn->rm))[1];
}

void execute_sse_movlhps(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	(*xmm(cpu, insn->reg))[1] = (*xmm(cpu, insn->rm))[0];
}

/* MOVD and MOVQ with general registers. */
void execute_sse_movd_load_32_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = vec_of_64(reg_get_32(cpu, insn->rm));
}

void execute_sse_movd_load_64_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = vec_of_64(reg_get_64(cpu, insn->rm));
}

void execute_sse_movd_load_32_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = memory_vec_32(cpu, insn);
}

void execute_sse_movd_load_64_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = memory_vec_64(cpu, insn);
}

void execute_sse_movd_store_32_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	reg_set_32(cpu, insn->rm, (u32)(*xmm(cpu, insn->reg))[0]);
}

void execute_sse_movd_store_64_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	reg_set_64(cpu, insn->rm, (*xmm(cpu, insn->reg))[0]);
}

void execute_sse_movd_store_32_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	store_memory_32(cpu, insn, (u32)(*xmm(cpu, insn->reg))[0]);
}

void execute_sse_movd_store_64_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	store_memory_64(cpu, insn, (*xmm(cpu, insn->reg))[0]);
}

/* MASKMOVDQU: bytes whose mask has its top bit set, to DS:rDI. All of them may be written, or none is. */
void execute_sse_maskmovdqu(struct cpu *cpu, const struct insn *insn)
{
	const u8 *from = (const u8 *)xmm(cpu, insn->reg), *mask = (const u8 *)xmm(cpu, insn->rm);

	sse_require(cpu);
	fpu_store_masked(cpu, insn, from, mask, 16);
}
