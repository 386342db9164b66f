/* SPDX-License-Identifier: MIT */
/* The description's JSON reader; what it accepts must survive being written and read again. */
#include <stdlib.h>
#include <string.h>

#include "control/config.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct machine_config config, again;
static char json[CONFIG_JSON_BYTES_MAX];

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct error error = {{0}};
	struct text text;

	config_init(&config);
	config_init(&again);
	if (config_read(&config, (const char *)data, size, CONFIG_BOTH, &error) != STATUS_OK) {
		if (!error.text[0])
			abort();
		return 0;
	}
	text_init(&text, json, sizeof(json));
	if (config_write(&config, CONFIG_BOTH, &text) != STATUS_OK ||
		config_read(&again, json, text.length, CONFIG_BOTH, &error) != STATUS_OK)
		abort();
	(void)!config_check(&config, &error);
	for (unsigned i = 0; i < config_field_count; i++) {
		const struct config_field *field = &config_fields[i];
		const char *a = (char *)&config + field->offset;
		const char *b = (char *)&again + field->offset;

		if (field->kind == CONFIG_TEXT ? strcmp(a, b) : memcmp(a, b, 1))
			abort();
	}
	return 0;
}
