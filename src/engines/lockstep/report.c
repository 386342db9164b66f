/* SPDX-License-Identifier: MIT */
/*
 * What is said of a difference. The window is run again on both sides, with the journal's answers instead of the machine's, in
 * ever smaller parts, until the first instruction that differs is found. The machine cannot go on after that.
 */
#include "base/memory.h"
#include "core/insn_trace.h"
#include "engines/lockstep/lockstep.h"
#include "x86/flags.h"

#define LISTED_INSNS 20

static void say(const char *format, ...) format_like(1, 2);
static void say(const char *format, ...)
{
	char line[600];
	struct text text;
	va_list arguments;

	text_init(&text, line, sizeof(line));
	va_start(arguments, format);
	text_format_list(&text, format, arguments);
	va_end(arguments);
	host_log(LOG_ERROR, line);
}

/* ---- one difference ----------------------------------------------------------------------------------- */

static const char *const input_names[INPUT_KINDS] = {
	[INPUT_PHYSICAL_READ] = "reads device memory",
	[INPUT_PHYSICAL_WRITE] = "writes device memory",
	[INPUT_PORT_READ] = "reads port",
	[INPUT_PORT_WRITE] = "writes port",
	[INPUT_MSR_READ] = "reads MSR",
	[INPUT_MSR_WRITE] = "writes MSR",
	[INPUT_TASK_PRIORITY_GET] = "reads the task priority",
	[INPUT_TASK_PRIORITY_SET] = "sets the task priority",
	[INPUT_TSC_READ] = "reads the TSC",
	[INPUT_TSC_MOVE] = "sets the TSC",
	[INPUT_RANDOM] = "asks for a random number",
	[INPUT_CPUID] = "asks for a CPUID leaf",
	[INPUT_FPU_ERROR] = "raises FERR",
};

static void say_input(const struct side *side, const char *who, const struct input *input, u64 base)
{
	say("  the %s (%s) at %lu: %s %lx, %u bytes, value %lx", who, side->ops->name,
		input->insns - base, input_names[input->kind], input->address, input->bytes,
		input->value[0]);
}

static void say_path(const struct lockstep *lockstep, u64 insns)
{
	const struct side *follower = &lockstep->follower;
	const struct journal *journal = lockstep->journal;

	say("  the leader went %lu instructions, with %u questions to the machine and %u interrupts",
		insns, journal->input_count, journal->taking_count);
	say("  the follower went %lu, with %u and %u", side_insns(follower) - follower->base,
		follower->input_at, follower->taking_at);
	if (follower->input_at < journal->input_count)
		say_input(&lockstep->leader, "leader", &journal->inputs[follower->input_at],
			lockstep->leader_start);
	if (follower->has_strayed)
		say_input(follower, "follower", &follower->strayed, follower->base);
}

static u64 field_element(
	const struct state_field *field, const struct vcpu *vcpu, u32 index, u32 size)
{
	u64 value = 0;

	if (compare_is_flags(field)) /* they are shown as RFLAGS has them */
		return flags_unpack(vcpu->cpu.arithmetic_flags);
	memcpy(&value, (const u8 *)vcpu + field->offset + (u64)index * size, size);
	return value;
}

static void say_field(const struct lockstep *lockstep, const struct state_field *field, u32 index)
{
	char name[64];
	struct text text;

	u32 size = field->kind == STATE_BYTES ? 1 : field->size;

	text_init(&text, name, sizeof(name));
	if (field->offset == offsetof(struct vcpu, cpu.regs))
		text_append(&text, insn_trace_register_names[index]);
	else if (field->count > 1 || field->kind == STATE_BYTES)
		text_format(&text, "%s[%u]", field->name, index);
	else
		text_append(&text, field->name);
	say("  %s: the leader has %lx, the follower %lx", name,
		field_element(field, lockstep->leader.vcpu, index, size),
		field_element(field, lockstep->follower.vcpu, index, size));
}

/* The first element of each field that differs; of registers, all. */
static void say_fields(const struct lockstep *lockstep)
{
	const struct vcpu *a = lockstep->leader.vcpu, *b = lockstep->follower.vcpu;

	for (u32 i = 0; i < vcpu_state.field_count; i++) {
		const struct state_field *field = &vcpu_state.fields[i];
		u32 index;
		if (!compare_field(field, a, b, &index))
			continue;
		say_field(lockstep, field, index);
		for (index++; field->kind == STATE_UNSIGNED && index < field->count; index++)
			if (field_element(field, a, index, field->size) !=
				field_element(field, b, index, field->size))
				say_field(lockstep, field, index);
	}
}

