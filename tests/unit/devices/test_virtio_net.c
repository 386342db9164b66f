/* SPDX-License-Identifier: MIT */
/* The network card: frames out, frames in, what is done to them on the way, and what no driver does. */
#include "devices/virtio/net_packet.h"
#include "driver.h"
#include "saved.h"

#define SLOT PC_SLOT_NETS
#define HEADER_BYTES 12
#define FRAME (DATA + HEADER_BYTES)

#define FEATURE_CSUM BIT(0)
#define FEATURE_GUEST_CSUM BIT(1)
#define FEATURE_MTU BIT(3)
#define FEATURE_MAC BIT(5)
#define FEATURE_GUEST_TSO4 BIT(7)
#define FEATURE_HOST_TSO4 BIT(11)
#define FEATURE_MRG_RXBUF BIT(15)
#define FEATURE_STATUS BIT(16)
#define FEATURE_CTRL_VQ BIT(17)
#define FEATURE_MQ BIT(22)
#define FEATURES (FEATURE_MTU | FEATURE_MAC | FEATURE_STATUS | VIRTIO_F_EVENT_IDX)

enum { RECEIVE, TRANSMIT, CONTROL };

static int setup_offloads(void **state)
{
	*state = board_create_with(1, (struct board_options){.net_offloads = true});
	return 0;
}

static int setup_large(void **state)
{
	*state = board_create_with(1, (struct board_options){.net_takes_large = true});
	return 0;
}

static int setup_trusted(void **state)
{
	*state = board_create_with(1, (struct board_options){.net_is_trusted = true});
	return 0;
}

static struct driver start_queue(struct board *board, unsigned queue, u64 features)
{
	struct driver driver = driver_find(board, SLOT, VIRTIO_NET);

	driver.queue = queue;
	driver_start(&driver, FEATURES | features);
	return driver;
}

/* Bytes that differ from each other. */
static void fill(u8 *to, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		to[i] = (u8)(i * 7 + i / 256);
}

/* ---- out ---- */

static void set_header(struct driver *driver, struct net_offload offload)
{
	memset(ram(driver, DATA), 0, HEADER_BYTES);
	memcpy(ram(driver, DATA), &offload, sizeof(offload));
}

/* Header and frame in one buffer; the device gives it back. */
static void send(struct driver *driver, u32 bytes)
{
	put_descriptor(driver, RING_DESCRIPTORS, 0, DATA, HEADER_BYTES + bytes, 0, 0);
	make_available(driver, 0);
	notify(driver);
}

static void assert_dropped(struct driver *driver, struct net_offload offload, u32 bytes)
{
	struct fake_net *net = &driver->board->net;
	unsigned before = net->sent;

	set_header(driver, offload);
	send(driver, bytes);
	assert_int_equal(take_used(driver, NULL), 0);
	assert_int_equal(net->sent, before);
	set_header(driver, (struct net_offload){0});
	send(driver, 60);
	assert_int_equal(take_used(driver, NULL), 0);
	assert_int_equal(net->sent, before + 1);
}

static void it_says_what_it_is(void **state)
{
	struct driver driver = start_queue(*state, TRANSMIT, 0);
	u64 features = offered(&driver);

	assert_int_equal(get(&driver, driver.device, 4), 0x12005452);
	assert_int_equal(get(&driver, driver.device + 4, 2), 0x5634);
	assert_int_equal(get(&driver, driver.device + 6, 2), 1);
	assert_int_equal(get(&driver, driver.device + 8, 2), 1);
	assert_int_equal(get(&driver, driver.device + 10, 2), 1500);
	assert_int_equal(get(&driver, driver.common + REGISTER_QUEUES, 2), 3);
	/* A place that takes no offloads: checksums are put in here, segments are not. */
	assert_true(features & FEATURE_CSUM);
	assert_false(features & (FEATURE_HOST_TSO4 | FEATURE_GUEST_CSUM | FEATURE_GUEST_TSO4));
}

static void a_frame_goes_out(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT, 0);

	fill(ram(&driver, FRAME), 1000);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, DATA, 5, FLAG_NEXT, 1);
	put_descriptor(&driver, RING_DESCRIPTORS, 1, DATA + 5, 20, FLAG_NEXT, 2);
	put_descriptor(&driver, RING_DESCRIPTORS, 2, DATA + 25, 987, 0, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_int_equal(board->net.bytes, 1000);
	assert_memory_equal(board->net.frame, ram(&driver, FRAME), 1000);
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
}

