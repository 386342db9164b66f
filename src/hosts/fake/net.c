/* SPDX-License-Identifier: MIT */
#include "hosts/fake/net.h"

#include <string.h>

static bool net_send(void *context, const struct net_offload *offload, const u8 *frame, u32 bytes)
{
	struct fake_net *net = context;

	if (net->has_no_room)
		return false;
	net->sent++;
	net->offload = *offload;
	net->bytes = bytes;
	memcpy(net->frame, frame, bytes);
	return true;
}

static void net_resume_input(void *context)
{
	((struct fake_net *)context)->resumed++;
}

static void net_set_offload(void *context, bool checksum, bool tcp4, bool tcp6)
{
	struct fake_net *net = context;

	net->takes_checksum = checksum;
	net->takes_tcp4 = tcp4;
	net->takes_tcp6 = tcp6;
}

void fake_net_init(struct fake_net *net)
{
	memset(net, 0, sizeof(*net));
	net->backend = (struct net_backend){
		.send = net_send,
		.resume_input = net_resume_input,
		.set_offload = net_set_offload,
		.context = net,
		.mtu = 1500,
		.link_is_up = true,
	};
}
