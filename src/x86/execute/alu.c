/* SPDX-License-Identifier: MIT */
/*
 * ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NOT, NEG. Each
 * is the host's own instruction on values (register and memory forms) or on guest RAM (locked forms), its flags
 * saved as LAHF and SETO see them. APM volume 3.
 */
#include "x86/execute/operands.h"

/* ---- the host's instructions -------------------------------------------------------------------- */

/* flags_constraint: "+a" where they are an input (ADC, SBB: `before` loads them), "=a" where they are not, so that none need be loaded. */
#define DEFINE_BINARY(name, bits, before, flags_constraint)                                        \
	static always_inline u##bits alu_##name##_##bits(                                          \
		u##bits a, u##bits b, packed_flags *flags)                                         \
	{                                                                                          \
		packed_flags after = *flags;                                                       \
		__asm__(before #name SUFFIX_##bits " %2, %0" SAVE_FLAGS                            \
			: "+r"(a), flags_constraint(after)                                         \
			: "r"(b)                                                                   \
			: "cc");                                                                   \
		*flags = after;                                                                    \
		return a;                                                                          \
	}                                                                                          \
	static always_inline void locked_##name##_##bits(void *at, u##bits b, packed_flags *flags) \
	{                                                                                          \
		packed_flags after = *flags;                                                       \
		__asm__ volatile(before "lock " #name SUFFIX_##bits " %2, %0" SAVE_FLAGS           \
				 : "+m"(*(struct ram_##bits *)at), flags_constraint(after)         \
				 : "r"(b)                                                          \
				 : "cc", "memory");                                                \
		*flags = after;                                                                    \
	}

#define DEFINE_COMPARE(name, bits)                                                               \
	static always_inline void alu_##name##_##bits(u##bits a, u##bits b, packed_flags *flags) \
	{                                                                                        \
		packed_flags after;                                                              \
		__asm__(#name SUFFIX_##bits " %2, %1" SAVE_FLAGS                                 \
			: "=a"(after)                                                            \
			: "r"(a), "r"(b)                                                         \
			: "cc");                                                                 \
		*flags = after;                                                                  \
	}

#define DEFINE_UNARY(name, bits)                                                         \
	static always_inline u##bits alu_##name##_##bits(u##bits a, packed_flags *flags) \
	{                                                                                \
		__asm__(LOAD_FLAGS #name SUFFIX_##bits " %0" SAVE_FLAGS                  \
			: "+r"(a), "+a"(*flags)                                          \
			:                                                                \
			: "cc");                                                         \
		return a;                                                                \
	}                                                                                \
	static always_inline void locked_##name##_##bits(void *at, packed_flags *flags)  \
	{                                                                                \
		__asm__ volatile(LOAD_FLAGS "lock " #name SUFFIX_##bits " %0" SAVE_FLAGS \
				 : "+m"(*(struct ram_##bits *)at), "+a"(*flags)          \
				 :                                                       \
				 : "cc", "memory");                                      \
	}

#define DEFINE_ALU(bits)                                  \
	DEFINE_BINARY(add, bits, "", "=a")                \
	DEFINE_BINARY(or, bits, "", "=a")                 \
	DEFINE_BINARY(adc, bits, LOAD_FLAGS_BUT_OF, "+a") \
	DEFINE_BINARY(sbb, bits, LOAD_FLAGS_BUT_OF, "+a") \
	DEFINE_BINARY(and, bits, "", "=a")                \
	DEFINE_BINARY(sub, bits, "", "=a")                \
	DEFINE_BINARY(xor, bits, "", "=a")                \
	DEFINE_COMPARE(cmp, bits)                         \
	DEFINE_COMPARE(test, bits)                        \
	DEFINE_UNARY(inc, bits)                           \
	DEFINE_UNARY(dec, bits)                           \
	DEFINE_UNARY(not, bits)                           \
	DEFINE_UNARY(neg, bits)

FOR_SIZES(DEFINE_ALU)

/* ---- handlers: destination E, source G or immediate; destination G, source E ---------------------- */

#define DEFINE_TO_E(op, bits, kind, source)                                                       \
	HANDLER(op##_##kind##_##bits##_r)                                                         \
	{                                                                                         \
		reg_set_##bits(cpu, insn->rm,                                                     \
			alu_##op##_##bits(                                                        \
				rm_get_##bits(cpu, insn), source, &cpu->arithmetic_flags));       \
	}                                                                                         \
	DEFINE_MODIFYING(op##_##kind##_##bits##_m, bits, alu_##op##_##bits(value, source, flags)) \
	HANDLER(op##_##kind##_##bits##_l)                                                         \
	{                                                                                         \
		struct rmw rmw = rmw_begin(cpu, insn, bits / 8);                                  \
		if (likely(rmw.at)) {                                                             \
			locked_##op##_##bits(rmw.at, source, &cpu->arithmetic_flags);             \
			return;                                                                   \
		}                                                                                 \
		split_lock_take(cpu);                                                             \
		rmw_set_##bits(cpu, &rmw,                                                         \
			alu_##op##_##bits(                                                        \
				rmw_get_##bits(cpu, &rmw), source, &cpu->arithmetic_flags));      \
		split_lock_release(cpu);                                                          \
	}

#define DEFINE_TO_G(op, bits)                                                       \
	HANDLER(op##_GE_##bits##_r)                                                 \
	{                                                                           \
		reg_set_##bits(cpu, insn->reg,                                      \
			alu_##op##_##bits(reg_get_##bits(cpu, insn->reg),           \
				rm_get_##bits(cpu, insn), &cpu->arithmetic_flags)); \
	}                                                                           \
	DEFINE_READING(op##_GE_##bits##_m, bits,                                    \
		reg_set_##bits(cpu, insn->reg,                                      \
			alu_##op##_##bits(                                          \
				reg_get_##bits(cpu, insn->reg), value, &cpu->arithmetic_flags)))

#define DEFINE_BINARY_HANDLERS(op, bits)                          \
	DEFINE_TO_E(op, bits, EG, reg_get_##bits(cpu, insn->reg)) \
	DEFINE_TO_E(op, bits, EI, (u##bits)insn->immediate)       \
	DEFINE_TO_G(op, bits)

#define DEFINE_COMPARE_HANDLERS(op, bits, kind, source)                                      \
	HANDLER(op##_##kind##_##bits##_r)                                                    \
	{                                                                                    \
		alu_##op##_##bits(rm_get_##bits(cpu, insn), source, &cpu->arithmetic_flags); \
	}                                                                                    \
	DEFINE_READING(op##_##kind##_##bits##_m, bits,                                       \
		alu_##op##_##bits(value, source, &cpu->arithmetic_flags))

#define DEFINE_UNARY_HANDLERS(op, bits)                                                        \
	HANDLER(op##_E_##bits##_r)                                                             \
	{                                                                                      \
		reg_set_##bits(cpu, insn->rm,                                                  \
			alu_##op##_##bits(rm_get_##bits(cpu, insn), &cpu->arithmetic_flags));  \
	}                                                                                      \
	DEFINE_MODIFYING(op##_E_##bits##_m, bits, alu_##op##_##bits(value, flags))             \
	HANDLER(op##_E_##bits##_l)                                                             \
	{                                                                                      \
		struct rmw rmw = rmw_begin(cpu, insn, bits / 8);                               \
		if (likely(rmw.at)) {                                                          \
			locked_##op##_##bits(rmw.at, &cpu->arithmetic_flags);                  \
			return;                                                                \
		}                                                                              \
		split_lock_take(cpu);                                                          \
		rmw_set_##bits(cpu, &rmw,                                                      \
			alu_##op##_##bits(rmw_get_##bits(cpu, &rmw), &cpu->arithmetic_flags)); \
		split_lock_release(cpu);                                                       \
	}

#define DEFINE_HANDLERS(bits)                                                   \
	DEFINE_BINARY_HANDLERS(add, bits)                                       \
	DEFINE_BINARY_HANDLERS(or, bits)                                        \
	DEFINE_BINARY_HANDLERS(adc, bits)                                       \
	DEFINE_BINARY_HANDLERS(sbb, bits)                                       \
	DEFINE_BINARY_HANDLERS(and, bits)                                       \
	DEFINE_BINARY_HANDLERS(sub, bits)                                       \
	DEFINE_BINARY_HANDLERS(xor, bits)                                       \
	DEFINE_COMPARE_HANDLERS(cmp, bits, EG, reg_get_##bits(cpu, insn->reg))  \
	DEFINE_COMPARE_HANDLERS(cmp, bits, EI, (u##bits)insn->immediate)        \
	DEFINE_COMPARE_HANDLERS(test, bits, EG, reg_get_##bits(cpu, insn->reg)) \
	DEFINE_COMPARE_HANDLERS(test, bits, EI, (u##bits)insn->immediate)       \
	DEFINE_UNARY_HANDLERS(inc, bits)                                        \
	DEFINE_UNARY_HANDLERS(dec, bits)                                        \
	DEFINE_UNARY_HANDLERS(not, bits)                                        \
	DEFINE_UNARY_HANDLERS(neg, bits)

FOR_SIZES(DEFINE_HANDLERS)

/* CMP G, E subtracts the other way round, so it is not DEFINE_TO_G's pattern. */
#define DEFINE_CMP_GE(bits)                                                              \
	HANDLER(cmp_GE_##bits##_r)                                                       \
	{                                                                                \
		alu_cmp_##bits(reg_get_##bits(cpu, insn->reg), rm_get_##bits(cpu, insn), \
			&cpu->arithmetic_flags);                                         \
	}                                                                                \
	DEFINE_READING(cmp_GE_##bits##_m, bits,                                          \
		alu_cmp_##bits(reg_get_##bits(cpu, insn->reg), value, &cpu->arithmetic_flags))

FOR_SIZES(DEFINE_CMP_GE)
