/* SPDX-License-Identifier: MIT */
/*
 * The translator's verifier (engines/translator/verify.h): all that the translator emits passes, and each of a list of faults put into
 * what it emitted is found.
 */
#include "base/memory.h"
#include "core/machine.h"
#include "engines/translator/build.h"
#include "engines/translator/verify.h"
#include "hosts/fake/fake.h"
#include "tests/unit/unit.h"
#include "x86/decode/decode.h"
#include "x86/fpu.h"
#include "x86/model.h"

#define RAM_BYTES (1 * MIB)
#define OFFSET 0x100 /* of blocks, in their page */

static struct machine machine;
static struct translator *translator;

static void set_up(enum clock_kind clock)
{
	struct machine_parameters parameters = {.engine = &engine_translator,
		.ram = host_memory_get(RAM_BYTES),
		.ram_bytes = RAM_BYTES,
		.clock = clock,
		.tsc_hz = 1000000000,
		.model = cpu_model_find("x86-64-v3"),
		.verification = VERIFY_OR_INTERPRET,
		.code_cache_bytes = 16 * MIB,
		.vcpu_count = 1};

	fake_reset();
	memset(&machine, 0, sizeof(machine));
	assert_int_equal(machine_init(&machine, &parameters), STATUS_OK);
	translator = translator_of(machine.vcpus[0]);
}

static int set_up_real(void **state)
{
	set_up(CLOCK_REAL);
	return 0;
}

static int set_up_counted(void **state)
{
	set_up(CLOCK_INSTRUCTIONS);
	return 0;
}

static int tear_down(void **state)
{
	u8 *ram = machine.memory.host;

	machine_fini(&machine);
	host_memory_put(ram, RAM_BYTES);
	return 0;
}

/* ---- blocks -------------------------------------------------------------------------------------- */

static u64 room[(sizeof(struct block) + BLOCK_INSNS_MAX * sizeof(struct insn)) / 8];
static struct block *const block = (struct block *)room;

static unsigned mode = SIZE_64; /* of the code */

static void block_begin(void)
{
	memset(room, 0, sizeof(room));
	block->offset = OFFSET;
	block->code_size = (u8)mode;
}

static bool block_add(const u8 *bytes, unsigned count)
{
	struct insn *insn = &block->insns[block->count];
	if (decode(bytes, count, mode, machine.vcpus[0]->cpu.model->features, insn) != DECODE_OK)
		return false;
	block->bytes += insn->length;
	block->count++;
	return true;
}

static unsigned hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static unsigned from_hex(const char *hex, u8 *bytes)
{
	unsigned count = 0;
	for (; *hex; hex++)
		if (*hex != ' ') {
			bytes[count++] = (u8)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
			hex++;
		}
	return count;
}

/* Hexadecimal; 32-bit code behind "32:". */
static void block_of(const char *hex)
{
	bool is_32 = !strncmp(hex, "32:", 3);
	u8 bytes[1024] = {0};
	unsigned count = from_hex(hex + 3 * is_32, bytes), at = 0;
	mode = is_32 ? SIZE_32 : SIZE_64;
	block_begin();
	while (at < count) {
		assert_true(block_add(bytes + at, count - at));
		at += block->insns[block->count - 1].length;
	}
}

/* False: it did not pass. */
static bool block_passes(void)
{
	u64 unproven = translator->counts.unproven;
	block->translation = NULL;
	if (!translate_block(translator, block)) {
		block_cache_empty(&translator->loop.cache);
		assert_true(translate_block(translator, block));
	}
	return translator->counts.unproven == unproven && block->translation;
}

/* ---- all kinds of code --------------------------------------------------------------------------- */

static u64 seed = 1;

static u64 random_below(u64 limit)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (seed >> 33) % limit;
}

static unsigned put_prefixes(const struct opcode_row *row, u8 *bytes)
{
	static const u8 mandatory[] = {0, 0x66, 0xf3, 0xf2};
	unsigned count = 0;
	if (row->attributes & ROW_LOCK && !random_below(3))
		bytes[count++] = 0xf0;
	if (!random_below(4))
		bytes[count++] = random_below(2) ? 0x64 : 0x65;
	if (!random_below(24))
		bytes[count++] = 0x67;
	if (row->prefixes == 0xf && !random_below(4))
		bytes[count++] = 0x66;
	for (unsigned i = 0; i < ARRAY_SIZE(mandatory); i++)
		if (row->prefixes == 1u << i && i)
			bytes[count++] = mandatory[i];
	if (mode == SIZE_64 && random_below(4))
		bytes[count++] = (u8)(0x40 | random_below(16));
	return count;
}

static unsigned put_opcode(const struct opcode_row *row, u8 *bytes)
{
	static const u8 escapes[][3] = {{0}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
	unsigned count = row->map < 2 ? row->map : 2;
	memcpy(bytes, escapes[row->map], count);
	bytes[count++] = (u8)(row->opcode + random_below(row->opcodes));
	return count;
}

/* Any instruction of the row, with registers and addresses of all kinds. */
static bool add_of_row(const struct opcode_row *row)
{
	u8 bytes[32];
	unsigned count = put_prefixes(row, bytes);
	if (row->map > 3)
		return false;
	count += put_opcode(row, bytes + count);
	if (row->has_modrm)
		bytes[count++] =
			(u8)((random_below(256) & ~(u64)row->modrm_mask) | row->modrm_value);
	while (count < sizeof(bytes))
		bytes[count++] = (u8)random_below(256);
	return block_add(bytes, 15);
}

static void report_failure(void)
{
	print_error("%s\n", fake_last_log);
	for (u32 i = 0; i < block->count; i++) {
		char buffer[128];
		struct text text;
		text_init(&text, buffer, sizeof(buffer));
		insn_print(&text, &block->insns[i], 0);
		print_error("    %s\n", buffer);
	}
	fail();
}

static void each_row_by_itself(void)
{
	for (unsigned row = 0; row < opcode_row_count; row++)
		for (unsigned i = 0; i < 60; i++) {
			block_begin();
			if (add_of_row(&opcode_rows[row]) && !block_passes())
				report_failure();
		}
}

static void blocks_of_many(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned wanted = 1 + (unsigned)random_below(BLOCK_INSNS_MAX);
		block_begin();
		for (unsigned n = 0; n < wanted * 4 && block->count < wanted; n++) {
			const struct opcode_row *row = &opcode_rows[random_below(opcode_row_count)];
			if (row->class == ROW_CLASS_HELPER && random_below(8))
				continue;
			add_of_row(row);
			if (block->count && block->insns[block->count - 1].flags & INSN_ENDS_BLOCK)
				break;
		}
		if (block->count && !block_passes())
			report_failure();
	}
}

