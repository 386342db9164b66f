/* SPDX-License-Identifier: MIT */
/*
 * The common x87 instructions without loading and saving the whole image: only the registers that they use go
 * through the host's unit. Whatever is not plain sailing takes the long way (fpu_x87.c).
 */
#include "base/memory.h"
#include "x86/fpu_x87.h"

/* What an instruction needs on the stack, and what it does. */
enum shape {
	SHAPE_NONE,
	SHAPE_TWO,     /* ST(0) and ST(i), either may change */
	SHAPE_ONE,     /* ST(0), and maybe a memory operand */
	SHAPE_PUSH,    /* a new ST(0) */
	SHAPE_STORE,   /* ST(0) to memory; the stub pops */
	SHAPE_COPY,    /* ST(0) to ST(i) */
	SHAPE_COPY_UP, /* ST(i) to a new ST(0) */
	SHAPE_SWAP,
};

struct plan {
	enum shape shape;
	unsigned pops;
	u16 conditions; /* which condition codes it sets */
	const u8 *stub;
};

#define CONDITIONS_ALL (FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)

/*
 * On the image's own slots: ST(0) at RDI, ST(i) at R9; operand at RSI, stub at RDX, control word at RCX. R8D: packed flags below, above them the
 * exceptions that the guest's status word lacks. Result: packed flags in the low half, the status word in the high half.
 *
 * FNCLEX takes longer than most instructions, and FLDCW as long as some. So the host's sticky exceptions are left as they are, and
 * cleared only when they have one that the guest has not noted yet; and the control word stays when it is the usual one.
 */
/* clang-format off */
#define DEFINE_RUN(name, before, after)                                                            \
	u32 x87_quick_##name(u8 *a, void *operand, const u8 *stub, const u16 *fcw, u32 flags,      \
		u8 *b) __attribute__((visibility("hidden")));                                      \
	__asm__(".pushsection .text.fpu_x87, \"ax\", @progbits\n"                                  \
		".hidden x87_quick_" #name "\n"                                                    \
		".globl x87_quick_" #name "\n"                                                     \
		".balign 16\n"                                                                     \
		"x87_quick_" #name ":\n"                                                           \
		"	fnstsw	%ax\n"                                                             \
		"	mov	%r8d, %r10d\n"                                                     \
		"	shr	$16, %r10d\n"                                                      \
		"	test	%r10d, %eax\n"                                                     \
		"	jz	1f\n"                                                              \
		"	fnclex\n"                                                                  \
		"1:	cmpw	$0x37f, (%rcx)\n"                                                  \
		"	je	1f\n"                                                              \
		"	fldcw	(%rcx)\n"                                                          \
		"1:\n"                                                                             \
		before                                                                             \
		"	mov	%r8d, %eax\n"                                                      \
		"	add	$0x7f, %al\n"                                                      \
		"	sahf\n"                                                                    \
		"	call	*%rdx\n"                                                           \
		"	lahf\n"                                                                    \
		"	seto	%al\n"                                                             \
		"	movzwl	%ax, %edx\n"                                                       \
		"	fnstsw	%ax\n"                                                             \
		after                                                                              \
		"	cmpw	$0x37f, (%rcx)\n"                                                  \
		"	je	1f\n"                                                              \
		"	fldcw	x87_quick_fcw(%rip)\n"                                             \
		"1:	shl	$16, %eax\n"                                                       \
		"	or	%edx, %eax\n"                                                      \
		"	ret\n"                                                                     \
		".popsection\n");

__asm__(".pushsection .rodata\n"
	"x87_quick_fcw: .word 0x037f\n"
	".popsection\n");

DEFINE_RUN(two, "fldt (%r9)\nfldt (%rdi)\n", "fstpt (%rdi)\nfstpt (%r9)\n")
DEFINE_RUN(one, "fldt (%rdi)\n", "fstpt (%rdi)\n")
DEFINE_RUN(push, "", "fstpt (%rdi)\n")
DEFINE_RUN(store, "fldt (%rdi)\n", "")
/* clang-format on */

static struct plan plan_memory(unsigned opcode, unsigned reg)
{
	struct plan plan = {SHAPE_ONE, 0, FSW_C1, x87_memory_stub(opcode, reg)};

	if (!(opcode & 1)) { /* arithmetic; FCOM and FCOMP are 2 and 3 */
		if (reg == 2 || reg == 3) {
			plan.conditions = CONDITIONS_ALL;
			plan.pops = reg - 2;
			plan.stub = x87_memory_stub(opcode, 2);
		}
		return plan;
	}
	if (reg == 0 || (opcode == 0xdb && reg == 5) ||
		(opcode == 0xdf && (reg == 4 || reg == 5))) {
		plan.shape = SHAPE_PUSH;
	} else {
		plan.shape = SHAPE_STORE;
		plan.pops = reg != 2;
		plan.stub = x87_memory_stub(opcode, reg == 2 ? 3 : reg);
	}
	return plan;
}

