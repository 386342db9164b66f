/* SPDX-License-Identifier: MIT */
#include "control/linux/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/config.h"
#include "control/linux/doctor.h"
#include "control/linux/launch.h"
#include "control/linux/message.h"
#include "hosts/linux/runner.h"

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (!strcmp(word, *words))
			return true;
	}
	return false;
}

static bool asks_for_help(const char *word)
{
	static const char *const words[] = {"--help", "-h", NULL};

	return is_one_of(word, words);
}

/* ---- lodge run ---- */

/* One option on its way from argv into the description. */
struct option {
	char name[64];	   /* without --, up to = */
	const char *value; /* behind =, or NULL */
};

static bool split_option(const char *word, struct option *option)
{
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);

	if (strncmp(word, "--", 2) || length < 3 || length - 2 >= sizeof(option->name))
		return false;
	memcpy(option->name, word + 2, length - 2);
	option->name[length - 2] = 0;
	option->value = equals ? equals + 1 : NULL;
	return !strchr(option->name, '_');
}

static enum status fail_unknown(const char *word, struct error *error)
{
	static const char *const later[] = {"share", "vsock", "detach", NULL};
	struct option option;

	if (word[0] != '-')
		return error_set(error, STATUS_INVALID,
			"run: unexpected '%.60s'; files go behind --kernel and --initrd", word);
	if (split_option(word, &option) && is_one_of(option.name, later))
		return error_set(error, STATUS_INVALID, "--%s is not available yet", option.name);
	return error_set(
		error, STATUS_INVALID, "run: there is no option %.60s; see lodge help run", word);
}

static enum status read_config_file(
	const char *path, struct machine_config *config, struct error *error)
{
	static char json[CONFIG_JSON_BYTES_MAX + 1];
	struct error reason;
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		got = read(fd, json, sizeof(json));
	if (got < 0)
		error_set(error, STATUS_IO, "--config %.150s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (got < 0)
		return STATUS_IO;
	if (config_read(config, json, (size_t)got, CONFIG_USER, &reason) != STATUS_OK)
		return error_set(
			error, STATUS_INVALID, "--config %.100s: %.140s", path, reason.text);
	return STATUS_OK;
}

/* Takes argv[*i], and its value behind it where it has one. only_config: --config alone counts, else it is passed over. */
static enum status take_option(struct machine_config *config, int argc, char **argv, int *i,
	bool only_config, struct error *error)
{
	const char *word = argv[*i];
	const struct config_field *field;
	struct option option;
	bool is_config;

	if (!split_option(word, &option))
		return fail_unknown(word, error);
	is_config = !strcmp(option.name, "config");
	field = is_config ? NULL : config_field_find(option.name, CONFIG_USER);
	if (!is_config && !field)
		return fail_unknown(word, error);
	if (field && field->kind == CONFIG_FLAG) {
		if (option.value)
			return error_set(error, STATUS_INVALID, "--%s takes no value", option.name);
		option.value = "true";
	} else if (!option.value) {
		if (*i + 1 >= argc)
			return error_set(error, STATUS_INVALID, "--%s wants a value", option.name);
		option.value = argv[++*i];
	}
	if (is_config != only_config)
		return STATUS_OK;
	return is_config ? read_config_file(option.value, config, error)
			 : config_set(config, field, option.value, error);
}

/* The files first, then the options, which override them. */
static enum status read_options(
	struct machine_config *config, int argc, char **argv, struct error *error)
{
	enum status status = STATUS_OK;

	config_init(config);
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; status == STATUS_OK && i < argc; i++)
			status = take_option(config, argc, argv, &i, pass == 0, error);
	}
	return status == STATUS_OK ? config_check(config, error) : status;
}

static int command_run(int argc, char **argv)
{
	static struct machine_config config;
	struct error error;
	enum status status;

	for (int i = 0; i < argc; i++) {
		if (asks_for_help(argv[i]))
			return cli_help("run");
	}
	status = read_options(&config, argc, argv, &error);
	if (status != STATUS_OK)
		return message_fail_status(status, &error);
	return launch_run(&config);
}

/* ---- the other commands ---- */

