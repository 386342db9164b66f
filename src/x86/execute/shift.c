/* SPDX-License-Identifier: MIT */
/*
 * ROL, ROR, RCL, RCR, SHL, SHR, SAR by 1, CL and an immediate, SHLD and SHRD. The host's own instruction runs with the
 * guest's flags loaded and the guest's count, so masking, a count of zero (no flag changes) and counts past
 * the width are the processor's. APM volume 3.
 */
#include "x86/execute/operands.h"
#include "x86/fpu_stubs.h"

#define DEFINE_HOST_SHIFT(name, bits)                                         \
	static always_inline u##bits host_##name##_##bits(                    \
		u##bits value, u8 count, packed_flags *flags)                 \
	{                                                                     \
		__asm__(LOAD_FLAGS #name SUFFIX_##bits " %%cl, %0" SAVE_FLAGS \
			: "+r"(value), "+a"(*flags)                           \
			: "c"(count)                                          \
			: "cc");                                              \
		return value;                                                 \
	}

/* The shifts set all flags unless the count is zero, so that none need be loaded. */
#define DEFINE_HOST_SHIFT_FRESH(name, bits)                        \
	static always_inline u##bits host_##name##_##bits(         \
		u##bits value, u8 count, packed_flags *flags)      \
	{                                                          \
		packed_flags after;                                \
		if (unlikely(!(count & (bits == 64 ? 63 : 31))))   \
			return value;                              \
		__asm__(#name SUFFIX_##bits " %%cl, %0" SAVE_FLAGS \
			: "+r"(value), "=a"(after)                 \
			: "c"(count)                               \
			: "cc");                                   \
		*flags = after;                                    \
		return value;                                      \
	}

/*
 * Rotations by an immediate of more than 1 leave OF undefined, and processors make other things of it than of the same count in CL, and
 * others again where the operand is memory. Where code is translated it runs as it is: so it does here, too.
 */
DEFINE_STUBS(rol_8_r, "0xc0, 0xc2", 32)
DEFINE_STUBS(rol_8_m, "0xc0, 0x02", 32)
DEFINE_STUBS(rol_16_r, "0x66, 0xc1, 0xc2", 32)
DEFINE_STUBS(rol_16_m, "0x66, 0xc1, 0x02", 32)
DEFINE_STUBS(rol_32_r, "0xc1, 0xc2", 32)
DEFINE_STUBS(rol_32_m, "0xc1, 0x02", 32)
DEFINE_STUBS(rol_64_r, "0x48, 0xc1, 0xc2", 64)
DEFINE_STUBS(rol_64_m, "0x48, 0xc1, 0x02", 64)
DEFINE_STUBS(ror_8_r, "0xc0, 0xca", 32)
DEFINE_STUBS(ror_8_m, "0xc0, 0x0a", 32)
DEFINE_STUBS(ror_16_r, "0x66, 0xc1, 0xca", 32)
DEFINE_STUBS(ror_16_m, "0x66, 0xc1, 0x0a", 32)
DEFINE_STUBS(ror_32_r, "0xc1, 0xca", 32)
DEFINE_STUBS(ror_32_m, "0xc1, 0x0a", 32)
DEFINE_STUBS(ror_64_r, "0x48, 0xc1, 0xca", 64)
DEFINE_STUBS(ror_64_m, "0x48, 0xc1, 0x0a", 64)

/* Runs the stub with the guest's flags and the value in RDX, or its address. */
u64 rotate_by_stub(u64 value, const u8 *stub, packed_flags *flags)
	__attribute__((visibility("hidden")));
__asm__(".pushsection .text.rotate_by_stub, \"ax\", @progbits\n"
	".globl rotate_by_stub\n"
	".hidden rotate_by_stub\n"
	".type rotate_by_stub, @function\n"
	"rotate_by_stub:\n"
	"	movq %rdx, %rcx\n"
	"	movzwl (%rcx), %eax\n"
	"	movq %rdi, %rdx\n"
	"	addb $127, %al\n"
	"	sahf\n"
	"	call *%rsi\n"
	"	lahf\n"
	"	seto %al\n"
	"	movw %ax, (%rcx)\n"
	"	movq %rdx, %rax\n"
	"	ret\n"
	".size rotate_by_stub, . - rotate_by_stub\n"
	".popsection\n");

