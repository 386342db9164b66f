/* SPDX-License-Identifier: MIT */
/* A RAM disk: what a machine reads is what it wrote, or the file, which stays as it is. */
#include "core/host.h"
#include "hosts/fake/fake.h"
#include "hosts/metal/backend/ram_disk.h"
#include "tests/unit/unit.h"

#define FILE_BYTES 20000 /* neither whole sectors nor whole pages */
#define DISK_BYTES 65536

static u8 file[FILE_BYTES], untouched[FILE_BYTES], mirror[DISK_BYTES];
static struct ram_disk disk;
static enum status outcome;
static unsigned done, settled;

static void on_done(struct block_request *request, enum status status)
{
	done++;
	outcome = status;
}

static void on_settle(void *device)
{
	settled++;
}

static int set_up(void **state)
{
	fake_reset();
	fake_random_state = 5;
	memset(mirror, 0, sizeof(mirror));
	for (unsigned i = 0; i < FILE_BYTES; i++)
		file[i] = mirror[i] = untouched[i] = (u8)(i * 7 + i / 251);
	assert_int_equal(
		ram_disk_init(&disk, file, FILE_BYTES, DISK_BYTES, DISK_BYTES, false), STATUS_OK);
	disk.backend.settle = on_settle;
	done = settled = 0;
	return 0;
}

static int tear_down(void **state)
{
	ram_disk_end(&disk);
	assert_int_equal(disk.own_pages, 0);
	assert_memory_equal(file, untouched, FILE_BYTES);
	return 0;
}

/* In two segments, of which the first ends anywhere. */
static enum status request(enum block_operation operation, u64 offset, u8 *host, u64 bytes)
{
	u64 cut = bytes ? bytes / 3 | 1 : 0;
	struct block_segment segments[] = {{host, cut}, {host + cut, bytes - cut}};
	struct block_request request = {
		.operation = operation,
		.offset = offset,
		.bytes = bytes,
		.segments = segments,
		.segment_count = 2,
		.done = on_done,
	};
	unsigned before = done, told = settled;

	disk.backend.ops->submit(&disk.backend, &request);
	disk.backend.ops->start(&disk.backend);
	disk.backend.ops->start(&disk.backend);
	disk.backend.ops->drain(&disk.backend);
	assert_int_equal(done, before + 1);
	assert_int_equal(settled, told + 1);
	return outcome;
}

static void assert_reads_as_mirror(void)
{
	static u8 all[DISK_BYTES];

	memset(all, 0xee, sizeof(all));
	assert_int_equal(request(BLOCK_READ, 0, all, sizeof(all)), STATUS_OK);
	assert_memory_equal(all, mirror, sizeof(all));
}

static void it_reads_as_the_file_and_zeroes(void **state)
{
	assert_int_equal(disk.backend.bytes, DISK_BYTES);
	assert_reads_as_mirror();
	assert_int_equal(disk.own_pages, 0);
	assert_int_equal(request(BLOCK_FLUSH, 0, NULL, 0), STATUS_OK);
}

static void a_size_is_whole_sectors(void **state)
{
	static struct ram_disk small;

	assert_int_equal(ram_disk_init(&small, file, 513, 0, 0, true), STATUS_OK);
	assert_int_equal(small.backend.bytes, 1024);
	assert_true(small.backend.is_read_only && !small.backend.can_discard);
	ram_disk_end(&small);
}

static void anything_written_anywhere_is_read(void **state)
{
	static u8 data[3 * RAM_DISK_PAGE_BYTES];

	for (unsigned round = 0; round < 2000; round++) {
		u32 random[3];
		u64 offset, bytes;

		host_random(random, sizeof(random));
		offset = random[0] % (DISK_BYTES / 512) * 512;
		bytes = (1 + random[1] % (sizeof(data) / 512)) * 512;
		bytes = MIN(bytes, DISK_BYTES - offset);
		memset(data, (int)round, bytes);
		if (random[2] % 4 == 0) {
			assert_int_equal(request(random[2] & 4 ? BLOCK_DISCARD : BLOCK_WRITE_ZEROES,
						 offset, NULL, bytes),
				STATUS_OK);
			memset(mirror + offset, 0, bytes);
		} else {
			assert_int_equal(request(BLOCK_WRITE, offset, data, bytes), STATUS_OK);
			memcpy(mirror + offset, data, bytes);
		}
		if (round % 16 == 0)
			assert_reads_as_mirror();
	}
	assert_reads_as_mirror();
	assert_int_equal(request(BLOCK_DISCARD, 0, NULL, DISK_BYTES), STATUS_OK);
	assert_int_equal(disk.own_pages, 0);
}

static void without_room_a_write_fails_and_the_disk_goes_on(void **state)
{
	static u8 data[2 * RAM_DISK_PAGE_BYTES];

	disk.own_pages_most = 1;
	assert_int_equal(request(BLOCK_WRITE, 0, data, sizeof(data)), STATUS_IO);
	assert_int_equal(request(BLOCK_WRITE, 0, data, RAM_DISK_PAGE_BYTES), STATUS_OK);
	disk.own_pages_most = 8;
	fake_allocations_left = 0;
	assert_int_equal(request(BLOCK_WRITE, 8192, data, 512), STATUS_IO);
	assert_int_equal(request(BLOCK_WRITE_ZEROES, 8192, NULL, 512), STATUS_IO);
	fake_allocations_left = ~0u;
	memset(mirror, 0, RAM_DISK_PAGE_BYTES);
	assert_reads_as_mirror();
	fake_allocations_left = 0;
	assert_int_equal(ram_disk_init(&(struct ram_disk){0}, file, FILE_BYTES, 0, 0, false),
		STATUS_NO_MEMORY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(it_reads_as_the_file_and_zeroes),
		TEST(a_size_is_whole_sectors),
		TEST(anything_written_anywhere_is_read),
		TEST(without_room_a_write_fails_and_the_disk_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
