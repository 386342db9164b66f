/* SPDX-License-Identifier: MIT */
#include "tests/differential/engines.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/memory.h"
#include "core/machine.h"
#include "hosts/fake/fake.h"
#include "x86/flags.h"
#include "x86/fpu.h"
#include "x86/model.h"
#include "x86/paging.h"

#define RAM_BYTES (1 * MIB)
#define COMPARED_BYTES ((u64)0x35000)

/* Physical places. */
#define TABLES ((u64)0x1000) /* PML4, PDPT, PD, then PTs of system, code and data */
#define TABLES_END ((u64)0x7000)
#define SYSTEM ((u64)0x10000)
#define CODE ((u64)0x20000)
#define DATA ((u64)0x30000)

/* Linear ones: pages of SYSTEM. */
#define SYSTEM_LINEAR ((u64)0x10000000)
#define IDT_OFFSET ((u64)0x0000)
#define GDT_OFFSET ((u64)0x1000)
#define TSS_OFFSET ((u64)0x1800)
#define HANDLERS_OFFSET ((u64)0x2000)
#define STACK_OFFSET ((u64)0x3000)
#define COUNTER_OFFSET (COUNTER_LINEAR - SYSTEM_LINEAR)

#define KERNEL_CS 0x08
/* The page table entries of the code's pages. */
#define CODE_ENTRIES (TABLES + 4 * PAGE_SIZE + 8 * (CODE_LINEAR >> 12 & 511))
#define INSNS_MOST 20000
#define SECONDS_MOST 5

enum engine_number { INTERPRETER, COUNTED, FREE, ENGINES };

static const char *const engine_names[] = {"interp", "translate, exact counts", "translate"};

static struct bench {
	struct machine machine;
	struct cpu *cpu;
	u8 *ram;
} benches[ENGINES];

static u8 pristine[COMPARED_BYTES];
static sigjmp_buf escape;
static volatile sig_atomic_t is_running;

/* ---- memory -------------------------------------------------------------------------------------- */

static void put_64(u64 at, u64 value)
{
	memcpy(pristine + at, &value, 8);
}

#define PAGE_NX BIT(63)

static void map_pages(unsigned table, u64 linear, u64 physical, unsigned count, u64 bits)
{
	u64 at = TABLES + table * PAGE_SIZE;
	put_64(TABLES + 2 * PAGE_SIZE + 8 * (linear >> 21 & 511), at | 7);
	for (unsigned i = 0; i < count; i++)
		put_64(at + 8 * ((linear >> 12 & 511) + i), (physical + i * PAGE_SIZE) | bits);
}

static void make_tables(void)
{
	put_64(TABLES, (TABLES + PAGE_SIZE) | 7);
	put_64(TABLES + PAGE_SIZE, (TABLES + 2 * PAGE_SIZE) | 7);
	map_pages(3, SYSTEM_LINEAR, SYSTEM, 5, 3);
	map_pages(3, COUNTER_LINEAR, SYSTEM + COUNTER_OFFSET, 1, 7 | PAGE_NX);
	map_pages(4, CODE_LINEAR, CODE, 2, 5);
	map_pages(5, DATA_LINEAR, DATA, 2, 7 | PAGE_NX);
	map_pages(5, DATA_LINEAR + DATA_READ_ONLY, DATA + DATA_READ_ONLY, 1, 5 | PAGE_NX);
}

/* Every exception on the one stack, to a HLT of its own. */
static void make_gates(void)
{
	u64 stack = SYSTEM_LINEAR + STACK_OFFSET + PAGE_SIZE;
	for (unsigned i = 0; i < 256; i++) {
		u64 handler = SYSTEM_LINEAR + HANDLERS_OFFSET + i;
		u64 low = (handler & 0xffff) | KERNEL_CS << 16 | (u64)0x8e01 << 32 |
			(handler >> 16 & 0xffff) << 48;
		put_64(SYSTEM + IDT_OFFSET + 16 * i, low);
	}
	put_64(SYSTEM + GDT_OFFSET + KERNEL_CS, 0x00af9b000000ffff);
	memcpy(pristine + SYSTEM + TSS_OFFSET + 4, &stack, 8);
	memcpy(pristine + SYSTEM + TSS_OFFSET + 36, &stack, 8);
	memset(pristine + SYSTEM + HANDLERS_OFFSET, 0xf4, 256);
	memset(pristine + CODE, 0xf4, 2 * PAGE_SIZE);
}

/* ---- machines ------------------------------------------------------------------------------------ */