static void all_that_is_emitted_passes(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		mode = i ? SIZE_64 : SIZE_32;
		each_row_by_itself();
		blocks_of_many(i ? 3000 : 1500);
	}
}

/* ---- faults -------------------------------------------------------------------------------------- */

/* Guest code that the faults are put into. */
#define LOAD "488b44b310"	     /* mov rax, [rbx+rsi*4+16] */
#define LOAD_32 "8b03"		     /* mov eax, [rbx] */
#define LOAD_LOW "32:8b44b310"	     /* mov eax, [ebx+esi*4+16] in 32-bit code */
#define STORE_LOW "32:895320"	     /* mov [ebx+32], edx */
#define LOAD_FS_LOW "32:648b4310"    /* mov eax, fs:[ebx+16] */
#define LOAD_FAR "488b8300010000"    /* mov rax, [rbx+256] */
#define LOAD_FS "64488b042528000000" /* mov rax, fs:[40] */
#define LOAD_SLOTS "4b8b446d08"	     /* mov rax, [r13+r13*2+8] */
#define STORE "48895320"	     /* mov [rbx+32], rdx */
#define ADD "480113"		     /* add [rbx], rdx */
#define LOCK_ADD "f0480113"
#define SHIFT "48d323"	  /* shl qword [rbx], cl */
#define VADDPS "c5f458c2" /* vaddps ymm0, ymm1, ymm2 */
#define MOVUPS "0f100b"
#define MOVAPS "0f280b"
#define PUSH "50"
#define POP "59"
#define PUSHES "505355"	       /* push rax, rbx, rbp */
#define LOADS "488b03488b4b08" /* mov rax, [rbx]; mov rcx, [rbx+8] */
#define MOVAPS2 "0f28030f284b10"
/* again: mov rax, [rbx]; add rbx, 8; dec rdx; jnz again */
#define LOOP "488b034883c30848ffca75f4"
/* mov rax, [rbx]; mov [rsi], rax; mov rcx, [rbx+8]; mov [rsi+8], rcx */
#define MIXED "488b03488906488b4b0848894e08"
#define JMP_RAX "ffe0"
#define CALL_RBX "ffd3"
#define STAC "0f01cb"
#define SWAPGS "0f01f8"
#define STI "fb"
#define CMPXCHG16B "480fc70b" /* [rbx] */
#define CALL_FAR "e800100000" /* to another page */
#define JNE "7500"
#define DIV "48f7f6"  /* div rsi */
#define IDIV "41f7fd" /* idiv r13d */
#define FADD "d8c1"
#define FNINIT "dbe3"
#define PADDW "0ffd03" /* paddw mm0, [rbx] */
#define EMMS "0f77"
#define FLD_32 "d903" /* fld dword [rbx] */
#define FSTP_80 "db3b"
#define FLDCW "d92b"
#define FNSTSW "dfe0"

#define NOP3 "909090"
#define NOP4 "90909090"
#define NOP5 "9090909090"
#define NOP6 "909090909090"
#define NOP9 "909090909090909090"

