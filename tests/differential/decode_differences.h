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

static struct difference differences[] = {
	{"no base (SIB.base 101, mod 00) whatever REX.B says (APM volume 3, table 1-18); Zydis 4.0 takes R13",
		is_sib_without_base, 0},
	{"0F 0D /2 is a reserved form of PREFETCH (APM volume 3, PREFETCH); Intel has PREFETCHWT1",
		is_reserved_prefetch, 0},
	{"0F 0D of a register is #UD (APM volume 3, PREFETCH); Intel has a NOP",
		is_prefetch_of_register, 0},
};
