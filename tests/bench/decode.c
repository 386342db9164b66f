/* SPDX-License-Identifier: MIT */
/* How many instructions a second the decoder does, over code that a compiler made: its own text, or any raw file. */
#include <stdio.h>
#include <time.h>

#include "base/bits.h"
#include "x86/decode/decode.h"
#include "x86/features.h"

extern const u8 etext[]; /* the linker's */

/* Of CPU time: the machine may be shared. */
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static u64 decode_all(const u8 *at, const u8 *end)
{
	struct insn insn;
	u64 count = 0;

	for (; end - at > 15; count++) {
		if (decode(at, 15, SIZE_64, BIT(FEATURE_COUNT) - 1, &insn) == DECODE_INCOMPLETE)
			break;
		at += insn.length;
	}
	return count;
}

int main(int argc, char **argv)
{
	static u8 file_bytes[4 << 20];
	const u8 *from = (const u8 *)&decode_all, *end = etext;
	double start;
	u64 count = 0;

	if (argc > 1) {
		FILE *file = fopen(argv[1], "rb");
		if (!file) {
			perror(argv[1]);
			return 1;
		}
		from = file_bytes;
		end = file_bytes + fread(file_bytes, 1, sizeof(file_bytes), file);
		fclose(file);
	}
	start = seconds();
	while (seconds() - start < 1)
		count += decode_all(from, end);
	printf("%.1f million instructions decoded a second of CPU time (%zu bytes of code)\n",
		(double)count / (seconds() - start) / 1e6, (size_t)(end - from));
	return 0;
}