static void bench_init(struct bench *bench, unsigned number)
{
	struct machine_parameters parameters = {
		.engine = number == INTERPRETER ? &engine_interpreter : &engine_translator,
		.ram = host_memory_get(RAM_BYTES),
		.ram_bytes = RAM_BYTES,
		.clock = number == FREE ? CLOCK_REAL : CLOCK_INSTRUCTIONS,
		.tsc_hz = 1000000000,
		.model = cpu_model_find(native_has_avx() ? "x86-64-v3" : "x86-64-v2"),
		.translate_after = 1,
		.vcpu_count = 1};
	memset(bench, 0, sizeof(*bench));
	if (machine_init(&bench->machine, &parameters) != STATUS_OK)
		_Exit(2);
	clock_start(&bench->machine.clock);
	bench->ram = parameters.ram;
	bench->cpu = &bench->machine.vcpus[0]->cpu;
	memcpy(bench->ram, pristine, sizeof(pristine));
}

static struct segment flat(u16 selector, u16 attributes)
{
	return (struct segment){.selector = selector,
		.limit = 0xffffffff,
		.attributes = SEGMENT_S | SEGMENT_P | SEGMENT_G | attributes};
}

/* As the process's own local descriptor table has them. */
static struct segment data_segment(u16 selector, u16 dpl)
{
	struct segment segment = flat(selector, SEGMENT_DB | dpl | 3);
	if (!(selector & 4))
		return segment;
	const struct ldt_segment *entry = &ldt_segments[selector >> 3];
	segment.base = entry->base;
	segment.limit = entry->limit;
	segment.attributes = SEGMENT_S | SEGMENT_P | dpl | (entry->wide ? SEGMENT_DB : 0) |
		(entry->expand_down ? 4 : 0) | (entry->read_only ? 1 : 3);
	return segment;
}

/* Compatibility mode. */
static void segments_load_32(struct cpu *cpu, const struct program *program)
{
	u16 dpl = program->is_user ? SEGMENT_DPL : 0;
	struct segment *fs = &cpu->segments[SEGMENT_FS], *gs = &cpu->segments[SEGMENT_GS];
	cpu->segments[SEGMENT_CS] = flat(LINUX_CS32, SEGMENT_DB | dpl | 11);
	cpu->segments[SEGMENT_DS] = data_segment(program->ds, dpl);
	cpu->segments[SEGMENT_ES] = data_segment(program->es, dpl);
	cpu->segments[SEGMENT_SS] = data_segment(program->ss, dpl);
	fs->base = (u32)fs->base;
	if (!(program->wide_segments & 1))
		*fs = (struct segment){.attributes = SEGMENT_UNUSABLE};
	if (!(program->wide_segments & 2))
		gs->limit = (u32)DATA_LINEAR + 0x1000;
}

static void segments_load(struct cpu *cpu, bool is_user)
{
	u16 dpl = is_user ? SEGMENT_DPL : 0;
	cpu->segments[SEGMENT_CS] = flat(is_user ? LINUX_CS64 : KERNEL_CS, SEGMENT_L | dpl | 11);
	for (unsigned i = 0; i <= SEGMENT_GS; i++)
		if (i != SEGMENT_CS)
			cpu->segments[i] = flat(is_user ? LINUX_DS : 0x10, SEGMENT_DB | dpl | 3);
	cpu->segments[SEGMENT_FS].base = native_fs_base();
	cpu->segments[SEGMENT_GS].base = 0x1000;
	cpu->segments[SEGMENT_LDTR] = (struct segment){.attributes = SEGMENT_UNUSABLE};
	cpu->segments[SEGMENT_TR] = (struct segment){
		.base = SYSTEM_LINEAR + TSS_OFFSET, .limit = 103, .attributes = SEGMENT_P | 11};
	cpu->gdtr = (struct descriptor_table){SYSTEM_LINEAR + GDT_OFFSET, 0x7f};
	cpu->idtr = (struct descriptor_table){SYSTEM_LINEAR + IDT_OFFSET, 0xfff};
	cpu->cpl = is_user ? 3 : 0;
}

static void fpu_control_load(struct cpu *cpu, enum fpu_control control)
{
	cpu->cr0 |= control == FPU_TS ? CR0_TS : control == FPU_EM ? CR0_EM : 0;
	cpu->cr4 &= ~(control == FPU_NO_SSE	  ? CR4_OSFXSR
			: control == FPU_NO_XSAVE ? CR4_OSXSAVE
						  : 0);
	cpu->xcr0 &= ~(control == FPU_NO_AVX ? XCR0_AVX : 0);
}

static void control_load(struct cpu *cpu)
{
	cpu->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP;
	cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	cpu->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	cpu->xcr0 = XCR0_X87 | XCR0_SSE | (native_has_avx() ? XCR0_AVX : 0);
	cpu->cr3 = TABLES;
	cpu->cr2 = 0;
	memset(&cpu->msrs, 0, sizeof(cpu->msrs));
	cpu->activity = CPU_RUNNING;
	cpu->interrupt_shadow = cpu->nmi_blocked = cpu->step_suppressed = 0;
	cpu->pending_dr6 = cpu->dr6 = 0;
	cpu->pending &= ~(u32)PENDING_TRAP;
}

