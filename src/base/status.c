/* SPDX-License-Identifier: MIT */
#include "base/status.h"
#include "base/text.h"

enum status error_set(struct error *error, enum status status, const char *format, ...)
{
	if (error) {
		struct text text;
		va_list arguments;
		text_init(&text, error->text, sizeof(error->text));
		va_start(arguments, format);
		text_format_list(&text, format, arguments);
		va_end(arguments);
	}
	return status;
}
