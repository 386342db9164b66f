/* SPDX-License-Identifier: MIT */
/*
 * A disk, named by WORK_DISK: a block device, past the page cache of the system that this runs on; or natively a file, which that
 * system's page cache holds, as the host's holds the guests' disks. All that is read was written before.
 */
#include "tests/bench/workloads/work.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AREA = 256 << 20, BIG = 1 << 20, SMALL = 4096, DEPTH = 16 };

static int disk = -1;
static u64 position;

static const char *lacks_disk(void)
{
	return getenv("WORK_DISK") ? NULL : "a disk";
}

static long put(size_t size, u64 at)
{
	return pwrite(disk, buffer, size, (off_t)at);
}

static long get(size_t size, u64 at)
{
	return pread(disk, buffer, size, (off_t)at);
}

static void open_disk(void)
{
	struct stat of;

	if (disk >= 0)
		return;
	disk = (int)must(open(getenv("WORK_DISK"), O_RDWR), "the disk");
	must(fstat(disk, &of), "fstat");
	if (S_ISBLK(of.st_mode))
		must(fcntl(disk, F_SETFL, O_DIRECT), "O_DIRECT");
	for (u64 at = 0; at < AREA; at += BIG)
		must(put(BIG, at), "filling the disk");
}

static u64 sequential(long (*transfer)(size_t, u64), u64 times)
{
	while (times--) {
		must(transfer(BIG, position), "a MiB of the disk");
		position = (position + BIG) % AREA;
	}
	return 1;
}

static u64 read_sequential(u64 times)
{
	return sequential(get, times);
}

static u64 write_sequential(u64 times)
{
	return sequential(put, times);
}

static u64 place(u64 *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return (*state >> 33) % (AREA / SMALL) * SMALL;
}

struct share {
	u64 times, state;
	u8 *memory;
	int is_write;
};

static void *random_share(void *data)
{
	struct share *share = data;

	for (u64 i = 0; i < share->times; i++) {
		off_t at = (off_t)place(&share->state);
		must(share->is_write ? pwrite(disk, share->memory, SMALL, at)
				     : pread(disk, share->memory, SMALL, at),
			"4 KiB of the disk");
	}
	return NULL;
}

static u64 at_random(int is_write, unsigned depth, u64 times)
{
	struct share shares[DEPTH];
	pthread_t threads[DEPTH];

	for (unsigned i = 0; i < depth; i++)
		shares[i] = (struct share){.times = times / depth + (i < times % depth),
			.state = next_random(),
			.memory = buffer + i * SMALL,
			.is_write = is_write};
	for (unsigned i = 1; i < depth; i++)
		if (pthread_create(threads + i, NULL, random_share, shares + i))
			fail("a thread");
	random_share(shares);
	for (unsigned i = 1; i < depth; i++)
		pthread_join(threads[i], NULL);
	return 1;
}

static u64 read_1(u64 times)
{
	return at_random(0, 1, times);
}

static u64 write_1(u64 times)
{
	return at_random(1, 1, times);
}

static u64 read_16(u64 times)
{
	return at_random(0, DEPTH, times);
}

static u64 write_16(u64 times)
{
	return at_random(1, DEPTH, times);
}

const struct workload disk_work[] = {
	{"disk-read-1MiB", open_disk, .run = read_sequential, .lacks = lacks_disk},
	{"disk-write-1MiB", open_disk, .run = write_sequential, .lacks = lacks_disk},
	{"disk-read-4KiB-depth-1", open_disk, .run = read_1, .lacks = lacks_disk},
	{"disk-write-4KiB-depth-1", open_disk, .run = write_1, .lacks = lacks_disk},
	{"disk-read-4KiB-depth-16", open_disk, .run = read_16, .lacks = lacks_disk},
	{"disk-write-4KiB-depth-16", open_disk, .run = write_16, .lacks = lacks_disk},
	{NULL},
};
