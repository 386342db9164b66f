/* SPDX-License-Identifier: MIT */
/* Shares and limits of hosts/metal's scheduler, in simulated time. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "hosts/metal/schedule/fair.h"

#define SHARES_MAX 12

/* One processor: shares that always want to run, or sleep now and then. */
struct load {
	struct fair_queue queue;
	struct fair_share shares[SHARES_MAX];
	u64 ran_ns[SHARES_MAX];
	u64 wakes_ns[SHARES_MAX]; /* 0: it is not asleep */
	u64 sleep_ns[SHARES_MAX]; /* 0: it never sleeps */
	unsigned count;
	u64 now_ns, idle_ns;
};

static void load_init(struct load *load, unsigned count)
{
	memset(load, 0, sizeof(*load));
	fair_queue_init(&load->queue);
	load->count = count;
	load->now_ns = 1000000000;
}

static void load_add(struct load *load, unsigned i, u64 weight, u64 limit)
{
	fair_share_init(&load->shares[i], weight, limit);
	fair_add(&load->queue, &load->shares[i], true);
}

static void wake_sleepers(struct load *load)
{
	for (unsigned i = 0; i < load->count; i++)
		if (load->wakes_ns[i] && load->wakes_ns[i] <= load->now_ns) {
			load->wakes_ns[i] = 0;
			fair_add(&load->queue, &load->shares[i], true);
		}
}

static u64 next_wake(const struct load *load)
{
	u64 next = ~(u64)0;
	for (unsigned i = 0; i < load->count; i++)
		if (load->wakes_ns[i])
			next = MIN(next, load->wakes_ns[i]);
	return next;
}

/* One turn of schedule/thread.c: until whatever comes first. */
static void step(struct load *load, u64 end_ns)
{
	wake_sleepers(load);
	struct fair_share *share = fair_take(&load->queue, load->now_ns);
	u64 until = MIN(fair_deadline(&load->queue, share, load->now_ns), next_wake(load));
	until = MAX(MIN(until, end_ns), load->now_ns + 1);
	u64 ns = until - load->now_ns;
	load->now_ns = until;
	if (!share) {
		load->idle_ns += ns;
		return;
	}
	unsigned i = (unsigned)(share - load->shares);
	load->ran_ns[i] += ns;
	fair_charge(&load->queue, share, ns, load->now_ns);
	if (load->sleep_ns[i])
		load->wakes_ns[i] = load->now_ns + load->sleep_ns[i];
	else
		fair_add(&load->queue, share, false);
}

static void run(struct load *load, u64 ns)
{
	u64 end_ns = load->now_ns + ns;
	while (load->now_ns < end_ns)
		step(load, end_ns);
}

static void shares_are_as_the_weights(void **state)
{
	struct load load;
	load_init(&load, 2);
	load_add(&load, 0, 300, 0);
	load_add(&load, 1, 100, 0);
	run(&load, 4000000000);
	assert_in_range(load.ran_ns[0], 2950000000, 3050000000);
	assert_int_equal(load.idle_ns, 0);
}

static void a_limit_holds_though_the_processor_is_idle(void **state)
{
	struct load load;
	load_init(&load, 1);
	load_add(&load, 0, 100, 30);
	run(&load, 2000000000);
	assert_in_range(load.ran_ns[0], 590000000, 630000000);
}

static void one_that_has_slept_long_does_not_starve_others(void **state)
{
	struct load load;
	load_init(&load, 2);
	load_add(&load, 0, 100, 0);
	fair_share_init(&load.shares[1], 100, 0);
	run(&load, 1000000000);
	fair_add(&load.queue, &load.shares[1], true);
	u64 before = load.ran_ns[0];
	run(&load, 100000000);
	assert_in_range(load.ran_ns[0] - before, 40000000, 60000000);
}

/* What each may have of the processor's time when all want it: shares by weight, of which those with less a limit take only that. */
static void expect_shares(const struct load *load, u64 total_ns, double *expected)
{
	bool is_limited[SHARES_MAX] = {false}, changed = true;
	while (changed) {
		double left = (double)total_ns, weights = 0;
		changed = false;
		for (unsigned i = 0; i < load->count; i++) {
			if (is_limited[i])
				left -= expected[i];
			else
				weights += (double)load->shares[i].weight;
		}
		for (unsigned i = 0; i < load->count; i++) {
			double limit =
				(double)load->shares[i].limit_percent * (double)total_ns / 100;
			if (is_limited[i])
				continue;
			expected[i] = left * (double)load->shares[i].weight / weights;
			if (limit != 0 && limit < expected[i]) {
				expected[i] = limit;
				is_limited[i] = changed = true;
			}
		}
	}
}

static void a_thousand_random_loads_get_what_is_theirs(void **state)
{
	const u64 total_ns = 10000000000;
	srand(3);
	for (unsigned round = 0; round < 1000; round++) {
		double expected[SHARES_MAX];
		struct load load;
		load_init(&load, 1 + (unsigned)rand() % SHARES_MAX);
		for (unsigned i = 0; i < load.count; i++)
			load_add(&load, i, 50 + (u64)rand() % 400,
				rand() % 3 ? 0 : 5 + (u64)rand() % 60);
		run(&load, total_ns);
		expect_shares(&load, total_ns, expected);
		for (unsigned i = 0; i < load.count; i++) {
			double error = (double)load.ran_ns[i] - expected[i];
			/* A period's budget and a few slices at either end. */
			if (error < -0.02 * (double)total_ns || error > 0.02 * (double)total_ns)
				fail_msg("round %u: share %u ran %.3f s, expected %.3f", round, i,
					(double)load.ran_ns[i] / 1e9, expected[i] / 1e9);
		}
	}
}

/* Those that sleep often are never kept waiting for long, whatever the others' weights. */
static void sleepers_do_not_starve_and_nobody_does(void **state)
{
	srand(4);
	for (unsigned round = 0; round < 100; round++) {
		struct load load;
		load_init(&load, 2 + (unsigned)rand() % (SHARES_MAX - 1));
		for (unsigned i = 0; i < load.count; i++) {
			load_add(&load, i, 1 + (u64)rand() % 1000, 0);
			load.sleep_ns[i] = i && rand() % 2 ? 1000000 + (u64)rand() % 20000000 : 0;
		}
		run(&load, 20000000000);
		for (unsigned i = 0; i < load.count; i++)
			assert_true(load.ran_ns[i] > 0);
		assert_int_equal(load.idle_ns, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_are_as_the_weights),
		cmocka_unit_test(a_limit_holds_though_the_processor_is_idle),
		cmocka_unit_test(one_that_has_slept_long_does_not_starve_others),
		cmocka_unit_test(a_thousand_random_loads_get_what_is_theirs),
		cmocka_unit_test(sleepers_do_not_starve_and_nobody_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
