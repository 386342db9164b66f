/* SPDX-License-Identifier: MIT */
/* Sockets between guest and host: connections of either side, credit, ends, and what no driver does. */
#include "devices/virtio/vsock_connection.h"
#include "driver.h"
#include "saved.h"

enum { RECEIVE, TRANSMIT, EVENT };

#define HEADER_BYTES 44
/* The receive queue's rings, and its buffers; the driver's own are the transmit queue's. */
#define RX_DESCRIPTORS ((u64)0x110000)
#define RX_DRIVER ((u64)0x111000)
#define RX_DEVICE ((u64)0x112000)
#define RX_DATA ((u64)0x300000)
#define RX_BYTES 4096
#define GUEST_PORT 1000
#define HOST_PORT 5005

struct guest {
	struct driver driver;
	struct fake_vsock *place;
	u16 rx_available, rx_used;
	u32 room, taken; /* what the guest says of its own buffer */
};

static void give_buffer(struct guest *guest, u16 index)
{
	struct driver *driver = &guest->driver;

	poke(driver, RX_DRIVER + 4 + 2 * (guest->rx_available % DRIVER_QUEUE_SIZE), index, 2);
	poke(driver, RX_DRIVER + 2, ++guest->rx_available, 2);
	put(driver, driver->notify + 4 * RECEIVE, 2, RECEIVE);
}

static void set_up_receiving(struct guest *guest, unsigned buffers)
{
	struct driver *driver = &guest->driver;

	memset(ram(driver, RX_DESCRIPTORS), 0, 0x3000);
	guest->rx_available = guest->rx_used = 0;
	put(driver, driver->common + REGISTER_QUEUE_SELECT, 2, RECEIVE);
	put(driver, driver->common + REGISTER_QUEUE_SIZE, 2, DRIVER_QUEUE_SIZE);
	put(driver, driver->common + REGISTER_QUEUE_DESCRIPTORS, 8, RX_DESCRIPTORS);
	put(driver, driver->common + REGISTER_QUEUE_DRIVER, 8, RX_DRIVER);
	put(driver, driver->common + REGISTER_QUEUE_DEVICE, 8, RX_DEVICE);
	put(driver, driver->common + REGISTER_QUEUE_ENABLE, 2, 1);
	for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
		put_descriptor(
			driver, RX_DESCRIPTORS, i, RX_DATA + RX_BYTES * i, RX_BYTES, FLAG_WRITE, 0);
	for (unsigned i = 0; i < buffers; i++)
		give_buffer(guest, (u16)i);
}

static struct guest start_with(struct board *board, unsigned buffers)
{
	struct guest guest = {.driver = driver_find(board, PC_SLOT_VSOCK, VIRTIO_VSOCK),
		.place = &board->vsock,
		.room = 0x40000};

	guest.driver.queue = TRANSMIT;
	driver_start(&guest.driver, 0);
	set_up_receiving(&guest, buffers);
	return guest;
}

static struct guest start(struct board *board)
{
	return start_with(board, DRIVER_QUEUE_SIZE);
}

static struct vsock_header header_from(struct guest *guest, enum vsock_operation operation)
{
	return (struct vsock_header){.source_cid = 3,
		.target_cid = 2,
		.source_port = GUEST_PORT,
		.target_port = HOST_PORT,
		.type = VSOCK_STREAM,
		.operation = (u16)operation,
		.room = guest->room,
		.taken = guest->taken};
}

static void send_packet(struct guest *guest, const struct vsock_header *header, u32 bytes)
{
	memcpy(ram(&guest->driver, DATA), header, sizeof(*header));
	for (u32 i = 0; i < bytes; i++)
		ram(&guest->driver, DATA + HEADER_BYTES)[i] = (u8)(i * 3);
	put_descriptor(&guest->driver, RING_DESCRIPTORS, 0, DATA, HEADER_BYTES + bytes, 0, 0);
	make_available(&guest->driver, 0);
	notify(&guest->driver);
}

static void send(struct guest *guest, enum vsock_operation operation)
{
	struct vsock_header header = header_from(guest, operation);

	send_packet(guest, &header, 0);
	assert_int_equal(take_used(&guest->driver, NULL), 0);
}

