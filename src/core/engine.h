/* SPDX-License-Identifier: MIT */
/*
 * The face of an engine: it makes vCPUs move. Engines know core/ and x86/, no device and no host.
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "base/status.h"
#include "base/types.h"

struct machine;
struct vcpu;

enum run_exit {
	RUN_STOPPED, /* asked to (PENDING_STOP), or the instruction limit is reached */
	RUN_IDLE,    /* halted or waiting for SIPI, and nothing pending */
	RUN_SHUTDOWN /* triple fault */
};

struct engine_ops {
	const char *name; /* "interp" */
	/* It makes code: the host has machine->code_cache_bytes of code memory (core/host.h) for its machine. */
	bool needs_code_memory;
	/* Can it work on this host? STATUS_UNSUPPORTED with the reason. */
	enum status (*probe)(struct error *error);
	enum status (*machine_attach)(struct machine *machine);
	void (*machine_detach)(struct machine *machine);
	enum status (*vcpu_attach)(struct vcpu *vcpu);
	void (*vcpu_detach)(struct vcpu *vcpu);
	/*
	 * RAM in watched pages (core/memory.h) is written: by a vCPU on its own thread, or by a device or loader
	 * (by is NULL) on any thread.
	 */
	void (*memory_changed)(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by);
	/* Runs at most `insns` instructions. On the vCPU's own thread. */
	enum run_exit (*run)(struct vcpu *vcpu, u64 insns);
	/*
	 * Instructions retired since attach, exact even in the middle of one; one that ends in an exception counts. On the
	 * vCPU's own thread.
	 */
	u64 (*insns_retired)(struct vcpu *vcpu);
	/* vcpu->cpu.pending has changed: make it look soon. From any thread. */
	void (*kick)(struct vcpu *vcpu);
	/* vcpu->cpu is complete after pull, and taken over by push. */
	void (*pull_state)(struct vcpu *vcpu);
	void (*push_state)(struct vcpu *vcpu);
};

extern const struct engine_ops engine_interpreter, engine_translator;
extern const struct engine_ops
	engine_lockstep; /* to be configured first: engines/lockstep/lockstep.h */

#endif
