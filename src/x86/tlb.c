/* SPDX-License-Identifier: MIT */
#include "x86/tlb.h"

static const struct tlb_entry empty_entry = {TLB_INVALID, TLB_INVALID, TLB_INVALID, 0};

static u64 group_bit(unsigned index)
{
	return BIT(index / TLB_GROUP);
}

static void entry_clear(struct tlb_array *array, unsigned index)
{
	array->entries[index] = empty_entry;
	array->physical[index] = TLB_GLOBAL; /* nothing for a flush of what is not */
}

/* The linear page that an entry is about, or TLB_INVALID. */
static u64 entry_page(const struct tlb_entry *entry)
{
	if (entry->read != TLB_INVALID)
		return entry->read;
	return entry->write != TLB_INVALID ? entry->write : entry->execute;
}

/* Calls body for every index in the groups whose bits are set. */
#define for_each_in_groups(index, groups)                                           \
	for (u64 left_ = (groups); left_; left_ &= left_ - 1)                       \
		for (unsigned index = (unsigned)__builtin_ctzll(left_) * TLB_GROUP, \
			      end_ = index + TLB_GROUP;                             \
			index < end_; index++)

/* Contexts that were never used have nothing, and their arrays must not be looked at. */
#define for_each_context(context, tlb)                               \
	for (struct tlb_context *context = (tlb)->contexts;          \
		context < (tlb)->contexts + TLB_CONTEXTS; context++) \
		if (context->last_used)

#define for_each_array(array, context)                    \
	for (struct tlb_array *array = (context)->arrays; \
		array < (context)->arrays + TLB_MODES_FILLED; array++)

/* ---- large pages ---- */

/* The region of linear, 4 MiB or 1 GiB, in which one address is enough to drop all: its number in array->large. */
static u64 region_number(u64 linear, bool is_huge)
{
	return is_huge ? ~(linear >> 30) : linear >> 22;
}

static void note_large(struct tlb_array *array, u64 linear, u64 physical)
{
	if (physical & (TLB_LARGE | TLB_HUGE))
		page_filter_add(&array->large[physical & TLB_GLOBAL],
			region_number(linear, physical & TLB_HUGE));
}

static bool may_have_pieces(const struct tlb_array *array, u64 linear, bool is_global)
{
	const struct page_filter *filter = &array->large[is_global];
	return filter->is_filled &&
		(page_filter_may_hold(filter, region_number(linear, false)) ||
			page_filter_may_hold(filter, region_number(linear, true)));
}

static void array_is_empty(struct tlb_array *array)
{
	array->used = array->local = 0;
	array->halves = 0;
	page_filter_clear(&array->large[0]);
	page_filter_clear(&array->large[1]);
	page_filter_clear(&array->writable);
}

/* ---- entering ---- */

static void swap_ways(struct tlb_array *array, unsigned index)
{
	unsigned other = index + TLB_ENTRIES;
	struct tlb_entry entry = array->entries[index];
	u64 physical = array->physical[index];
	array->entries[index] = array->entries[other];
	array->physical[index] = array->physical[other];
	array->entries[other] = entry;
	array->physical[other] = physical;
	array->used |= group_bit(other);
	array->local |= group_bit(index) | group_bit(other);
}

void tlb_promote(struct tlb *tlb, enum tlb_mode mode, unsigned index)
{
	struct tlb_array *array = &tlb->current->arrays[mode];
	swap_ways(array, index);
	array->used |= group_bit(index);
}

/* The page's place is free for it, or has it. */
static void make_place(struct tlb_array *array, unsigned index, u64 page)
{
	u64 there = entry_page(&array->entries[index]);
	if (there == page)
		return;
	if (there != TLB_INVALID || entry_page(&array->entries[index + TLB_ENTRIES]) == page)
		swap_ways(array, index);
}

/* Of `halves`. */
static u8 half_bit(u64 linear)
{
	return linear & BIT(47) ? 2 : 1;
}

void tlb_enter(struct tlb *tlb, enum tlb_mode mode, u64 linear, u64 physical, const u8 *host,
	unsigned permissions)
{
	struct tlb_array *array = &tlb->current->arrays[mode];
	unsigned index = tlb_index(linear);
	struct tlb_entry *entry = &array->entries[index];
	u64 page = linear & PAGE_MASK;
	u64 addend = (u64)(uintptr_t)host - page;

	make_place(array, index, page);
	if (entry_page(entry) != page || entry->addend != addend ||
		((array->physical[index] ^ physical) & ~TLB_WATCHED))
		*entry = empty_entry;
	else
		physical |= array->physical[index];
	entry->addend = addend;
	array->physical[index] = physical;
	if (permissions & TLB_READ)
		entry->read = page;
	if (permissions & TLB_WRITE) {
		entry->write = page;
		page_filter_add(&array->writable, physical >> PAGE_SHIFT);
	}
	if (permissions & TLB_EXECUTE)
		entry->execute = page;
	array->used |= group_bit(index);
	array->halves |= half_bit(linear);
	if (physical & TLB_GLOBAL)
		tlb->global_halves |= half_bit(linear);
	else
		array->local |= group_bit(index);
	note_large(array, linear, physical);
}

