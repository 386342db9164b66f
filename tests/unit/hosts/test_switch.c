/* SPDX-License-Identifier: MIT */
/* The virtual switch: who gets which frame, what is refused, and that a port has what it is given and no more. */
#include "hosts/fake/fake.h"
#include "hosts/metal/backend/switch.h"
#include "tests/unit/unit.h"

#define PORTS 4 /* the last one is not pinned */
#define SECOND 1000000000ull

/* A port, and the card that a board would have there. */
struct card {
	struct switch_port port;
	bool has_no_room;
	unsigned received, woken, writable;
	u32 bytes;
	u8 frame[SWITCH_FRAME_BYTES_MAX];
};

static struct net_switch net;
static struct card cards[PORTS];
static const struct net_offload whole;

static bool card_receive(
	void *device, const struct net_offload *offload, const u8 *frame, u32 bytes)
{
	struct card *card = device;

	assert_int_equal(offload->flags, 0);
	if (card->has_no_room)
		return false;
	card->received++;
	card->bytes = bytes;
	memcpy(card->frame, frame, bytes);
	return true;
}

static void card_writable(void *device)
{
	((struct card *)device)->writable++;
}

static void card_wake(void *context)
{
	((struct card *)context)->woken++;
}

static int set_up(void **state)
{
	fake_reset();
	switch_init(&net);
	memset(cards, 0, sizeof(cards));
	for (u8 i = 0; i < PORTS; i++) {
		struct card *card = &cards[i];
		const u8 address[] = {0x52, 0x54, 0, 0, 0, i};

		memcpy(card->port.address, address, sizeof(address));
		card->port.is_pinned = i != PORTS - 1;
		card->port.wake = card_wake;
		card->port.context = card;
		assert_int_equal(switch_add(&net, &card->port), STATUS_OK);
		card->port.device = (struct net_device){card_receive, card_writable, NULL, card};
	}
	return 0;
}

static int tear_down(void **state)
{
	for (unsigned i = 0; i < PORTS; i++)
		host_memory_put(cards[i].port.queue, SWITCH_QUEUE_BYTES);
	return 0;
}

/* Addresses by their last byte; 0xff as the destination: all. */
static bool send_frame(struct card *card, u8 to, u8 from, u32 bytes)
{
	static u8 frame[SWITCH_FRAME_BYTES_MAX + 1];
	const u8 addresses[] = {0x52, 0x54, 0, 0, 0, to, 0x52, 0x54, 0, 0, 0, from};

	memset(frame, (int)bytes, sizeof(frame));
	memcpy(frame, addresses, sizeof(addresses));
	if (to == 0xff)
		memset(frame, 0xff, NET_ADDRESS_BYTES);
	return card->port.backend.send(card->port.backend.context, &whole, frame, bytes);
}

static void run_all(void)
{
	for (unsigned i = 0; i < PORTS; i++)
		switch_port_run(&cards[i].port);
}

static void assert_received(unsigned a, unsigned b, unsigned c, unsigned d)
{
	run_all();
	assert_int_equal(cards[0].received, a);
	assert_int_equal(cards[1].received, b);
	assert_int_equal(cards[2].received, c);
	assert_int_equal(cards[3].received, d);
}

static void a_frame_reaches_whom_it_is_for(void **state)
{
	assert_true(send_frame(&cards[0], 1, 0, 100));
	assert_int_equal(cards[1].received, 0); /* its owner gives it, not the sender */
	assert_int_equal(cards[1].woken, 1);
	assert_received(0, 1, 0, 0);
	assert_int_equal(cards[1].bytes, 100);
	assert_int_equal(cards[1].frame[99], 100);
	assert_true(send_frame(&cards[1], 0xff, 1, 60));
	assert_received(1, 1, 1, 1);
	assert_true(send_frame(&cards[1], 1, 1, 60)); /* to itself */
	assert_received(1, 1, 1, 1);
}

static void what_nobody_has_goes_to_those_that_may_have_it(void **state)
{
	assert_true(send_frame(&cards[0], 77, 0, 60));
	assert_received(0, 0, 0, 1);
	/* The port that is not pinned answers from it: now it is known, and still only there. */
	assert_true(send_frame(&cards[3], 0, 77, 60));
	assert_received(1, 0, 0, 1);
	assert_true(send_frame(&cards[1], 77, 1, 60));
	assert_received(1, 0, 0, 2);
	assert_true(send_frame(&cards[3], 77, 78, 60)); /* where it comes from */
	assert_received(1, 0, 0, 2);
}

