/* SPDX-License-Identifier: MIT */
/* Walks the tables: save, load, print, diff. */
#include "base/check.h"
#include "base/memory.h"
#include "core/machine.h"
#include "core/state.h"
#include "x86/model.h"
#include "x86/tlb.h"

static const char state_magic[16] = "lodge-state-2\n";

void state_register(struct machine *machine, struct state_object *object, const char *name,
	const struct state_table *table, void *owner)
{
	*object = (struct state_object){.name = name, .table = table, .object = owner};
	list_append(&machine->state_objects, &object->link);
}

static void *field_data(const struct state_object *object, const struct state_field *field)
{
	return (u8 *)object->object + field->offset;
}

static u64 field_bytes(const struct state_field *field)
{
	return (u64)field->size * field->count;
}

/* What a field's data is in the file: an event is its deadline. */
static const void *field_saved_form(
	const struct state_object *object, const struct state_field *field, u64 *deadline)
{
	const void *data = field_data(object, field);
	if (field->kind != STATE_EVENT)
		return data;
	*deadline = ((const struct event *)data)->deadline_ns;
	return deadline;
}

/* What the machine's description settles and no load may change. */
static const char *model_name(const struct machine *machine)
{
	return machine->vcpus[0]->cpu.model->name;
}

static const char *clock_name(u32 kind)
{
	return kind == CLOCK_INSTRUCTIONS ? "instructions" : "real";
}

/* ---- save ---- */

static bool put(const struct state_sink *sink, const void *from, u64 bytes)
{
	return sink->write(sink->context, from, bytes);
}

static bool put_u32(const struct state_sink *sink, u32 value)
{
	return put(sink, &value, sizeof(value));
}

static bool put_name(const struct state_sink *sink, const char *name)
{
	u32 length = text_length(name);
	return put_u32(sink, length) && put(sink, name, length);
}

static bool save_object(const struct state_sink *sink, const struct state_object *object)
{
	const struct state_table *table = object->table;
	bool ok = put_name(sink, object->name) && put_name(sink, table->name) &&
		put_u32(sink, table->version) && put_u32(sink, table->field_count);
	for (u32 i = 0; ok && i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		u64 deadline;
		ok = put_name(sink, field->name) && put_u32(sink, field->kind) &&
			put_u32(sink, field->size) && put_u32(sink, field->count) &&
			put(sink, field_saved_form(object, field, &deadline), field_bytes(field));
	}
	return ok;
}

static bool page_is_zero(const u8 *page)
{
	const u64 *words = (const u64 *)page;
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
		if (words[i])
			return false;
	}
	return true;
}

/* Pages that are not zero, each after its offset; ~0 ends. */
static bool save_memory(const struct state_sink *sink, const struct memory *memory)
{
	static const u64 end = ~(u64)0;
	if (!put(sink, &memory->bytes, 8))
		return false;
	for (u64 at = 0; at < memory->bytes; at += PAGE_SIZE) {
		const u8 *page = memory->host + at;
		if (!page_is_zero(page) && !(put(sink, &at, 8) && put(sink, page, PAGE_SIZE)))
			return false;
	}
	return put(sink, &end, 8);
}

enum status state_save(struct machine *machine, const struct state_sink *sink)
{
	u32 count = 0;
	list_for_each (node, &machine->state_objects)
		count++;
	bool ok = put(sink, state_magic, sizeof(state_magic)) &&
		put_name(sink, model_name(machine)) &&
		put_name(sink, clock_name(machine->clock.kind)) && put_u32(sink, count);
	list_for_each (node, &machine->state_objects)
		ok = ok && save_object(sink, container_of(node, struct state_object, link));
	return ok && save_memory(sink, &machine->memory) ? STATUS_OK : STATUS_IO;
}

/* ---- load ---- */

#define NAME_MAX_BYTES 64

struct loader {
	const struct state_source *source;
	struct error *error;
	const struct state_object *object;
};

static enum status get(struct loader *loader, void *to, u64 bytes)
{
	if (loader->source->read(loader->source->context, to, bytes))
		return STATUS_OK;
	return error_set(loader->error, STATUS_IO, "saved state: it ends too early (in %s)",
		loader->object ? loader->object->name : "the header");
}

static enum status expect_u32(struct loader *loader, u32 expected, const char *what)
{
	u32 value;
	enum status status = get(loader, &value, 4);
	if (status == STATUS_OK && value != expected)
		status = error_set(loader->error, STATUS_INVALID,
			"saved state: %s: %s is %u where %u was expected",
			loader->object ? loader->object->name : "header", what, value, expected);
	return status;
}

