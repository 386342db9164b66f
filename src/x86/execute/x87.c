/* SPDX-License-Identifier: MIT */
/* x87 control instructions, which compute nothing: APM volume 5; the environment's forms are in APM volume 2, 11.4. */
#include "base/memory.h"
#include "x86/address.h"
#include "x86/fpu_require.h"
#include "x86/decode/handlers.h"

#define ENVIRONMENT_16 14
#define ENVIRONMENT_32 28

static void set_control_word(struct fpu *fpu, u16 value)
{
	fpu_set_16(fpu, FPU_FCW, (value & 0x1f3f) | 0x40);
	fpu_update_summary(fpu);
}

static void initialize(struct fpu *fpu)
{
	fpu_set_top(fpu, 0);
	fpu_set_16(fpu, FPU_FCW, FPU_FCW_DEFAULT);
	fpu_set_16(fpu, FPU_FSW, 0);
	fpu_set_16(fpu, FPU_FTW, 0);
	fpu_set_16(fpu, FPU_FOP, 0);
	fpu_set_64(fpu, FPU_FIP, 0);
	fpu_set_64(fpu, FPU_FDP, 0);
}

void execute_x87_fwait(struct cpu *cpu, const struct insn *insn)
{
	if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		raise_exception(cpu, EXCEPTION_NM);
	if (fpu_pending(&cpu->fpu))
		fpu_raise_pending(cpu);
}

/* FNENI, FNDISI, FNSETPM: of the 8087 and 80287, without effect since. */
void execute_x87_nothing(struct cpu *cpu, const struct insn *insn)
{
	x87_require_no_wait(cpu);
}

void execute_x87_fninit(struct cpu *cpu, const struct insn *insn)
{
	x87_require_no_wait(cpu);
	initialize(&cpu->fpu);
}

void execute_x87_fnclex(struct cpu *cpu, const struct insn *insn)
{
	x87_require_no_wait(cpu);
	fpu_set_16(&cpu->fpu, FPU_FSW, fpu_get_16(&cpu->fpu, FPU_FSW) & 0x7f00);
}

void execute_x87_fldcw(struct cpu *cpu, const struct insn *insn)
{
	x87_require(cpu);
	set_control_word(&cpu->fpu, load_16(cpu, address_linear(cpu, insn, 2, ACCESS_READ)));
}

void execute_x87_fnstcw(struct cpu *cpu, const struct insn *insn)
{
	x87_require_no_wait(cpu);
	store_16(cpu, address_linear(cpu, insn, 2, ACCESS_WRITE), fpu_get_16(&cpu->fpu, FPU_FCW));
}

void execute_x87_fnstsw_m(struct cpu *cpu, const struct insn *insn)
{
	x87_require_no_wait(cpu);
	store_16(cpu, address_linear(cpu, insn, 2, ACCESS_WRITE), fpu_get_16(&cpu->fpu, FPU_FSW));
}

void execute_x87_fnstsw_ax(struct cpu *cpu, const struct insn *insn)
{
	x87_require_no_wait(cpu);
	reg_set_16(cpu, RAX * 8, fpu_get_16(&cpu->fpu, FPU_FSW));
}

/* EMMS: all registers empty. */
void execute_mmx_emms(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	fpu_set_top(&cpu->fpu, 0);
	cpu->fpu.image[FPU_FTW] = 0;
}

static void put_16(u8 *at, unsigned offset, u32 value)
{
	u16 half = (u16)value;

	memcpy(at + offset, &half, 2);
}

static void put_32(u8 *at, unsigned offset, u32 value)
{
	memcpy(at + offset, &value, 4);
}

static u16 take_16(const u8 *at, unsigned offset)
{
	u16 value;

	memcpy(&value, at + offset, 2);
	return value;
}

static u32 take_32(const u8 *at, unsigned offset)
{
	u32 value;

	memcpy(&value, at + offset, 4);
	return value;
}

static bool environment_is_32(const struct insn *insn)
{
	return insn->operand_size != SIZE_16;
}

static unsigned environment_size(const struct insn *insn)
{
	return environment_is_32(insn) ? ENVIRONMENT_32 : ENVIRONMENT_16;
}

/* The selectors are deprecated: 0. In real and virtual-8086 mode the pointers are linear addresses. */
static void environment_put_32(const struct cpu *cpu, u8 *to)
{
	const struct fpu *fpu = &cpu->fpu;
	u32 fip = fpu_get_32(fpu, FPU_FIP), fdp = fpu_get_32(fpu, FPU_FDP);
	u32 fop = fpu_get_16(fpu, FPU_FOP) & 0x7ff;

	put_32(to, 0, 0xffff0000 | fpu_get_16(fpu, FPU_FCW));
	put_32(to, 4, 0xffff0000 | fpu_get_16(fpu, FPU_FSW));
	put_32(to, 8, 0xffff0000 | fpu_tag_word(fpu));
	if (cpu_is_8086(cpu)) {
		put_32(to, 12, 0xffff0000 | (fip & 0xffff));
		put_32(to, 16, (fip >> 16) << 12 | fop);
		put_32(to, 20, 0xffff0000 | (fdp & 0xffff));
		put_32(to, 24, (fdp >> 16) << 12);
	} else {
		put_32(to, 12, fip);
		put_32(to, 16, fop << 16);
		put_32(to, 20, fdp);
		put_32(to, 24, 0xffff0000);
	}
}

