/* SPDX-License-Identifier: MIT */
#include "control/gdb_registers.h"
#include "base/memory.h"
#include "x86/exceptions.h"
#include "x86/flags.h"
#include "x86/fpu.h"
#include "x86/model.h"
#include "x86/paging.h"

enum register_kind {
	FIELD,	    /* `stored` bytes of struct cpu */
	SHOWN_ONLY, /* the same; a segment's selector alone means nothing */
	ADDRESS,    /* must be canonical */
	CONTROL,    /* what is cached of the page tables goes with it */
	FLAGS,
	X87_TAGS, /* the full tag word; the image has the abridged one */
	ZERO,
};

struct gdb_register {
	const char *name, *type;
	u16 offset;
	u8 stored, shown; /* bytes */
	u8 kind;
	const char *feature; /* that begins with it */
};

#define IN_CPU(member) __builtin_offsetof(struct cpu, member)
#define GENERAL(name, type, register)                                 \
	{                                                             \
		name, type, IN_CPU(regs[register]), 8, 8, FIELD, NULL \
	}
#define SELECTOR(name, segment)                                                           \
	{                                                                                 \
		name, "int32", IN_CPU(segments[segment].selector), 2, 4, SHOWN_ONLY, NULL \
	}
/* At an offset of FXSAVE's image. */
#define IMAGE(name, type, at, stored, shown)                                     \
	{                                                                        \
		name, type, IN_CPU(fpu.image) + (at), stored, shown, FIELD, NULL \
	}
#define ST(n) IMAGE("st" #n, "i387_ext", 32 + 16 * n, 10, 10)
#define XMM(n) IMAGE("xmm" #n, "vec128", 160 + 16 * n, 16, 16)
#define YMM_HIGH(n)                                                                   \
	{                                                                             \
		"ymm" #n "h", "uint128", IN_CPU(fpu.ymm_high[n]), 16, 16, FIELD, NULL \
	}
#define X87_CONTROL(name, at, stored) IMAGE(name, "int", at, stored, 4)

static const struct gdb_register registers[] = {
	{"rax", "int64", IN_CPU(regs[RAX]), 8, 8, FIELD, "org.gnu.gdb.i386.core"},
	GENERAL("rbx", "int64", RBX),
	GENERAL("rcx", "int64", RCX),
	GENERAL("rdx", "int64", RDX),
	GENERAL("rsi", "int64", RSI),
	GENERAL("rdi", "int64", RDI),
	GENERAL("rbp", "data_ptr", RBP),
	GENERAL("rsp", "data_ptr", RSP),
	GENERAL("r8", "int64", R8),
	GENERAL("r9", "int64", R9),
	GENERAL("r10", "int64", R10),
	GENERAL("r11", "int64", R11),
	GENERAL("r12", "int64", R12),
	GENERAL("r13", "int64", R13),
	GENERAL("r14", "int64", R14),
	GENERAL("r15", "int64", R15),
	GENERAL("rip", "code_ptr", RIP),
	{"eflags", "x86_eflags", 0, 4, 4, FLAGS, NULL},
	SELECTOR("cs", SEGMENT_CS),
	SELECTOR("ss", SEGMENT_SS),
	SELECTOR("ds", SEGMENT_DS),
	SELECTOR("es", SEGMENT_ES),
	SELECTOR("fs", SEGMENT_FS),
	SELECTOR("gs", SEGMENT_GS),
	ST(0),
	ST(1),
	ST(2),
	ST(3),
	ST(4),
	ST(5),
	ST(6),
	ST(7),
	X87_CONTROL("fctrl", 0, 2),
	X87_CONTROL("fstat", 2, 2),
	{"ftag", "int", IN_CPU(fpu.image) + 4, 1, 4, X87_TAGS, NULL},
	{"fiseg", "int", 0, 0, 4, ZERO, NULL},
	X87_CONTROL("fioff", 8, 4),
	{"foseg", "int", 0, 0, 4, ZERO, NULL},
	X87_CONTROL("fooff", 16, 4),
	X87_CONTROL("fop", 6, 2),
	{"xmm0", "vec128", IN_CPU(fpu.image) + 160, 16, 16, FIELD, "org.gnu.gdb.i386.sse"},
	XMM(1),
	XMM(2),
	XMM(3),
	XMM(4),
	XMM(5),
	XMM(6),
	XMM(7),
	XMM(8),
	XMM(9),
	XMM(10),
	XMM(11),
	XMM(12),
	XMM(13),
	XMM(14),
	XMM(15),
	IMAGE("mxcsr", "x86_mxcsr", 24, 4, 4),
	{"fs_base", "int64", IN_CPU(segments[SEGMENT_FS].base), 8, 8, ADDRESS,
		"org.gnu.gdb.i386.segments"},
	{"gs_base", "int64", IN_CPU(segments[SEGMENT_GS].base), 8, 8, ADDRESS, NULL},
	{"k_gs_base", "int64", IN_CPU(msrs.kernel_gs_base), 8, 8, ADDRESS, "org.lodge.system"},
	{"cr0", "x86_cr0", IN_CPU(cr0), 8, 8, CONTROL, NULL},
	{"cr2", "int64", IN_CPU(cr2), 8, 8, FIELD, NULL},
	{"cr3", "int64", IN_CPU(cr3), 8, 8, CONTROL, NULL},
	{"cr4", "x86_cr4", IN_CPU(cr4), 8, 8, CONTROL, NULL},
	{"efer", "x86_efer", IN_CPU(efer), 8, 8, CONTROL, NULL},
	/* Last, since not every model has them. gdb makes ymm0 of xmm0 and ymm0h. */
	{"ymm0h", "uint128", IN_CPU(fpu.ymm_high[0]), 16, 16, FIELD, "org.gnu.gdb.i386.avx"},
	YMM_HIGH(1),
	YMM_HIGH(2),
	YMM_HIGH(3),
	YMM_HIGH(4),
	YMM_HIGH(5),
	YMM_HIGH(6),
	YMM_HIGH(7),
	YMM_HIGH(8),
	YMM_HIGH(9),
	YMM_HIGH(10),
	YMM_HIGH(11),
	YMM_HIGH(12),
	YMM_HIGH(13),
	YMM_HIGH(14),
	YMM_HIGH(15),
};

