/* SPDX-License-Identifier: MIT */
#include "engines/blocks/inbox.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "x86/paging.h"

enum status inbox_init(struct inbox *inbox, struct machine *machine, struct block_cache *cache,
	struct inbox *(*of)(struct vcpu *vcpu))
{
	inbox->watching_bytes = (machine->memory.bytes >> PAGE_SHIFT) / 8 + 1;
	inbox->watching = host_memory_get(inbox->watching_bytes);
	inbox->provisional = host_memory_get(sizeof(*inbox->provisional));
	if (!inbox->watching || !inbox->provisional) {
		inbox_fini(inbox);
		return STATUS_NO_MEMORY;
	}
	inbox->cache = cache;
	inbox->of = of;
	inbox->is_idle = 1;
	host_lock_init(&inbox->lock);
	return STATUS_OK;
}

void inbox_fini(struct inbox *inbox)
{
	host_memory_put(inbox->watching, inbox->watching_bytes);
	host_memory_put(inbox->provisional, sizeof(*inbox->provisional));
}

static bool is_watching(const struct inbox *inbox, u64 offset)
{
	u64 page = offset >> PAGE_SHIFT;
	return __atomic_load_n(&inbox->watching[page / 8], __ATOMIC_ACQUIRE) & BIT(page % 8);
}

static bool has_entry(const struct inbox *inbox, const struct inbox_entry *entry)
{
	const struct inbox_entry *last = &inbox->entries[inbox->count];
	for (u32 i = 1; i <= MIN(inbox->count, (u32)INBOX_LOOK_BACK); i++)
		if (last[-(int)i].page == entry->page && last[-(int)i].kind == entry->kind)
			return true;
	return false;
}

/* Returns the done_count of it. */
static u32 post(struct vcpu *to, struct inbox *inbox, u64 page, enum inbox_kind kind, u32 from)
{
	struct inbox_entry entry = {page, kind};
	host_lock(&inbox->lock);
	u32 done = inbox->taken_count + 1;
	inbox->asking |= from;
	if (has_entry(inbox, &entry))
		;
	else if (inbox->count < INBOX_ENTRIES)
		inbox->entries[inbox->count++] = entry;
	else
		inbox->overruns |= BIT(kind);
	host_unlock(&inbox->lock);
	atomic_or_32(&to->cpu.pending, PENDING_ENGINE);
	return done;
}

/* ---- pages whose watch has begun ---- */

/* All others that may have TLB entries for writing the page give them up; until then it is provisional. */
static void request_page(struct inbox *inbox, struct vcpu *vcpu, u64 physical, u64 offset)
{
	struct machine *machine = vcpu->machine;
	u32 writers = memory_writers(&machine->memory, offset) & ~(u32)BIT(vcpu->index);
	if (!writers)
		return;
	struct provisional_page *page =
		provisional_add(inbox->provisional, physical, machine->memory.host + offset);
	for (u32 left = writers; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		struct vcpu *other = machine->vcpus[i];
		u32 done = post(
			other, inbox->of(other), physical, INBOX_REQUEST, (u32)BIT(vcpu->index));
		if (page)
			page->awaited[i] = done;
	}
	if (page)
		page->awaits = writers;
	if (!page || inbox->provisional->count > PROVISIONAL_MAX / 2)
		atomic_or_32(&vcpu->cpu.pending, PENDING_ENGINE);
}

static bool has_answered(const struct inbox *other, u32 awaited)
{
	return (i32)(atomic_load_32(&other->done_count) - awaited) >= 0 ||
		__atomic_load_n(&other->is_idle, __ATOMIC_SEQ_CST);
}

static void collect_answers(
	const struct inbox *inbox, const struct vcpu *vcpu, struct provisional_page *page)
{
	for (u32 left = page->awaits; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		if (has_answered(inbox->of(vcpu->machine->vcpus[i]), page->awaited[i]))
			page->awaits &= ~(u32)BIT(i);
	}
}

/* Drops what was decoded from other bytes than are there now. */
static void compare(struct inbox *inbox, struct provisional_page *page)
{
	u64 changed = provisional_refresh(page, block_cache_granules(inbox->cache, page->physical));
	if (changed)
		block_cache_changed(inbox->cache, page->physical, changed);
}

