/* SPDX-License-Identifier: MIT */
/*
 * The runner: `lodge-vm DESCRIPTION_FD`. It knows one machine, whose description (control/config.def) it reads from a descriptor, and
 * open descriptors, never a path. The front (lodge) starts it; people do not. `lodge-vm sandbox` is `lodge doctor` asking what locks a
 * runner in here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/config.h"
#include "core/engine.h"
#include "engines/lockstep/lockstep.h"
#include "hosts/linux/runner.h"
#include "hosts/linux/sandbox/sandbox.h"

static struct runner_parameters parameters;
static struct error error;

static int fail(void)
{
	fprintf(stderr, "lodge: %s\n", error.text);
	return LODGE_EXIT_FAILURE;
}

static enum status read_description(int fd)
{
	static char json[CONFIG_JSON_BYTES_MAX + 1];
	ssize_t got = pread(fd, json, sizeof(json), 0);
	enum status status;

	if (got < 0)
		return error_set(&error, STATUS_IO,
			"lodge-vm is started by lodge run, not by hand: %s", strerror(errno));
	close(fd);
	config_init(&parameters.config);
	status = config_read(&parameters.config, json, (size_t)got, CONFIG_RUNNER, &error);
	return status == STATUS_OK ? config_check(&parameters.config, &error) : status;
}

static enum status map_ram(void)
{
	int fd = parameters.config.ram_fd;
	u64 bytes = parameters.config.memory;
	struct stat info;

	if (fstat(fd, &info) || (u64)info.st_size != bytes)
		return error_set(&error, STATUS_IO, "the guest's memory is not what was said");
	parameters.ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (parameters.ram == MAP_FAILED)
		return error_set(&error, STATUS_NO_MEMORY,
			"%llu bytes of guest memory cannot be mapped: %s",
			(unsigned long long)bytes, strerror(errno));
	return STATUS_OK;
}

/* A file that must not shrink while it is mapped: only sealed ones are taken. fd -1: none. */
static enum status map_image(int fd, const char *what, const u8 **image, u64 *bytes)
{
	struct stat info;
	void *at;

	if (fd < 0)
		return STATUS_OK;
	if (fstat(fd, &info) || !(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK))
		return error_set(&error, STATUS_IO, "%s: not a sealed descriptor", what);
	if (!info.st_size)
		return error_set(&error, STATUS_INVALID, "%s: the file is empty", what);
	at = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return error_set(&error, STATUS_NO_MEMORY, "%s: cannot be mapped: %s", what,
			strerror(errno));
	close(fd);
	*image = at;
	*bytes = (u64)info.st_size;
	return STATUS_OK;
}

/* Without the file what would be told goes nowhere. */
static enum status map_status(void)
{
	static struct runner_status nowhere;
	int fd = parameters.config.status_fd;
	struct stat info;
	void *at;

	parameters.status = &nowhere;
	if (fd < 0)
		return STATUS_OK;
	if (fstat(fd, &info) || info.st_size != RUNNER_STATUS_BYTES)
		return error_set(&error, STATUS_IO, "the status file is not what was said");
	at = mmap(NULL, RUNNER_STATUS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return error_set(&error, STATUS_NO_MEMORY, "the status file cannot be mapped: %s",
			strerror(errno));
	close(fd);
	parameters.status = at;
	return STATUS_OK;
}

static enum status map_images(void)
{
	const struct machine_config *config = &parameters.config;
	struct boot_images *images = &parameters.images;
	enum status status =
		map_image(config->kernel_fd, "kernel", &images->kernel, &images->kernel_bytes);

	if (status == STATUS_OK)
		status = map_image(
			config->payload_fd, "kernel", &images->payload, &images->payload_bytes);
	if (status == STATUS_OK)
		status = map_image(
			config->initrd_fd, "initrd", &images->initrd, &images->initrd_bytes);
	images->command_line = config->append;
	return status;
}

/* What --engine lockstep may lead with, the fastest first. */
static const struct engine_ops *const leaders[] = {&engine_translator, &engine_interpreter};

static enum status configure_lockstep(void)
{
	const struct machine_config *config = &parameters.config;
	struct lockstep_settings settings = {.leader = leaders[0],
		.follower = &engine_interpreter,
		.window_insns = config->lockstep_window,
		.memory_insns = config->lockstep_memory};

	for (size_t i = 0; i < sizeof(leaders) / sizeof(leaders[0]); i++) {
		if (!config->lockstep_leader[0] ||
			!strcmp(leaders[i]->name, config->lockstep_leader)) {
			settings.leader = leaders[i];
			lockstep_configure(&settings);
			return STATUS_OK;
		}
	}
	return error_set(&error, STATUS_INVALID, "--lockstep-leader %s: no such engine",
		config->lockstep_leader);
}

int main(int argc, char **argv)
{
	char *end;
	if (argc == 2 && !strcmp(argv[1], "sandbox")) {
		sandbox_report();
		return LODGE_EXIT_OK;
	}
	long fd = argc == 2 ? strtol(argv[1], &end, 10) : -1;

	if (fd < 3 || fd > 1024 || *end) {
		fprintf(stderr, "lodge: lodge-vm is started by lodge run, not by hand\n");
		return LODGE_EXIT_USAGE;
	}
	if (read_description((int)fd) != STATUS_OK || map_ram() != STATUS_OK ||
		map_images() != STATUS_OK || map_status() != STATUS_OK ||
		configure_lockstep() != STATUS_OK)
		return fail();
	return runner_run(&parameters);
}
