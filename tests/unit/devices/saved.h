/* SPDX-License-Identifier: MIT */
/* A board that is saved, and another one that goes on from there. */
#ifndef TESTS_UNIT_DEVICES_SAVED_H
#define TESTS_UNIT_DEVICES_SAVED_H

#include <stdio.h>

#include "board.h"

struct image {
	u8 *bytes;
	size_t length, capacity, position;
};

static unused bool image_write(void *context, const void *from, u64 bytes)
{
	struct image *image = context;

	if (image->length + bytes > image->capacity) {
		image->capacity = 2 * (image->length + bytes);
		image->bytes = realloc(image->bytes, image->capacity);
	}
	memcpy(image->bytes + image->length, from, bytes);
	image->length += bytes;
	return true;
}

static unused bool image_read(void *context, void *to, u64 bytes)
{
	struct image *image = context;

	if (image->position + bytes > image->length)
		return false;
	memcpy(to, image->bytes + image->position, bytes);
	image->position += bytes;
	return true;
}

/* That the host wants a vCPU to stop (for a reset, a power-off) is no state of the guest's. */
static unused void forget_stops(struct machine *machine)
{
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		machine->vcpus[i]->cpu.pending &= ~(u32)PENDING_STOP;
}

static unused void assert_same(struct board *a, struct board *b)
{
	forget_stops(&a->machine);
	forget_stops(&b->machine);
	static char lines[4096];
	struct text text;

	text_init(&text, lines, sizeof(lines));
	u64 differences = state_diff(&a->machine, &b->machine, &text);
	if (differences)
		printf("%s\n", lines);
	assert_int_equal(differences, 0);
}

/* Drains and saves the board; the new one is the same, its disk included. */
static unused struct board *board_saved_and_loaded(struct board *board)
{
	struct board *other = board_create(board->machine.vcpu_count);
	struct image image = {0};
	struct state_sink sink = {image_write, &image};
	struct state_source source = {image_read, &image};
	struct error error = {{0}};

	pc_drain(&board->machine);
	assert_int_equal(state_save(&board->machine, &sink), STATUS_OK);
	assert_int_equal(state_load(&other->machine, &source, &error), STATUS_OK);
	memcpy(other->disk_content, board->disk_content, BOARD_DISK_BYTES);
	free(image.bytes);
	assert_same(board, other);
	return other;
}

#endif
