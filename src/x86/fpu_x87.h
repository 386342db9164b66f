/* SPDX-License-Identifier: MIT */
/* Between fpu_x87.c, which can run any x87 instruction, and fpu_x87_quick.c, which runs the common ones quickly. */
#ifndef X86_FPU_X87_H
#define X86_FPU_X87_H

#include "x86/fpu.h"
#include "x86/insn.h"

/*
 * One stub of four bytes an encoding: [opcode & 7][ModRM & 3f] for registers, [opcode & 7][ModRM.reg] for memory, the
 * operand at RSI. All 512 and 64 are here, valid or not; the rows say which are used.
 */
extern const u8 x87_register_stubs[] __attribute__((visibility("hidden")));
extern const u8 x87_memory_stubs[] __attribute__((visibility("hidden")));

/* modrm: the whole byte. */
static inline const u8 *x87_register_stub(unsigned opcode, unsigned modrm)
{
	return x87_register_stubs + 4 * ((opcode & 7) * 64 + (modrm & 0x3f));
}

static inline const u8 *x87_memory_stub(unsigned opcode, unsigned reg)
{
	return x87_memory_stubs + 4 * ((opcode & 7) * 8 + (reg & 7));
}

/*
 * Runs the instruction if it is a common one, all exceptions are masked and no stack fault is in sight: the same
 * result as the long way. *flags is a packed_flags, read and written. False: nothing has been done.
 */
bool x87_run_quick(struct fpu *fpu, const struct insn *insn, void *operand, u32 *flags);
/*
 * The same for a store to memory, in two steps: the first leaves the state as it is, since the store may fault, and gives the operand.
 * Only what is all masked is stored for sure.
 */
bool x87_store_quick(struct fpu *fpu, const struct insn *insn, void *operand, u16 *fsw);
void x87_store_quick_end(struct fpu *fpu, const struct insn *insn, u16 fsw);

#endif