/*
 * What the translator might do wrong, done to what it emitted for `guest`: the bytes `find` (?? is any, @@@@@@@@ in `put` is
 * `word`) become `put`; if that is NULL, what is before | in `find` changes places with what is behind it. `delta` is
 * added to the displacement at the end of what was found.
 */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct fault {
	const char *name, *guest, *find, *put;
	const char *why; /* a part of what the verifier must say */
	i32 word;
	int delta;
	unsigned skip; /* places before the one that is meant */
} faults[] = {
	/* the check */
	{"no jump to the miss", LOAD, "0f85????????", NOP6, "before its tag"},
	{"the jump to the miss is taken at a hit", LOAD, "0f85", "0f84", "before its tag"},
	{"the jump to the miss depends on something else", LOAD, "0f85", "0f82", "before its tag"},
	{"the miss goes to the access", LOAD, "0f85????????", "0f8507000000", "not checked"},
	{"the miss goes on with the check", LOAD, "0f85????????", "0f8500000000", "not checked"},
	{"no comparison", LOAD, "483b01", NOP3, "before its tag"},
	{"the comparison is of 32 bits", LOAD, "483b01", "403b01", "as a whole"},
	{"another register is compared", LOAD, "483b01", "483b11", "another register"},
	{"the comparison's order is lost", LOAD, "483b01|0f85????????", NULL, "before its tag"},
	{"a write compares the tag for reading", STORE, "483b4108", "483b4100",
		"reading was checked"},
	{"a write compares the tag for execution", STORE, "483b4108", "483b4110",
		"no tag for data"},
	{"a write compares the addend", STORE, "483b4108", "483b4118", "no tag for data"},
	{"a write compares what is between tags", STORE, "483b4108", "483b4104", "no tag for data"},
	{"a write compares the next entry", STORE, "483b4108", "483b4128", "no tag for data"},
	{"a load's check, and a store", LOAD, "4c8b6cb110", "4c896cb110", "reading was checked"},
	{"the index is shifted too little", LOAD, "c1e907", "c1e906", "word of the engine's"},
	{"the index is shifted too much", LOAD, "c1e907", "c1e90c", "word of the engine's"},
	{"the index is not shifted", LOAD, "c1e907", NOP3, "word of the engine's"},
	{"the index is shifted the other way", LOAD, "c1e907", "c1e107", "word of the engine's"},
	{"the index's mask is too wide", LOAD, "81e1????????", "81e1@@@@@@@@",
		"word of the engine's", (TLB_ENTRIES * 2 - 1) * 32},
	{"the index's mask leaves parts of entries", LOAD, "81e1????????", "81e1@@@@@@@@",
		"word of the engine's", TLB_ENTRIES * 32 - 8},
	{"the index is not masked", LOAD, "81e1????????", NOP6, "word of the engine's"},
	{"the index is ored, not masked", LOAD, "81e1????????", "81c9????????",
		"word of the engine's"},
	{"the index is another register's", LOAD, "89c1", "89d1", "another page"},
	{"the index is of the last byte, too", LOAD, "89c1", "89f1", "another page"},
	{"no TLB is added", LOAD, "6548030c25????????", NOP9, "not checked"},
	{"another word than the TLB is added", LOAD, "6548030c25????????", "6548030c25@@@@@@@@",
		"not checked", OFFSET_WORD(WORD_TARGET)},
	{"the table of jump targets is added", LOAD, "6548030c25????????", "6548030c25@@@@@@@@",
		"word of the engine's", OFFSET_WORD(WORD_JUMPS)},
	{"the TLB is subtracted", LOAD, "6548030c25", "65482b0c25", "word of the engine's"},
	{"the TLB is taken from the host's FS", LOAD, "6548030c25", "6448030c25", "host's"},
	{"the TLB is taken from no segment", LOAD, "6548030c25", "3e48030c25", "not checked"},
	{"the last byte is not looked at", LOAD, "4883c007", NOP4, "beyond"},
	{"the last byte is the fourth of eight", LOAD, "4883c007", "4883c003", "beyond"},
	{"the last byte is before the first", LOAD, "4883c007", "4883c0ff", "another page"},
	{"the page is 64 KiB", LOAD, "4881e000f0ffff", "4881e00000ffff", "another page"},
	{"the page is a hole", LOAD, "4881e000f0ffff", "4881e000e0ffff", "another page"},
	{"the address is not cut to its page", LOAD, "4881e000f0ffff", "90909090909090",
		"another page"},
	{"no address is computed", LOAD, "488d44b310", NOP5, "old value"},
	{"an aligned access is checked for half", MOVAPS, "4881e00ff0ffff", "4881e007f0ffff",
		"beyond"},
	{"an aligned access is checked with a hole", MOVAPS, "4881e00ff0ffff", "4881e00bf0ffff",
		"another page"},
	{"a locked access is not checked for alignment", LOCK_ADD, "4881e007f0ffff",
		"4881e000f0ffff", "beyond"},
	{"an aligned access after a check for any", MOVUPS, "0f100c19", "0f280c19", "aligned"},
	{"an exchange after a check for any", ADD, "48011419", "48871419", "aligned"},
	/* 32-bit code: the address is a sum's lower half */
	{"it is not made again", LOAD_LOW, "8d44b310488d0c01", NOP4 "488d0c01", "not checked"},
	{"it is made again with another displacement", LOAD_LOW, "8d44b310", "8d44b311",
		"not checked", .skip = 1},
	{"it is made again of another register", LOAD_LOW, "8d44b310", "8d44b210", "not checked",
		.skip = 1},
	{"another one is checked", LOAD_LOW, "8d44b310", "8d44b311", "not checked"},
	{"it is added as 32 bits", LOAD_LOW, "488d0c01", "408d0c01", "not checked"},
	{"it is added twice", LOAD_LOW, "488d0c01", "488d0c41", "not checked"},
	{"a whole register is added", LOAD_LOW, "488d0c01", "488d0c19", "another address"},
	{"what was there before is added", LOAD_LOW, "8d44b310488d0c01", "488d0c0190909090",
		"not checked"},
	{"nothing is added", LOAD_LOW, "488d0c01", NOP4, "another address"},
	{"its last byte is not looked at", LOAD_LOW, "4883c003", NOP4, "beyond"},
	{"its last byte is cut to 32 bits", LOAD_LOW, "4883c003", "4083c003", "another page"},
	{"its page is cut to 32 bits", LOAD_LOW, "4881e0", "4081e0", "another page"},
	{"it is checked whole, and used cut", STORE_LOW, "8d4320", "8d5320", "old value"},
	{"the tag for reading, and a write of 32-bit code", STORE_LOW, "483b4108", "483b4100",
		"reading was checked"},
	{"the base is added once only", LOAD_FS_LOW, "65030425????????488d0c01",
		NOP4 NOP4 "488d0c01", "not checked"},
	/* the TLB's other way */
	{"no jump where the other way has it neither", LOAD, "483b81????????0f85????????",
		"483b81????????" NOP6, "before its tag"},
	{"the other way's tag, the first way's addend", LOAD, "488b89????????", "488b8918000000",
		"before its tag"},
	{"the first way's tag, the other way's addend", LOAD, "483b81????????", "483b8100000000",
		"before its tag"},
	{"the other way's tag for reading, and a write", STORE, "483b81????????", "483b81@@@@@@@@",
		"taken for granted", TLB_ENTRIES * 32},
	{"a way that the TLB does not have", LOAD, "483b81????????", "483b81@@@@@@@@",
		"no tag for data", TLB_SLOTS * 32},
	{"the other way comes back before the addend", LOAD, "e9????????", NULL,
		"not checked|taken for granted", 0, -4, 1},
	{"the other way comes back behind the address", LOAD, "e9????????", NULL, "not checked", 0,
		3, 1},
	{"the other way's counter is one of the engine's", LOAD, "65fe0425????????",
		"65fe0425@@@@@@@@", "not for translated code", OFFSET_WORD(WORD_HOST_RSP)},
	/* what follows it */
	{"the addend is loaded before the jump", LOAD, "0f85????????|488b4918", NULL,
		"before its tag"},
	{"the access is before the check's end", LOAD, "0f85????????488b49184803cb|4c8b6cb110",
		NULL, "unknown use of a table's entry|not checked"},
	{"no addend", LOAD, "488b4918", NOP4, "not checked|host address"},
	{"the addend is a tag", LOAD, "488b4918", "488b4910", "tag is loaded"},
	{"the addend is of 32 bits", LOAD, "488b4918", "408b4918", "as a whole"},
	{"the addend goes to the guest", LOAD, "488b4918", "488b5918", "before its tag"},
	{"a part of the address is missing", LOAD, "4803cb", NOP3, "another address"},
	{"a part of the address is another register", LOAD, "4803cb", "4803ca", "another address"},
	{"a part of the address is subtracted", LOAD, "4803cb", "482bcb", "host address"},
	{"a part of the address is of 32 bits", LOAD, "4803cb", "4003cb", "not checked"},
	{"the factor is another", LOAD, "4c8b6cb110", "4c8b6c7110", "another address"},
	{"the index is missing", LOAD, "4c8b6cb110", "4c8b692090", "another address"},
	{"the displacement is one more", LOAD, "4c8b6cb110", "4c8b6cb111", "beyond"},
	{"the displacement is one less", LOAD, "4c8b6cb110", "4c8b6cb10f", "beyond"},
	{"the displacement is a page more", LOAD_FAR, "4c8bac1900010000", "4c8bac1900110000",
		"beyond"},
	{"the displacement is a page less", LOAD_FAR, "4c8bac1900010000", "4c8bac1900f1ffff",
		"beyond"},
	{"the check's displacement is another", LOAD, "488d44b310", "488d44b318", "beyond"},
	{"the check's base is another", LOAD, "488d44b310", "488d44b210", "another address"},
	{"more is loaded than was checked", LOAD_32, "448b2c19", "4c8b2c19", "beyond"},
	{"the access is absolute", LOAD_32, "448b2c19", "448b2c1b", "not checked"},
	{"the address is cut to 32 bits", LOAD, "4c8b6cb110", "67448b2cb1", "less than 64 bits"},
	{"the segment's base is another in the end", LOAD_FS, "6548030c25????????",
		"6548030c25@@@@@@@@", "another address", OFFSET_SEGMENT_BASE(SEGMENT_GS), 0, 1},
	{"the segment's base is not added in the end", LOAD_FS, "6548030c25????????", NOP9,
		"another address", 0, 0, 1},
	{"the guest's register in memory is another", LOAD_SLOTS, "6548030c25????????",
		"6548030c25@@@@@@@@", "another address", OFFSET_REGISTER(R14), 0, 1},
	{"the stack is popped before it is read", POP, "4e8b3439|4d8d7f08", NULL,
		"another address"},
	{"the stack is pushed before it is written", PUSH, "4e896c39f8|4d8d7ff8", NULL,
		"another address"},
	/* a stretch: one check for several accesses */
	{"pushes are checked for all but one", PUSHES, "4883c017", "4883c00f", "beyond"},
	{"pushes are checked for reading", PUSHES, "483b4108", "483b4100", "reading was checked"},
	{"a push is below what was checked", PUSHES, "48895908", "488959f8", "beyond"},
	{"the stack is pushed before pushes have their address", PUSHES,
		"4a8d4c39e84c896910 48895908 488929|4d8d7fe8", NULL, "another address"},
	{"loads are checked for the first only", LOADS, "4883c00f", "4883c007", "beyond"},
	{"loads without a jump to the miss", LOADS, "0f85????????", NOP6, "before its tag"},
	{"loads without a comparison", LOADS, "483b01", NOP3, "before its tag"},
	{"loads from another register", LOADS, "488d0c19", "488d0c11", "another address"},
	{"loads from no address", LOADS, "488d0c19", NOP4, "another address"},
	{"a load is behind what was checked", LOADS, "4c8b7108", "4c8b7109", "beyond"},
	{"a load is before what was checked", LOADS, "4c8b7108", "4c8b71ff", "beyond"},
	{"loads are checked, and one is a store", LOADS, "4c8b7108", "4c897108",
		"reading was checked"},
	{"aligned loads are checked for any", MOVAPS2, "4881e00ff0ffff", "4881e000f0ffff",
		"aligned"},
	{"aligned loads, and one that is not", MOVAPS2, "0f284910", "0f284908", "aligned"},
	{"aligned loads are checked half a unit on", MOVAPS2, "4883c010", "4883c008", "aligned"},
	{"the other way comes back before an address", LOADS, "e9????????", NULL,
		"not checked|taken for granted", 0, -4, 1},
	{"the other way comes back behind an address", LOADS, "e9????????", NULL, "not checked", 0,
		4, 1},
	{"one by one comes back before the last", LOADS, "e9????????", NULL,
		"not checked|taken for granted", 0, -4, 2},
	{"an address that is kept before it is one", MIXED, "488d0c31|6548890c25????????", NULL,
		"unknown use|will trust|not checked|another address"},
	{"an address is kept unchecked", MIXED, "0f85????????", NOP6, "before its tag"},
	{"an address is not kept", MIXED, "6548890c25????????", NOP9, "no check before"},
	{"an address is another's", MIXED, "65488b0c25????????", "65488b0c25@@@@@@@@",
		"no check before", OFFSET_WORD(WORD_PLACE + 2)},
	{"an address is half another's", MIXED, "65488b0c25????????", "65488b0c25@@@@@@@@",
		"not for translated code", OFFSET_WORD(WORD_PLACE) + 4},
	{"an address is of 32 bits", MIXED, "65488b0c25????????", "65408b0c25????????",
		"no check before"},
	{"an address that is kept is the guest's", MIXED, "6548890c25????????",
		"6548891c25????????", "will trust"},
	{"an address that is kept is for the guest", MIXED, "65488b0c25????????",
		"65488b1c25????????", "no check before"},
	{"an address that is kept is moved", MIXED, "65488b0c25????????", "6548030c25????????",
		"unknown use"},
	{"an address for reading, and a write", MIXED, "65488b0c25????????", "65488b0c25@@@@@@@@",
		"reading was checked", OFFSET_WORD(WORD_PLACE), 0, 2},
	{"a loop's rounds are checked for one only", LOOP, "4883c03f", "4883c007", "beyond"},
	{"a loop's rounds without a jump to the miss", LOOP, "0f85????????488b49", NOP6 "488b49",
		"before its tag"},
	{"a loop's next round is behind what was checked", LOOP, "4c8b6938", "4c8b6940", "beyond"},
	{"an address is kept over a call", MIXED, "e8????????", NULL, "no thunk", 0, 8},
	{"a shift's place is another", SHIFT, "488d0419", "488d0411", "another address"},
	{"a shift's place is lost before it", SHIFT, "4c89f1", "4889d8", "not checked"},
	/* what leads to it */
	{"the miss comes back to the access", STORE, "e9????????", NULL,
		"not checked|taken for granted", 0, -5, 2},
	{"the miss comes back to the middle of an instruction", STORE, "e9????????", NULL,
		"no instruction", 0, 1, 2},
	{"the miss comes back to another page", STORE, "e9????????", NULL, "no instruction", 0,
		0x10000, 2},
	{"the jump to the miss goes into an instruction", LOAD, "0f85????????", NULL,
		"no instruction", 0, 1},
	{"the jump to the miss leaves the block", LOAD, "0f85????????", NULL, "no instruction", 0,
		0x100000},
	{"a call beside its thunk", LOAD, "e8????????", NULL, "no thunk", 0, 4},
	{"an exit beside its thunk", JMP_RAX, "b9????????e9????????", NULL, "no instruction", 0,
		-4},
	{"a thunk without its instruction", LOAD, "b9????????e8", "4889d89090e8",
		"without its instruction"},
	{"a thunk with the next in another page", LOAD, "b9????????e8", "b900200000e8",
		"without its instruction"},
	{"nothing follows the end", LOAD, "e9????????", NOP5, "nothing follows", 0, 0, 4},
	/* indirect jumps */
	{"an indirect jump's target is not compared", JMP_RAX, "483b01", NOP3,
		"not to a jump target|old value"},
	{"an indirect jump goes on at a miss", JMP_RAX, "483b010f85????????", "483b01" NOP6,
		"not to a jump target|old value"},
	{"an indirect jump goes on at a miss only", JMP_RAX, "483b010f85", "483b010f84",
		"not to a jump target|old value"},
	{"an indirect jump's target is another register", JMP_RAX, "483b01", "483b11",
		"another register"},
	{"an indirect jump's hash is another's", JMP_RAX, "69c8", "69ca", "compared with"},
	{"an indirect jump's hash is another one", JMP_RAX, "69c8????????", "69c8@@@@@@@@",
		"word of the engine's", 12345},
	{"an indirect jump's hash has other bits", JMP_RAX, "c1e90f", "c1e90e",
		"word of the engine's"},
	{"an indirect jump's hash is too large", JMP_RAX, "81e1????????", "81e1@@@@@@@@",
		"word of the engine's", (i32)(JUMP_OFFSET_MASK * 2 + 32)},
	{"an indirect jump's hash leaves parts of sets", JMP_RAX, "81e1????????", "81e1@@@@@@@@",
		"word of the engine's", (i32)(JUMP_OFFSET_MASK | 16)},
	{"an indirect jump's second way is not compared", JMP_RAX, "483b4110", NOP4,
		"not to a jump target|taken for granted"},
	{"an indirect jump's second way is a third", JMP_RAX, "483b4110", "483b4120",
		"compared with"},
	{"an indirect jump goes on where no way has it", JMP_RAX, "483b41100f85????????",
		"483b4110" NOP6, "taken for granted"},
	{"an indirect jump's ways are confused", JMP_RAX, "488d4910", NOP4, "taken for granted"},
	{"an indirect jump goes to a way too many", JMP_RAX, "488d4910", "488d4920",
		"taken for granted"},
	{"an indirect call takes the other way's code", CALL_RBX, "488b4108", "488b4118",
		"before it was compared"},
	{"an indirect jump's entry is the TLB's", JMP_RAX, "6548030c25????????",
		"6548030c25@@@@@@@@", "word of the engine's", OFFSET_OF(data_tlb)},
	{"an indirect jump takes another field", JMP_RAX, "ff6108", "ff6110",
		"not to a jump target"},
	{"an indirect jump by a register", JMP_RAX, "ff6108", "ffe190", "not to a jump target"},
	{"an indirect jump to where the guest says", JMP_RAX, "ff6108", "ffe090",
		"not to a jump target"},
	{"an indirect jump through the guest's register", JMP_RAX, "ff6108", "ff6308",
		"not to a jump target"},
	{"an indirect call of the host's", JMP_RAX, "ff6108", "ff5108", "never has"},
	{"an indirect call's code is its address", CALL_RBX, "488b4108", "488b4100",
		"before it was compared"},
	{"an indirect call's code is not stored", CALL_RBX, "6548890425????????", NOP9,
		"not to a jump target", 0, 0, 1},
	{"an indirect call's code is the guest's", CALL_RBX, "6548890425????????",
		"6548891c25????????", "will trust", 0, 0, 1},
	{"an indirect call through another word", CALL_RBX, "65ff2425????????", "65ff2425@@@@@@@@",
		"not to a jump target", OFFSET_WORD(WORD_TARGET)},
	/* the TLB's mode */
	{"another mode whatever CPL is", STAC, "65803c25????????00", NOP9, "a mode"},
	{"another mode for CPL 3", STAC, "65803c25????????00", "65803c25????????03", "a mode"},
	{"another mode unless CPL is 0", STAC, "0f85", "0f84", "a mode"},
	{"a mode that there is not", STAC, "65c60425????????02", "65c60425????????07", "a mode"},
	{"a TLB that the guest has made", STAC, "65488b0425????????", "65488b0425@@@@@@@@",
		"will trust", OFFSET_REGISTER(R13)},
	{"the TLB's address for the guest", STAC, "6548890425????????", "6548890425@@@@@@@@",
		"host address", OFFSET_REGISTER(R13)},
	{"CPL is written", STAC, "65c60425????????02", "65c60425@@@@@@@@02",
		"not for translated code", OFFSET_OF(cpl)},
	/* other system instructions */
	{"SWAPGS with another MSR", SWAPGS, "6548890425????????", "6548890425@@@@@@@@",
		"not for translated code", OFFSET_OF(msrs.lstar)},
	{"SWAPGS of the host's stack", SWAPGS, "65488b0425????????", "65488b0425@@@@@@@@",
		"not for translated code", OFFSET_WORD(WORD_HOST_RSP)},
	{"another segment's base after SWAPGS", SWAPGS "6548890b", "6548030c25????????",
		"6548030c25@@@@@@@@", "another address", OFFSET_SEGMENT_BASE(SEGMENT_FS), 0, 1},
	{"STI changes the privilege level", STI, "65810c25????????", "65810c25@@@@@@@@",
		"not for translated code", OFFSET_OF(cpl)},
	{"STI goes on without its edge", STI, "e9????????", NOP5, "nothing follows|no jump"},
	/* edges */
	{"another page without the key's comparison", CALL_FAR, "e305e9????????", "90" NOP6,
		"without its key"},
	{"another page by whether the key is not there", CALL_FAR, "e305", "67e3",
		"no instruction|less than RCX"},
	{"another page with the key of nothing", CALL_FAR, "488b05????????", NULL, "no edge's key",
		0, 8},
	{"another page with the key compared to a page", CALL_FAR, "65488b0c25????????",
		"65488b0c25@@@@@@@@", "without its key|host address", OFFSET_WORD(WORD_TARGET)},
	{"a key is written", CALL_FAR, "488b05", "488905", "no edge's key"},
	{"the engine is told of no edge", JNE, "48b8????????", "48b800000000", "will trust"},
	{"the engine is told what the guest says", JNE, "6548890425????????", "6548891425????????",
		"will trust"},
	/* the vCPU's state */
	{"beyond struct cpu", STORE, "6566890425????????", "6566890425@@@@@@@@",
		"not for translated code", sizeof(struct cpu)},
	{"before struct cpu", STORE, "6566890425????????", "6566890425@@@@@@@@",
		"not for translated code", -8},
	{"CR3", STORE, "6566890425????????", "6566890425@@@@@@@@", "not for translated code",
		OFFSET_OF(cr3)},
	{"the privilege level", STORE, "6566890425????????", "6566890425@@@@@@@@",
		"not for translated code", OFFSET_OF(cpl)},
	{"the TLB's address", JNE, "6548890425????????", "6548890425@@@@@@@@", "will trust",
		OFFSET_OF(data_tlb)},
	{"the host's stack", JNE, "6548890425????????", "6548890425@@@@@@@@",
		"not for translated code", OFFSET_WORD(WORD_HOST_RSP)},
	{"a guest register that is not in memory", JNE, "6548890425????????", "6548890425@@@@@@@@",
		"not for translated code", OFFSET_REGISTER(RBX)},
	{"two words at once", JNE, "6548890425????????", "6548890425@@@@@@@@",
		"not for translated code", OFFSET_REGISTER(R13) + 4},
	{"the vCPU's state by an index", STORE, "6548890c25????????", "6548890c1d????????",
		"not for translated code"},
	{"a bit of the vCPU's state by its number", LOAD, "4881e000f0ffff483b01",
		"65480fab1425@@@@@@@@", "size is open", OFFSET_REGISTER(R13)},
	/* CMPXCHG16B */
	{"half of CMPXCHG16B's operand is checked", CMPXCHG16B, "4881e00ff0ffff", "4881e007f0ffff",
		"beyond"},
	{"CMPXCHG16B's operand is checked for reading", CMPXCHG16B, "483b4108", "483b4100",
		"reading was checked|taken for granted"},
	{"CMPXCHG16B's operand is another", CMPXCHG16B, "488d0c19", "488d0c11", "another address"},
	{"CMPXCHG16B's operand is where the guest says", CMPXCHG16B, "488d0c19", "4889d990",
		"not checked"},
	/* what has no place in it */
	{"a return", LOAD, "4803cb", "c39090", "never has"},
	{"a push", LOAD, "4803cb", "509090", "never has"},
	{"a pop", LOAD, "4803cb", "599090", "never has"},
	{"LEAVE", LOAD, "4803cb", "c99090", "never has"},
	{"the stack pointer moves", LOAD, "4803cb", "4803e3", "stack pointer"},
	{"the stack pointer for the guest", LOAD, "4803cb", "4889e3", "guest|stack pointer"},
	{"the stack is read", LOAD, "4c8b6cb110", "4c8b6c2410", "not checked"},
	{"the system is called", LOAD, "4803cb", "0f0590", "never has"},
	{"an interrupt", LOAD, "4803cb", "cd8090", "never has"},
	{"a breakpoint", LOAD, "4803cb", "cc9090", "never has"},
	{"HLT", LOAD, "4803cb", "f49090", "never has"},
	{"a port", LOAD, "4803cb", "ee9090", "never has"},
	{"an MSR", LOAD, "4803cb", "0f3090", "never has"},
	{"the direction flag", LOAD, "4803cb", "fd9090", "never has"},
	{"the string of the host", LOAD, "4803cb", "48a590", "never has"},
	{"POPF", LOAD, "4803cb", "9d9090", "never has"},
	{"the GS base", LOAD, "4c8b6cb110", "f3480faedb", "never has"},
	{"a segment register", LOAD, "4803cb", "8ee890", "never has"},
	{"MXCSR", LOAD, "488b4918", "0fae5118", "never has"},
	{"the FPU's state", LOAD, "488b4918", "0fae4918", "never has"},
	{"no instruction at all", LOAD, "4803cb", "060606", "no instruction"},
	{"a host address for the guest", LOAD, "4c8b6cb110", "4989cd9090", "for the guest"},
	{"a host address in guest memory", STORE, "4889541920", "48894c1920", "host address"},
	{"a host address in the vCPU's state", STORE, "b9????????e8????????", NULL, "no thunk", 0,
		8},
	/* FPU and divisions */
	{"the host's own FPU registers", MOVAPS, "65f60425????????01", NOP9, "FPU register"},
	{"the host's own FPU registers, if they are live", MOVAPS, "0f84", "0f85", "FPU register"},
	{"the host's own FPU registers, by another comparison", MOVAPS, "65f60425????????01",
		"65803c25????????01", "word of the engine's"},
	{"the host's own FPU registers, by another byte", MOVAPS, "65f60425????????01",
		"65f60425@@@@@@@@01", "FPU register", OFFSET_WORD(WORD_FPU_LIVE) + 1},
	{"the host's own FPU registers, by another word", MOVAPS, "65f60425????????01",
		"65f60425@@@@@@@@01", "FPU register", OFFSET_REGISTER(R13)},
	{"the host's own FPU registers, by no bit", MOVAPS, "65f60425????????01",
		"65f60425????????00", "FPU register"},
	{"VEX instructions with SSE registers only", VADDPS, "65f60425????????02",
		"65f60425????????01", "FPU register"},
	{"VEX instructions with either", VADDPS, "65f60425????????02", "65f60425????????03",
		"FPU register"},
	{"VEX instructions with x87's state", VADDPS, "65f60425????????02", "65f60425????????04",
		"FPU register"},
	{"VEX instructions without their check", VADDPS, "65f60425????????02", NOP9,
		"FPU register"},
	{"the host's own x87 registers", FADD, "65f60425????????04", NOP9, "FPU register"},
	{"the host's own x87 registers, if they are live", FADD, "0f84", "0f85", "FPU register"},
	{"x87 with SSE registers only", FADD, "65f60425????????04", "65f60425????????01",
		"FPU register"},
	{"x87 with AVX", FADD, "65f60425????????04", "65f60425????????02", "FPU register"},
	{"x87 after its state was stored", FADD FNINIT FADD, "65f60425????????04", NOP9,
		"FPU register", 0, 0, 1},
	{"an x87 load is of more than was checked", FLD_32, "d90419", "db2c19", "beyond"},
	{"an x87 load is not checked", FLD_32, "d90419", "d90413", "not checked"},
	{"an x87 store where reading was checked", FLD_32, "d90419", "d91c19",
		"reading was checked"},
	{"an x87 store is of more than was checked", FSTP_80, "db3c19", "dd3419",
		"never has|beyond"},
	{"x87's control word", FLD_32, "d90419", "d92c19", "never has"},
	{"x87's environment is stored", FLD_32, "d90419", "d93419", "never has"},
	{"x87's environment is loaded", FLD_32, "d90419", "d92419", "never has"},
	{"x87's state is loaded", FLD_32, "d90419", "dd2419", "never has"},
	{"x87 is initialised", FADD, "d8c1", "dbe3", "never has"},
	{"MMX registers that are the host's", PADDW, "65f60425????????04", NOP9, "FPU register"},
	{"MMX with SSE registers only", PADDW, "65f60425????????04", "65f60425????????01",
		"FPU register"},
	{"an MMX load becomes one of twice the bytes", PADDW, "0ffd0419", "0f100419", "beyond"},
	{"an MMX load becomes a store", PADDW, "0ffd0419", "0f7f0419", "reading was checked"},
	{"x87 is emptied that is the host's", EMMS, "65f60425????????04", NOP9, "FPU register"},
	{"x87's control word, not live", FLDCW, "65f60425????????04", NOP9, "FPU register"},
	{"an x87 status word with a host address", FNSTSW, "b800000000dfe0", "4889c89090dfe0",
		"never|host address"},
	{"x87's control word in the guest's state", FADD, "6566c70425????????",
		"6566c70425@@@@@@@@", "not for translated code", OFFSET_OF(fpu.image) + FPU_FCW},
	{"x87's status word in the guest's state", FADD, "6566c70425????????", "6566c70425@@@@@@@@",
		"not for translated code", OFFSET_OF(fpu.image) + FPU_FSW},
	{"a host address for x87's pointers", FLD_32, "6548890425????????", "6548890c25????????",
		"host address"},
	{"no look at a quotient", DIV, "0f83????????", NOP6, "may overflow"},
	{"a look at a quotient the wrong way round", DIV, "0f83", "0f82", "may overflow"},
	{"a look at another divisor", DIV, "483bd6", "483bd7", "may overflow"},
	{"a look at half the divisor", DIV, "483bd6", "403bd6", "may overflow"},
	{"no look at a dividend's sign", IDIV, "0f85????????", NOP6, "may overflow"},
	{"no look for a divisor of 0 or -1", IDIV, "0f86????????", NOP6, "may overflow"},
	{"a look for a divisor of -1 only", IDIV, "83f801", "83f800", "may overflow"},
	{"a look for a divisor of 1", IDIV, "83c001", "83c000", "may overflow"},
};

