/* SPDX-License-Identifier: MIT */
/*
 * A wire as a value: a chip is given one by the board and never knows where it ends. An MSI is a wire whose far
 * end is a message.
 */
#ifndef CORE_IRQ_H
#define CORE_IRQ_H

#include "base/types.h"

struct irq {
	void (*set)(void *owner, unsigned line, bool level); /* NULL: not connected */
	void *owner;
	unsigned line;
};

static inline void irq_set(const struct irq *irq, bool level)
{
	if (irq->set)
		irq->set(irq->owner, irq->line, level);
}

static inline void irq_raise(const struct irq *irq)
{
	irq_set(irq, true);
}

static inline void irq_lower(const struct irq *irq)
{
	irq_set(irq, false);
}

/* An edge. */
static inline void irq_pulse(const struct irq *irq)
{
	irq_set(irq, true);
	irq_set(irq, false);
}

#endif
