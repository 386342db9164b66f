/* SPDX-License-Identifier: MIT */
/*
 * CBW and CWD with their kin, and the decimal adjustments: DAA, DAS, AAA, AAS, AAM, AAD; SALC. APM volume 3. The
 * host, in 64-bit mode, has no decimal adjustments.
 */
#include "x86/execute/operands.h"

HANDLER(cbw_16)
{
	reg_set_16(cpu, RAX * 8, (u16)(i8)cpu->regs[RAX]);
}

HANDLER(cbw_32)
{
	reg_set_32(cpu, RAX * 8, (u32)(i16)cpu->regs[RAX]);
}

HANDLER(cbw_64)
{
	cpu->regs[RAX] = (u64)(i32)cpu->regs[RAX];
}

HANDLER(cwd_16)
{
	reg_set_16(cpu, RDX * 8, (i16)cpu->regs[RAX] < 0 ? 0xffff : 0);
}

HANDLER(cwd_32)
{
	reg_set_32(cpu, RDX * 8, (i32)cpu->regs[RAX] < 0 ? ~(u32)0 : 0);
}

HANDLER(cwd_64)
{
	cpu->regs[RDX] = (i64)cpu->regs[RAX] < 0 ? ~(u64)0 : 0;
}

/* ---- decimal ------------------------------------------------------------------------------------- */

/* SF, ZF and PF of AL; CF and AF as given; OF clear. */
static void decimal_flags(struct cpu *cpu, bool carry, bool adjust)
{
	packed_flags flags;
	__asm__("testb %1, %1" SAVE_FLAGS : "=a"(flags) : "r"((u8)cpu->regs[RAX]) : "cc");
	flags &= PACKED_SF | PACKED_ZF | PACKED_PF;
	if (carry)
		flags |= PACKED_CF;
	if (adjust)
		flags |= PACKED_AF;
	cpu->arithmetic_flags = flags;
}

HANDLER(daa)
{
	u8 before = (u8)cpu->regs[RAX];
	u8 al = before;
	bool adjust = (before & 0xf) > 9 || (cpu->arithmetic_flags & PACKED_AF);
	bool carry = before > 0x99 || (cpu->arithmetic_flags & PACKED_CF);
	if (adjust)
		al += 6;
	if (carry)
		al += 0x60;
	reg_set_8(cpu, RAX * 8, al);
	decimal_flags(cpu, carry, adjust);
}

HANDLER(das)
{
	u8 before = (u8)cpu->regs[RAX];
	u8 al = before;
	bool adjust = (before & 0xf) > 9 || (cpu->arithmetic_flags & PACKED_AF);
	bool carry = before > 0x99 || (cpu->arithmetic_flags & PACKED_CF);
	bool borrow = adjust && before < 6;
	if (adjust)
		al -= 6;
	if (carry)
		al -= 0x60;
	reg_set_8(cpu, RAX * 8, al);
	decimal_flags(cpu, carry || borrow, adjust);
}

static void ascii_adjust(struct cpu *cpu, int by)
{
	u16 ax = (u16)cpu->regs[RAX];
	bool adjust = (ax & 0xf) > 9 || (cpu->arithmetic_flags & PACKED_AF);
	if (adjust)
		ax = (u16)(ax + by);
	reg_set_16(cpu, RAX * 8, ax & 0xff0f);
	decimal_flags(cpu, adjust, adjust);
}

HANDLER(aaa)
{
	ascii_adjust(cpu, 0x106);
}

HANDLER(aas)
{
	ascii_adjust(cpu, -0x106);
}

HANDLER(aam)
{
	u8 base = (u8)insn->immediate, al = (u8)cpu->regs[RAX];
	if (!base)
		raise_exception(cpu, EXCEPTION_DE);
	reg_set_16(cpu, RAX * 8, (u16)((al / base) << 8 | al % base));
	decimal_flags(cpu, false, false);
}

HANDLER(aad)
{
	u8 base = (u8)insn->immediate;
	u16 ax = (u16)cpu->regs[RAX];
	reg_set_16(cpu, RAX * 8, (u8)(ax + (ax >> 8) * base));
	decimal_flags(cpu, false, false);
}

/* Not in the manuals' early editions, but in every processor: AL = CF ? ff : 0. */
HANDLER(salc)
{
	reg_set_8(cpu, RAX * 8, cpu->arithmetic_flags & PACKED_CF ? 0xff : 0);
}