static bool verifies(struct verifier_finding *finding)
{
	struct verifier_input input = {.translator = translator,
		.translation = block->translation,
		.code_end = translator->build->code_end};
	return verify(translator->verifier, &input, finding);
}

/* The part of the code that an offset lies in, or the next one. */
static bool part_of(u32 *at, u32 *end)
{
	const struct translation *t = block->translation;
	if (*at >= t->end)
		*at = MAX(*at, t->aside_begin);
	*end = *at < t->end ? t->end : translator->build->code_end;
	return *at < *end;
}

static void dump(void)
{
	u32 end;
	for (u32 at = block->translation->begin; part_of(&at, &end);) {
		struct insn insn;
		char buffer[128];
		struct text text;
		const u8 *code = translator->code.write + at;
		if (decode(code, 15, SIZE_64, ~(u64)0, &insn) != DECODE_OK)
			break;
		text_init(&text, buffer, sizeof(buffer));
		insn_print(&text, &insn, at);
		print_message("%4x  ", at);
		for (unsigned i = 0; i < insn.length; i++)
			print_message("%02x", code[i]);
		print_message("  %s\n", buffer);
		at += insn.length;
	}
}

/* Hexadecimal with ?? for any; returns how many bytes. *bar: how many before a |. */
static unsigned pattern(const char *text, u8 *bytes, bool *is_any, i32 word, unsigned *bar)
{
	unsigned count = 0;
	for (; *text; text++) {
		if (*text == '|')
			*bar = count;
		if (*text == '|' || *text == ' ')
			continue;
		if (*text == '@') {
			memcpy(bytes + count, &word, 4);
			memset(is_any + count, 0, 4);
			count += 4;
			text += 7;
			continue;
		}
		is_any[count] = *text == '?';
		bytes[count] = (u8)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
		count++;
		text++;
	}
	return count;
}

