/* SPDX-License-Identifier: MIT */
/*
 * Tests of the translator against the interpreter: the same program from the same state on whole machines, one an engine, whose
 * registers, memory, page tables and exception frames must be the same afterwards. What the interpreter does is right
 * because execute.c compares that with the real processor.
 */
#ifndef TESTS_DIFFERENTIAL_ENGINES_H
#define TESTS_DIFFERENTIAL_ENGINES_H

#include "tests/differential/differential.h"

#define PROGRAM_BYTES 1024

/* A 32-bit counter that programs may count down, at an absolute address: for their loops. */
#define COUNTER_LINEAR ((u64)0x10005000)

/* What the control registers let SIMD instructions do. */
enum fpu_control { FPU_ON, FPU_TS, FPU_EM, FPU_NO_SSE, FPU_NO_XSAVE, FPU_NO_AVX, FPU_CONTROLS };

struct program {
	u64 at; /* on the code's pages, which are HLTs elsewhere */
	u8 bytes[PROGRAM_BYTES];
	unsigned length;
	u8 mode;	  /* enum insn_size of the code: SIZE_64 or, in long mode, SIZE_32 */
	u8 wide_segments; /* 32-bit code: bit 0 FS, bit 1 GS are as large as all; else null, or small */
	u16 ds, es, ss;	  /* 32-bit code: as a test case's */
	u8 fpu_control;	  /* enum fpu_control */
	bool writes_code; /* the code's pages may be written */
	bool has_smap;	  /* CR4.SMAP; data and code are user pages */
	bool is_user;	  /* CPL 3: HLT is #GP, whose handler halts */
	unsigned cut;	  /* with exact counts: a stop after so many instructions, too; 0: none */
	u32 counter;	  /* at COUNTER_LINEAR */
	struct state before;
	const struct test_case *patches; /* of the data */
};

enum verdict {
	VERDICT_SAME,
	VERDICT_DIFFERENT,
	VERDICT_ENDLESS /* the interpreter does not come to its end */
};

void engines_init(void);
/* Runs it twice, with an empty TLB and again. text: what differs. */
enum verdict engines_run(
	const struct program *program, const u8 *template, char *text, size_t size);

/* ---- blocks.c ------------------------------------------------------------------------------------ */

/* Random programs; returns how many differ. Each is minimised and printed. */
unsigned blocks_run(u64 seed, long number, unsigned count, unsigned shown);

#endif
