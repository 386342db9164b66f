/* SPDX-License-Identifier: MIT */
#include "control/linux/complete.h"

#include <stdio.h>
#include <string.h>

#include "control/linux/cli.h"
#include "control/linux/registry.h"
#include "hosts/linux/runner.h"

static void print_name(const struct registered *registered, void *context)
{
	const enum command_argument *wanted = context;

	if (registered->is_running || *wanted == ARGUMENT_ANY)
		printf("%s\n", registered->config.name);
}

static void print_run_options(void)
{
	printf("--config\n");
	for (unsigned i = 0; i < config_field_count; i++) {
		const struct config_field *field = &config_fields[i];

		if (!(field->audience & CONFIG_USER) || field->audience == CONFIG_HIDDEN)
			continue;
		printf("--");
		for (const char *at = field->name; *at; at++)
			putchar(*at == '_' ? '-' : *at);
		putchar('\n');
	}
}

static void print_command_names(void)
{
	for (unsigned i = 0; i < command_count; i++)
		printf("%s\n", commands[i].name);
}

/* What cannot be looked up completes to nothing: this is no place to complain. */
int complete_words(int argc, char **argv)
{
	const struct command *command = argc ? command_find(argv[0]) : NULL;
	struct error ignored;

	if (!argc || (command && command->argument == ARGUMENT_COMMAND))
		print_command_names();
	if (!command)
		return LODGE_EXIT_OK;
	for (const struct option_row *row = command->options; row && row->name; row++)
		printf("--%s\n", row->name);
	if (!strcmp(command->name, "run"))
		print_run_options();
	if (command->argument == ARGUMENT_RUNNING || command->argument == ARGUMENT_ANY) {
		enum command_argument wanted = command->argument;

		if (registry_each(print_name, &wanted, &ignored) != STATUS_OK)
			return LODGE_EXIT_FAILURE;
	}
	return LODGE_EXIT_OK;
}