static void send_data(struct guest *guest, u32 bytes)
{
	struct vsock_header header = header_from(guest, VSOCK_DATA);

	header.bytes = bytes;
	send_packet(guest, &header, bytes);
	assert_int_equal(take_used(&guest->driver, NULL), 0);
}

static void send_shutdown(struct guest *guest, u32 flags)
{
	struct vsock_header header = header_from(guest, VSOCK_SHUTDOWN);

	header.flags = flags;
	send_packet(guest, &header, 0);
	assert_int_equal(take_used(&guest->driver, NULL), 0);
}

/* The next packet to the guest, which gives its buffer back; false: there is none. */
static bool take_packet(struct guest *guest, struct vsock_header *header)
{
	struct driver *driver = &guest->driver;
	u64 at = RX_DEVICE + 4 + 8 * (guest->rx_used % DRIVER_QUEUE_SIZE);
	u16 head;

	if ((u16)peek(driver, RX_DEVICE + 2, 2) == guest->rx_used)
		return false;
	guest->rx_used++;
	head = (u16)peek(driver, at, 4);
	memcpy(header, ram(driver, RX_DATA + RX_BYTES * head), sizeof(*header));
	assert_int_equal(peek(driver, at + 4, 4), HEADER_BYTES + header->bytes);
	give_buffer(guest, head);
	return true;
}

static struct vsock_header expect(struct guest *guest, enum vsock_operation operation)
{
	struct vsock_header header;

	assert_true(take_packet(guest, &header));
	assert_int_equal(header.operation, operation);
	assert_int_equal(header.source_cid, 2);
	assert_int_equal(header.target_cid, 3);
	assert_int_equal(header.target_port, GUEST_PORT);
	return header;
}

static void expect_nothing(struct guest *guest)
{
	struct vsock_header header;

	assert_false(take_packet(guest, &header));
}

static void ready(struct guest *guest, unsigned connection, unsigned what)
{
	struct vsock_device *device = &guest->place->device;

	device->ready(device->device, connection, what);
}

static unsigned wants(struct guest *guest, unsigned connection)
{
	return guest->place->device.wants(guest->place->device.device, connection);
}

/* The guest connects, the place takes it: its number. */
static unsigned connect_out(struct guest *guest)
{
	struct vsock_device *device = &guest->place->device;

	send(guest, VSOCK_REQUEST);
	device->opened(device->device, guest->place->last);
	expect(guest, VSOCK_RESPONSE);
	expect_nothing(guest);
	return guest->place->last;
}

/* ---- connections ---- */

static void it_says_what_it_is(void **state)
{
	struct guest guest = start(*state);
	struct driver *driver = &guest.driver;

	assert_int_equal(get(driver, driver->device, 4), 3);
	assert_int_equal(get(driver, driver->device + 4, 4), 0);
	assert_int_equal(get(driver, driver->common + REGISTER_QUEUES, 2), 3);
	assert_true(offered(driver) & 1);
}

static void a_guest_reaches_the_host(void **state)
{
	struct guest guest = start(*state);
	unsigned connection = connect_out(&guest);
	struct fake_vsock_end *end = &guest.place->ends[connection];
	struct vsock_header header;

	assert_int_equal(end->port, HOST_PORT);
	send_data(&guest, 100);
	assert_int_equal(end->taken, 100);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(end->output[i], (u8)(i * 3));
	end->input_bytes = 5000;
	ready(&guest, connection, VSOCK_WANTS_INPUT);
	header = expect(&guest, VSOCK_DATA);
	assert_int_equal(header.bytes, RX_BYTES - HEADER_BYTES);
	assert_int_equal(header.taken, 100);
	assert_int_equal(header.source_port, HOST_PORT);
	assert_int_equal(peek(&guest.driver, RX_DATA + RX_BYTES + HEADER_BYTES, 4), 0x03020100);
	header = expect(&guest, VSOCK_DATA);
	assert_int_equal(header.bytes, 5000 - (RX_BYTES - HEADER_BYTES));
	expect_nothing(&guest);
}

