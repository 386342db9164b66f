/* SPDX-License-Identifier: MIT */
/*
 * One decoded instruction: what the decoder makes of bytes and the semantics work on. 32 bytes, because
 * the interpreter keeps hundreds of thousands.
 *
 * Registers are "locations". A general register's location is its byte offset within cpu->regs: 8 * number,
 * plus 1 for AH, CH, DH and BH, so that one access form serves all sizes. Any other register (segment, control,
 * debug, x87, MMX, XMM) is its plain number.
 */
#ifndef X86_INSN_H
#define X86_INSN_H

#include "base/types.h"

struct cpu;
struct insn;

/*
 * Executes one instruction. On entry cpu->regs[RIP] is the address of the next instruction; a handler returns
 * when the instruction is complete, or raises (x86/raise.h) with nothing changed that the manual says isn't.
 */
typedef void execute_fn(struct cpu *cpu, const struct insn *insn);

enum insn_flags {
	INSN_MEMORY = 1 << 0, /* the rm operand (or moffs, string) is memory */
	INSN_LOCK = 1 << 1,   /* LOCK prefix, on a lockable instruction's memory form */
	INSN_REP = 1 << 2,    /* F3 where it is a repeat prefix */
	INSN_REPNE = 1 << 3,  /* F2 where it is a repeat prefix */
	INSN_FLAT = 1
		<< 4, /* 64-bit code, 64-bit addresses: linear = ea + base of `segment`, no checks */
	INSN_ENDS_BLOCK = 1 << 5, /* may change RIP, the mode, or what is fetched next */
	INSN_NO_REX = 1 << 6,	  /* no REX prefix (SPL.. versus AH..); kept for the printer */
	INSN_BRANCH_HINT = 1 << 7,
};

/* Locations that the decoder uses in base and index. */
#define LOCATION_RIP (16 * 8)
#define LOCATION_ZERO (17 * 8)

enum insn_form { FORM_REGISTER, FORM_MEMORY, FORM_LOCKED, FORM_COUNT };

/* log2 of bytes: the index of per-size handlers. */
enum insn_size { SIZE_8, SIZE_16, SIZE_32, SIZE_64, SIZE_COUNT };

/* The operand size of rows that have VEX.L by the rule x. */
enum insn_vector_size { SIZE_128, SIZE_256 };

struct insn {
	execute_fn *execute;
	u64 immediate; /* sign- or zero-extended as the row says; a far pointer is selector << 32 | offset;
			     ENTER's is imm8 << 16 | imm16; a moffs address */
	i32 displacement; /* of the memory operand, sign-extended at decoding */
	u8 length;	  /* bytes, 1 to 15 */
	u8 flags;	  /* enum insn_flags */
	u8 base;	  /* location; LOCATION_ZERO for none, LOCATION_RIP for RIP-relative */
	u8 index;	  /* location; LOCATION_ZERO for none */
	u8 segment; /* enum segment_name of the memory operand, default applied; SEGMENT_NONE (a base of zero)
			     where 64-bit code ignores the segment */
	u8 reg; /* location: ModRM.reg, or the register within the opcode */
	u8 rm; /* location: ModRM.rm when it is a register; the index vector's number where memory has one (VSIB) */
	u8 scale : 2;	     /* log2 of index's factor */
	u8 operand_size : 2; /* enum insn_size: the effective operand size (for byte opcodes SIZE_8) */
	u8 address_size : 2; /* enum insn_size: SIZE_16, SIZE_32 or SIZE_64 */
	u8 code_size : 2;    /* enum insn_size: the code segment's: SIZE_16, SIZE_32 or SIZE_64 */
	u16 row;	     /* index of its row of opcodes.table */
	u8 opcode;	     /* last opcode byte: condition codes, x87 */
	union {
		u8 modrm; /* ModRM as read, 0 where there is none */
		u8 vvvv;  /* rows of the VEX maps: the register number in VEX.vvvv, not inverted */
	};
};

_Static_assert(sizeof(struct insn) == 32, "struct insn has grown");

#endif
