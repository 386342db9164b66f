/* SPDX-License-Identifier: MIT */
/* The pieces of code that all translations share: into translated code, out of it, and to the interpreter's semantics from it. */
#include "engines/translator/translator.h"
#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/model.h"

static const u8 callee_saved[] = {RBX, RBP, R12, R13, R14, R15};

static void emit_push(struct code *code, unsigned host)
{
	if (host >> 3)
		emit_8(code, 0x41);
	emit_8(code, 0x50 | (host & 7));
}

static void emit_pop(struct code *code, unsigned host)
{
	if (host >> 3)
		emit_8(code, 0x41);
	emit_8(code, 0x58 | (host & 7));
}

static void emit_spill(struct code *code)
{
	for (unsigned guest = 0; guest < 16; guest++)
		if (host_register(guest) != HOST_NONE)
			emit_store(code, place_vcpu(OFFSET_REGISTER(guest)), host_register(guest));
}

static void emit_reload(struct code *code)
{
	for (unsigned guest = 0; guest < 16; guest++)
		if (host_register(guest) != HOST_NONE)
			emit_load(code, host_register(guest), place_vcpu(OFFSET_REGISTER(guest)));
}

static struct place word(enum engine_word number)
{
	return place_vcpu(OFFSET_WORD(number));
}

static void emit_set_word(struct code *code, enum engine_word number, i32 value)
{
	emit_op_rm(code, 0xc7, true, 0, word(number));
	emit_32(code, (u32)value);
}

static void emit_c_call(struct code *code, u64 function)
{
	emit_mov_immediate(code, RAX, function);
	emit_bytes(code, "\xff\xd0", 2);
}

/* ---- the FPU's state ----------------------------------------------------------------------------- */

/* MOVUPS: 10 loads, 11 stores. */
static void emit_xmm(struct code *code, unsigned opcode)
{
	struct encoding e = {.map = 1, .opcode = (u8)opcode};
	for (unsigned i = 0; i < 16; i++) {
		struct place place = place_vcpu(OFFSET_OF(fpu.image) + FPU_XMM + 16 * (i32)i);
		emit_rm(code, &e, i, &place);
	}
}

/* The upper halves: VINSERTF128 (18) and VEXTRACTF128 (19) with 1. */
static void emit_upper(struct code *code, unsigned opcode)
{
	for (unsigned i = 0; i < 16; i++) {
		struct place place = place_vcpu(OFFSET_OF(fpu.ymm_high) + 16 * (i32)i);
		struct encoding e = {.is_vex = true,
			.is_256 = true,
			.prefix = 0x66,
			.map = 3,
			.opcode = (u8)opcode};
		e.vvvv = opcode == 0x18 ? (u8)i : 0;
		emit_rm(code, &e, i, &place);
		emit_8(code, 1);
	}
}

/* LDMXCSR is /2, STMXCSR /3. */
static void emit_mxcsr(struct code *code, unsigned extension)
{
	struct encoding e = {.map = 1, .opcode = 0xae};
	struct place place = place_vcpu(OFFSET_OF(fpu.image) + FPU_MXCSR);
	emit_rm(code, &e, extension, &place);
}

static struct place image(unsigned offset)
{
	return place_vcpu(OFFSET_OF(fpu.image) + (i32)offset);
}

/* FXSAVE64 is /0, FXRSTOR64 /1. */
static void emit_fxsave(struct code *code, unsigned extension)
{
	struct encoding e = {.map = 1, .opcode = 0xae, .is_wide = true};
	struct place place = image(0);
	emit_rm(code, &e, extension, &place);
}

/* Jumps when EAX, enum fpu_live, is without x87. */
static u32 emit_unless_x87(struct code *code)
{
	emit_8(code, 0xa8); /* test al, imm8 */
	emit_8(code, fpu_live_bit(FPU_X87));
	return emit_jcc(code, 4);
}

