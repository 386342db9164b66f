/* SPDX-License-Identifier: MIT */
/* Formatting into fixed buffers. */
#include "base/text.h"

void text_init(struct text *text, char *buffer, size_t capacity)
{
	*text = (struct text){.buffer = buffer, .capacity = capacity};
	buffer[0] = 0;
}

void text_append_char(struct text *text, char c)
{
	if (text->length + 1 >= text->capacity) {
		text->truncated = true;
		return;
	}
	text->buffer[text->length++] = c;
	text->buffer[text->length] = 0;
}

void text_append(struct text *text, const char *string)
{
	while (*string)
		text_append_char(text, *string++);
}

/* One conversion's specification. */
struct conversion {
	bool left, zeros, is_signed, upper;
	int width, precision; /* precision -1: none given */
	unsigned base;
};

static void append_padding(struct text *text, int count, char with)
{
	for (; count > 0; count--)
		text_append_char(text, with);
}

static void append_string(struct text *text, const struct conversion *c, const char *string)
{
	int length = 0;
	while (string[length] && (c->precision < 0 || length < c->precision))
		length++;
	if (!c->left)
		append_padding(text, c->width - length, ' ');
	for (int i = 0; i < length; i++)
		text_append_char(text, string[i]);
	if (c->left)
		append_padding(text, c->width - length, ' ');
}

static void append_number(struct text *text, const struct conversion *c, u64 value, bool negative)
{
	char digits[24];
	int count = 0;
	const char *alphabet = c->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	do {
		digits[count++] = alphabet[value % c->base];
		value /= c->base;
	} while (value);
	int zeros = c->precision > count ? c->precision - count : 0;
	if (c->zeros && !c->left && c->precision < 0 && c->width > count + negative)
		zeros = c->width - count - negative;
	int padding = c->width - count - zeros - negative;
	if (!c->left)
		append_padding(text, padding, ' ');
	if (negative)
		text_append_char(text, '-');
	append_padding(text, zeros, '0');
	while (count)
		text_append_char(text, digits[--count]);
	if (c->left)
		append_padding(text, padding, ' ');
}

/* Reads flags, width and precision at *format; leaves it at the length modifiers. */
static struct conversion parse_conversion(const char **format, va_list *arguments)
{
	struct conversion c = {.precision = -1, .base = 10};
	const char *f = *format;
	for (; *f == '-' || *f == '0' || *f == '#' || *f == '+' || *f == ' '; f++) {
		c.left |= *f == '-';
		c.zeros |= *f == '0';
	}
	if (*f == '*') {
		c.width = va_arg(*arguments, int);
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		c.width = c.width * 10 + *f - '0';
	if (*f == '.') {
		c.precision = 0;
		if (*++f == '*') {
			c.precision = va_arg(*arguments, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++)
			c.precision = c.precision * 10 + *f - '0';
	}
	*format = f;
	return c;
}

static void append_integer(
	struct text *text, struct conversion *c, int longs, char kind, va_list *arguments)
{
	u64 value = longs > 0 ? va_arg(*arguments, u64) : va_arg(*arguments, unsigned);
	bool is_signed = kind == 'd' || kind == 'i';
	if (is_signed && longs <= 0)
		value = (u64)(i64)(i32)value;
	if (longs == -1)
		value = is_signed ? (u64)(i64)(i16)value : (u16)value;
	if (longs == -2)
		value = is_signed ? (u64)(i64)(i8)value : (u8)value;
	bool negative = is_signed && (i64)value < 0;
	c->base = kind == 'x' || kind == 'X' ? 16 : 10;
	c->upper = kind == 'X';
	append_number(text, c, negative ? -value : value, negative);
}

void text_format_list(struct text *text, const char *format, va_list list)
{
	va_list arguments;
	va_copy(arguments, list);
	for (; *format; format++) {
		if (*format != '%') {
			text_append_char(text, *format);
			continue;
		}
		format++;
		struct conversion c = parse_conversion(&format, &arguments);
		int longs = 0;
		for (;; format++) {
			if (*format == 'l' || *format == 'z' || *format == 'j' || *format == 't')
				longs++;
			else if (*format == 'h')
				longs--;
			else
				break;
		}
		if (*format == 's') {
			const char *string = va_arg(arguments, const char *);
			append_string(text, &c, string ? string : "(null)");
		} else if (*format == 'c') {
			char one[2] = {(char)va_arg(arguments, int), 0};
			append_string(text, &c, one);
		} else if (*format == 'p') {
			c.base = 16;
			text_append(text, "0x");
			append_number(text, &c, (u64)va_arg(arguments, void *), false);
		} else if (*format == '%') {
			text_append_char(text, '%');
		} else if (*format) {
			append_integer(text, &c, longs, *format, &arguments);
		} else {
			break;
		}
	}
	va_end(arguments);
}

void text_format(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	text_format_list(text, format, arguments);
	va_end(arguments);
}

size_t text_length(const char *string)
{
	size_t length = 0;
	while (string[length])
		length++;
	return length;
}

bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool text_starts_with(const char *string, const char *prefix)
{
	while (*prefix) {
		if (*string++ != *prefix++)
			return false;
	}
	return true;
}

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
