/* SPDX-License-Identifier: MIT */
#include "hosts/linux/net_port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/machine.h"
#include "hosts/linux/sandbox/sandbox.h"

/* passt's side of the socket takes any packet up to this, and tells the guest so by DHCP, too. */
#define SOCKET_MTU 65520
/* Room for one frame of any size. */
#define NET_INPUT_LEAST (NET_FRAME_BYTES_MAX + 16)

static u32 flag(const u32 *at)
{
	return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}

static void set_flag(u32 *at, u32 value)
{
	__atomic_store_n(at, value, __ATOMIC_SEQ_CST);
}

static void wake_thread(struct net_port *port)
{
	static const u64 one = 1;
	ssize_t written = write(port->wake, &one, sizeof(one));
	(void)written;
}

/* ---- output; with machine->lock held ---- */

/* The other side has ended, or says what it must not: the cable is out. Said once. */
static void lose(struct net_port *port, const char *why)
{
	char line[160];

	if (flag(&port->is_gone))
		return;
	set_flag(&port->is_gone, 1);
	snprintf(line, sizeof(line), "%s: %s: the guest's cable is out from now on", port->name,
		why);
	host_log(LOG_WARNING, line);
	port->device.set_link(port->device.device, false);
}

static bool flush(struct net_port *port)
{
	while (port->output_start < port->output_end) {
		ssize_t written = write(port->fd, port->output + port->output_start,
			port->output_end - port->output_start);
		if (written < 0 && errno == EAGAIN)
			return false;
		if (written < 0 && errno != EINTR) {
			lose(port, strerror(errno));
			port->output_start = port->output_end;
		}
		if (written > 0)
			port->output_start += (u32)written;
	}
	port->output_start = port->output_end = 0;
	return true;
}

static void ask_for_room(struct net_port *port)
{
	set_flag(&port->wants_room, 1);
	wake_thread(port);
}

/* Keeps what the socket did not take of a frame that it has begun with. */
static void keep_rest(struct net_port *port, const struct iovec *parts, size_t taken)
{
	for (unsigned i = 0; i < 2; i++) {
		size_t skip = MIN(taken, parts[i].iov_len);
		size_t rest = parts[i].iov_len - skip;

		memcpy(port->output + port->output_end, (const u8 *)parts[i].iov_base + skip, rest);
		port->output_end += (u32)rest;
		taken -= skip;
	}
	if (port->output_end)
		ask_for_room(port);
}

static bool write_frame(struct net_port *port, const struct iovec parts[2])
{
	ssize_t written;

	do
		written = writev(port->fd, parts, 2);
	while (written < 0 && errno == EINTR);
	if (written >= 0) {
		if (!port->is_tap)
			keep_rest(port, parts, (size_t)written);
		return true;
	}
	if (errno == EAGAIN) {
		ask_for_room(port);
		return false;
	}
	/* A tap interface that is down, or a frame that it does not like: as on a wire, the frame is lost. */
	if (!port->is_tap)
		lose(port, strerror(errno));
	return true;
}

static bool port_send(void *context, const struct net_offload *offload, const u8 *frame, u32 bytes)
{
	struct net_port *port = context;
	u32 length = __builtin_bswap32(bytes);
	struct iovec parts[2] = {{&length, sizeof(length)}, {(u8 *)frame, bytes}};

	if (flag(&port->is_gone))
		return true;
	if (!flush(port)) {
		ask_for_room(port);
		return false;
	}
	if (port->is_tap)
		parts[0] = (struct iovec){(void *)offload, sizeof(*offload)};
	return write_frame(port, parts);
}

static void give_room(struct net_port *port)
{
	host_lock(&port->machine->lock);
	if (flush(port)) {
		set_flag(&port->wants_room, 0);
		port->device.writable(port->device.device);
	}
	host_unlock(&port->machine->lock);
}

/* ---- input; the thread ---- */

static void port_resume_input(void *context)
{
	struct net_port *port = context;

	if (flag(&port->device_is_full))
		wake_thread(port);
}

/* The next whole frame in the buffer; *frame_bytes 0: there is none yet. False: no frame can be like that. */
static bool next_frame(struct net_port *port, const struct net_offload **offload, const u8 **frame,
	u32 *frame_bytes, u32 *taken)
{
	static const struct net_offload whole;
	const u8 *at = port->input + port->input_start;
	u32 have = port->input_end - port->input_start, length;
	u32 head = port->is_tap ? sizeof(struct net_offload) : sizeof(length);

	*frame_bytes = 0;
	if (have < head)
		return true;
	memcpy(&length, at, sizeof(length));
	length = port->is_tap ? have - head : __builtin_bswap32(length);
	if (length < NET_HEADER_BYTES || length > NET_FRAME_BYTES_MAX)
		return port->is_tap;
	if (have - head < length)
		return true;
	*offload = port->is_tap ? (const struct net_offload *)at : &whole;
	*frame = at + head;
	*frame_bytes = length;
	*taken = head + length;
	return true;
}

