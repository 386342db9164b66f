/* SPDX-License-Identifier: MIT */
/* Random instruction streams in every mode: random bytes, valid encodings, and both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/hostile/hostile.h"
#include "x86/decode/decode.h"
#include "x86/model.h"

#define STREAM_BYTES 1024
#define STREAM_INSNS 2000

static struct hostile hostile;

static size_t make_code(struct random *random, unsigned code_size, u64 features, u8 *code)
{
	size_t length = 0;

	while (length < STREAM_BYTES - 15) {
		if (random_one_in(random, 10))
			code[length++] = (u8)random_next(random);
		else
			length += encode_random(random, code_size, features, code + length);
	}
	return length;
}

/* The machine against a saved one. */
static void print_difference(struct hostile_buffer *other)
{
	static struct hostile second;
	static char lines[8192];
	struct text text;

	hostile_create(&second);
	if (hostile_load(&second, other) != STATUS_OK)
		return;
	text_init(&text, lines, sizeof(lines));
	state_diff(&hostile.machine, &second.machine, &text);
	fprintf(stderr, "%s", lines);
}

static void print_code(const struct scenario *scenario, u64 features)
{
	unsigned size = scenario_code_size(scenario->mode);
	char buffer[256];
	struct text text;

	fprintf(stderr, "mode %u paging %u options %04x\n", scenario->mode, scenario->paging,
		scenario->options);
	for (size_t at = 0; at + 15 < scenario->code_bytes;) {
		struct insn insn;
		enum decode_result result = decode(scenario->code + at, 15, size, features, &insn);

		text_init(&text, buffer, sizeof(buffer));
		insn_print(&text, &insn, at);
		fprintf(stderr, "%4zx: %s\n", at, result == DECODE_OK ? buffer : "?");
		at += result == DECODE_OK ? insn.length : 1;
	}
}

/*
 * Saved in between and loaded again, the stream must end as it does without. Not where there is paging: what a guest that does not flush
 * its TLB sees may differ.
 */
static void check_saving(const struct scenario *scenario)
{
	static struct hostile_buffer broken, whole;
	bool paged = hostile_cpu(&hostile)->cr0 & CR0_PG;

	hostile_save_and_load(&hostile);
	scenario_run(&hostile, STREAM_INSNS);
	if (hostile_save(&hostile, &broken) != STATUS_OK)
		abort();
	if (paged || (hostile_cpu(&hostile)->cr0 & CR0_PG) || machine_has_ended(&hostile.machine))
		return;
	scenario_apply(&hostile, scenario);
	scenario_run(&hostile, 2 * STREAM_INSNS);
	if (hostile_save(&hostile, &whole) != STATUS_OK)
		abort();
	if (whole.length == broken.length && !memcmp(whole.bytes, broken.bytes, whole.length))
		return;
	fprintf(stderr, "saved in between it ends otherwise\n");
	print_difference(&broken);
	abort();
}

static void run_stream(u64 seed, u64 number)
{
	static u8 code[STREAM_BYTES];
	struct random random = {seed * 0x1000003 + number};
	struct scenario scenario;

	if (!hostile.machine.vcpu_count)
		hostile_create(&hostile);
	u64 features = hostile_cpu(&hostile)->model->features;
	scenario = (struct scenario){.mode = (u8)(number % SCENARIO_MODES),
		.paging = (u8)random_below(&random, SCENARIO_PAGINGS),
		.options = (u16)(random_next(&random) & random_next(&random)),
		.seed = random_next(&random),
		.code = code,
		.code_bytes = STREAM_BYTES};
	if (random_one_in(&random, 4))
		random_fill(&random, code, sizeof(code));
	else
		scenario.code_bytes =
			make_code(&random, scenario_code_size(scenario.mode), features, code);
	if (getenv("VERBOSE"))
		print_code(&scenario, features);
	scenario_apply(&hostile, &scenario);
	scenario_run(&hostile, STREAM_INSNS);
	if (number / SCENARIO_MODES % 2 == 0)
		check_saving(&scenario);
}

int main(int argc, char **argv)
{
	static const struct hostile_program program = {"streams", 10000, run_stream};

	return hostile_main(argc, argv, &program);
}