static bool is_match(const u8 *code, const u8 *bytes, const bool *is_any, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!is_any[i] && code[i] != bytes[i])
			return false;
	return true;
}

static u8 *place_find(const struct fault *fault, unsigned *count, unsigned *bar)
{
	u8 bytes[64];
	bool is_any[64];
	unsigned skip = fault->skip;
	*count = pattern(fault->find, bytes, is_any, 0, bar);
	u32 end;
	for (u32 at = block->translation->begin; part_of(&at, &end);) {
		struct insn insn;
		u8 *code = translator->code.write + at;
		if (at + *count <= end && is_match(code, bytes, is_any, *count) && !skip--)
			return code;
		assert_int_equal(decode(code, 15, SIZE_64, ~(u64)0, &insn), DECODE_OK);
		at += insn.length;
	}
	return NULL;
}

/* A conditional jump at the end of code that moves. */
static void move_jump(u8 *code, unsigned bytes, unsigned by)
{
	i32 displacement;
	if (bytes < 6 || code[bytes - 6] != 0x0f)
		return;
	memcpy(&displacement, code + bytes - 4, 4);
	displacement -= (i32)by;
	memcpy(code + bytes - 4, &displacement, 4);
}

/* What was at the front moves behind the rest. */
static void swap(u8 *code, unsigned bar, unsigned count)
{
	u8 front[64];
	move_jump(code, bar, count - bar);
	move_jump(code + bar, count - bar, -bar);
	memcpy(front, code, bar);
	memmove(code, code + bar, count - bar);
	memcpy(code + count - bar, front, bar);
}