static enum status get_name(
	struct loader *loader, char name[NAME_MAX_BYTES + 1], const char *expected)
{
	u32 length;
	enum status status = get(loader, &length, 4);
	if (status != STATUS_OK)
		return status;
	if (length > NAME_MAX_BYTES)
		return error_set(loader->error, STATUS_INVALID,
			"saved state: a name of %u bytes where '%s' was expected", length,
			expected);
	status = get(loader, name, length);
	if (status == STATUS_OK)
		name[length] = 0;
	return status;
}

static enum status expect_name(struct loader *loader, const char *expected)
{
	char name[NAME_MAX_BYTES + 1];
	enum status status = get_name(loader, name, expected);
	if (status != STATUS_OK)
		return status;
	if (!text_equal(name, expected))
		return error_set(loader->error, STATUS_INVALID,
			"saved state: '%s' where '%s' was expected", name, expected);
	return STATUS_OK;
}

static enum status expect_description(
	struct loader *loader, const char *option, const char *of_this_machine)
{
	char name[NAME_MAX_BYTES + 1];
	enum status status = get_name(loader, name, of_this_machine);
	if (status == STATUS_OK && !text_equal(name, of_this_machine))
		status = error_set(loader->error, STATUS_INVALID,
			"saved state: of a machine with %s %s, and this one has %s", option, name,
			of_this_machine);
	return status;
}

static enum status load_data(
	struct loader *loader, struct state_object *object, const struct state_field *field)
{
	u64 deadline;
	if (field->kind == STATE_EVENT) {
		enum status status = get(loader, &deadline, 8);
		if (status == STATUS_OK)
			event_set(field_data(object, field), deadline);
		return status;
	}
	u8 *data = field_data(object, field);
	enum status status = get(loader, data, field_bytes(field));
	for (u32 i = 0; status == STATUS_OK && field->kind == STATE_BOOL && i < field->count; i++) {
		if (data[i] > 1) {
			data[i] = 1;
			return error_set(loader->error, STATUS_INVALID,
				"saved state: %s.%s is no yes or no", object->name, field->name);
		}
	}
	return status;
}

static enum status load_field(
	struct loader *loader, struct state_object *object, const struct state_field *field)
{
	enum status status = expect_name(loader, field->name);
	if (status == STATUS_OK)
		status = expect_u32(loader, field->kind, field->name);
	if (status == STATUS_OK)
		status = expect_u32(loader, field->size, field->name);
	if (status == STATUS_OK)
		status = expect_u32(loader, field->count, field->name);
	return status == STATUS_OK ? load_data(loader, object, field) : status;
}

static enum status load_object(struct loader *loader, struct state_object *object)
{
	const struct state_table *table = object->table;
	loader->object = object;
	enum status status = expect_name(loader, object->name);
	if (status == STATUS_OK)
		status = expect_name(loader, table->name);
	if (status == STATUS_OK)
		status = expect_u32(loader, table->version, "the version");
	if (status == STATUS_OK)
		status = expect_u32(loader, table->field_count, "the number of fields");
	for (u32 i = 0; status == STATUS_OK && i < table->field_count; i++)
		status = load_field(loader, object, &table->fields[i]);
	return status;
}

static enum status load_memory(struct loader *loader, struct memory *memory)
{
	u64 bytes, at, next = 0;
	enum status status = get(loader, &bytes, 8);
	if (status == STATUS_OK && bytes != memory->bytes)
		return error_set(loader->error, STATUS_INVALID,
			"saved state: %lu MiB of memory where the machine has %lu", bytes >> 20,
			memory->bytes >> 20);
	while (status == STATUS_OK) {
		status = get(loader, &at, 8);
		if (status != STATUS_OK || at == ~(u64)0)
			break;
		if (at >= memory->bytes || (at & (PAGE_SIZE - 1)) || at < next)
			return error_set(loader->error, STATUS_INVALID,
				"saved state: a memory page at %lx is out of order or range", at);
		if (at > next)
			memset(memory->host + next, 0, at - next);
		status = get(loader, memory->host + at, PAGE_SIZE);
		next = at + PAGE_SIZE;
	}
	if (status == STATUS_OK)
		memset(memory->host + next, 0, memory->bytes - next);
	return status;
}