/*
 * With XMM registers and MXCSR. The pointers in the image are the guest's, those in the host's unit are not (x87.c). EMMS and FLDCW
 * are quicker than FNINIT; what they leave of the status word may be there (x86/fpu.h).
 */
static void emit_x87_save(struct code *code, u32 control_word)
{
	struct encoding move_16 = {.has_66 = true, .opcode = 0x89};
	struct place opcode = image(FPU_FOP);
	emit_load(code, RCX, image(FPU_FIP));
	emit_load(code, RDX, image(FPU_FDP));
	emit_load_32(code, RAX, opcode);
	emit_fxsave(code, 0);
	emit_store(code, image(FPU_FIP), RCX);
	emit_store(code, image(FPU_FDP), RDX);
	emit_rm(code, &move_16, RAX, &opcode);
	emit_op_rm(code, 0xc7, false, 0, image(FPU_MXCSR_MASK));
	emit_32(code, FPU_MXCSR_VALID);
	emit_bytes(code, "\x0f\x77\xd9\x2d", 4); /* emms; fldcw [rip + control_word] */
	emit_32(code, control_word - (code->at + 4));
}

/*
 * A subroutine: what is live, by EAX, to memory, and the host's unit as C code wants it. EFLAGS, RAX, RCX and RDX are lost.
 */
static u32 make_fpu_save(struct code *code, bool has_avx)
{
	u32 constant = code->at;
	emit_32(code, FPU_MXCSR_DEFAULT);
	emit_32(code, FPU_FCW_DEFAULT);
	u32 at = code->at, without = emit_unless_x87(code);
	emit_x87_save(code, constant + 4);
	u32 saved = emit_jmp(code);
	code_patch(code, without, code->at);
	emit_xmm(code, 0x11);
	emit_mxcsr(code, 3);
	code_patch(code, saved, code->at);
	if (has_avx) {
		emit_upper(code, 0x19);
		emit_bytes(code, "\xc5\xf8\x77", 3); /* vzeroupper */
	}
	emit_bytes(code, "\x0f\xae\x15", 3); /* ldmxcsr [rip + constant] */
	emit_32(code, constant - (code->at + 4));
	emit_set_word(code, WORD_FPU_LIVE, 0);
	emit_8(code, 0xc3);
	return at;
}

/* EAX: enum fpu_live. */
static u32 make_fpu_load(struct code *code, bool has_avx)
{
	u32 at = code->at, without = emit_unless_x87(code);
	emit_fxsave(code, 1);
	u32 loaded = emit_jmp(code);
	code_patch(code, without, code->at);
	emit_xmm(code, 0x10);
	emit_mxcsr(code, 2);
	code_patch(code, loaded, code->at);
	if (has_avx)
		emit_upper(code, 0x18);
	emit_store(code, word(WORD_FPU_LIVE), RAX);
	emit_8(code, 0xc3);
	return at;
}

static void emit_if_live_save(struct code *code, u32 save)
{
	emit_load(code, RAX, word(WORD_FPU_LIVE));
	emit_store(code, word(WORD_FPU_WAS_LIVE), RAX);
	emit_op_rr(code, 0x85, false, RAX, RAX);
	u32 not_live = emit_jcc(code, 4);
	emit_call(code, save);
	code_patch(code, not_live, code->at);
}

/*
 * enum fpu_live, all of it: what may run on the host's unit? Not what would raise #NM or #UD, nor with an exception unmasked, which would be the
 * host's, too.
 */
static u32 fpu_permitted(const struct cpu *cpu)
{
	u32 masks = fpu_get_32(&cpu->fpu, FPU_MXCSR) & FPU_MXCSR_DEFAULT, permitted = FPU_SSE;
	if (cpu->cr0 & (CR0_EM | CR0_TS) || !(cpu->cr4 & CR4_OSFXSR) || masks != FPU_MXCSR_DEFAULT)
		return 0;
	if (cpu->cr4 & CR4_OSXSAVE && (~cpu->xcr0 & (XCR0_SSE | XCR0_AVX)) == 0)
		permitted |= FPU_AVX;
	if ((fpu_get_16(&cpu->fpu, FPU_FCW) & FSW_EXCEPTIONS) == FSW_EXCEPTIONS)
		permitted |= FPU_X87;
	return permitted;
}

