/* SPDX-License-Identifier: MIT */
/* What `--net` says of one network card: user[,publish=HOSTPORT:GUESTPORT]...|tap=IFNAME|switch[,rate=SIZE]|none[,mac=ADDRESS]. */
#ifndef CONTROL_NET_H
#define CONTROL_NET_H

#include "base/status.h"
#include "base/types.h"

#define NETS_MAX 4
#define NET_TEXT_BYTES_MAX 1024
#define NET_PUBLISHED_MAX 32
#define NET_MAC_BYTES 6

/*
 * A switch is what Type 1 has between its machines. The last one is for the runner only: a stream socket, to which tap's descriptor adds
 * itself.
 */
enum net_kind { NET_KIND_NONE, NET_KIND_USER, NET_KIND_TAP, NET_KIND_SWITCH, NET_KIND_SOCKET };

struct net_published {
	u16 host, guest;
};

struct net_option {
	enum net_kind kind;
	char target[32]; /* tap, socket: the interface's name; for the runner the descriptor */
	struct net_published published[NET_PUBLISHED_MAX];
	unsigned published_count;
	u64 rate; /* of a switch's port, in bytes a second; 0: no limit */
	bool has_mac;
	u8 mac[NET_MAC_BYTES];
};

enum status net_option_parse(
	const char *text, struct net_option *net, struct error *error) must_use;
/* The address that a machine's n-th card has, by the machine's name: the same each time, hardly ever another machine's. */
void net_mac_of(const char *machine, unsigned index, u8 mac[NET_MAC_BYTES]);

#endif