#define DEFINE_HOST_ROTATE(name, bits)                                                 \
	DEFINE_HOST_SHIFT(name, bits)                                                  \
	static always_inline u##bits host_##name##_immediate_##bits##_r(               \
		u##bits value, u8 count, packed_flags *flags)                          \
	{                                                                              \
		count &= bits == 64 ? 63 : 31;                                         \
		if (count <= 1)                                                        \
			return host_##name##_##bits(value, count, flags);              \
		return (u##bits)rotate_by_stub(                                        \
			value, stubs_##name##_##bits##_r + count * STUB_BYTES, flags); \
	}                                                                              \
	static always_inline u##bits host_##name##_immediate_##bits##_m(               \
		u##bits value, u8 count, packed_flags *flags)                          \
	{                                                                              \
		count &= bits == 64 ? 63 : 31;                                         \
		if (count <= 1)                                                        \
			return host_##name##_##bits(value, count, flags);              \
		rotate_by_stub((u64)(uintptr_t)&value,                                 \
			stubs_##name##_##bits##_m + count * STUB_BYTES, flags);        \
		return value;                                                          \
	}                                                                              \
	HANDLER(name##_EI_##bits##_r)                                                  \
	{                                                                              \
		reg_set_##bits(cpu, insn->rm,                                          \
			host_##name##_immediate_##bits##_r(rm_get_##bits(cpu, insn),   \
				SHIFT_COUNT_EI, &cpu->arithmetic_flags));              \
	}                                                                              \
	DEFINE_MODIFYING(name##_EI_##bits##_m, bits,                                   \
		host_##name##_immediate_##bits##_m(value, SHIFT_COUNT_EI, flags))

#define SHIFT_COUNT_EC (u8) cpu->regs[RCX]
#define SHIFT_COUNT_EI (u8) insn->immediate

#define DEFINE_SHIFT_FORMS(name, bits, kind)                                               \
	HANDLER(name##_##kind##_##bits##_r)                                                \
	{                                                                                  \
		reg_set_##bits(cpu, insn->rm,                                              \
			host_##name##_##bits(rm_get_##bits(cpu, insn), SHIFT_COUNT_##kind, \
				&cpu->arithmetic_flags));                                  \
	}                                                                                  \
	DEFINE_MODIFYING(name##_##kind##_##bits##_m, bits,                                 \
		host_##name##_##bits(value, SHIFT_COUNT_##kind, flags))

#define DEFINE_SHIFT(host, name, bits) \
	host(name, bits) DEFINE_SHIFT_FORMS(name, bits, EC) DEFINE_SHIFT_FORMS(name, bits, EI)

#define DEFINE_ROTATE(name, bits) DEFINE_HOST_ROTATE(name, bits) DEFINE_SHIFT_FORMS(name, bits, EC)

#define DEFINE_SHIFTS(bits)                              \
	DEFINE_ROTATE(rol, bits)                         \
	DEFINE_ROTATE(ror, bits)                         \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT, rcl, bits)       \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT, rcr, bits)       \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT_FRESH, shl, bits) \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT_FRESH, shr, bits) \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT_FRESH, sar, bits)

FOR_SIZES(DEFINE_SHIFTS)

/* ---- SHLD, SHRD ---------------------------------------------------------------------------------- */

#define DEFINE_HOST_DOUBLE(name, bits)                                            \
	static always_inline u##bits host_##name##_##bits(                        \
		u##bits value, u##bits from, u8 count, packed_flags *flags)       \
	{                                                                         \
		__asm__(LOAD_FLAGS #name SUFFIX_##bits " %%cl, %2, %0" SAVE_FLAGS \
			: "+r"(value), "+a"(*flags)                               \
			: "r"(from), "c"(count)                                   \
			: "cc");                                                  \
		return value;                                                     \
	}

#define DEFINE_DOUBLE_FORMS(name, bits, kind, suffix)                               \
	HANDLER(name##_EG##suffix##_##bits##_r)                                     \
	{                                                                           \
		reg_set_##bits(cpu, insn->rm,                                       \
			host_##name##_##bits(rm_get_##bits(cpu, insn),              \
				reg_get_##bits(cpu, insn->reg), SHIFT_COUNT_##kind, \
				&cpu->arithmetic_flags));                           \
	}                                                                           \
	DEFINE_MODIFYING(name##_EG##suffix##_##bits##_m, bits,                      \
		host_##name##_##bits(                                               \
			value, reg_get_##bits(cpu, insn->reg), SHIFT_COUNT_##kind, flags))

#define DEFINE_DOUBLE(name, bits)              \
	DEFINE_HOST_DOUBLE(name, bits)         \
	DEFINE_DOUBLE_FORMS(name, bits, EI, I) \
	DEFINE_DOUBLE_FORMS(name, bits, EC, C)

#define DEFINE_DOUBLES(bits) DEFINE_DOUBLE(shld, bits) DEFINE_DOUBLE(shrd, bits)

FOR_SIZES_V(DEFINE_DOUBLES)
