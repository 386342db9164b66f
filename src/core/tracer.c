/* SPDX-License-Identifier: MIT */
#include "core/tracer.h"
#include "base/atomic.h"

const char *tracer_exception_name(unsigned vector)
{
	static const char *const names[32] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
		"#NM", "#DF", "", "#TS", "#NP", "#SS", "#GP", "#PF", "", "#MF", "#AC", "#MC", "#XM",
		"#VE", "#CP"};
	return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "";
}

static void put(struct tracer *tracer, const char *line)
{
	if (!host_record(RECORD_TRACE, line))
		atomic_or_32(&tracer->is_over, 1);
}

static void append_processor(struct text *text, const struct vcpu *vcpu)
{
	if (vcpu->machine->vcpu_count > 1)
		text_format(text, "cpu%u ", vcpu->index);
}

/* ---- instructions -------------------------------------------------------------------------------- */

static void put_insn(void *context, const char *line)
{
	const struct tracer_vcpu *tv = context;
	char buffer[520];
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	append_processor(&text, tv->vcpu);
	text_append(&text, line);
	put(tv->vcpu->machine->tracer, buffer);
}

static bool before_insn(struct vcpu *vcpu, void *context)
{
	struct tracer_vcpu *tv = context;

	if (atomic_load_32(&vcpu->machine->tracer->is_over)) {
		vcpu->before_insn = NULL;
		return false;
	}
	return insn_trace_before(vcpu, &tv->insns);
}

u64 tracer_begin_run(struct vcpu *vcpu)
{
	struct tracer *tracer = vcpu->machine->tracer;
	struct tracer_vcpu *tv;
	u64 done;

	if (!tracer || !tracer->instructions)
		return ~(u64)0;
	tv = &tracer->vcpus[vcpu->index];
	done = vcpu->machine->engine->insns_retired(vcpu);
	if (tv->vcpu)
		return ~(u64)0;
	if (done < tracer->after)
		return tracer->after - done;
	*tv = (struct tracer_vcpu){
		.vcpu = vcpu, .insns = {.put = put_insn, .context = tv, .insns = done}};
	vcpu->before_insn = before_insn;
	vcpu->before_insn_context = tv;
	return ~(u64)0;
}

void tracer_end(struct machine *machine)
{
	struct tracer *tracer = machine->tracer;

	for (unsigned i = 0; tracer && i < machine->vcpu_count; i++)
		if (tracer->vcpus[i].vcpu)
			insn_trace_end(&tracer->vcpus[i].insns, machine->vcpus[i]);
}

/* ---- events -------------------------------------------------------------------------------------- */

/* Of the instruction that executes, or is next. */
static u64 address_of(const struct cpu *cpu, bool executes)
{
	u64 rip = cpu->regs[RIP] - (executes ? cpu->insn->length : 0);

	return cpu_is_64_bit(cpu) ? rip : (u32)(rip + cpu->segments[SEGMENT_CS].base);
}

void tracer_event(struct vcpu *vcpu, bool executes, const char *format, ...)
{
	struct tracer *tracer = vcpu->machine->tracer;
	u64 done = vcpu->machine->engine->insns_retired(vcpu);
	char buffer[200];
	struct text text;
	va_list arguments;

	if (!tracer->events || done < tracer->after || atomic_load_32(&tracer->is_over))
		return;
	text_init(&text, buffer, sizeof(buffer));
	append_processor(&text, vcpu);
	text_format(&text, "%lu %u %lx: ", done, vcpu->cpu.cpl, address_of(&vcpu->cpu, executes));
	va_start(arguments, format);
	text_format_list(&text, format, arguments);
	va_end(arguments);
	put(tracer, buffer);
}
