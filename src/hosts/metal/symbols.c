/* SPDX-License-Identifier: MIT */
#include "hosts/metal/symbols.h"

struct symbol {
	u64 address;
	const char *name;
};

/* By address; of the first linking there are none. */
extern const struct symbol symbols[] __attribute__((weak));
extern const u64 symbol_count __attribute__((weak));

const char *symbol_find(u64 address, u64 *offset)
{
	u64 first = 0, last = &symbol_count ? symbol_count : 0;

	while (first < last) {
		u64 middle = (first + last) / 2;
		if (symbols[middle].address <= address)
			first = middle + 1;
		else
			last = middle;
	}
	*offset = first ? address - symbols[first - 1].address : address;
	return first ? symbols[first - 1].name : "?";
}
