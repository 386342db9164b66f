/* SPDX-License-Identifier: MIT */
/*
 * qcow2 make RAW BYTES SEED               a raw file of stamped sectors and zeroes
 * qcow2 dump IMAGE RAW [BACKING]          reads all of the disk
 * qcow2 random IMAGE RAW SEED OPERATIONS [BACKING]
 *                                         random writes, zeroes, discards and flushes, every read checked; RAW: what must come of it
 * qcow2 crash IMAGE OUT SEED OPERATIONS CRASHES [BACKING]
 *                                         the same in memory, ended at random moments: as a kill leaves the file, and as a power
 *                                         failure does, which loses any of the writes since the last sync. What is left is opened,
 *                                         compared, and closed to OUT.0, OUT.1, ...
 * qcow2 open IMAGE ro|rw [BACKING]        reads all, and says what is wrong
 * BACKING is a raw file. A sector that was written is its number and the operation's, over and over; so each tells when it was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosts/linux/qcow2/qcow2.h"

#define SECTOR 512
#define FIRST_OPERATION 1000
#define BYTES_MAX (2 * MIB) /* of an operation */

static u64 random_state;

static u64 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void seed_random(const char *text)
{
	random_state = strtoull(text, NULL, 0) * 0x9e3779b97f4a7c15ull + 1;
}

_Noreturn static void fail(const char *what, u64 number)
{
	printf("%s (%llu)\n", what, (unsigned long long)number);
	exit(1);
}

/* ---- stamps ---- */

static void stamp(u8 *to, u64 sector, u64 id)
{
	u64 words[2] = {sector, id};

	for (unsigned i = 0; i < SECTOR; i += sizeof(words))
		memcpy(to + i, words, sizeof(words));
}

/* 0: zeroes; ~0: something else. */
static u64 read_stamp(const u8 *from, u64 sector)
{
	static const u8 zeroes[SECTOR];
	u8 again[SECTOR];
	u64 id;

	if (!memcmp(from, zeroes, SECTOR))
		return 0;
	memcpy(&id, from + 8, sizeof(id));
	stamp(again, sector, id);
	return memcmp(from, again, SECTOR) ? ~0ull : id;
}

/* ---- a file in memory that knows what was written to it, and when it was synced ---- */

struct log_entry {
	u64 offset, bytes; /* bytes 0: a sync */
	u8 *data;
};

struct memory_file {
	struct image_file file;
	u8 *bytes;
	u64 room;
	struct log_entry *log;
	u64 log_count, log_room;
	bool keeps_log;
};

static void log_add(struct memory_file *memory, u64 offset, const void *from, u64 bytes)
{
	if (!memory->keeps_log)
		return;
	if (memory->log_count == memory->log_room) {
		memory->log_room = memory->log_room * 2 + 1024;
		memory->log = realloc(memory->log, memory->log_room * sizeof(memory->log[0]));
	}
	struct log_entry *entry = &memory->log[memory->log_count++];
	*entry = (struct log_entry){offset, bytes, bytes ? malloc(bytes) : NULL};
	if (bytes)
		memcpy(entry->data, from, bytes);
}

static enum status memory_read(struct disk_view *view, u64 offset, void *to, size_t bytes)
{
	struct memory_file *memory = container_of(view, struct memory_file, file.view);
	u64 there = offset < view->bytes ? MIN(bytes, view->bytes - offset) : 0;

	if (there)
		memcpy(to, memory->bytes + offset, there);
	memset((u8 *)to + there, 0, bytes - there);
	return STATUS_OK;
}

static enum status memory_write(struct image_file *file, u64 offset, const void *from, size_t bytes)
{
	struct memory_file *memory = container_of(file, struct memory_file, file);

	if (offset + bytes > memory->room) {
		u64 room = (offset + bytes) * 2;

		memory->bytes = realloc(memory->bytes, room);
		memset(memory->bytes + memory->room, 0, room - memory->room);
		memory->room = room;
	}
	memcpy(memory->bytes + offset, from, bytes);
	file->view.bytes = MAX(file->view.bytes, offset + bytes);
	log_add(memory, offset, from, bytes);
	return STATUS_OK;
}

static enum status memory_sync(struct image_file *file)
{
	log_add(container_of(file, struct memory_file, file), 0, NULL, 0);
	return STATUS_OK;
}

static void memory_init(struct memory_file *memory, const u8 *bytes, u64 count)
{
	*memory = (struct memory_file){
		.file = {.view = {0, memory_read}, .write = memory_write, .sync = memory_sync}};
	(void)!memory_write(&memory->file, 0, bytes, count);
}

