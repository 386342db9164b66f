/* SPDX-License-Identifier: MIT */
/* Fences, and the store that goes around the caches, which is a store here. */
#include "x86/address.h"
#include "x86/decode/handlers.h"

/* LFENCE, SFENCE, MFENCE: guest RAM is shared with other vCPUs, so the host's order matters. */
void execute_fence(struct cpu *cpu, const struct insn *insn)
{
	__asm__ volatile("mfence" : : : "memory");
}

void execute_movnti_32(struct cpu *cpu, const struct insn *insn)
{
	store_32(cpu, address_linear(cpu, insn, 4, ACCESS_WRITE), reg_get_32(cpu, insn->reg));
}

void execute_movnti_64(struct cpu *cpu, const struct insn *insn)
{
	store_64(cpu, address_linear(cpu, insn, 8, ACCESS_WRITE), reg_get_64(cpu, insn->reg));
}
