/* SPDX-License-Identifier: MIT */
#include "x86/tlb.h"

static const struct tlb_entry empty_entry = {TLB_INVALID, TLB_INVALID, TLB_INVALID, 0};

static u64 group_bit(unsigned index)
{
	return BIT(index / TLB_GROUP);
}

static void entry_clear(struct tlb *tlb, unsigned mode, unsigned index)
{
	tlb->entries[mode][index] = empty_entry;
	tlb->physical[mode][index] = TLB_INVALID;
}

/* The linear page that an entry is about, or TLB_INVALID. */
static u64 entry_page(const struct tlb_entry *entry)
{
	if (entry->read != TLB_INVALID)
		return entry->read;
	return entry->write != TLB_INVALID ? entry->write : entry->execute;
}

void tlb_enter(struct tlb *tlb, enum tlb_mode mode, u64 linear, u64 physical, const u8 *host,
	unsigned permissions)
{
	unsigned index = tlb_index(linear);
	struct tlb_entry *entry = &tlb->entries[mode][index];
	u64 page = linear & PAGE_MASK;
	u64 addend = (u64)(uintptr_t)host - page;

	if (entry_page(entry) != page || entry->addend != addend ||
		tlb->physical[mode][index] != physical)
		*entry = empty_entry;
	entry->addend = addend;
	tlb->physical[mode][index] = physical;
	if (permissions & TLB_READ)
		entry->read = page;
	if (permissions & TLB_WRITE)
		entry->write = page;
	if (permissions & TLB_EXECUTE)
		entry->execute = page;
	tlb->used[mode] |= group_bit(index);
	if (!(physical & TLB_GLOBAL))
		tlb->local[mode] |= group_bit(index);
}

void tlb_flush_all(struct tlb *tlb)
{
	for (unsigned mode = 0; mode < TLB_MODES; mode++) {
		for (unsigned index = 0; index < TLB_ENTRIES; index++)
			entry_clear(tlb, mode, index);
		tlb->used[mode] = tlb->local[mode] = 0;
	}
}

/* Calls body for every index in the groups whose bits are set. */
#define for_each_in_groups(index, groups)                                           \
	for (u64 left_ = (groups); left_; left_ &= left_ - 1)                       \
		for (unsigned index = (unsigned)__builtin_ctzll(left_) * TLB_GROUP, \
			      end_ = index + TLB_GROUP;                             \
			index < end_; index++)

void tlb_flush_used(struct tlb *tlb)
{
	for (unsigned mode = 0; mode < TLB_MODES; mode++) {
		for_each_in_groups(index, tlb->used[mode]) entry_clear(tlb, mode, index);
		tlb->used[mode] = tlb->local[mode] = 0;
	}
}

void tlb_flush_non_global(struct tlb *tlb)
{
	for (unsigned mode = 0; mode < TLB_MODES; mode++) {
		for_each_in_groups(index, tlb->local[mode])
		{
			if (!(tlb->physical[mode][index] & TLB_GLOBAL))
				entry_clear(tlb, mode, index);
		}
		tlb->local[mode] = 0;
	}
}

/* INVLPG drops the whole page, of which there may be any number of 4 KiB pieces here. */
void tlb_flush_page(struct tlb *tlb, u64 linear)
{
	for (unsigned mode = 0; mode < TLB_MODES; mode++) {
		unsigned own = tlb_index(linear);
		if (entry_page(&tlb->entries[mode][own]) == (linear & PAGE_MASK))
			entry_clear(tlb, mode, own);
		for_each_in_groups(index, tlb->used[mode])
		{
			u64 physical = tlb->physical[mode][index];
			u64 distance = entry_page(&tlb->entries[mode][index]) ^ linear;
			if (((physical & TLB_LARGE) && distance < 4 * MIB) ||
				((physical & TLB_HUGE) && distance < GIB))
				entry_clear(tlb, mode, index);
		}
	}
}

bool tlb_protect_physical(struct tlb *tlb, u64 physical_page)
{
	bool found = false;
	for (unsigned mode = 0; mode < TLB_MODES; mode++)
		for_each_in_groups(index, tlb->used[mode])
		{
			struct tlb_entry *entry = &tlb->entries[mode][index];
			if ((tlb->physical[mode][index] & PAGE_MASK) == physical_page) {
				found |= entry->write != TLB_INVALID;
				entry->write = TLB_INVALID;
			}
		}
	return found;
}

void tlb_forget_physical(struct tlb *tlb, u64 physical_page)
{
	if (physical_page == ~(u64)0) {
		tlb_flush_used(tlb);
		return;
	}
	for (unsigned mode = 0; mode < TLB_MODES; mode++)
		for_each_in_groups(index, tlb->used[mode])
		{
			if ((tlb->physical[mode][index] & PAGE_MASK) == physical_page)
				entry_clear(tlb, mode, index);
		}
}
