/* SPDX-License-Identifier: MIT */
/* The way through a translation's code. */
#include "engines/translator/verify.h"
#include "base/memory.h"
#include "engines/translator/build.h"
#include "engines/translator/verify_step.h"
#include "x86/decode/decode.h"

#define INSNS_MAX 8192
#define LABELS_MAX 2048
#define INSN_BYTES_MAX 15u
#define PATCHED_BYTES 5 /* at a dropped translation's entry */

enum mark {
	MARK_ENTERED = 1, /* control comes from elsewhere: nothing is known */
	MARK_BACK = 2,	  /* control comes from behind */
};

struct host_insn {
	u32 at;
	u16 label; /* 1 + number of its state, or 0 */
	u8 marks;  /* enum mark */
};

struct verifier {
	struct verifier_input input;
	struct verifier_finding *finding;
	u32 count, label_count;
	u32 edges_seen;
	struct known known;
	struct row_facts *rows;
	struct host_insn places[INSNS_MAX];
	struct insn insns[INSNS_MAX];
	u16 place_at[INSNS_MAX * 15]; /* by place_number; right only where the place says so, too */
	struct known labels[LABELS_MAX];
};

static u64 verifier_bytes(void)
{
	return sizeof(struct verifier) + opcode_row_count * sizeof(struct row_facts);
}

struct verifier *verifier_create(void)
{
	struct verifier *v = host_memory_get(verifier_bytes());
	if (!v)
		return NULL;
	v->rows = (struct row_facts *)(v + 1);
	row_facts_make(v->rows);
	return v;
}

void verifier_destroy(struct verifier *v)
{
	if (v)
		host_memory_put(v, verifier_bytes());
}

static bool found(struct verifier *v, u32 at, const char *what)
{
	*v->finding = (struct verifier_finding){.what = what, .at = at};
	return false;
}

/* Both parts of the code, one behind the other; beyond them where there is no code. */
static u32 place_number(const struct verifier *v, u32 at)
{
	const struct translation *t = v->input.translation;
	if (at >= t->begin && at < t->end)
		return at - t->begin;
	if (at >= t->aside_begin && at < v->input.code_end)
		return t->end - t->begin + at - t->aside_begin;
	return ~(u32)0;
}

/* ---- first pass: where instructions begin, and where branches lead ----------------------------------- */

static const u8 *code_at(const struct verifier *v, u32 at)
{
	return v->input.translator->code.write + at;
}

/* The block's own code, and the pieces beside it. */
static bool decode_part(struct verifier *v, u32 at, u32 end)
{
	for (; at < end; v->count++) {
		if (v->count == INSNS_MAX)
			return found(v, at, "more code than the verifier takes");
		struct insn *insn = &v->insns[v->count];
		if (decode(code_at(v, at), MIN(end - at, INSN_BYTES_MAX), SIZE_64, ~(u64)0, insn) !=
			DECODE_OK)
			return found(v, at, "no instruction");
		v->places[v->count] = (struct host_insn){.at = at};
		v->place_at[place_number(v, at)] = (u16)v->count;
		at += insn->length;
	}
	return true;
}

static bool decode_all(struct verifier *v)
{
	const struct translation *t = v->input.translation;
	v->count = 0;
	if (t->end - t->begin + v->input.code_end - t->aside_begin > ARRAY_SIZE(v->place_at))
		return found(v, t->begin, "more code than the verifier takes");
	return decode_part(v, t->begin, t->end) &&
		decode_part(v, t->aside_begin, v->input.code_end);
}

static const struct row_facts *row_of(const struct verifier *v, const struct insn *insn)
{
	return &v->rows[insn->row];
}

/* The instruction that begins at an offset, or NULL. */
static struct host_insn *place_find(struct verifier *v, u32 at)
{
	u32 number = place_number(v, at);
	if (number == ~(u32)0)
		return NULL;
	number = v->place_at[number];
	return number < v->count && v->places[number].at == at ? &v->places[number] : NULL;
}

static u32 target_of(const struct verifier *v, u32 number)
{
	const struct insn *insn = &v->insns[number];
	return v->places[number].at + insn->length + (u32)insn->immediate;
}

static void mark_branches(struct verifier *v)
{
	for (u32 i = 0; i < v->count; i++) {
		unsigned action = row_of(v, &v->insns[i])->action;
		if (action != ACTION_JMP && action != ACTION_JCC && action != ACTION_JRCXZ)
			continue;
		struct host_insn *target = place_find(v, target_of(v, i));
		if (target && target->at <= v->places[i].at)
			target->marks |= MARK_BACK;
	}
}

static bool mark_entered(struct verifier *v, u32 at, const char *what)
{
	struct host_insn *place = place_find(v, at);
	if (!place)
		return found(v, at, what);
	place->marks |= MARK_ENTERED;
	return true;
}