static void a_port_where_nobody_listens_is_refused(void **state)
{
	struct guest guest = start(*state);
	struct vsock_device *device = &guest.place->device;

	guest.place->refuses = true;
	send(&guest, VSOCK_REQUEST);
	expect(&guest, VSOCK_RESET);
	guest.place->refuses = false;
	send(&guest, VSOCK_REQUEST);
	expect_nothing(&guest);
	device->refused(device->device, guest.place->last);
	expect(&guest, VSOCK_RESET);
	expect_nothing(&guest);
	assert_int_equal(guest.place->closes, 0);
	connect_out(&guest);
}

static void the_host_reaches_a_guest(void **state)
{
	struct guest guest = start(*state);
	struct vsock_device *device = &guest.place->device;
	struct vsock_header header, answer;
	int connection = device->request(device->device, GUEST_PORT);

	assert_int_not_equal(connection, -1);
	assert_int_equal(wants(&guest, (unsigned)connection), VSOCK_WANTS_END);
	header = expect(&guest, VSOCK_REQUEST);
	answer = header_from(&guest, VSOCK_RESPONSE);
	answer.target_port = header.source_port;
	send_packet(&guest, &answer, 0);
	assert_int_equal(guest.place->accepts, 1);
	assert_int_equal(guest.place->last, connection);
	assert_int_equal(guest.place->ends[connection].port, header.source_port);
	/* The next one has another number at the host's end. */
	assert_int_not_equal(device->request(device->device, GUEST_PORT), -1);
	assert_int_not_equal(expect(&guest, VSOCK_REQUEST).source_port, header.source_port);
}

static void a_guest_may_refuse(void **state)
{
	struct guest guest = start(*state);
	struct vsock_device *device = &guest.place->device;
	struct vsock_header answer = header_from(&guest, VSOCK_RESET);

	assert_int_equal(device->request(device->device, GUEST_PORT), 0);
	answer.target_port = expect(&guest, VSOCK_REQUEST).source_port;
	send_packet(&guest, &answer, 0);
	assert_int_equal(guest.place->closes, 1);
	expect_nothing(&guest);
	assert_int_equal(wants(&guest, 0), 0);
}

static void whoever_hangs_up_before_the_guest_has_answered_is_forgotten(void **state)
{
	struct guest guest = start(*state);
	struct vsock_device *device = &guest.place->device;

	assert_int_equal(device->request(device->device, GUEST_PORT), 0);
	ready(&guest, 0, VSOCK_WANTS_END);
	expect(&guest, VSOCK_REQUEST);
	expect(&guest, VSOCK_RESET);
	assert_int_equal(guest.place->closes, 1);
}

static void a_guest_without_a_driver_is_not_reached(void **state)
{
	struct board *board = *state;

	assert_int_equal(board->vsock.device.request(board->vsock.device.device, 1), -1);
}

static void there_is_an_end_to_connections(void **state)
{
	struct guest guest = start(*state);
	struct vsock_device *device = &guest.place->device;
	struct vsock_header header = header_from(&guest, VSOCK_REQUEST);

	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		header.target_port = i;
		send_packet(&guest, &header, 0);
	}
	assert_int_equal(guest.place->connects, VSOCK_CONNECTIONS_MAX);
	expect_nothing(&guest);
	header.target_port = VSOCK_CONNECTIONS_MAX;
	send_packet(&guest, &header, 0);
	assert_int_equal(expect(&guest, VSOCK_RESET).source_port, VSOCK_CONNECTIONS_MAX);
	assert_int_equal(guest.place->connects, VSOCK_CONNECTIONS_MAX);
	assert_int_equal(device->request(device->device, 1), -1);
	set_status(&guest.driver, 0);
	assert_int_equal(guest.place->closes, VSOCK_CONNECTIONS_MAX);
}

/* ---- credit ---- */

