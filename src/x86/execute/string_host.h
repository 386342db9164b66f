/* SPDX-License-Identifier: MIT */
/*
 * The host's own string instructions on RAM. Aligned elements are as whole to others as those of the guest's instruction
 * would be, since it is the same one.
 */
#ifndef X86_EXECUTE_STRING_HOST_H
#define X86_EXECUTE_STRING_HOST_H

#include "x86/execute/operands.h"

#define CHUNK_BYTES_MIN 128 /* less is not worth a start */

/*
 * Processors are slow with the direction flag set. How many elements can go forward at once with the same result, the last ones first;
 * 0: backward they must go, since what is read was written by elements just before.
 */
static inline u64 string_chunk_backward(const u8 *to, const u8 *from, u64 count, unsigned bytes)
{
	u64 distance = to > from ? (u64)(to - from) : (u64)(from - to);
	if (distance >= count * bytes)
		return count;
	return to > from && distance >= CHUNK_BYTES_MIN ? distance / bytes : 0;
}

/* The direction flag is set within one piece of assembly only: the compiler relies on it being clear. */
#define IN_DIRECTION(instruction) \
	"testb %b[backward], %b[backward]\n\tjz 1f\n\tstd\n1:\t" instruction SAVE_FLAGS "\n\tcld"

#define DEFINE_HOST_STRING(bits)                                                                    \
	static inline void host_movs_forward_##bits(u8 *to, const u8 *from, u64 count)              \
	{                                                                                           \
		__asm__ volatile("rep movs" SUFFIX_##bits                                           \
				 : "+D"(to), "+S"(from), "+c"(count)                                \
				 :                                                                  \
				 : "memory");                                                       \
	}                                                                                           \
	static no_inline void host_movs_backward_##bits(u8 *to, const u8 *from, u64 count)          \
	{                                                                                           \
		u64 chunk = string_chunk_backward(to, from, count, bits / 8);                       \
		for (; chunk; chunk = MIN(chunk, count)) {                                          \
			u64 back = (chunk - 1) * (bits / 8);                                        \
			host_movs_forward_##bits(to - back, from - back, chunk);                    \
			count -= chunk;                                                             \
			to -= chunk * (bits / 8);                                                   \
			from -= chunk * (bits / 8);                                                 \
		}                                                                                   \
		if (!count)                                                                         \
			return;                                                                     \
		__asm__ volatile("std\n\trep movs" SUFFIX_##bits "\n\tcld"                          \
				 : "+D"(to), "+S"(from), "+c"(count)                                \
				 :                                                                  \
				 : "memory", "cc");                                                 \
	}                                                                                           \
	static inline void host_movs_##bits(u8 *to, const u8 *from, u64 count, bool backward)       \
	{                                                                                           \
		if (unlikely(backward))                                                             \
			host_movs_backward_##bits(to, from, count);                                 \
		else                                                                                \
			host_movs_forward_##bits(to, from, count);                                  \
	}                                                                                           \
	static inline void host_stos_##bits(u8 *to, u64 value, u64 count, bool backward)            \
	{                                                                                           \
		if (backward)                                                                       \
			to -= (count - 1) * (bits / 8);                                             \
		__asm__ volatile("rep stos" SUFFIX_##bits                                           \
				 : "+D"(to), "+c"(count)                                            \
				 : "a"(value)                                                       \
				 : "memory");                                                       \
	}                                                                                           \
	/* Returns how many were not looked at; ends at the first whose equality is not `equal`. */ \
	static no_inline u64 host_scas_##bits(const u8 *at, u64 value, u64 count, bool equal,       \
		bool backward, packed_flags *flags)                                                 \
	{                                                                                           \
		if (equal)                                                                          \
			__asm__ volatile(IN_DIRECTION("repe scas" SUFFIX_##bits)                    \
					 : "+D"(at), "+c"(count), "+a"(value)                       \
					 : [backward] "q"(backward)                                 \
					 : "memory", "cc");                                         \
		else                                                                                \
			__asm__ volatile(IN_DIRECTION("repne scas" SUFFIX_##bits)                   \
					 : "+D"(at), "+c"(count), "+a"(value)                       \
					 : [backward] "q"(backward)                                 \
					 : "memory", "cc");                                         \
		*flags = (packed_flags)value;                                                       \
		return count;                                                                       \
	}                                                                                           \
	static no_inline u64 host_cmps_##bits(const u8 *source, const u8 *destination, u64 count,   \
		bool equal, bool backward, packed_flags *flags)                                     \
	{                                                                                           \
		packed_flags after;                                                                 \
		if (equal)                                                                          \
			__asm__ volatile(                                                           \
				IN_DIRECTION("repe cmps" SUFFIX_##bits)                             \
				: "+S"(source), "+D"(destination), "+c"(count), "=&a"(after)        \
				: [backward] "q"(backward)                                          \
				: "memory", "cc");                                                  \
		else                                                                                \
			__asm__ volatile(                                                           \
				IN_DIRECTION("repne cmps" SUFFIX_##bits)                            \
				: "+S"(source), "+D"(destination), "+c"(count), "=&a"(after)        \
				: [backward] "q"(backward)                                          \
				: "memory", "cc");                                                  \
		*flags = after;                                                                     \
		return count;                                                                       \
	}

FOR_SIZES(DEFINE_HOST_STRING)

#endif
