/* SPDX-License-Identifier: MIT */
/* lodge list, lodge stats. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/linux/control.h"
#include "control/linux/fleet.h"
#include "control/linux/json.h"
#include "control/linux/message.h"
#include "hosts/linux/runner.h"

/* How long a front may take to answer: one that is stopped must not hold the others' figures up for long. */
#define STATS_PATIENCE_MS 1000
/* And a runner, to count; and its guest, to tell of its memory: then what they last told is shown. */
#define COUNT_PATIENCE_MS 300
#define GUEST_PATIENCE_MS 100

const struct option_row list_options[] = {
	{"json", NULL, "an array of objects"},
	{"all", NULL, "also those that have ended, until lodge rm or a new machine of their name"},
	{NULL, NULL, NULL},
};
const struct option_row stats_options[] = {
	{"json", NULL, "an array of objects"},
	{NULL, NULL, NULL},
};

/* For each of them. */
struct listing {
	bool as_json, has_all, is_stats;
	const char *name; /* only this one; NULL: all */
	unsigned count;
};

/* ---- what there is to tell ---- */

/* Of the runner, which could have written anything. */
static struct runner_status read_status(int folder)
{
	struct runner_status status = {0};
	int fd = openat(folder, "status", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return status;
	if (read(fd, &status, sizeof(status)) != sizeof(status))
		status = (struct runner_status){0};
	close(fd);
	return status;
}

static const char *state_of(const struct registered *registered, u32 panics)
{
	const char *state = registered->config.state;

	if (!registered->is_running)
		return registered->config.ended ? state : "killed";
	return panics && !strcmp(state, "running") ? "panicked" : state;
}

static u64 uptime(const struct machine_config *config)
{
	u64 now = config->ended ? config->ended : (u64)time(NULL);

	return config->started && now > config->started ? now - config->started : 0;
}

/* 1d02h, 2h03m, 4m05s, 6s */
static void format_duration(u64 seconds, char *text, size_t bytes)
{
	u64 minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

	if (days)
		snprintf(text, bytes, "%llud%02lluh", (unsigned long long)days,
			(unsigned long long)(hours % 24));
	else if (hours)
		snprintf(text, bytes, "%lluh%02llum", (unsigned long long)hours,
			(unsigned long long)(minutes % 60));
	else if (minutes)
		snprintf(text, bytes, "%llum%02llus", (unsigned long long)minutes,
			(unsigned long long)(seconds % 60));
	else
		snprintf(text, bytes, "%llus", (unsigned long long)seconds);
}

/* 512M, 2G: the largest unit that is exact; else a tenth of MiB, or KiB. */
static void format_size(u64 size, char *text, size_t bytes)
{
	static const char units[] = " KMGT";
	unsigned unit = 0;
	u64 left = size;

	while (left && !(left % 1024) && unit < 4) {
		left /= 1024;
		unit++;
	}
	if (unit >= 2)
		snprintf(text, bytes, "%llu%c", (unsigned long long)left, units[unit]);
	else if (size < MIB)
		snprintf(text, bytes, "%lluK", (unsigned long long)size >> 10);
	else
		snprintf(text, bytes, "%llu.%lluM", (unsigned long long)(size >> 20),
			(unsigned long long)((size & (MIB - 1)) * 10 >> 20));
}

/* ---- list ---- */

static void list_json(const struct registered *registered, u32 panics)
{
	const struct machine_config *config = &registered->config;
	struct json_object object;

	json_begin(&object);
	json_field_text(&object, "name", config->name);
	json_field_text(&object, "state", state_of(registered, panics));
	json_field_number(&object, "pid", registered->is_running ? config->runner_pid : 0);
	json_field_number(&object, "front_pid", registered->is_running ? config->front_pid : 0);
	json_field_text(&object, "engine", config->engine);
	json_field_number(&object, "cpus", config->cpus);
	json_field_number(&object, "memory", config->memory);
	json_field_flag(&object, "detached", config->detach);
	json_field_number(&object, "panics", panics);
	json_field_number(&object, "started", config->started);
	json_field_number(&object, "uptime_seconds", uptime(config));
	if (!registered->is_running) {
		json_field_number(&object, "ended", config->ended);
		json_field_number(&object, "exit_status", config->exit_status);
	}
	json_end(&object);
}

static void list_text(const struct registered *registered, u32 panics)
{
	const struct machine_config *config = &registered->config;
	char memory[32], up[32], pid[16] = "-";

	format_size(config->memory, memory, sizeof(memory));
	format_duration(uptime(config), up, sizeof(up));
	if (registered->is_running && config->runner_pid)
		snprintf(pid, sizeof(pid), "%u", config->runner_pid);
	printf("%-16s %-9s %8s  %-10s %4u %8s %8s\n", config->name, state_of(registered, panics),
		pid, config->engine, config->cpus, memory, up);
}

/* ---- stats ---- */

struct figures {
	unsigned long long cpu_ns, memory_bytes;
	struct pc_counts counts;
};

static bool ask_figures(int folder, struct figures *figures)
{
	char answer[CONTROL_LINE_BYTES];

	return control_ask(folder, "stats\n", STATS_PATIENCE_MS, answer) == STATUS_OK &&
		sscanf(answer, "%llu %llu", &figures->cpu_ns, &figures->memory_bytes) == 2;
}

static void sleep_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};

	nanosleep(&time, NULL);
}