static void no_more_is_sent_than_the_guest_has_room_for(void **state)
{
	struct guest guest = start(*state);
	unsigned connection;

	guest.room = 1000;
	connection = connect_out(&guest);
	guest.place->ends[connection].input_bytes = 3000;
	ready(&guest, connection, VSOCK_WANTS_INPUT);
	assert_int_equal(expect(&guest, VSOCK_DATA).bytes, 1000);
	expect(&guest, VSOCK_CREDIT_REQUEST);
	expect_nothing(&guest);
	assert_int_equal(wants(&guest, connection), 0);
	guest.taken = 400;
	send(&guest, VSOCK_CREDIT);
	assert_int_equal(guest.place->wakes, 1);
	assert_int_equal(wants(&guest, connection), VSOCK_WANTS_INPUT);
	ready(&guest, connection, VSOCK_WANTS_INPUT);
	assert_int_equal(expect(&guest, VSOCK_DATA).bytes, 400);
	/* More taken than was ever sent, or room for less than is under way: no credit. */
	guest.taken = 5000;
	send(&guest, VSOCK_CREDIT);
	expect(&guest, VSOCK_CREDIT_REQUEST);
	assert_int_equal(wants(&guest, connection), 0);
	guest.taken = 400, guest.room = 999;
	send(&guest, VSOCK_CREDIT);
	assert_int_equal(wants(&guest, connection), 0);
}

static void a_guest_without_buffers_is_waited_for(void **state)
{
	struct guest guest = start_with(*state, 2);
	unsigned connection = connect_out(&guest);
	struct vsock_header header;

	guest.place->ends[connection].input_bytes = 20000;
	ready(&guest, connection, VSOCK_WANTS_INPUT);
	assert_int_equal(wants(&guest, connection), 0);
	assert_int_equal(guest.place->ends[connection].input_bytes, 20000 - 2 * 4052);
	assert_true(take_packet(&guest, &header));
	assert_int_equal(guest.place->wakes, 1);
	assert_int_equal(wants(&guest, connection), VSOCK_WANTS_INPUT);
}

static void what_the_place_does_not_take_is_kept(void **state)
{
	struct guest guest = start(*state);
	unsigned connection = connect_out(&guest);
	struct fake_vsock_end *end = &guest.place->ends[connection];

	end->room = 10;
	send_data(&guest, 100);
	assert_int_equal(end->taken, 10);
	assert_int_equal(guest.place->wakes, 1);
	assert_true(wants(&guest, connection) & VSOCK_WANTS_ROOM);
	/* As much as the credit says, and around the buffer's end. */
	for (unsigned i = 0; i < 15; i++)
		send_data(&guest, 4096);
	end->room = 50;
	ready(&guest, connection, VSOCK_WANTS_ROOM);
	assert_int_equal(end->taken, 60);
	send_data(&guest, VSOCK_BUFFER_BYTES - 15 * 4096 - 40);
	send(&guest, VSOCK_CREDIT_REQUEST);
	assert_int_equal(expect(&guest, VSOCK_CREDIT).taken, 60);
	end->room = ~(u64)0;
	ready(&guest, connection, VSOCK_WANTS_ROOM);
	assert_int_equal(end->taken, 60 + VSOCK_BUFFER_BYTES);
	assert_int_equal(expect(&guest, VSOCK_CREDIT).taken, 60 + VSOCK_BUFFER_BYTES);
	expect_nothing(&guest);
	assert_false(wants(&guest, connection) & VSOCK_WANTS_ROOM);
}

static void more_than_the_credit_is_a_reset(void **state)
{
	struct guest guest = start(*state);
	unsigned connection = connect_out(&guest);

	guest.place->ends[connection].room = 0;
	send_data(&guest, VSOCK_BUFFER_BYTES);
	expect_nothing(&guest);
	send_data(&guest, 1);
	expect(&guest, VSOCK_RESET);
	expect_nothing(&guest);
	assert_int_equal(guest.place->closes, 1);
	send_data(&guest, 1); /* of a connection that is no more */
	expect(&guest, VSOCK_RESET);
}

/* ---- ends ---- */