static void registers_load(struct cpu *cpu, const struct program *program)
{
	const struct state *state = &program->before;
	memcpy(cpu->regs, state->regs, sizeof(state->regs));
	cpu->regs[RIP] = program->at;
	flags_set(cpu, state->rflags);
	memcpy(cpu->fpu.image, state->fpu, sizeof(state->fpu));
	memcpy(cpu->fpu.ymm_high, state->ymm_high, sizeof(state->ymm_high));
	control_load(cpu);
	fpu_control_load(cpu, program->fpu_control);
	cpu->cr4 |= program->has_smap ? CR4_SMAP : 0;
	segments_load(cpu, program->is_user);
	if (program->mode == SIZE_32)
		segments_load_32(cpu, program);
	cpu_mode_changed(cpu);
}

static void restore(u8 *ram, u64 from, u64 to)
{
	memcpy(ram + from, pristine + from, to - from);
}

static void memory_load(struct bench *bench, const struct program *program, const u8 *template)
{
	u8 *ram = bench->ram;
	restore(ram, SYSTEM, SYSTEM + COUNTER_OFFSET + PAGE_SIZE);
	memcpy(ram + SYSTEM + COUNTER_OFFSET, &program->counter, 4);
	memcpy(ram + DATA, template, DATA_PAGES * PAGE_SIZE);
	if (program->patches)
		data_prepare(program->patches, template, ram + DATA);
}

static void code_put(struct bench *bench, const struct program *program, const u8 *bytes)
{
	u64 physical = CODE + (program->at - CODE_LINEAR);
	(void)!memory_write(&bench->machine, physical, bytes, program->length);
}

/* ---- running ------------------------------------------------------------------------------------- */

static void escaped(int number, siginfo_t *info, void *context)
{
	if (!is_running) {
		signal(number, SIG_DFL);
		return;
	}
	is_running = 0;
	siglongjmp(escape, number);
}