/* Checks and rebuilds, once all is there, since one object's derived state may depend on another's. */
static enum status finish_objects(struct machine *machine, struct error *error)
{
	list_for_each (node, &machine->state_objects) {
		struct state_object *object = container_of(node, struct state_object, link);
		if (object->table->loaded && !object->table->loaded(object->object))
			return error_set(error, STATUS_INVALID,
				"saved state: %s holds values that no machine could have",
				object->name);
	}
	return STATUS_OK;
}

enum status state_load(
	struct machine *machine, const struct state_source *source, struct error *error)
{
	struct loader loader = {.source = source, .error = error};
	char magic[sizeof(state_magic)];
	u32 count = 0, clock_kind = machine->clock.kind;
	list_for_each (node, &machine->state_objects)
		count++;
	enum status status = get(&loader, magic, sizeof(magic));
	if (status == STATUS_OK && memcmp(magic, state_magic, sizeof(magic)))
		return error_set(error, STATUS_INVALID, "saved state: this is no saved machine");
	if (status == STATUS_OK)
		status = expect_description(&loader, "--cpu", model_name(machine));
	if (status == STATUS_OK)
		status = expect_description(&loader, "--clock", clock_name(clock_kind));
	if (status == STATUS_OK)
		status = expect_u32(&loader, count, "the number of objects");
	host_lock(&machine->lock);
	list_for_each (node, &machine->state_objects) {
		if (status == STATUS_OK)
			status =
				load_object(&loader, container_of(node, struct state_object, link));
	}
	if (status == STATUS_OK)
		status = load_memory(&loader, &machine->memory);
	if (status == STATUS_OK)
		status = finish_objects(machine, error);
	if (machine->clock.kind != clock_kind) {
		machine->clock.kind =
			clock_kind; /* what it was made with, whatever comes of it now */
		if (status == STATUS_OK)
			status = error_set(
				error, STATUS_INVALID, "saved state: its clock is of two kinds");
	}
	host_unlock(&machine->lock);
	return status;
}

/* ---- print, diff ---- */

static u64 element(const void *data, u32 size, u32 index)
{
	u64 value = 0;
	memcpy(&value, (const u8 *)data + (u64)size * index, MIN(size, 8));
	return value;
}

static void print_field(
	struct text *text, const struct state_object *object, const struct state_field *field)
{
	u64 deadline;
	const void *data = field_saved_form(object, field, &deadline);
	u32 size = field->kind == STATE_BYTES ? 1 : field->size;
	u32 count = field->kind == STATE_BYTES ? field->size : field->count;
	text_format(text, "%s.%s =", object->name, field->name);
	for (u32 i = 0; i < count; i++)
		text_format(text, size == 1 && count > 1 ? "%s%02lx" : "%s%lx",
			size == 1 && i ? "" : " ", element(data, size, i));
	text_append_char(text, '\n');
}

void state_print(const struct state_object *object, struct text *text)
{
	for (u32 i = 0; i < object->table->field_count; i++)
		print_field(text, object, &object->table->fields[i]);
}

static u64 diff_objects(
	const struct state_object *a, const struct state_object *b, struct text *text)
{
	u64 differences = 0;
	for (u32 i = 0; i < a->table->field_count; i++) {
		const struct state_field *field = &a->table->fields[i];
		u64 deadline_a, deadline_b;
		const void *data_a = field_saved_form(a, field, &deadline_a);
		const void *data_b = field_saved_form(b, field, &deadline_b);
		if (!memcmp(data_a, data_b, field_bytes(field)))
			continue;
		differences++;
		text_append(text, "- ");
		print_field(text, a, field);
		text_append(text, "+ ");
		print_field(text, b, field);
	}
	return differences;
}

u64 state_diff(struct machine *a, struct machine *b, struct text *text)
{
	u64 differences = 0;
	struct list *other = b->state_objects.next;
	list_for_each (node, &a->state_objects) {
		if (other == &b->state_objects)
			return differences + 1;
		differences += diff_objects(container_of(node, struct state_object, link),
			container_of(other, struct state_object, link), text);
		other = other->next;
	}
	if (a->memory.bytes != b->memory.bytes) {
		text_append(text, "memory sizes differ\n");
		return differences + 1;
	}
	for (u64 at = 0; at < a->memory.bytes; at += PAGE_SIZE) {
		if (!memcmp(a->memory.host + at, b->memory.host + at, PAGE_SIZE))
			continue;
		differences++;
		text_format(text, "memory page %lx differs\n", memory_gpa(&a->memory, at));
	}
	return differences;
}
