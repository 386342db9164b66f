/* SPDX-License-Identifier: MIT */
/*
 * Translations that jump to each other, and the end of that. Each is one store of 4 or 8 bytes that its own thread
 * executes later: translations belong to one vCPU.
 */
#include "base/memory.h"
#include "engines/translator/translator.h"

static void set_key(struct translator *t, const struct edge *edge, u64 value)
{
	if (edge->key)
		memcpy(t->code.write + edge->key, &value, sizeof(value));
}

static void edge_unlink(struct translator *t, struct edge *edge)
{
	struct edge **at = &edge->target->incoming;
	while (*at != edge)
		at = &(*at)->next;
	*at = edge->next;
	edge->target = NULL;
	set_key(t, edge, 0);
	code_patch(&t->code, edge->jump, edge->unlinked);
}

void edge_link(struct translator *t, struct edge *edge, struct translation *target, u64 key,
	bool is_global)
{
	if (edge->target && edge->target != target)
		edge_unlink(t, edge);
	if (!edge->target) {
		edge->target = target;
		edge->next = target->incoming;
		target->incoming = edge;
		code_patch(&t->code, edge->jump,
			edge->flags_saved ? target->entry_saved : target->entry_host);
	}
	if (edge->key) {
		u32 word = (u32)OFFSET_WORD(is_global ? WORD_CODE_KEY_GLOBAL : WORD_CODE_KEY);
		memcpy(t->code.write + edge->key_word, &word, sizeof(word));
	}
	set_key(t, edge, -key);
}

void translation_drop(struct translator *t, struct translation *translation)
{
	for (u32 i = 0; i < translation->edge_count; i++)
		if (translation->edges[i].target)
			edge_unlink(t, &translation->edges[i]);
	while (translation->incoming)
		edge_unlink(t, translation->incoming);
	/* Indirect jumps may still know it. */
	t->code.write[translation->entry_saved] = 0xe9;
	code_patch(&t->code, translation->entry_saved + 1, translation->dropped);
	translation->block->translation = NULL;
}