static bool put_fault(const struct fault *fault)
{
	u8 bytes[64];
	bool is_any[64];
	unsigned count, bar = 0, ignored;
	i32 displacement;
	u8 *code = place_find(fault, &count, &bar);
	if (!code)
		return false;
	if (fault->put) {
		unsigned put = pattern(fault->put, bytes, is_any, fault->word, &ignored);
		for (unsigned i = 0; i < put; i++)
			if (!is_any[i])
				code[i] = bytes[i];
	} else if (bar) {
		swap(code, bar, count);
	}
	memcpy(&displacement, code + count - 4, 4);
	displacement += fault->delta;
	memcpy(code + count - 4, &displacement, 4);
	return true;
}

/* why: alternatives, with | between them. */
static bool says(const char *what, const char *why)
{
	char copy[100];
	snprintf(copy, sizeof(copy), "%s", why);
	for (char *one = strtok(copy, "|"); one; one = strtok(NULL, "|"))
		if (strstr(what, one))
			return true;
	return false;
}

static void every_fault_is_found(void **state)
{
	unsigned missed = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
		const struct fault *fault = &faults[i];
		struct verifier_finding finding = {0};
		block_of(fault->guest);
		assert_true(block_passes());
		assert_true(verifies(&finding));
		const char *problem = NULL;
		if (!put_fault(fault))
			problem = "no such code";
		else if (verifies(&finding))
			problem = "NOT FOUND";
		else if (!says(finding.what, fault->why))
			problem = finding.what;
		if (!problem)
			continue;
		missed++;
		print_error("%s (in %s): %s\n", fault->name, fault->guest, problem);
		dump();
	}
	print_message("%u faults\n", (unsigned)ARRAY_SIZE(faults));
	assert_int_equal(missed, 0);
}

