/* SPDX-License-Identifier: MIT */
/* The runner's process: started, signalled, watched by a front's loop, waited for. One at a time. */
#ifndef CONTROL_LINUX_PROCESS_H
#define CONTROL_LINUX_PROCESS_H

#include "control/config.h"
#include "control/linux/loop.h"

/* How long lodge run waits for a guest whose power button a signal has pressed. */
#define PROCESS_BUTTON_MS 10000

/* From now on signals come to process_prepare's loop; what is to be found raw and restored is the terminal, if it is the console. */
enum status process_watch_signals(bool wants_terminal, struct error *error) must_use;

/*
 * Starts lodge-vm with the description, the descriptors that config names, and `stdio` as 0 to 2; closes what config names here. in_child, unless
 * NULL, is called in the new process before it becomes lodge-vm; it returns 0 or an errno.
 */
enum status process_start(struct machine_config *config, int description, const int stdio[3],
	int (*in_child)(void), struct error *error) must_use;

u32 process_pid(void); /* 0: not started */
/* Asks, and remembers that it has. */
bool process_has_ended(void);
/* For the loop: signals to lodge, and what becomes of the guest that was asked to end. */
void process_prepare(struct loop *loop);

/* Presses the power button; after that long without an end stops the machine by force. The earliest of several counts. */
void process_press_button(u64 patience_ms);
/* Now. */
void process_kill(void);
/* While it runs: so that a limit on processor time holds. */
void process_hold(bool is_held);

/* What it has taken so far, or all in all. */
u64 process_cpu_ns(void);
/* Of the guest's memory, what the host has given. */
u64 process_memory_bytes(void);

/* It ended otherwise than by itself: by process_press_button's patience or process_kill. */
bool process_was_forced(void);
bool process_was_killed(void);
/* What lodge is to end with; tells of an end by a signal. */
int process_exit_status(void);
/* The terminal and the signals as they were before process_watch_signals. */
void process_restore(void);

/* Where lodge-vm is: beside lodge, or in ../libexec/lodge. */
enum status process_find_runner(char *path, size_t bytes, struct error *error) must_use;

#endif
