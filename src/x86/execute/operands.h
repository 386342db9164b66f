/* SPDX-License-Identifier: MIT */
/*
 * What the integer semantics share: per-size words for the macros that make the families, operands by form, the
 * read-modify-write of memory operands, and the guest's flags in the host's flags register.
 */
#ifndef X86_EXECUTE_OPERANDS_H
#define X86_EXECUTE_OPERANDS_H

#include "x86/address.h"
#include "x86/decode/handlers.h"
#include "x86/flags.h"
#include "x86/split_lock.h"
#include "x86/raise.h"

/* The assembler's suffix of a size, and the pieces of inline assembly around one arithmetic instruction. */
#define SUFFIX_8 "b"
#define SUFFIX_16 "w"
#define SUFFIX_32 "l"
#define SUFFIX_64 "q"

#define SAVE_FLAGS "\n\tlahf\n\tseto %%al"
/* CF, PF, AF, ZF and SF only; enough before instructions that read CF and write OF. */
#define LOAD_FLAGS_BUT_OF "sahf\n\t"
/* All of them: 1 + 127 overflows a signed byte, 0 + 127 does not. */
#define LOAD_FLAGS "addb $127, %%al\n\tsahf\n\t"

#define HANDLER(name) void execute_##name(struct cpu *cpu, const struct insn *insn)

#define FOR_SIZES(X) X(8) X(16) X(32) X(64)
#define FOR_SIZES_V(X) X(16) X(32) X(64)
#define FOR_CONDITIONS(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

#define DEFINE_OPERANDS(bits)                                                                      \
	static always_inline u##bits rm_get_##bits(const struct cpu *cpu, const struct insn *insn) \
	{                                                                                          \
		return reg_get_##bits(cpu, insn->rm);                                              \
	}                                                                                          \
	static always_inline u##bits memory_get_##bits(struct cpu *cpu, const struct insn *insn)   \
	{                                                                                          \
		return load_##bits(cpu, address_linear(cpu, insn, bits / 8, ACCESS_READ));         \
	}                                                                                          \
	static always_inline void memory_set_##bits(                                               \
		struct cpu *cpu, const struct insn *insn, u##bits value)                           \
	{                                                                                          \
		store_##bits(cpu, address_linear(cpu, insn, bits / 8, ACCESS_WRITE), value);       \
	}                                                                                          \
	/* A memory operand that is read and then written: see rmw_begin. */                       \
	static always_inline u##bits rmw_get_##bits(struct cpu *cpu, const struct rmw *rmw)        \
	{                                                                                          \
		return likely(rmw->at) ? ram_load_##bits(rmw->at) : load_##bits(cpu, rmw->linear); \
	}                                                                                          \
	static always_inline void rmw_set_##bits(                                                  \
		struct cpu *cpu, const struct rmw *rmw, u##bits value)                             \
	{                                                                                          \
		if (likely(rmw->at))                                                               \
			ram_store_##bits(rmw->at, value);                                          \
		else                                                                               \
			store_##bits(cpu, rmw->linear, value);                                     \
	}

/* A memory operand for reading and writing: everything that can fault has been checked. */
struct rmw {
	u64 linear;
	void *at; /* NULL: by load and store (MMIO, page end) */
};

static always_inline struct rmw rmw_begin_linear(struct cpu *cpu, u64 linear, unsigned bytes)
{
	return (struct rmw){linear, access_rmw(cpu, linear, bytes)};
}

static always_inline struct rmw rmw_begin(struct cpu *cpu, const struct insn *insn, unsigned bytes)
{
	return rmw_begin_linear(cpu, address_linear(cpu, insn, bytes, ACCESS_WRITE), bytes);
}

FOR_SIZES(DEFINE_OPERANDS)

/*
 * The host address of a memory operand that 64-bit code has in the TLB and within one page, or NULL: the way of nearly
 * all, and the one without a call, so that the handlers below need no stack frame; the others go on in name_slow.
 */
static always_inline void *memory_hit(
	struct cpu *cpu, const struct insn *insn, unsigned bytes, enum access_kind kind)
{
	if (unlikely(!(insn->flags & INSN_FLAT)))
		return NULL;
	u64 linear = address_sum(cpu, insn) + cpu->segments[insn->segment].base;
	const struct tlb_entry *entry = &cpu->data_tlb[tlb_index(linear)];
	u64 page = kind == ACCESS_WRITE ? entry->write : entry->read;
	/* The last byte's page: where that is the next one, the first one's entry cannot be it. */
	if (unlikely(page != ((linear + bytes - 1) & PAGE_MASK)))
		return NULL;
	return (void *)(linear + entry->addend);
}

/* A handler that reads its memory operand into `value`, for `body` to use. */
#define DEFINE_READING(name, bits, body)                                            \
	static no_inline void name##_slow(struct cpu *cpu, const struct insn *insn) \
	{                                                                           \
		u##bits value = memory_get_##bits(cpu, insn);                       \
		body;                                                               \
	}                                                                           \
	HANDLER(name)                                                               \
	{                                                                           \
		const void *at = memory_hit(cpu, insn, bits / 8, ACCESS_READ);      \
		if (likely(at)) {                                                   \
			u##bits value = ram_load_##bits(at);                        \
			body;                                                       \
		} else {                                                            \
			name##_slow(cpu, insn);                                     \
		}                                                                   \
	}

/* A handler that writes `expression` to its memory operand. */
#define DEFINE_WRITING(name, bits, expression)                                      \
	static no_inline void name##_slow(struct cpu *cpu, const struct insn *insn) \
	{                                                                           \
		memory_set_##bits(cpu, insn, expression);                           \
	}                                                                           \
	HANDLER(name)                                                               \
	{                                                                           \
		void *at = memory_hit(cpu, insn, bits / 8, ACCESS_WRITE);           \
		if (likely(at))                                                     \
			ram_store_##bits(at, expression);                           \
		else                                                                \
			name##_slow(cpu, insn);                                     \
	}

/* A handler that writes `expression`, made of `value` and `flags` (where to put them), over `value`. Not locked. */
#define DEFINE_MODIFYING(name, bits, expression)                                    \
	static no_inline void name##_slow(struct cpu *cpu, const struct insn *insn) \
	{                                                                           \
		packed_flags after = cpu->arithmetic_flags, *flags = &after;        \
		struct rmw rmw = rmw_begin(cpu, insn, bits / 8);                    \
		u##bits value = rmw_get_##bits(cpu, &rmw);                          \
		rmw_set_##bits(cpu, &rmw, expression);                              \
		cpu->arithmetic_flags = after;                                      \
	}                                                                           \
	HANDLER(name)                                                               \
	{                                                                           \
		void *at = memory_hit(cpu, insn, bits / 8, ACCESS_WRITE);           \
		if (likely(at)) {                                                   \
			packed_flags *flags = &cpu->arithmetic_flags;               \
			u##bits value = ram_load_##bits(at);                        \
			ram_store_##bits(at, expression);                           \
		} else {                                                            \
			name##_slow(cpu, insn);                                     \
		}                                                                   \
	}

/* An absolute or relative near branch's target, checked, becomes RIP: execute/branch.c. */
void branch_to(struct cpu *cpu, const struct insn *insn, u64 target);

#endif
