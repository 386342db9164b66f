/* SPDX-License-Identifier: MIT */
/*
 * BT, BTS, BTR, BTC, BSF, BSR, LZCNT, TZCNT, POPCNT, CRC32. APM volume 3, SDM volume 2.
 */
#include "x86/execute/operands.h"

/* ---- bit tests ----------------------------------------------------------------------------------- */

/* `bit` is below the width: the host's memory forms would reach beyond the operand else. */
#define DEFINE_HOST_BIT(name, bits)                                         \
	static always_inline u##bits host_##name##_##bits(                  \
		u##bits value, u##bits bit, packed_flags *flags)            \
	{                                                                   \
		__asm__(LOAD_FLAGS #name SUFFIX_##bits " %2, %0" SAVE_FLAGS \
			: "+r"(value), "+a"(*flags)                         \
			: "r"(bit)                                          \
			: "cc");                                            \
		return value;                                               \
	}

#define DEFINE_LOCKED_BIT(name, bits)                                                        \
	static always_inline void locked_##name##_##bits(                                    \
		void *at, u##bits bit, packed_flags *flags)                                  \
	{                                                                                    \
		__asm__ volatile(LOAD_FLAGS "lock " #name SUFFIX_##bits " %2, %0" SAVE_FLAGS \
				 : "+m"(*(struct ram_##bits *)at), "+a"(*flags)              \
				 : "r"(bit)                                                  \
				 : "cc", "memory");                                          \
	}

/*
 * A bit number in a register reaches beyond the operand: the word at the offset that its upper, signed part gives is
 * used. An immediate one is cut to the width.
 */
#define BIT_EG(bits) reg_get_##bits(cpu, insn->reg)
#define BIT_EI(bits) ((u##bits)insn->immediate)
#define WORD_EG(bits, bit) ((i64)((i##bits)(bit) & ~(i##bits)(bits - 1)) >> 3)
#define WORD_EI(bits, bit) 0

#define DEFINE_BIT_TEST(bits, kind)                                                                \
	HANDLER(bt_##kind##_##bits##_r)                                                            \
	{                                                                                          \
		u##bits bit = BIT_##kind(bits) & (bits - 1);                                       \
		host_bt_##bits(rm_get_##bits(cpu, insn), bit, &cpu->arithmetic_flags);             \
	}                                                                                          \
	HANDLER(bt_##kind##_##bits##_m)                                                            \
	{                                                                                          \
		u##bits bit = BIT_##kind(bits);                                                    \
		u64 linear = address_linear_at(                                                    \
			cpu, insn, WORD_##kind(bits, bit), bits / 8, ACCESS_READ);                 \
		host_bt_##bits(load_##bits(cpu, linear), bit &(bits - 1), &cpu->arithmetic_flags); \
	}

/* Begins to change the word so many bytes from the operand's address. */
#define BIT_RMW(bits, offset) \
	rmw_begin_linear(     \
		cpu, address_linear_at(cpu, insn, offset, bits / 8, ACCESS_WRITE), bits / 8)

#define DEFINE_BIT_CHANGE(name, bits, kind)                                               \
	HANDLER(name##_##kind##_##bits##_r)                                               \
	{                                                                                 \
		u##bits bit = BIT_##kind(bits) & (bits - 1);                              \
		reg_set_##bits(cpu, insn->rm,                                             \
			host_##name##_##bits(                                             \
				rm_get_##bits(cpu, insn), bit, &cpu->arithmetic_flags));  \
	}                                                                                 \
	HANDLER(name##_##kind##_##bits##_l)                                               \
	{                                                                                 \
		u##bits bit = BIT_##kind(bits);                                           \
		struct rmw rmw = BIT_RMW(bits, WORD_##kind(bits, bit));                   \
		bit &= bits - 1;                                                          \
		if (likely(rmw.at)) {                                                     \
			locked_##name##_##bits(rmw.at, bit, &cpu->arithmetic_flags);      \
			return;                                                           \
		}                                                                         \
		split_lock_take(cpu);                                                     \
		rmw_set_##bits(cpu, &rmw,                                                 \
			host_##name##_##bits(                                             \
				rmw_get_##bits(cpu, &rmw), bit, &cpu->arithmetic_flags)); \
		split_lock_release(cpu);                                                  \
	}                                                                                 \
	HANDLER(name##_##kind##_##bits##_m)                                               \
	{                                                                                 \
		u##bits bit = BIT_##kind(bits);                                           \
		struct rmw rmw = BIT_RMW(bits, WORD_##kind(bits, bit));                   \
		bit &= bits - 1;                                                          \
		rmw_set_##bits(cpu, &rmw,                                                 \
			host_##name##_##bits(                                             \
				rmw_get_##bits(cpu, &rmw), bit, &cpu->arithmetic_flags)); \
	}

#define DEFINE_BIT_FAMILY(name, bits)     \
	DEFINE_HOST_BIT(name, bits)       \
	DEFINE_LOCKED_BIT(name, bits)     \
	DEFINE_BIT_CHANGE(name, bits, EG) \
	DEFINE_BIT_CHANGE(name, bits, EI)

#define DEFINE_BITS(bits)            \
	DEFINE_HOST_BIT(bt, bits)    \
	DEFINE_BIT_TEST(bits, EG)    \
	DEFINE_BIT_TEST(bits, EI)    \
	DEFINE_BIT_FAMILY(bts, bits) \
	DEFINE_BIT_FAMILY(btr, bits) \
	DEFINE_BIT_FAMILY(btc, bits)

FOR_SIZES_V(DEFINE_BITS)

/* ---- scans --------------------------------------------------------------------------------------- */

/* A source of zero sets ZF and leaves the destination as it was (APM; SDM calls it undefined). */
#define DEFINE_SCAN(name, bits)                                           \
	static always_inline void scan_##name##_##bits(                   \
		struct cpu *cpu, const struct insn *insn, u##bits source) \
	{                                                                 \
		u##bits result = 0;                                       \
		packed_flags flags;                                       \
		__asm__(#name SUFFIX_##bits " %2, %0" SAVE_FLAGS          \
			: "+r"(result), "=a"(flags)                       \
			: "r"(source)                                     \
			: "cc");                                          \
		cpu->arithmetic_flags = flags;                            \
		if (source)                                               \
			reg_set_##bits(cpu, insn->reg, result);           \
	}

/* The number of zero bits at an end; the width, and CF, for a source of zero. */
#define DEFINE_COUNT(name, bits, end)                                                        \
	static always_inline void scan_##name##_##bits(                                      \
		struct cpu *cpu, const struct insn *insn, u##bits source)                    \
	{                                                                                    \
		unsigned result = source ? end : bits;                                       \
		packed_flags flags =                                                         \
			(packed_flags)((source ? 0 : PACKED_CF) | (result ? 0 : PACKED_ZF)); \
		cpu->arithmetic_flags = flags;                                               \
		reg_set_##bits(cpu, insn->reg, (u##bits)result);                             \
	}

#define DEFINE_POPCNT(bits)                                               \
	static always_inline void scan_popcnt_##bits(                     \
		struct cpu *cpu, const struct insn *insn, u##bits source) \
	{                                                                 \
		u##bits result;                                           \
		packed_flags flags;                                       \
		__asm__("popcnt" SUFFIX_##bits " %2, %0" SAVE_FLAGS       \
			: "=r"(result), "=a"(flags)                       \
			: "r"(source)                                     \
			: "cc");                                          \
		cpu->arithmetic_flags = flags;                            \
		reg_set_##bits(cpu, insn->reg, result);                   \
	}

#define DEFINE_SCAN_HANDLERS(name, bits)                                       \
	HANDLER(name##_GE_##bits##_r)                                          \
	{                                                                      \
		scan_##name##_##bits(cpu, insn, rm_get_##bits(cpu, insn));     \
	}                                                                      \
	HANDLER(name##_GE_##bits##_m)                                          \
	{                                                                      \
		scan_##name##_##bits(cpu, insn, memory_get_##bits(cpu, insn)); \
	}

#define DEFINE_SCANS(bits)                                                               \
	DEFINE_SCAN(bsf, bits)                                                           \
	DEFINE_SCAN(bsr, bits)                                                           \
	DEFINE_COUNT(tzcnt, bits, (unsigned)__builtin_ctzll(source))                     \
	DEFINE_COUNT(lzcnt, bits, (unsigned)__builtin_clzll((u64)source << (64 - bits))) \
	DEFINE_POPCNT(bits)                                                              \
	DEFINE_SCAN_HANDLERS(bsf, bits)                                                  \
	DEFINE_SCAN_HANDLERS(bsr, bits)                                                  \
	DEFINE_SCAN_HANDLERS(tzcnt, bits)                                                \
	DEFINE_SCAN_HANDLERS(lzcnt, bits)                                                \
	DEFINE_SCAN_HANDLERS(popcnt, bits)

FOR_SIZES_V(DEFINE_SCANS)

/* ---- CRC32 --------------------------------------------------------------------------------------- */

/* Always 32 bits of result; the destination's upper half is cleared with REX.W as without. */
#define DEFINE_CRC32(bits)                                                \
	static always_inline void crc32_##bits(                           \
		struct cpu *cpu, const struct insn *insn, u##bits source) \
	{                                                                 \
		u64 crc = reg_get_32(cpu, insn->reg);                     \
		__asm__(CRC32_##bits : "+r"(crc) : "r"(source));          \
		reg_set_64(cpu, insn->reg, (u32)crc);                     \
	}                                                                 \
	HANDLER(crc32_GE_##bits##_r)                                      \
	{                                                                 \
		crc32_##bits(cpu, insn, rm_get_##bits(cpu, insn));        \
	}                                                                 \
	HANDLER(crc32_GE_##bits##_m)                                      \
	{                                                                 \
		crc32_##bits(cpu, insn, memory_get_##bits(cpu, insn));    \
	}

#define CRC32_8 "crc32b %1, %k0"
#define CRC32_16 "crc32w %1, %k0"
#define CRC32_32 "crc32l %1, %k0"
#define CRC32_64 "crc32q %1, %q0"

FOR_SIZES(DEFINE_CRC32)

/* ---- ADCX, ADOX ---------------------------------------------------------------------------------- */

/* An addition that reads and writes one flag only. */
#define DEFINE_ADD_WITH(name, bits, flag)                                                     \
	static always_inline void name##_##bits(                                              \
		struct cpu *cpu, const struct insn *insn, u##bits source)                     \
	{                                                                                     \
		u##bits sum, a = reg_get_##bits(cpu, insn->reg);                              \
		bool carry = __builtin_add_overflow(a, source, &sum);                         \
		carry |= __builtin_add_overflow(                                              \
			sum, (u##bits)((cpu->arithmetic_flags & flag) != 0), &sum);           \
		cpu->arithmetic_flags =                                                       \
			(packed_flags)((cpu->arithmetic_flags & ~flag) | (carry ? flag : 0)); \
		reg_set_##bits(cpu, insn->reg, sum);                                          \
	}                                                                                     \
	HANDLER(name##_GE_##bits##_r)                                                         \
	{                                                                                     \
		name##_##bits(cpu, insn, rm_get_##bits(cpu, insn));                           \
	}                                                                                     \
	HANDLER(name##_GE_##bits##_m)                                                         \
	{                                                                                     \
		name##_##bits(cpu, insn, memory_get_##bits(cpu, insn));                       \
	}

DEFINE_ADD_WITH(adcx, 32, PACKED_CF)
DEFINE_ADD_WITH(adcx, 64, PACKED_CF)
DEFINE_ADD_WITH(adox, 32, PACKED_OF)
DEFINE_ADD_WITH(adox, 64, PACKED_OF)
