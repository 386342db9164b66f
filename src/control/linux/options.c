/* SPDX-License-Identifier: MIT */
#include "control/linux/options.h"

#include <string.h>

static const struct option_row *find(const struct option_row *rows, const char *name, size_t length)
{
	for (; rows && rows->name; rows++) {
		if (strlen(rows->name) == length && !strncmp(rows->name, name, length))
			return rows;
	}
	return NULL;
}

/* argv[*i], and its value behind it where it has one. */
static enum status take(const char *command, const struct option_row *rows, int argc, char **argv,
	int *i, struct options *options, struct error *error)
{
	const char *word = argv[*i], *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);
	const struct option_row *row = NULL;
	const char *value = equals ? equals + 1 : NULL;

	if (length > 2 && !strncmp(word, "--", 2))
		row = find(rows, word + 2, length - 2);
	if (!row)
		return error_set(error, STATUS_INVALID,
			"%s: there is no option %.60s; see lodge help %s", command, word, command);
	if (!row->argument && value)
		return error_set(
			error, STATUS_INVALID, "%s: --%s takes no value", command, row->name);
	if (row->argument && !value && *i + 1 >= argc)
		return error_set(
			error, STATUS_INVALID, "%s: --%s wants a value", command, row->name);
	if (row->argument && !value)
		value = argv[++*i];
	options->values[row - rows] = value ? value : "";
	return STATUS_OK;
}

enum status options_read(const char *command, const struct option_row *rows, int argc, char **argv,
	unsigned least, unsigned most, struct options *options, struct error *error)
{
	enum status status = STATUS_OK;

	*options = (struct options){.names = argv};
	for (int i = 0; i < argc && status == STATUS_OK; i++) {
		if (argv[i][0] == '-' && argv[i][1])
			status = take(command, rows, argc, argv, &i, options, error);
		else
			argv[options->name_count++] = argv[i];
	}
	if (status != STATUS_OK)
		return status;
	if (options->name_count < least)
		return error_set(error, STATUS_INVALID,
			"%s: wants a machine's name; see lodge list", command);
	if (options->name_count > most)
		return error_set(error, STATUS_INVALID, "%s: unexpected '%.60s'; see lodge help %s",
			command, argv[most], command);
	return STATUS_OK;
}
