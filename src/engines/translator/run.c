/* SPDX-License-Identifier: MIT */
/*
 * The translator: x86 to x86-64. What runs seldom is interpreted, what runs often runs as host code; all that is neither
 * 64-bit code nor 32-bit code with flat segments is interpreted. docs/design/translator.md.
 */
#include "base/memory.h"
#include "engines/translator/build.h"
#include "engines/translator/verify.h"
#include "x86/descriptors.h"
#include "x86/model.h"

/* Decoded blocks, about as much as translations of them take. */
#define ARENA_BYTES_MIN (12 * MIB)
#define ARENA_BYTES_ALL (24 * MIB) /* of a machine */
#define JUMPS_BYTES (JUMP_TABLES * JUMP_SETS * sizeof(struct jump_set))

static enum status translator_probe(struct error *error)
{
	char names[128];
	struct text missing;
	text_init(&missing, names, sizeof(names));
	if (cpu_model_runs_on(cpu_model_at(0), cpu_host_features(), &missing))
		return STATUS_OK;
	return error_set(error, STATUS_UNSUPPORTED,
		"this processor lacks %s, which the engine translate needs", names);
}

/* ---- indirect jumps' targets --------------------------------------------------------------------- */

static void set_forget(struct jump_table *table, unsigned number)
{
	struct jump_target empty = jump_target_empty(number);
	table->sets[number] = (struct jump_set){{empty, empty}};
}

static void table_forget(struct jump_table *table, u64 key)
{
	table->key = key;
	for (unsigned i = 0; i < ARRAY_SIZE(table->filled); i++)
		for (; table->filled[i]; table->filled[i] &= table->filled[i] - 1)
			set_forget(table, i * 64 + (unsigned)__builtin_ctzll(table->filled[i]));
}

static void table_init(struct jump_table *table, struct jump_set *sets)
{
	table->sets = sets;
	for (unsigned i = 0; i < JUMP_SETS; i++)
		set_forget(table, i);
}

static void table_put(struct jump_table *table, u64 linear, const u8 *code)
{
	unsigned number = jump_set_offset(linear) / (unsigned)sizeof(struct jump_set);
	struct jump_set *set = &table->sets[number];
	if (set->ways[0].linear != linear)
		set->ways[1] = set->ways[0];
	set->ways[0] = (struct jump_target){.linear = linear, .code = code};
	table->filled[number / 64] |= BIT(number % 64);
}

/* What leads to [code, code + bytes). */
static void table_forget_code(struct jump_table *table, const u8 *code, u64 bytes)
{
	for (unsigned i = 0; i < ARRAY_SIZE(table->filled); i++)
		for (u64 left = table->filled[i]; left; left &= left - 1) {
			unsigned number = i * 64 + (unsigned)__builtin_ctzll(left);
			struct jump_set *set = &table->sets[number];
			for (unsigned way = 0; way < ARRAY_SIZE(set->ways); way++)
				if ((u64)(set->ways[way].code - code) < bytes)
					set->ways[way] = jump_target_empty(number);
		}
}

static void jumps_forget(struct translator *t)
{
	for (unsigned i = 0; i < JUMP_TABLES; i++)
		if (t->tables[i].key)
			table_forget(&t->tables[i], 0);
}

/* The one of a key: there already, or in place of the one not used for the longest time. */
static struct jump_table *table_get(struct translator *t, u64 key)
{
	struct jump_table *oldest = t->tables;
	for (unsigned i = 0; i < JUMP_TABLES; i++) {
		if (t->tables[i].key == key)
			return &t->tables[i];
		if (t->tables[i].used < oldest->used)
			oldest = &t->tables[i];
	}
	table_forget(oldest, key);
	return oldest;
}

/* ---- the code memory ----------------------------------------------------------------------------- */

static void block_dropped(struct block_cache *cache, struct block *block)
{
	translation_drop(container_of(cache, struct translator, loop.cache), block->translation);
}

/* Where region `number` of code memory begins: of the half behind the thunks, and of that with the pieces beside it. */
static u32 code_begin(const struct translator *t, unsigned number)
{
	u32 half = (u32)t->memory.bytes / 2, count = t->loop.cache.regions.count;
	return t->thunks_end + (u32)((u64)(half - t->thunks_end) * number / count);
}

static u32 aside_begin(const struct translator *t, unsigned number)
{
	u32 half = (u32)t->memory.bytes / 2;
	return half + (u32)((u64)half * number / t->loop.cache.regions.count & ~(u64)7);
}