#define YMM_REGISTERS 16

unsigned gdb_register_count(const struct cpu *cpu)
{
	return ARRAY_SIZE(registers) - (cpu_model_has(cpu->model, FEATURE_AVX) ? 0 : YMM_REGISTERS);
}

unsigned gdb_register_bytes(unsigned number)
{
	return number < ARRAY_SIZE(registers) ? registers[number].shown : 0;
}

/* SDM volume 1, 8.1.7: 0 valid, 3 empty; by physical register, as the abridged one is. */
static u32 full_tags(u8 abridged)
{
	u32 tags = 0;
	for (unsigned i = 0; i < 8; i++)
		tags |= abridged >> i & 1 ? 0 : (u32)3 << 2 * i;
	return tags;
}

unsigned gdb_register_get(const struct cpu *cpu, unsigned number, u8 value[GDB_REGISTER_BYTES_MAX])
{
	if (number >= gdb_register_count(cpu))
		return 0;
	const struct gdb_register *from = &registers[number];
	u32 word = 0;
	memset(value, 0, GDB_REGISTER_BYTES_MAX);
	switch (from->kind) {
	case FLAGS:
		word = (u32)flags_get(cpu);
		memcpy(value, &word, 4);
		break;
	case X87_TAGS:
		word = full_tags(cpu->fpu.image[4]);
		memcpy(value, &word, 4);
		break;
	default:
		memcpy(value, (const u8 *)cpu + from->offset, from->stored);
	}
	return from->shown;
}

static bool set_flags(struct cpu *cpu, const u8 *value)
{
	u64 before = flags_get(cpu);
	u32 flags;
	memcpy(&flags, value, 4);
	flags_set(cpu, flags);
	if (cpu_state_is_valid(cpu))
		return true;
	flags_set(cpu, before);
	return false;
}

static bool set_field(struct cpu *cpu, const struct gdb_register *to, const u8 *value)
{
	u8 *at = (u8 *)cpu + to->offset, before[GDB_REGISTER_BYTES_MAX];
	u64 address;
	memcpy(&address, value, 8);
	if (to->kind == ADDRESS && !address_is_canonical(address))
		return false;
	memcpy(before, at, to->stored);
	memcpy(at, value, to->stored);
	if (cpu_state_is_valid(cpu))
		return true;
	memcpy(at, before, to->stored);
	return false;
}

