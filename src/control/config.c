/* SPDX-License-Identifier: MIT */
/* The machine description's fields, their values as text, and what makes sense together. */
#include "control/config.h"

#include "base/memory.h"
#include "control/disk.h"
#include "control/net.h"

#define USER CONFIG_USER
#define RUNNER CONFIG_RUNNER
#define BOTH CONFIG_BOTH
#define HIDDEN CONFIG_HIDDEN
#define RECORD CONFIG_RECORD
#define AT(name) offsetof(struct machine_config, name)
#define TEXT(name, bytes, fallback, who, argument, help) \
	{#name, CONFIG_TEXT, who, AT(name), bytes, fallback, argument, help},
#define SIZE(name, fallback, who, argument, help) \
	{#name, CONFIG_SIZE, who, AT(name), 0, fallback, argument, help},
#define NUMBER(name, fallback, who, argument, help) \
	{#name, CONFIG_NUMBER, who, AT(name), 0, fallback, argument, help},
#define FLAG(name, who, help) {#name, CONFIG_FLAG, who, AT(name), 0, "false", "", help},
#define LIST(name, bytes, who, argument, help) \
	{#name, CONFIG_LIST, who, AT(name), bytes, "", argument, help},
#define DESCRIPTOR(name, help) {#name, CONFIG_DESCRIPTOR, RUNNER, AT(name), 0, "-1", "", help},
const struct config_field config_fields[] = {
#include "control/config.def"
};
const unsigned config_field_count = ARRAY_SIZE(config_fields);

/* The most a machine may have: core/memory.h's MEMORY_MINIMUM and MEMORY_MAXIMUM, in whole pages. */
#define MEMORY_LEAST MIB
#define MEMORY_MOST ((u64)1 << 40)
#define CPUS_MOST 32
/* Less holds too few blocks for a kernel to get anywhere; past the most no call reaches from one end to the other. */
#define CODE_CACHE_LEAST MIB
#define CODE_CACHE_MOST GIB
#define CPU_WEIGHT_MOST 10000 /* as cgroup v2 has it */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits up to their end; false where there are none, or they pass 64 bits. */
static bool parse_decimal(const char **text, u64 *value)
{
	const char *at = *text;
	u64 result = 0;

	if (!is_digit(*at))
		return false;
	for (; is_digit(*at); at++) {
		if (__builtin_mul_overflow(result, 10, &result) ||
			__builtin_add_overflow(result, (u64)(*at - '0'), &result))
			return false;
	}
	*text = at;
	*value = result;
	return true;
}

bool config_parse_size(const char *text, u64 *bytes)
{
	unsigned shift = 0;
	u64 value;

	if (!parse_decimal(&text, &value))
		return false;
	switch (*text) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case 't':
	case 'T':
		shift = 40;
		break;
	case 0:
		break;
	default:
		return false;
	}
	if (*text && text[1])
		return false;
	if (value > (~(u64)0 >> shift))
		return false;
	*bytes = value << shift;
	return true;
}

/* `suffix` may be behind it. */
static bool parse_number(const char *text, const char *suffix, u32 *number)
{
	u64 value;

	if (!parse_decimal(&text, &value) || value > 0xffffffff)
		return false;
	if (*text && !text_equal(text, suffix))
		return false;
	*number = (u32)value;
	return true;
}

static bool parse_descriptor(const char *text, i32 *descriptor)
{
	u32 value;

	if (text_equal(text, "-1")) {
		*descriptor = -1;
		return true;
	}
	if (!parse_number(text, "", &value) || value > 0x7fffffff)
		return false;
	*descriptor = (i32)value;
	return true;
}

/* For messages: as people write the option. */
static struct error option_name(const struct config_field *field)
{
	struct error name;

	error_set(&name, STATUS_OK, "--%s", field->name);
	for (char *at = name.text; *at; at++) {
		if (*at == '_')
			*at = '-';
	}
	return name;
}

static enum status set_text(
	char *to, const struct config_field *field, const char *value, struct error *error)
{
	size_t length = text_length(value);

	if (length >= field->capacity)
		return error_set(error, STATUS_INVALID, "%s is too long: at most %u bytes",
			option_name(field).text, field->capacity - 1);
	memcpy(to, value, length + 1);
	return STATUS_OK;
}

/* A line of its own. */
static enum status add_text(
	char *to, const struct config_field *field, const char *value, struct error *error)
{
	size_t used = text_length(to), length = text_length(value);

	for (const char *c = value; *c; c++) {
		if (*c == '\n')
			return error_set(error, STATUS_INVALID, "%s: a line break in %.40s",
				option_name(field).text, value);
	}
	if (!length)
		return STATUS_OK;
	if (used + length + 2 > field->capacity)
		return error_set(error, STATUS_INVALID,
			"too many of %s, or too long: at most %u bytes", option_name(field).text,
			field->capacity - 2);
	memcpy(to + used, value, length);
	memcpy(to + used + length, "\n", 2);
	return STATUS_OK;
}

bool config_list_next(const char **at, char *text, size_t capacity)
{
	size_t length = 0;

	while ((*at)[length] && (*at)[length] != '\n')
		length++;
	if (!length || length >= capacity)
		return false;
	memcpy(text, *at, length);
	text[length] = 0;
	*at += length + 1;
	return true;
}

static enum status set_field(struct machine_config *config, const struct config_field *field,
	const char *value, struct error *error)
{
	void *to = (char *)config + field->offset;

	switch (field->kind) {
	case CONFIG_TEXT:
		return set_text(to, field, value, error);
	case CONFIG_SIZE:
		if (config_parse_size(value, to))
			return STATUS_OK;
		return error_set(error, STATUS_INVALID, "%s %.40s: not a size, such as 512M or 2G",
			option_name(field).text, value);
	case CONFIG_NUMBER:
		if (parse_number(value, text_equal(field->argument, "PERCENT") ? "%" : "", to))
			return STATUS_OK;
		return error_set(error, STATUS_INVALID, "%s %.40s: not a number",
			option_name(field).text, value);
	case CONFIG_FLAG:
		*(bool *)to = !text_equal(value, "false");
		return STATUS_OK;
	case CONFIG_LIST:
		return add_text(to, field, value, error);
	case CONFIG_DESCRIPTOR:
		if (parse_descriptor(value, to))
			return STATUS_OK;
		return error_set(error, STATUS_INVALID, "%s %.40s: not a file descriptor",
			field->name, value);
	}
	return STATUS_INVALID;
}

enum status config_set(struct machine_config *config, const struct config_field *field,
	const char *value, struct error *error)
{
	/* An empty name is a script's mistake; none at all is what the default says. */
	if (!value[0] && text_starts_with(field->argument, "FILE"))
		return error_set(
			error, STATUS_INVALID, "%s needs a file's name", option_name(field).text);
	if (text_equal(field->name, "name") && !config_name_is_good(value))
		return error_set(error, STATUS_INVALID,
			"--name '%.70s': a name has 1 to 63 letters, digits, - _ and ., and begins "
			"with a letter or digit",
			value);
	if (!value[0] && field->kind == CONFIG_LIST)
		return error_set(
			error, STATUS_INVALID, "%s needs a value", option_name(field).text);
	return set_field(config, field, value, error);
}

void config_init(struct machine_config *config)
{
	memset(config, 0, sizeof(*config));
	for (unsigned i = 0; i < config_field_count; i++) {
		enum status status =
			set_field(config, &config_fields[i], config_fields[i].fallback, NULL);

		(void)status; /* defaults are good: a test reads them all */
	}
}

static bool names_match(const char *name, const char *asked)
{
	for (; *name && *asked; name++, asked++) {
		if (*name != *asked && !(*name == '_' && *asked == '-'))
			return false;
	}
	return *name == *asked;
}

const struct config_field *config_field_find(const char *name, enum config_audience audience)
{
	for (unsigned i = 0; i < config_field_count; i++) {
		const struct config_field *field = &config_fields[i];

		if (field->audience & audience && names_match(field->name, name))
			return field;
	}
	return NULL;
}

bool config_name_is_good(const char *name)
{
	size_t length = 0;

	for (; name[length]; length++) {
		char c = name[length] | 0x20;
		bool is_word = is_digit(name[length]) || (c >= 'a' && c <= 'z');
		bool is_mark = name[length] == '-' || name[length] == '_' || name[length] == '.';

		if (!is_word && !(is_mark && length))
			return false;
	}
	return length && length < sizeof(((struct machine_config *)0)->name);
}

static bool is_one_of(const char *value, const char *const *names)
{
	for (; *names; names++) {
		if (text_equal(value, *names))
			return true;
	}
	return false;
}

static enum status check_names(const struct machine_config *config, struct error *error)
{
	static const char *const engines[] = {
		"auto", "interp", "translate", "direct", "kvm", "svm", "lockstep", NULL};
	static const char *const models[] = {"auto", "x86-64-v2", "x86-64-v3", NULL};
	static const char *const consoles[] = {"stdio", "virtio", "none", NULL};
	static const char *const clocks[] = {"real", "instructions", NULL};
	static const char *const verifications[] = {"off", "on", "strict", NULL};

	if (!is_one_of(config->engine, engines))
		return error_set(error, STATUS_INVALID,
			"--engine %s: no such engine; there are auto and interp", config->engine);
	if (!is_one_of(config->cpu, models))
		return error_set(error, STATUS_INVALID,
			"--cpu %s: no such model; there are auto, x86-64-v2 and x86-64-v3",
			config->cpu);
	if (!is_one_of(config->console, consoles))
		return error_set(error, STATUS_INVALID,
			"--console %s: no such console; there are stdio, virtio and none",
			config->console);
	if (!is_one_of(config->clock, clocks))
		return error_set(error, STATUS_INVALID,
			"--clock %s: no such clock; there are real and instructions",
			config->clock);
	if (!is_one_of(config->verify_translations, verifications))
		return error_set(error, STATUS_INVALID,
			"--verify-translations %s: there are off, on and strict",
			config->verify_translations);
	return STATUS_OK;
}

/* Behind `prefix`, which is a word of a list with commas; NULL: it is not. */
static const char *skip_word(const char *list, const char *word)
{
	for (; *word; list++, word++)
		if (*list != *word)
			return NULL;
	return !*list || *list == ',' ? list + !!*list : NULL;
}

bool config_trace_has(const struct machine_config *config, const char *what)
{
	for (const char *at = config->trace; *at;) {
		if (skip_word(at, what))
			return true;
		while (*at && *at++ != ',')
			;
	}
	return false;
}

static enum status check_trace(const struct machine_config *config, struct error *error)
{
	static const char *const words[] = {"instructions", "events", "notes", NULL};
	const char *next = NULL;
	bool is_one =
		text_equal(config->engine, "lockstep") || config->gdb[0] || config->gdb_fd >= 0;

	for (const char *at = config->trace; *at; at = next) {
		next = NULL;
		for (unsigned i = 0; words[i] && !next; i++)
			next = skip_word(at, words[i]);
		if (!next)
			return error_set(error, STATUS_INVALID,
				"--trace %s: there are instructions, events and notes",
				config->trace);
	}
	if (!config->trace_lines)
		return error_set(error, STATUS_INVALID, "--trace-lines 0: at least 1");
	if (!config->trace[0] &&
		(config->trace_file[0] || config->trace_after || config->trace_last))
		return error_set(error, STATUS_INVALID,
			"--trace-file, --trace-after and --trace-last need --trace");
	if (is_one && config_trace_has(config, "instructions"))
		return error_set(error, STATUS_UNSUPPORTED,
			"--trace instructions: not together with --gdb or --engine lockstep, which "
			"look at each instruction, too");
	return STATUS_OK;
}

static enum status check_disks(const struct machine_config *config, struct error *error)
{
	char text[DISK_TEXT_BYTES_MAX];
	const char *at = config->disk;
	enum status status = STATUS_OK;
	struct disk_option disk;
	unsigned count = 0;

	while (status == STATUS_OK && config_list_next(&at, text, sizeof(text))) {
		status = disk_option_parse(text, &disk, error);
		if (status == STATUS_OK && disk.backing_count)
			return error_set(error, STATUS_INVALID,
				"--disk: backing= is not for people; the image names its backing file");
		count++;
	}
	if (status == STATUS_OK && *at)
		return error_set(error, STATUS_INVALID, "--disk %.40s...: too long", at);
	if (status == STATUS_OK && count > DISKS_MAX)
		return error_set(
			error, STATUS_INVALID, "--disk: a machine has at most %u disks", DISKS_MAX);
	return status;
}

static enum status check_nets(const struct machine_config *config, struct error *error)
{
	char text[NET_TEXT_BYTES_MAX];
	const char *at = config->net;
	enum status status = STATUS_OK;
	struct net_option net;
	unsigned count = 0;

	while (status == STATUS_OK && config_list_next(&at, text, sizeof(text))) {
		status = net_option_parse(text, &net, error);
		if (status == STATUS_OK && net.kind == NET_KIND_SOCKET)
			return error_set(error, STATUS_INVALID,
				"--net %.40s: no such network; there are user, tap=IFNAME and none",
				text);
		count += net.kind != NET_KIND_NONE;
	}
	if (status == STATUS_OK && *at)
		return error_set(error, STATUS_INVALID, "--net %.40s...: too long", at);
	if (status == STATUS_OK && count > NETS_MAX)
		return error_set(error, STATUS_INVALID,
			"--net: a machine has at most %u network cards", NETS_MAX);
	return status;
}

static enum status check_limits(const struct machine_config *config, struct error *error)
{
	if (config->cpu_weight < 1 || config->cpu_weight > CPU_WEIGHT_MOST)
		return error_set(error, STATUS_INVALID, "--cpu-weight %u: a weight is 1 to %u",
			config->cpu_weight, CPU_WEIGHT_MOST);
	if (config->cpu_limit > 100 * CPUS_MOST)
		return error_set(error, STATUS_INVALID,
			"--cpu-limit %u: a limit is 1 to %u percent of a processor, or 0 for none",
			config->cpu_limit, 100 * CPUS_MOST);
	return STATUS_OK;
}

enum status config_check(const struct machine_config *config, struct error *error)
{
	enum status status = check_names(config, error);

	if (status != STATUS_OK)
		return status;
	if (config->cpus < 1 || config->cpus > CPUS_MOST)
		return error_set(error, STATUS_INVALID,
			"--cpus %u: a machine has 1 to %u processors", config->cpus, CPUS_MOST);
	if (config->cpus > 1 && text_equal(config->clock, "instructions"))
		return error_set(error, STATUS_UNSUPPORTED,
			"--clock instructions: with one processor only so far (--cpus 1)");
	if (config->cpus > 1 && text_equal(config->engine, "lockstep"))
		return error_set(error, STATUS_UNSUPPORTED,
			"--engine lockstep: with one processor only so far (--cpus 1)");
	if (!config->lockstep_window)
		return error_set(error, STATUS_INVALID, "--lockstep-window 0: at least 1");
	if (config->memory < MEMORY_LEAST || config->memory > MEMORY_MOST)
		return error_set(error, STATUS_INVALID,
			"--memory %llu: a machine has 1M to 1024G of memory",
			(unsigned long long)config->memory);
	status = check_trace(config, error);
	if (status == STATUS_OK)
		status = check_disks(config, error);
	if (status == STATUS_OK)
		status = check_nets(config, error);
	if (status != STATUS_OK)
		return status;
	if (config->memory_limit && config->memory_limit < MEMORY_LEAST)
		return error_set(error, STATUS_INVALID, "--memory-limit %llu: at least 1M",
			(unsigned long long)config->memory_limit);
	if (config->memory % 4096)
		return error_set(error, STATUS_INVALID, "--memory %llu: not a multiple of 4K",
			(unsigned long long)config->memory);
	if (config->code_cache < CODE_CACHE_LEAST || config->code_cache > CODE_CACHE_MOST)
		return error_set(error, STATUS_INVALID,
			"--code-cache %llu: a machine has 1M to 1G for translated code",
			(unsigned long long)config->code_cache);
	if (config->code_cache % 4096)
		return error_set(error, STATUS_INVALID, "--code-cache %llu: not a multiple of 4K",
			(unsigned long long)config->code_cache);
	return check_limits(config, error);
}