static void region_begins_empty(struct translator *t)
{
	unsigned number = t->loop.cache.regions.current;
	t->code.at = code_begin(t, number);
	t->code.limit = code_begin(t, number + 1);
	t->aside_at = aside_begin(t, number);
	t->aside_limit = aside_begin(t, number + 1);
	t->vcpu->cpu.engine_words[WORD_EDGE] = 0;
}

static bool region_is_new(const struct translator *t)
{
	return t->code.at == code_begin(t, t->loop.cache.regions.current);
}

static void all_dropped(struct block_cache *cache)
{
	struct translator *t = container_of(cache, struct translator, loop.cache);
	region_begins_empty(t);
	jumps_forget(t);
}

/* Indirect jumps must not find what was in it: their tables alone still know it. */
static void region_begins(struct block_cache *cache)
{
	struct translator *t = container_of(cache, struct translator, loop.cache);
	region_begins_empty(t);
	for (unsigned i = 0; i < JUMP_TABLES; i++)
		table_forget_code(
			&t->tables[i], t->code.execute + t->code.at, t->code.limit - t->code.at);
}

static void translator_free(struct translator *t)
{
	host_code_memory_put(&t->memory);
	if (t->tables[0].sets)
		host_memory_put(t->tables[0].sets, JUMPS_BYTES);
	if (t->build)
		host_memory_put(t->build, sizeof(*t->build));
	verifier_destroy(t->verifier);
	host_memory_put(t, sizeof(*t));
}

/* Each vCPU has its own share. */
static u64 code_bytes(const struct vcpu *vcpu)
{
	return vcpu->machine->code_cache_bytes / vcpu->cpu.cpu_count & PAGE_MASK;
}

static u64 arena_bytes(const struct vcpu *vcpu)
{
	return MAX((u64)ARENA_BYTES_ALL / vcpu->cpu.cpu_count & PAGE_MASK, (u64)ARENA_BYTES_MIN);
}

/* So many that emptying one is not noticed, and so large that any block's code finds room. */
#define REGION_CODE_BYTES (256 * KIB)

static unsigned region_count(const struct vcpu *vcpu)
{
	return (unsigned)MIN(MAX(code_bytes(vcpu) / REGION_CODE_BYTES, (u64)2), (u64)REGIONS_MAX);
}

static bool memory_get(struct translator *t)
{
	struct jump_set *sets = host_memory_get(JUMPS_BYTES);
	for (unsigned i = 0; sets && i < JUMP_TABLES; i++)
		table_init(&t->tables[i], sets + i * JUMP_SETS);
	t->build = host_memory_get(sizeof(*t->build));
	if (!sets || !t->build || !host_code_memory_get(code_bytes(t->vcpu), &t->memory))
		return false;
	if (t->vcpu->machine->verification != VERIFY_NOTHING) {
		t->verifier = verifier_create();
		if (!t->verifier)
			return false;
	}
	t->code = (struct code){.write = t->memory.write,
		.execute = t->memory.execute,
		.limit = (u32)t->memory.bytes / 2};
	thunks_make(t);
	return true;
}

static enum status vcpu_attach(struct vcpu *vcpu)
{
	struct translator *t = host_memory_get(sizeof(*t));
	if (!t)
		return STATUS_NO_MEMORY;
	t->vcpu = vcpu;
	t->is_counted = vcpu->machine->counts_insns;
	enum status status = memory_get(t)
		? loop_init(&t->loop, vcpu, arena_bytes(vcpu), region_count(vcpu))
		: STATUS_NO_MEMORY;
	if (status != STATUS_OK) {
		translator_free(t);
		return status;
	}
	host_code_named(t->code.execute, t->thunks_end, "lodge:thunks");
	region_begins_empty(t);
	t->loop.cache.dropped = block_dropped;
	t->loop.cache.all_dropped = all_dropped;
	t->loop.cache.region_begins = region_begins;
	vcpu->engine = t;
	return STATUS_OK;
}

static void vcpu_detach(struct vcpu *vcpu)
{
	struct translator *t = translator_of(vcpu);
	loop_fini(&t->loop);
	translator_free(t);
	vcpu->engine = NULL;
}

/* ---- counting ------------------------------------------------------------------------------------ */

static const struct block *block_of(const struct insn *insns)
{
	return container_of((struct insn *)insns, struct block, insns[0]);
}

/*
 * Counted mode: each translated block adds its length as it begins. What has been left in the middle (a store may just have
 * dropped it) takes back what did not run. done: of the block's instructions.
 */
