/* SPDX-License-Identifier: MIT */
/* What the assembly and the C of the first instructions have in common. Numbers only. */
#ifndef HOSTS_METAL_BOOT_LAYOUT_H
#define HOSTS_METAL_BOOT_LAYOUT_H

#define BOOT_STACK_BYTES 32768 /* the first one a guard page: memory/paging.c */

#define BOOT_CR0 0x80010033 /* PE, MP, ET, NE, WP, PG */
#define BOOT_CR4 0x620	    /* PAE, OSFXSR, OSXMMEXCPT */
#define BOOT_EFER 0x900	    /* LME, NXE */

/* The page of the other processors' first instructions, below 1 MiB: the vector of a start-up message is its number. */
#define TRAMPOLINE_ADDRESS 0x8000

#endif
