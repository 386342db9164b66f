/* SPDX-License-Identifier: MIT */
/*
 * MOVS, STOS, LODS, SCAS, CMPS, alone and repeated: APM volume 3.
 *
 * A repeated one goes over runs: as many elements as lie within one page of RAM at each pointer, without an
 * address or a segment limit wrapping, are one host string instruction on the host's addresses. So overlaps come
 * out exactly as they do element by element. What a run can't have (MMIO, elements across a page end,
 * breakpoints, single steps) goes one element at a time. Registers are right after each run, so a fault or an interrupt
 * finds RCX, RSI and RDI at the element it happened before.
 */
#include "x86/execute/string.h"
#include "x86/execute/string_host.h"

/* One end of a run. */
struct string_end {
	u64 linear; /* of the current element */
	u8 *host;   /* the current element in RAM; NULL: none */
};

/* ---- how long a run may be ----------------------------------------------------------------------- */

/* Elements from `at` on that end before the page does, in the direction; 0 when the first crosses its end. */
static always_inline u64 elements_in_page(u64 at, unsigned bytes, bool backward)
{
	u64 in_page = at & ~PAGE_MASK;
	if (in_page > PAGE_SIZE - bytes)
		return 0;
	return backward ? in_page / bytes + 1 : (PAGE_SIZE - in_page) / bytes;
}

/* The same for the address size's wrap: offset's elements that need none. */
static u64 elements_before_wrap(const struct insn *insn, u64 offset, unsigned bytes, bool backward)
{
	u64 last = string_cut(insn, ~(u64)0);
	if (offset > last - (bytes - 1))
		return 0;
	return backward ? offset / bytes + 1 : (last - offset - (bytes - 1)) / bytes + 1;
}

/* Outside 64-bit code: whether the whole run lies within the segment; no answer is given by raising. */
static bool run_within_segment(
	struct cpu *cpu, unsigned name, u64 offset, u64 count, unsigned bytes, bool backward)
{
	const struct segment *segment = &cpu->segments[name];
	bool expands_down = (segment->attributes & (SEGMENT_S | 0xc)) == (SEGMENT_S | 0x4);
	u64 first = backward ? offset - (count - 1) * bytes : offset;
	return !expands_down && first + count * bytes - 1 <= segment->limit;
}

/* One pointer's limit on the run's `count`. */
static u64 run_limit(struct cpu *cpu, const struct insn *insn, enum register_name name, u64 linear,
	u64 count, unsigned bytes)
{
	bool backward = string_backward(cpu);
	u64 offset = string_get(cpu, insn, name);
	count = MIN(count, elements_in_page(linear, bytes, backward));
	if (likely(insn->code_size == SIZE_64 && insn->address_size == SIZE_64))
		return count;
	count = MIN(count, elements_before_wrap(insn, offset, bytes, backward));
	if (count <= 1 || insn->code_size == SIZE_64)
		return count;
	unsigned segment = name == RSI ? insn->segment : SEGMENT_ES;
	return run_within_segment(cpu, segment, offset, count, bytes, backward) ? count : 1;
}

static always_inline u8 *tlb_host(struct cpu *cpu, u64 linear, enum access_kind kind)
{
	const struct tlb_entry *entry = &cpu->data_tlb[tlb_index(linear)];
	u64 page = kind == ACCESS_WRITE ? entry->write : entry->read;
	return page == (linear & PAGE_MASK) ? (u8 *)(linear + entry->addend) : NULL;
}

/* The current element's host address: a fault names it, not the run. NULL: no RAM. */
static u8 *element_host(struct cpu *cpu, u64 linear, unsigned bytes, enum access_kind kind)
{
	u8 *host = tlb_host(cpu, linear, kind);
	return likely(host) ? host : paging_host_address(cpu, linear, bytes, kind, cpu->tlb_mode);
}

/* Pages that the TLB won't have for writing are watched: they hear of the whole run. */
static void run_announce(struct cpu *cpu, u64 linear, u64 count, unsigned bytes)
{
	if (likely(count == 1 || tlb_host(cpu, linear, ACCESS_WRITE)))
		return;
	u64 start = string_backward(cpu) ? linear - (count - 1) * bytes : linear;
	paging_host_address(cpu, start, count * bytes, ACCESS_WRITE, cpu->tlb_mode);
}

/* RSI and RDI, as far as they are used, and RCX after `count` elements. */
static void run_advance(
	struct cpu *cpu, const struct insn *insn, unsigned ends, u64 count, unsigned bytes)
{
	u64 delta = count * string_step(cpu, bytes);
	if (ends & BIT(RSI))
		string_add(cpu, insn, RSI, delta);
	if (ends & BIT(RDI))
		string_add(cpu, insn, RDI, delta);
	string_add(cpu, insn, RCX, -count);
}

