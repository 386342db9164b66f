/* SPDX-License-Identifier: MIT */
/* Archives of the newc format, with hard links, and every way in which one can be cut short or wrong. */

#include "control/cpio.h"
#include "tests/unit/unit.h"

static u8 archive[16384];
static size_t archive_bytes;
static struct error error;

/* One entry, as the format's page describes it. */
static void add(const char *name, unsigned mode, unsigned inode, unsigned links, const char *data)
{
	size_t name_bytes = strlen(name) + 1, bytes = strlen(data);
	char *at = (char *)archive + archive_bytes;

	archive_bytes +=
		(size_t)sprintf(at, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x",
			inode, mode, 0, 0, links, 0, bytes, 8, 1, 0, 0, name_bytes, 0);
	memcpy(archive + archive_bytes, name, name_bytes);
	archive_bytes = (archive_bytes + name_bytes + 3) & ~(size_t)3;
	memcpy(archive + archive_bytes, data, bytes);
	archive_bytes = (archive_bytes + bytes + 3) & ~(size_t)3;
}

static int set_up(void **state)
{
	memset(archive, 0, sizeof(archive));
	archive_bytes = 0;
	add(".", 0040755, 1, 2, "");
	add("./machines.json", 0100644, 2, 1, "{}");
	add("dir/one", 0100644, 3, 2, "");
	add("two", 0100644, 3, 2, "linked");
	add("link", 0120777, 4, 1, "two");
	add("empty", 0100644, 5, 1, "");
	add("TRAILER!!!", 0, 0, 1, "");
	return 0;
}

static enum status find(const char *name, struct cpio_entry *entry)
{
	error.text[0] = 0;
	return cpio_find(archive, archive_bytes, name, entry, &error);
}

static void files_are_found(void **state)
{
	struct cpio_entry entry;

	assert_int_equal(find("machines.json", &entry), STATUS_OK);
	assert_int_equal(entry.bytes, 2);
	assert_memory_equal(entry.data, "{}", 2);
	assert_int_equal(find("/two", &entry), STATUS_OK);
	assert_int_equal(find("./dir/one", &entry), STATUS_OK);
	assert_int_equal(entry.bytes, 6);
	assert_memory_equal(entry.data, "linked", 6);
	assert_int_equal(find("empty", &entry), STATUS_OK);
	assert_int_equal(entry.bytes, 0);
	assert_int_equal(find("three", &entry), STATUS_NOT_FOUND);
	assert_non_null(strstr(error.text, "three"));
	assert_int_equal(find("link", &entry), STATUS_INVALID);
	assert_int_equal(find("TRAILER!!!", &entry), STATUS_NOT_FOUND);
}

static void what_is_cut_short_is_told(void **state)
{
	size_t whole = archive_bytes;

	/* Behind the end's name only padding is left. */
	for (size_t cut = 0; cut < whole - 3; cut++) {
		u8 *copy = malloc(cut ? cut : 1);
		struct cpio_entry entry;

		memcpy(copy, archive, cut);
		error.text[0] = 0;
		assert_int_equal(cpio_find(copy, cut, "not there", &entry, &error), STATUS_INVALID);
		assert_true(strlen(error.text) > 0);
		free(copy);
	}
}

static void what_is_wrong_is_told(void **state)
{
	struct cpio_entry entry;

	archive[5] = '7';
	assert_int_equal(find("two", &entry), STATUS_INVALID);
	archive[5] = '1';
	archive[20] = 'x';
	assert_int_equal(find("two", &entry), STATUS_INVALID);
	archive[20] = '0';
	memcpy(archive + 94, "ffffffff", 8); /* the name's length */
	assert_int_equal(find("two", &entry), STATUS_INVALID);
	memcpy(archive + 94, "00000000", 8);
	assert_int_equal(find("two", &entry), STATUS_INVALID);
	memcpy(archive + 94, "00000001", 8); /* no terminator */
	assert_int_equal(find("two", &entry), STATUS_INVALID);
	memcpy(archive + 94, "00000002", 8);
	memcpy(archive + 54, "fffffff0", 8); /* the file's */
	assert_int_equal(find("two", &entry), STATUS_INVALID);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(files_are_found, set_up),
		cmocka_unit_test_setup(what_is_cut_short_is_told, set_up),
		cmocka_unit_test_setup(what_is_wrong_is_told, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
