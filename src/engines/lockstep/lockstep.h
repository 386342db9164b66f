/* SPDX-License-Identifier: MIT */
/*
 * Two engines on one guest: the leader runs it on the real machine, and what the machine tells it is noted; the follower runs the
 * same instructions on a second copy of RAM, being told the same. After each window of instructions both must have come to
 * the same state, or the machine ends with a report. docs/design/lockstep.md.
 */
#ifndef ENGINES_LOCKSTEP_LOCKSTEP_H
#define ENGINES_LOCKSTEP_LOCKSTEP_H

#include "core/machine.h"
#include "x86/environment.h"

struct lockstep_settings {
	const struct engine_ops *leader, *follower;
	u64 window_insns; /* between two comparisons of the processors; at least 1 */
	u64 memory_insns; /* between two comparisons of all pages that the leader may have written */
};

/* What engine_lockstep's machines are made with; before the first one is. */
void lockstep_configure(const struct lockstep_settings *settings);

/* ---- the engine's own ------------------------------------------------------------------------------ */

enum input_kind {
	INPUT_PHYSICAL_READ,
	INPUT_PHYSICAL_WRITE,
	INPUT_PORT_READ,
	INPUT_PORT_WRITE,
	INPUT_MSR_READ,
	INPUT_MSR_WRITE,
	INPUT_TASK_PRIORITY_GET,
	INPUT_TASK_PRIORITY_SET,
	INPUT_TSC_READ,
	INPUT_TSC_MOVE,
	INPUT_RANDOM,
	INPUT_CPUID,
	INPUT_FPU_ERROR,
	INPUT_KINDS
};

/* One question to the machine, and its answer. */
struct input {
	u8 kind; /* enum input_kind */
	u8 bytes;
	bool ok;
	bool ends_window;	    /* something has come that waits for the window's end */
	u32 first_page, page_count; /* of struct journal's pages: RAM that changed with it */
	u64 address;		    /* port, MSR, leaf << 32 | subleaf */
	u64 value[2];
	u64 insns; /* the leader's count */
};

/* An interrupt that the leader took. */
struct taking {
	u64 insns;	/* the leader's count before the first instruction of the handler */
	int vector;	/* -1: there was none after all */
	bool has_event; /* others waited still */
};

#define INPUTS_MAX 65536
#define INPUTS_SPARE 4096 /* a window is ended when no more than these are left */
#define TAKINGS_MAX 1024
#define PAGES_MAX 4096

/* What the machine told the leader since the follower's last stand. */
struct journal {
	struct input inputs[INPUTS_MAX];
	struct taking takings[TAKINGS_MAX];
	u64 page_offsets[PAGES_MAX];
	u8 page_bytes[PAGES_MAX][PAGE_SIZE];
	u32 input_count, taking_count, page_count;
	bool is_overrun; /* something did not fit: the follower cannot follow */
};

/* Bytes that the follower wrote since the window's start, and what they were. */
struct store {
	u64 offset;
	u32 bytes, before; /* offset in bytes_before */
};

#define STORES_MAX 262144
#define STORE_BYTES_MAX (16 * MIB)

struct stores {
	struct store stores[STORES_MAX];
	u8 bytes_before[STORE_BYTES_MAX];
	u32 count, bytes_used;
	bool is_overrun;
};

/* One of the two engines with its processor. Its processor's environment is the one in here. */
struct side {
	struct environment environment;
	struct lockstep *lockstep;
	const struct engine_ops *ops;
	struct vcpu *vcpu;
	/* Replaying: its count at the window's start, how far it is, and where it did something else. */
	u64 base;
	u32 input_at, taking_at;
	bool has_strayed;
	struct input strayed; /* what it asked for instead of inputs[input_at] */
};

/* Pages that devices wrote, until they are noted. */
#define WRITTEN_MAX 1024

struct lockstep {
	struct lockstep_settings settings;
	struct side leader, follower;
	const struct environment *machine_environment;
	struct machine *shadow; /* the follower's machine: RAM and one processor */
	u8 *shadow_ram;
	u32 signals; /* vcpu->signals */
	bool has_ended_window;
	bool follows;	 /* a window is under way: inputs are noted */
	bool needs_copy; /* the processor's state is to be taken from the leader */

	struct host_lock written_lock;
	u64 written[WRITTEN_MAX];
	u32 written_count; /* atomic; more than WRITTEN_MAX: all pages */

	u8 *shared;   /* a bit a page: the follower has it */
	u8 *writable; /* a bit a page: the leader may have written it */
	u64 bitmap_bytes;
	u64 memory_checked_at; /* leader's count */

