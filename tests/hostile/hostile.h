/* SPDX-License-Identifier: MIT */
/*
 * What the hostile guests share, fuzzers included: a whole machine on hosts/fake that is made once and put back into its
 * power-on state between cases, and scenarios: a processor mode, tables and code that no kind guest would have.
 */
#ifndef TESTS_HOSTILE_HOSTILE_H
#define TESTS_HOSTILE_HOSTILE_H

#include <stddef.h>

#include "core/machine.h"
#include "devices/backend/console.h"
#include "hosts/fake/disk.h"
#include "hosts/fake/net.h"
#include "hosts/fake/vhost.h"
#include "hosts/fake/vsock.h"

#define HOSTILE_RAM_BYTES (2 * MIB)
#define HOSTILE_DISK_BYTES ((u64)64 << 10)

/* ---- numbers from a seed: the same on every host ---- */

struct random {
	u64 state;
};

u64 random_next(struct random *random);
void random_fill(struct random *random, void *to, size_t bytes);

/* 0 .. limit - 1 */
static inline u64 random_below(struct random *random, u64 limit)
{
	return random_next(random) % limit;
}

static inline bool random_one_in(struct random *random, unsigned n)
{
	return random_below(random, n) == 0;
}

/* ---- a saved machine in memory ---- */

struct hostile_buffer {
	u8 *bytes;
	u64 length, capacity, at;
};

bool hostile_buffer_write(void *context, const void *from, u64 bytes);
bool hostile_buffer_read(void *context, void *to, u64 bytes);

/* ---- the machine ---- */

struct hostile {
	struct machine machine;
	struct console_device console;
	struct hostile_buffer pristine; /* as it was after its first reset */
	u64 output_bytes;
	struct fake_disk disk;
	u8 disk_content[HOSTILE_DISK_BYTES];
	struct fake_net net;
	struct fake_vsock vsock;
	struct fake_vhost vhost;
};

/* What moves them: the interpreter, or what --engine says; the translator translates at once. */
extern const struct engine_ops *hostile_engine;

/* Aborts where there is no machine to be had: nothing under test. */
void hostile_create(struct hostile *hostile);
/* The same with a virtio console instead of the serial port's. */
void hostile_create_with_console(struct hostile *hostile);
void hostile_destroy(struct hostile *hostile);
/* All of it as just created, RAM included. */
void hostile_restore(struct hostile *hostile, bool no_reboot);
enum status hostile_save(struct hostile *hostile, struct hostile_buffer *buffer);
enum status hostile_load(struct hostile *hostile, struct hostile_buffer *buffer);
/* A save, and a load of what was saved: what the guest has reached must be acceptable. Aborts otherwise. */
void hostile_save_and_load(struct hostile *hostile);

static inline struct cpu *hostile_cpu(struct hostile *hostile)
{
	return &hostile->machine.vcpus[0]->cpu;
}

/* ---- scenarios ---- */

enum scenario_mode {
	SCENARIO_REAL,
	SCENARIO_PROTECTED_16,
	SCENARIO_PROTECTED_32,
	SCENARIO_PROTECTED_32_USER,
	SCENARIO_VIRTUAL_8086,
	SCENARIO_COMPATIBILITY,
	SCENARIO_LONG,
	SCENARIO_LONG_USER,
	SCENARIO_MODES
};

enum scenario_paging { SCENARIO_FLAT, SCENARIO_TWO_LEVEL, SCENARIO_PAE, SCENARIO_PAGINGS };

enum scenario_option {
	SCENARIO_WILD_REGISTERS = 1 << 0,
	SCENARIO_WILD_PAGES =
		1 << 1, /* entries to themselves, past memory, reserved bits, devices */
	SCENARIO_WILD_CR3 = 1 << 2,
	SCENARIO_WILD_GDT = 1 << 3,
	SCENARIO_WILD_IDT = 1 << 4,
	SCENARIO_INTERRUPTS = 1 << 5, /* IF, and timers that run */
	SCENARIO_TRAP = 1 << 6,
	SCENARIO_BREAKPOINTS = 1 << 7,
	SCENARIO_DEVICES = 1 << 8, /* registers point at devices */
	SCENARIO_ALIGNMENT = 1 << 9,
	SCENARIO_WILD_CONTROL = 1 << 10,
	SCENARIO_NO_REBOOT = 1 << 11,
	SCENARIO_PAGE_END = 1 << 12, /* the code lies across one */
	SCENARIO_WILD_HANDLERS = 1 << 13,
	SCENARIO_POKED_DEVICES = 1 << 14,
	SCENARIO_LARGE_PAGES = 1 << 15,
};

struct scenario {
	u8 mode;     /* enum scenario_mode, modulo */
	u8 paging;   /* enum scenario_paging, modulo; where the mode leaves a choice */
	u16 options; /* enum scenario_option */
	u64 seed;    /* of whatever else is random */
	const u8 *code;
	size_t code_bytes; /* at most SCENARIO_CODE_MAX are used */
};

#define SCENARIO_CODE_MAX 8192

/* The code size (enum insn_size) of a mode. */
unsigned scenario_code_size(unsigned mode);
/* Restores the machine and puts it into the scenario. */
void scenario_apply(struct hostile *hostile, const struct scenario *scenario);
/* Runs it for at most so many instructions; aborts when the end is not one that could be saved. */
void scenario_run(struct hostile *hostile, u64 insns);

/* For far transfers that get somewhere: a selector of the scenarios' GDT, and the offset of a handler. */
u16 scenario_selector(struct random *random);
u32 scenario_target(struct random *random, unsigned code_size);

/* ---- code ---- */

/* One random valid encoding for the code size, from a random row of the opcode tables; its length, 1 to 15. */
unsigned encode_random(struct random *random, unsigned code_size, u64 features, u8 to[15]);

/* ---- programs ---- */

struct hostile_program {
	const char *name;
	u64 count; /* cases, unless --count says otherwise */
	/* Case `number` of what `seed` makes. Aborts, hangs or is reported by a sanitizer where something is wrong. */
	void (*run)(u64 seed, u64 number);
};

/*
 * --count N --seed S --case K: all cases in children, so that one that dies or hangs is counted and the rest goes on. Ends with
 * `N passed, N failed`. With --case, that one in this very process.
 */
int hostile_main(int argc, char **argv, const struct hostile_program *program);

#endif