static void memory_done(struct memory_file *memory)
{
	for (u64 i = 0; i < memory->log_count; i++)
		free(memory->log[i].data);
	free(memory->log);
	free(memory->bytes);
}

/* ---- the model ---- */

struct change {
	u64 first, count, id;
	bool may_stay; /* a discard: the old contents are as good */
};

struct model {
	u64 sectors;
	u64 *now, *flushed;
	struct change *changes; /* since the last flush */
	u64 change_count, change_room;
	u64 log_at_flush; /* the file's log was so long when the last flush was done */
};

static void model_change(struct model *model, struct change change)
{
	if (model->change_count == model->change_room) {
		model->change_room = model->change_room * 2 + 64;
		model->changes =
			realloc(model->changes, model->change_room * sizeof(model->changes[0]));
	}
	model->changes[model->change_count++] = change;
}

static void model_flush(struct model *model)
{
	memcpy(model->flushed, model->now, model->sectors * sizeof(u64));
	model->change_count = 0;
}

/* May the sector hold this after a crash? */
static bool may_be(const struct model *model, u64 sector, u64 id)
{
	if (id == model->flushed[sector])
		return true;
	for (u64 i = 0; i < model->change_count; i++) {
		const struct change *change = &model->changes[i];

		if (sector >= change->first && sector - change->first < change->count &&
			id == change->id)
			return true;
	}
	return false;
}

static void model_init(struct model *model, struct disk_view *view)
{
	static u8 sector[SECTOR];

	*model = (struct model){.sectors = view->bytes / SECTOR};
	model->now = calloc(model->sectors, sizeof(u64));
	model->flushed = calloc(model->sectors, sizeof(u64));
	for (u64 i = 0; i < model->sectors; i++) {
		if (view->read(view, i * SECTOR, sector, SECTOR) != STATUS_OK)
			fail("cannot be read at first", i);
		model->now[i] = read_stamp(sector, i);
		if (model->now[i] == ~0ull)
			fail("has no stamp at first", i);
	}
	model_flush(model);
}

static void model_done(struct model *model)
{
	free(model->now);
	free(model->flushed);
	free(model->changes);
}

/* ---- operations ---- */

static u8 buffer[BYTES_MAX];

static void check_range(struct qcow2 *image, struct model *model, u64 first, u64 count)
{
	struct disk_view *view = qcow2_view(image);

	if (view->read(view, first * SECTOR, buffer, count * SECTOR) != STATUS_OK)
		fail("cannot be read", first);
	for (u64 i = 0; i < count; i++) {
		if (read_stamp(buffer + i * SECTOR, first + i) != model->now[first + i])
			fail("reads wrongly", first + i);
	}
}

/* What a discard leaves is looked up, sector by sector: zeroes or what was there. */
static void learn_discard(struct qcow2 *image, struct model *model, u64 first, u64 count)
{
	struct disk_view *view = qcow2_view(image);

	if (view->read(view, first * SECTOR, buffer, count * SECTOR) != STATUS_OK)
		fail("cannot be read", first);
	for (u64 i = 0; i < count; i++) {
		u64 id = read_stamp(buffer + i * SECTOR, first + i);

		if (id && id != model->now[first + i])
			fail("reads wrongly after a discard", first + i);
		model->now[first + i] = id;
	}
}

static void operate_write(struct qcow2 *image, struct model *model, u64 first, u64 count, u64 id)
{
	for (u64 i = 0; i < count; i++) {
		stamp(buffer + i * SECTOR, first + i, id);
		model->now[first + i] = id;
	}
	model_change(model, (struct change){first, count, id, false});
	if (qcow2_write(image, first * SECTOR, buffer, count * SECTOR) != STATUS_OK)
		fail("cannot be written", first);
}

static void operate_zero(struct qcow2 *image, struct model *model, u64 first, u64 count)
{
	for (u64 i = 0; i < count; i++)
		model->now[first + i] = 0;
	model_change(model, (struct change){first, count, 0, false});
	if (qcow2_write_zeroes(image, first * SECTOR, count * SECTOR, next_random() & 1) !=
		STATUS_OK)
		fail("zeroes cannot be written", first);
}

static void operate_discard(struct qcow2 *image, struct model *model, u64 first, u64 count)
{
	model_change(model, (struct change){first, count, 0, true});
	if (qcow2_discard(image, first * SECTOR, count * SECTOR) != STATUS_OK)
		fail("cannot be discarded", first);
	learn_discard(image, model, first, count);
}