/* D9: loads, exchanges, constants, and the shorter ones of the rest. */
static struct plan plan_d9(unsigned modrm)
{
	struct plan plan = {SHAPE_NONE, 0, FSW_C1, x87_register_stub(0xd9, modrm)};

	if (modrm < 0xc8)
		plan.shape = SHAPE_COPY_UP;
	else if (modrm < 0xd0)
		plan.shape = SHAPE_SWAP;
	else if (modrm >= 0xe8 && modrm <= 0xee) /* FLD1 to FLDZ */
		plan.shape = SHAPE_PUSH;
	else if (modrm == 0xe0 || modrm == 0xe1 || modrm == 0xfa || modrm == 0xfc)
		plan.shape = SHAPE_ONE; /* FCHS, FABS, FSQRT, FRNDINT */
	else if (modrm == 0xe4)
		plan = (struct plan){SHAPE_ONE, 0, CONDITIONS_ALL, plan.stub}; /* FTST */
	return plan;
}

/* The stub is the form with ST(1), that does not pop: pops is for the caller. */
static struct plan plan_register(unsigned opcode, unsigned modrm)
{
	unsigned reg = modrm >> 3 & 7, first = 0xc1 | (modrm & 0x38);
	struct plan two = {SHAPE_TWO, 0, FSW_C1, x87_register_stub(opcode, first)};

	switch (opcode << 8 | modrm) {
	case 0xded9: /* FCOMPP */
		return (struct plan){SHAPE_TWO, 2, CONDITIONS_ALL, x87_register_stub(0xd8, 0xd1)};
	case 0xdae9: /* FUCOMPP */
		return (struct plan){SHAPE_TWO, 2, CONDITIONS_ALL, x87_register_stub(0xdd, 0xe1)};
	}
	switch (opcode << 4 | reg) {
	case 0xd82:
	case 0xd83: /* FCOM, FCOMP */
		return (struct plan){
			SHAPE_TWO, reg == 3, CONDITIONS_ALL, x87_register_stub(0xd8, 0xd1)};
	case 0xd80:
	case 0xd81:
	case 0xd84 ... 0xd87:
	case 0xdc0:
	case 0xdc1:
	case 0xdc4 ... 0xdc7:
		return two;
	case 0xda0 ... 0xda3: /* FCMOVcc */
	case 0xdb0 ... 0xdb3:
	case 0xdb5: /* FUCOMI, FCOMI */
	case 0xdb6:
		return (struct plan){SHAPE_TWO, 0, 0, two.stub};
	case 0xde0:
	case 0xde1:
	case 0xde4 ... 0xde7:
		return (struct plan){SHAPE_TWO, 1, FSW_C1, x87_register_stub(0xdc, first)};
	case 0xdf5:
	case 0xdf6:
		return (struct plan){SHAPE_TWO, 1, 0, x87_register_stub(0xdb, first)};
	case 0xdd2: /* FST, FSTP */
	case 0xdd3:
		return (struct plan){SHAPE_COPY, reg == 3, FSW_C1, NULL};
	case 0xdd4: /* FUCOM, FUCOMP */
	case 0xdd5:
		return (struct plan){
			SHAPE_TWO, reg == 5, CONDITIONS_ALL, x87_register_stub(0xdd, 0xe1)};
	default:
		return (struct plan){SHAPE_NONE, 0, 0, NULL};
	}
}

static u8 *slot(struct fpu *fpu, unsigned number)
{
	return fpu->image + FPU_ST + 16 * number;
}

static bool is_full(const struct fpu *fpu, unsigned number)
{
	return fpu->image[FPU_FTW] >> ((fpu_top(fpu) + number) & 7) & 1;
}

static bool stack_allows(const struct fpu *fpu, enum shape shape, unsigned i)
{
	switch (shape) {
	case SHAPE_TWO:
		return i && is_full(fpu, 0) && is_full(fpu, i);
	case SHAPE_SWAP:
		return is_full(fpu, 0) && is_full(fpu, i);
	case SHAPE_PUSH:
		return !is_full(fpu, 7);
	case SHAPE_COPY_UP:
		return is_full(fpu, i) && !is_full(fpu, 7);
	case SHAPE_NONE:
		return false;
	default:
		return is_full(fpu, 0);
	}
}

/* The new ST(0) holds what the last register held. */
static void push(struct fpu *fpu)
{
	fpu_set_top(fpu, fpu_top(fpu) - 1);
	fpu->image[FPU_FTW] |= (u8)(1 << fpu_top(fpu));
}

