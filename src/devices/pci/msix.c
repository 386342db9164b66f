/* SPDX-License-Identifier: MIT */
#include "devices/pci/msix.h"
#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

enum entry_word { ENTRY_ADDRESS, ENTRY_ADDRESS_HIGH, ENTRY_DATA, ENTRY_CONTROL, ENTRY_WORDS };
#define ENTRY_MASKED 1u

static bool is_masked(const struct msix *msix, unsigned vector)
{
	return !msix_is_enabled(msix) || msix->control[1] << 8 & MSIX_MASK_ALL ||
		msix->table[vector * ENTRY_WORDS + ENTRY_CONTROL] & ENTRY_MASKED;
}

static void send_pending(struct msix *msix, unsigned vector)
{
	const u32 *entry = &msix->table[vector * ENTRY_WORDS];
	u64 *word = &msix->pending[vector / 64], bit = BIT(vector % 64);

	if (!(*word & bit) || is_masked(msix, vector))
		return;
	*word &= ~bit;
	msix->port->send(msix->port->owner,
		entry[ENTRY_ADDRESS] | (u64)entry[ENTRY_ADDRESS_HIGH] << 32, entry[ENTRY_DATA]);
}

void msix_send(struct msix *msix, unsigned vector)
{
	if (vector >= msix->vectors || !msix_is_enabled(msix))
		return;
	msix->pending[vector / 64] |= BIT(vector % 64);
	send_pending(msix, vector);
}

void msix_control_changed(struct msix *msix)
{
	if (!msix_is_enabled(msix))
		return;
	for (unsigned vector = 0; vector < msix->vectors; vector++)
		send_pending(msix, vector);
}

static void table_write(struct msix *msix, unsigned word, u32 value)
{
	unsigned vector = word / ENTRY_WORDS;

	/* Address bits 1 and 0 read as zero, and of the vector control there is one bit: 6.8.2.6 to 6.8.2.9. */
	if (word % ENTRY_WORDS == ENTRY_ADDRESS)
		value &= ~3u;
	if (word % ENTRY_WORDS == ENTRY_CONTROL)
		value &= ENTRY_MASKED;
	msix->table[word] = value;
	send_pending(msix, vector);
}

/* Accesses of less than 32 bits are undefined: reads show the bytes, writes are lost. */
void msix_table_access(struct msix *msix, struct bus_access *access)
{
	unsigned word = (unsigned)access->address / 4;

	if (!access->is_write)
		access->value = 0;
	if (access->address + access->size > (u64)msix->vectors * MSIX_ENTRY_BYTES)
		return;
	if (!access->is_write) {
		memcpy(&access->value, (const u8 *)msix->table + access->address, access->size);
		return;
	}
	for (unsigned i = 0; i < access->size / 4; i++)
		table_write(msix, word + i, (u32)(access->value >> 32 * i));
}

void msix_pending_access(struct msix *msix, struct bus_access *access)
{
	if (access->is_write)
		return;
	access->value = 0;
	if (access->address + access->size <= MSIX_PENDING_BYTES)
		memcpy(&access->value, (const u8 *)msix->pending + access->address, access->size);
}

void msix_reset(struct msix *msix)
{
	memset(msix->table, 0, sizeof(msix->table));
	memset(msix->pending, 0, sizeof(msix->pending));
	for (unsigned vector = 0; vector < msix->vectors; vector++)
		msix->table[vector * ENTRY_WORDS + ENTRY_CONTROL] = ENTRY_MASKED;
}

void msix_init(
	struct msix *msix, const u8 *control, unsigned vectors, const struct pci_msi_port *port)
{
	check(vectors && vectors <= MSIX_VECTORS_MAX);
	msix->control = control;
	msix->vectors = vectors;
	msix->port = port;
}
