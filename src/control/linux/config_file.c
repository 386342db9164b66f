/* SPDX-License-Identifier: MIT */
#include "control/linux/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/linux/message.h"
#include "control/machines.h"
#include "hosts/linux/runner.h"

/* One byte more than may be read, so that a file that is too long is seen to be. */
struct json_file {
	char json[CONFIG_JSON_BYTES_MAX + 1];
	size_t bytes;
};

/* A pipe gives it piece by piece. */
static bool read_all(int fd, struct json_file *file)
{
	ssize_t got;

	do {
		got = read(fd, file->json + file->bytes, sizeof(file->json) - file->bytes);
		if (got < 0)
			return false;
		file->bytes += (size_t)got;
	} while (got && file->bytes < sizeof(file->json));
	return true;
}

static enum status load(
	const char *what, const char *path, struct json_file *file, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), reason;
	bool is_read;

	file->bytes = 0;
	is_read = fd >= 0 && read_all(fd, file);
	reason = errno;
	if (fd >= 0)
		close(fd);
	if (!is_read)
		return error_set(error, STATUS_IO, "%s%.150s: %s", what, path, strerror(reason));
	if (file->bytes > CONFIG_JSON_BYTES_MAX)
		return error_set(error, STATUS_INVALID, "%s%.150s: too long: at most %u bytes",
			what, path, CONFIG_JSON_BYTES_MAX);
	return STATUS_OK;
}

enum status config_file_read(const char *path, struct machine_config *config, struct error *error)
{
	static struct json_file file;
	struct error reason;
	enum status status = load("--config ", path, &file, error);

	if (status != STATUS_OK)
		return status;
	if (machines_is_list(file.json, file.bytes))
		return error_set(error, STATUS_INVALID,
			"--config %.100s: a list of machines; lodge run takes one of them, without {\"machines\": []} around it",
			path);
	if (config_read(config, file.json, file.bytes, CONFIG_USER, &reason) != STATUS_OK)
		return error_set(
			error, STATUS_INVALID, "--config %.100s: %.140s", path, reason.text);
	return STATUS_OK;
}

static int fail(const char *path, enum status status, const struct error *reason)
{
	struct error error;

	error_set(&error, status, "%.90s: %.160s", path, reason->text);
	return message_fail_status(status, &error);
}

/* Every machine that is wrong is told, in a line of its own. */
static int check_list(const char *path, const struct json_file *file)
{
	static struct machine_config config;
	static struct machines machines;
	int exit_status = LODGE_EXIT_OK;
	enum status status;
	struct error error;

	status = machines_open(&machines, file->json, file->bytes, &error);
	while (status != STATUS_END) {
		if (status != STATUS_OK)
			exit_status = fail(path, status, &error);
		status = machines_next(&machines, &config, &error);
	}
	if (exit_status == LODGE_EXIT_OK)
		printf("%s: right; machines: %u\n", path, machines.count);
	return exit_status;
}

static int check_one(const char *path, const struct json_file *file)
{
	static struct machine_config config;
	enum status status;
	struct error error;

	config_init(&config);
	status = config_read(&config, file->json, file->bytes, CONFIG_USER, &error);
	if (status == STATUS_OK)
		status = config_check(&config, &error);
	if (status != STATUS_OK)
		return fail(path, status, &error);
	printf("%s: right\n", path);
	return LODGE_EXIT_OK;
}

int command_check_config(int argc, char **argv)
{
	static struct json_file file;
	struct error error;
	enum status status;

	if (argc != 1)
		return message_fail(LODGE_EXIT_USAGE, "check-config wants one file's name");
	status = load("", argv[0], &file, &error);
	if (status != STATUS_OK)
		return message_fail_status(status, &error);
	return machines_is_list(file.json, file.bytes) ? check_list(argv[0], &file)
						       : check_one(argv[0], &file);
}
