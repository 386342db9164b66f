/* SPDX-License-Identifier: MIT */
/* LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR. APM volume 3. */
#include "x86/execute/privilege.h"
#include "x86/paging.h"
#include "x86/segments.h"

static void load_table(struct cpu *cpu, const struct insn *insn, struct descriptor_table *table)
{
	unsigned bytes = cpu_is_64_bit(cpu) ? 8 : 4;

	require_cpl0(cpu);
	u16 limit = load_16(cpu, address_linear(cpu, insn, 2, ACCESS_READ));
	u64 at = address_linear_at(cpu, insn, 2, bytes, ACCESS_READ);
	u64 base = bytes == 8 ? load_64(cpu, at) : load_32(cpu, at);
	if (bytes == 8 && !address_is_canonical(base))
		raise_gp(cpu, 0);
	if (bytes == 4 && insn->operand_size == SIZE_16)
		base &= 0xffffff;
	*table = (struct descriptor_table){base, limit};
}

/* The operand size does not matter here: APM volume 3, SGDT. */
static void store_table(
	struct cpu *cpu, const struct insn *insn, const struct descriptor_table *table)
{
	unsigned bytes = cpu_is_64_bit(cpu) ? 8 : 4;
	u64 limit_at = address_linear(cpu, insn, 2, ACCESS_WRITE);
	u64 base_at = address_linear_at(cpu, insn, 2, bytes, ACCESS_WRITE);

	paging_probe(cpu, base_at, bytes, ACCESS_WRITE, cpu->tlb_mode);
	store_16(cpu, limit_at, table->limit);
	if (bytes == 8)
		store_64(cpu, base_at, table->base);
	else
		store_32(cpu, base_at, (u32)table->base);
}

HANDLER(lgdt)
{
	load_table(cpu, insn, &cpu->gdtr);
}

HANDLER(lidt)
{
	load_table(cpu, insn, &cpu->idtr);
}

HANDLER(sgdt)
{
	store_table(cpu, insn, &cpu->gdtr);
}

HANDLER(sidt)
{
	store_table(cpu, insn, &cpu->idtr);
}

HANDLER(lldt)
{
	require_protected(cpu);
	require_cpl0(cpu);
	segment_load_ldt(cpu, rm_get_selector(cpu, insn));
}

HANDLER(ltr)
{
	require_protected(cpu);
	require_cpl0(cpu);
	segment_load_task(cpu, rm_get_selector(cpu, insn));
}

HANDLER(sldt)
{
	require_protected(cpu);
	rm_set_selector(cpu, insn, cpu->segments[SEGMENT_LDTR].selector);
}

HANDLER(str)
{
	require_protected(cpu);
	rm_set_selector(cpu, insn, cpu->segments[SEGMENT_TR].selector);
}