static void operate(struct qcow2 *image, struct model *model, u64 id)
{
	u64 most = MIN(model->sectors, BYTES_MAX / SECTOR), first = next_random() % model->sectors;
	u64 count = next_random() % 4 ? next_random() % 16 + 1 : next_random() % most + 1;
	u64 what = next_random() % 100;

	/* Often aligned. */
	if (next_random() & 1) {
		first &= ~127ull;
		count = (count + 127) & ~127ull;
	}
	count = MIN(MIN(count, most), model->sectors - first);
	if (what < 50) {
		operate_write(image, model, first, count, id);
	} else if (what < 65) {
		operate_zero(image, model, first, count);
	} else if (what < 75) {
		operate_discard(image, model, first, count);
	} else if (what < 90) {
		check_range(image, model, first, count);
	} else if (what < 96) {
		if (qcow2_flush(image) != STATUS_OK)
			fail("cannot be flushed", id);
		model_flush(model);
	}
}

/* ---- commands ---- */

struct backing {
	struct raw_file raw;
	struct disk_view *view;
};

static void open_backing(struct backing *backing, const char *path)
{
	struct error error;

	backing->view = NULL;
	if (!path)
		return;
	if (raw_file_init(&backing->raw, open(path, O_RDONLY), false, &error) != STATUS_OK)
		fail(error.text, 0);
	backing->view = &backing->raw.file.view;
}

static void open_file(struct raw_file *raw, const char *path, bool is_writable)
{
	struct error error;
	int fd = open(path, is_writable ? O_RDWR : O_RDONLY);

	if (fd < 0 || raw_file_init(raw, fd, is_writable, &error) != STATUS_OK)
		fail("the file cannot be opened", 0);
}

static struct qcow2 *open_image(struct image_file *file, struct backing *backing, bool is_writable)
{
	struct qcow2 *image;
	struct error error;

	if (qcow2_open(file, backing->view, is_writable, &image, &error) != STATUS_OK) {
		printf("%s\n", error.text);
		exit(1);
	}
	return image;
}

static void write_file(const char *path, const void *from, u64 bytes)
{
	FILE *file = fopen(path, "w");

	if (!file || fwrite(from, 1, bytes, file) != bytes || fclose(file))
		fail("cannot write the result", bytes);
}

static void write_model(const char *path, const struct model *model)
{
	u8 *bytes = calloc(model->sectors, SECTOR);

	for (u64 i = 0; i < model->sectors; i++) {
		if (model->now[i])
			stamp(bytes + i * SECTOR, i, model->now[i]);
	}
	write_file(path, bytes, model->sectors * SECTOR);
	free(bytes);
}

static void command_make(char **words)
{
	u64 sectors = strtoull(words[1], NULL, 0) / SECTOR;
	u8 *bytes = calloc(sectors, SECTOR);

	seed_random(words[2]);
	for (u64 i = 0; i < sectors; i++) {
		/* Rows of some kilobytes, half of them zeroes. */
		static bool is_zero;
		if (next_random() % 64 == 0)
			is_zero = next_random() & 1;
		if (!is_zero)
			stamp(bytes + i * SECTOR, i, 7);
	}
	write_file(words[0], bytes, sectors * SECTOR);
	free(bytes);
}

static void dump(struct qcow2 *image, const char *path)
{
	struct disk_view *view = qcow2_view(image);
	FILE *file = path ? fopen(path, "w") : NULL;

	for (u64 at = 0; at < view->bytes; at += BYTES_MAX) {
		u64 bytes = MIN(BYTES_MAX, view->bytes - at);

		if (view->read(view, at, buffer, bytes) != STATUS_OK)
			fail(strerror(errno), at);
		if (file && fwrite(buffer, 1, bytes, file) != bytes)
			fail("cannot write the result", at);
	}
	if (file)
		fclose(file);
}

static void command_dump(char **words)
{
	struct backing backing;
	struct raw_file raw;

	open_backing(&backing, words[2]);
	open_file(&raw, words[0], false);
	struct qcow2 *image = open_image(&raw.file, &backing, false);
	dump(image, words[1]);
	qcow2_abandon(image);
}

static void command_open(char **words)
{
	bool is_writable = !strcmp(words[1], "rw");
	struct backing backing;
	struct raw_file raw;

	open_backing(&backing, words[2]);
	open_file(&raw, words[0], is_writable);
	struct qcow2 *image = open_image(&raw.file, &backing, is_writable);
	dump(image, NULL);
	if (is_writable && qcow2_write(image, 0, buffer, SECTOR) != STATUS_OK)
		fail("cannot be written", 0);
	if (qcow2_close(image) != STATUS_OK)
		fail("cannot be closed", 0);
}

