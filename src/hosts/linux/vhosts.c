/* SPDX-License-Identifier: MIT */
#include "hosts/linux/vhosts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/machine.h"
#include "hosts/linux/sandbox/sandbox.h"
#include "hosts/linux/vhost_user.h"

/* Virtual I/O Device specification 1.2, 5.2.3: what is told in the configuration, or goes through requests. */
#define BLOCK_FEATURES                                                                       \
	(BIT(1) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(9) | BIT(10) | BIT(12) | BIT(13) | \
		BIT(14))
#define BLOCK_READ_ONLY BIT(5)
#define BLOCK_MULTIPLE_QUEUES BIT(12)
#define BLOCK_CONFIG_BYTES 60
#define BLOCK_CONFIG_QUEUES 34
/* 5.11.4 */
#define FS_TAG "share"
#define FS_TAG_BYTES 36
#define FS_CONFIG_BYTES 40
#define FS_QUEUES 2 /* of high priority, and requests */

static struct {
	struct vhost_port ports[VHOSTS_MAX];
	unsigned count;
	struct machine *machine;
	int wake;
	pthread_t thread;
	bool is_started;
	u32 is_closing; /* atomic */
} all = {.wake = -1};

/* ---- the thread ---- */

static void clear_event(int fd)
{
	u64 count;
	ssize_t got = read(fd, &count, sizeof(count));
	(void)got;
}

/* Nothing is expected on the socket but its end. */
static void look_at_socket(struct vhost_port *port)
{
	char ignored[256];
	ssize_t got = read(port->socket, ignored, sizeof(ignored));

	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	host_lock(&all.machine->lock);
	vhost_user_give_up(port, "the process at the other side has ended");
	host_unlock(&all.machine->lock);
}

static void look_at_queue(struct vhost_port *port, unsigned queue)
{
	clear_event(port->rings[queue].call);
	host_lock(&all.machine->lock);
	vhost_user_called(port, queue);
	host_unlock(&all.machine->lock);
}

/* One: the thread's wake-up. Then of each port its socket, and its queues. */
static unsigned prepare(struct pollfd *polled)
{
	unsigned count = 0;

	polled[count++] = (struct pollfd){.fd = all.wake, .events = POLLIN};
	for (unsigned i = 0; i < all.count; i++) {
		struct vhost_port *port = &all.ports[i];
		bool is_lost = port->backend.is_lost;

		polled[count++] =
			(struct pollfd){.fd = is_lost ? -1 : port->socket, .events = POLLIN};
		for (unsigned j = 0; j < port->backend.queues; j++)
			polled[count++] = (struct pollfd){
				.fd = is_lost ? -1 : port->rings[j].call, .events = POLLIN};
	}
	return count;
}

static void wait_and_work(void)
{
	static struct pollfd polled[VHOSTS_DESCRIPTORS];
	const struct pollfd *at = polled;

	if (poll(polled, prepare(polled), -1) < 0)
		return;
	if (at++->revents)
		clear_event(all.wake);
	for (unsigned i = 0; i < all.count; i++) {
		const struct pollfd *socket = at++;

		for (unsigned j = 0; j < all.ports[i].backend.queues; j++) {
			if (at++->revents)
				look_at_queue(&all.ports[i], j);
		}
		if (socket->revents)
			look_at_socket(&all.ports[i]);
	}
}

static void *vhosts_main(void *argument)
{
	sandbox_enter_role(SANDBOX_VHOST);
	while (!__atomic_load_n(&all.is_closing, __ATOMIC_SEQ_CST))
		wait_and_work();
	return NULL;
}

/* ---- life ---- */

static enum status open_port(
	const struct vhost_user_parameters *parameters, struct pc_vhost *vhost, struct error *error)
{
	struct vhost_port *port = &all.ports[all.count];
	enum status status = vhost_user_open(port, parameters, error);

	if (status == STATUS_OK && all.wake < 0)
		all.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (status != STATUS_OK)
		return status;
	if (all.wake < 0 || fcntl(port->socket, F_SETFL, O_RDWR | O_NONBLOCK))
		return error_set(error, STATUS_IO, "%s: %s", parameters->name, strerror(errno));
	*vhost = (struct pc_vhost){&port->backend, &port->device};
	all.count++;
	return STATUS_OK;
}

enum status vhosts_open_disk(const struct machine_config *config, const char *name, int socket,
	bool is_read_only, struct pc_vhost *vhost, struct error *error)
{
	struct vhost_backend *backend = &all.ports[all.count].backend;
	const struct vhost_user_parameters parameters = {.name = name,
		.socket = socket,
		.ram = config->ram_fd,
		.ram_bytes = config->memory,
		.features = BLOCK_FEATURES,
		.queues_max = MIN(config->cpus, VHOST_QUEUES_MAX),
		.config_bytes = BLOCK_CONFIG_BYTES};
	enum status status = open_port(&parameters, vhost, error);

	if (status != STATUS_OK)
		return status;
	memcpy(backend->config + BLOCK_CONFIG_QUEUES, &(u16){(u16)backend->queues}, sizeof(u16));
	if (is_read_only)
		backend->features |= BLOCK_READ_ONLY;
	return STATUS_OK;
}

enum status vhosts_open_share(
	const struct machine_config *config, struct pc_vhost *vhost, struct error *error)
{
	struct vhost_backend *backend = &all.ports[all.count].backend;
	const struct vhost_user_parameters parameters = {.name = "share",
		.socket = config->share_fd,
		.ram = config->ram_fd,
		.ram_bytes = config->memory,
		.queues_max = FS_QUEUES};
	enum status status;

	*vhost = (struct pc_vhost){0};
	if (config->share_fd < 0)
		return STATUS_OK;
	status = open_port(&parameters, vhost, error);
	if (status == STATUS_OK && backend->queues < FS_QUEUES)
		return error_set(error, STATUS_IO, "share: virtiofsd has too few queues");
	memcpy(backend->config, FS_TAG, sizeof(FS_TAG));
	memcpy(backend->config + FS_TAG_BYTES, &(u32){FS_QUEUES - 1}, sizeof(u32));
	backend->config_bytes = FS_CONFIG_BYTES;
	return status;
}

unsigned vhosts_descriptors(int *descriptors, unsigned capacity)
{
	unsigned count = 0;

	if (!all.count || capacity < VHOSTS_DESCRIPTORS)
		return 0;
	descriptors[count++] = all.wake;
	for (unsigned i = 0; i < all.count; i++) {
		const struct vhost_port *port = &all.ports[i];

		descriptors[count++] = port->socket;
		for (unsigned j = 0; j < port->backend.queues; j++) {
			descriptors[count++] = port->rings[j].kick;
			descriptors[count++] = port->rings[j].call;
		}
	}
	return count;
}

unsigned vhosts_threads(void)
{
	return all.count > 0;
}

bool vhosts_start(struct machine *machine)
{
	all.machine = machine;
	for (unsigned i = 0; i < all.count; i++)
		all.ports[i].machine = machine;
	if (!all.count)
		return true;
	all.is_started = !pthread_create(&all.thread, NULL, vhosts_main, NULL);
	return all.is_started;
}

void vhosts_finish(void)
{
	static const u64 one = 1;

	if (!all.is_started)
		return;
	__atomic_store_n(&all.is_closing, 1, __ATOMIC_SEQ_CST);
	ssize_t written = write(all.wake, &one, sizeof(one));
	(void)written;
	pthread_join(all.thread, NULL);
}
