/* SPDX-License-Identifier: MIT */
/* A card's way to passt: frames are taken from the socket while the guest has no room, since passt drops what it cannot write. */
#include <sys/socket.h>

#include "core/machine.h"
#include "hosts/fake/fake.h"
#include "hosts/linux/net_port.c"
#include "tests/unit/unit.h"

#define FRAME_BYTES 60000

static struct net_port port;
static struct machine machine;
static bool has_room;
static unsigned received;

/* The thread's rights are not what is looked at. */
void sandbox_enter_role(enum sandbox_role role) {}

static bool card_receive(
	void *device, const struct net_offload *offload, const u8 *frame, u32 bytes)
{
	if (!has_room)
		return false;
	assert_int_equal(bytes, FRAME_BYTES);
	assert_int_equal(frame[100], (u8)received);
	received++;
	return true;
}

/* As passt does: all of a frame or, where it does not go in, nothing of it. */
static bool send_frame(int fd, unsigned number)
{
	static u8 frame[4 + FRAME_BYTES];
	u32 length = __builtin_bswap32(FRAME_BYTES);

	memset(frame, (int)number, sizeof(frame));
	memcpy(frame, &length, sizeof(length));
	return send(fd, frame, sizeof(frame), MSG_DONTWAIT) == sizeof(frame);
}

static void a_guest_without_room_costs_no_frames(void **state)
{
	int pair[2];
	unsigned sent = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(net_port_init(&port, "net 1", pair[0], false));
	port.machine = &machine;
	port.device = (struct net_device){.receive = card_receive};
	for (; sent < (3 << 20) / FRAME_BYTES; sent++) {
		assert_true(send_frame(pair[1], sent));
		wait_and_work(&port);
	}
	assert_int_equal(received, 0);
	has_room = true;
	port.backend.resume_input(port.backend.context);
	wait_and_work(&port);
	assert_int_equal(received, sent);
	/* And without end, however it lies in the buffer. */
	for (; sent < 1000; sent++) {
		has_room = sent % 7;
		assert_true(send_frame(pair[1], sent));
		if (has_room)
			port.backend.resume_input(port.backend.context);
		wait_and_work(&port);
	}
	has_room = true;
	port.backend.resume_input(port.backend.context);
	if (received < sent)
		wait_and_work(&port);
	assert_int_equal(received, sent);
	close(pair[0]);
	close(pair[1]);
	close(port.wake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_without_room_costs_no_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