static int command_doctor(int argc, char **argv)
{
	bool as_json = argc == 1 && !strcmp(argv[0], "--json");

	if (argc == 1 && asks_for_help(argv[0]))
		return cli_help("doctor");
	if (argc && !as_json)
		return message_fail(LODGE_EXIT_USAGE,
			"doctor: unexpected '%.60s'; see lodge help doctor", argv[0]);
	return doctor_run(as_json);
}

static int command_version(int argc, char **argv)
{
	if (argc == 1 && asks_for_help(argv[0]))
		return cli_help("version");
	if (argc)
		return message_fail(LODGE_EXIT_USAGE, "version: unexpected '%.60s'", argv[0]);
	printf("lodge %s\n", LODGE_VERSION);
	return LODGE_EXIT_OK;
}

static int command_help(int argc, char **argv)
{
	if (argc > 1)
		return message_fail(LODGE_EXIT_USAGE, "help: unexpected '%.60s'", argv[1]);
	return cli_help(argc ? argv[0] : NULL);
}

static const struct command {
	const char *name, *arguments, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"run", "[OPTION]...", "starts a machine on this terminal", command_run},
	{"doctor", "[--json]", "what this host can do, and what is missing", command_doctor},
	{"version", "", "lodge's version", command_version},
	{"help", "[COMMAND]", "this, or more about a command", command_help},
};

static const struct command *find_command(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static int fail_unknown_command(const char *name)
{
	static const char *const later[] = {"list", "start", "stop", "kill", "rm", "console",
		"pause", "resume", "save", "restore", "clone", "resize", "migrate", "receive",
		"stats", "exec", "api", NULL};

	if (is_one_of(name, later))
		return message_fail(
			LODGE_EXIT_USAGE, "the command '%s' is not available yet", name);
	return message_fail(LODGE_EXIT_USAGE,
		"there is no command '%.60s'; see lodge help for those there are", name);
}

static void print_options(void)
{
	printf("\nOptions:\n  %-28s %s\n", "--config FILE",
		"a JSON object with fields named as the options (no_reboot)");
	for (unsigned i = 0; i < config_field_count; i++) {
		const struct config_field *field = &config_fields[i];
		char option[80];

		if (!(field->audience & CONFIG_USER) || field->audience == CONFIG_HIDDEN)
			continue;
		snprintf(option, sizeof(option), "--%s%s%s", field->name,
			field->argument[0] ? " " : "", field->argument);
		for (char *at = option; *at && *at != ' '; at++)
			*at = *at == '_' ? '-' : *at;
		printf("  %-28s %s", option, field->help);
		if (field->kind != CONFIG_FLAG && field->fallback[0])
			printf(" [%s]", field->fallback);
		putchar('\n');
	}
	printf("\nThe guest's first serial port is stdin and stdout. Ctrl-A x stops the guest, Ctrl-A "
	       "Ctrl-A sends Ctrl-A.\nSIGINT and SIGTERM press its power button.\n"
	       "Exit status: 0 powered off, 1 lodge could not, 2 usage, 3 triple fault under "
	       "--no-reboot,\n4 a fault of lodge's own, 64 + v written to the exit port.\n");
}

int cli_help(const char *name)
{
	const struct command *command = name ? find_command(name) : NULL;

	if (name && !command)
		return fail_unknown_command(name);
	if (command) {
		printf("lodge %s %s\n  %s\n", command->name, command->arguments, command->help);
		if (command->run == command_run)
			print_options();
		return LODGE_EXIT_OK;
	}
	printf("lodge runs virtual machines.\n\n");
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  lodge %-8s %-12s %s\n", commands[i].name, commands[i].arguments,
			commands[i].help);
	printf("\nFor example: lodge run --kernel build/guest/vmlinuz --initrd build/guest/initrd\n");
	return LODGE_EXIT_OK;
}

int cli_main(int argc, char **argv)
{
	const struct command *command;
	int status;

	if (argc < 2)
		return message_fail(LODGE_EXIT_USAGE, "no command; see lodge help");
	if (asks_for_help(argv[1]))
		return cli_help(NULL);
	if (!strcmp(argv[1], "--version"))
		return command_version(argc - 2, argv + 2);
	command = find_command(argv[1]);
	if (!command)
		return fail_unknown_command(argv[1]);
	status = command->run(argc - 2, argv + 2);
	if (fflush(stdout) && status == LODGE_EXIT_OK)
		return message_fail(LODGE_EXIT_FAILURE, "stdout: %s", strerror(errno));
	return status;
}
