/* SPDX-License-Identifier: MIT */
/*
 * Events and IRETQ in long mode have a quick way (x86/transfer_quick.c) and the general one; the quick one looks only at what the
 * TLB has. So every case is done twice, with a full TLB and with an empty one, and must end alike.
 */
#include "tests/unit/x86/processor.h"
#include "x86/descriptors.h"
#include "x86/transfer_quick.h"

#define USER_STACK 0x280000
#define USER_CODE 0x210000
#define CASES 20000

static bool chance(unsigned percent)
{
	return (next_random() >> 16) % 100 < percent;
}

static u64 one_of(const u64 *values, unsigned count)
{
	return values[(next_random() >> 16) % count];
}

#define ONE_OF(...)                                         \
	({                                                  \
		static const u64 values_[] = {__VA_ARGS__}; \
		one_of(values_, ARRAY_SIZE(values_));       \
	})

static u64 random_selector(void)
{
	if (chance(70))
		return ONE_OF(CS_64, DS_FLAT, CS_64_USER, DS_USER);
	return ONE_OF(0, 1, 2, 3, CS_32, CS_32_USER, CS_64 | 3, DS_USER & ~3, TSS_SELECTOR,
		FREE_SELECTOR, CS_64 | 4, 0x78, 0x80, 0xfff8);
}

static u64 random_flags(void)
{
	return (next_random() & 0x3f7fd5) | 2;
}

static u64 random_stack(void)
{
	if (chance(70))
		return ONE_OF(STACK_TOP, KERNEL_STACK, USER_STACK) + (next_random() & 0x7f8);
	return ONE_OF(STACK_TOP, 8, 0, BIT(47), BIT(47) + 16, ~(u64)7, 0x300000, 0x200fe8) +
		(next_random() & 7);
}

static u64 random_target(void)
{
	return ONE_OF(USER_CODE, CODE, HANDLERS, ~(u64)0, BIT(47), BIT(47) - 1);
}

/* A gate, mostly such as kernels have them. */
static void gate_put(unsigned vector)
{
	u64 target = random_target(), type = chance(80) ? 0x8e : next_random() & 0xff;
	u64 selector = chance(80) ? CS_64 : random_selector();
	if (chance(30))
		type |= 0x60;
	put_64(IDT + 16 * vector,
		(target & 0xffff) | selector << 16 | (chance(20) ? next_random() & 7 : 0) << 32 |
			type << 40 | (target >> 16 & 0xffff) << 48);
	put_64(IDT + 16 * vector + 8, target >> 32);
}

static void descriptors_change(void)
{
	static const u8 at[] = {CS_64, DS_FLAT, CS_64_USER & ~3, DS_USER & ~3};
	u64 where = GDT + at[next_random() >> 20 & 3];
	if (chance(30))
		put_64(where, get_64(where) ^ BIT(40 + (next_random() >> 30) % 16));
}

static void set_up_case(void)
{
	static const u16 names[] = {SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS};
	tables_make();
	for (unsigned i = 0; i < 8; i++)
		put_64(TSS + 4 + 8 * i, random_stack());
	bool is_user = chance(60);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		segment_set(names[i], (u16)ONE_OF(DS_FLAT, DS_USER, DS_USER));
	segments_set(is_user ? (chance(80) ? CS_64_USER : CS_32_USER) : CS_64, DS_USER);
	segment_set(SEGMENT_SS, is_user ? DS_USER : DS_FLAT);
	if (!is_user && chance(50))
		segment_fill_null(&cpu.segments[SEGMENT_SS], 0, 0);
	cpu.gdtr.limit = chance(90) ? GDT_LIMIT : next_random() & 0x7f;
	cpu.idtr.limit = chance(90) ? 0xfff : next_random() & 0xff;
	cpu.segments[SEGMENT_TR].limit = chance(90) ? 0x67 : next_random() & 0x67;
	flags_set(&cpu, random_flags() & ~(u64)(RFLAGS_VM | (chance(90) ? RFLAGS_NT : 0)));
	cpu.regs[RIP] = random_target();
	cpu.regs[RSP] = random_stack();
	cpu.nmi_blocked = chance(50);
	cpu.cr4 = (cpu.cr4 & ~CR4_SMAP) | (chance(30) ? CR4_SMAP : 0);
	cpu.cr0 = (cpu.cr0 & ~CR0_AM) | (chance(30) ? CR0_AM : 0);
	descriptors_change();
	cpu_mode_changed(&cpu);
	paging_flush(&cpu);
}

