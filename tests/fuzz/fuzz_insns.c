/* SPDX-License-Identifier: MIT */
/*
 * A whole machine in any mode, with tables of all kinds: tests/hostile/scenario.c. The input is the mode, the paging's form, two bytes of
 * options, eight of a seed, and code.
 */
#include <string.h>

#include "tests/hostile/hostile.h"
#include "x86/model.h"

#define HEADER_BYTES 12
#define RUN_INSNS 3000

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t limit);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t limit, unsigned seed);

static struct hostile hostile;

static void start(void)
{
	if (!hostile.machine.vcpu_count)
		hostile_create(&hostile);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct scenario scenario = {.mode = size ? data[0] : 0};

	if (size < HEADER_BYTES)
		return 0;
	start();
	scenario.paging = data[1];
	memcpy(&scenario.options, data + 2, 2);
	memcpy(&scenario.seed, data + 4, 8);
	scenario.code = data + HEADER_BYTES;
	scenario.code_bytes = size - HEADER_BYTES;
	scenario_apply(&hostile, &scenario);
	scenario_run(&hostile, RUN_INSNS);
	return 0;
}

/* Every other time puts a valid instruction in, or over what is there. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t limit, unsigned seed)
{
	struct random random = {seed};
	u8 code[15];

	start();
	if (size < HEADER_BYTES && limit >= HEADER_BYTES) {
		random_fill(&random, data + size, HEADER_BYTES - size);
		size = HEADER_BYTES;
	}
	if (size < HEADER_BYTES || random_one_in(&random, 2))
		return LLVMFuzzerMutate(data, size, limit);
	size_t length = encode_random(
		&random, scenario_code_size(data[0]), hostile_cpu(&hostile)->model->features, code);
	size_t at = HEADER_BYTES + random_below(&random, size - HEADER_BYTES + 1);
	bool inserts = random_one_in(&random, 2) && size + length <= limit;

	if (!inserts && at + length > limit)
		return size;
	if (inserts) {
		memmove(data + at + length, data + at, size - at);
		size += length;
	}
	memcpy(data + at, code, length);
	return MAX(size, at + length);
}
