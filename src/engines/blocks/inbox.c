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
	if (!inbox->watching)
		return STATUS_NO_MEMORY;
	inbox->cache = cache;
	inbox->of = of;
	inbox->is_idle = 1;
	host_lock_init(&inbox->lock);
	return STATUS_OK;
}

void inbox_fini(struct inbox *inbox)
{
	host_memory_put(inbox->watching, inbox->watching_bytes);
}

static bool is_watching(const struct inbox *inbox, u64 offset)
{
	u64 page = offset >> PAGE_SHIFT;
	return __atomic_load_n(&inbox->watching[page / 8], __ATOMIC_ACQUIRE) & BIT(page % 8);
}

/* Returns the done_count of it. */
static u32 post(struct vcpu *to, struct inbox *inbox, u64 page, enum inbox_kind kind)
{
	host_lock(&inbox->lock);
	u32 done = inbox->taken_count + 1;
	if (inbox->count < INBOX_ENTRIES)
		inbox->entries[inbox->count++] = (struct inbox_entry){page, kind};
	else
		inbox->is_overrun = true;
	host_unlock(&inbox->lock);
	atomic_or_32(&to->cpu.pending, PENDING_ENGINE);
	return done;
}

/* ---- pages whose watch has begun ---- */

/* All others give up the page's TLB entries; until then it is provisional. */
static void request_page(struct inbox *inbox, struct vcpu *vcpu, u64 physical)
{
	struct machine *machine = vcpu->machine;
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		struct vcpu *other = machine->vcpus[i];
		if (other == vcpu)
			continue;
		inbox->awaited[i] = post(other, inbox->of(other), physical, INBOX_REQUEST);
		inbox->awaits |= (u32)BIT(i);
	}
	if (!inbox->awaits)
		return;
	if (inbox->provisional_count < INBOX_PROVISIONAL)
		inbox->provisional[inbox->provisional_count] = physical;
	inbox->provisional_count += inbox->provisional_count <= INBOX_PROVISIONAL;
	atomic_or_32(&vcpu->cpu.pending, PENDING_ENGINE);
}

static bool has_answered(const struct inbox *other, u32 awaited)
{
	return (i32)(atomic_load_32(&other->done_count) - awaited) >= 0 ||
		__atomic_load_n(&other->is_idle, __ATOMIC_SEQ_CST);
}

/* Takes note of answers. What an answer has posted here before is found in the inbox after this. */
static void collect_answers(struct inbox *inbox, const struct vcpu *vcpu)
{
	for (u32 left = inbox->awaits; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		if (has_answered(inbox->of(vcpu->machine->vcpus[i]), inbox->awaited[i]))
			inbox->awaits &= ~(u32)BIT(i);
	}
	if (!inbox->awaits)
		inbox->provisional_count = 0;
}

static void drop_provisional(struct inbox *inbox)
{
	u32 count = inbox->provisional_count;
	inbox->provisional_count = 0;
	inbox->awaits = 0;
	if (count > INBOX_PROVISIONAL) {
		block_cache_empty(inbox->cache);
		return;
	}
	for (u32 i = 0; i < count; i++)
		block_cache_written(inbox->cache, inbox->provisional[i], PAGE_SIZE);
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
	if (on)
		request_page(inbox, vcpu, physical);
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
			post(vcpu, of(vcpu), page, INBOX_WRITTEN);
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
			post(by, of(by), page, INBOX_ANNOUNCE);
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

/*
 * Some posts were lost: nothing is held any more. The others are told that all may have been written, unless this vCPU has
 * not run since its inbox was last empty (it slept, which is how inboxes fill).
 */
static void take_all(struct inbox *inbox, struct vcpu *vcpu, bool has_run)
{
	block_cache_empty(inbox->cache);
	paging_flush(&vcpu->cpu);
	if (has_run)
		tell_all(inbox, vcpu);
}

static void take(struct inbox *inbox, struct vcpu *vcpu, const struct inbox_entry *entry)
{
	if (entry->kind == INBOX_WRITTEN)
		block_cache_written(inbox->cache, entry->page, PAGE_SIZE);
	else if (entry->kind == INBOX_ANNOUNCE || tlb_protect_physical(&vcpu->cpu.tlb, entry->page))
		post_page_written(vcpu->machine, entry->page, vcpu, inbox->of);
}

static void take_posts(struct inbox *inbox, struct vcpu *vcpu, u64 retired)
{
	if (__atomic_exchange_n(&inbox->drops_all, false, __ATOMIC_ACQ_REL))
		block_cache_empty(inbox->cache);
	host_lock(&inbox->lock);
	u32 count = inbox->count;
	bool is_overrun = inbox->is_overrun;
	inbox->count = 0;
	inbox->is_overrun = false;
	u32 taken = ++inbox->taken_count;
	memcpy(inbox->taken, inbox->entries, count * sizeof(inbox->taken[0]));
	host_unlock(&inbox->lock);
	for (u32 i = 0; !is_overrun && i < count; i++)
		take(inbox, vcpu, &inbox->taken[i]);
	if (is_overrun)
		take_all(inbox, vcpu, retired != inbox->retired);
	inbox->retired = retired;
	__atomic_store_n(&inbox->done_count, taken, __ATOMIC_SEQ_CST);
}

void inbox_empty(struct inbox *inbox, struct vcpu *vcpu, u64 retired, bool has_serialized)
{
	atomic_and_32(&vcpu->cpu.pending, ~(u32)PENDING_ENGINE);
	collect_answers(inbox, vcpu);
	take_posts(inbox, vcpu, retired);
	if (!inbox->awaits)
		return;
	if (has_serialized)
		drop_provisional(inbox);
	else
		atomic_or_32(&vcpu->cpu.pending, PENDING_ENGINE); /* look again soon */
}

void inbox_begin_run(struct inbox *inbox)
{
	__atomic_store_n(&inbox->is_idle, 0, __ATOMIC_SEQ_CST);
}

void inbox_end_run(struct inbox *inbox, struct vcpu *vcpu, u64 retired)
{
	drop_provisional(inbox); /* or it could not sleep until all have answered */
	atomic_and_32(&vcpu->cpu.pending, ~(u32)PENDING_ENGINE);
	host_lock(&inbox->lock);
	bool is_empty = !inbox->count && !inbox->is_overrun;
	if (is_empty)
		inbox->retired = retired;
	host_unlock(&inbox->lock);
	if (!is_empty || __atomic_load_n(&inbox->drops_all, __ATOMIC_SEQ_CST))
		atomic_or_32(&vcpu->cpu.pending, PENDING_ENGINE);
	__atomic_store_n(&inbox->is_idle, 1, __ATOMIC_SEQ_CST);
}
