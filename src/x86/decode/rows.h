/* SPDX-License-Identifier: MIT */
/*
 * What tools/generate-opcodes makes of the opcode tables: opcode_rows, one a line of a table in the tables' order, for
 * whoever wants to know about an instruction (printer, tests, translator); and the decoder's own compact form of the same.
 * The columns' meanings are in the head of opcodes.table. An instruction's row is opcode_rows[insn->row].
 */
#ifndef X86_DECODE_ROWS_H
#define X86_DECODE_ROWS_H

#include "base/types.h"
#include "x86/insn.h"

/* insn->row where the bytes are no instruction. */
#define ROW_INVALID ((u16)0xffff)

#define OPCODE_MAPS 7
#define OPCODE_MAP_VEX 3 /* plus VEX.mmmmm */

/* The type letters of the manuals, then registers by name. */
enum operand_kind {
	OPERAND_NONE,
	OPERAND_E, /* rm: general register or memory */
	OPERAND_G, /* reg: general register */
	OPERAND_I, /* immediate */
	OPERAND_J, /* immediate, relative to the next instruction */
	OPERAND_M, /* rm: memory only */
	OPERAND_O, /* memory at insn->immediate, without ModRM */
	OPERAND_S, /* reg: segment register */
	OPERAND_C, /* reg: control register */
	OPERAND_D, /* reg: debug register */
	OPERAND_X, /* memory at segment:rSI, DS by default */
	OPERAND_Y, /* memory at ES:rDI */
	OPERAND_Z, /* general register in the opcode's low three bits */
	OPERAND_R, /* rm: general register (R with a memory size, Ry/Mb: or memory of that size) */
	OPERAND_P, /* reg: MMX */
	OPERAND_N, /* rm: MMX */
	OPERAND_Q, /* rm: MMX or memory */
	OPERAND_V, /* reg: XMM or YMM */
	OPERAND_U, /* rm: XMM or YMM */
	OPERAND_W, /* rm: XMM, YMM or memory */
	OPERAND_A, /* immediate: far pointer */
	OPERAND_B, /* memory at segment:rBX + AL */
	OPERAND_H, /* VEX.vvvv: XMM or YMM */
	OPERAND_K, /* VEX.vvvv: general register (the manuals' B) */
	OPERAND_L, /* immediate's bits 7-4: XMM or YMM */
	OPERAND_AL,
	OPERAND_AX,
	OPERAND_EAX, /* AX or EAX by operand size */
	OPERAND_RAX, /* AX, EAX or RAX by operand size */
	OPERAND_CL,
	OPERAND_DX,
	OPERAND_ONE, /* a count of 1; insn->immediate is 1 */
	OPERAND_ES,
	OPERAND_CS,
	OPERAND_SS,
	OPERAND_DS,
	OPERAND_FS,
	OPERAND_GS,
	OPERAND_ST,  /* ST(0) */
	OPERAND_STI, /* rm: ST(i) */
	OPERAND_XMM0,
};

enum operand_size {
	OPERAND_SIZE_NONE,
	OPERAND_SIZE_B,
	OPERAND_SIZE_BS, /* a byte, sign-extended */
	OPERAND_SIZE_W,
	OPERAND_SIZE_D,
	OPERAND_SIZE_Q,
	OPERAND_SIZE_V,	 /* 16, 32 or 64 bits by operand size */
	OPERAND_SIZE_Z,	 /* 16 or 32 bits */
	OPERAND_SIZE_Y,	 /* 32 or 64 bits */
	OPERAND_SIZE_P,	 /* far pointer: 16:16, 16:32 */
	OPERAND_SIZE_S,	 /* descriptor table register: 16 + 32 or 16 + 64 bits */
	OPERAND_SIZE_A,	 /* two words or doublewords: BOUND */
	OPERAND_SIZE_DQ, /* 16 bytes */
	OPERAND_SIZE_PS,
	OPERAND_SIZE_PD,
	OPERAND_SIZE_SS, /* 4 bytes */
	OPERAND_SIZE_SD, /* 8 bytes */
	OPERAND_SIZE_T,	 /* 10 bytes */
	OPERAND_SIZE_O,	 /* what the row says elsewhere: FXSAVE area and the like */
	OPERAND_SIZE_QQ, /* 32 bytes */
	OPERAND_SIZE_X,	 /* 16 or 32 bytes by VEX.L */
	OPERAND_SIZE_HX, /* half of that */
	OPERAND_SIZE_QX, /* a quarter */
	OPERAND_SIZE_OX, /* an eighth */
};

enum operand_access { ACCESS_R = 1, ACCESS_W = 2 }; /* neither: only the address counts */

struct row_operand {
	u8 kind;	/* enum operand_kind */
	u8 size;	/* enum operand_size */
	u8 access;	/* enum operand_access */
	u8 memory_size; /* enum operand_size where the operand is memory; mostly the same as size */
};

