/* SPDX-License-Identifier: MIT */
/*
 * Page-table walks in all three forms, the TLB's refill, and control register changes that concern them:
 * APM volume 2 chapter 5, SDM volume 3 chapter 4. The access functions themselves are declared in x86/access.h.
 */
#ifndef X86_PAGING_H
#define X86_PAGING_H

#include "x86/access.h"
#include "x86/cpu.h"

/* Error code bits of #PF. */
#define PF_PRESENT BIT(0)
#define PF_WRITE BIT(1)
#define PF_USER BIT(2)
#define PF_RESERVED BIT(3)
#define PF_FETCH BIT(4)

/* A page with code. */
struct code_location {
	const u8 *host; /* the page's address in RAM */
	u64 physical;	/* guest-physical page */
	bool is_global;
};

/*
 * Where the code at `linear` (with CS's base added, one byte) lies. Raises #PF, #GP. False where it is not RAM (then it is
 * fetched byte by byte with paging_fetch). What is remembered of the answer holds under cpu->code_key, or code_key_global
 * for a global page, as they are after this call: the TLB takes note that the page was asked for, so that a mapping
 * found in any other way (an entry of the TLB) must not be remembered.
 */
bool paging_code_page(struct cpu *cpu, u64 linear, struct code_location *location);
/* Up to `bytes` code bytes from linear on, page by page, into buffer: how many could be had without a fault. */
unsigned paging_fetch(struct cpu *cpu, u64 linear, u8 *buffer, unsigned bytes);
/* Raises the fault that fetching the byte at linear brings. Returns if there is none. */
void paging_fetch_probe(struct cpu *cpu, u64 linear);

/* For debuggers: translates without side effects (no A, D, no TLB); false where nothing is mapped. */
bool paging_translate_debug(struct cpu *cpu, u64 linear, u64 *physical);

/* MOV to CR0, CR3, CR4 and WRMSR EFER with all their checks (#GP) and effects, flushes and PDPTE loads included. */
void control_set_cr0(struct cpu *cpu, u64 value);
void control_set_cr3(struct cpu *cpu, u64 value);
void control_set_cr4(struct cpu *cpu, u64 value);
void control_set_efer(struct cpu *cpu, u64 value);
/* The bits of CR4 that the model has. */
u64 control_cr4_allowed(const struct cpu *cpu);
bool control_efer_allows(const struct cpu *cpu, u64 value);

void paging_invalidate_page(struct cpu *cpu, u64 linear); /* INVLPG */
void paging_invalidate_pcid(struct cpu *cpu, unsigned type, u64 pcid, u64 linear);
/*
 * Everything, global pages too; the current context is then that of CR3 and CR4, so that it is also what to call after
 * loading them from elsewhere.
 */
void paging_flush(struct cpu *cpu);
/* CR3 has been loaded: the address space's context is taken, and what it has of pages not global dropped unless `keeps`. */
void paging_cr3_changed(struct cpu *cpu, bool keeps);

static always_inline bool address_is_canonical(u64 linear)
{
	return (u64)sign_extend(linear, 48) == linear;
}

#endif