/* What is known of a translation beside its code, and what will be written into it later. */
static struct edge *edge_of(unsigned number)
{
	return &block->translation->edges[number];
}

static void edge_jumps_elsewhere(void)
{
	edge_of(0)->jump += 4;
}
static void edge_ends_in_an_instruction(void)
{
	edge_of(0)->unlinked++;
}
static void edge_ends_outside(void)
{
	edge_of(0)->unlinked = 0;
}
static void edge_has_another_end(void)
{
	edge_of(0)->unlinked = edge_of(1)->unlinked;
}
static void edge_has_another_key_word(void)
{
	edge_of(0)->key_word -= 9;
}
static void edge_has_its_key_in_code(void)
{
	edge_of(0)->key = block->translation->entry_host;
}
static void edge_has_its_key_outside(void)
{
	edge_of(0)->key = block->translation->aside_end;
}
static void entry_is_in_an_instruction(void)
{
	block->translation->entry_host++;
}
static void entry_is_behind_the_check(void)
{
	block->translation->entry_host = edge_of(0)->jump - 1;
}
static void saved_entry_is_at_the_end(void)
{
	block->translation->entry_saved = translator->build->code_end - 14;
}
static void saved_entry_has_another_in_its_jump(void)
{
	block->translation->entry_saved = block->translation->entry_host;
	block->translation->entry_host += 1;
}
static void dropping_leads_outside(void)
{
	block->translation->dropped = block->translation->end;
}