/* An IPv4 header's checksum, of which the example is known: 45 00 00 73 ... b8 61. */
static void a_checksum_is_put_in_where_the_place_does_not(void **state)
{
	static const u8 header[20] = {0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8,
		0, 1, 0xc0, 0xa8, 0, 0xc7};
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT, FEATURE_CSUM);

	memcpy(ram(&driver, FRAME + 14), header, sizeof(header));
	set_header(&driver,
		(struct net_offload){
			.flags = NET_NEEDS_CHECKSUM, .checksum_start = 14, .checksum_offset = 10});
	send(&driver, 34);
	assert_int_equal(board->net.frame[24], 0xb8);
	assert_int_equal(board->net.frame[25], 0x61);
	assert_int_equal(board->net.offload.flags, 0);
	/* Of what is odd in length the last byte counts as the upper half; a sum of zero is sent as ones. */
	memset(ram(&driver, FRAME + 14), 0, 21);
	poke(&driver, FRAME + 34, 1, 1);
	send(&driver, 35);
	assert_int_equal(board->net.frame[24], 0xfe);
	assert_int_equal(board->net.frame[25], 0xff);
	memset(ram(&driver, FRAME + 14), 0, 21);
	memset(ram(&driver, FRAME + 14), 0xff, 2);
	send(&driver, 34);
	assert_int_equal(board->net.frame[24], 0xff);
	assert_int_equal(board->net.frame[25], 0xff);
}

static void offloads_go_to_a_place_that_takes_them(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT,
		FEATURE_CSUM | FEATURE_HOST_TSO4 | FEATURE_GUEST_CSUM | FEATURE_GUEST_TSO4);
	struct net_offload offload = {.flags = NET_NEEDS_CHECKSUM,
		.segmentation = NET_TCP4,
		.header_bytes = 54,
		.segment_bytes = 1448,
		.checksum_start = 34,
		.checksum_offset = 16};

	assert_true(board->net.takes_checksum && board->net.takes_tcp4);
	assert_false(board->net.takes_tcp6);
	set_header(&driver, offload);
	send(&driver, 20000);
	assert_int_equal(board->net.bytes, 20000);
	assert_memory_equal(&board->net.offload, &offload, sizeof(offload));
	offload.segmentation = NET_TCP6; /* not agreed on */
	assert_dropped(&driver, offload, 20000);
	offload.segmentation = NET_TCP4;
	offload.segment_bytes = 0;
	assert_dropped(&driver, offload, 20000);
}

/* The sum of all of it, which the driver has begun with zero here. */
static void a_place_that_takes_large_packets_gets_them_whole(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT, FEATURE_CSUM | FEATURE_HOST_TSO4);
	struct net_offload offload = {.flags = NET_NEEDS_CHECKSUM,
		.segmentation = NET_TCP4,
		.header_bytes = 54,
		.segment_bytes = 1448,
		.checksum_start = 34,
		.checksum_offset = 16};

	assert_false(offered(&driver) & FEATURE_GUEST_TSO4);
	memset(ram(&driver, FRAME), 0, 20000);
	poke(&driver, FRAME + 19998, 0x0201, 2);
	set_header(&driver, offload);
	send(&driver, 20000);
	assert_int_equal(board->net.bytes, 20000);
	assert_int_equal(board->net.offload.segmentation, NET_WHOLE);
	assert_int_equal(board->net.offload.flags, 0);
	assert_int_equal(board->net.frame[50], 0xfe);
	assert_int_equal(board->net.frame[51], 0xfd);
	offload.segmentation = NET_TCP6; /* not agreed on */
	assert_dropped(&driver, offload, 20000);
}