static void a_guest_that_has_said_all_still_hears(void **state)
{
	struct guest guest = start(*state);
	unsigned connection = connect_out(&guest);
	struct fake_vsock_end *end = &guest.place->ends[connection];

	end->room = 5;
	send_data(&guest, 10);
	send_shutdown(&guest, VSOCK_SHUTDOWN_SEND);
	assert_false(end->output_ended);
	end->room = 100;
	ready(&guest, connection, VSOCK_WANTS_ROOM);
	assert_true(end->output_ended && end->is_there);
	end->input_bytes = 7;
	end->has_ended = true;
	ready(&guest, connection, VSOCK_WANTS_INPUT);
	assert_int_equal(expect(&guest, VSOCK_DATA).bytes, 7);
	assert_int_equal(expect(&guest, VSOCK_SHUTDOWN).flags, VSOCK_SHUTDOWN_SEND);
	send_shutdown(&guest, VSOCK_SHUTDOWN_SEND | VSOCK_SHUTDOWN_RECEIVE);
	expect(&guest, VSOCK_RESET);
	assert_int_equal(guest.place->closes, 1);
	assert_false(end->is_there);
}

static void a_host_that_has_gone_is_told_as_both_ends(void **state)
{
	struct guest guest = start(*state);
	unsigned connection = connect_out(&guest);

	guest.place->ends[connection].has_ended = true;
	ready(&guest, connection, VSOCK_WANTS_INPUT);
	assert_int_equal(expect(&guest, VSOCK_SHUTDOWN).flags, VSOCK_SHUTDOWN_SEND);
	assert_int_equal(wants(&guest, connection), VSOCK_WANTS_END);
	ready(&guest, connection, VSOCK_WANTS_END);
	assert_int_equal(
		expect(&guest, VSOCK_SHUTDOWN).flags, VSOCK_SHUTDOWN_SEND | VSOCK_SHUTDOWN_RECEIVE);
	assert_int_equal(guest.place->closes, 1);
	assert_int_equal(wants(&guest, connection), 0);
	send(&guest, VSOCK_RESET);
	expect_nothing(&guest);
	assert_int_equal(guest.place->closes, 1);
}

static void a_host_that_is_deaf_loses_what_waits(void **state)
{
	struct guest guest = start(*state);
	unsigned connection = connect_out(&guest);
	struct fake_vsock_end *end = &guest.place->ends[connection];

	end->is_deaf = true;
	send_data(&guest, 40000);
	assert_int_equal(expect(&guest, VSOCK_SHUTDOWN).flags, VSOCK_SHUTDOWN_RECEIVE);
	/* The guest's room comes back all the same. */
	send_data(&guest, 40000);
	assert_int_equal(expect(&guest, VSOCK_CREDIT).taken, 80000);
	end->input_bytes = 3;
	ready(&guest, connection, VSOCK_WANTS_INPUT);
	assert_int_equal(expect(&guest, VSOCK_DATA).bytes, 3);
}

static void a_reset_ends_all(void **state)
{
	struct guest guest = start(*state);

	connect_out(&guest);
	send(&guest, VSOCK_RESET);
	assert_int_equal(guest.place->closes, 1);
	expect_nothing(&guest);
	connect_out(&guest);
	set_status(&guest.driver, 0);
	assert_int_equal(guest.place->closes, 2);
}

/* ---- what no driver does ---- */

static void packets_that_belong_nowhere_are_reset_or_dropped(void **state)
{
	struct guest guest = start(*state);
	struct vsock_header header = header_from(&guest, VSOCK_DATA);

	send_packet(&guest, &header, 0);
	expect(&guest, VSOCK_RESET);
	send(&guest, VSOCK_RESET);
	expect_nothing(&guest);
	header = header_from(&guest, VSOCK_REQUEST);
	header.type = 2;
	send_packet(&guest, &header, 0);
	assert_int_equal(expect(&guest, VSOCK_RESET).type, 2);
	header = header_from(&guest, VSOCK_REQUEST);
	header.source_cid = 4;
	send_packet(&guest, &header, 0);
	header = header_from(&guest, VSOCK_REQUEST);
	header.target_cid = 1;
	send_packet(&guest, &header, 0);
	header = header_from(&guest, VSOCK_DATA);
	header.bytes = 0xffffffff;
	send_packet(&guest, &header, 10);
	expect_nothing(&guest);
	/* What is no operation, a second request and data before the answer end a connection. */
	for (unsigned operation = 0; operation < 10; operation += 9) {
		connect_out(&guest);
		send(&guest, (enum vsock_operation)operation);
		expect(&guest, VSOCK_RESET);
	}
	connect_out(&guest);
	send(&guest, VSOCK_REQUEST);
	expect(&guest, VSOCK_RESET);
	send(&guest, VSOCK_REQUEST);
	send_data(&guest, 1);
	expect(&guest, VSOCK_RESET);
	expect_nothing(&guest);
}

