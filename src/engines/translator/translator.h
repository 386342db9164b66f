/* SPDX-License-Identifier: MIT */
/*
 * The translator's own state, one a vCPU. Decoded blocks come from engines/blocks; a block that runs often gets a translation:
 * host code in code memory, and what is needed to link it to others and to take it away again. A translation belongs to a
 * guest-physical page, not to a linear address: RIP is WORD_CODE_BASE plus a constant. docs/design/translator.md is the long form.
 */
#ifndef ENGINES_TRANSLATOR_TRANSLATOR_H
#define ENGINES_TRANSLATOR_TRANSLATOR_H

#include "core/host.h"
#include "core/machine.h"
#include "engines/blocks/loop.h"
#include "engines/translator/emit.h"

struct translation;

/*
 * A place where control leaves a translation towards a known address. Not linked, it runs the branch by the
 * interpreter's semantics and leaves to the run loop, which links it if what follows has a translation.
 */
struct edge {
	struct edge *next; /* others into the same target */
	struct translation *target;
	u32 jump;     /* where the displacement is */
	u32 unlinked; /* where it goes when not linked */
	u32 key; /* an edge to another page: where the key's negative is, with which it was linked; 0: none */
	u32 key_word;	  /* and where the displacement of the word is that is compared with it */
	bool flags_saved; /* it arrives with the flags in memory, else in the host's */
};

struct translation {
	struct block *block;
	u32 entry_host;		    /* guest flags are in the host's */
	u32 entry_saved;	    /* they are in memory */
	u32 dropped;		    /* where a dropped translation's entry jumps to */
	u32 begin, end;		    /* the block's own code */
	u32 aside_begin, aside_end; /* the pieces beside it, and the edges' keys */
	struct edge *incoming;
	struct edge *edges;
	u32 edge_count;
};

struct build;

struct translator {
	struct loop loop; /* first: engines/blocks/loop.h */
	struct vcpu *vcpu;
	struct host_code_memory memory;
	/*
	 * Code memory has two halves: what runs mostly, packed closely, and the pieces beside it (aside.c). Each is divided
	 * as the blocks' arena is (blocks/regions.h). `code` writes to the current region of the first; aside_at is where that of
	 * the second is filled to.
	 */
	struct code code;
	u32 thunks_end, aside_at, aside_limit;
	/* Offsets of the common pieces (thunks.c). */
	u32 thunk_enter, thunk_leave, thunk_insn, thunk_insn_fpu, thunk_insn_end, thunk_fpu_load,
		thunk_avx_load, thunk_x87_load, thunk_fldcw, thunk_cmpxchg16b;
	/* Indirect jumps' targets, by the key under which they were found. */
	struct jump_table {
		u64 key; /* 0: empty */
		u64 used;
		u64 filled[JUMP_SETS / 64]; /* a bit a set with something in it */
		struct jump_set *sets;
	} tables[JUMP_TABLES];
	u64 uses;
	struct build *build;	   /* what translating one block needs */
	bool is_full;		   /* the region is: the oldest one goes before the next block */
	bool is_counted;	   /* exact instruction counts, which cost */
	struct verifier *verifier; /* verify.h; NULL: nothing is verified */
	struct {
		u64 translated, unproven; /* unproven: did not pass it */
	} counts;
};

static always_inline struct translator *translator_of(struct vcpu *vcpu)
{
	return vcpu->engine;
}

/*
 * The common pieces, once. thunk_enter is enter_fn. thunk_insn, by CALL with the instruction in RAX and the offset of the
 * next in RCX, flags in memory: runs it by its semantics and comes back, or leaves when the block is to end. thunk_insn_fpu is for
 * those that work on the FPU's state. thunk_insn_end, by a jump: leaves in any case. thunk_fpu_load, thunk_avx_load and thunk_x87_load, called as
 * thunk_insn: come back with the guest's FPU registers in the host's, or run the instruction and leave. thunk_fldcw, called as thunk_insn with
 * x87's state live: FLDCW with WORD_FPU_CONTROL, or runs the instruction and leaves, if it unmasks an exception. thunk_cmpxchg16b, called with the operand's checked address in RCX
 * and the guest's flags in the host's: LOCK CMPXCHG16B. thunk_leave: all has been done.
 */
void thunks_make(struct translator *translator);
typedef void enter_fn(struct cpu *cpu, const u8 *code);

/* Makes block->translation, unless it does not pass the verifier; false: no room in the code memory or the arena. */
bool translate_block(struct translator *translator, struct block *block);
/* From now on edge goes to target without a detour. Both are live. */
void edge_link(struct translator *translator, struct edge *edge, struct translation *target,
	u64 key, bool is_global);
/* Nothing jumps to it any more, and its entry leaves. */
void translation_drop(struct translator *translator, struct translation *translation);

#endif