#define DEFINE_COMPARE(bits)                                                            \
	static always_inline void compare_##bits(struct cpu *cpu, u##bits a, u##bits b) \
	{                                                                               \
		packed_flags after;                                                     \
		__asm__("cmp" SUFFIX_##bits " %2, %1" SAVE_FLAGS                        \
			: "=a"(after)                                                   \
			: "r"(a), "r"(b)                                                \
			: "cc");                                                        \
		cpu->arithmetic_flags = after;                                          \
	}

FOR_SIZES(DEFINE_COMPARE)

/* ---- one element --------------------------------------------------------------------------------- */

#define ENDS_movs (BIT(RSI) | BIT(RDI))
#define ENDS_stos BIT(RDI)
#define ENDS_lods BIT(RSI)
#define ENDS_scas BIT(RDI)
#define ENDS_cmps (BIT(RSI) | BIT(RDI))

#define DEFINE_ELEMENT(bits)                                                                     \
	static always_inline void element_movs_##bits(struct cpu *cpu, const struct insn *insn)  \
	{                                                                                        \
		u##bits value = load_##bits(cpu, string_source(cpu, insn, bits / 8));            \
		store_##bits(cpu, string_destination(cpu, insn, bits / 8, ACCESS_WRITE), value); \
	}                                                                                        \
	static always_inline void element_stos_##bits(struct cpu *cpu, const struct insn *insn)  \
	{                                                                                        \
		store_##bits(cpu, string_destination(cpu, insn, bits / 8, ACCESS_WRITE),         \
			reg_get_##bits(cpu, RAX * 8));                                           \
	}                                                                                        \
	static always_inline void element_lods_##bits(struct cpu *cpu, const struct insn *insn)  \
	{                                                                                        \
		reg_set_##bits(                                                                  \
			cpu, RAX * 8, load_##bits(cpu, string_source(cpu, insn, bits / 8)));     \
	}                                                                                        \
	static always_inline void element_scas_##bits(struct cpu *cpu, const struct insn *insn)  \
	{                                                                                        \
		u64 linear = string_destination(cpu, insn, bits / 8, ACCESS_READ);               \
		compare_##bits(cpu, reg_get_##bits(cpu, RAX * 8), load_##bits(cpu, linear));     \
	}                                                                                        \
	static always_inline void element_cmps_##bits(struct cpu *cpu, const struct insn *insn)  \
	{                                                                                        \
		u64 linear = string_destination(cpu, insn, bits / 8, ACCESS_READ);               \
		u##bits destination = load_##bits(cpu, linear);                                  \
		u##bits source = load_##bits(cpu, string_source(cpu, insn, bits / 8));           \
		compare_##bits(cpu, source, destination);                                        \
	}

FOR_SIZES(DEFINE_ELEMENT)

/* ---- runs: false when one element must be done by itself ------------------------------------------ */

static always_inline bool must_go_singly(const struct cpu *cpu)
{
	return cpu->debug_active || (cpu->other_flags & RFLAGS_TF);
}

static bool source_begin(struct cpu *cpu, const struct insn *insn, unsigned bytes,
	struct string_end *source, u64 *count)
{
	source->linear = string_source(cpu, insn, bytes);
	*count = run_limit(cpu, insn, RSI, source->linear, *count, bytes);
	source->host = *count ? element_host(cpu, source->linear, bytes, ACCESS_READ) : NULL;
	return source->host;
}

static bool destination_begin(struct cpu *cpu, const struct insn *insn, unsigned bytes,
	struct string_end *destination, enum access_kind kind, u64 *count)
{
	destination->linear = string_destination(cpu, insn, bytes, kind);
	*count = run_limit(cpu, insn, RDI, destination->linear, *count, bytes);
	destination->host = *count ? element_host(cpu, destination->linear, bytes, kind) : NULL;
	return destination->host;
}

/*
 * The run's length at one or two pointers, and the host's addresses; 0: no run. Faults come in the order of the
 * accesses: MOVS reads before it writes, CMPS reads its destination first (as processors do; no manual says).
 */
