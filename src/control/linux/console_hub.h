/* SPDX-License-Identifier: MIT */
/*
 * The console of a detached machine: between the runner's descriptors 0 to 2 and whoever attaches to the socket `console` in its folder (bytes both
 * ways, all who are attached see and type the same), and the logs: the newest of what the guest wrote in console.log and console.log.1, of what lodge
 * said in messages.
 */
#ifndef CONTROL_LINUX_CONSOLE_HUB_H
#define CONTROL_LINUX_CONSOLE_HUB_H

#include "control/linux/loop.h"
#include "control/linux/registry.h"

/* console.log is begun anew at this size, after it has become console.log.1. */
#define CONSOLE_LOG_BYTES (1 << 20)

/* stdio: the runner's three, to be closed once it has them. Without `has_console` 0 and 1 are /dev/null. */
enum status console_hub_open(
	const struct claim *claim, bool has_console, int stdio[3], struct error *error) must_use;
void console_hub_prepare(struct loop *loop);
/* From now on what lodge says goes into the log alone: descriptor 2 is it. Before it was on the caller's, too. */
void console_hub_take_messages(void);
/* The runner has ended: passes on what it had written. */
void console_hub_finish(void);

#endif