enum size_rule {
	SIZE_RULE_NONE,
	SIZE_RULE_B,
	SIZE_RULE_W,
	SIZE_RULE_D,
	SIZE_RULE_Q,
	SIZE_RULE_V,
	SIZE_RULE_Z,
	SIZE_RULE_Y,
	SIZE_RULE_D64,
	SIZE_RULE_F64,
	SIZE_RULE_X, /* VEX.L: enum insn_vector_size */
	SIZE_RULE_COUNT
};

enum row_flag { /* of flags_read, flags_written, flags_undefined */
	ROW_FLAG_O = 1 << 0,
	ROW_FLAG_D = 1 << 1,
	ROW_FLAG_I = 1 << 2,
	ROW_FLAG_T = 1 << 3,
	ROW_FLAG_S = 1 << 4,
	ROW_FLAG_Z = 1 << 5,
	ROW_FLAG_A = 1 << 6,
	ROW_FLAG_P = 1 << 7,
	ROW_FLAG_C = 1 << 8,
};

enum row_attribute {
	ROW_LOCK = 1 << 0,
	ROW_CPL0 = 1 << 1,
	ROW_IOPL = 1 << 2,
	ROW_IO = 1 << 3,
	ROW_END = 1 << 4,
	ROW_REP = 1 << 5,
	ROW_REPZ = 1 << 6,
	ROW_WAIT = 1 << 7,
	ROW_SERIALIZE = 1 << 8,
	ROW_FPU = 1 << 9,
	ROW_SIMD = 1 << 10,
	ROW_ALIGNED = 1 << 11,
	ROW_FAR = 1 << 12,
	ROW_STRING = 1 << 13,
	ROW_NOTEST = 1 << 14,
	ROW_REXW = 1 << 15,
	ROW_NOREXW = 1 << 16,
	ROW_NOREXB = 1 << 17,
	ROW_L0 = 1 << 18,
	ROW_L1 = 1 << 19,
	ROW_VSIB = 1 << 20,
};

enum row_fault {
	ROW_FAULT_DE = 1 << 0,
	ROW_FAULT_DB = 1 << 1,
	ROW_FAULT_BR = 1 << 2,
	ROW_FAULT_UD = 1 << 3,
	ROW_FAULT_NM = 1 << 4,
	ROW_FAULT_TS = 1 << 5,
	ROW_FAULT_NP = 1 << 6,
	ROW_FAULT_SS = 1 << 7,
	ROW_FAULT_GP = 1 << 8,
	ROW_FAULT_MF = 1 << 9,
	ROW_FAULT_AC = 1 << 10,
	ROW_FAULT_XM = 1 << 11,
};

enum row_class { ROW_CLASS_COPY, ROW_CLASS_REWRITE, ROW_CLASS_HELPER };

enum row_prefix { /* of prefixes: what may be in force, F3 and F2 winning over 66 */
	ROW_PREFIX_NONE = 1 << 0,
	ROW_PREFIX_66 = 1 << 1,
	ROW_PREFIX_F3 = 1 << 2,
	ROW_PREFIX_F2 = 1 << 3,
};

struct opcode_row {
	const char *mnemonic;  /* with `cc`, `/` and `|` as in the table */
	const char *semantics; /* with its suffix */
	struct row_operand operands[4];
	u8 operand_count;
	u8 map;	     /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A; 4 to 6: the last three with VEX */
	u8 opcode;   /* the first of */
	u8 opcodes;  /* 1, 8 (register in it) or 16 (condition in it) */
	u8 prefixes; /* enum row_prefix; all four: they keep their ordinary meaning */
	bool has_modrm;
	u8 modrm_mask, modrm_value; /* fits if (modrm & mask) == value */
	u8 forms;		    /* bit 0: register, bit 1: memory (ModRM.mod) */
	u8 modes;		    /* BIT(enum insn_size - 1) of the code segment */
	bool is_protected_only;
	u8 size_rule; /* enum size_rule */
	u8 feature;   /* enum cpu_feature */
	u8 class;     /* enum row_class */
	u16 flags_read, flags_written,
		flags_undefined; /* enum row_flag; written and undefined: by the count */
	u16 faults;		 /* enum row_fault */
	u32 attributes;		 /* enum row_attribute */
};

extern const struct opcode_row opcode_rows[];
extern const unsigned opcode_row_count;

/*
 * How many bytes an operand of insn's row has, as a register or in memory; 0 where the row leaves that open (FXSAVE areas and
 * the like).
 */
unsigned row_operand_bytes(
	const struct insn *insn, const struct row_operand *operand, bool is_memory);

/* ---- the decoder's own ------------------------------------------------------------------------------ */