/*
 * A vCPU that has answered, or stands still, may have written until then; what it wrote is seen by a comparison after that, and it
 * writes no more unseen.
 */
static void see_to_provisional(struct inbox *inbox, const struct vcpu *vcpu, bool has_serialized)
{
	struct provisional *provisional = inbox->provisional;
	if (provisional->is_overrun) {
		provisional->is_overrun = false;
		block_cache_empty(inbox->cache);
	}
	for (u32 i = provisional->count; i-- > 0;) {
		struct provisional_page *page = &provisional->pages[i];
		u64 physical = page->physical;
		collect_answers(inbox, vcpu, page);
		if (page->awaits && !has_serialized)
			continue;
		compare(inbox, page);
		/* With its last block it may have ceased to be watched, and so to be here. */
		page = provisional_find(provisional, physical);
		if (page && !page->awaits)
			provisional_remove(provisional, page);
	}
}

void inbox_watch(struct inbox *inbox, struct vcpu *vcpu, u64 physical, bool on)
{
	struct machine *machine = vcpu->machine;
	u64 offset, page;
	if (!memory_offset(&machine->memory, physical, PAGE_SIZE, &offset))
		return;
	page = offset >> PAGE_SHIFT;
	u8 bit = (u8)BIT(page % 8);
	u8 before = on ? __atomic_fetch_or(&inbox->watching[page / 8], bit, __ATOMIC_SEQ_CST)
		       : __atomic_fetch_and(&inbox->watching[page / 8], (u8)~bit, __ATOMIC_SEQ_CST);
	if (!(before & bit) == !on)
		return;
	__atomic_fetch_add(&machine->memory.page_watchers[page], on ? 1 : -1, __ATOMIC_SEQ_CST);
	struct provisional_page *provisional = provisional_find(inbox->provisional, physical);
	if (on)
		request_page(inbox, vcpu, physical, offset);
	else if (provisional)
		provisional_remove(inbox->provisional, provisional);
}

const u8 *inbox_source(struct inbox *inbox, u64 physical, u64 *changed)
{
	struct provisional_page *page = provisional_find(inbox->provisional, physical);
	*changed = page ? provisional_refresh(page, ~(u64)0) : 0;
	return page ? (const u8 *)page->bytes : NULL;
}

/* ---- writes ---- */

static void post_page_written(struct machine *machine, u64 page, const struct vcpu *by,
	struct inbox *(*of)(struct vcpu *vcpu))
{
	u64 offset;
	if (!memory_offset(&machine->memory, page, PAGE_SIZE, &offset))
		return;
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		struct vcpu *vcpu = machine->vcpus[i];
		if (vcpu != by && is_watching(of(vcpu), offset))
			post(vcpu, of(vcpu), page, INBOX_WRITTEN, 0);
	}
}

void inbox_post_written(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by,
	struct inbox *(*of)(struct vcpu *vcpu))
{
	if (by && machine->vcpu_count == 1)
		return;
	for (u64 page = gpa & PAGE_MASK; page < gpa + bytes; page += PAGE_SIZE) {
		post_page_written(machine, page, by, of);
		if (by)
			post(by, of(by), page, INBOX_ANNOUNCE, 0);
	}
}

static void tell_all(struct inbox *inbox, const struct vcpu *vcpu)
{
	for (unsigned i = 0; i < vcpu->machine->vcpu_count; i++) {
		struct vcpu *other = vcpu->machine->vcpus[i];
		if (other == vcpu)
			continue;
		__atomic_store_n(&inbox->of(other)->drops_all, true, __ATOMIC_RELEASE);
		atomic_or_32(&other->cpu.pending, PENDING_ENGINE);
	}
}

/* ---- what was posted ---- */

static void take_written(struct inbox *inbox, u64 physical)
{
	struct provisional_page *page = provisional_find(inbox->provisional, physical);
	if (page)
		compare(inbox, page);
	else
		block_cache_written(inbox->cache, physical, PAGE_SIZE);
}