static void environment_put_16(const struct cpu *cpu, u8 *to)
{
	const struct fpu *fpu = &cpu->fpu;
	u32 fip = fpu_get_32(fpu, FPU_FIP), fdp = fpu_get_32(fpu, FPU_FDP);
	bool real = cpu_is_8086(cpu);

	put_16(to, 0, fpu_get_16(fpu, FPU_FCW));
	put_16(to, 2, fpu_get_16(fpu, FPU_FSW));
	put_16(to, 4, fpu_tag_word(fpu));
	put_16(to, 6, fip);
	put_16(to, 8, real ? (fip >> 4 & 0xf000) | (fpu_get_16(fpu, FPU_FOP) & 0x7ff) : 0);
	put_16(to, 10, fdp);
	put_16(to, 12, real ? fdp >> 4 & 0xf000 : 0);
}

static void environment_put(const struct cpu *cpu, const struct insn *insn, u8 *to)
{
	if (environment_is_32(insn))
		environment_put_32(cpu, to);
	else
		environment_put_16(cpu, to);
}

/* Control, status and tags; the registers stay where they are while TOP moves. */
static void load_words(struct fpu *fpu, u16 fcw, u16 fsw, u16 ftw)
{
	u8 tags = 0;

	for (unsigned i = 0; i < 8; i++)
		if ((ftw >> (2 * i) & 3) != 3)
			tags |= (u8)(1 << i);
	fpu_set_top(fpu, (fsw >> 11) & 7);
	fpu_set_16(fpu, FPU_FSW, fsw);
	fpu_set_16(fpu, FPU_FTW, tags);
	set_control_word(fpu, fcw);
}

static void load_pointers(struct fpu *fpu, u32 fip, u32 fdp, u16 fop)
{
	fpu_set_64(fpu, FPU_FIP, fip);
	fpu_set_64(fpu, FPU_FDP, fdp);
	fpu_set_16(fpu, FPU_FOP, fop & 0x7ff);
}

static void environment_take(struct cpu *cpu, const struct insn *insn, const u8 *from)
{
	struct fpu *fpu = &cpu->fpu;
	bool real = cpu_is_8086(cpu);

	if (environment_is_32(insn)) {
		u32 fip = take_32(from, 12), fdp = take_32(from, 20), fop = take_32(from, 16);

		load_words(fpu, take_16(from, 0), take_16(from, 4), take_16(from, 8));
		if (real)
			load_pointers(fpu, (fip & 0xffff) | (fop >> 12 & 0xffff) << 16,
				(fdp & 0xffff) | (take_32(from, 24) >> 12 & 0xffff) << 16,
				(u16)fop);
		else
			load_pointers(fpu, fip, fdp, (u16)(fop >> 16));
	} else {
		u32 fip = take_16(from, 6), fdp = take_16(from, 10);

		load_words(fpu, take_16(from, 0), take_16(from, 2), take_16(from, 4));
		if (real)
			load_pointers(fpu, fip | (take_16(from, 8) & 0xf000u) << 4,
				fdp | (take_16(from, 12) & 0xf000u) << 4, take_16(from, 8));
		else
			load_pointers(fpu, fip, fdp, 0);
	}
}

/* All exceptions are masked afterwards. */
void execute_x87_fnstenv(struct cpu *cpu, const struct insn *insn)
{
	u8 environment[ENVIRONMENT_32];
	unsigned bytes = environment_size(insn);

	x87_require_no_wait(cpu);
	environment_put(cpu, insn, environment);
	store_bytes(cpu, address_linear(cpu, insn, bytes, ACCESS_WRITE), environment, bytes);
	set_control_word(&cpu->fpu, fpu_get_16(&cpu->fpu, FPU_FCW) | FSW_EXCEPTIONS);
}

void execute_x87_fldenv(struct cpu *cpu, const struct insn *insn)
{
	u8 environment[ENVIRONMENT_32];
	unsigned bytes = environment_size(insn);

	x87_require(cpu);
	load_bytes(cpu, address_linear(cpu, insn, bytes, ACCESS_READ), environment, bytes);
	environment_take(cpu, insn, environment);
}

void execute_x87_fnsave(struct cpu *cpu, const struct insn *insn)
{
	u8 state[ENVIRONMENT_32 + 80];
	unsigned bytes = environment_size(insn);

	x87_require_no_wait(cpu);
	environment_put(cpu, insn, state);
	for (unsigned i = 0; i < 8; i++)
		memcpy(state + bytes + 10 * i, cpu->fpu.image + FPU_ST + 16 * i, 10);
	bytes += 80;
	store_bytes(cpu, address_linear(cpu, insn, bytes, ACCESS_WRITE), state, bytes);
	initialize(&cpu->fpu);
}

void execute_x87_frstor(struct cpu *cpu, const struct insn *insn)
{
	u8 state[ENVIRONMENT_32 + 80];
	unsigned bytes = environment_size(insn);

	x87_require(cpu);
	load_bytes(cpu, address_linear(cpu, insn, bytes + 80, ACCESS_READ), state, bytes + 80);
	environment_take(cpu, insn, state);
	for (unsigned i = 0; i < 8; i++)
		memcpy(cpu->fpu.image + FPU_ST + 16 * i, state + bytes + 10 * i, 10);
}