static void say_bytes(const struct lockstep *lockstep, u64 offset)
{
	const u8 *a = lockstep->leader.vcpu->machine->memory.host, *b = lockstep->shadow_ram;
	u64 at = align_down(offset, 8), in_a, in_b;

	memcpy(&in_a, a + at, 8);
	memcpy(&in_b, b + at, 8);
	say("  RAM at %lx: the leader has %016lx, the follower %016lx",
		memory_gpa(&lockstep->shadow->memory, at), in_a, in_b);
}

/* ---- a processor's state: what is not zero, several a line ---------------------------------------------- */

#define LINE_LENGTH 110

struct lines {
	const char *what;
	char buffer[LINE_LENGTH + 80];
	struct text text;
};

static void lines_flush(struct lines *lines)
{
	if (lines->text.length)
		say("  %s:%s", lines->what, lines->buffer);
	text_init(&lines->text, lines->buffer, sizeof(lines->buffer));
}

static void lines_add(struct lines *lines, const char *name, const char *element, u64 value)
{
	text_format(&lines->text, " %s%s=%lx", name, element, value);
	if (lines->text.length > LINE_LENGTH)
		lines_flush(lines);
}

static void add_segments(struct lines *lines, const struct cpu *cpu)
{
	static const char *const names[] = {
		"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr", "none"};

	for (unsigned i = 0; i < SEGMENT_NONE; i++) {
		const struct segment *segment = &cpu->segments[i];
		lines_flush(lines);
		text_format(&lines->text, " %s=%x base %lx limit %x attributes %x", names[i],
			segment->selector, segment->base, segment->limit, segment->attributes);
	}
	lines_flush(lines);
}

/* Bytes are shown as words of 64 bits. */
static void add_field(struct lines *lines, const struct vcpu *vcpu, const struct state_field *field)
{
	u32 size = field->kind == STATE_BYTES ? 8 : field->size;
	u32 count = field->size * field->count / size;
	bool is_register = field->offset == offsetof(struct vcpu, cpu.regs);

	for (u32 i = 0; i < count; i++) {
		u64 value = field_element(field, vcpu, i, size);
		char element[24];
		struct text text;
		if (is_register ? i > RIP : !value)
			continue;
		text_init(&text, element, sizeof(element));
		if (is_register)
			text_append(&text, insn_trace_register_names[i]);
		else if (count > 1)
			text_format(&text, "[%u]", i);
		lines_add(lines, is_register ? "" : field->name, element, value);
	}
}

static void say_state(const char *what, const struct vcpu *vcpu)
{
	struct lines lines = {.what = what};

	lines_flush(&lines);
	for (u32 i = 0; i < vcpu_state.field_count; i++) {
		const struct state_field *field = &vcpu_state.fields[i];
		if (field->offset == offsetof(struct vcpu, cpu.segments))
			add_segments(&lines, &vcpu->cpu);
		else
			add_field(&lines, vcpu, field);
	}
	lines_flush(&lines);
}

static void say_finding(const struct lockstep *lockstep, const struct finding *finding)
{
	static const char *const kinds[] = {
		[DIFFERENCE_STATE] = "the processors differ",
		[DIFFERENCE_STORE] = "what the window wrote differs",
		[DIFFERENCE_MEMORY] =
			"memory differs (written by the leader in this window or an earlier one)",
		[DIFFERENCE_PATH] = "they took different ways",
	};

	say("lockstep: %s", kinds[finding->kind]);
	if (finding->kind == DIFFERENCE_PATH)
		say_path(lockstep, finding->insns);
	if (finding->kind == DIFFERENCE_STORE || finding->kind == DIFFERENCE_MEMORY)
		say_bytes(lockstep, finding->offset);
	say_fields(lockstep);
}

/* ---- running the window again ------------------------------------------------------------------------- */

static bool rewind_both(struct lockstep *lockstep)
{
	if (!replay_rewind(lockstep))
		return false;
	ram_copy_to_leader(lockstep);
	replay_set_state(&lockstep->leader, lockstep->start);
	replay_begin(&lockstep->leader);
	return true;
}