static no_inline u64 run_begin_any(struct cpu *cpu, const struct insn *insn, unsigned bytes,
	struct string_end *source, struct string_end *destination, enum access_kind kind)
{
	u64 count = MIN(string_get(cpu, insn, RCX), STRING_CHUNK);
	bool source_first = source && kind == ACCESS_WRITE;
	if (unlikely(must_go_singly(cpu) || cpu->tlb_mode == TLB_USER_ALIGNED))
		return 0;
	if (source_first && !source_begin(cpu, insn, bytes, source, &count))
		return 0;
	if (destination && !destination_begin(cpu, insn, bytes, destination, kind, &count))
		return 0;
	if (source && !source_first && !source_begin(cpu, insn, bytes, source, &count))
		return 0;
	if (kind == ACCESS_WRITE)
		run_announce(cpu, destination->linear, count, bytes);
	return count;
}

/* One end, where the TLB has it: the same count as by run_limit. */
static always_inline u64 quick_begin(struct cpu *cpu, struct string_end *end, u64 linear, u64 count,
	unsigned bytes, enum access_kind kind)
{
	end->host = tlb_host(cpu, linear, kind);
	end->linear = linear;
	return end->host ? MIN(count, elements_in_page(linear, bytes, string_backward(cpu))) : 0;
}

/* run_begin_any, with a quick way for what is most common: 64-bit code, and the TLB knows. */
static always_inline u64 run_begin(struct cpu *cpu, const struct insn *insn, unsigned bytes,
	struct string_end *source, struct string_end *destination, enum access_kind kind)
{
	u64 count = MIN(cpu->regs[RCX], STRING_CHUNK);
	if (unlikely(insn->code_size != SIZE_64 || insn->address_size != SIZE_64 ||
		    must_go_singly(cpu)))
		count = 0;
	if (source)
		count = quick_begin(cpu, source, cpu->regs[RSI] + cpu->segments[insn->segment].base,
			count, bytes, ACCESS_READ);
	if (destination)
		count = quick_begin(cpu, destination, cpu->regs[RDI], count, bytes, kind);
	return likely(count) ? count : run_begin_any(cpu, insn, bytes, source, destination, kind);
}

#define DEFINE_RUN(bits)                                                                        \
	static bool run_movs_##bits(struct cpu *cpu, const struct insn *insn)                   \
	{                                                                                       \
		struct string_end from, to;                                                     \
		u64 count = run_begin(cpu, insn, bits / 8, &from, &to, ACCESS_WRITE);           \
		if (!count)                                                                     \
			return false;                                                           \
		host_movs_##bits(to.host, from.host, count, string_backward(cpu));              \
		run_advance(cpu, insn, ENDS_movs, count, bits / 8);                             \
		return true;                                                                    \
	}                                                                                       \
	static bool run_stos_##bits(struct cpu *cpu, const struct insn *insn)                   \
	{                                                                                       \
		struct string_end to;                                                           \
		u64 count = run_begin(cpu, insn, bits / 8, NULL, &to, ACCESS_WRITE);            \
		if (!count)                                                                     \
			return false;                                                           \
		host_stos_##bits(to.host, cpu->regs[RAX], count, string_backward(cpu));         \
		run_advance(cpu, insn, ENDS_stos, count, bits / 8);                             \
		return true;                                                                    \
	}                                                                                       \
	/* Only the last of the elements is seen. */                                            \
	static bool run_lods_##bits(struct cpu *cpu, const struct insn *insn)                   \
	{                                                                                       \
		struct string_end from;                                                         \
		u64 count = run_begin(cpu, insn, bits / 8, &from, NULL, ACCESS_READ);           \
		if (!count)                                                                     \
			return false;                                                           \
		u64 last = (count - 1) * (bits / 8);                                            \
		const u8 *at = string_backward(cpu) ? from.host - last : from.host + last;      \
		reg_set_##bits(cpu, RAX * 8, ram_load_##bits(at));                              \
		run_advance(cpu, insn, ENDS_lods, count, bits / 8);                             \
		return true;                                                                    \
	}                                                                                       \
	static bool run_scas_##bits(struct cpu *cpu, const struct insn *insn)                   \
	{                                                                                       \
		struct string_end at;                                                           \
		u64 count = run_begin(cpu, insn, bits / 8, NULL, &at, ACCESS_READ);             \
		if (!count)                                                                     \
			return false;                                                           \
		bool equal = insn->flags & INSN_REP, backward = string_backward(cpu);           \
		u64 skipped = string_skip(                                                      \
			at.host, NULL, cpu->regs[RAX], count, bits / 8, equal, backward);       \
		at.host += (i64)(skipped * string_step(cpu, bits / 8));                         \
		count -= host_scas_##bits(at.host, cpu->regs[RAX], count - skipped, equal,      \
			backward, &cpu->arithmetic_flags);                                      \
		run_advance(cpu, insn, ENDS_scas, count, bits / 8);                             \
		return true;                                                                    \
	}                                                                                       \
	static bool run_cmps_##bits(struct cpu *cpu, const struct insn *insn)                   \
	{                                                                                       \
		struct string_end from, at;                                                     \
		u64 count = run_begin(cpu, insn, bits / 8, &from, &at, ACCESS_READ);            \
		if (!count)                                                                     \
			return false;                                                           \
		bool equal = insn->flags & INSN_REP, backward = string_backward(cpu);           \
		u64 skipped =                                                                   \
			string_skip(at.host, from.host, 0, count, bits / 8, equal, backward);   \
		at.host += (i64)(skipped * string_step(cpu, bits / 8));                         \
		from.host += (i64)(skipped * string_step(cpu, bits / 8));                       \
		count -= host_cmps_##bits(from.host, at.host, count - skipped, equal, backward, \
			&cpu->arithmetic_flags);                                                \
		run_advance(cpu, insn, ENDS_cmps, count, bits / 8);                             \
		return true;                                                                    \
	}

