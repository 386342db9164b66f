/* SPDX-License-Identifier: MIT */
#include "hosts/fake/vhost.h"

#include <string.h>

static bool vhost_submit(void *context, unsigned queue, u16 token,
	const struct vhost_buffer *buffers, unsigned count)
{
	struct fake_vhost *vhost = context;
	struct fake_vhost_request *request = &vhost->requests[vhost->count];

	if (vhost->has_no_room || vhost->count == FAKE_VHOST_REQUESTS_MAX)
		return false;
	*request = (struct fake_vhost_request){.queue = queue, .count = count, .token = token};
	memcpy(request->buffers, buffers, MIN(count, FAKE_VHOST_BUFFERS_MAX) * sizeof(*buffers));
	vhost->count++;
	return true;
}

static void vhost_start(void *context, unsigned queue)
{
	((struct fake_vhost *)context)->starts++;
}

static void end_oldest(struct fake_vhost *vhost, u32 written)
{
	struct fake_vhost_request request = vhost->requests[0];
	struct vhost_device *device = &vhost->device;

	vhost->count--;
	memmove(vhost->requests, vhost->requests + 1, vhost->count * sizeof(request));
	for (unsigned i = 0; i < MIN(request.count, FAKE_VHOST_BUFFERS_MAX); i++) {
		if (request.buffers[i].is_writable)
			device->written(device->device, request.buffers[i].offset,
				request.buffers[i].bytes);
	}
	device->done(device->device, request.queue, request.token, written);
	if (!vhost->backend.is_lost)
		device->settle(device->device, request.queue);
}

bool fake_vhost_finish(struct fake_vhost *vhost, u32 written)
{
	if (!vhost->count)
		return false;
	end_oldest(vhost, written);
	return true;
}

void fake_vhost_lose(struct fake_vhost *vhost)
{
	if (vhost->backend.is_lost)
		return;
	vhost->backend.is_lost = true;
	vhost->device.lost(vhost->device.device);
	while (fake_vhost_finish(vhost, 0))
		;
}

/* Its device may ask for more with each that ends. */
static void vhost_drain(void *context)
{
	while (fake_vhost_finish(context, 0))
		;
}

void fake_vhost_init(struct fake_vhost *vhost)
{
	memset(vhost, 0, sizeof(*vhost));
	vhost->backend = (struct vhost_backend){
		.submit = vhost_submit,
		.start = vhost_start,
		.drain = vhost_drain,
		.context = vhost,
		.queues = 2,
		.config = "share",
		.config_bytes = 40,
	};
	vhost->backend.config[36] = 1;
}