static void command_random(char **words)
{
	u64 operations = strtoull(words[3], NULL, 0);
	struct backing backing;
	struct model model;
	struct raw_file raw;

	seed_random(words[2]);
	open_backing(&backing, words[4]);
	open_file(&raw, words[0], true);
	struct qcow2 *image = open_image(&raw.file, &backing, true);
	model_init(&model, qcow2_view(image));
	for (u64 i = 0; i < operations; i++)
		operate(image, &model, FIRST_OPERATION + i);
	for (u64 i = 0; i < model.sectors; i += 512)
		check_range(image, &model, i, MIN(512, model.sectors - i));
	write_model(words[1], &model);
	if (qcow2_close(image) != STATUS_OK)
		fail("cannot be closed", 0);
	model_done(&model);
}

/* The file as it would be had everything ended after `end` writes; with power lost, not all since the last sync are there. */
static void replay(
	struct memory_file *to, const struct memory_file *from, u64 end, bool power_is_lost)
{
	u64 synced = 0;

	for (u64 i = 0; i < end; i++) {
		if (!from->log[i].bytes)
			synced = i;
	}
	for (u64 i = 0; i < end; i++) {
		const struct log_entry *entry = &from->log[i];

		if (entry->bytes && (i < synced || !power_is_lost || next_random() & 1))
			(void)!memory_write(&to->file, entry->offset, entry->data, entry->bytes);
	}
}

static void check_after_crash(struct qcow2 *image, const struct model *model)
{
	struct disk_view *view = qcow2_view(image);

	for (u64 i = 0; i < model->sectors; i++) {
		if (view->read(view, i * SECTOR, buffer, SECTOR) != STATUS_OK)
			fail("cannot be read after a crash", i);
		if (!may_be(model, i, read_stamp(buffer, i)))
			fail("was lost in a crash", i);
	}
}

static void crash(
	const u8 *original, u64 bytes, struct backing *backing, u64 operations, const char *out)
{
	struct memory_file memory, left;
	struct model model;
	u64 end;

	memory_init(&memory, original, bytes);
	memory.keeps_log = true;
	struct qcow2 *image = open_image(&memory.file, backing, true);
	model_init(&model, qcow2_view(image));
	for (u64 i = 0; i < operations; i++) {
		operate(image, &model, FIRST_OPERATION + i);
		if (!model.change_count)
			model.log_at_flush = memory.log_count;
	}
	/* Within the last operations, or, as often, while a flush is under way. */
	u64 from = model.log_at_flush;
	if (next_random() & 1) {
		from = memory.log_count;
		(void)!qcow2_flush(image);
	}
	qcow2_abandon(image);
	end = from + next_random() % (memory.log_count - from + 1);
	memory_init(&left, original, bytes);
	replay(&left, &memory, end, next_random() & 1);
	image = open_image(&left.file, backing, true);
	check_after_crash(image, &model);
	if (qcow2_close(image) != STATUS_OK)
		fail("cannot be closed after a crash", 0);
	write_file(out, left.bytes, left.file.view.bytes);
	memory_done(&left);
	memory_done(&memory);
	model_done(&model);
}

static void command_crash(char **words)
{
	u64 operations = strtoull(words[3], NULL, 0), crashes = strtoull(words[4], NULL, 0);
	struct backing backing;
	struct raw_file raw;
	char out[4096];

	seed_random(words[2]);
	open_backing(&backing, words[5]);
	open_file(&raw, words[0], false);
	u64 bytes = raw.file.view.bytes;
	u8 *original = malloc(bytes);
	if (raw.file.view.read(&raw.file.view, 0, original, bytes) != STATUS_OK)
		fail("the image cannot be read", 0);
	for (u64 i = 0; i < crashes; i++) {
		snprintf(out, sizeof(out), "%s.%llu", words[1], (unsigned long long)i);
		crash(original, bytes, &backing, next_random() % operations + 1, out);
	}
	free(original);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int least, most;
		void (*run)(char **words);
	} commands[] = {
		{"make", 3, 3, command_make},
		{"dump", 2, 3, command_dump},
		{"open", 2, 3, command_open},
		{"random", 4, 5, command_random},
		{"crash", 5, 6, command_crash},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		if (argc < 2 || strcmp(argv[1], commands[i].name) || argc - 2 < commands[i].least ||
			argc - 2 > commands[i].most)
			continue;
		commands[i].run(argv + 2);
		return 0;
	}
	return 2;
}