/*
 * One bit for each state of what decides whether a row fits (APM volume 3, 1.2): exactly one bit of each group is set for
 * an instruction (REGISTER where there is no ModRM), and a row lists the ones it allows.
 */
enum situation {
	SITUATION_PREFIX_NONE = 1 << 0, /* then 66, F3, F2: enum row_prefix */
	SITUATION_MODE_16 = 1 << 4,	/* then 32, 64 */
	SITUATION_REGISTER = 1 << 7,
	SITUATION_MEMORY = 1 << 8,
	SITUATION_REXW_CLEAR = 1 << 9,
	SITUATION_REXW_SET = 1 << 10,
	SITUATION_REXB_CLEAR = 1 << 11,
	SITUATION_REXB_SET = 1 << 12,
	SITUATION_L_CLEAR = 1 << 13, /* VEX.L; clear where there is no VEX */
	SITUATION_L_SET = 1 << 14,
};

enum immediate_kind {
	IMMEDIATE_NONE,
	IMMEDIATE_IB,
	IMMEDIATE_IBS, /* sign-extended */
	IMMEDIATE_IW,
	IMMEDIATE_IZ, /* 16 or 32 bits, sign-extended */
	IMMEDIATE_JZ, /* the same */
	IMMEDIATE_IV,
	IMMEDIATE_FAR,
	IMMEDIATE_ENTER,
	IMMEDIATE_OFFSET, /* of the address size */
	IMMEDIATE_ONE,	  /* no bytes; the value is 1 */
	IMMEDIATE_COUNT
};

/* How a register's number becomes a location. */
enum register_kind {
	KIND_GENERAL,
	KIND_BYTE,	  /* with AH to BH where there is no REX */
	KIND_BYTE_NO_REX, /* chosen by the decoder */
	KIND_NUMBER,	  /* the number itself */
	KIND_LOW,	  /* the number without REX's bit: MMX, x87, segments */
	KIND_COUNT
};

/* Operands that come from the opcode itself. */
enum implied_operand {
	IMPLIED_NONE,
	IMPLIED_SI,
	IMPLIED_DI,
	IMPLIED_BX,
	IMPLIED_OFFSET,
	IMPLIED_OPCODE,	    /* reg and rm are the register in the opcode */
	IMPLIED_OPCODE_RAX, /* reg is, rm is RAX */
	IMPLIED_RAX,	    /* rm */
	IMPLIED_SEGMENT,    /* plus enum segment_name: reg */
};

enum register_check {
	CHECK_NONE,
	CHECK_SEGMENT,
	CHECK_SEGMENT_WRITE,
	CHECK_CONTROL,
	CHECK_DEBUG,
	CHECK_NO_VVVV, /* VEX.vvvv must name no register */
	CHECK_VSIB,    /* memory with an index vector; it, reg and vvvv are different registers */
};

enum candidate_flag {
	CANDIDATE_LOCK = 1 << 0,
	CANDIDATE_END = 1 << 1,
	CANDIDATE_REP = 1 << 2,
	CANDIDATE_REPZ = 1 << 3,
	CANDIDATE_BY_CONDITION = 1 << 4,
	CANDIDATE_BY_SIZE = 1 << 5,
	CANDIDATE_BY_FORM = 1 << 6,
	CANDIDATE_MOD_IGNORED = 1 << 7, /* the rm operand is a register whatever ModRM.mod says */
};

/* A row as the decoder tries it. */
struct candidate {
	u16 situations; /* enum situation: all that it allows */
	u16 row;
	u16 handlers; /* index into opcode_handlers of its first variant */
	u8 modrm_mask, modrm_value;
	u8 feature;	      /* enum cpu_feature */
	u8 size_rule;	      /* enum size_rule */
	u8 immediate;	      /* enum immediate_kind */
	u8 reg_kind, rm_kind; /* enum register_kind */
	u8 implied;	      /* enum implied_operand */
	u8 check;	      /* enum register_check */
	u8 flags;	      /* enum candidate_flag */
};

enum entry_flag {
	ENTRY_MODRM = 1 << 0,
	ENTRY_CELLS = 1
		<< 1, /* first is of opcode_cells: 16 entries by ModRM.reg, 8 and up for register forms */
};

/* Where an opcode's candidates are. */
struct opcode_entry {
	u16 first; /* of opcode_candidates */
	u8 count;  /* 0: no such opcode */
	u8 flags;
};

extern const struct candidate opcode_candidates[];
extern const struct opcode_entry opcode_index[OPCODE_MAPS * 256]; /* map * 256 + opcode */
extern const struct opcode_entry opcode_cells[];
/*
 * The variants of a row's semantics: [condition][size][form], each dimension only where the row asks for it. NULL where there is none (yet).
 */
extern execute_fn *const opcode_handlers[];

#endif
