/* SPDX-License-Identifier: MIT */
/*
 * The follower's copy of RAM. A page is copied when either side first asks for it, before anything is done with it. What devices
 * write is copied at the window's start, or with the input during which it came. Every store of the follower is announced (all of its
 * pages are watched), so that a window's stores can be compared, and undone.
 */
#include "base/atomic.h"
#include "base/memory.h"
#include "engines/lockstep/lockstep.h"

static bool bit_get(const u8 *bitmap, u64 page)
{
	return bitmap[page / 8] & BIT(page % 8);
}

static void bit_set(u8 *bitmap, u64 page)
{
	bitmap[page / 8] |= (u8)BIT(page % 8);
}

static u8 *leader_ram(const struct lockstep *lockstep)
{
	return lockstep->leader.vcpu->machine->memory.host;
}

static void page_copy(struct lockstep *lockstep, u64 offset)
{
	memcpy(lockstep->shadow_ram + offset, leader_ram(lockstep) + offset, PAGE_SIZE);
}

static void page_share(struct lockstep *lockstep, u64 offset)
{
	if (bit_get(lockstep->shared, offset >> PAGE_SHIFT))
		return;
	page_copy(lockstep, offset);
	bit_set(lockstep->shared, offset >> PAGE_SHIFT);
}

/* Watched by the leader itself: the lockstep engine watches all pages of its machine once, to hear of devices' writes. */
static bool leader_watches(const struct memory *memory, u64 offset)
{
	return __atomic_load_n(&memory->page_watchers[offset >> PAGE_SHIFT], __ATOMIC_ACQUIRE) > 1;
}

u8 *ram_page_of(struct cpu *cpu, u64 physical, enum page_use use, bool *watched)
{
	struct side *side = side_of(cpu);
	struct lockstep *lockstep = side->lockstep;
	struct memory *memory = &side->vcpu->machine->memory;
	u64 offset;

	if (!memory_offset(memory, physical, PAGE_SIZE, &offset))
		return NULL;
	page_share(lockstep, offset);
	if (side_is_leader(side)) {
		if (use != PAGE_EXECUTE) /* what may be read may be entered for writing, too */
			bit_set(lockstep->writable, offset >> PAGE_SHIFT);
		*watched = leader_watches(memory, offset);
	} else {
		*watched = true;
	}
	return memory->host + offset;
}

/* ---- the follower's stores --------------------------------------------------------------------------- */

static void store_note(struct lockstep *lockstep, u64 offset, u64 bytes)
{
	struct stores *stores = lockstep->stores;

	if (stores->count == STORES_MAX || bytes > STORE_BYTES_MAX - stores->bytes_used) {
		stores->is_overrun = true;
		return;
	}
	stores->stores[stores->count++] =
		(struct store){.offset = offset, .bytes = (u32)bytes, .before = stores->bytes_used};
	memcpy(stores->bytes_before + stores->bytes_used, lockstep->shadow_ram + offset, bytes);
	stores->bytes_used += (u32)bytes;
}

void ram_code_written(struct cpu *cpu, u64 physical, u64 bytes)
{
	struct side *side = side_of(cpu);
	struct machine *machine = side->vcpu->machine;
	u64 offset;

	if (!memory_offset(&machine->memory, physical, bytes, &offset))
		return;
	if (side_is_leader(side)) {
		side->ops->memory_changed(machine, physical, bytes, side->vcpu);
		return;
	}
	store_note(side->lockstep, offset, bytes);
	if (memory_is_watched(&machine->memory, offset))
		side->ops->memory_changed(machine, physical, bytes, side->vcpu);
}

bool ram_undo(struct lockstep *lockstep)
{
	struct stores *stores = lockstep->stores;

	if (stores->is_overrun)
		return false;
	for (u32 i = stores->count; i-- > 0;) {
		const struct store *store = &stores->stores[i];
		memcpy(lockstep->shadow_ram + store->offset, stores->bytes_before + store->before,
			store->bytes);
	}
	stores->count = stores->bytes_used = 0;
	return true;
}

void ram_copy_to_leader(struct lockstep *lockstep)
{
	u8 *ram = leader_ram(lockstep);

	for (u64 page = 0; page < lockstep->shadow->memory.bytes >> PAGE_SHIFT; page++) {
		u64 offset = page << PAGE_SHIFT;
		if (bit_get(lockstep->writable, page) &&
			memcmp(ram + offset, lockstep->shadow_ram + offset, PAGE_SIZE))
			memcpy(ram + offset, lockstep->shadow_ram + offset, PAGE_SIZE);
	}
}

/* ---- what devices write ------------------------------------------------------------------------------ */

