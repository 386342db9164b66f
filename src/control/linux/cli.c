/* SPDX-License-Identifier: MIT */
#include "control/linux/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "control/linux/complete.h"
#include "control/linux/config_file.h"
#include "control/linux/doctor.h"
#include "control/linux/fleet.h"
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
	if (word[0] != '-')
		return error_set(error, STATUS_INVALID,
			"run: unexpected '%.60s'; files go behind --kernel and --initrd", word);
	return error_set(
		error, STATUS_INVALID, "run: there is no option %.60s; see lodge help run", word);
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
	return is_config ? config_file_read(option.value, config, error)
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

	status = read_options(&config, argc, argv, &error);
	if (status != STATUS_OK)
		return message_fail_status(status, &error);
	return launch_run(&config);
}

/* ---- the other commands ---- */

static int command_doctor(int argc, char **argv)
{
	bool as_json = argc == 1 && !strcmp(argv[0], "--json");

	if (argc && !as_json)
		return message_fail(LODGE_EXIT_USAGE,
			"doctor: unexpected '%.60s'; see lodge help doctor", argv[0]);
	return doctor_run(as_json);
}

static int command_version(int argc, char **argv)
{
	if (argc)
		return message_fail(LODGE_EXIT_USAGE, "version: unexpected '%.60s'", argv[0]);
	printf("lodge %s\n", LODGE_VERSION);
	return LODGE_EXIT_OK;
}

static int command_help(int argc, char **argv)
{
	/* For the makefile, which makes the man pages from the same words. */
	if (argc && !strcmp(argv[0], "--man") && argc <= 2)
		return help_man(argc == 2 ? argv[1] : NULL);
	if (argc > 1)
		return message_fail(LODGE_EXIT_USAGE, "help: unexpected '%.60s'", argv[1]);
	return cli_help(argc ? argv[0] : NULL);
}

const struct command commands[] = {
	{"run", "[OPTION]...", "starts a machine on this terminal, or in the background",
		"The guest's first serial port is stdin and stdout, byte for byte; lodge's own messages go to "
		"stderr. Ctrl-A x stops the guest, Ctrl-A Ctrl-A sends Ctrl-A. SIGINT and SIGTERM press "
		"its power button; after 10 s, or at a second one, it is stopped by force.\n"
		"With --detach the machine runs in the background: its name is printed once its guest is "
		"loaded, its console is kept (lodge logs) and can be had (lodge console).\n"
		"Exit status: 0 powered off, 1 lodge could not, or the machine was stopped by force, 2 usage, "
		"3 triple fault under --no-reboot, 4 a fault of lodge's own, 64 + v written to the exit port.",
		NULL, command_run, ARGUMENT_NONE},
	{"list", "[--all] [--json]", "the machines of this user",
		"NAME, STATE (starting, running; panicked, if the guest's kernel has said so; stopped or killed, "
		"with --all), PID of the machine's process, ENGINE, CPUS, MEMORY, UP.",
		list_options, command_list, ARGUMENT_NONE},
	{"console", "NAME", "this terminal becomes a detached machine's console",
		"Ctrl-A d detaches, and so do SIGINT and SIGTERM; the machine goes on. Ctrl-A x stops the guest, "
		"Ctrl-A Ctrl-A sends Ctrl-A. Several terminals may be attached at once. What the guest wrote before "
		"is in lodge logs. The end of input on stdin ends nothing. Exit status 0 when it is detached or the "
		"machine has ended.",
		NULL, command_console, ARGUMENT_RUNNING},
	{"logs", "NAME [--follow]", "what a detached machine wrote to its console",
		"The guest's output to stdout, lodge's own messages to stderr. The newest 1 to 2 MiB are kept, also "
		"after the machine's end, until lodge rm or a new machine of that name.",
		logs_options, command_logs, ARGUMENT_ANY},
	{"stop", "[--timeout SECONDS] NAME...", "presses the power button, and waits for the end",
		"A guest that has not powered off in time is stopped by force, and that is told. Exit status 0 when "
		"each of them has ended, also if one had before.",
		stop_options, command_stop, ARGUMENT_RUNNING},
	{"kill", "NAME...", "ends machines at once",
		"As pulling the plug: what the guest has not written to its disks is lost.", NULL,
		command_kill, ARGUMENT_RUNNING},
	{"rm", "[--force] NAME...", "forgets machines that have ended, and their logs",
		"One that runs is refused.", rm_options, command_rm, ARGUMENT_ANY},
	{"stats", "[NAME] [--json]", "processor time and memory of running machines",
		"CPU-TIME is what the machine's process has taken, CPU-% its average of one processor since the "
		"start; PROMISED is the guest's memory, USED what of it the host has given, "
		"FREE what the guest last said to have free (-: it has no balloon driver). DISK-R, DISK-W, NET-IN and NET-OUT "
		"are bytes since the start, of all disks and network cards; --json has the numbers of requests and packets, too.",
		stats_options, command_stats, ARGUMENT_RUNNING},
	{"check-config", "FILE", "says what is wrong in a machine's description, or in several",
		"FILE holds what lodge run --config takes, or {\"machines\": [...]}, a list of such descriptions, each with "
		"a name: the machines.json of lodge-metal. Everything that is wrong is told with its line. Exit "
		"status 0 if nothing is.",
		NULL, command_check_config, ARGUMENT_NONE},
	{"doctor", "[--json]", "what this host can do, and what is missing",
		"Exit status 0 if a machine can be run here.", NULL, command_doctor, ARGUMENT_NONE},
	{"version", "", "lodge's version", NULL, NULL, command_version, ARGUMENT_NONE},
	{"help", "[COMMAND]", "this, or more about a command", NULL, NULL, command_help,
		ARGUMENT_COMMAND},
};
const unsigned command_count = ARRAY_SIZE(commands);

const struct command *command_find(const char *name)
{
	for (unsigned i = 0; i < command_count; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

int command_fail_unknown(const char *name)
{
	static const char *const later[] = {"start", "pause", "resume", "save", "restore", "clone",
		"resize", "migrate", "receive", "exec", "api", NULL};

	if (is_one_of(name, later))
		return message_fail(
			LODGE_EXIT_USAGE, "the command '%s' is not available yet", name);
	return message_fail(LODGE_EXIT_USAGE,
		"there is no command '%.60s'; see lodge help for those there are", name);
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
	if (!strcmp(argv[1], "complete"))
		return complete_words(argc - 2, argv + 2);
	command = command_find(argv[1]);
	if (!command)
		return command_fail_unknown(argv[1]);
	for (int i = 2; i < argc && command->run != command_help; i++) {
		if (asks_for_help(argv[i]))
			return cli_help(command->name);
	}
	status = command->run(argc - 2, argv + 2);
	if (fflush(stdout) && status == LODGE_EXIT_OK)
		return message_fail(LODGE_EXIT_FAILURE, "stdout: %s", strerror(errno));
	return status;
}
