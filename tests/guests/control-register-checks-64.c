/* SPDX-License-Identifier: MIT */
/* Changes of control registers that are refused in long mode (AMD64 volume 2, 3.1 and 14.6). */
#include "guest.h"

#define CR0_TRY(name, v)                                                                      \
	do {                                                                                  \
		TRY(__asm__ volatile(CODE("mov %0, %%cr0") "mov %1, %%cr0" ::"r"(v), "r"(cr0) \
				     : "memory"));                                            \
		report(name);                                                                 \
	} while (0)
#define CR4_TRY(name, v)                                                                      \
	do {                                                                                  \
		TRY(__asm__ volatile(CODE("mov %0, %%cr4") "mov %1, %%cr4" ::"r"(v), "r"(cr4) \
				     : "memory"));                                            \
		report(name);                                                                 \
	} while (0)

void guest_main(void)
{
	word cr0 = cr0_get(), cr4 = cr4_get();
	u32 r[4];

	cpuid(0x40000000, 0, r);
	if (r[1] == 0x54474354) /* "TCGT" */
		skip("QEMU hangs at reserved bits of CR4");
	CR0_TRY("cr0: PG without PE", cr0 & ~CR0_PE);
	for (int bit = 24; bit < 64; bit += bit == 34 ? 29 : 1) {
		print("cr4: bit %d", bit);
		CR4_TRY("", cr4 | 1ul << bit);
	}
	CR4_TRY("cr4: bit 19", cr4 | 1ul << 19);
	CR4_TRY("cr4: PAE off in long mode", cr4 & ~CR4_PAE);
	CR4_TRY("cr4: every bit that the model has but PCIDE",
		cr4 | CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT |
			CR4_OSXSAVE | CR4_SMEP | CR4_SMAP);
	value("cr4 afterwards is as before", cr4_get() == cr4);
	SHOW("cr3: bit 52", "mov %0, %%cr3", "r"(cr3_get() | 1ul << 52));
	if (HAS_PCID) {
		CR4_TRY("cr4: PCIDE with a PCID of 0", cr4 | CR4_PCIDE);
		cr3_set(cr3_get() | 8);
		CR4_TRY("cr4: PCIDE with a PCID of 8", cr4 | CR4_PCIDE);
		cr3_set(cr3_get() & ~8ul);
	}
}
