/* SPDX-License-Identifier: MIT */
#include "devices/virtio/net_packet.h"
#include "base/memory.h"

enum ether_type { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd };
enum protocol { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

bool net_offload_is_good(const struct net_offload *offload, u32 bytes)
{
	u8 segmentation = offload->segmentation & ~NET_ECN;

	if (offload->flags & NET_NEEDS_CHECKSUM &&
		offload->checksum_start + offload->checksum_offset + 2u > bytes)
		return false;
	if (segmentation == NET_WHOLE)
		return true;
	return (segmentation == NET_TCP4 || segmentation == NET_TCP6) && offload->segment_bytes &&
		offload->flags & NET_NEEDS_CHECKSUM;
}

/* The sum of 16-bit words in the host's order, which a swap of the result makes right: RFC 1071, 2. */
static u16 sum_words(const u8 *at, u32 bytes)
{
	u64 sum = 0;

	for (; bytes >= 4; at += 4, bytes -= 4) {
		u32 word;

		memcpy(&word, at, 4);
		sum += word;
	}
	if (bytes) {
		u32 word = 0;

		memcpy(&word, at, bytes);
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

void net_complete_checksum(const struct net_offload *offload, u8 *frame, u32 bytes)
{
	u32 start = offload->checksum_start, at = start + offload->checksum_offset;

	if (!(offload->flags & NET_NEEDS_CHECKSUM))
		return;
	/* The driver has put the pseudo header's sum there. */
	u16 sum = (u16)~sum_words(frame + start, bytes - start);
	/* UDP's zero would mean that there is none: RFC 768. */
	if (!sum)
		sum = 0xffff;
	memcpy(frame + at, &sum, sizeof(sum));
}

static u32 mix(u32 hash, const u8 *bytes, u32 count)
{
	for (u32 i = 0; i < count; i++)
		hash = (hash ^ bytes[i]) * 0x01000193;
	return hash;
}

u32 net_flow(const u8 *frame, u32 bytes)
{
	const u8 *packet = frame + NET_HEADER_BYTES;
	u32 hash = 0x811c9dc5, addresses, ports;
	u8 protocol;

	if (bytes < NET_HEADER_BYTES + 60)
		return mix(hash, frame, MIN(bytes, 12));
	u32 type = (u32)frame[12] << 8 | frame[13];
	if (type == ETHER_IPV4) {
		bool is_fragment = (packet[6] & 0x3f) | packet[7];

		protocol = is_fragment ? 0 : packet[9];
		hash = mix(hash, packet + 12, 8);
		ports = (packet[0] & 15) * 4u;
	} else if (type == ETHER_IPV6) {
		protocol = packet[6];
		hash = mix(hash, packet + 8, 32);
		ports = 40;
	} else {
		return mix(hash, frame, 12);
	}
	addresses = NET_HEADER_BYTES + ports;
	if ((protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP) && addresses + 4 <= bytes)
		hash = mix(hash, frame + addresses, 4);
	return hash ^ hash >> 16;
}