static void a_frame_that_cannot_be_is_dropped(void **state)
{
	struct driver driver = start_queue(*state, TRANSMIT, FEATURE_CSUM);
	struct net_offload offload = {0};

	assert_dropped(&driver, offload, 13);
	assert_dropped(&driver, offload, (u32)-HEADER_BYTES); /* nothing at all */
	assert_dropped(&driver, offload, (u32)-1);	      /* no whole header */
	assert_dropped(&driver, offload, NET_FRAME_BYTES_MAX + 1);
	offload.segmentation = NET_TCP4;
	assert_dropped(&driver, offload, 100);
	offload.segmentation = 0x7f;
	assert_dropped(&driver, offload, 100);
	offload = (struct net_offload){
		.flags = NET_NEEDS_CHECKSUM, .checksum_start = 90, .checksum_offset = 9};
	assert_dropped(&driver, offload, 100);
	offload.checksum_start = offload.checksum_offset = 0xffff;
	assert_dropped(&driver, offload, 100);
	driver = start_queue(*state, TRANSMIT, 0);
	offload = (struct net_offload){.flags = NET_NEEDS_CHECKSUM};
	assert_dropped(&driver, offload, 100);
}

static void a_frame_that_has_no_room_waits(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT, 0);

	board->net.has_no_room = true;
	send(&driver, 60);
	send(&driver, 60);
	assert_int_equal(take_used(&driver, NULL), -1);
	board->net.has_no_room = false;
	board->net.device.writable(board->net.device.device);
	assert_int_equal(board->net.sent, 2);
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	/* One that waits is gone after a reset. */
	board->net.has_no_room = true;
	send(&driver, 60);
	set_status(&driver, 0);
	board->net.has_no_room = false;
	board->net.device.writable(board->net.device.device);
	assert_int_equal(board->net.sent, 2);
}

static void a_frame_that_waits_is_saved(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT, 0);

	board->net.has_no_room = true;
	fill(ram(&driver, FRAME), 60);
	send(&driver, 60);
	driver.board = board_saved_and_loaded(board);
	driver.board->net.device.writable(driver.board->net.device.device);
	assert_int_equal(driver.board->net.sent, 1);
	assert_memory_equal(driver.board->net.frame, ram(&driver, FRAME), 60);
	assert_int_equal(take_used(&driver, NULL), 0);
	board_destroy(driver.board);
}

/* ---- in ---- */

static bool receive(struct board *board, struct net_offload offload, const u8 *frame, u32 bytes)
{
	return board->net.device.receive(board->net.device.device, &offload, frame, bytes);
}

static void give_buffers(struct driver *driver, unsigned count, u32 bytes)
{
	for (unsigned i = 0; i < count; i++) {
		put_descriptor(
			driver, RING_DESCRIPTORS, i, DATA + 0x10000 * i, bytes, FLAG_WRITE, 0);
		make_available(driver, (u16)i);
	}
	notify(driver);
}

static void a_frame_comes_in(void **state)
{
	struct board *board = *state;
	struct driver driver;
	u8 frame[1000];
	u32 written;

	fill(frame, sizeof(frame));
	/* To a card that nobody drives it is lost. */
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	driver = start_queue(board, RECEIVE, 0);
	assert_false(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	give_buffers(&driver, 1, 2000);
	assert_int_equal(board->net.resumed, 2); /* at the start, too */
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_int_equal(take_used(&driver, &written), 0);
	assert_int_equal(written, HEADER_BYTES + 1000);
	assert_memory_equal(ram(&driver, FRAME), frame, sizeof(frame));
	assert_int_equal(peek(&driver, DATA, 8), 0);
	assert_int_equal(peek(&driver, DATA + 8, 4), 0x10000); /* one buffer */
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
}

static void checksums_are_told_where_agreed_on(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, RECEIVE, FEATURE_GUEST_CSUM);
	u8 frame[60] = {0};

	give_buffers(&driver, 1, 2000);
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_int_equal(peek(&driver, DATA, 1), NET_CHECKSUM_IS_GOOD);
	driver = start_queue(board, RECEIVE, 0);
	give_buffers(&driver, 1, 2000);
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_int_equal(peek(&driver, DATA, 1), 0);
}

static void a_frame_may_take_several_buffers(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, RECEIVE, FEATURE_MRG_RXBUF);
	static u8 frame[1000];
	u32 written;

	fill(frame, sizeof(frame));
	give_buffers(&driver, 2, 400);
	assert_false(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_int_equal(take_used(&driver, NULL), -1);
	put_descriptor(&driver, RING_DESCRIPTORS, 2, DATA + 0x20000, 400, FLAG_WRITE, 0);
	make_available(&driver, 2);
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_int_equal(peek(&driver, DATA + 10, 2), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(take_used(&driver, &written), i);
		assert_int_equal(written, i < 2 ? 400 : 212);
	}
	assert_memory_equal(ram(&driver, FRAME), frame, 388);
	assert_memory_equal(ram(&driver, DATA + 0x10000), frame + 388, 400);
	assert_memory_equal(ram(&driver, DATA + 0x20000), frame + 788, 212);
}

