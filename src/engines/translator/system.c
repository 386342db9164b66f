/* SPDX-License-Identifier: MIT */
/* System instructions that a kernel executes at each system call or copy from user memory, where CPL is 0; all others are the semantics'. */
#include "engines/translator/build.h"
#include "x86/features.h"

/* To `aside` unless CPL is 0: a block that is not the user's may be found at CPL 1 and 2, too. EFLAGS are spoilt. */
static void emit_cpl0_check(struct build *b, struct aside *aside)
{
	emit_op_rm(b->code, 0x80, false, 7, place_vcpu(OFFSET_OF(cpl)));
	emit_8(b->code, 0);
	aside_jump(aside, emit_jcc(b->code, 5));
}

void emit_other_flag(struct build *b, u32 flag, bool is_set)
{
	emit_op_rm(b->code, 0x81, false, is_set ? 1 : 4, place_vcpu(OFFSET_OF(other_flags)));
	emit_32(b->code, is_set ? flag : ~flag);
}

/* STAC and CLAC: what the semantics do when SMAP is on; the block ends all the same, and the next one follows. */
static bool build_access_flag(struct build *b)
{
	bool is_set = b->insn->modrm == 0xcb;
	unsigned mode = is_set ? TLB_SUPERVISOR_USER_OK : TLB_SUPERVISOR;
	struct code *code = b->code;
	flags_clobber(code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_LEAVE);
	emit_cpl0_check(b, aside);
	emit_op_rm(code, 0xf7, false, 0, place_vcpu(OFFSET_OF(cr4)));
	emit_32(code, (u32)CR4_SMAP);
	aside_jump(aside, emit_jcc(code, 4));
	emit_other_flag(b, RFLAGS_AC, is_set);
	emit_op_rm(code, 0xc6, false, 0, place_vcpu(OFFSET_OF(tlb_mode)));
	emit_8(code, mode);
	emit_load(code, HOST_SCRATCH, place_vcpu(OFFSET_OF(tlb.by_mode) + 8 * (i32)mode));
	emit_store(code, place_vcpu(OFFSET_OF(data_tlb)), HOST_SCRATCH);
	return true;
}

static bool build_cli(struct build *b)
{
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	emit_cpl0_check(b, aside);
	emit_other_flag(b, RFLAGS_IF, false);
	aside_close(b, aside);
	return true;
}

/*
 * The instruction after STI comes before any interrupt. If nothing is pending now, it is enough to go on to its block without a look at
 * what is: whatever comes meanwhile might as well have come later. Where the edge is not linked, STI is undone and left to the
 * semantics, which let the run loop know. Counted, the next block might not begin before the run loop looks.
 */
static bool build_sti(struct build *b)
{
	if (b->translator->is_counted)
		return false;
	flags_to_memory(b->code, &b->flags);
	b->flags = (struct flags){.in_memory = true};
	struct aside *aside = aside_open(b, ASIDE_LEAVE);
	emit_cpl0_check(b, aside);
	emit_group1_place(b->code, 7, false, place_vcpu(OFFSET_OF(pending)), 0);
	aside_jump(aside, emit_jcc(b->code, 5));
	emit_op_rm(b->code, 0xf7, false, 0, place_vcpu(OFFSET_OF(other_flags)));
	emit_32(b->code, (u32)RFLAGS_IF);
	aside_jump(aside, emit_jcc(b->code, 5)); /* allowed already: no shadow */
	emit_other_flag(b, RFLAGS_IF, true);
	build_edge_to(b, b->offset_next, ASIDE_STI, 0);
	b->ends = true;
	return true;
}

static bool build_swapgs(struct build *b)
{
	struct place base = place_vcpu(OFFSET_SEGMENT_BASE(SEGMENT_GS)),
		     other = place_vcpu(OFFSET_OF(msrs.kernel_gs_base));
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	emit_cpl0_check(b, aside);
	emit_load(b->code, HOST_SCRATCH, base);
	emit_load(b->code, HOST_ADDRESS, other);
	emit_store(b->code, base, HOST_ADDRESS);
	emit_store(b->code, other, HOST_SCRATCH);
	aside_close(b, aside);
	return true;
}

bool build_system(struct build *b)
{
	const struct insn *insn = b->insn;
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (b->block->is_user)
		return false;
	if (row->feature == FEATURE_SMAP)
		return build_access_flag(b);
	if (row->map == 0 && insn->opcode == 0xfa)
		return build_cli(b);
	if (row->map == 0 && insn->opcode == 0xfb)
		return build_sti(b);
	return row->map == 1 && insn->opcode == 0x01 && insn->modrm == 0xf8 && build_swapgs(b);
}
