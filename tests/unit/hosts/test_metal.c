/* SPDX-License-Identifier: MIT */
/* What hosts/metal computes without a machine: free memory, what loaders say. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "hosts/metal/boot/boot_info.h"
#include "hosts/metal/memory/extents.h"

/* ---- extents ---- */

static struct extents extents;

static void start(void)
{
	memset(&extents, 0, sizeof(extents));
}

static void what_is_added_joins_its_neighbours(void **state)
{
	start();
	assert_true(extents_add(&extents, 0x1000, 0x2000));
	assert_true(extents_add(&extents, 0x3000, 0x4000));
	assert_int_equal(extents.count, 2);
	assert_true(extents_add(&extents, 0x2000, 0x3000));
	assert_int_equal(extents.count, 1);
	assert_int_equal(extents_bytes(&extents), 0x3000);
}

static void what_is_removed_splits_a_piece(void **state)
{
	start();
	assert_true(extents_add(&extents, 0, 0x10000));
	assert_true(extents_remove(&extents, 0x4000, 0x5000));
	assert_int_equal(extents.count, 2);
	assert_int_equal(extents_bytes(&extents), 0xf000);
	assert_true(extents_remove(&extents, 0, 0x20000));
	assert_int_equal(extents.count, 0);
}

static void what_is_taken_is_aligned_and_not_taken_twice(void **state)
{
	u64 first, second;
	start();
	assert_true(extents_add(&extents, 0x1000, 0x500000));
	assert_true(extents_take(&extents, 0x200000, 0x200000, &first));
	assert_int_equal(first, 0x200000);
	assert_false(extents_take(&extents, 0x200000, 0x200000, &second));
	assert_true(extents_take(&extents, 0x1000, 0x1000, &second));
	assert_int_equal(second, 0x1000);
}

/* Against a map of single pages. */
static void extents_agree_with_a_map_of_pages(void **state)
{
	static bool map[256];
	start();
	memset(map, 0, sizeof(map));
	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		u64 from = (u64)rand() % 256, to = from + (u64)rand() % (257 - from), at;
		bool adds = rand() % 2;
		if (rand() % 4 == 0 && extents_take(&extents, (to - from) * 4096, 4096, &at)) {
			for (u64 i = at / 4096; i < at / 4096 + to - from; i++) {
				assert_true(map[i]);
				map[i] = false;
			}
		} else {
			assert_true((adds ? extents_add : extents_remove)(
				&extents, from * 4096, to * 4096));
			for (u64 i = from; i < to; i++)
				map[i] = adds;
		}
		u64 pages = 0;
		for (unsigned i = 0; i < 256; i++)
			pages += map[i];
		assert_int_equal(extents_bytes(&extents), pages * 4096);
		for (unsigned i = 1; i < extents.count; i++)
			assert_true(extents.pieces[i - 1].end < extents.pieces[i].start);
	}
}

/* ---- boot information ---- */

static void options_are_words_of_the_command_line(void **state)
{
	struct boot_info info = {0};
	char value[8];
	boot_info_set_command_line(&info, "noexit-port=1 exit-port=0xf4 last=12345678901");
	assert_true(boot_info_option(&info, "exit-port", value, sizeof(value)));
	assert_string_equal(value, "0xf4");
	assert_true(boot_info_option(&info, "last", value, sizeof(value)));
	assert_string_equal(value, "1234567");
	assert_false(boot_info_option(&info, "port", value, sizeof(value)));
}

static void multiboot2_tags_are_read(void **state)
{
	static u32 words[64] __attribute__((aligned(8)));
	static const u32 tags[] = {/* size, reserved */
		0, 0,
		/* command line "a=b" */
		1, 12, 0x00623d61, 0,
		/* a module, and a second one */
		3, 20, 0x100000, 0x180000, 0, 0, 3, 20, 0x200000, 0x280000, 0, 0,
		/* memory: RAM at 1 MiB */
		6, 40, 24, 0, 0x100000, 0, 0x7f00000, 0, 1, 0,
		/* the end */
		0, 8};
	struct boot_info info;
	memcpy(words, tags, sizeof(tags));
	words[0] = sizeof(tags);
	assert_int_equal(boot_info_read(&info, BOOT_MAGIC_MULTIBOOT2, (u64)words), STATUS_OK);
	assert_string_equal(info.command_line, "a=b");
	assert_int_equal(info.module_start, 0x100000);
	assert_int_equal(info.module_bytes, 0x80000);
	assert_int_equal(info.range_count, 1);
	assert_int_equal(info.ranges[0].bytes, 0x7f00000);
	assert_int_equal(boot_info_read(&info, 0, 0), STATUS_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_added_joins_its_neighbours),
		cmocka_unit_test(what_is_removed_splits_a_piece),
		cmocka_unit_test(what_is_taken_is_aligned_and_not_taken_twice),
		cmocka_unit_test(extents_agree_with_a_map_of_pages),
		cmocka_unit_test(options_are_words_of_the_command_line),
		cmocka_unit_test(multiboot2_tags_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