static void a_frame_that_never_fits_is_dropped(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, RECEIVE, 0);
	static u8 frame[1000];

	give_buffers(&driver, 1, 1000);
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_int_equal(take_used(&driver, NULL), -1);
	assert_true(receive(board, (struct net_offload){0}, frame, 988));
	assert_int_equal(take_used(&driver, NULL), 0);
	driver = start_queue(board, RECEIVE, FEATURE_MRG_RXBUF);
	give_buffers(&driver, DRIVER_QUEUE_SIZE, 20);
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_int_equal(take_used(&driver, NULL), -1);
	assert_true(receive(board, (struct net_offload){0}, frame, 16 * 20 - HEADER_BYTES));
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(peek(&driver, DATA + 10, 2), 16);
}

static void a_buffer_without_room_for_a_header_needs_a_reset(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, RECEIVE, FEATURE_MRG_RXBUF);
	u8 frame[60] = {0};

	give_buffers(&driver, 10, HEADER_BYTES);
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_true(status_of(&driver) & VIRTIO_NEEDS_RESET);
	driver = start_queue(board, RECEIVE, 0);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, DATA, 2000, 0, 0); /* to read */
	make_available(&driver, 0);
	notify(&driver);
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	assert_int_equal(take_used(&driver, NULL), -1);
}

static void a_cable_may_be_out(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT, 0);
	struct net_device *device = &board->net.device;
	u8 frame[60] = {0};

	device->set_link(device->device, false);
	assert_int_equal(get(&driver, driver.device + 6, 2), 0);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR - 1);
	send(&driver, 60);
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(board->net.sent, 0);
	assert_true(receive(board, (struct net_offload){0}, frame, sizeof(frame)));
	take_vector(&driver);
	device->set_link(device->device, true);
	assert_int_equal(get(&driver, driver.device + 6, 2), 1);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR - 1);
}

/* ---- several queues ---- */

static u8 ask_for_pairs(struct driver *driver, u16 pairs)
{
	poke(driver, DATA, 0x0004, 2);
	poke(driver, DATA + 2, pairs, 2);
	poke(driver, DATA + 8, 0xee, 1);
	put_descriptor(driver, RING_DESCRIPTORS, 0, DATA, 4, FLAG_NEXT, 1);
	put_descriptor(driver, RING_DESCRIPTORS, 1, DATA + 8, 1, FLAG_WRITE, 0);
	make_available(driver, 0);
	notify(driver);
	assert_int_equal(take_used(driver, NULL), 0);
	return (u8)peek(driver, DATA + 8, 1);
}

static void several_queues_are_agreed_on(void **state)
{
	struct driver driver = start_queue(*state, 6, FEATURE_CTRL_VQ | FEATURE_MQ);

	assert_int_equal(get(&driver, driver.device + 8, 2), 3);
	assert_int_equal(ask_for_pairs(&driver, 3), 0);
	assert_int_equal(ask_for_pairs(&driver, 0), 1);
	assert_int_equal(ask_for_pairs(&driver, 4), 1);
	assert_int_equal(ask_for_pairs(&driver, 0xffff), 1);
	/* Without that, the control queue is the one behind the first pair, and there is nothing to ask for. */
	driver = start_queue(*state, CONTROL, FEATURE_CTRL_VQ);
	assert_int_equal(ask_for_pairs(&driver, 1), 1);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, DATA, 1, 0, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_int_equal(take_used(&driver, NULL), 0);
}

static void a_flow_stays_in_its_queue(void **state)
{
	u8 frame[NET_HEADER_BYTES + 60] = {[12] = 8, [14] = 0x45, [23] = 6};
	u32 flow;

	frame[34] = 1; /* a port */
	flow = net_flow(frame, sizeof(frame));
	frame[60] = 1; /* what it carries */
	assert_int_equal(net_flow(frame, sizeof(frame)), flow);
	frame[35] = 1;
	assert_int_not_equal(net_flow(frame, sizeof(frame)), flow);
	flow = net_flow(frame, sizeof(frame));
	frame[20] = 0x20; /* the first of several fragments: the others have no ports */
	u32 fragment = net_flow(frame, sizeof(frame));
	assert_int_not_equal(fragment, flow);
	frame[20] = 0;
	frame[21] = 1;
	frame[34] = 9;
	assert_int_equal(net_flow(frame, sizeof(frame)), fragment);
	for (u32 bytes = 0; bytes < sizeof(frame); bytes++)
		net_flow(frame, bytes);
}

