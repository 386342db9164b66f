/* SPDX-License-Identifier: MIT */
#include "control/machines.h"

#include "base/memory.h"

static char peek(struct machines *machines)
{
	return machines->at < machines->bytes ? machines->json[machines->at] : 0;
}

static void step(struct machines *machines)
{
	machines->line += peek(machines) == '\n';
	machines->at += machines->at < machines->bytes;
}

static void skip_space(struct machines *machines)
{
	for (char c = peek(machines); c == ' ' || c == '\t' || c == '\n' || c == '\r';
		c = peek(machines))
		step(machines);
}

/* Takes the word, space before it, or leaves everything where it was behind the space. */
static bool take(struct machines *machines, const char *word)
{
	size_t length = text_length(word);

	skip_space(machines);
	if (machines->bytes - machines->at < length ||
		memcmp(machines->json + machines->at, word, length))
		return false;
	machines->at += length;
	return true;
}

static enum status fail(struct machines *machines, const char *expected, struct error *error)
{
	machines->ended = true;
	return error_set(error, STATUS_INVALID, "line %u: expected %s", machines->line, expected);
}

bool machines_is_list(const char *json, size_t bytes)
{
	struct machines machines = {.json = json, .bytes = bytes};

	return take(&machines, "{") && take(&machines, "\"machines\"");
}

enum status machines_open(
	struct machines *machines, const char *json, size_t bytes, struct error *error)
{
	memset(machines, 0, sizeof(*machines));
	machines->json = json;
	machines->bytes = bytes;
	machines->line = 1;
	if (!take(machines, "{") || !take(machines, "\"machines\"") || !take(machines, ":") ||
		!take(machines, "["))
		return fail(machines, "{\"machines\": [ ... ]}", error);
	return STATUS_OK;
}

/* From the opening brace to behind the one that closes it. False: none does. */
static bool skip_object(struct machines *machines)
{
	bool in_string = false;
	unsigned depth = 0;

	for (char c; machines->at < machines->bytes; step(machines)) {
		c = peek(machines);
		if (in_string && c == '\\')
			step(machines);
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && c == '{')
			depth++;
		else if (!in_string && c == '}' && !--depth)
			break;
	}
	if (machines->at == machines->bytes)
		return false;
	step(machines);
	return true;
}

static enum status read_end(struct machines *machines, struct error *error)
{
	if (!take(machines, "}"))
		return fail(machines, "} behind the list of machines", error);
	skip_space(machines);
	if (machines->at < machines->bytes)
		return fail(machines, "nothing behind the list of machines", error);
	machines->ended = true;
	return STATUS_END;
}

static bool name_is_taken(const struct machines *machines, const char *name)
{
	for (unsigned i = 0; i < machines->count; i++) {
		if (text_equal(machines->names[i], name))
			return true;
	}
	return false;
}

/* Of one object, which is right as JSON: can it be one of several machines? */
static enum status check(struct machines *machines, const struct machine_config *config,
	unsigned line, struct error *error)
{
	struct error reason;
	enum status status;

	if (!config->name[0])
		return error_set(error, STATUS_INVALID, "line %u: a machine without a name", line);
	if (name_is_taken(machines, config->name))
		return error_set(error, STATUS_INVALID, "line %u: there already is a machine %s",
			line, config->name);
	memcpy(machines->names[machines->count], config->name, sizeof(config->name));
	status = config_check(config, &reason);
	if (status != STATUS_OK)
		return error_set(error, status, "line %u: machine %s: %.160s", line, config->name,
			reason.text);
	return STATUS_OK;
}

enum status machines_next(
	struct machines *machines, struct machine_config *config, struct error *error)
{
	enum status status;
	unsigned line;
	size_t start;

	if (machines->ended)
		return STATUS_END;
	if (take(machines, "]"))
		return read_end(machines, error);
	if (machines->count && !take(machines, ","))
		return fail(machines, "a comma or ] behind a machine", error);
	skip_space(machines);
	if (peek(machines) != '{')
		return fail(machines, "a machine's { }", error);
	if (machines->count == MACHINES_MAX)
		return fail(machines, "at most 32 machines", error);
	line = machines->line;
	start = machines->at;
	if (!skip_object(machines))
		return fail(machines, "a } that ends the last machine", error);
	config_init(config);
	status = config_read_part(
		config, machines->json + start, machines->at - start, line, CONFIG_USER, error);
	if (status == STATUS_OK)
		status = check(machines, config, line, error);
	machines->count++;
	return status;
}
