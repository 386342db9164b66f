/* SPDX-License-Identifier: MIT */
/*
 * x87 instructions, run by the host's own unit: the guest's image is loaded, one instruction executed under the guest's
 * control word, the image saved. APM volume 1 chapter 6, SDM volume 1 chapter 8.
 *
 * Unmasked exceptions come out exactly this way, without any on the host: an x87 instruction only notes one (ES), and
 * the host would see it at its next waiting instruction, but FXSAVE and FNINIT, which follow, do not wait. An
 * image that has one pending already is never loaded (x87_execute).
 */
#include "base/memory.h"
#include "x86/address.h"
#include "x86/flags.h"
#include "x86/fpu_require.h"
#include "x86/fpu_x87.h"
#include "x86/decode/handlers.h"

/* clang-format off */
__asm__(".pushsection .text.fpu_x87, \"ax\", @progbits\n"
	".balign 4\n"
	".hidden x87_register_stubs\n"
	".globl x87_register_stubs\n"
	"x87_register_stubs:\n"
	".set x87_opcode, 0xd8\n"
	".rept 8\n"
	".set x87_modrm, 0xc0\n"
	".rept 64\n"
	".byte x87_opcode, x87_modrm, 0xc3, 0x90\n"
	".set x87_modrm, x87_modrm + 1\n"
	".endr\n"
	".set x87_opcode, x87_opcode + 1\n"
	".endr\n"
	".hidden x87_memory_stubs\n"
	".globl x87_memory_stubs\n"
	"x87_memory_stubs:\n"
	".set x87_opcode, 0xd8\n"
	".rept 8\n"
	".set x87_modrm, 0x06\n"
	".rept 8\n"
	".byte x87_opcode, x87_modrm, 0xc3, 0x90\n"
	".set x87_modrm, x87_modrm + 8\n"
	".endr\n"
	".set x87_opcode, x87_opcode + 1\n"
	".endr\n"
	/* u32 x87_run(u8 *image, void *operand, const u8 *stub, u32 packed_flags); the guest's flags go in and out. */
	".hidden x87_run\n"
	".globl x87_run\n"
	"x87_run:\n"
	"	fxrstor64 (%rdi)\n"
	"	mov	%ecx, %eax\n"
	"	add	$0x7f, %al\n"
	"	sahf\n"
	"	call	*%rdx\n"
	"	lahf\n"
	"	seto	%al\n"
	"	movzwl	%ax, %eax\n"
	"	fxsave64 (%rdi)\n"
	"	fninit\n"
	"	ldmxcsr	x87_host_mxcsr(%rip)\n"
	"	ret\n"
	".balign 4\n"
	"x87_host_mxcsr:\n"
	"	.long	0x1f80\n"
	".popsection\n");
/* clang-format on */

u32 x87_run(u8 *image, void *operand, const u8 *stub, u32 flags)
	__attribute__((visibility("hidden")));

/* The pointers that exception handlers look at; the host's own must not stay there. */
static void note_pointers(
	const struct cpu *cpu, const struct insn *insn, struct fpu *fpu, u64 data_pointer)
{
	u64 rip = cpu->regs[RIP] - insn->length;

	fpu_set_16(fpu, FPU_FOP, (u16)((insn->opcode & 7) << 8 | insn->modrm));
	fpu_set_64(fpu, FPU_FIP, cpu_is_64_bit(cpu) ? rip : (u32)rip);
	fpu_set_64(fpu, FPU_FDP, data_pointer);
	fpu_set_32(fpu, FPU_MXCSR_MASK, FPU_MXCSR_VALID);
}

/*
 * Exceptions that wait although they are unmasked (CR0.NE is clear, and the PC's wiring ignores them) are put aside while
 * an instruction runs, so that its own are seen.
 */
static u16 exceptions_put_aside(struct fpu *fpu)
{
	u16 aside;

	if (likely(!fpu_pending(fpu)))
		return 0;
	aside = fpu_get_16(fpu, FPU_FSW) & FSW_EXCEPTIONS;
	fpu_set_16(fpu, FPU_FSW, fpu_get_16(fpu, FPU_FSW) & ~(FSW_EXCEPTIONS | FSW_ES | FSW_B));
	return aside;
}

static void exceptions_put_back(struct fpu *fpu, u16 aside)
{
	if (likely(!aside))
		return;
	fpu_set_16(fpu, FPU_FSW, fpu_get_16(fpu, FPU_FSW) | aside);
	fpu_update_summary(fpu);
}