/* Everything that a transfer may look at is entered, where paging allows it. */
static void fill_tlb(void)
{
	static const u64 pages[] = {GDT, IDT, TSS, STACK_TOP, KERNEL_STACK, USER_STACK,
		STACK_TOP - PAGE_SIZE, KERNEL_STACK - PAGE_SIZE, 0x200000};
	for (unsigned mode = 0; mode < TLB_MODES_FILLED; mode++)
		for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
			RAISES(paging_probe(&cpu, pages[i], 1, ACCESS_WRITE, mode));
}

struct outcome {
	u64 regs[REGISTER_COUNT];
	struct segment segments[SEGMENT_COUNT];
	u64 flags, fault;
	u8 cpl, code_size, stack_size, tlb_mode, nmi_blocked, shadow, activity, raised;
	u64 error, cr2;
	u8 stacks[4][0x1000];
	u8 gdt[GDT_LIMIT + 1];
};

static void outcome_take(struct outcome *o, u8 raised)
{
	memset(o, 0, sizeof(*o));
	memcpy(o->regs, cpu.regs, sizeof(o->regs));
	memcpy(o->segments, cpu.segments, sizeof(o->segments));
	o->flags = flags_get(&cpu);
	o->cpl = cpu.cpl;
	o->code_size = cpu.code_size;
	o->stack_size = cpu.stack_size;
	o->tlb_mode = cpu.tlb_mode;
	o->nmi_blocked = cpu.nmi_blocked;
	o->shadow = cpu.interrupt_shadow;
	o->activity = cpu.activity;
	o->raised = raised;
	o->error = raised == NO_FAULT ? 0 : cpu.fault.error_code;
	o->cr2 = cpu.cr2;
	memcpy(o->stacks[0], ram + STACK_TOP - 0x800, 0x1000);
	memcpy(o->stacks[1], ram + KERNEL_STACK - 0x800, 0x1000);
	memcpy(o->stacks[2], ram + USER_STACK - 0x800, 0x1000);
	memcpy(o->stacks[3], ram + 0x200000, 0x1000);
	memcpy(o->gdt, ram + GDT, sizeof(o->gdt));
	assert_ptr_equal(cpu.data_tlb, cpu.tlb.by_mode[cpu.tlb_mode]);
}

/* What has to be as before for the second time. */
static struct {
	u64 regs[REGISTER_COUNT];
	struct segment segments[SEGMENT_COUNT];
	u64 flags;
	u8 nmi_blocked;
	u8 stacks[4][0x1000];
	u8 gdt[GDT_LIMIT + 1];
} before;

static void state_keep(void)
{
	struct outcome o;
	outcome_take(&o, NO_FAULT);
	memcpy(before.regs, o.regs, sizeof(o.regs));
	memcpy(before.segments, o.segments, sizeof(o.segments));
	memcpy(before.stacks, o.stacks, sizeof(o.stacks));
	memcpy(before.gdt, o.gdt, sizeof(o.gdt));
	before.flags = o.flags;
	before.nmi_blocked = o.nmi_blocked;
}

