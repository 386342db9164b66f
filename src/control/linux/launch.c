/* SPDX-License-Identifier: MIT */
#include "control/linux/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/disk.h"
#include "control/linux/disk/boot_files.h"
#include "control/linux/disk_file.h"
#include "control/linux/engines.h"
#include "control/linux/gdb_socket.h"
#include "control/linux/image.h"
#include "control/linux/message.h"
#include "control/linux/models.h"
#include "control/linux/net_start.h"
#include "control/linux/perf_map.h"
#include "control/linux/share.h"
#include "control/linux/supervise.h"
#include "control/linux/vsock_socket.h"
#include "hosts/linux/runner.h"

static enum status choose_engine(struct machine_config *config, struct error *error)
{
	const struct engine_choice *choice;
	enum status status = engine_choose(config->engine, &choice, error);

	if (status != STATUS_OK)
		return status;
	if (!strcmp(config->engine, "auto"))
		snprintf(config->notice, sizeof(config->notice), "engine %s: %s", choice->name,
			choice->why);
	snprintf(config->engine, sizeof(config->engine), "%s", choice->name);
	return STATUS_OK;
}

static enum status choose_model(struct machine_config *config, struct error *error)
{
	const struct cpu_model *model;
	enum status status = model_choose(config->cpu, &model, error);

	if (status == STATUS_OK)
		snprintf(config->cpu, sizeof(config->cpu), "%s", model->name);
	return status;
}

static enum status open_kernel(struct machine_config *config, struct error *error)
{
	struct kernel_files files;
	enum status status = image_open_kernel(config->kernel, &files, error);

	if (status != STATUS_OK)
		return status;
	config->kernel_fd = files.kernel;
	config->payload_fd = files.payload;
	return STATUS_OK;
}

/* The first disk as people named it, without what is behind the name. */
static void name_first_disk(const struct machine_config *config, char name[128])
{
	static struct disk_option disk;
	char text[DISK_TEXT_BYTES_MAX];
	const char *at = config->disk;
	struct error ignored;

	name[0] = 0;
	if (config_list_next(&at, text, sizeof(text)) &&
		disk_option_parse(text, &disk, &ignored) == STATUS_OK)
		snprintf(name, 128, "%.120s", disk.file);
}

/* The kernel and the initrd of the first disk's /boot, and the words that belong to them. What was given by hand counts more. */
static enum status boot_from_disk(struct machine_config *config, struct error *error)
{
	static struct chain disk;
	struct boot_files files;
	struct error reason;
	char name[128];

	if (!disk_files_first(config, &disk))
		return error_set(error, STATUS_INVALID,
			"no kernel: none is looked for on a vhost-user disk; give one with --kernel FILE");
	enum status status = boot_files_find(&disk, config->memory, &files, &reason);
	if (status != STATUS_OK) {
		name_first_disk(config, name);
		return error_set(error, status, "--disk %.100s: %.145s", name, reason.text);
	}
	config->kernel_fd = files.kernel.kernel;
	config->payload_fd = files.kernel.payload;
	if (!config->initrd[0])
		config->initrd_fd = files.initrd;
	else if (files.initrd >= 0)
		close(files.initrd);
	if (!strcmp(config->append, config_field_find("append", CONFIG_USER)->fallback))
		snprintf(config->append, sizeof(config->append), "%s", files.append);
	return STATUS_OK;
}

static enum status open_images(struct machine_config *config, struct error *error)
{
	enum status status =
		config->kernel[0] ? open_kernel(config, error) : boot_from_disk(config, error);

	if (status == STATUS_OK && config->initrd[0])
		status = image_open_initrd(
			config->initrd, config->memory, &config->initrd_fd, error);
	return status;
}

static enum status make_ram(struct machine_config *config, struct error *error)
{
	enum status status =
		memfd_create_sized("guest memory", config->memory, &config->ram_fd, error);

	return status == STATUS_OK ? memfd_seal(config->ram_fd, false, error) : status;
}

/* The runner's description as JSON in a memfd. */
static enum status write_description(
	const struct machine_config *config, int *fd, struct error *error)
{
	static char json[CONFIG_JSON_BYTES_MAX];
	struct text text;
	enum status status;

	text_init(&text, json, sizeof(json));
	status = config_write(config, CONFIG_RUNNER, &text);
	if (status != STATUS_OK)
		return error_set(error, status, "the machine's description is too long");
	status = memfd_create_sized("description", 0, fd, error);
	if (status == STATUS_OK && write(*fd, json, text.length) != (ssize_t)text.length)
		return error_set_errno(error, "the machine's description");
	return status;
}

