/* SPDX-License-Identifier: MIT */
/*
 * Text into a fixed buffer, without libc: always terminated, cut when full. Formats understand
 * %s %c %d %i %u %x %X %p %% with l, ll, z, h, hh, width, precision, 0 and -.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include "base/types.h"

struct text {
	char *buffer;
	size_t capacity; /* bytes in buffer, the terminator included; at least 1 */
	size_t length;	 /* what has been written, without the terminator */
	bool truncated;
};

void text_init(struct text *text, char *buffer, size_t capacity);
void text_append(struct text *text, const char *string);
void text_append_char(struct text *text, char c);
void text_format(struct text *text, const char *format, ...) format_like(2, 3);
void text_format_list(struct text *text, const char *format, va_list arguments);

/* The string functions that freestanding code may use. */
size_t text_length(const char *string);
bool text_equal(const char *a, const char *b);
bool text_starts_with(const char *string, const char *prefix);
/* 0 to 15; -1: not one. */
int text_hex_digit(char c);

#endif
