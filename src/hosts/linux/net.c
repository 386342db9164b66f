/* SPDX-License-Identifier: MIT */
#include "hosts/linux/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/net.h"
#include "hosts/linux/net_port.h"

_Static_assert(NETS_MAX <= PC_NETS_MAX, "the board has a slot for each card");

static struct {
	struct net_port ports[NETS_MAX];
	char names[NETS_MAX][16]; /* as people count */
	struct pc_net nets[NETS_MAX];
	unsigned count;
} all;

static enum status open_net(const char *text, struct error *error)
{
	unsigned index = all.count;
	struct net_port *port = &all.ports[index];
	struct net_option option;
	enum status status = net_option_parse(text, &option, error);

	if (status != STATUS_OK)
		return status;
	snprintf(all.names[index], sizeof(all.names[index]), "net %u", index + 1);
	if (!net_port_init(
		    port, all.names[index], atoi(option.target), option.kind == NET_KIND_TAP))
		return error_set(error, STATUS_IO, "%s: no descriptors left", all.names[index]);
	all.nets[index] = (struct pc_net){.backend = &port->backend, .device = &port->device};
	memcpy(all.nets[index].address, option.mac, sizeof(all.nets[index].address));
	all.count++;
	return STATUS_OK;
}

enum status nets_open(const struct machine_config *config, struct error *error)
{
	char text[NET_TEXT_BYTES_MAX];
	const char *at = config->net_fds;
	enum status status = STATUS_OK;

	while (status == STATUS_OK && all.count < NETS_MAX &&
		config_list_next(&at, text, sizeof(text)))
		status = open_net(text, error);
	return status;
}

const struct pc_net *nets_get(unsigned *count)
{
	*count = all.count;
	return all.nets;
}

unsigned nets_descriptors(int *descriptors, unsigned capacity)
{
	unsigned count = 0;

	for (unsigned i = 0; i < all.count && count + NETS_DESCRIPTORS <= capacity; i++) {
		descriptors[count++] = all.ports[i].fd;
		descriptors[count++] = all.ports[i].wake;
	}
	return count;
}

unsigned nets_threads(void)
{
	return all.count;
}

bool nets_start(struct machine *machine)
{
	for (unsigned i = 0; i < all.count; i++) {
		if (!net_port_start(&all.ports[i], machine))
			return false;
	}
	return true;
}

void nets_finish(void)
{
	for (unsigned i = 0; i < all.count; i++)
		net_port_finish(&all.ports[i]);
}