static void count_back(struct translator *t, u64 done)
{
	u64 *words = t->vcpu->cpu.engine_words;
	const struct insn *start = (const struct insn *)(uintptr_t)words[WORD_START];
	if (start)
		t->loop.retired = words[WORD_RETIRED] - block_of(start)->insns_made + done;
	words[WORD_START] = 0;
}

/* Instructions of the current translated block before the current one. */
static u64 done_before(const struct translator *t)
{
	const struct cpu *cpu = &t->vcpu->cpu;
	const struct insn *start = (const struct insn *)(uintptr_t)cpu->engine_words[WORD_START];
	return (u64)(cpu->insn - start);
}

static u64 insns_retired(struct vcpu *vcpu)
{
	const struct translator *t = translator_of(vcpu);
	const u64 *words = vcpu->cpu.engine_words;
	if (!words[WORD_START])
		return loop_insns_retired(vcpu);
	const struct insn *start = (const struct insn *)(uintptr_t)words[WORD_START];
	return words[WORD_RETIRED] - block_of(start)->insns_made + done_before(t);
}

/* ---- running ------------------------------------------------------------------------------------- */

static void catch_fault(struct vcpu *vcpu)
{
	struct translator *t = translator_of(vcpu);
	u64 *words = vcpu->cpu.engine_words;
	if (words[WORD_LEFT]) { /* in translated code */
		if (t->is_counted)
			count_back(t, done_before(t));
		words[WORD_LEFT] = 0;
		vcpu->cpu.regs[RIP] -= vcpu->cpu.insn->length;
	}
	words[WORD_FPU_LIVE] = words[WORD_EDGE] = 0;
	loop_catch_fault(vcpu);
}

/* Counted: what ran since enter. */
static void count_up(struct translator *t, const u64 *words)
{
	if (!words[WORD_START]) /* not even its first block began */
		return;
	if (words[WORD_LEFT])
		count_back(t, done_before(t) + 1);
	else
		count_back(
			t, block_of((const struct insn *)(uintptr_t)words[WORD_START])->insns_made);
}

static no_inline void enter(struct translator *t, const struct translation *translation)
{
	struct cpu *cpu = &t->vcpu->cpu;
	u64 *words = cpu->engine_words;
	words[WORD_CODE_BASE] = cpu->regs[RIP] & PAGE_MASK;
	words[WORD_EDGE] = words[WORD_START] = words[WORD_LEFT] = 0;
	words[WORD_RETIRED] = t->loop.retired;
	words[WORD_LIMIT] = t->loop.limit;
	cpu->insn_end = cpu->insn = block_single(&t->loop.cache)->insns;
	enter_fn *code = (enter_fn *)(uintptr_t)(t->code.execute + t->thunk_enter);
	code(cpu, t->code.execute + translation->entry_saved);
	if (t->is_counted)
		count_up(t, words);
	else
		t->loop.retired++;
	words[WORD_LEFT] = 0;
}

/* ---- 32-bit code --------------------------------------------------------------------------------- */

/* Offsets are linear addresses, or are when the base is added, and all may be read and written. */
static bool is_as_large_as_all(const struct segment *segment)
{
	const u16 data = SEGMENT_P | SEGMENT_S | TYPE_WRITABLE;
	return segment->limit == 0xffffffff &&
		(segment->attributes & (data | SEGMENT_UNUSABLE | TYPE_CODE | TYPE_EXPAND_DOWN)) ==
		data;
}

/*
 * May 32-bit translations run? Asked whenever translated code is entered; as long as control stays in it nothing writes a segment
 * register. Addresses that are no longer of 32 bits (code that ran over their end) are the interpreter's.
 */
static bool has_flat_segments(struct cpu *cpu)
{
	static const u8 names[] = {SEGMENT_ES, SEGMENT_SS, SEGMENT_DS};
	const struct segment *segments = cpu->segments;
	if (segments[SEGMENT_CS].base || segments[SEGMENT_CS].limit != 0xffffffff ||
		cpu->stack_size != SIZE_32 || cpu->regs[RIP] >> 32 || cpu_is_8086(cpu))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (segments[names[i]].base || !is_as_large_as_all(&segments[names[i]]))
			return false;
	cpu->engine_words[WORD_SEGMENTS] =
		(is_as_large_as_all(&segments[SEGMENT_FS]) ? FLAT_FS : 0) |
		(is_as_large_as_all(&segments[SEGMENT_GS]) ? FLAT_GS : 0);
	return true;
}