/* ---- code keys ---- */

static void renew_key(struct tlb *tlb, struct tlb_context *context)
{
	context->code_key = ++tlb->keys;
	context->global_key = tlb->code_key_global;
	page_filter_clear(&context->executed);
}

/* Other contexts find the difference when they become current. */
static void renew_global_key(struct tlb *tlb)
{
	tlb->code_key_global = ++tlb->keys;
	page_filter_clear(&tlb->executed_global);
	renew_key(tlb, tlb->current);
}

/* One number for any size of page. */
static u64 executed_number(u64 linear, unsigned size)
{
	unsigned shift = size == TLB_HUGE ? 30 : size == TLB_LARGE ? 22 : PAGE_SHIFT;
	return linear >> shift << 2 | size >> 1;
}

void tlb_note_executed(struct tlb *tlb, u64 linear, bool is_global, unsigned size)
{
	struct page_filter *filter = is_global ? &tlb->executed_global : &tlb->current->executed;
	page_filter_add(filter, executed_number(linear, size));
	if (is_global)
		tlb->global_halves |= half_bit(linear);
}

static bool may_be_executed(const struct page_filter *filter, u64 linear)
{
	return filter->is_filled &&
		(page_filter_may_hold(filter, executed_number(linear, 0)) ||
			page_filter_may_hold(filter, executed_number(linear, TLB_LARGE)) ||
			page_filter_may_hold(filter, executed_number(linear, TLB_HUGE)));
}

/* ---- contexts ---- */

static void context_create(struct tlb *tlb, struct tlb_context *context)
{
	for_each_array(array, context)
	{
		for (unsigned index = 0; index < TLB_SLOTS; index++)
			entry_clear(array, index);
		array_is_empty(array);
	}
	renew_key(tlb, context);
}

static void make_current(struct tlb *tlb, struct tlb_context *context)
{
	tlb->current = context;
	context->last_used = ++tlb->uses;
	for (unsigned mode = 0; mode < TLB_MODES_FILLED; mode++)
		tlb->by_mode[mode] = context->arrays[mode].entries;
	if (context->global_key != tlb->code_key_global)
		renew_key(tlb, context);
}

void tlb_init(struct tlb *tlb)
{
	for (unsigned i = 0; i < TLB_CONTEXTS; i++)
		tlb->contexts[i].last_used = 0;
	for (unsigned index = 0; index < TLB_SLOTS; index++)
		tlb->none[index] = empty_entry;
	tlb->by_mode[TLB_USER_ALIGNED] = tlb->none;
	tlb->global_halves = 0;
	tlb->current = &tlb->contexts[0];
	tlb->current->pcid = 0;
	renew_global_key(tlb);
	context_create(tlb, tlb->current);
	make_current(tlb, tlb->current);
}

static struct tlb_context *context_find(struct tlb *tlb, u16 pcid)
{
	for_each_context(context, tlb) if (context->pcid == pcid) return context;
	return NULL;
}

static void context_flush_non_global(struct tlb *tlb, struct tlb_context *context)
{
	for_each_array(array, context)
	{
		for_each_in_groups(index, array->local)
		{
			if (!(array->physical[index] & TLB_GLOBAL))
				entry_clear(array, index);
		}
		array->local = 0;
		page_filter_clear(&array->large[0]);
	}
	if (context->executed.is_filled)
		renew_key(tlb, context);
}

/* The one that has not been used for the longest time. */
static struct tlb_context *context_reuse(struct tlb *tlb)
{
	struct tlb_context *oldest = tlb->contexts;
	for (unsigned i = 1; i < TLB_CONTEXTS; i++)
		if (tlb->contexts[i].last_used < oldest->last_used)
			oldest = &tlb->contexts[i];
	if (!oldest->last_used)
		context_create(tlb, oldest);
	else
		context_flush_non_global(tlb, oldest);
	return oldest;
}

void tlb_select(struct tlb *tlb, u16 pcid)
{
	struct tlb_context *context = tlb->current;
	if (context->pcid == pcid)
		return;
	context = context_find(tlb, pcid);
	if (!context) {
		context = context_reuse(tlb);
		context->pcid = pcid;
	}
	make_current(tlb, context);
}

