/* SPDX-License-Identifier: MIT */
#include "hosts/metal/console/console.h"
#include "base/memory.h"
#include "base/text.h"
#include "hosts/metal/console/serial.h"
#include "hosts/metal/schedule/thread.h"

#define CTRL_A 1
#define POLL_NS 10000000 /* for input where the port has no interrupt, or the guest took not all */
#define PIECE_BYTES 256
#define SETTLE_NS \
	100000000 /* an unfinished line that has not grown for so long is shown, and may be broken into */

static struct {
	struct console_line *lines[CONSOLE_LINES_MAX];
	unsigned count;
	unsigned chosen;	   /* 0: all */
	struct console_line *last; /* whose line is unfinished; NULL: none is */
	bool escape_seen, has_interrupt;
	struct host_signal work;
	struct spinlock port;
} console;

/* ---- output ---- */

static void put(const void *from, size_t bytes)
{
	spinlock_take(&console.port);
	serial_write_now(from, bytes);
	spinlock_release(&console.port);
}

void console_say(const char *format, ...)
{
	char buffer[320];
	struct text text;
	va_list arguments;
	text_init(&text, buffer, sizeof(buffer) - 2);
	text_append(&text, "lodge-metal: ");
	va_start(arguments, format);
	text_format_list(&text, format, arguments);
	va_end(arguments);
	memcpy(buffer + text.length, "\r\n", 2);
	put(buffer, text.length + 2);
}

static size_t line_write(void *context, const u8 *from, size_t bytes)
{
	struct console_line *line = context;
	spinlock_take(&line->lock);
	size_t taken = MIN(bytes, CONSOLE_LINE_BYTES - (line->in - line->out));
	for (size_t i = 0; i < taken; i++)
		line->ring[(line->in + i) % CONSOLE_LINE_BYTES] = from[i];
	line->in += taken;
	line->written_ns = host_time_ns();
	line->device_waits = taken < bytes;
	spinlock_release(&line->lock);
	host_signal_raise(&console.work);
	return taken;
}

/* The next piece, at most a line of it where `stops` says so; 0: empty. */
static size_t line_take(struct console_line *line, u8 *to, bool stops)
{
	size_t bytes = 0;
	spinlock_take(&line->lock);
	while (line->out < line->in && bytes < PIECE_BYTES) {
		u8 c = line->ring[line->out++ % CONSOLE_LINE_BYTES];
		to[bytes++] = c;
		if (stops && c == '\n')
			break;
	}
	bool device_waits = line->device_waits;
	line->device_waits = false;
	spinlock_release(&line->lock);
	if (device_waits) {
		host_lock(&line->machine->lock);
		line->device.writable(line->device.device);
		host_unlock(&line->machine->lock);
	}
	return bytes;
}

/* Is there a line's end in the next piece, or a whole piece? */
static bool has_whole(struct console_line *line)
{
	bool found = false;
	spinlock_take(&line->lock);
	size_t bytes = MIN(line->in - line->out, PIECE_BYTES);
	for (size_t i = 0; i < bytes && !found; i++)
		found = line->ring[(line->out + i) % CONSOLE_LINE_BYTES] == '\n';
	spinlock_release(&line->lock);
	return found || bytes == PIECE_BYTES;
}

static bool has_settled(const struct console_line *line)
{
	return host_time_ns() - line->written_ns > SETTLE_NS;
}

/* Among all guests' lines: whole ones, so that they do not break into each other. */
static bool may_show(struct console_line *line)
{
	if (console.last == line)
		return true;
	if (console.last && !has_settled(console.last))
		return false;
	return has_whole(line) || has_settled(line);
}

static void put_prefix(const struct console_line *line)
{
	if (console.last == line)
		return;
	if (console.last)
		put("\r\n", 2);
	put(line->name, text_length(line->name));
	put("| ", 2);
}

/* Returns whether there was something. What nobody has chosen is lost while another one is. */
static bool carry(struct console_line *line, unsigned number)
{
	u8 piece[PIECE_BYTES];
	if (!console.chosen && !may_show(line))
		return false;
	size_t bytes = line_take(line, piece, !console.chosen);
	if (!bytes)
		return false;
	if (!console.chosen) {
		put_prefix(line);
		console.last = piece[bytes - 1] == '\n' ? NULL : line;
	}
	if (!console.chosen || console.chosen == number)
		put(piece, bytes);
	__atomic_store_n(&line->shown, line->shown + bytes, __ATOMIC_RELEASE);
	return true;
}

static bool holds_back(const struct console_line *line)
{
	return __atomic_load_n(&line->in, __ATOMIC_ACQUIRE) != line->out;
}

/* ---- input ---- */

static void choose(unsigned number)
{
	if (number > console.count)
		return;
	console.chosen = number;
	console.last = NULL;
	put("\r\n", 2);
	if (number)
		console_say("console of %s; Ctrl-A 0 shows all", console.lines[number - 1]->name);
}

static void take_byte(u8 c)
{
	bool escaped = console.escape_seen;
	console.escape_seen = !escaped && c == CTRL_A;
	if (console.escape_seen)
		return;
	if (escaped && c >= '0' && c <= '9') {
		choose(c - '0');
		return;
	}
	if (!console.chosen)
		return;
	struct console_line *line = console.lines[console.chosen - 1];
	if (line->input_count < CONSOLE_INPUT_BYTES)
		line->input[line->input_count++] = c;
}

/* False: some of it is left. */
static bool offer(struct console_line *line)
{
	if (!line->input_count || !line->device.receive)
		return true;
	host_lock(&line->machine->lock);
	size_t taken = line->device.receive(line->device.device, line->input, line->input_count);
	host_unlock(&line->machine->lock);
	line->input_count -= taken;
	memmove(line->input, line->input + taken, line->input_count);
	return !line->input_count;
}

static void arrived(void)
{
	host_signal_raise(&console.work);
}

static void resume_input(void *context)
{
	host_signal_raise(&console.work);
}

/* ---- the thread ---- */

static void console_main(void *argument)
{
	console.has_interrupt = serial_enable_interrupt(arrived);
	for (;;) {
		bool has_done = false, has_left = false;
		int c;
		for (unsigned i = 0; i < console.count; i++)
			has_done |= carry(console.lines[i], i + 1);
		while ((c = serial_read()) >= 0)
			take_byte((u8)c);
		for (unsigned i = 0; i < console.count; i++)
			has_left |= !offer(console.lines[i]) || holds_back(console.lines[i]);
		if (has_done)
			continue;
		bool polls = !console.has_interrupt || has_left;
		host_signal_wait(&console.work, polls ? host_time_ns() + POLL_NS : TIME_NEVER);
	}
}

void console_init(void)
{
	serial_init();
}

void console_start(void)
{
	static const struct thread_parameters parameters = {
		.name = "console", .main = console_main, .is_service = true};
	if (!thread_create(&parameters))
		console_say("no memory for the console's thread: guests have no output");
}

struct console_backend console_line_open(
	struct console_line *line, const char *name, struct machine *machine)
{
	line->name = name;
	line->machine = machine;
	if (console.count < CONSOLE_LINES_MAX) {
		console.lines[console.count] = line;
		__atomic_store_n(&console.count, console.count + 1, __ATOMIC_RELEASE);
	}
	return (struct console_backend){line_write, resume_input, line};
}

void console_line_flush(struct console_line *line)
{
	struct host_signal never = {0};
	while (__atomic_load_n(&line->shown, __ATOMIC_ACQUIRE) != line->in)
		host_signal_wait(&never, host_time_ns() + POLL_NS);
}
