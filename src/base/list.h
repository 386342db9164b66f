/* SPDX-License-Identifier: MIT */
/* Doubly linked lists with the node inside the element. A head is a node of its own. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/types.h"

struct list {
	struct list *next, *previous;
};

static inline void list_init(struct list *head)
{
	head->next = head->previous = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

/* Puts node before `at`; before the head is the end of the list. */
static inline void list_insert_before(struct list *at, struct list *node)
{
	node->previous = at->previous;
	node->next = at;
	at->previous->next = node;
	at->previous = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert_before(head, node);
}

/* The node afterwards is a list of its own, so that removing twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	list_init(node);
}

#define list_for_each(node, head) \
	for (struct list *node = (head)->next; node != (head); node = node->next)

/* The same where the body may remove node. */
#define list_for_each_safe(node, head)                                                    \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
		node = node##_next, node##_next = node->next)

#endif