static void a_guest_that_takes_no_answers_is_not_listened_to(void **state)
{
	struct guest guest = start_with(*state, 0);
	unsigned answers = 0;
	struct vsock_header header;

	for (unsigned i = 0; i < VSOCK_REPLIES_MAX; i++)
		send(&guest, VSOCK_DATA);
	header = header_from(&guest, VSOCK_DATA);
	send_packet(&guest, &header, 0);
	assert_int_equal(take_used(&guest.driver, NULL), -1);
	for (u16 i = 0; i < DRIVER_QUEUE_SIZE; i++)
		give_buffer(&guest, i);
	assert_int_equal(take_used(&guest.driver, NULL), 0);
	while (take_packet(&guest, &header))
		answers++;
	assert_int_equal(answers, VSOCK_REPLIES_MAX + 1);
}

static void a_buffer_too_small_for_a_packet_needs_a_reset(void **state)
{
	struct guest guest = start_with(*state, 0);

	put_descriptor(&guest.driver, RX_DESCRIPTORS, 0, RX_DATA, 43, FLAG_WRITE, 0);
	give_buffer(&guest, 0);
	send(&guest, VSOCK_DATA);
	assert_true(status_of(&guest.driver) & VIRTIO_NEEDS_RESET);
}

/* ---- saved machines ---- */

static void a_loaded_guest_is_told_that_its_connections_are_gone(void **state)
{
	struct board *board = *state;
	struct guest guest = start(board);
	struct driver events = guest.driver;

	connect_out(&guest);
	events.queue = EVENT;
	set_up_queue(&events, DRIVER_QUEUE_SIZE); /* where the transmit queue's rings were */
	poke(&events, DATA, 0xffffffff, 4);
	put_descriptor(&events, RING_DESCRIPTORS, 0, DATA, 4, FLAG_WRITE, 0);
	make_available(&events, 0);
	notify(&events);
	assert_int_equal(take_used(&events, NULL), -1);
	events.board = board_saved_and_loaded(board);
	assert_int_equal(wants(&guest, 0), VSOCK_WANTS_INPUT);
	assert_int_equal(events.board->vsock.device.wants(events.board->vsock.device.device, 0), 0);
	pass_ns(events.board, 1);
	assert_int_equal(take_used(&events, NULL), 0);
	assert_int_equal(peek(&events, DATA, 4), 0);
	board_destroy(events.board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(it_says_what_it_is),
		board_test(a_guest_reaches_the_host),
		board_test(a_port_where_nobody_listens_is_refused),
		board_test(the_host_reaches_a_guest),
		board_test(a_guest_may_refuse),
		board_test(whoever_hangs_up_before_the_guest_has_answered_is_forgotten),
		board_test(a_guest_without_a_driver_is_not_reached),
		board_test(there_is_an_end_to_connections),
		board_test(no_more_is_sent_than_the_guest_has_room_for),
		board_test(a_guest_without_buffers_is_waited_for),
		board_test(what_the_place_does_not_take_is_kept),
		board_test(more_than_the_credit_is_a_reset),
		board_test(a_guest_that_has_said_all_still_hears),
		board_test(a_host_that_has_gone_is_told_as_both_ends),
		board_test(a_host_that_is_deaf_loses_what_waits),
		board_test(a_reset_ends_all),
		board_test(packets_that_belong_nowhere_are_reset_or_dropped),
		board_test(a_guest_that_takes_no_answers_is_not_listened_to),
		board_test(a_buffer_too_small_for_a_packet_needs_a_reset),
		board_test(a_loaded_guest_is_told_that_its_connections_are_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