/* The call of the thunk that loads the FPU's state, of which there is one. */
static void call_becomes(u32 thunk)
{
	u32 at = block->translation->aside_begin;
	while (translator->code.write[at] != 0xe8)
		at++;
	code_patch(&translator->code, at + 1, thunk);
}
static void sse_is_loaded(void)
{
	call_becomes(translator->thunk_fpu_load);
}
static void control_word_is_loaded(void)
{
	call_becomes(translator->thunk_fldcw);
}

static void every_fault_beside_the_code_is_found(void **state)
{
	static const struct {
		const char *guest;
		void (*put)(void);
		const char *why;
	} cases[] = {
		{JNE, edge_jumps_elsewhere, "edge that is no jump"},
		{JNE, edge_ends_in_an_instruction, "edge's end|lead to its end"},
		{JNE, edge_ends_outside, "edge's end"},
		{JNE, edge_has_another_end, "lead to its end"},
		{CALL_FAR, edge_has_another_key_word, "something else"},
		{CALL_FAR, edge_has_its_key_in_code, "no edge's key"},
		{CALL_FAR, edge_has_its_key_outside, "no edge's key"},
		{JNE, entry_is_in_an_instruction, "an entry"},
		{CALL_FAR, entry_is_behind_the_check, "without its key"},
		{JNE, saved_entry_is_at_the_end, "old value"},
		{LOAD, saved_entry_has_another_in_its_jump, "middle|old value"},
		{JNE, dropping_leads_outside, "an entry"},
		{FADD, sse_is_loaded, "taken for granted"},
		{VADDPS, sse_is_loaded, "taken for granted"},
		{FADD, control_word_is_loaded, "FPU register"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct verifier_finding finding = {0};
		block_of(cases[i].guest);
		assert_true(block_passes());
		cases[i].put();
		if (verifies(&finding) || !says(finding.what, cases[i].why)) {
			print_error("%u: %s\n", i, finding.what ? finding.what : "NOT FOUND");
			fail();
		}
	}
}

/* Any bytes end in an answer. */
static void no_bytes_are_too_much(void **state)
{
	struct verifier_finding finding;
	unsigned passed = 0;
	for (unsigned i = 0; i < 20000; i++) {
		static const char *const blocks[] = {CALL_FAR, LOAD JMP_RAX, MIXED};
		block_of(blocks[i % ARRAY_SIZE(blocks)]);
		assert_true(block_passes());
		const struct translation *t = block->translation;
		u8 *code = translator->code.write + t->begin,
		   *aside = translator->code.write + t->aside_begin;
		for (u64 changes = 1 + random_below(3); changes; changes--)
			if (random_below(2))
				code[random_below(t->end - t->begin)] = (u8)random_below(256);
			else
				aside[random_below(translator->build->code_end - t->aside_begin)] =
					(u8)random_below(256);
		passed += verifies(&finding);
	}
	print_message("%u of 20000 random changes pass\n", passed);
}

/* BTS with a register reaches as far as that says, if its operand is memory: a guest register that lives there must not be. */
static void bit_tests_of_registers_that_are_in_memory_stay_in_them(void **state)
{
	static const char *const blocks[] = {"490fa3c5", "490fabc5", "490fb3c5", "490fbbc5",
		"4d0fabee", "450fb3f7", "66450fbbf7"};
	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++) {
		block_of(blocks[i]);
		if (!block_passes())
			report_failure();
	}
}

static void a_block_of_the_greatest_length_passes(void **state)
{
	block_begin();
	while (block->count < BLOCK_INSNS_MAX)
		assert_true(block_add((const u8 *)"\x64\x4d\x01\xac\xed\x78\x56\x34\x12", 9));
	if (!block_passes())
		report_failure();
}

/* INT3 where a MOV was: what the translator makes of that must not run. */
static void what_does_not_pass_is_interpreted_for_ever(void **state)
{
	block_of(LOAD);
	block->insns[0].opcode = 0xcc;
	u64 translated = translator->counts.translated;
	u32 at = translator->code.at;
	fake_last_log[0] = 0;
	assert_false(block_passes());
	assert_null(block->translation);
	assert_int_equal(block->heat, BLOCK_NEVER);
	assert_int_equal(translator->counts.translated, translated);
	assert_int_equal(translator->code.at, at);
	assert_non_null(strstr(fake_last_log, "a translation was not used"));
	unsigned lines = fake_log_lines;
	for (unsigned i = 0; i < 100; i++)
		assert_false(block_passes());
	assert_true(fake_log_lines - lines < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_fault_is_found, set_up_real, tear_down),
		cmocka_unit_test_setup_teardown(
			every_fault_beside_the_code_is_found, set_up_real, tear_down),
		cmocka_unit_test_setup_teardown(no_bytes_are_too_much, set_up_real, tear_down),
		cmocka_unit_test_setup_teardown(
			bit_tests_of_registers_that_are_in_memory_stay_in_them, set_up_real,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_block_of_the_greatest_length_passes, set_up_real, tear_down),
		cmocka_unit_test_setup_teardown(
			what_does_not_pass_is_interpreted_for_ever, set_up_real, tear_down),
		cmocka_unit_test_setup_teardown(all_that_is_emitted_passes, set_up_real, tear_down),
		cmocka_unit_test_setup_teardown(
			all_that_is_emitted_passes, set_up_counted, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