static void seconds_set(long seconds)
{
	struct itimerval timer = {.it_value.tv_sec = seconds};
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* The signal that ended it; 0: none. */
static int run_guarded(struct bench *bench, u64 insns)
{
	int number = sigsetjmp(escape, 1);
	if (number)
		return number;
	is_running = 1;
	(void)bench->machine.engine->run(bench->machine.vcpus[0], insns);
	is_running = 0;
	return 0;
}

struct difference {
	char *text;
	size_t size, length;
};

static void say(struct difference *d, const char *what, u64 interpreter, u64 translator)
{
	if (d->length + 128 < d->size)
		d->length += (size_t)snprintf(d->text + d->length, d->size - d->length,
			"    %-10s interp %016llx  translate %016llx\n", what,
			(unsigned long long)interpreter, (unsigned long long)translator);
}

static void compare_words(
	struct difference *d, const char *name, const void *a, const void *b, u64 bytes)
{
	for (u64 i = 0; i < bytes; i += 8) {
		u64 x, y;
		char what[32];
		memcpy(&x, (const u8 *)a + i, 8);
		memcpy(&y, (const u8 *)b + i, 8);
		snprintf(what, sizeof(what), "%s%llx", name, (unsigned long long)i);
		if (x != y)
			say(d, what, x, y);
	}
}

/* Flags that are undefined, too: engines save the same. */
static void compare_benches(struct difference *d, struct bench *a, struct bench *b)
{
	static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
	for (unsigned i = 0; i <= RIP; i++)
		if (a->cpu->regs[i] != b->cpu->regs[i])
			say(d, names[i], a->cpu->regs[i], b->cpu->regs[i]);
	if (flags_get(a->cpu) != flags_get(b->cpu))
		say(d, "rflags", flags_get(a->cpu), flags_get(b->cpu));
	if (a->cpu->arithmetic_flags != b->cpu->arithmetic_flags)
		say(d, "packed", a->cpu->arithmetic_flags, b->cpu->arithmetic_flags);
	if (a->cpu->activity != b->cpu->activity)
		say(d, "activity", a->cpu->activity, b->cpu->activity);
	if (a->cpu->cpl != b->cpu->cpl)
		say(d, "cpl", a->cpu->cpl, b->cpu->cpl);
	if (a->cpu->cr2 != b->cpu->cr2)
		say(d, "cr2", a->cpu->cr2, b->cpu->cr2);
	compare_words(d, "fpu+", a->cpu->fpu.image, b->cpu->fpu.image, 512);
	compare_words(d, "ymm_high+", a->cpu->fpu.ymm_high, b->cpu->fpu.ymm_high, 256);
	if (memcmp(a->ram, b->ram, COMPARED_BYTES))
		compare_words(d, "memory ", a->ram, b->ram, COMPARED_BYTES);
}

static void load(struct bench *bench, const struct program *program, const u8 *template, bool warm)
{
	if (!warm)
		restore(bench->ram, TABLES, TABLES_END);
	if (!warm && program->writes_code)
		for (unsigned i = 0; i < 2; i++)
			bench->ram[CODE_ENTRIES + 8 * i] |= 2;
	if (warm && program->writes_code)
		code_put(bench, program, program->bytes);
	memory_load(bench, program, template);
	registers_load(bench->cpu, program);
	if (!warm)
		paging_flush(bench->cpu);
}

static u64 retired(const struct bench *bench)
{
	return bench->machine.engine->insns_retired(bench->machine.vcpus[0]);
}

static void crashed(struct difference *d, unsigned number, int signal_number)
{
	d->length += (size_t)snprintf(d->text + d->length, d->size - d->length,
		"    %s: signal %d (%s)\n", engine_names[number], signal_number,
		signal_number == SIGALRM ? "does not end" : "host fault");
	/* What it was in the middle of is lost with the machine. */
	bench_init(&benches[number], number);
}

/* Up to `insns`; false: crashed. */
static bool run_one(struct difference *d, unsigned number, u64 insns)
{
	int signal_number = run_guarded(&benches[number], insns);
	if (signal_number)
		crashed(d, number, signal_number);
	return !signal_number;
}

static void run_cut(struct difference *d, unsigned cut)
{
	u64 before_a = retired(&benches[INTERPRETER]), before_b = retired(&benches[COUNTED]);
	if (!run_one(d, INTERPRETER, cut) || !run_one(d, COUNTED, cut))
		return;
	u64 a = retired(&benches[INTERPRETER]) - before_a,
	    b = retired(&benches[COUNTED]) - before_b;
	if (a != b)
		say(d, "retired", a, b);
	compare_benches(d, &benches[INTERPRETER], &benches[COUNTED]);
	if (d->length)
		d->length += (size_t)snprintf(d->text + d->length, d->size - d->length,
			"    (after %u instructions)\n", cut);
}

static enum verdict verdict_of(struct difference *d, unsigned number, bool warm)
{
	if (!d->length)
		return VERDICT_SAME;
	snprintf(d->text + d->length, d->size - d->length, "    %s, %s TLB\n", engine_names[number],
		warm ? "warm" : "cold");
	return VERDICT_DIFFERENT;
}

static enum verdict run_round(
	const struct program *program, const u8 *template, bool warm, struct difference *d)
{
	for (unsigned i = 0; i < ENGINES; i++)
		load(&benches[i], program, template, warm);
	if (program->cut)
		run_cut(d, program->cut);
	if (d->length)
		return verdict_of(d, COUNTED, warm);
	u64 before_a = retired(&benches[INTERPRETER]), before_b = retired(&benches[COUNTED]);
	if (!run_one(d, INTERPRETER, INSNS_MOST))
		return verdict_of(d, INTERPRETER, warm);
	if (benches[INTERPRETER].cpu->activity == CPU_RUNNING)
		return VERDICT_ENDLESS;
	for (unsigned i = COUNTED; i < ENGINES; i++) {
		if (run_one(d, i, i == FREE ? ~(u64)0 : INSNS_MOST)) {
			compare_benches(d, &benches[INTERPRETER], &benches[i]);
			u64 a = retired(&benches[INTERPRETER]) - before_a;
			u64 b = retired(&benches[COUNTED]) - before_b;
			if (i == COUNTED && a != b)
				say(d, "retired", a, b);
		}
		if (d->length)
			return verdict_of(d, i, warm);
	}
	return VERDICT_SAME;
}

enum verdict engines_run(const struct program *program, const u8 *template, char *text, size_t size)
{
	struct difference d = {text, size, 0};
	enum verdict verdict = VERDICT_SAME;
	text[0] = 0;
	seconds_set(SECONDS_MOST);
	for (unsigned i = 0; i < ENGINES; i++)
		code_put(&benches[i], program, program->bytes);
	for (unsigned warm = 0; warm < 2 && verdict == VERDICT_SAME; warm++)
		verdict = run_round(program, template, warm, &d);
	for (unsigned i = 0; i < ENGINES; i++)
		(void)!memory_write(&benches[i].machine, CODE, pristine + CODE, 2 * PAGE_SIZE);
	seconds_set(0);
	return verdict;
}

void engines_init(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
	struct sigaction action = {.sa_sigaction = escaped, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
	make_tables();
	make_gates();
	fake_reset();
	for (unsigned i = 0; i < ENGINES; i++)
		bench_init(&benches[i], i);
}
