/* SPDX-License-Identifier: MIT */
#include "engines/translator/dump.h"

#include "x86/decode/decode.h"

#define HOST_COLUMN 58
#define INSN_BYTES_MAX 15

struct dumper {
	const struct dump *dump;
	void (*line)(void *context, const char *text);
	void *context;
	u32 offset; /* of the next host instruction */
};

static void pad(struct text *text, size_t column)
{
	while (text->length < column)
		text_append_char(text, ' ');
}

/* The host instruction at the offset, which it steps over. */
static void append_host(struct text *text, struct dumper *dumper)
{
	u32 offset = dumper->offset, left = dumper->dump->host_bytes - offset;
	const u8 *at = dumper->dump->host + offset;
	struct insn insn;

	pad(text, HOST_COLUMN);
	text_format(text, "| %4x  ", offset);
	if (decode(at, MIN(left, INSN_BYTES_MAX), SIZE_64, ~(u64)0, &insn) == DECODE_OK) {
		insn_print(text, &insn, offset);
		dumper->offset += insn.length;
	} else {
		text_format(text, "byte 0x%02x", *at);
		dumper->offset++;
	}
}

/* The line that was begun, and the host code up to `end`; an empty line where there is neither. */
static void finish(struct dumper *dumper, struct text *text, u32 end)
{
	end = MIN(end, dumper->dump->host_bytes);
	if (dumper->offset < end)
		append_host(text, dumper);
	if (text->length)
		dumper->line(dumper->context, text->buffer);
	while (dumper->offset < end) {
		text_init(text, text->buffer, text->capacity);
		append_host(text, dumper);
		dumper->line(dumper->context, text->buffer);
	}
}

void block_dump(
	const struct dump *dump, void (*line)(void *context, const char *text), void *context)
{
	struct dumper dumper = {dump, line, context, 0};
	u64 address = dump->guest_address;
	char buffer[256];
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	finish(&dumper, &text, dump->count ? dump->insns[0].host_offset : dump->host_bytes);
	for (unsigned i = 0; i < dump->count; i++) {
		const struct insn *insn = dump->insns[i].insn;
		u32 end = i + 1 < dump->count ? dump->insns[i + 1].host_offset : dump->host_bytes;

		text_init(&text, buffer, sizeof(buffer));
		text_format(&text, "%016lx  ", address);
		insn_print(&text, insn, address);
		finish(&dumper, &text, end);
		address += insn->length;
	}
}
