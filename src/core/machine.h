/* SPDX-License-Identifier: MIT */
/* A machine: vCPUs, memory, buses, clock, events, devices. Boards fill it (boards/pc.c). */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include "core/bus.h"
#include "core/clock.h"
#include "core/device.h"
#include "core/engine.h"
#include "core/event.h"
#include "core/host.h"
#include "core/irq.h"
#include "core/memory.h"
#include "core/state.h"
#include "core/vcpu.h"

#define MACHINE_VCPUS_MAX 32
#define MACHINE_CODE_CACHE_BYTES ((u64)32 << 20)
#define MACHINE_TRANSLATE_AFTER 16 /* times that a block has been found */

/* Why a machine ended, or wants to begin anew. */
enum machine_exit {
	MACHINE_RUNS,
	MACHINE_POWER_OFF,
	MACHINE_RESET,	   /* and the owner asked not to reboot */
	MACHINE_SHUTDOWN,  /* triple fault, and the owner asked not to reboot */
	MACHINE_EXIT_PORT, /* exit_value was written to the tests' port */
	MACHINE_STOPPED,   /* by the host's order */
	MACHINE_FAULT,	   /* a fault of our own */
};

/* What becomes of translated code before it runs (engine translate): docs/threat-model.md. Tests have the first. */
enum verification {
	VERIFY_OR_STOP, /* proven safe; code that is not is a fault of our own */
	VERIFY_OR_INTERPRET, /* proven safe; a block whose code is not is interpreted, and a line logged */
	VERIFY_NOTHING,
};

struct machine {
	struct host_lock lock; /* devices, events, state objects */
	const struct engine_ops *engine;
	void *engine_data; /* the engine's part */
	struct memory memory;
	struct bus buses[BUS_SPACES];
	struct clock clock;
	struct event_queue events;
	struct list devices;
	struct list state_objects;
	struct state_object clock_object;
	struct vcpu *vcpus[MACHINE_VCPUS_MAX];
	unsigned vcpu_count;

	bool no_reboot;
	bool counts_insns; /* the engine's insns_retired must be exact: set before vcpu_attach */
	u32 exit;	   /* enum machine_exit; atomic, set once */
	u8 exit_value;
	u32 reset_requested; /* atomic: a reset is to be done by the vCPU thread before its next run */
	u32 pause_requested;	   /* atomic: vCPUs stand still between two instructions */
	struct host_signal parked; /* a vCPU has come to stand, or the machine has ended */
	u64 code_cache_bytes;	   /* the most code memory that its engine takes */
	u64 translate_after;	   /* how often its engine finds a block before it translates it */
	u8 verification;	   /* enum verification */
	u64 slowdown;		   /* tests: the engine is made this many times slower; 0, 1: not */
	/* The board's: puts everything into its power-on state and loads the boot images anew. */
	void (*reset)(struct machine *machine);
	struct tracer *tracer; /* core/tracer.h, or NULL */
	void *board;
	struct irq fpu_error; /* FERR#, IRQ 13 */
	/* CPUID leaves 0x40000000.. : false where there is none. NULL: no such leaves. */
	bool (*hypervisor_leaf)(struct machine *machine, u32 leaf, u32 result[4]);
};

struct machine_parameters {
	const struct engine_ops *engine;
	u8 *ram; /* host mapping, zeroed */
	u64 ram_bytes;
	enum clock_kind clock;
	u64 tsc_hz;
	u64 wall_start_ns;
	bool no_reboot;
	const struct cpu_model *model;
	unsigned vcpu_count;
	u64 code_cache_bytes; /* 0: MACHINE_CODE_CACHE_BYTES */
	u64 translate_after;  /* 0: MACHINE_TRANSLATE_AFTER */
	enum verification verification;
	struct tracer *tracer; /* zeroed but for what is to be traced; NULL: nothing is */
};

/* machine is zeroed memory of the caller's. After a failure nothing is left behind. */
enum status machine_init(
	struct machine *machine, const struct machine_parameters *parameters) must_use;
void machine_fini(struct machine *machine);

/* The devices' and the processors' power-on state. (Guest RAM is kept: boards reload images.) */
void machine_reset_devices(struct machine *machine);

/* From devices, any thread: the guest asks to be reset, or powered off; or the host stops it. The first one counts. */
void machine_request_reset(struct machine *machine);
void machine_end(struct machine *machine, enum machine_exit why, u8 value);

/*
 * Brings all vCPUs to stand between two instructions, and the clock with them; returns when they do, or the machine has
 * ended. Pauses do not nest. From one thread at a time, which is no vCPU's.
 */
void machine_pause(struct machine *machine);
void machine_resume(struct machine *machine);
/* Waits until all vCPUs but one (NULL: all) stand still because of a pause or reset, or the machine has ended. */
void machine_wait_for_parked(struct machine *machine, const struct vcpu *except);
/* The same from a vCPU's own thread (a debugger's breakpoint): takes effect when its engine's run returns. */
void machine_request_pause(struct machine *machine);

static inline bool machine_is_pausing(const struct machine *machine)
{
	return __atomic_load_n(&machine->pause_requested, __ATOMIC_ACQUIRE);
}

static inline bool machine_has_ended(const struct machine *machine)
{
	return __atomic_load_n(&machine->exit, __ATOMIC_ACQUIRE) != MACHINE_RUNS;
}

#endif
