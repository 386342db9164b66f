/* SPDX-License-Identifier: MIT */
/* Included by decode_zydis.c only: what Zydis and we see differently, and why we are right, or content. */

/* The opcode as we read it: map * 256 + byte. */
static bool opcode_is(const struct test_case *c, unsigned map, unsigned first, unsigned last)
{
	ZydisOpcodeMap zydis_map = (ZydisOpcodeMap)(ZYDIS_OPCODE_MAP_DEFAULT + map);

	return c->zydis_ok && c->zydis.opcode_map == zydis_map && c->zydis.opcode >= first &&
		c->zydis.opcode <= last;
}

static bool is_sib_without_base(const struct test_case *c)
{
	return c->zydis_ok && c->result == DECODE_OK && c->zydis.raw.modrm.mod == 0 &&
		c->zydis.raw.modrm.rm == 4 && c->zydis.raw.sib.base == 5 && c->zydis.raw.rex.B &&
		c->insn.base == LOCATION_ZERO;
}

static bool is_reserved_prefetch(const struct test_case *c)
{
	return opcode_is(c, 1, 0x0d, 0x0d) && c->zydis.meta.isa_set == ZYDIS_ISA_SET_PREFETCHWT1;
}

static bool is_prefetch_of_register(const struct test_case *c)
{
	return opcode_is(c, 1, 0x0d, 0x0d) && c->zydis.raw.modrm.mod == 3;
}

/* Only the size of an operand differs; everything else has been found equal. */
static bool is_size_only(const struct test_case *c)
{
	return !strcmp(c->failure, "operand size");
}

static bool has_wide_result(const struct test_case *c)
{
	return is_size_only(c) && c->zydis.raw.rex.W &&
		(c->zydis.mnemonic == ZYDIS_MNEMONIC_CRC32 ||
			opcode_rows[c->insn.row].operands[0].size == OPERAND_SIZE_D);
}

static bool is_far_with_rex_w(const struct test_case *c)
{
	return is_size_only(c) && c->zydis.raw.rex.W &&
		(opcode_is(c, 1, 0xb2, 0xb5) || opcode_is(c, 0, 0xff, 0xff));
}

static bool is_selector_source(const struct test_case *c)
{
	return is_size_only(c) && opcode_is(c, 1, 0x02, 0x03);
}

static bool is_movsxd_16(const struct test_case *c)
{
	return is_size_only(c) && opcode_is(c, 0, 0x63, 0x63) && c->insn.operand_size == SIZE_16;
}

static bool is_hypercall(const struct test_case *c)
{
	return c->zydis_ok &&
		(c->zydis.mnemonic == ZYDIS_MNEMONIC_VMCALL ||
			c->zydis.mnemonic == ZYDIS_MNEMONIC_VMMCALL);
}

static bool is_short_indirect_branch(const struct test_case *c)
{
	return is_size_only(c) && opcode_is(c, 0, 0xff, 0xff) && c->code_size == SIZE_64 &&
		c->insn.operand_size == SIZE_16;
}

static struct difference differences[] = {
	{"no base (SIB.base 101, mod 00) whatever REX.B says (APM volume 3, table 1-18); Zydis 4.0 takes R13",
		is_sib_without_base, 0},
	{"0F 0D /2 is a reserved form of PREFETCH (APM volume 3, PREFETCH); Intel has PREFETCHWT1",
		is_reserved_prefetch, 0},
	{"0F 0D of a register is #UD (APM volume 3, PREFETCH); Intel has a NOP",
		is_prefetch_of_register, 0},
	{"a 32-bit result that REX.W makes a 64-bit one is zero-extended either way",
		has_wide_result, 0},
	{"far pointers are 16:32 at most on AMD processors (APM volume 3, CALL, JMP, LSS); Intel has 16:64",
		is_far_with_rex_w, 0},
	{"LAR and LSL read a selector, 16 bits, from any register", is_selector_source, 0},
	{"66 63 reads 16 bits of memory, too (SDM, MOVSXD; tried on a processor at a page's end)",
		is_movsxd_16, 0},
	{"66 FF /2 and /4 in 64-bit code: 16 bits on AMD processors, as direct branches; Zydis says 64",
		is_short_indirect_branch, 0},
	{"a guest may call its hypervisor by VMCALL and by VMMCALL without having VMX or SVM itself",
		is_hypercall, 0},
};
