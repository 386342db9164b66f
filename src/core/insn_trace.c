/* SPDX-License-Identifier: MIT */
#include "core/insn_trace.h"
#include "base/memory.h"
#include "core/machine.h"
#include "x86/decode/decode.h"
#include "x86/environment.h"
#include "x86/flags.h"
#include "x86/model.h"
#include "x86/paging.h"

#define INSN_BYTES_MAX 15

const char *const insn_trace_register_names[REGISTER_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp",
	"rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "zero"};

/* Bytes of RAM at linear, up to the page's end. */
static unsigned read_page(struct cpu *cpu, u64 linear, u8 *to, unsigned bytes)
{
	u64 physical;
	bool watched;
	unsigned here = (unsigned)MIN((u64)bytes, PAGE_SIZE - (linear & ~PAGE_MASK));

	if (!paging_translate_debug(cpu, linear, &physical))
		return 0;
	const u8 *page = cpu->environment->ram_page(cpu, physical & PAGE_MASK, PAGE_READ, &watched);
	if (!page)
		return 0;
	memcpy(to, page + (physical & ~PAGE_MASK), here);
	return here;
}

bool insn_trace_decode(struct cpu *cpu, struct insn *insn, u64 *linear)
{
	u8 bytes[INSN_BYTES_MAX];
	u64 rip = cpu->regs[RIP];

	*linear = cpu_is_64_bit(cpu) ? rip : (u32)(rip + cpu->segments[SEGMENT_CS].base);
	unsigned have = read_page(cpu, *linear, bytes, sizeof(bytes));
	if (have && have < sizeof(bytes))
		have += read_page(cpu, *linear + have, bytes + have, sizeof(bytes) - have);
	return have && decode(bytes, have, cpu->code_size, cpu->model->features, insn) == DECODE_OK;
}

void insn_trace_print(struct cpu *cpu, struct text *text)
{
	struct insn insn;
	u64 linear;
	bool is_one = insn_trace_decode(cpu, &insn, &linear);

	text_format(text, "%lx: ", linear);
	if (is_one)
		insn_print(text, &insn, linear);
	else
		text_append(text, "(no instruction)");
}

static void remember(struct insn_trace *trace, const struct cpu *cpu)
{
	memcpy(trace->regs, cpu->regs, sizeof(trace->regs));
	trace->flags = flags_get(cpu);
}

static void end_line(struct insn_trace *trace, const struct cpu *cpu)
{
	char line[500];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_format(&text, "%s", trace->line);
	for (unsigned i = 0; i < RIP; i++) {
		if (cpu->regs[i] != trace->regs[i])
			text_format(&text, " %s=%lx", insn_trace_register_names[i], cpu->regs[i]);
	}
	if (flags_get(cpu) != trace->flags)
		text_format(&text, " flags=%lx", flags_get(cpu));
	trace->put(trace->context, line);
}

void insn_trace_end(struct insn_trace *trace, struct vcpu *vcpu)
{
	if (trace->has_line)
		end_line(trace, &vcpu->cpu);
	trace->has_line = false;
}

bool insn_trace_before(struct vcpu *vcpu, void *context)
{
	struct insn_trace *trace = context;

	insn_trace_end(trace, vcpu);
	remember(trace, &vcpu->cpu);
	text_init(&trace->text, trace->line, sizeof(trace->line));
	text_format(&trace->text, "%lu %u ", trace->insns++, vcpu->cpu.cpl);
	insn_trace_print(&vcpu->cpu, &trace->text);
	text_append(&trace->text, " |");
	trace->has_line = true;
	return false;
}
