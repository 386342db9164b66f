/* SPDX-License-Identifier: MIT */
/* The generated tables, and what is missing of the semantics that they name. */
#define HANDLER_LINKAGE __attribute__((weak)) extern
#include "x86/decode/decode.h"
#include "x86/decode/rows.h"
#include "x86/decode/handlers.h"
#include "x86/decode/opcodes.inc"

static unsigned row_size_bytes(const struct insn *insn, unsigned size)
{
	static const u8 fixed[] = {
		[OPERAND_SIZE_B] = 1,
		[OPERAND_SIZE_BS] = 1,
		[OPERAND_SIZE_W] = 2,
		[OPERAND_SIZE_D] = 4,
		[OPERAND_SIZE_SS] = 4,
		[OPERAND_SIZE_Q] = 8,
		[OPERAND_SIZE_SD] = 8,
		[OPERAND_SIZE_T] = 10,
		[OPERAND_SIZE_DQ] = 16,
		[OPERAND_SIZE_PS] = 16,
		[OPERAND_SIZE_PD] = 16,
		[OPERAND_SIZE_O] = 0,
		[OPERAND_SIZE_QQ] = 32,
	};
	unsigned operand_size = insn->operand_size;

	switch (size) {
	case OPERAND_SIZE_V:
		return 1u << operand_size;
	case OPERAND_SIZE_Z:
		return 1u << MIN(operand_size, SIZE_32);
	case OPERAND_SIZE_Y:
		return 1u << MAX(operand_size, SIZE_32);
	case OPERAND_SIZE_P:
		return 2 + (1u << operand_size);
	case OPERAND_SIZE_S:
		return insn->code_size == SIZE_64 ? 10 : 6;
	case OPERAND_SIZE_A:
		return 2u << operand_size;
	case OPERAND_SIZE_X ... OPERAND_SIZE_OX:
		return (operand_size == SIZE_256 ? 32u : 16u) >> (size - OPERAND_SIZE_X);
	default:
		return fixed[size];
	}
}

unsigned row_operand_bytes(
	const struct insn *insn, const struct row_operand *operand, bool is_memory)
{
	switch (operand->kind) {
	case OPERAND_AL:
	case OPERAND_CL:
		return 1;
	case OPERAND_AX:
	case OPERAND_DX:
	case OPERAND_ES ... OPERAND_GS:
		return 2;
	case OPERAND_EAX:
		return 1u << MIN((unsigned)insn->operand_size, SIZE_32);
	case OPERAND_RAX:
		return 1u << insn->operand_size;
	case OPERAND_ST:
	case OPERAND_STI:
		return 10;
	case OPERAND_XMM0:
		return 16;
	default:
		return row_size_bytes(insn, is_memory ? operand->memory_size : operand->size);
	}
}

unsigned decode_missing_handlers(void (*report)(void *context, const char *handler), void *context)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(opcode_handlers); i++) {
		if (opcode_handlers[i] || !opcode_handler_names[i])
			continue;
		missing++;
		if (report)
			report(context, opcode_handler_names[i]);
	}
	return missing;
}