/* What will be live when `wanted` is to be beside what was; 0: that may not be. x87's state is loaded for those only who want it. */
static u32 fpu_live_next(const struct cpu *cpu, u32 wanted)
{
	u32 permitted = fpu_permitted(cpu);
	wanted |= (u32)cpu->engine_words[WORD_FPU_WAS_LIVE];
	return wanted & ~permitted ? 0 : permitted & (wanted | FPU_AVX);
}

/* ---- out, in, and to the semantics --------------------------------------------------------------- */

/* RSP does not matter: whoever entered gets its own back. */
static u32 make_leave(struct code *code, u32 save, u32 *spilled)
{
	u32 at = code->at;
	emit_spill(code);
	*spilled = code->at;
	emit_if_live_save(code, save);
	emit_load(code, RSP, word(WORD_HOST_RSP));
	emit_group1(code, 0, true, RSP, 8);
	for (unsigned i = ARRAY_SIZE(callee_saved); i-- > 0;)
		emit_pop(code, callee_saved[i]);
	emit_8(code, 0xc3);
	return at;
}

static u32 make_enter(struct code *code)
{
	u32 at = code->at;
	for (unsigned i = 0; i < ARRAY_SIZE(callee_saved); i++)
		emit_push(code, callee_saved[i]);
	emit_group1(code, 5, true, RSP, 8);
	emit_store(code, word(WORD_HOST_RSP), RSP);
	emit_mov(code, RAX, RSI);
	emit_reload(code);
	emit_bytes(code, "\xff\xe0", 2);
	return at;
}

/* Registers to memory, cpu->insn and RIP set, RDI and RSI as the semantics want them. */
static void emit_insn_begin(struct translator *t, u32 save)
{
	struct code *code = &t->code;
	emit_spill(code);
	emit_mov(code, RSI, RAX);
	emit_store(code, place_vcpu(OFFSET_OF(insn)), RAX);
	emit_store(code, word(WORD_LEFT), RAX);
	emit_op_rm(code, 0x03, true, RCX, word(WORD_CODE_BASE));
	emit_store(code, place_vcpu(OFFSET_REGISTER(RIP)), RCX);
	emit_if_live_save(code, save);
	emit_mov_immediate(code, RDI, (u64)(uintptr_t)&t->vcpu->cpu);
}

static void emit_execute(struct code *code)
{
	emit_op_rm(code, 0xff, false, 2, place_base(RSI, __builtin_offsetof(struct insn, execute)));
}

/* reload_fpu: where the FPU's registers were live, they are again afterwards. */
static u32 make_insn(struct translator *t, u32 save, u32 load, u32 spilled, bool reload_fpu)
{
	struct code *code = &t->code;
	u32 at = code->at;
	emit_group1(code, 5, true, RSP, 8);
	emit_insn_begin(t, save);
	emit_execute(code);
	emit_group1_place(code, 7, true, place_vcpu(OFFSET_OF(insn_end)), 0);
	code_patch(code, emit_jcc(code, 4), spilled);
	emit_set_word(code, WORD_LEFT, 0);
	if (reload_fpu) {
		emit_load(code, RAX, word(WORD_FPU_WAS_LIVE));
		emit_op_rr(code, 0x85, false, RAX, RAX);
		u32 not_live = emit_jcc(code, 4);
		emit_call(code, load);
		code_patch(code, not_live, code->at);
	}
	emit_reload(code);
	emit_group1(code, 0, true, RSP, 8);
	emit_8(code, 0xc3);
	return at;
}

