/* SPDX-License-Identifier: MIT */
#include "engines/interpreter/inbox.h"
#include "base/atomic.h"
#include "base/memory.h"

enum status inbox_init(struct inbox *inbox, struct machine *machine, struct block_cache *cache,
	struct inbox *(*of)(struct vcpu *vcpu))
{
	inbox->watching_bytes = (machine->memory.bytes >> PAGE_SHIFT) / 8 + 1;
	inbox->watching = host_memory_get(inbox->watching_bytes);
	if (!inbox->watching)
		return STATUS_NO_MEMORY;
	inbox->cache = cache;
	inbox->of = of;
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

static void post(struct vcpu *to, struct inbox *inbox, struct inbox_entry entry)
{
	host_lock(&inbox->lock);
	if (inbox->count < INBOX_ENTRIES)
		inbox->entries[inbox->count] = entry;
	if (inbox->count <= INBOX_ENTRIES)
		inbox->count++;
	host_unlock(&inbox->lock);
	atomic_or_32(&to->cpu.pending, PENDING_ENGINE);
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
	for (unsigned i = 0; on && i < machine->vcpu_count; i++) {
		struct vcpu *other = machine->vcpus[i];
		if (other != vcpu)
			post(other, inbox->of(other),
				(struct inbox_entry){physical, INBOX_REQUEST, (u8)vcpu->index});
	}
}

static void post_page_written(struct machine *machine, u64 page, const struct vcpu *by,
	struct inbox *(*of)(struct vcpu *vcpu))
{
	u64 offset;
	if (!memory_offset(&machine->memory, page, PAGE_SIZE, &offset))
		return;
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		struct vcpu *vcpu = machine->vcpus[i];
		if (vcpu != by && is_watching(of(vcpu), offset))
			post(vcpu, of(vcpu), (struct inbox_entry){page, INBOX_WRITTEN, 0});
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
			post(by, of(by), (struct inbox_entry){page, INBOX_ANNOUNCE, 0});
	}
}

/* Some posts were lost: nothing is held any more, and everybody else is told that all may be written. */
static void take_all(struct inbox *inbox, struct vcpu *vcpu)
{
	struct machine *machine = vcpu->machine;
	block_cache_empty(inbox->cache);
	tlb_flush_all(&vcpu->cpu.tlb);
	vcpu->cpu.code_generation++;
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		struct vcpu *other = machine->vcpus[i];
		struct inbox *theirs = inbox->of(other);
		for (u64 page = 0; other != vcpu && page < theirs->watching_bytes * 8; page++) {
			if (is_watching(theirs, page << PAGE_SHIFT))
				post(other, theirs,
					(struct inbox_entry){
						memory_gpa(&machine->memory, page << PAGE_SHIFT),
						INBOX_WRITTEN, 0});
		}
	}
}

static void take(struct inbox *inbox, struct vcpu *vcpu, const struct inbox_entry *entry)
{
	struct vcpu *asker = vcpu->machine->vcpus[entry->from];
	if (entry->kind == INBOX_WRITTEN)
		block_cache_written(inbox->cache, entry->page, PAGE_SIZE);
	else if (entry->kind == INBOX_ANNOUNCE)
		post_page_written(vcpu->machine, entry->page, vcpu, inbox->of);
	else if (tlb_protect_physical(&vcpu->cpu.tlb, entry->page))
		post(asker, inbox->of(asker), (struct inbox_entry){entry->page, INBOX_WRITTEN, 0});
}

void inbox_empty(struct inbox *inbox, struct vcpu *vcpu)
{
	atomic_and_32(&vcpu->cpu.pending, ~(u32)PENDING_ENGINE);
	host_lock(&inbox->lock);
	u32 count = inbox->count;
	inbox->count = 0;
	memcpy(inbox->taken, inbox->entries, MIN(count, INBOX_ENTRIES) * sizeof(inbox->taken[0]));
	host_unlock(&inbox->lock);
	if (count > INBOX_ENTRIES)
		take_all(inbox, vcpu);
	for (u32 i = 0; count <= INBOX_ENTRIES && i < count; i++)
		take(inbox, vcpu, &inbox->taken[i]);
}