/* Has the runner count, which has its guest tell where that can; what is there after a while is taken as it is. */
static void ask_counts(const struct registered *registered, struct figures *figures)
{
	struct runner_status before = read_status(registered->folder), now = before;
	unsigned waited = 0;

	if (registered->config.runner_pid && !kill((pid_t)registered->config.runner_pid, SIGURG)) {
		for (; now.counted == before.counted && waited < COUNT_PATIENCE_MS; waited++) {
			sleep_ms(1);
			now = read_status(registered->folder);
		}
		for (waited = 0;
			now.can_tell && now.told == before.told && waited < GUEST_PATIENCE_MS;
			waited++) {
			sleep_ms(1);
			now = read_status(registered->folder);
		}
	}
	figures->counts = now.counts;
}

static bool has_told(const struct figures *figures)
{
	return figures->counts.guest_total_bytes && ~figures->counts.guest_total_bytes;
}

/* The average since the start. */
static u64 percent_tenths(const struct machine_config *config, const struct figures *figures)
{
	u64 seconds = uptime(config);

	return figures->cpu_ns / 1000000 / (seconds ? seconds : 1);
}

/* What is shown as it was counted, in JSON. */
#define COUNT(name)                                     \
	{                                               \
#name, offsetof(struct pc_counts, name) \
	}
static const struct count_field {
	const char *name;
	size_t offset;
} count_fields[] = {
	COUNT(disk_reads),
	COUNT(disk_read_bytes),
	COUNT(disk_writes),
	COUNT(disk_written_bytes),
	COUNT(net_received_frames),
	COUNT(net_received_bytes),
	COUNT(net_sent_frames),
	COUNT(net_sent_bytes),
	COUNT(net_dropped_frames),
	/* These only where the guest has told. */
	COUNT(guest_total_bytes),
	COUNT(guest_free_bytes),
	COUNT(guest_available_bytes),
};
#define GUEST_COUNTS 3

static void counts_json(struct json_object *object, const struct figures *figures)
{
	unsigned count = ARRAY_SIZE(count_fields) - (has_told(figures) ? 0 : GUEST_COUNTS);

	for (unsigned i = 0; i < count; i++)
		json_field_number(object, count_fields[i].name,
			*(const u64 *)((const u8 *)&figures->counts + count_fields[i].offset));
}

static void stats_json(const struct registered *registered, const struct figures *figures)
{
	const struct machine_config *config = &registered->config;
	struct json_object object;

	json_begin(&object);
	json_field_text(&object, "name", config->name);
	json_field_number(&object, "pid", config->runner_pid);
	json_field_number(&object, "cpus", config->cpus);
	json_field_seconds(&object, "cpu_seconds", figures->cpu_ns);
	json_field_number(&object, "uptime_seconds", uptime(config));
	json_field_number(&object, "memory_promised", config->memory);
	json_field_number(&object, "memory_used", figures->memory_bytes);
	counts_json(&object, figures);
	json_field_number(&object, "cpu_weight", config->cpu_weight);
	json_field_number(&object, "cpu_limit", config->cpu_limit);
	json_field_number(&object, "memory_limit", config->memory_limit);
	json_end(&object);
}