static u32 make_insn_end(struct translator *t, u32 save, u32 spilled)
{
	u32 at = t->code.at;
	emit_insn_begin(t, save);
	emit_execute(&t->code);
	emit_jmp_to(&t->code, spilled);
	return at;
}

/* Called in place of an instruction that needs the FPU; that cannot have it runs by its semantics, and leaves. */
static u32 make_load(struct translator *t, u32 save, u32 load, u32 spilled, u32 live)
{
	struct code *code = &t->code;
	u32 at = code->at;
	emit_group1(code, 5, true, RSP, 8);
	emit_insn_begin(t, save);
	emit_mov_immediate(code, RSI, live);
	emit_c_call(code, (u64)(uintptr_t)fpu_live_next);
	emit_op_rr(code, 0x85, false, RAX, RAX);
	u32 refused = emit_jcc(code, 4);
	emit_set_word(code, WORD_LEFT, 0);
	emit_call(code, load);
	emit_reload(code);
	emit_group1(code, 0, true, RSP, 8);
	emit_8(code, 0xc3);
	code_patch(code, refused, code->at);
	emit_group1(code, 0, true, RSP, 16);
	emit_mov_immediate(code, RDI, (u64)(uintptr_t)&t->vcpu->cpu);
	emit_load(code, RSI, place_vcpu(OFFSET_OF(insn)));
	emit_execute(code);
	emit_jmp_to(code, spilled);
	return at;
}

/* In place of FLDCW: with all exceptions masked, it is done. */
static u32 make_fldcw(struct translator *t)
{
	struct code *code = &t->code;
	u32 at = code->at;
	emit_op_rm(code, 0xf6, false, 0, word(WORD_FPU_CONTROL)); /* test */
	emit_8(code, FSW_EXCEPTIONS);
	u32 unmasks = emit_jcc(code, 5);
	emit_op_rm(code, 0xf7, false, 2, word(WORD_FPU_CONTROL)); /* not */
	emit_op_rm(code, 0xd9, false, 5, word(WORD_FPU_CONTROL));
	emit_8(code, 0xc3);
	code_patch(code, unmasks, code->at);
	emit_group1(code, 0, true, RSP, 8);
	emit_jmp_to(code, t->thunk_insn_end);
	return at;
}

/* It wants the guest's RCX in the host's, so that the address goes where that is. Flags stay but for ZF. */
static u32 make_cmpxchg16b(struct code *code)
{
	u32 at = code->at;
	emit_op_rr(code, 0x87, true, RCX, host_register(RCX));
	emit_mov(code, RAX, host_register(RAX));
	emit_8(code, 0xf0);
	emit_rm(code, &(struct encoding){.map = 1, .opcode = 0xc7, .is_wide = true}, 1,
		&(struct place){host_register(RCX), HOST_NONE, 0, false, 0});
	emit_mov(code, host_register(RAX), RAX);
	emit_mov(code, host_register(RCX), RCX);
	emit_8(code, 0xc3);
	return at;
}

void thunks_make(struct translator *t)
{
	struct code *code = &t->code;
	bool has_avx = t->vcpu->cpu.model->features & BIT(FEATURE_AVX);
	u32 save = make_fpu_save(code, has_avx), load = make_fpu_load(code, has_avx), spilled;
	t->thunk_leave = make_leave(code, save, &spilled);
	t->thunk_enter = make_enter(code);
	t->thunk_insn = make_insn(t, save, load, spilled, true);
	t->thunk_insn_fpu = make_insn(t, save, load, spilled, false);
	t->thunk_insn_end = make_insn_end(t, save, spilled);
	t->thunk_fpu_load = make_load(t, save, load, spilled, FPU_SSE);
	t->thunk_avx_load = make_load(t, save, load, spilled, FPU_AVX);
	t->thunk_x87_load = make_load(t, save, load, spilled, FPU_X87);
	t->thunk_fldcw = make_fldcw(t);
	t->thunk_cmpxchg16b = make_cmpxchg16b(code);
	t->thunks_end = code->at;
}
