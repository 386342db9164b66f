/* SPDX-License-Identifier: MIT */
/*
 * A gdb that sends anything. The input is what it says, in lines: each is sent as a packet with its checksum, or, when it begins with a
 * zero byte, as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "control/gdb.h"
#include "control/gdb_registers.h"
#include "tests/hostile/hostile.h"

#define RUN_INSNS 200

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct hostile hostile;
static struct gdb_stub stub;
static bool has_stopped;

/* An answer is +, - or a packet whose checksum is right. */
static void take_answer(void *context, const char *from, size_t bytes)
{
	u8 sum = 0;
	char tail[4];

	if (bytes <= 1)
		return;
	for (size_t i = 1; i + 3 < bytes; i++)
		sum += (u8)from[i];
	snprintf(tail, sizeof(tail), "#%02x", sum);
	if (from[0] != '$' || bytes < 4 || memcmp(from + bytes - 3, tail, 3))
		abort();
}

static void note_stop(void *context)
{
	has_stopped = true;
}

/* What the vCPU's and the host's threads would do until gdb has the word again. */
static void let_run(void)
{
	struct vcpu *vcpu = hostile.machine.vcpus[0];

	if (!stub.is_running)
		return;
	has_stopped = false;
	atomic_and_32(&vcpu->cpu.pending, ~(u32)PENDING_STOP);
	hostile.machine.engine->run(vcpu, RUN_INSNS);
	vcpu->is_parked = 1;
	if (has_stopped)
		gdb_stopped(&stub);
	else
		gdb_receive(&stub, "\x03", 1);
}

static void send_packet(const u8 *body, size_t bytes)
{
	char tail[4];
	u8 sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum += body[i];
	snprintf(tail, sizeof(tail), "#%02x", sum);
	gdb_receive(&stub, "$", 1);
	gdb_receive(&stub, (const char *)body, bytes);
	gdb_receive(&stub, tail, 3);
}

static void take_line(const u8 *line, size_t bytes)
{
	if (bytes && !line[0])
		gdb_receive(&stub, (const char *)line + 1, bytes - 1);
	else
		send_packet(line, bytes);
	let_run();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (!hostile.machine.vcpu_count)
		hostile_create(&hostile);
	hostile_restore(&hostile, false);
	hostile.machine.vcpus[0]->is_parked = 1;
	gdb_attach(&stub, &hostile.machine, take_answer, note_stop, NULL);
	while (size) {
		const u8 *end = memchr(data, '\n', size);
		size_t bytes = end ? (size_t)(end - data) : size;

		take_line(data, bytes);
		bytes += end != NULL;
		data += bytes;
		size -= bytes;
	}
	gdb_detach(&stub);
	if (!cpu_state_is_valid(hostile_cpu(&hostile)))
		abort();
	hostile_save_and_load(&hostile);
	return 0;
}