/* ---- flushes ---- */

void tlb_flush_used(struct tlb *tlb)
{
	for_each_context(context, tlb)
	{
		for_each_array(array, context)
		{
			for_each_in_groups(index, array->used) entry_clear(array, index);
			array_is_empty(array);
		}
	}
	tlb->global_halves = 0;
	renew_global_key(tlb);
}

void tlb_flush_non_global(struct tlb *tlb, u16 pcid)
{
	struct tlb_context *context = context_find(tlb, pcid);
	if (context)
		context_flush_non_global(tlb, context);
}

void tlb_flush_non_global_all(struct tlb *tlb)
{
	for_each_context(context, tlb) context_flush_non_global(tlb, context);
}

static bool in_scope(u64 physical, unsigned scope)
{
	return scope & (physical & TLB_GLOBAL ? TLB_SCOPE_GLOBAL : TLB_SCOPE_LOCAL);
}

/* Of a large page there may be any number of 4 KiB pieces here. Afterwards it is known exactly where there are some. */
static void drop_pieces(struct tlb_array *array, u64 linear, unsigned scope)
{
	page_filter_clear(&array->large[0]);
	page_filter_clear(&array->large[1]);
	for_each_in_groups(index, array->used)
	{
		u64 physical = array->physical[index];
		u64 page = entry_page(&array->entries[index]);
		u64 distance = page ^ linear;
		if (!(physical & (TLB_LARGE | TLB_HUGE)))
			continue;
		if (in_scope(physical, scope) && distance < (physical & TLB_HUGE ? GIB : 4 * MIB))
			entry_clear(array, index);
		else
			note_large(array, page, physical);
	}
}

static void array_drop_page(struct tlb_array *array, u64 linear, unsigned scope)
{
	unsigned own = tlb_index(linear);
	for (; own < TLB_SLOTS; own += TLB_ENTRIES)
		if (entry_page(&array->entries[own]) == (linear & PAGE_MASK) &&
			in_scope(array->physical[own], scope))
			entry_clear(array, own);
	if (((scope & TLB_SCOPE_LOCAL) && may_have_pieces(array, linear, false)) ||
		((scope & TLB_SCOPE_GLOBAL) && may_have_pieces(array, linear, true)))
		drop_pieces(array, linear, scope);
}

static void context_drop_page(
	struct tlb *tlb, struct tlb_context *context, u64 linear, unsigned scope)
{
	for_each_array(array, context)
	{
		if (array->halves & half_bit(linear))
			array_drop_page(array, linear, scope);
	}
	if ((scope & TLB_SCOPE_LOCAL) && may_be_executed(&context->executed, linear))
		renew_key(tlb, context);
}

void tlb_flush_page(struct tlb *tlb, u16 pcid, u64 linear, enum tlb_scope scope)
{
	struct tlb_context *own =
		tlb->current->pcid == pcid ? tlb->current : context_find(tlb, pcid);
	if (!(tlb->global_halves & half_bit(linear)))
		scope &= ~(unsigned)TLB_SCOPE_GLOBAL;
	if (own)
		context_drop_page(tlb, own, linear, scope);
	if (!(scope & TLB_SCOPE_GLOBAL))
		return;
	/* Global pages may be in all contexts. */
	for_each_context(context, tlb)
	{
		if (context != own)
			context_drop_page(tlb, context, linear, TLB_SCOPE_GLOBAL);
	}
	if (may_be_executed(&tlb->executed_global, linear))
		renew_global_key(tlb);
}

/* ---- physical pages ---- */

/* Finds out at the same time which pages may be written now: the filter only collects. */
static bool array_protect(struct tlb_array *array, u64 physical_page)
{
	bool found = false;
	page_filter_clear(&array->writable);
	for_each_in_groups(index, array->used)
	{
		struct tlb_entry *entry = &array->entries[index];
		u64 physical = array->physical[index] & PAGE_MASK;
		if (entry->write == TLB_INVALID)
			continue;
		if (physical == physical_page) {
			entry->write = TLB_INVALID;
			array->physical[index] |= TLB_WATCHED;
			found = true;
		} else {
			page_filter_add(&array->writable, physical >> PAGE_SHIFT);
		}
	}
	return found;
}

bool tlb_protect_physical(struct tlb *tlb, u64 physical_page)
{
	u64 number = physical_page >> PAGE_SHIFT;
	bool found = false;
	for_each_context(context, tlb)
	{
		for_each_array(array, context)
		{
			if (page_filter_may_hold(&array->writable, number))
				found |= array_protect(array, physical_page);
		}
	}
	return found;
}