static void stats_text(const struct registered *registered, const struct figures *figures)
{
	const struct machine_config *config = &registered->config;
	const struct pc_counts *counts = &figures->counts;
	char promised[32], used[32], up[32], free[32] = "-", moved[4][32];
	u64 tenths = percent_tenths(config, figures);

	format_size(config->memory, promised, sizeof(promised));
	format_size(figures->memory_bytes, used, sizeof(used));
	format_duration(uptime(config), up, sizeof(up));
	if (has_told(figures))
		format_size(counts->guest_free_bytes, free, sizeof(free));
	format_size(counts->disk_read_bytes, moved[0], sizeof(moved[0]));
	format_size(counts->disk_written_bytes, moved[1], sizeof(moved[1]));
	format_size(counts->net_received_bytes, moved[2], sizeof(moved[2]));
	format_size(counts->net_sent_bytes, moved[3], sizeof(moved[3]));
	printf("%-16s %4u %10llu.%02llus %5llu.%llu %9s %9s %9s %9s %9s %9s %9s %8s\n",
		config->name, config->cpus, figures->cpu_ns / 1000000000,
		figures->cpu_ns / 10000000 % 100, (unsigned long long)(tenths / 10),
		(unsigned long long)(tenths % 10), promised, used, free, moved[0], moved[1],
		moved[2], moved[3], up);
}

/* ---- both ---- */

static void visit(const struct registered *registered, void *context)
{
	struct listing *listing = context;
	u32 panics = read_status(registered->folder).panics;
	struct figures figures;

	if (listing->name && strcmp(listing->name, registered->config.name))
		return;
	if (!registered->is_running && !listing->has_all)
		return;
	if (listing->is_stats && !ask_figures(registered->folder, &figures))
		return; /* it has just ended, or is stopped */
	if (listing->is_stats)
		ask_counts(registered, &figures);
	if (listing->as_json)
		printf("%s\n  ", listing->count ? "," : "");
	listing->count++;
	if (listing->as_json && listing->is_stats)
		stats_json(registered, &figures);
	else if (listing->as_json)
		list_json(registered, panics);
	else if (listing->is_stats)
		stats_text(registered, &figures);
	else
		list_text(registered, panics);
}

static int show(struct listing *listing)
{
	struct error error;
	enum status status = registry_check(&error);

	if (status != STATUS_OK)
		return message_fail_status(status, &error);
	if (listing->as_json)
		putchar('[');
	else if (listing->is_stats)
		printf("%-16s %4s %14s %7s %9s %9s %9s %9s %9s %9s %9s %8s\n", "NAME", "CPUS",
			"CPU-TIME", "CPU-%", "PROMISED", "USED", "FREE", "DISK-R", "DISK-W",
			"NET-IN", "NET-OUT", "UP");
	else
		printf("%-16s %-9s %8s  %-10s %4s %8s %8s\n", "NAME", "STATE", "PID", "ENGINE",
			"CPUS", "MEMORY", "UP");
	status = registry_each(visit, listing, &error);
	if (listing->as_json)
		printf("%s]\n", listing->count ? "\n" : "");
	return status == STATUS_OK ? LODGE_EXIT_OK : message_fail_status(status, &error);
}

int command_list(int argc, char **argv)
{
	struct listing listing = {0};
	struct options options;
	struct error error;
	enum status status = options_read("list", list_options, argc, argv, 0, 0, &options, &error);

	if (status != STATUS_OK)
		return message_fail_status(status, &error);
	listing.as_json = options.values[0];
	listing.has_all = options.values[1];
	return show(&listing);
}

/* Of one that is not there, or has ended, there are no figures. */
static enum status check_running(const char *name, struct error *error)
{
	static struct registered registered;
	enum status status = registry_find(name, &registered, error);

	if (status != STATUS_OK)
		return status;
	close(registered.folder);
	return registered.is_running
		? STATUS_OK
		: error_set(error, STATUS_NOT_FOUND, "the machine '%s' has ended", name);
}

int command_stats(int argc, char **argv)
{
	struct listing listing = {.is_stats = true};
	struct options options;
	struct error error;
	enum status status =
		options_read("stats", stats_options, argc, argv, 0, 1, &options, &error);

	listing.as_json = options.values[0];
	listing.name = options.name_count ? options.names[0] : NULL;
	if (status == STATUS_OK && listing.name)
		status = check_running(listing.name, &error);
	return status == STATUS_OK ? show(&listing) : message_fail_status(status, &error);
}