/* What it has written by then is seen by who asked, which compares. */
static void take_request(struct vcpu *vcpu, u64 physical)
{
	u64 offset;
	if (!memory_offset(&vcpu->machine->memory, physical, PAGE_SIZE, &offset))
		return;
	tlb_protect_physical(&vcpu->cpu.tlb, physical);
	memory_writer_end(&vcpu->machine->memory, offset, vcpu->index);
}

static void take(struct inbox *inbox, struct vcpu *vcpu, const struct inbox_entry *entry)
{
	switch (entry->kind) {
	case INBOX_WRITTEN:
		take_written(inbox, entry->page);
		break;
	case INBOX_REQUEST:
		take_request(vcpu, entry->page);
		break;
	case INBOX_ANNOUNCE:
		post_page_written(vcpu->machine, entry->page, vcpu, inbox->of);
		break;
	}
}

/* Requests were lost: which ones, the pages say. */
static void take_all_requests(struct vcpu *vcpu)
{
	struct memory *memory = &vcpu->machine->memory;
	paging_flush(&vcpu->cpu);
	for (u64 offset = 0; offset < memory->bytes; offset += PAGE_SIZE)
		if (memory_is_watched(memory, offset) &&
			memory_writers(memory, offset) & BIT(vcpu->index))
			memory_writer_end(memory, offset, vcpu->index);
}

static void take_overruns(struct inbox *inbox, struct vcpu *vcpu, u32 overruns)
{
	if (overruns & BIT(INBOX_WRITTEN))
		block_cache_empty(inbox->cache);
	if (overruns & BIT(INBOX_REQUEST))
		take_all_requests(vcpu);
	if (overruns & BIT(INBOX_ANNOUNCE))
		tell_all(inbox, vcpu);
}

/* Those who asked look at once, though they may not serialize. */
static void answer(const struct vcpu *vcpu, u32 asking)
{
	for (u32 left = asking; left; left &= left - 1)
		atomic_or_32(
			&vcpu->machine->vcpus[__builtin_ctz(left)]->cpu.pending, PENDING_ENGINE);
}

static void take_posts(struct inbox *inbox, struct vcpu *vcpu)
{
	if (__atomic_exchange_n(&inbox->drops_all, false, __ATOMIC_ACQ_REL))
		block_cache_empty(inbox->cache);
	host_lock(&inbox->lock);
	u32 count = inbox->count, overruns = inbox->overruns, asking = inbox->asking;
	inbox->count = inbox->overruns = inbox->asking = 0;
	u32 taken = ++inbox->taken_count;
	memcpy(inbox->taken, inbox->entries, count * sizeof(inbox->taken[0]));
	host_unlock(&inbox->lock);
	for (u32 i = 0; i < count; i++)
		take(inbox, vcpu, &inbox->taken[i]);
	take_overruns(inbox, vcpu, overruns);
	__atomic_store_n(&inbox->done_count, taken, __ATOMIC_SEQ_CST);
	answer(vcpu, asking);
}

void inbox_empty(struct inbox *inbox, struct vcpu *vcpu, bool has_serialized)
{
	atomic_and_32(&vcpu->cpu.pending, ~(u32)PENDING_ENGINE);
	take_posts(inbox, vcpu);
	see_to_provisional(inbox, vcpu, has_serialized);
}

void inbox_begin_run(struct inbox *inbox, struct vcpu *vcpu)
{
	__atomic_store_n(&inbox->is_idle, 0, __ATOMIC_SEQ_CST);
	/* Answers that came while it stood still. */
	if (inbox->provisional->count)
		atomic_or_32(&vcpu->cpu.pending, PENDING_ENGINE);
}

void inbox_end_run(struct inbox *inbox, struct vcpu *vcpu)
{
	atomic_and_32(&vcpu->cpu.pending, ~(u32)PENDING_ENGINE);
	host_lock(&inbox->lock);
	bool is_empty = !inbox->count && !inbox->overruns;
	host_unlock(&inbox->lock);
	if (!is_empty || __atomic_load_n(&inbox->drops_all, __ATOMIC_SEQ_CST))
		atomic_or_32(&vcpu->cpu.pending, PENDING_ENGINE);
	__atomic_store_n(&inbox->is_idle, 1, __ATOMIC_SEQ_CST);
}