/* Opens the socket, and has people told what the guest waits for. */
static enum status listen_for_gdb(struct machine_config *config, struct error *error)
{
	enum status status = gdb_socket_open(config->gdb, &config->gdb_fd, error);
	size_t length = strlen(config->notice);

	if (status == STATUS_OK)
		snprintf(config->notice + length, sizeof(config->notice) - length,
			"%sit waits for gdb (target remote %s%.107s)", length ? "; " : "",
			strspn(config->gdb, "0123456789") == strlen(config->gdb) ? ":" : "",
			config->gdb);
	return status;
}

/* A new file, or an empty one, or what is no file (a pipe): what somebody has is not written over by a slip. */
static enum status open_output(const char *name, int *fd, struct error *error)
{
	struct stat info;

	if (!name[0])
		return STATUS_OK;
	*fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	if (*fd < 0 || fstat(*fd, &info))
		return error_set_errno(error, name);
	if (S_ISREG(info.st_mode) && info.st_size)
		return error_set(
			error, STATUS_IO, "%.150s: there is something in it already", name);
	return STATUS_OK;
}

static enum status prepare(struct machine_config *config, struct error *error)
{
	enum status status = choose_engine(config, error);

	if (status == STATUS_OK)
		status = choose_model(config, error);
	if (status == STATUS_OK)
		status = disk_files_open(config, error);
	if (status == STATUS_OK)
		status = open_images(config, error);
	if (status == STATUS_OK)
		status = make_ram(config, error);
	if (status == STATUS_OK && config->gdb[0])
		status = listen_for_gdb(config, error);
	if (status == STATUS_OK && config->perf_map)
		status = perf_map_open(&config->perf_fd, error);
	if (status == STATUS_OK)
		status = open_output(config->trace_file, &config->trace_fd, error);
	if (status == STATUS_OK)
		status = open_output(config->dump_blocks, &config->blocks_fd, error);
	if (status == STATUS_OK)
		status = net_start(config, error);
	if (status == STATUS_OK)
		status = vsock_socket_open(config, error);
	if (status == STATUS_OK)
		status = share_start(config, error);
	return status;
}

/* The file that the runner tells its state in; the claim's folder is there. */
static enum status make_status_file(
	const struct claim *claim, struct machine_config *config, struct error *error)
{
	int fd = openat(claim->folder, "status", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, RUNNER_STATUS_BYTES))
		return error_set_errno(error, "the machine's status file");
	config->status_fd = fd;
	return STATUS_OK;
}

/* A machine on a terminal that nobody gave a name runs even where no registry can be. */
static enum status register_machine(
	struct machine_config *config, struct claim *claim, struct error *error)
{
	bool must = config->name[0] || config->detach;
	enum status status = registry_claim(config, claim, error);

	if (status != STATUS_OK && !must) {
		snprintf(config->name, sizeof(config->name), "guest");
		return STATUS_OK;
	}
	if (status == STATUS_OK)
		status = make_status_file(claim, config, error);
	/* On record before it takes long: a list finds it starting. */
	if (status == STATUS_OK)
		status = registry_write(claim, config, error);
	return status;
}

static enum status listen_for_ready(struct machine_config *config, int *ready, struct error *error)
{
	int ends[2];

	if (!config->detach)
		return STATUS_OK;
	if (pipe2(ends, O_CLOEXEC))
		return error_set_errno(error, "lodge-vm");
	*ready = ends[0];
	config->ready_fd = ends[1];
	return STATUS_OK;
}

int launch_run(struct machine_config *config)
{
	struct supervised supervised = {.config = config, .claim = {-1, -1}, .ready = -1};
	struct error error;
	enum status status;

	if (!config->kernel[0] && !config->disk[0])
		return message_fail(LODGE_EXIT_USAGE,
			"no kernel: give one with --kernel FILE, or a disk that has one with --disk FILE");
	status = register_machine(config, &supervised.claim, &error);
	if (status == STATUS_OK)
		status = prepare(config, &error);
	if (status == STATUS_OK)
		status = listen_for_ready(config, &supervised.ready, &error);
	if (status == STATUS_OK)
		status = write_description(config, &supervised.description, &error);
	if (status == STATUS_OK)
		return config->detach ? supervise_detached(&supervised)
				      : supervise_here(&supervised);
	perf_map_belongs_to(-1);
	gdb_socket_close(config->gdb);
	vsock_socket_close();
	registry_release(&supervised.claim, config->name, true);
	return message_fail_status(status, &error);
}