static void state_again(u8 cpl)
{
	memcpy(cpu.regs, before.regs, sizeof(before.regs));
	memcpy(cpu.segments, before.segments, sizeof(before.segments));
	memcpy(ram + STACK_TOP - 0x800, before.stacks[0], 0x1000);
	memcpy(ram + KERNEL_STACK - 0x800, before.stacks[1], 0x1000);
	memcpy(ram + USER_STACK - 0x800, before.stacks[2], 0x1000);
	memcpy(ram + 0x200000, before.stacks[3], 0x1000);
	memcpy(ram + GDT, before.gdt, sizeof(before.gdt));
	flags_set(&cpu, before.flags);
	cpu.nmi_blocked = before.nmi_blocked;
	cpu.cpl = cpl;
	cpu.activity = CPU_RUNNING;
	cpu.interrupt_shadow = SHADOW_NONE;
	cpu.cr2 = 0;
	cpu_mode_changed(&cpu);
}

static u8 do_event(u64 kind)
{
	cpu.fault.vector = (u8)(kind >> 8 & 15);
	cpu.fault.error_code = 0x1234;
	cpu.fault.has_error_code = kind & BIT(20);
	cpu.fault.cr2 = 0x5678;
	if (kind & BIT(21)) {
		exception_deliver(&cpu);
		return NO_FAULT;
	}
	enum event_kind how = kind & BIT(22) ? EVENT_SOFTWARE : EVENT_EXTERNAL;
	raises_begin();
	return RAISES(event_deliver(&cpu, (u8)(kind >> 8 & 15), how, false, 0));
}

static u8 do_return(u64 kind)
{
	static struct insn insn = {.flags = 0};
	cpu.insn = &insn;
	raises_begin();
	return RAISES(interrupt_return(&cpu, SIZE_64));
}

static void both_ways(u8 (*act)(u64 kind), u64 kind)
{
	static struct outcome quick, general;
	u8 cpl = cpu.cpl;
	state_keep();
	fill_tlb();
	state_again(cpl);
	outcome_take(&quick, act(kind));
	state_again(cpl);
	paging_flush(&cpu);
	outcome_take(&general, act(kind));
	assert_memory_equal(&quick, &general, sizeof(quick));
}

static void events_arrive_alike_both_ways(void **state)
{
	for (unsigned i = 0; i < CASES; i++) {
		if (i % 16 == 0)
			for (unsigned vector = 0; vector < 16; vector++)
				gate_put(vector);
		set_up_case();
		both_ways(do_event, next_random() >> 8);
	}
}

static void returns_arrive_alike_both_ways(void **state)
{
	for (unsigned i = 0; i < CASES; i++) {
		set_up_case();
		if (chance(90))
			cpu.regs[RSP] = ONE_OF(STACK_TOP, KERNEL_STACK, USER_STACK) +
				(next_random() & 0x7f8);
		u64 code = random_selector(), rsp = cpu.regs[RSP];
		u64 frame[] = {random_target(), code, random_flags(), random_stack(),
			chance(70) ? (code == CS_64_USER ? DS_USER : DS_FLAT) : random_selector()};
		if (rsp < RAM_BYTES - sizeof(frame))
			memcpy(ram + rsp, frame, sizeof(frame));
		both_ways(do_return, 0);
	}
}

/* Else the tests above would prove nothing. */
static void the_usual_is_quick(void **state)
{
	struct event event = {.vector = EXCEPTION_PF,
		.kind = EVENT_EXCEPTION,
		.has_error_code = true,
		.error_code = 6};
	segments_set(CS_64_USER, DS_USER);
	cpu.regs[RIP] = USER_CODE;
	cpu.regs[RSP] = USER_STACK;
	fill_tlb();
	assert_true(event_deliver_quick(&cpu, &event));
	assert_int_equal(cpu.cpl, 0);
	assert_int_equal(get_64(cpu.regs[RSP]), 6);
	cpu.regs[RSP] += 8;
	assert_true(interrupt_return_quick(&cpu));
	assert_int_equal(cpu.cpl, 3);
	assert_int_equal(cpu.regs[RIP], USER_CODE);
	assert_int_equal(cpu.regs[RSP], USER_STACK);
}

#define TEST(name) cmocka_unit_test_setup(name, start_64)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_arrive_alike_both_ways),
		TEST(returns_arrive_alike_both_ways),
		TEST(the_usual_is_quick),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