void ram_note_written(struct lockstep *lockstep, u64 offset)
{
	offset = align_down(offset, PAGE_SIZE);
	host_lock(&lockstep->written_lock);
	if (bit_get(lockstep->shared, offset >> PAGE_SHIFT)) {
		if (lockstep->written_count < WRITTEN_MAX)
			lockstep->written[lockstep->written_count] = offset;
		if (lockstep->written_count <= WRITTEN_MAX)
			__atomic_store_n(&lockstep->written_count, lockstep->written_count + 1,
				__ATOMIC_RELEASE);
	}
	host_unlock(&lockstep->written_lock);
}

bool ram_has_written(const struct lockstep *lockstep)
{
	return atomic_load_32(&lockstep->written_count);
}

static void tell_follower(struct lockstep *lockstep, u64 offset)
{
	struct memory *memory = &lockstep->shadow->memory;

	if (memory_is_watched(memory, offset))
		lockstep->follower.ops->memory_changed(
			lockstep->shadow, memory_gpa(memory, offset), PAGE_SIZE, NULL);
}

void ram_copy_all(struct lockstep *lockstep)
{
	for (u64 page = 0; page < lockstep->shadow->memory.bytes >> PAGE_SHIFT; page++) {
		u64 offset = page << PAGE_SHIFT;
		if (!bit_get(lockstep->shared, page) ||
			!memcmp(lockstep->shadow_ram + offset, leader_ram(lockstep) + offset,
				PAGE_SIZE))
			continue;
		page_copy(lockstep, offset);
		tell_follower(lockstep, offset);
	}
}

void ram_copy_written(struct lockstep *lockstep)
{
	host_lock(&lockstep->written_lock);
	if (lockstep->written_count > WRITTEN_MAX)
		ram_copy_all(lockstep);
	else
		for (u32 i = 0; i < lockstep->written_count; i++) {
			page_copy(lockstep, lockstep->written[i]);
			tell_follower(lockstep, lockstep->written[i]);
		}
	__atomic_store_n(&lockstep->written_count, 0, __ATOMIC_RELEASE);
	host_unlock(&lockstep->written_lock);
}

void ram_journal_written(struct lockstep *lockstep, struct input *input)
{
	struct journal *journal = lockstep->journal;

	host_lock(&lockstep->written_lock);
	input->first_page = journal->page_count;
	if (lockstep->written_count > WRITTEN_MAX ||
		lockstep->written_count > PAGES_MAX - journal->page_count) {
		journal->is_overrun = true;
		host_unlock(&lockstep->written_lock);
		return; /* they stay noted for the next window */
	}
	for (u32 i = 0; i < lockstep->written_count; i++) {
		u32 to = journal->page_count++;
		journal->page_offsets[to] = lockstep->written[i];
		memcpy(journal->page_bytes[to], leader_ram(lockstep) + lockstep->written[i],
			PAGE_SIZE);
	}
	input->page_count = journal->page_count - input->first_page;
	__atomic_store_n(&lockstep->written_count, 0, __ATOMIC_RELEASE);
	host_unlock(&lockstep->written_lock);
}

void ram_replay_pages(struct side *side, const struct input *input)
{
	struct lockstep *lockstep = side->lockstep;
	const struct journal *journal = lockstep->journal;
	struct memory *memory = &side->vcpu->machine->memory;

	for (u32 i = input->first_page; i < input->first_page + input->page_count; i++) {
		u64 offset = journal->page_offsets[i];
		if (!side_is_leader(side))
			store_note(lockstep, offset, PAGE_SIZE);
		memcpy(memory->host + offset, journal->page_bytes[i], PAGE_SIZE);
		side->ops->memory_changed(
			side->vcpu->machine, memory_gpa(memory, offset), PAGE_SIZE, NULL);
	}
}

/* ---- comparing --------------------------------------------------------------------------------------- */

static bool bytes_differ(const struct lockstep *lockstep, u64 at, u64 bytes, u64 *offset)
{
	const u8 *a = leader_ram(lockstep) + at, *b = lockstep->shadow_ram + at;

	if (likely(!memcmp(a, b, bytes)))
		return false;
	u64 i = 0;
	while (a[i] == b[i])
		i++;
	*offset = at + i;
	return true;
}

bool ram_stores_differ(struct lockstep *lockstep, u64 *offset)
{
	const struct stores *stores = lockstep->stores;

	for (u32 i = 0; i < stores->count; i++) {
		if (bytes_differ(
			    lockstep, stores->stores[i].offset, stores->stores[i].bytes, offset))
			return true;
	}
	return stores->is_overrun && ram_pages_differ(lockstep, offset);
}

bool ram_pages_differ(struct lockstep *lockstep, u64 *offset)
{
	/* A page that a device has just written is not the follower's yet. */
	ram_copy_written(lockstep);
	for (u64 page = 0; page < lockstep->shadow->memory.bytes >> PAGE_SHIFT; page++) {
		if (bit_get(lockstep->writable, page) &&
			bytes_differ(lockstep, page << PAGE_SHIFT, PAGE_SIZE, offset))
			return true;
	}
	return false;
}
