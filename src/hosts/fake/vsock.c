/* SPDX-License-Identifier: MIT */
#include "hosts/fake/vsock.h"

#include <string.h>

static struct fake_vsock_end *end_of(void *context, unsigned connection)
{
	return &((struct fake_vsock *)context)->ends[connection];
}

static bool vsock_connect(void *context, unsigned connection, u32 port)
{
	struct fake_vsock *vsock = context;

	if (vsock->refuses)
		return false;
	vsock->connects++;
	vsock->last = connection;
	vsock->ends[connection] =
		(struct fake_vsock_end){.is_there = true, .port = port, .room = ~(u64)0};
	return true;
}

static void vsock_accepted(void *context, unsigned connection, u32 port)
{
	struct fake_vsock *vsock = context;

	vsock->accepts++;
	vsock->last = connection;
	vsock->ends[connection] =
		(struct fake_vsock_end){.is_there = true, .port = port, .room = ~(u64)0};
}

static i32 vsock_read(void *context, unsigned connection, u8 *to, u32 bytes)
{
	struct fake_vsock_end *end = end_of(context, connection);
	u32 piece = (u32)MIN(bytes, end->input_bytes);

	if (!piece)
		return end->has_ended ? VSOCK_ENDED : VSOCK_LATER;
	for (u32 i = 0; i < piece; i++)
		to[i] = (u8)(end->input_at + i);
	end->input_at += piece;
	end->input_bytes -= piece;
	return (i32)piece;
}

static i32 vsock_write(void *context, unsigned connection, const u8 *from, u32 bytes)
{
	struct fake_vsock_end *end = end_of(context, connection);
	u32 piece = (u32)MIN(bytes, end->room);

	if (end->is_deaf)
		return VSOCK_ENDED;
	for (u32 i = 0; i < piece && end->taken + i < sizeof(end->output); i++)
		end->output[end->taken + i] = from[i];
	end->taken += piece;
	end->room -= piece;
	return (i32)piece;
}

static void vsock_end_output(void *context, unsigned connection)
{
	end_of(context, connection)->output_ended = true;
}

static void vsock_close(void *context, unsigned connection)
{
	struct fake_vsock *vsock = context;

	vsock->closes++;
	vsock->ends[connection].is_there = false;
}

static void vsock_wake(void *context)
{
	((struct fake_vsock *)context)->wakes++;
}

void fake_vsock_init(struct fake_vsock *vsock)
{
	memset(vsock, 0, sizeof(*vsock));
	vsock->backend = (struct vsock_backend){
		.connect = vsock_connect,
		.accepted = vsock_accepted,
		.read = vsock_read,
		.write = vsock_write,
		.end_output = vsock_end_output,
		.close = vsock_close,
		.wake = vsock_wake,
		.context = vsock,
	};
}