FOR_SIZES(DEFINE_RUN)

/* ---- handlers ------------------------------------------------------------------------------------ */

/* MOVS, STOS and LODS repeat while RCX lasts, SCAS and CMPS while ZF is what the prefix wants, too. */
#define CONTINUES_movs true
#define CONTINUES_stos true
#define CONTINUES_lods true
#define CONTINUES_scas string_condition(cpu, insn)
#define CONTINUES_cmps string_condition(cpu, insn)

/*
 * With 32-bit addresses in 64-bit code, what a repeated instruction writes is cut even if it does no element at all: seen
 * on processors, in no manual.
 */
static void string_cut_pointers(struct cpu *cpu, const struct insn *insn, unsigned names)
{
	if (insn->address_size != SIZE_32 || insn->code_size != SIZE_64)
		return;
	for (unsigned name = RCX; name <= RDI; name++)
		if (names & BIT(name))
			cpu->regs[name] = (u32)cpu->regs[name];
}

#define CUT_movs (BIT(RCX) | BIT(RSI) | BIT(RDI))
#define CUT_stos (BIT(RCX) | BIT(RDI))
#define CUT_lods BIT(RCX)
#define CUT_scas BIT(RCX)
#define CUT_cmps BIT(RCX)

static bool string_condition(const struct cpu *cpu, const struct insn *insn)
{
	return !(insn->flags & INSN_REP) == !(cpu->arithmetic_flags & PACKED_ZF);
}

#define DEFINE_STRING(name, bits)                                                              \
	static no_inline void repeat_##name##_##bits(struct cpu *cpu, const struct insn *insn) \
	{                                                                                      \
		packed_flags before = cpu->arithmetic_flags;                                   \
		unsigned runs = 0;                                                             \
		string_cut_pointers(cpu, insn, CUT_##name);                                    \
		while (string_get(cpu, insn, RCX)) {                                           \
			/* A fault or an interrupt finds the flags from before (SDM, REP). */  \
			cpu->arithmetic_flags = before;                                        \
			if (!run_##name##_##bits(cpu, insn)) {                                 \
				element_##name##_##bits(cpu, insn);                            \
				run_advance(cpu, insn, ENDS_##name, 1, bits / 8);              \
			}                                                                      \
			if (!(CONTINUES_##name) || !string_get(cpu, insn, RCX))                \
				return;                                                        \
			if (string_must_stop(cpu, &runs)) {                                    \
				cpu->arithmetic_flags = before;                                \
				string_interrupt(cpu, insn);                                   \
				return;                                                        \
			}                                                                      \
		}                                                                              \
	}                                                                                      \
	HANDLER(name##_##bits)                                                                 \
	{                                                                                      \
		if (string_repeats(insn)) {                                                    \
			repeat_##name##_##bits(cpu, insn);                                     \
			return;                                                                \
		}                                                                              \
		element_##name##_##bits(cpu, insn);                                            \
		u64 delta = string_step(cpu, bits / 8);                                        \
		if (ENDS_##name & BIT(RSI))                                                    \
			string_add(cpu, insn, RSI, delta);                                     \
		if (ENDS_##name & BIT(RDI))                                                    \
			string_add(cpu, insn, RDI, delta);                                     \
	}

#define DEFINE_STRINGS(bits)      \
	DEFINE_STRING(movs, bits) \
	DEFINE_STRING(stos, bits) \
	DEFINE_STRING(lods, bits) \
	DEFINE_STRING(scas, bits) \
	DEFINE_STRING(cmps, bits)

FOR_SIZES(DEFINE_STRINGS)
