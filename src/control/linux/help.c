/* SPDX-License-Identifier: MIT */
/* What `lodge help` says, on a terminal and as man pages (groff_man(7)): from the table of commands and from config.def. */
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "control/linux/cli.h"
#include "hosts/linux/runner.h"

#define COLUMNS 100

/* ---- options ---- */

typedef void print_option(
	const char *name, const char *argument, const char *help, const char *fallback);

static void print_config_option(const struct config_field *field, print_option *print)
{
	char name[64];

	snprintf(name, sizeof(name), "%s", field->name);
	for (char *at = name; *at; at++)
		*at = *at == '_' ? '-' : *at;
	print(name, field->argument, field->help,
		field->kind != CONFIG_FLAG && field->fallback[0] ? field->fallback : NULL);
}

static bool is_run(const struct command *command)
{
	return !strcmp(command->name, "run");
}

static void print_options(const struct command *command, print_option *print)
{
	for (const struct option_row *row = command->options; row && row->name; row++)
		print(row->name, row->argument ? row->argument : "", row->help, NULL);
	if (!is_run(command))
		return;
	print("config", "FILE", "a JSON object with fields named as the options (no_reboot)", NULL);
	for (unsigned i = 0; i < config_field_count; i++) {
		if (config_fields[i].audience & CONFIG_USER &&
			config_fields[i].audience != CONFIG_HIDDEN)
			print_config_option(&config_fields[i], print);
	}
}

/* ---- on a terminal ---- */

static void print_text_option(
	const char *name, const char *argument, const char *help, const char *fallback)
{
	char option[80];

	snprintf(option, sizeof(option), "--%s%s%s", name, argument[0] ? " " : "", argument);
	printf("  %-28s %s", option, help);
	if (fallback)
		printf(" [%s]", fallback);
	putchar('\n');
}

/* Lines of at most COLUMNS, broken between words. */
static void print_paragraphs(const char *text)
{
	unsigned column = 0;

	while (*text) {
		size_t word = strcspn(text, " \n");

		if (column && column + 1 + word > COLUMNS) {
			putchar('\n');
			column = 0;
		}
		column += (unsigned)printf("%s%.*s", column ? " " : "", (int)word, text);
		text += word;
		if (*text == '\n') {
			putchar('\n');
			column = 0;
		}
		text += *text != 0;
	}
	putchar('\n');
}

static void print_command(const struct command *command)
{
	printf("lodge %s %s\n  %s\n", command->name, command->arguments, command->help);
	if (command->options || is_run(command))
		printf("\nOptions:\n");
	print_options(command, print_text_option);
	if (command->about) {
		putchar('\n');
		print_paragraphs(command->about);
	}
}

int cli_help(const char *name)
{
	const struct command *command = name ? command_find(name) : NULL;

	if (name && !command)
		return command_fail_unknown(name);
	if (command) {
		print_command(command);
		return LODGE_EXIT_OK;
	}
	printf("lodge runs virtual machines.\n\n");
	for (unsigned i = 0; i < command_count; i++)
		printf("  lodge %-8s %-28s %s\n", commands[i].name, commands[i].arguments,
			commands[i].help);
	printf("\nFor example: lodge run --kernel build/guest/vmlinuz --initrd build/guest/initrd\n");
	return LODGE_EXIT_OK;
}

/* ---- as a man page ---- */

/* A backslash begins an escape, and so does a line's first dot or quote; a hyphen is to be copied as it is. */
static void put_roff(const char *text)
{
	bool is_first = true;

	for (; *text; text++) {
		if (*text == '\n') {
			printf("\n.PP\n");
			is_first = true;
			continue;
		}
		if (is_first && (*text == '.' || *text == '\''))
			printf("\\&");
		if (*text == '\\')
			printf("\\e");
		else if (*text == '-')
			printf("\\-");
		else
			putchar(*text);
		is_first = false;
	}
}

static void put_man_option(
	const char *name, const char *argument, const char *help, const char *fallback)
{
	printf(".TP\n\\fB");
	put_roff("--");
	put_roff(name);
	printf("\\fR %s%s%s\n", argument[0] ? "\\fI" : "", argument, argument[0] ? "\\fR" : "");
	put_roff(help);
	if (fallback) {
		printf(" [");
		put_roff(fallback);
		putchar(']');
	}
	putchar('\n');
}

static void put_heading(const char *name, const char *help)
{
	printf(".\\\" Made by lodge help --man.\n.TH %s 1 \"\" \"lodge %s\" \"lodge\"\n.SH NAME\n",
		name, LODGE_VERSION);
	put_roff(name);
	printf(" \\- ");
	put_roff(help);
	printf("\n.SH SYNOPSIS\n");
}

static void put_command(const struct command *command)
{
	char name[64];

	snprintf(name, sizeof(name), "lodge-%s", command->name);
	put_heading(name, command->help);
	printf("\\fBlodge %s\\fR ", command->name);
	put_roff(command->arguments);
	putchar('\n');
	if (command->about) {
		printf(".SH DESCRIPTION\n");
		put_roff(command->about);
		putchar('\n');
	}
	if (command->options || is_run(command))
		printf(".SH OPTIONS\n");
	print_options(command, put_man_option);
	printf(".SH SEE ALSO\n.BR lodge (1)\n");
}

static void put_all(void)
{
	put_heading("lodge", "runs virtual machines");
	printf("\\fBlodge\\fR \\fICOMMAND\\fR ...\n.SH COMMANDS\n");
	for (unsigned i = 0; i < command_count; i++) {
		printf(".TP\n\\fBlodge %s\\fR ", commands[i].name);
		put_roff(commands[i].arguments);
		putchar('\n');
		put_roff(commands[i].help);
		printf("; see\n.BR lodge\\-%s (1)\n", commands[i].name);
	}
	printf(".SH FILES\n.TP\n");
	put_roff("$XDG_RUNTIME_DIR/lodge, /run/lodge for root");
	putchar('\n');
	put_roff("the machines that there are, a folder each");
	printf("\n.SH ENVIRONMENT\n.TP\nLODGE_RUNTIME_DIR\n");
	put_roff("another folder for them");
	printf("\n.TP\nLODGE_CGROUP\n");
	put_roff(
		"a delegated group (cgroup v2, processors and memory) below which machines with limits get "
		"theirs");
	printf("\n.SH EXIT STATUS\n0 as asked; 1 it could not be done; 2 usage. Of a machine: see\n.BR "
	       "lodge\\-run (1)\n");
}

int help_man(const char *name)
{
	const struct command *command = name ? command_find(name) : NULL;

	if (name && !command)
		return command_fail_unknown(name);
	if (command)
		put_command(command);
	else
		put_all();
	return LODGE_EXIT_OK;
}
