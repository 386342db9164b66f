/* SPDX-License-Identifier: MIT */
/* The generated tables, and what is missing of the semantics that they name. */
#define HANDLER_LINKAGE __attribute__((weak)) extern
#include "x86/decode/decode.h"
#include "x86/decode/rows.h"
#include "x86/decode/handlers.h"
#include "x86/decode/opcodes.inc"

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