/* Gives the device what it takes. */
static void deliver(struct net_port *port)
{
	const struct net_offload *offload = NULL;
	const u8 *frame = NULL;
	u32 bytes, taken = 0;

	host_lock(&port->machine->lock);
	set_flag(&port->device_is_full, 0);
	for (;;) {
		if (!next_frame(port, &offload, &frame, &bytes, &taken)) {
			lose(port, "the other side sends no frames");
			break;
		}
		if (!bytes)
			break;
		if (!port->device.receive(port->device.device, offload, frame, bytes)) {
			set_flag(&port->device_is_full, 1);
			break;
		}
		port->input_start += taken;
	}
	host_unlock(&port->machine->lock);
	if (port->input_start == port->input_end || (port->is_tap && !flag(&port->device_is_full)))
		port->input_start = port->input_end = 0;
}

static bool has_space(const struct net_port *port)
{
	return sizeof(port->input) - (port->input_end - port->input_start) >= NET_INPUT_LEAST;
}

static void make_space(struct net_port *port)
{
	u32 have = port->input_end - port->input_start;

	if (sizeof(port->input) - port->input_end >= NET_INPUT_LEAST)
		return;
	memmove(port->input, port->input + port->input_start, have);
	port->input_start = 0;
	port->input_end = have;
}

/* A socket's buffer takes as much as there is, a tap's one frame. */
static void take_input(struct net_port *port)
{
	ssize_t got;

	make_space(port);
	got = read(port->fd, port->input + port->input_end, sizeof(port->input) - port->input_end);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		host_lock(&port->machine->lock);
		lose(port, got ? strerror(errno) : "the other side has ended");
		host_unlock(&port->machine->lock);
		return;
	}
	port->input_end += (u32)got;
	if (!flag(&port->device_is_full))
		deliver(port);
}

static void wait_and_work(struct net_port *port)
{
	bool is_gone = flag(&port->is_gone);
	bool may_read = port->is_tap ? !flag(&port->device_is_full) : has_space(port);
	short events = (short)((may_read ? POLLIN : 0) | (flag(&port->wants_room) ? POLLOUT : 0));
	struct pollfd polled[] = {{.fd = port->wake, .events = POLLIN},
		{.fd = is_gone || !events ? -1 : port->fd, .events = events}};
	u64 count;

	if (poll(polled, 2, -1) < 0)
		return;
	if (polled[0].revents) {
		ssize_t got = read(port->wake, &count, sizeof(count));
		(void)got;
		if (flag(&port->device_is_full))
			deliver(port);
	}
	if (polled[1].revents & POLLOUT)
		give_room(port);
	if (polled[1].revents & (POLLIN | POLLHUP | POLLERR))
		take_input(port);
}

static void *port_main(void *argument)
{
	struct net_port *port = argument;

	sandbox_enter_role(SANDBOX_NET);
	while (!flag(&port->is_closing))
		wait_and_work(port);
	return NULL;
}

/* ---- life ---- */

static void tap_set_offload(void *context, bool checksum, bool tcp4, bool tcp6)
{
	struct net_port *port = context;
	unsigned long offload = checksum ? TUN_F_CSUM : 0;

	if (checksum && tcp4)
		offload |= TUN_F_TSO4;
	if (checksum && tcp6)
		offload |= TUN_F_TSO6;
	ioctl(port->fd, TUNSETOFFLOAD, offload);
}

_Static_assert(sizeof(struct net_offload) == 10, "Linux' virtio_net_hdr");

bool net_port_init(struct net_port *port, const char *name, int fd, bool is_tap)
{
	port->name = name;
	port->fd = fd;
	port->is_tap = is_tap;
	port->backend = (struct net_backend){
		.send = port_send,
		.resume_input = port_resume_input,
		.set_offload = is_tap ? tap_set_offload : NULL,
		.context = port,
		.can_offload = is_tap,
		.takes_large = !is_tap,
		.is_trusted = !is_tap,
		.mtu = is_tap ? 0 : SOCKET_MTU,
		.link_is_up = true,
	};
	port->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return port->wake >= 0 && !fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
}

bool net_port_start(struct net_port *port, struct machine *machine)
{
	port->machine = machine;
	port->is_started = !pthread_create(&port->thread, NULL, port_main, port);
	return port->is_started;
}

void net_port_finish(struct net_port *port)
{
	if (!port->is_started)
		return;
	set_flag(&port->is_closing, 1);
	wake_thread(port);
	pthread_join(port->thread, NULL);
}
