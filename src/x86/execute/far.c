/* SPDX-License-Identifier: MIT */
/* Far JMP, CALL, RET, IRET and the INT instructions: the work is in x86/far_transfer.c and x86/exceptions.c. */
#include "x86/exceptions.h"
#include "x86/execute/privilege.h"
#include "x86/segments.h"

static void get_far_pointer(struct cpu *cpu, const struct insn *insn, u64 *offset, u16 *selector)
{
	unsigned bytes = 1u << insn->operand_size;
	u64 linear = address_linear(cpu, insn, bytes, ACCESS_READ);
	if (bytes == 2)
		*offset = load_16(cpu, linear);
	else if (bytes == 4)
		*offset = load_32(cpu, linear);
	else
		*offset = load_64(cpu, linear);
	*selector = load_16(cpu, address_linear_at(cpu, insn, bytes, 2, ACCESS_READ));
}

HANDLER(jmp_far_p)
{
	far_jump(cpu, (u16)(insn->immediate >> 32), (u32)insn->immediate, insn->operand_size);
}

HANDLER(call_far_p)
{
	far_call(cpu, (u16)(insn->immediate >> 32), (u32)insn->immediate, insn->operand_size);
}

HANDLER(jmp_far_M)
{
	u64 offset;
	u16 selector;
	get_far_pointer(cpu, insn, &offset, &selector);
	far_jump(cpu, selector, offset, insn->operand_size);
}

HANDLER(call_far_M)
{
	u64 offset;
	u16 selector;
	get_far_pointer(cpu, insn, &offset, &selector);
	far_call(cpu, selector, offset, insn->operand_size);
}

HANDLER(retf)
{
	far_return(cpu, insn->operand_size, 0);
}

HANDLER(retf_I)
{
	far_return(cpu, insn->operand_size, (u16)insn->immediate);
}

HANDLER(iret)
{
	interrupt_return(cpu, insn->operand_size);
}

HANDLER(int_I)
{
	event_deliver(cpu, (u8)insn->immediate, EVENT_SOFTWARE, false, 0);
}

HANDLER(int3)
{
	event_deliver(cpu, EXCEPTION_BP, EVENT_SOFTWARE_EXCEPTION, false, 0);
}

HANDLER(into)
{
	if (cpu->arithmetic_flags & PACKED_OF)
		event_deliver(cpu, EXCEPTION_OF, EVENT_SOFTWARE_EXCEPTION, false, 0);
}

HANDLER(int1)
{
	event_deliver(cpu, EXCEPTION_DB, EVENT_PRIVILEGED, false, 0);
}
