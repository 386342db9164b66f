/* SPDX-License-Identifier: MIT */
/*
 * Power-off as ACPI describes it: SLP_TYP from \_S5 in the DSDT, written to PM1a_CNT (ACPI 6.4, 4.8.3.2.1 and 7.4.2). For guests of 32 and 64
 * bits; returns only if it failed, with a line that says so.
 */
#ifndef GUESTS_ACPI_H
#define GUESTS_ACPI_H

#include "guest.h"

static int same(const u8 *p, const char *text, int n)
{
	for (int i = 0; i < n; i++)
		if (p[i] != (u8)text[i])
			return 0;
	return 1;
}

static void power_off(void)
{
	u8 *rsdp = NULL, *fadt = NULL, *dsdt;
	u8 *volatile from = (u8 *)0xe0000;

	for (u8 *p = from; p < (u8 *)0x100000 && !rsdp; p += 16)
		if (same(p, "RSD PTR ", 8))
			rsdp = p;
	check("RSDP", rsdp != NULL);
	if (!rsdp)
		return;
	int wide = rsdp[15] >= 2;
	u8 *sdt = (u8 *)(word) * (u32 *)(rsdp + (wide ? 24 : 16));
	for (u32 i = 36; i < *(u32 *)(sdt + 4); i += wide ? 8 : 4)
		if (same((u8 *)(word) * (u32 *)(sdt + i), "FACP", 4))
			fadt = (u8 *)(word) * (u32 *)(sdt + i);
	check("FADT", fadt != NULL);
	if (!fadt)
		return;
	dsdt = (u8 *)(word) * (u32 *)(fadt + 40);
	if (fadt[8] >= 3 && *(u32 *)(fadt + 140))
		dsdt = (u8 *)(word) * (u32 *)(fadt + 140);
	check("DSDT", same(dsdt, "DSDT", 4));
	u8 *s5 = NULL;
	for (u32 i = 36; i < *(u32 *)(dsdt + 4) - 4; i++)
		if (same(dsdt + i, "_S5_", 4))
			s5 = dsdt + i + 4;
	check("_S5", s5 && s5[0] == 0x12);
	if (!s5)
		return;
	/*
	 * PackageOp, PkgLength (one to four bytes), count, then the first integer: Zero, One or a
	 * byte
	 */
	s5 += 1 + 1 + (s5[1] >> 6) + 1;
	u16 type = *s5 == 0x0a ? s5[1] : *s5 == 1;
	u16 port = (u16) * (u32 *)(fadt + 64);
	/* ACPI mode first, if there is a way to ask for it */
	if (*(u32 *)(fadt + 48) && fadt[52] && !(inw(port) & 1)) {
		outb((u16) * (u32 *)(fadt + 48), fadt[52]);
		for (u32 i = 0; i < 1000000 && !(inw(port) & 1); i++)
			;
	}
	check("SCI_EN", inw(port) & 1);
	outw(port, (u16)((inw(port) & 0xc3ff) | type << 10 | 1 << 13));
	for (volatile int i = 0; i < 10000000; i++)
		;
	print("came back: NO\n");
	failed = 1;
}

#endif