static void pop(struct fpu *fpu)
{
	fpu->image[FPU_FTW] &= (u8) ~(1 << fpu_top(fpu));
	fpu_set_top(fpu, fpu_top(fpu) + 1);
}

/* Ten bytes, by the two accesses that FSTP makes of them: others would wait for both. */
struct value {
	u64 significand;
	u16 exponent;
};

static struct value value_get(struct fpu *fpu, unsigned number)
{
	unsigned offset = FPU_ST + 16 * number;
	return (struct value){fpu_get_64(fpu, offset), fpu_get_16(fpu, offset + 8)};
}

static void value_set(struct fpu *fpu, unsigned number, struct value value)
{
	unsigned offset = FPU_ST + 16 * number;
	fpu_set_64(fpu, offset, value.significand);
	fpu_set_16(fpu, offset + 8, value.exponent);
}

static void exchange(struct fpu *fpu, unsigned i)
{
	struct value first = value_get(fpu, 0);
	value_set(fpu, 0, value_get(fpu, i));
	value_set(fpu, i, first);
}

/* Runs the stub on the registers of the plan: flags below, status word above. */
static u32 run_shape(struct fpu *fpu, const struct plan *plan, unsigned i, void *operand, u32 flags)
{
	const u16 *fcw = (const u16 *)(fpu->image + FPU_FCW);
	u32 lacking = ~fpu_get_16(fpu, FPU_FSW) & FSW_EXCEPTIONS;
	u8 *first = slot(fpu, 0);

	flags |= lacking << 16;
	switch (plan->shape) {
	case SHAPE_TWO:
		return x87_quick_two(first, operand, plan->stub, fcw, flags, slot(fpu, i));
	case SHAPE_ONE:
		return x87_quick_one(first, operand, plan->stub, fcw, flags, NULL);
	case SHAPE_PUSH:
		push(fpu);
		return x87_quick_push(first, operand, plan->stub, fcw, flags, NULL);
	case SHAPE_STORE:
		return x87_quick_store(first, operand, plan->stub, fcw, flags, NULL);
	case SHAPE_COPY:
		value_set(fpu, i, value_get(fpu, 0));
		fpu->image[FPU_FTW] |= (u8)(1 << ((fpu_top(fpu) + i) & 7));
		break;
	case SHAPE_COPY_UP: {
		struct value value = value_get(fpu, i);
		push(fpu);
		value_set(fpu, 0, value);
		break;
	}
	default: /* SHAPE_SWAP */
		exchange(fpu, i);
		break;
	}
	return flags & 0xffff;
}

static struct plan plan_of(const struct insn *insn)
{
	if (insn->flags & INSN_MEMORY)
		return plan_memory(insn->opcode, insn->modrm >> 3 & 7);
	return insn->opcode == 0xd9 ? plan_d9(insn->modrm)
				    : plan_register(insn->opcode, insn->modrm);
}

static void status_note(struct fpu *fpu, const struct plan *plan, u16 fsw)
{
	fpu_set_16(fpu, FPU_FSW,
		(fpu_get_16(fpu, FPU_FSW) & ~plan->conditions) |
			(fsw & (plan->conditions | FSW_EXCEPTIONS)));
}

static bool all_is_masked(const struct fpu *fpu)
{
	return (fpu_get_16(fpu, FPU_FCW) & FSW_EXCEPTIONS) == FSW_EXCEPTIONS;
}

bool x87_run_quick(struct fpu *fpu, const struct insn *insn, void *operand, u32 *flags)
{
	unsigned i = insn->flags & INSN_MEMORY ? 0 : insn->modrm & 7;
	struct plan plan;
	u32 result;

	if (!all_is_masked(fpu))
		return false;
	plan = plan_of(insn);
	if (!stack_allows(fpu, plan.shape, i))
		return false;
	result = run_shape(fpu, &plan, i, operand, *flags);
	*flags = result & 0xffff;
	for (unsigned left = plan.pops; left; left--)
		pop(fpu);
	status_note(fpu, &plan, (u16)(result >> 16));
	return true;
}

bool x87_store_quick(struct fpu *fpu, const struct insn *insn, void *operand, u16 *fsw)
{
	struct plan plan = plan_of(insn);

	if (plan.shape != SHAPE_STORE || !all_is_masked(fpu) || !is_full(fpu, 0))
		return false;
	*fsw = (u16)(run_shape(fpu, &plan, 0, operand, 0) >> 16);
	return true;
}

void x87_store_quick_end(struct fpu *fpu, const struct insn *insn, u16 fsw)
{
	struct plan plan = plan_of(insn);

	if (plan.pops)
		pop(fpu);
	status_note(fpu, &plan, fsw);
}
