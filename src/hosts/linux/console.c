/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/machine.h"
#include "hosts/linux/console.h"
#include "hosts/linux/sandbox/sandbox.h"

#define CTRL_A 1

/* ---- output ---- */

static size_t ring_put(struct console *console, const u8 *from, size_t bytes)
{
	size_t room = CONSOLE_RING_BYTES - (console->ring_in - console->ring_out);
	size_t taken = MIN(room, bytes);
	for (size_t i = 0; i < taken; i++)
		console->ring[(console->ring_in + i) % CONSOLE_RING_BYTES] = from[i];
	console->ring_in += taken;
	return taken;
}

static size_t console_write(void *context, const u8 *from, size_t bytes)
{
	struct console *console = context;
	size_t done = 0;
	for (;;) {
		host_lock(&console->lock);
		done += ring_put(console, from + done, bytes - done);
		console->device_waits = done < bytes && !console->waits_when_full;
		bool full = done < bytes;
		host_unlock(&console->lock);
		host_signal_raise(&console->has_output);
		if (!full || !console->waits_when_full)
			return done;
		host_signal_wait(&console->has_room, TIME_NEVER);
	}
}

/* Everything is written, or the reader is gone: then it is lost, and the guest goes on. */
static void write_all(int descriptor, const u8 *from, size_t bytes)
{
	while (bytes) {
		ssize_t written = write(descriptor, from, bytes);
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (written < 0 && errno == EAGAIN)
			usleep(1000);
		if (written > 0) {
			from += written;
			bytes -= (size_t)written;
		}
	}
}

/* Takes the next piece out of the ring; 0: empty. */
static size_t ring_take(struct console *console, u8 *to, size_t bytes)
{
	host_lock(&console->lock);
	size_t taken = MIN(bytes, console->ring_in - console->ring_out);
	for (size_t i = 0; i < taken; i++)
		to[i] = console->ring[(console->ring_out + i) % CONSOLE_RING_BYTES];
	host_unlock(&console->lock);
	return taken;
}

static void *writer_main(void *argument)
{
	struct console *console = argument;
	u8 piece[4096];
	sandbox_enter_role(SANDBOX_CONSOLE);
	for (;;) {
		size_t bytes = ring_take(console, piece, sizeof(piece));
		if (!bytes) {
			if (__atomic_load_n(&console->is_closing, __ATOMIC_ACQUIRE))
				return NULL;
			host_signal_wait(&console->has_output, TIME_NEVER);
			continue;
		}
		if (console->output >= 0)
			write_all(console->output, piece, bytes);
		host_lock(&console->lock);
		console->ring_out += bytes;
		bool device_waits = console->device_waits;
		console->device_waits = false;
		host_unlock(&console->lock);
		host_signal_raise(&console->has_room);
		if (device_waits) {
			host_lock(&console->machine->lock);
			console->device.writable(console->device.device);
			host_unlock(&console->machine->lock);
		}
	}
}

/* ---- input ---- */

static void resume_input(void *context)
{
	struct console *console = context;
	static const u64 one = 1;
	ssize_t written = write(console->wake_descriptor, &one, sizeof(one));
	(void)written;
}

bool console_wants_input(const struct console *console)
{
	return console->input >= 0 && console->pending_start == console->pending_end;
}

void console_offer(struct console *console)
{
	size_t bytes = console->pending_end - console->pending_start;
	if (!bytes || !console->device.receive)
		return;
	host_lock(&console->machine->lock);
	console->pending_start += console->device.receive(
		console->device.device, console->pending_input + console->pending_start, bytes);
	host_unlock(&console->machine->lock);
}

/* Takes the escapes out, in place; what remains is for the guest. True: Ctrl-A x. */
static bool take_escapes(struct console *console, const u8 *from, size_t bytes)
{
	console->pending_start = console->pending_end = 0;
	for (size_t i = 0; i < bytes; i++) {
		u8 c = from[i];
		if (!console->escape_seen && c == CTRL_A) {
			console->escape_seen = true;
			continue;
		}
		if (console->escape_seen && c == 'x')
			return true;
		if (console->escape_seen &&
			c != CTRL_A) /* no command of ours: both are the guest's */
			console->pending_input[console->pending_end++] = CTRL_A;
		console->escape_seen = false;
		console->pending_input[console->pending_end++] = c;
	}
	return false;
}

bool console_read(struct console *console)
{
	u8 bytes[CONSOLE_INPUT_BYTES / 2 - 1]; /* each may become two */
	ssize_t got = read(console->input, bytes, sizeof(bytes));
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (got <= 0) {
		console->input = -1; /* the end of input does not stop the guest */
		return false;
	}
	if (take_escapes(console, bytes, (size_t)got))
		return true;
	console_offer(console);
	return false;
}

/* ---- life ---- */

void console_init(struct console *console, struct machine *machine, int input, int output,
	int wake_descriptor)
{
	memset(console, 0, sizeof(*console));
	console->machine = machine;
	console->input = input;
	console->output = output;
	console->wake_descriptor = wake_descriptor;
	console->waits_when_full = machine->clock.kind == CLOCK_INSTRUCTIONS;
	host_lock_init(&console->lock);
	console->backend = (struct console_backend){
		.write = console_write, .resume_input = resume_input, .context = console};
}

bool console_start(struct console *console)
{
	return !pthread_create(&console->writer, NULL, writer_main, console);
}

void console_finish(struct console *console)
{
	__atomic_store_n(&console->is_closing, true, __ATOMIC_RELEASE);
	host_signal_raise(&console->has_output);
	pthread_join(console->writer, NULL);
}
