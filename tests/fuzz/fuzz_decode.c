/* SPDX-License-Identifier: MIT */
/* Any bytes, in any mode, decode to something whole, print to something that ends, and never depend on what lies behind. */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "x86/decode/decode.h"
#include "x86/features.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct insn insn;
	char buffer[32];
	struct text text;
	enum decode_result result;

	if (size < 2)
		return 0;
	/* The fuzzer's buffer ends where the bytes do: reading on is seen. */
	result = decode(data + 1, (unsigned)(size - 1), (enum insn_size)(SIZE_16 + data[0] % 3),
		data[0] & 0x80 ? ~(u64)0 : 1, &insn);
	if (result == DECODE_INCOMPLETE) {
		require(size - 1 < 15);
		return 0;
	}
	require(insn.length >= 1 && insn.length <= 15 && insn.length <= size - 1 && insn.execute);
	text_init(&text, buffer, sizeof(buffer));
	insn_print(&text, &insn, 0x1000);
	require(strlen(buffer) == text.length);
	return 0;
}