/* Runs the row's instruction on the image. Returns the flags; what is unmasked afterwards is in ES. */
static u32 x87_execute_on(const struct cpu *cpu, const struct insn *insn, struct fpu *fpu,
	void *operand, const u8 *stub)
{
	u32 flags = cpu->arithmetic_flags;
	u64 data_pointer =
		insn->flags & INSN_MEMORY ? address_effective(cpu, insn) : fpu_get_64(fpu, FPU_FDP);

	if (!x87_run_quick(fpu, insn, operand, &flags)) {
		u16 aside = exceptions_put_aside(fpu);
		flags = x87_run(fpu->image, operand, stub, flags);
		exceptions_put_back(fpu, aside);
	}
	note_pointers(cpu, insn, fpu, data_pointer);
	return flags;
}

static u32 x87_execute(struct cpu *cpu, const struct insn *insn, void *operand, const u8 *stub)
{
	return x87_execute_on(cpu, insn, &cpu->fpu, operand, stub);
}

static const u8 *register_stub(const struct insn *insn)
{
	return x87_register_stub(insn->opcode, insn->modrm);
}

static const u8 *memory_stub(const struct insn *insn)
{
	return x87_memory_stub(insn->opcode, insn->modrm >> 3);
}

void execute_x87_register(struct cpu *cpu, const struct insn *insn)
{
	x87_require(cpu);
	x87_execute(cpu, insn, NULL, register_stub(insn));
}

/* FCMOVcc reads the flags, FCOMI and its kin write them. */
void execute_x87_register_flags(struct cpu *cpu, const struct insn *insn)
{
	x87_require(cpu);
	cpu->arithmetic_flags = (packed_flags)x87_execute(cpu, insn, NULL, register_stub(insn));
}

#define DEFINE_X87_LOAD(bits)                                                                 \
	void execute_x87_memory_##bits(struct cpu *cpu, const struct insn *insn)              \
	{                                                                                     \
		u##bits operand;                                                              \
		x87_require(cpu);                                                             \
		operand = load_##bits(cpu, address_linear(cpu, insn, bits / 8, ACCESS_READ)); \
		x87_execute(cpu, insn, &operand, memory_stub(insn));                          \
	}

DEFINE_X87_LOAD(16)
DEFINE_X87_LOAD(32)
DEFINE_X87_LOAD(64)

void execute_x87_memory_80(struct cpu *cpu, const struct insn *insn)
{
	u8 operand[16];

	x87_require(cpu);
	load_bytes(cpu, address_linear(cpu, insn, 10, ACCESS_READ), operand, 10);
	x87_execute(cpu, insn, operand, memory_stub(insn));
}

static void store_operand(
	struct cpu *cpu, const struct insn *insn, const u64 *operand, unsigned bytes)
{
	u64 linear = address_linear(cpu, insn, bytes, ACCESS_WRITE);

	if (bytes == 2)
		store_16(cpu, linear, (u16)operand[0]);
	else if (bytes == 4)
		store_32(cpu, linear, (u32)operand[0]);
	else if (bytes == 8)
		store_64(cpu, linear, operand[0]);
	else
		store_bytes(cpu, linear, operand, bytes);
}

/*
 * On a copy of the x87 part of the image, since the store may fault and must have changed nothing then; and
 * whether there will be a store is known only afterwards: unmasked exceptions other than inexact leave the destination
 * alone (SDM volume 1, 8.5), and `operand` as it was.
 */
static void store_any(struct cpu *cpu, const struct insn *insn, unsigned bytes)
{
	struct fpu after;
	u64 operand[2] = {0};

	memcpy(after.image, cpu->fpu.image, FPU_XMM);
	u16 aside = exceptions_put_aside(&after);
	x87_execute_on(cpu, insn, &after, operand, memory_stub(insn));
	if (!(fpu_pending(&after) & FSW_EXCEPTIONS & ~0x20u))
		store_operand(cpu, insn, operand, bytes);
	exceptions_put_back(&after, aside);
	memcpy(cpu->fpu.image, after.image, FPU_XMM);
}

static void store(struct cpu *cpu, const struct insn *insn, unsigned bytes)
{
	u64 operand[2];
	u16 fsw;

	x87_require(cpu);
	if (!x87_store_quick(&cpu->fpu, insn, operand, &fsw)) {
		store_any(cpu, insn, bytes);
		return;
	}
	store_operand(cpu, insn, operand, bytes);
	x87_store_quick_end(&cpu->fpu, insn, fsw);
	note_pointers(cpu, insn, &cpu->fpu, address_effective(cpu, insn));
}

void execute_x87_store_16(struct cpu *cpu, const struct insn *insn)
{
	store(cpu, insn, 2);
}

void execute_x87_store_32(struct cpu *cpu, const struct insn *insn)
{
	store(cpu, insn, 4);
}

void execute_x87_store_64(struct cpu *cpu, const struct insn *insn)
{
	store(cpu, insn, 8);
}

void execute_x87_store_80(struct cpu *cpu, const struct insn *insn)
{
	store(cpu, insn, 10);
}
