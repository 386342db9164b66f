/* SPDX-License-Identifier: MIT */
#include "hosts/linux/sandbox/layers.h"

#include <stdarg.h>
#include <stdio.h>

bool layer_set(struct sandbox_layer *layer, bool is_there, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(layer->text, sizeof(layer->text), format, arguments);
	va_end(arguments);
	layer->is_there = is_there;
	return is_there;
}