static bool mark_ways_in(struct verifier *v)
{
	const struct translation *t = v->input.translation;
	const char *entry = "an entry that is no instruction";
	for (u32 i = 0; i < t->edge_count; i++)
		if (!mark_entered(v, t->edges[i].unlinked, "an edge's end that is no instruction"))
			return false;
	return mark_entered(v, t->entry_host, entry) && mark_entered(v, t->entry_saved, entry) &&
		mark_entered(v, t->dropped, entry);
}

/* ---- second pass ------------------------------------------------------------------------------------- */

/* Control may go to a place with this known. */
static bool arrive(struct verifier *v, u32 from, u32 to, const struct known *known)
{
	struct host_insn *place = place_find(v, to);
	if (!place)
		return found(v, from, "a jump to what is no instruction of the block");
	if (to <= from)
		return place->label && known_implies(known, &v->labels[place->label - 1])
			? true
			: found(v, from, "a jump back to where more is taken for granted");
	if (place->label) {
		known_meet(&v->labels[place->label - 1], known);
		return true;
	}
	if (v->label_count == LABELS_MAX)
		return found(v, from, "more jumps than the verifier takes");
	v->labels[v->label_count++] = *known;
	place->label = (u16)v->label_count;
	return true;
}

/* What is known as an instruction begins. */
static bool begin_place(struct verifier *v, u32 number)
{
	struct host_insn *place = &v->places[number];
	struct known *known = &v->known;
	if (place->label && known->is_reachable)
		known_meet(known, &v->labels[place->label - 1]);
	else if (place->label)
		*known = v->labels[place->label - 1];
	else if (!known->is_reachable)
		known_nothing(known); /* nobody comes here: it must be right all the same */
	if (place->marks & MARK_ENTERED)
		known_nothing(known);
	if (!(place->marks & MARK_BACK))
		return true;
	if (v->label_count == LABELS_MAX)
		return found(v, place->at, "more jumps than the verifier takes");
	known_weaken(known, place->at);
	v->labels[v->label_count++] = *known;
	place->label = (u16)v->label_count;
	return true;
}

/* JMP and Jcc with a displacement of 32 bits. */
static bool is_rel32(const struct insn *insn)
{
	return (insn->opcode == 0xe9 && insn->length == 5) ||
		(opcode_rows[insn->row].map == 1 && insn->length == 6);
}

/* The edge that a jump belongs to, or NULL. */
static const struct edge *edge_find(struct verifier *v, const struct step *s, u32 *number)
{
	const struct translation *t = v->input.translation;
	for (*number = 0; is_rel32(s->insn) && *number < t->edge_count; ++*number)
		if (t->edges[*number].jump == s->end - 4)
			return &t->edges[*number];
	return NULL;
}

/*
 * An edge's jump will be turned to other translations: to another page only after its key has been compared. Not linked, such a one never
 * comes this far: its key is 0, which none is.
 */
static bool step_edge(struct verifier *v, const struct step *s, const struct edge *edge, u32 number)
{
	u32 target = s->end + (u32)s->insn->immediate;
	v->edges_seen |= 1u << number;
	if (edge->key && v->known.key != number + 1)
		return found(v, s->at, "an edge to another page without its key");
	if (!edge->key && target != edge->unlinked)
		return found(v, s->at, "an edge that does not lead to its end");
	return true;
}

static bool step_jmp(struct verifier *v, struct step *s)
{
	const struct translator *t = v->input.translator;
	u32 number, target = s->end + (u32)s->insn->immediate;
	const struct edge *edge = edge_find(v, s, &number);
	struct known known = v->known;
	v->known.is_reachable = false;
	if (edge && (!step_edge(v, s, edge, number) || edge->key))
		return !v->finding->what;
	if (target == t->thunk_insn_end)
		return step_has_arguments(s) ? true
					     : found(v, s->at, "an exit without its instruction");
	return target == t->thunk_leave || arrive(v, s->at, target, &known);
}

/* The thunk's operand: where RCX points to. */
static bool step_cmpxchg16b(struct verifier *v, struct step *s)
{
	u8 fpu_live = v->known.fpu_live;
	s->bytes = 16;
	s->access = ACCESS_R | ACCESS_W;
	step_take_address(s, &v->known.value[RCX], true);
	known_nothing(&v->known);
	v->known.fpu_live = fpu_live;
	return s->failure ? found(v, s->at, s->failure) : true;
}

static bool step_call(struct verifier *v, struct step *s)
{
	const struct translator *t = v->input.translator;
	u32 target = s->end + (u32)s->insn->immediate;
	u8 fpu_live = v->known.fpu_live;
	if (target == t->thunk_cmpxchg16b)
		return step_cmpxchg16b(v, s);
	if (target == t->thunk_fpu_load)
		fpu_live |= FPU_SSE;
	else if (target == t->thunk_avx_load)
		fpu_live |= FPU_AVX;
	else if (target == t->thunk_x87_load)
		fpu_live |= FPU_X87;
	else if (target == t->thunk_insn_fpu)
		fpu_live = 0;
	else if (target == t->thunk_fldcw && (fpu_live & FPU_X87) != FPU_X87)
		return found(v, s->at, "an FPU register before the guest's are there");
	else if (target != t->thunk_insn && target != t->thunk_fldcw)
		return found(v, s->at, "a call of what is no thunk");
	if (!step_has_arguments(s))
		return found(v, s->at, "a thunk without its instruction");
	known_nothing(&v->known);
	v->known.fpu_live = fpu_live;
	return true;
}

