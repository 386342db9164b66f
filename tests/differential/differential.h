/* SPDX-License-Identifier: MIT */
/*
 * Differential tests: one instruction, executed by the real processor in this process (native.c) and by the processor
 * library (model.c) from the same state; what comes out must be the same. A case is a function of (seed, row,
 * number) alone, so that a failure is reproduced by these three.
 */
#ifndef TESTS_DIFFERENTIAL_H
#define TESTS_DIFFERENTIAL_H

#include "base/types.h"
#include "x86/cpu.h"
#include "x86/decode/rows.h"
#include "x86/insn.h"

/*
 * What both sides see at the same linear addresses, all below 2 GiB. Data pages: 0 and 1 may be written, 3
 * only read, 2 and 4 are not mapped. The code's pages end in traps.
 */
#define CODE_LINEAR ((u64)0x1f000000)
#define DATA_LINEAR ((u64)0x20000000)
#define DATA_PAGES 5
#define DATA_WRITABLE_BYTES (2 * 4096)
#define DATA_READ_ONLY ((u64)3 * 4096)

/*
 * Segments for 32- and 16-bit code, in the process's local descriptor table (modify_ldt needs no privileges); the flat ones
 * of Linux besides. The data ones lie over the data pages.
 */
enum ldt_entry {
	LDT_CODE_16,	 /* flat, like Linux's 32-bit code segment */
	LDT_DATA,	 /* ends with the writable pages */
	LDT_DATA_16,	 /* the same, as a 16-bit stack */
	LDT_READ_ONLY,	 /* all data pages */
	LDT_EXPAND_DOWN, /* begins with the data pages, 64 KiB from its base */
	LDT_COUNT
};

struct ldt_segment {
	u32 base, limit; /* bytes */
	bool code, wide, read_only, expand_down;
};

extern const struct ldt_segment ldt_segments[LDT_COUNT];

#define LDT_SELECTOR(entry) ((u16)((entry) << 3 | 7))
#define LINUX_CS32 0x23
#define LINUX_CS64 0x33
#define LINUX_DS 0x2b

struct state {
	u64 regs[16];
	u64 rip, rflags;
	u8 fpu[512] __attribute__((aligned(16))); /* FXSAVE, 64-bit form */
	u8 ymm_high[16][16];			  /* all zero where the host has no AVX */
};

struct outcome {
	struct state state;
	bool faulted;
	u8 vector;
	u32 error_code;
	u64 cr2;
	const u8 *data; /* the writable pages after it */
};

struct data_patch {
	u64 linear, value;
	unsigned bytes;
};

struct test_case {
	u64 seed;
	unsigned row, number;
	enum insn_size mode; /* of the code */
	u16 cs, ds, es, ss;
	u8 bytes[16];
	unsigned length;
	struct insn insn; /* as decoded from bytes */
	struct state before;
	struct data_patch patches[10]; /* of the data template */
	unsigned patch_count;
};

/* ---- random.c ------------------------------------------------------------------------------------ */

struct random {
	u64 state;
};

u64 random_next(struct random *random);
u64 random_below(struct random *random, u64 limit);
bool random_chance(struct random *random, unsigned percent);
/* An integer of the kinds that matter: 0, -1, limits, small ones, single bits, any. */
u64 random_integer(struct random *random);
/* XMM and x87 contents, control words, flags. */
void random_fpu(struct random *random, u8 image[512]);
/* 16 bytes of the same kinds. */
void random_lanes(struct random *random, u8 *to);
/* Memory, with floating-point values of the kinds that matter among it. */
void random_data(struct random *random, u8 *data, u64 bytes);

/* ---- generate.c ---------------------------------------------------------------------------------- */

/* False: no bytes for this number that test the row (a try among several). */
bool case_generate(struct test_case *test, u64 seed, unsigned row, unsigned number);
/* NULL if the row is tested, or why not; "" in reasons of the host is never given. */
const char *row_untestable(const struct opcode_row *row);
/* The bits of RFLAGS that enum row_flag's bits mean. */
u32 rflags_of(u16 row_flags);

/* ---- native.c ------------------------------------------------------------------------------------ */

void native_init(void);
u64 native_fs_base(void);
u64 native_gs_base(void);
bool native_has(unsigned feature); /* enum cpu_feature */
bool native_has_avx(void);	   /* and all that goes with it in the model x86-64-v3 */
bool native_is_intel(void);
bool native_fdp_on_exceptions_only(void);
/* Sets both sides' memory from the template and the case's patches. */
void native_run(const struct test_case *test, const u8 *template, struct outcome *outcome);

/* ---- model.c ------------------------------------------------------------------------------------- */

void model_init(void);
void model_run(const struct test_case *test, const u8 *template, struct outcome *outcome);

void data_prepare(const struct test_case *test, const u8 *template, u8 *data);

#endif