/* ---- anything ---- */

#define ROUNDS 300000

static u64 random_state = 88172645463325252;

static u64 random_64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void random_step(struct driver *driver)
{
	struct fake_net *net = &driver->board->net;
	static const u32 sizes[] = {0, 1, 11, 12, 13, 26, 60, 1514, 70000, 0xffffffff};
	static u8 frame[NET_FRAME_BYTES_MAX];

	switch (random_64() % 10) {
	case 0:
		poke(driver, RING_DESCRIPTORS + random_64() % 0x3000, random_64(), 8);
		break;
	case 1:
		poke(driver, DATA + random_64() % 16, random_64() >> random_64() % 64, 8);
		break;
	case 2 ... 3:
		put_descriptor(driver, RING_DESCRIPTORS, random_64() % 16, DATA + random_64() % 64,
			sizes[random_64() % ARRAY_SIZE(sizes)], random_64() % 4, random_64() % 17);
		break;
	case 4 ... 5:
		make_available(driver, random_64() % 17);
		notify(driver);
		break;
	case 6:
		put(driver, driver->common + random_64() % 0x40, 1u << random_64() % 4,
			random_64() % 3 ? random_64() % 256 : random_64());
		break;
	case 7:
		net->has_no_room = random_64() & 1;
		net->device.writable(net->device.device);
		break;
	case 8:
		net->device.set_link(net->device.device, random_64() % 4);
		break;
	case 9:
		fill(frame, 64);
		if (!receive(driver->board, (struct net_offload){0}, frame,
			    (u32)(random_64() % 2 ? 60 : random_64() % sizeof(frame))))
			net->resumed++;
		break;
	}
}

static void anything_a_driver_may_do_ends_in_a_reset_at_worst(void **state)
{
	static const u64 features[] = {0, FEATURE_MRG_RXBUF, FEATURE_CTRL_VQ | FEATURE_MQ,
		FEATURE_CSUM | FEATURE_HOST_TSO4 | FEATURE_GUEST_CSUM};
	static const unsigned queues[] = {RECEIVE, TRANSMIT, CONTROL};
	struct board *board = *state;
	struct driver driver = start_queue(board, RECEIVE, 0);

	for (unsigned i = 0; i < ROUNDS; i++) {
		random_step(&driver);
		if (i % 64)
			continue;
		driver = start_queue(board, queues[random_64() % ARRAY_SIZE(queues)],
			features[random_64() % ARRAY_SIZE(features)]);
	}
	board->net.has_no_room = false;
	board->net.device.set_link(board->net.device.device, true);
	driver = start_queue(board, TRANSMIT, 0);
	unsigned sent = board->net.sent;
	set_header(&driver, (struct net_offload){0});
	send(&driver, 60);
	assert_int_equal(board->net.sent, sent + 1);
}

#define offloads_test(function) \
	cmocka_unit_test_setup_teardown(function, setup_offloads, board_teardown)

#define large_test(function) cmocka_unit_test_setup_teardown(function, setup_large, board_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(it_says_what_it_is),
		board_test(a_frame_goes_out),
		board_test(a_checksum_is_put_in_where_the_place_does_not),
		large_test(a_place_that_takes_large_packets_gets_them_whole),
		offloads_test(offloads_go_to_a_place_that_takes_them),
		board_test(a_frame_that_cannot_be_is_dropped),
		board_test(a_frame_that_has_no_room_waits),
		board_test(a_frame_that_waits_is_saved),
		board_test(a_frame_comes_in),
		cmocka_unit_test_setup_teardown(
			checksums_are_told_where_agreed_on, setup_trusted, board_teardown),
		board_test(a_frame_may_take_several_buffers),
		board_test(a_frame_that_never_fits_is_dropped),
		board_test(a_buffer_without_room_for_a_header_needs_a_reset),
		board_test(a_cable_may_be_out),
		board_test_three(several_queues_are_agreed_on),
		cmocka_unit_test(a_flow_stays_in_its_queue),
		offloads_test(anything_a_driver_may_do_ends_in_a_reset_at_worst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
