/* SPDX-License-Identifier: MIT */
#include "hosts/linux/record.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES ((u64)64 << 10)
/* Of a ring for the last lines: room for each is taken as if all were so long; of longer ones it holds fewer. */
#define RING_LINE_BYTES 128
#define RING_BYTES_MAX ((u64)1 << 30)

struct record {
	bool is_open, is_over;
	struct record_settings settings;
	u64 lines;
	/* The byte that came as number n is at n % bytes. Of the first lines those before `flushed` have been written. */
	char *buffer;
	u64 bytes, end, flushed;
};

static struct record records[RECORDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum status record_open(
	enum host_record number, const struct record_settings *settings, struct error *error)
{
	struct record *record = &records[number];
	u64 lines = MIN(settings->lines, RING_BYTES_MAX / RING_LINE_BYTES);

	record->settings = *settings;
	record->bytes = settings->last ? MAX(lines * RING_LINE_BYTES, BUFFER_BYTES) : BUFFER_BYTES;
	record->buffer = host_memory_get(record->bytes);
	if (!record->buffer)
		return error_set(error, STATUS_NO_MEMORY, "no memory for the last %llu lines",
			(unsigned long long)settings->lines);
	record->is_open = true;
	return STATUS_OK;
}

bool host_record_is_wanted(enum host_record number)
{
	return __atomic_load_n(&records[number].is_open, __ATOMIC_RELAXED);
}

/* ---- out ----------------------------------------------------------------------------------------- */

/* A disk that is full, or a reader that has gone, ends the record and nothing else. */
static void write_all(struct record *record, const char *bytes, u64 count)
{
	while (count && !record->is_over) {
		ssize_t written = write(record->settings.fd, bytes, count);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			record->is_over = true;
			host_log(LOG_WARNING,
				"the trace or dump could not be written and ends here");
			return;
		}
		bytes += written;
		count -= (u64)written;
	}
}

/* What is between two numbers of bytes, less than a round apart. */
static void write_between(struct record *record, u64 from, u64 to)
{
	u64 at = from % record->bytes, first = MIN(to - from, record->bytes - at);

	write_all(record, record->buffer + at, first);
	write_all(record, record->buffer, to - from - first);
}

/* The same as messages. */
static void log_between(struct record *record, u64 from, u64 to)
{
	char line[RING_LINE_BYTES * 4];
	size_t length = 0;

	for (; from < to; from++) {
		char c = record->buffer[from % record->bytes];

		if (c == '\n') {
			line[length] = 0;
			host_log(LOG_TRACE, line);
			length = 0;
		} else if (length + 1 < sizeof(line)) {
			line[length++] = c;
		}
	}
}

static void put_out(struct record *record, u64 from, u64 to)
{
	if (record->settings.fd < 0)
		log_between(record, from, to);
	else
		write_between(record, from, to);
}

/* ---- in ------------------------------------------------------------------------------------------ */

static void flush(struct record *record)
{
	put_out(record, record->flushed, record->end);
	record->flushed = record->end;
}

static void put_bytes(struct record *record, const char *bytes, size_t count)
{
	u64 at = record->end % record->bytes, first = MIN((u64)count, record->bytes - at);

	if (!record->settings.last && record->end + count - record->flushed > record->bytes)
		flush(record);
	memcpy(record->buffer + at, bytes, first);
	memcpy(record->buffer, bytes + first, count - first);
	record->end += count;
}

static void put_line(struct record *record, const char *line)
{
	put_bytes(record, line, strlen(line));
	put_bytes(record, "\n", 1);
	record->lines++;
}

static void finish_first(struct record *record)
{
	put_line(record, "(and no more: --trace-lines)");
	flush(record);
	record->is_over = true;
}

bool host_record(enum host_record number, const char *line)
{
	struct record *record = &records[number];
	bool is_taken;

	pthread_mutex_lock(&lock);
	if (record->is_open && !record->is_over) {
		if (!record->settings.last && record->lines == record->settings.lines)
			finish_first(record);
		else
			put_line(record, line);
		/* On a terminal at once. */
		if (record->settings.fd < 0 && !record->settings.last)
			flush(record);
	}
	is_taken = record->is_open && !record->is_over;
	pthread_mutex_unlock(&lock);
	return is_taken;
}

/* Where the last lines begin, of which as many are there as were asked for, and whole. */
static u64 find_last(const struct record *record)
{
	u64 oldest = record->end > record->bytes ? record->end - record->bytes : 0;
	u64 from = record->end, lines = 0;

	for (u64 at = record->end; at > oldest; at--) {
		if (record->buffer[(at - 1) % record->bytes] != '\n')
			continue;
		if (at != record->end)
			from = at;
		if (lines++ == record->settings.lines)
			return from;
	}
	return oldest ? from : 0;
}

void records_finish(void)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RECORDS; i++) {
		struct record *record = &records[i];

		if (!record->is_open || record->is_over)
			continue;
		if (record->settings.last)
			record->flushed = find_last(record);
		flush(record);
		record->is_over = true;
	}
	pthread_mutex_unlock(&lock);
}
