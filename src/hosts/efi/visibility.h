/* SPDX-License-Identifier: MIT */
/* Included in front of every file of the UEFI application: whatever is declared lies in it, and so needs no table of addresses. */
#pragma GCC visibility push(hidden)