bool gdb_register_set(struct cpu *cpu, unsigned number, const u8 value[GDB_REGISTER_BYTES_MAX])
{
	if (number >= gdb_register_count(cpu))
		return false;
	const struct gdb_register *to = &registers[number];
	u64 rip = cpu->regs[RIP];
	if (to->kind == SHOWN_ONLY || to->kind == X87_TAGS || to->kind == ZERO)
		return false;
	if (!(to->kind == FLAGS ? set_flags(cpu, value) : set_field(cpu, to, value)))
		return false;
	fpu_sanitize(&cpu->fpu);
	if (cpu->regs[RIP] != rip && cpu->activity == CPU_HALTED)
		cpu->activity = CPU_RUNNING; /* what waited was the instruction it was at */
	if (to->kind == CONTROL)
		paging_flush(cpu);
	cpu_mode_changed(cpu);
	return true;
}

/* ---- target.xml ---- */

struct flag_name {
	const char *name;
	u8 bit;
};

struct flags_type {
	const char *id;
	u8 bytes;
	struct flag_name flags[20];
};

static const struct flags_type flags_types[] = {
	{"x86_eflags", 4,
		{{"CF", 0}, {"PF", 2}, {"AF", 4}, {"ZF", 6}, {"SF", 7}, {"TF", 8}, {"IF", 9},
			{"DF", 10}, {"OF", 11}, {"NT", 14}, {"RF", 16}, {"VM", 17}, {"AC", 18},
			{"VIF", 19}, {"VIP", 20}, {"ID", 21}}},
	{"x86_mxcsr", 4,
		{{"IE", 0}, {"DE", 1}, {"ZE", 2}, {"OE", 3}, {"UE", 4}, {"PE", 5}, {"DAZ", 6},
			{"IM", 7}, {"DM", 8}, {"ZM", 9}, {"OM", 10}, {"UM", 11}, {"PM", 12},
			{"FZ", 15}}},
	{"x86_cr0", 8,
		{{"PE", 0}, {"MP", 1}, {"EM", 2}, {"TS", 3}, {"ET", 4}, {"NE", 5}, {"WP", 16},
			{"AM", 18}, {"NW", 29}, {"CD", 30}, {"PG", 31}}},
	{"x86_cr4", 8,
		{{"VME", 0}, {"PVI", 1}, {"TSD", 2}, {"DE", 3}, {"PSE", 4}, {"PAE", 5}, {"MCE", 6},
			{"PGE", 7}, {"PCE", 8}, {"OSFXSR", 9}, {"OSXMMEXCPT", 10}, {"UMIP", 11},
			{"FSGSBASE", 16}, {"PCIDE", 17}, {"OSXSAVE", 18}, {"SMEP", 20},
			{"SMAP", 21}}},
	{"x86_efer", 8, {{"SCE", 0}, {"LME", 8}, {"LMA", 10}, {"NXE", 11}, {"FFXSR", 14}}},
};

static const char vec128_type[] =
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
	"<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
	"<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
	"<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
	"<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
	"<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
	"<field name=\"uint128\" type=\"uint128\"/></union>";

static void describe_flags(struct text *text, const struct flags_type *type)
{
	text_format(text, "<flags id=\"%s\" size=\"%u\">", type->id, type->bytes);
	for (const struct flag_name *flag = type->flags;
		flag < type->flags + ARRAY_SIZE(type->flags) && flag->name; flag++)
		text_format(text, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", flag->name,
			flag->bit, flag->bit);
	text_append(text, "</flags>");
}

/* The types that the feature's registers have and gdb does not know by itself: those are its own. */
static void describe_types(struct text *text, const struct gdb_register *first)
{
	const struct gdb_register *end = registers + ARRAY_SIZE(registers);
	for (const struct gdb_register *at = first; at < end && (at == first || !at->feature);
		at++) {
		for (unsigned i = 0; i < ARRAY_SIZE(flags_types); i++) {
			if (text_equal(at->type, flags_types[i].id))
				describe_flags(text, &flags_types[i]);
		}
	}
	if (text_equal(first->type, "vec128"))
		text_append(text, vec128_type);
}

void gdb_registers_describe(const struct cpu *cpu, struct text *text)
{
	text_append(text,
		"<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
		"<architecture>i386:x86-64</architecture>");
	for (unsigned i = 0; i < gdb_register_count(cpu); i++) {
		const struct gdb_register *it = &registers[i];
		if (it->feature) {
			text_format(text, "%s<feature name=\"%s\">", i ? "</feature>" : "",
				it->feature);
			describe_types(text, it);
		}
		text_format(text, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>", it->name,
			it->shown * 8, it->type);
	}
	text_append(text, "</feature></target>");
}
