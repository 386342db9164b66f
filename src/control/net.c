/* SPDX-License-Identifier: MIT */
#include "control/net.h"

#include "base/memory.h"
#include "base/text.h"
#include "control/config.h"

/* Takes what lies before the next comma. */
static bool take_part(const char **at, char *part, size_t capacity)
{
	struct text text;

	text_init(&text, part, capacity);
	while (**at && **at != ',')
		text_append_char(&text, *(*at)++);
	if (**at)
		++*at;
	return !text.truncated;
}

static bool take_port(const char **at, u16 *port)
{
	u32 value = 0;
	const char *start = *at;

	for (; **at >= '0' && **at <= '9' && value < 65536; ++*at)
		value = value * 10 + (u32)(**at - '0');
	*port = (u16)value;
	return *at != start && value && value < 65536;
}

static enum status parse_published(const char *text, struct net_option *net, struct error *error)
{
	struct net_published published;
	const char *at = text;

	if (net->kind != NET_KIND_USER)
		return error_set(error, STATUS_INVALID, "--net: publish= goes with user only");
	if (!take_port(&at, &published.host) || *at++ != ':' || !take_port(&at, &published.guest) ||
		*at)
		return error_set(error, STATUS_INVALID,
			"--net: publish=%.40s: not HOSTPORT:GUESTPORT, such as 2222:22", text);
	if (net->published_count == NET_PUBLISHED_MAX)
		return error_set(error, STATUS_INVALID, "--net: at most %u ports are published",
			NET_PUBLISHED_MAX);
	net->published[net->published_count++] = published;
	return STATUS_OK;
}

static bool parse_mac(const char *text, u8 mac[NET_MAC_BYTES])
{
	for (unsigned i = 0; i < NET_MAC_BYTES; i++, text += 3) {
		int high = text_hex_digit(text[0]), low = high < 0 ? -1 : text_hex_digit(text[1]);

		if (low < 0 || text[2] != (i + 1 < NET_MAC_BYTES ? ':' : 0))
			return false;
		mac[i] = (u8)(high << 4 | low);
	}
	return !(mac[0] & 1); /* no group's address */
}

static enum status parse_kind(const char *part, struct net_option *net, struct error *error)
{
	static const struct {
		const char *name;
		enum net_kind kind;
	} kinds[] = {{"none", NET_KIND_NONE}, {"user", NET_KIND_USER}, {"tap=", NET_KIND_TAP},
		{"switch", NET_KIND_SWITCH}, {"socket=", NET_KIND_SOCKET}};

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t length = text_length(kinds[i].name);
		bool has_target = kinds[i].name[length - 1] == '=';

		if (!text_starts_with(part, kinds[i].name) || (!has_target && part[length]))
			continue;
		if (has_target && (!part[length] || text_length(part + length) >= 16))
			return error_set(
				error, STATUS_INVALID, "--net %.40s: no interface's name", part);
		memcpy(net->target, part + length, text_length(part + length) + 1);
		net->kind = kinds[i].kind;
		return STATUS_OK;
	}
	return error_set(error, STATUS_INVALID,
		"--net %.40s: no such network; there are user, tap=IFNAME and none", part);
}

static enum status parse_part(const char *part, struct net_option *net, struct error *error)
{
	if (text_starts_with(part, "publish="))
		return parse_published(part + text_length("publish="), net, error);
	if (text_starts_with(part, "rate=") && net->kind == NET_KIND_SWITCH) {
		if (config_parse_size(part + text_length("rate="), &net->rate) && net->rate)
			return STATUS_OK;
		return error_set(error, STATUS_INVALID,
			"--net: %.40s: not bytes a second, such as rate=10M", part);
	}
	if (text_starts_with(part, "mac=")) {
		net->has_mac = true;
		if (parse_mac(part + text_length("mac="), net->mac))
			return STATUS_OK;
		return error_set(error, STATUS_INVALID,
			"--net: %.40s: not a card's address, such as mac=52:54:00:12:34:56", part);
	}
	return error_set(error, STATUS_INVALID,
		"--net: unexpected '%.60s'; behind user come ,publish=HOSTPORT:GUESTPORT and ,mac=",
		part);
}

enum status net_option_parse(const char *text, struct net_option *net, struct error *error)
{
	enum status status;
	char part[64];

	memset(net, 0, sizeof(*net));
	if (!take_part(&text, part, sizeof(part)))
		return error_set(error, STATUS_INVALID, "--net %.40s...: too long", part);
	status = parse_kind(part, net, error);
	while (status == STATUS_OK && *text) {
		if (!take_part(&text, part, sizeof(part)))
			return error_set(
				error, STATUS_INVALID, "--net: '%.40s...' is too long", part);
		status = parse_part(part, net, error);
	}
	return status;
}

/* FNV-1a; the first byte says: locally administered, one station's. */
void net_mac_of(const char *machine, unsigned index, u8 mac[NET_MAC_BYTES])
{
	u64 hash = 0xcbf29ce484222325;

	for (const char *c = machine; *c; c++)
		hash = (hash ^ (u8)*c) * 0x100000001b3;
	hash = (hash ^ index) * 0x100000001b3;
	mac[0] = 0x52;
	mac[1] = 0x54;
	for (unsigned i = 2; i < NET_MAC_BYTES; i++)
		mac[i] = (u8)(hash >> 8 * i);
}
