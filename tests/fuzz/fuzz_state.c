/* SPDX-License-Identifier: MIT */
/*
 * Saved machines that somebody has changed: what is accepted must run, whatever it holds. The input's first byte: 0x80: the rest is the
 * saved machine as it is; else the mode of a machine that has run a little, whose saved fields are then patched: three bytes of
 * a place, one of how, up to eight of what.
 */
#include <string.h>

#include "tests/hostile/hostile.h"

#define PATCH_BYTES 12
#define FIELDS_MAX 1024
#define RUN_INSNS 4000

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct hostile hostile;
static struct hostile_buffer saved[SCENARIO_MODES], buffer;

/* Where the fields' data is in a saved machine; the last one is all of RAM. */
static struct field {
	u64 at, bytes;
} fields[FIELDS_MAX];
static unsigned field_count;

static u32 take_u32(u64 *at)
{
	u32 value;

	memcpy(&value, saved[0].bytes + *at, 4);
	*at += 4;
	return value;
}

static void take_name(u64 *at)
{
	u32 length = take_u32(at);

	*at += length;
}

static void find_fields(void)
{
	u64 at = 16; /* the magic */

	take_name(&at); /* the processor's model */
	take_name(&at); /* the clock's kind */
	for (u32 objects = take_u32(&at); objects; objects--) {
		take_name(&at);
		take_name(&at);
		at += 4;
		for (u32 count = take_u32(&at); count; count--) {
			take_name(&at);
			at += 4;
			u64 bytes = take_u32(&at);
			bytes *= take_u32(&at);
			if (field_count == FIELDS_MAX - 1)
				__builtin_trap(); /* more, and more bits to choose one by */
			fields[field_count++] = (struct field){at, bytes};
			at += bytes;
		}
	}
	fields[field_count++] = (struct field){at, saved[0].length - at};
}

/* One machine a mode, that has run a little in its scenario. */
static void start(void)
{
	static const u8 code[] = {
		0x90, 0x40, 0x90, 0x50, 0x58, 0xeb, 0xf9}; /* a loop in any mode */

	hostile_create(&hostile);
	for (unsigned mode = 0; mode < SCENARIO_MODES; mode++) {
		struct scenario scenario = {.mode = (u8)mode,
			.paging = SCENARIO_PAE,
			.seed = mode,
			.options = mode & 1 ? SCENARIO_INTERRUPTS : 0,
			.code = code,
			.code_bytes = sizeof(code)};

		scenario_apply(&hostile, &scenario);
		scenario_run(&hostile, 500);
		if (hostile_save(&hostile, &saved[mode]) != STATUS_OK)
			__builtin_trap();
	}
	find_fields();
}

static void patch(const u8 *data)
{
	const struct field *field = &fields[(data[0] | (data[1] & 3) << 8) % field_count];
	u64 at = field->at + (data[2] | (u64)(data[1] >> 2) << 8) % field->bytes;
	unsigned bytes = 1 << (data[3] & 3);

	if (data[3] & 4)
		buffer.bytes[at] ^= data[4];
	else
		memcpy(buffer.bytes + at, data + 4, MIN((u64)bytes, buffer.length - at));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (!size)
		return 0;
	if (!hostile.machine.vcpu_count)
		start();
	buffer.length = 0;
	if (data[0] & 0x80) {
		hostile_buffer_write(&buffer, data + 1, size - 1);
	} else {
		const struct hostile_buffer *from = &saved[data[0] % SCENARIO_MODES];

		hostile_buffer_write(&buffer, from->bytes, from->length);
		for (data++, size--; size >= PATCH_BYTES; data += PATCH_BYTES, size -= PATCH_BYTES)
			patch(data);
	}
	hostile_restore(&hostile, false);
	if (hostile_load(&hostile, &buffer) != STATUS_OK)
		return 0;
	/* A saved machine may have the other clock, which stands still on this host. */
	if (hostile.machine.clock.kind != CLOCK_INSTRUCTIONS)
		return 0;
	scenario_run(&hostile, RUN_INSNS);
	if (!machine_has_ended(&hostile.machine))
		hostile_save_and_load(&hostile);
	return 0;
}