/* The block's translation, made now if it has been found often enough; NULL: it is interpreted. */
static struct translation *translation_get(struct translator *t, struct block *block)
{
	struct block_cache *cache = &t->loop.cache;
	if (unlikely(block->code_size != SIZE_64) &&
		(block->code_size != SIZE_32 || !has_flat_segments(&t->vcpu->cpu)))
		return NULL;
	if (block->translation || block->heat == BLOCK_NEVER)
		return block->translation;
	if (block == block_single(cache) || ++block->heat < t->vcpu->machine->translate_after)
		return NULL;
	if (!translate_block(t, block)) {
		if (region_is_new(t))
			block->heat = BLOCK_NEVER;
		else
			t->is_full = true;
		return NULL;
	}
	return block->translation;
}

/*
 * Under which key indirect jumps are looked up: a kernel goes to its own pages, which are global, whatever address space it is
 * in.
 */
static u64 jumps_key(const struct cpu *cpu)
{
	return cpu->cpl == 3 || !(cpu->cr4 & CR4_PGE) ? block_key(cpu, cpu->code_key)
						      : block_key(cpu, cpu->code_key_global);
}

/*
 * Where control has come to is where the edge and indirect jumps lead from now on. WORD_EDGE is read only here: whatever
 * emptied the cache since has cleared it.
 */
static void remember(struct translator *t, struct translation *translation)
{
	struct cpu *cpu = &t->vcpu->cpu;
	u64 linear = cpu->regs[RIP], key = block_jump_entry(&t->loop.cache, linear)->key;
	struct edge *edge = (struct edge *)(uintptr_t)cpu->engine_words[WORD_EDGE];
	struct jump_table *table = table_get(t, jumps_key(cpu));
	table->used = ++t->uses;
	cpu->engine_words[WORD_JUMPS] = (u64)(uintptr_t)table->sets;
	cpu->engine_words[WORD_CODE_KEY] = block_key(cpu, cpu->code_key);
	cpu->engine_words[WORD_CODE_KEY_GLOBAL] = block_key(cpu, cpu->code_key_global);
	if (key == table->key)
		table_put(table, linear, t->code.execute + translation->entry_saved);
	if (edge)
		edge_link(
			t, edge, translation, key, key == cpu->engine_words[WORD_CODE_KEY_GLOBAL]);
}

/*
 * One instruction runs by itself behind STI, and the run loop forgets the edge: it is linked here, where it leads, to what that one begins.
 */
static void link_behind_sti(struct translator *t)
{
	struct translation *translation = translation_get(t, block_find(&t->loop.cache));
	if (translation && t->vcpu->cpu.engine_words[WORD_EDGE])
		remember(t, translation);
	t->vcpu->cpu.engine_words[WORD_EDGE] = 0;
}

static no_inline enum run_exit run_blocks(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	struct translator *t = translator_of(vcpu);
	struct loop *loop = &t->loop;
	enum run_exit exit;
	u64 most, rip = cpu->regs[RIP];
	while (loop_before_block(vcpu, &exit, &most)) {
		/* An interrupt's handler is not where the edge leads, nor what follows a single step. */
		if (unlikely(cpu->regs[RIP] != rip || !most))
			cpu->engine_words[WORD_EDGE] = 0;
		if (unlikely(!most))
			continue;
		if (unlikely(t->is_full)) {
			t->is_full = false;
			block_cache_advance(&loop->cache);
		}
		struct block *block = block_find(&loop->cache);
		struct translation *translation = translation_get(t, block);
		if (!translation || block->count > most) {
			cpu->engine_words[WORD_EDGE] = 0;
			loop_run_block(cpu, loop, block, MIN(block->count, most));
		} else {
			remember(t, translation);
			enter(t, translation);
			if (unlikely(cpu->interrupt_shadow) && cpu->engine_words[WORD_EDGE])
				link_behind_sti(t);
		}
		rip = cpu->regs[RIP];
	}
	return exit;
}

static enum run_exit translator_run(struct vcpu *vcpu, u64 insns)
{
	static const struct loop_ops ops = {run_blocks, catch_fault};
	host_thread_base_set(&vcpu->cpu);
	return loop_run(vcpu, insns, &ops);
}

const struct engine_ops engine_translator = {
	.name = "translate",
	.needs_code_memory = true,
	.probe = translator_probe,
	.machine_attach = loop_machine_attach,
	.machine_detach = loop_machine_detach,
	.vcpu_attach = vcpu_attach,
	.vcpu_detach = vcpu_detach,
	.memory_changed = loop_memory_changed,
	.run = translator_run,
	.insns_retired = insns_retired,
	.kick = loop_kick,
	.pull_state = loop_pull_state,
	.push_state = loop_push_state,
};