static void another_ones_address_is_refused(void **state)
{
	assert_true(send_frame(&cards[0], 1, 2, 60));
	assert_true(send_frame(&cards[0], 1, 77, 60));
	assert_true(send_frame(&cards[3], 1, 2, 60)); /* pinned to another port */
	assert_true(send_frame(&cards[0], 1, 0, NET_HEADER_BYTES - 1));
	assert_true(send_frame(&cards[0], 1, 0, SWITCH_FRAME_BYTES_MAX + 1));
	assert_received(0, 0, 0, 0);
	assert_int_equal(cards[0].port.counts.refused, 4);
	assert_int_equal(cards[3].port.counts.refused, 1);
	assert_true(send_frame(&cards[0], 1, 0, SWITCH_FRAME_BYTES_MAX));
	assert_received(0, 1, 0, 0);
}

static void a_card_without_room_loses_nothing_at_first(void **state)
{
	unsigned sent = 0;

	cards[1].has_no_room = true;
	for (; !cards[1].port.counts.lost; sent++)
		assert_true(send_frame(&cards[0], 1, 0, 1000));
	assert_int_equal(cards[1].woken, 1);
	assert_received(0, 0, 0, 0);
	assert_true(sent > SWITCH_QUEUE_BYTES / 1004 - 2 && sent < SWITCH_QUEUE_BYTES / 1004 + 2);
	/* Others go on meanwhile. */
	assert_true(send_frame(&cards[0], 2, 0, 60));
	assert_received(0, 0, 1, 0);
	cards[1].has_no_room = false;
	cards[1].port.backend.resume_input(cards[1].port.backend.context);
	assert_int_equal(cards[1].woken, 2);
	assert_received(0, sent - 1, 1, 0);
}

static void a_rate_holds_and_nothing_is_lost(void **state)
{
	struct card *card = &cards[0];
	u64 bytes = 0, start = fake_time_ns;

	card->port.bytes_per_second = 1000000;
	while (fake_time_ns - start < 2 * SECOND) {
		if (send_frame(card, 1, 0, 1000)) {
			bytes += 1000;
		} else {
			u64 at = switch_port_run(&card->port);
			unsigned writable = card->writable;

			assert_true(at > fake_time_ns && at != TIME_NEVER);
			fake_time_ns = at;
			assert_int_equal(switch_port_run(&card->port), TIME_NEVER);
			assert_int_equal(card->writable, writable + 1);
		}
		switch_port_run(&cards[1].port);
	}
	assert_true(bytes >= 1990000 && bytes <= 2110000);
	assert_int_equal(cards[1].received, bytes / 1000);
	assert_int_equal(cards[1].port.counts.lost, 0);
}

/* Frames of all sizes through a queue that wraps many times, taken at other times than they are sent. */
static void frames_stay_whole_and_in_order(void **state)
{
	static u32 sizes[4096];
	unsigned sent = 0, taken = 0;
	u32 random = 1;

	for (unsigned round = 0; round < 200000; round++) {
		random = random * 1664525 + 1013904223;
		if (random >> 31) {
			u32 bytes = NET_HEADER_BYTES + (random >> 8) % (SWITCH_MTU);
			u64 lost = cards[1].port.counts.lost;

			send_frame(&cards[0], 1, 0, bytes);
			if (cards[1].port.counts.lost == lost)
				sizes[sent++ % ARRAY_SIZE(sizes)] = bytes;
		} else if (!(random >> 24 & 0x3f)) {
			unsigned before = cards[1].received;

			switch_port_run(&cards[1].port);
			taken += cards[1].received - before;
			assert_int_equal(taken, sent);
			if (sent)
				assert_int_equal(
					cards[1].bytes, sizes[(sent - 1) % ARRAY_SIZE(sizes)]);
		}
	}
	assert_true(taken > 10000);
}

static void what_cannot_be_added_is_told(void **state)
{
	static struct switch_port twice, ports[SWITCH_PORTS_MAX];
	unsigned count = 0;

	twice.is_pinned = true;
	memcpy(twice.address, cards[1].port.address, NET_ADDRESS_BYTES);
	assert_int_equal(switch_add(&net, &twice), STATUS_BUSY);
	fake_allocations_left = 0;
	assert_int_equal(switch_add(&net, &ports[0]), STATUS_NO_MEMORY);
	fake_allocations_left = ~0u;
	while (switch_add(&net, &ports[count]) == STATUS_OK)
		count++;
	assert_int_equal(count, SWITCH_PORTS_MAX - PORTS);
	while (count)
		host_memory_put(ports[--count].queue, SWITCH_QUEUE_BYTES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_frame_reaches_whom_it_is_for),
		TEST(what_nobody_has_goes_to_those_that_may_have_it),
		TEST(another_ones_address_is_refused),
		TEST(a_card_without_room_loses_nothing_at_first),
		TEST(a_rate_holds_and_nothing_is_lost),
		TEST(frames_stay_whole_and_in_order),
		TEST(what_cannot_be_added_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