/* Both sides from the window's start over `insns` instructions, or as many as the leader goes. */
static struct finding try(struct lockstep *lockstep, u64 insns)
{
	struct side *leader = &lockstep->leader, *follower = &lockstep->follower;
	struct finding finding = {0};

	if (!rewind_both(lockstep))
		return finding;
	replay_on(leader, insns, false);
	finding.insns = side_insns(leader) - leader->base;
	if (!replay_on(follower, finding.insns, false) || leader->has_strayed ||
		leader->input_at != follower->input_at || leader->taking_at != follower->taking_at)
		finding.kind = DIFFERENCE_PATH;
	else if ((finding.field = compare_states(leader->vcpu, follower->vcpu, &finding.index)))
		finding.kind = DIFFERENCE_STATE;
	else if (ram_stores_differ(lockstep, &finding.offset) ||
		ram_pages_differ(lockstep, &finding.offset))
		finding.kind = DIFFERENCE_STORE;
	return finding;
}

/* The smallest part of the window that differs, supposing that what differs once does so from there on. */
static u64 narrow(struct lockstep *lockstep, u64 insns)
{
	u64 agrees = 0, differs = insns;

	while (differs - agrees > 1) {
		u64 middle = agrees + (differs - agrees) / 2;
		if (try(lockstep, middle).kind)
			differs = middle;
		else
			agrees = middle;
	}
	return differs;
}

static void put_line(void *context, const char *line)
{
	say("  %s", line);
}

struct listing {
	struct insn_trace trace;
	u64 skip;
};

static bool list_insn(struct vcpu *vcpu, void *context)
{
	struct listing *listing = context;

	if (listing->trace.insns < listing->skip) {
		listing->trace.insns++;
		return false;
	}
	return insn_trace_before(vcpu, &listing->trace);
}

/* The follower's last instructions before `insns`. */
static void list_insns(struct lockstep *lockstep, u64 insns)
{
	struct vcpu *vcpu = lockstep->follower.vcpu;
	static struct listing listing;

	if (!replay_rewind(lockstep))
		return;
	listing = (struct listing){.trace = {.put = put_line},
		.skip = insns > LISTED_INSNS ? insns - LISTED_INSNS : 0};
	say("lockstep: the follower's instructions up to there (number in the window, CPL, what each changed):");
	vcpu->before_insn = list_insn;
	vcpu->before_insn_context = &listing;
	replay_on(&lockstep->follower, insns, false);
	vcpu->before_insn = NULL;
	insn_trace_end(&listing.trace, vcpu);
}

static void say_place(struct lockstep *lockstep, const char *what)
{
	char line[200];
	struct text text;

	text_init(&text, line, sizeof(line));
	insn_trace_print(&lockstep->follower.vcpu->cpu, &text);
	say("lockstep: %s %s", what, line);
}

static void search(struct lockstep *lockstep, u64 insns)
{
	struct finding again = try(lockstep, insns);

	if (!again.kind) {
		say("lockstep: the window run again from its start shows no difference");
		list_insns(lockstep, insns);
		return;
	}
	u64 first = narrow(lockstep, again.insns);
	list_insns(lockstep, first);
	try(lockstep, first - 1);
	say("lockstep: the first instruction that differs is number %lu of the window", first);
	say_place(lockstep, "it is");
	say_state("before", lockstep->follower.vcpu);
	again = try(lockstep, first);
	if (again.insns != first)
		say("lockstep: the leader does not stop there, but %lu later", again.insns - first);
	say_finding(lockstep, &again);
}

void report_difference(struct lockstep *lockstep, const struct finding *finding)
{
	struct vcpu *leader = lockstep->leader.vcpu;
	bool can_repeat = !lockstep->stores->is_overrun && !lockstep->journal->is_overrun;

	say("lockstep: %s and %s differ in the window of %lu instructions after %lu",
		lockstep->leader.ops->name, lockstep->follower.ops->name, finding->insns,
		lockstep->leader_start);
	say_finding(lockstep, finding);
	say_state("start", lockstep->start);
	say_state("leader", leader);
	say_state("follower", lockstep->follower.vcpu);
	leader->before_insn = NULL;
	replay_environment(&lockstep->leader.environment);
	if (can_repeat && finding->insns && finding->kind != DIFFERENCE_MEMORY)
		search(lockstep, finding->insns);
}
