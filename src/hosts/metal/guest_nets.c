/* SPDX-License-Identifier: MIT */
#include "hosts/metal/guest_nets.h"

#include "base/memory.h"
#include "control/net.h"

static struct net_switch net_switch;
static bool has_begun;

static void wake(void *context)
{
	host_signal_raise(context);
}

/* Its address is pinned: no guest can have another one's. */
static enum status add_port(struct guest_nets *nets, const struct machine_config *config,
	const struct net_option *option, struct host_signal *changed, struct error *error)
{
	struct switch_port *port = &nets->ports[nets->count];
	struct pc_net *board = &nets->boards[nets->count];
	if (option->has_mac)
		memcpy(port->address, option->mac, sizeof(port->address));
	else
		net_mac_of(config->name, nets->count, port->address);
	port->is_pinned = true;
	port->bytes_per_second = option->rate;
	port->wake = wake;
	port->context = changed;
	enum status status = switch_add(&net_switch, port);
	if (status != STATUS_OK)
		return error_set(error, status, "net: %s",
			status == STATUS_BUSY		   ? "another card has its address"
				: status == STATUS_TOO_BIG ? "the switch has no more ports"
							   : "out of memory");
	board->backend = &port->backend;
	board->device = &port->device;
	memcpy(board->address, port->address, sizeof(board->address));
	nets->count++;
	return STATUS_OK;
}

static enum status open_net(struct guest_nets *nets, const struct machine_config *config,
	const char *text, struct host_signal *changed, struct error *error)
{
	static struct net_option option; /* guests are made one after the other */
	enum status status = net_option_parse(text, &option, error);
	if (status != STATUS_OK || option.kind == NET_KIND_NONE)
		return status;
	if (option.kind != NET_KIND_SWITCH)
		return error_set(error, STATUS_UNSUPPORTED,
			"net %.40s: here there are switch and none", text);
	return add_port(nets, config, &option, changed, error);
}

enum status guest_nets_open(struct guest_nets *nets, const struct machine_config *config,
	struct host_signal *changed, struct error *error)
{
	static char text[NET_TEXT_BYTES_MAX];
	const char *at = config->net;
	enum status status = STATUS_OK;
	if (!has_begun)
		switch_init(&net_switch);
	has_begun = true;
	while (status == STATUS_OK && nets->count < PC_NETS_MAX &&
		config_list_next(&at, text, sizeof(text)))
		status = open_net(nets, config, text, changed, error);
	return status;
}

u64 guest_nets_run(struct guest_nets *nets)
{
	u64 next = TIME_NEVER;
	for (unsigned i = 0; i < nets->count; i++) {
		u64 at = switch_port_run(&nets->ports[i]);
		next = MIN(next, at);
	}
	return next;
}