static bool step_jcc(struct verifier *v, struct step *s)
{
	unsigned condition = s->insn->opcode & 15;
	u32 number;
	const struct edge *edge = edge_find(v, s, &number);
	struct known taken = v->known;
	if (edge && !step_edge(v, s, edge, number))
		return false;
	step_condition(&taken, condition, true);
	step_condition(&v->known, condition, false);
	return arrive(v, s->at, s->end + (u32)s->insn->immediate, &taken);
}

static bool step_jrcxz(struct verifier *v, struct step *s)
{
	struct known taken = v->known;
	const struct value *rcx = &taken.value[RCX];
	const struct translation *t = v->input.translation;
	if (s->insn->address_size != SIZE_64)
		return found(v, s->at, "a branch by less than RCX");
	if (rcx->kind == VALUE_KEY_SUM) {
		if (t->edges[rcx->edge].key_word != rcx->at - 4)
			return found(v, s->at, "an edge that would change something else");
		taken.key = rcx->edge + 1;
	}
	return arrive(v, s->at, s->end + (u32)s->insn->immediate, &taken);
}

static bool step_branch(struct verifier *v, struct step *s)
{
	if (s->insn->operand_size != SIZE_64)
		return found(v, s->at, "a branch of 16 bits");
	switch (s->row->action) {
	case ACTION_JCC:
		return step_jcc(v, s);
	case ACTION_JRCXZ:
		return step_jrcxz(v, s);
	case ACTION_JMP:
		return step_jmp(v, s);
	case ACTION_CALL:
		return step_call(v, s);
	default:
		v->known.is_reachable = false;
		return step_is_jump_target(s)
			? true
			: found(v, s->at, "an indirect jump that is not to a jump target");
	}
}

static bool step_place(struct verifier *v, u32 number)
{
	const struct insn *insn = &v->insns[number];
	struct step s = {.known = &v->known,
		.input = &v->input,
		.insn = insn,
		.row = row_of(v, insn),
		.at = v->places[number].at};
	s.end = s.at + insn->length;
	if (s.row->action == ACTION_REFUSED)
		return found(v, s.at, "an instruction that translated code never has");
	if (s.row->action >= ACTION_FIRST_BRANCH)
		return step_branch(v, &s);
	step_run(&s);
	return s.failure ? found(v, s.at, s.failure) : true;
}

/* ---- what is written into it later ------------------------------------------------------------------- */

/* A dropped translation's entry becomes a jump: nobody may come into the middle of that. */
static bool verify_entry(struct verifier *v)
{
	const struct translation *t = v->input.translation;
	u32 entry = t->entry_saved;
	if (entry + PATCHED_BYTES > t->end)
		return found(v, entry, "an entry with no room");
	for (u32 at = entry + 1; at < entry + PATCHED_BYTES; at++) {
		const struct host_insn *place = place_find(v, at);
		if (place && (place->label || place->marks))
			return found(v, at, "a way into the middle of an entry");
	}
	return true;
}

static bool verify_edges(struct verifier *v)
{
	const struct translation *t = v->input.translation;
	for (u32 i = 0; i < t->edge_count; i++) {
		const struct edge *edge = &t->edges[i];
		if (!(v->edges_seen >> i & 1))
			return found(v, edge->jump, "an edge that is no jump");
		if (edge->key &&
			(edge->key < v->input.code_end || edge->key % 8 ||
				edge->key + 8 > t->aside_end))
			return found(v, edge->key, "a key outside its place");
		u64 key = 0;
		if (edge->key)
			memcpy(&key, code_at(v, edge->key), sizeof(key));
		if (key)
			return found(v, edge->key, "a key before there is a link");
	}
	return true;
}

/* Nothing follows either part. */
static bool verify_end(struct verifier *v, u32 number)
{
	u32 end = v->places[number].at + v->insns[number].length;
	bool is_end = end == v->input.translation->end || end == v->input.code_end;
	return !is_end || !v->known.is_reachable || found(v, end, "the end, where nothing follows");
}

bool verify(
	struct verifier *v, const struct verifier_input *input, struct verifier_finding *finding)
{
	v->input = *input;
	v->finding = finding;
	*finding = (struct verifier_finding){0};
	v->label_count = v->edges_seen = 0;
	if (!decode_all(v) || !mark_ways_in(v))
		return false;
	mark_branches(v);
	v->known.is_reachable = false;
	for (u32 i = 0; i < v->count; i++)
		if (!begin_place(v, i) || !step_place(v, i) || !verify_end(v, i))
			return false;
	return verify_entry(v) && verify_edges(v);
}