	struct journal *journal;
	struct stores *stores;
	/* Where the window began: both processors, and the counts of both. */
	struct vcpu *start;
	u64 leader_start;
	u32 taken_events; /* NMI, INIT, SIPI that the leader took there */
	bool had_event;	  /* something waited there */
	bool is_open; /* the last window could not be compared: the next one goes on from its start */
};

/* Events that come from outside. */
#define PENDING_EVENTS \
	((u32)(PENDING_INTERRUPT | PENDING_NMI | PENDING_INIT | PENDING_SIPI | PENDING_SMI))

static inline struct side *side_of(struct cpu *cpu)
{
	return container_of(cpu->environment, struct side, environment);
}

static inline struct lockstep *lockstep_of(struct vcpu *vcpu)
{
	return side_of(&vcpu->cpu)->lockstep;
}

static inline bool side_is_leader(const struct side *side)
{
	return side == &side->lockstep->leader;
}

static inline u64 side_insns(const struct side *side)
{
	return side->ops->insns_retired(side->vcpu);
}

/* record.c: the leader's environment, and what reaches it only between windows. */
void record_environment(struct environment *environment);
void record_signals(struct lockstep *lockstep);

/* ram.c: the follower's copy. */
u8 *ram_page_of(struct cpu *cpu, u64 physical, enum page_use use, bool *watched);
void ram_code_written(struct cpu *cpu, u64 physical, u64 bytes);
/* A device wrote a page: for the next window's start, or the input that is being noted. */
void ram_note_written(struct lockstep *lockstep, u64 offset);
bool ram_has_written(const struct lockstep *lockstep);
/* All pages that both have. */
void ram_copy_all(struct lockstep *lockstep);
/* To the follower, at a window's start. */
void ram_copy_written(struct lockstep *lockstep);
/* To the journal; first page and count. */
void ram_journal_written(struct lockstep *lockstep, struct input *input);
void ram_replay_pages(struct side *side, const struct input *input);
/* Puts back what the follower wrote since the window's start. */
bool ram_undo(struct lockstep *lockstep);
/* The leader's RAM as the follower's is. */
void ram_copy_to_leader(struct lockstep *lockstep);
/* The first byte that differs: of what the follower wrote in the window; of all that the leader may have written. */
bool ram_stores_differ(struct lockstep *lockstep, u64 *offset);
bool ram_pages_differ(struct lockstep *lockstep, u64 *offset);

/* replay.c: the follower's environment, and its way through a window. */
void replay_environment(struct environment *environment);
/* The side stands at the window's start. */
void replay_begin(struct side *side);
/*
 * Brings it to `insns` instructions from there; false: it asked the machine for something else than the leader, or came not exactly there.
 * to_the_end: interrupts after the last of them are taken, too, since the processor goes no further.
 */
bool replay_on(struct side *side, u64 insns, bool to_the_end);
/* The leader's next interrupt, in instructions from the window's start; past all where there is none. */
u64 replay_next_taking(const struct side *side);
/* The processor's state from one to another; the engine is told. */
void replay_set_state(struct side *side, const struct vcpu *from);

/* Puts the follower back to the window's start; false: it wrote too much. */
bool replay_rewind(struct lockstep *lockstep);

/* compare.c. */
/* The first field that differs, or NULL; *index its element. */
const struct state_field *compare_states(
	const struct vcpu *leader, const struct vcpu *follower, u32 *index);
/* All fields; what is derived from them is the caller's. */
void compare_copy_state(struct vcpu *to, const struct vcpu *from);
/* Whether one field differs, and in which element. */
bool compare_field(
	const struct state_field *field, const struct vcpu *a, const struct vcpu *b, u32 *index);
bool compare_is_flags(const struct state_field *field);
/* Flags that the window's instructions have left undefined at its end. The follower is at the window's start and comes to its end. */
u32 compare_undefined_flags(struct lockstep *lockstep, u64 insns);

/* report.c: the machine is at its end. */
enum difference {
	DIFFERENCE_NONE,
	DIFFERENCE_STATE,
	DIFFERENCE_STORE,
	DIFFERENCE_MEMORY,
	DIFFERENCE_PATH
};
struct finding {
	enum difference kind;
	const struct state_field *field;
	u32 index;
	u64 offset; /* in RAM */
	u64 insns;  /* the window's length */
};
void report_difference(struct lockstep *lockstep, const struct finding *finding);

#endif
