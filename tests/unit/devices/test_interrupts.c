/* SPDX-License-Identifier: MIT */
/* The 8259 pair, the I/O APIC and the local APICs. */
#include "board.h"

#define VECTOR_NONE (-1)

static void isa_line(struct board *board, unsigned line, bool level)
{
	/* fpu_error is an ISA wire: its function serves all of them. */
	struct irq irq = board->machine.fpu_error;

	irq.line = line;
	irq_set(&irq, level);
}

static u32 lapic_read(struct board *board, unsigned vcpu, u32 offset)
{
	return (u32)board_access(board, vcpu, BUS_MEMORY, 0xfee00000 + offset, 4, false, 0);
}

static void lapic_write(struct board *board, unsigned vcpu, u32 offset, u32 value)
{
	board_access(board, vcpu, BUS_MEMORY, 0xfee00000 + offset, 4, true, value);
}

static void ioapic_write(struct board *board, u8 index, u32 value)
{
	board_access(board, 0, BUS_MEMORY, 0xfec00000, 4, true, index);
	board_access(board, 0, BUS_MEMORY, 0xfec00010, 4, true, value);
}

static u32 ioapic_read(struct board *board, u8 index)
{
	board_access(board, 0, BUS_MEMORY, 0xfec00000, 4, true, index);
	return (u32)board_access(board, 0, BUS_MEMORY, 0xfec00010, 4, false, 0);
}

static bool msr_try(struct board *board, unsigned vcpu, u32 index, bool is_write, u64 *value)
{
	struct bus_access access = {
		.space = BUS_MSR,
		.is_write = is_write,
		.size = 8,
		.address = index,
		.value = *value,
		.vcpu = board->machine.vcpus[vcpu],
	};
	bool ok = bus_dispatch(&board->machine, &access);

	*value = access.value;
	return ok;
}

static bool msr_set(struct board *board, unsigned vcpu, u32 index, u64 value)
{
	return msr_try(board, vcpu, index, true, &value);
}

static u64 msr_get(struct board *board, unsigned vcpu, u32 index)
{
	u64 value = 0;

	assert_true(msr_try(board, vcpu, index, false, &value));
	return value;
}

static u32 pending(struct board *board, unsigned vcpu)
{
	return board->machine.vcpus[vcpu]->cpu.pending;
}

static void enable_apics(struct board *board)
{
	for (unsigned i = 0; i < board->machine.vcpu_count; i++) {
		lapic_write(board, i, 0xf0, 0x1ff);
		lapic_write(board, i, 0xd0, 1u << (24 + i));
		lapic_write(board, i, 0x350, 0x10000);
	}
	board->machine.vcpus[0]->cpu.pending &= ~(u32)PENDING_NMI;
}

/* ---- 8259 ---- */

static void pic_delivers_by_priority_and_nests(void **state)
{
	struct board *board = *state;

	open_pics(board);
	isa_line(board, 4, true);
	isa_line(board, 1, true);
	assert_int_equal(take_interrupt(board, 0), 0x31);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE); /* 4 is lower */
	isa_line(board, 0, false);
	isa_line(board, 0, true);
	assert_int_equal(take_interrupt(board, 0), 0x30);
	out8(board, 0x20, 0x20);
	out8(board, 0x20, 0x20);
	assert_int_equal(take_interrupt(board, 0), 0x34);
	out8(board, 0x20, 0x64); /* specific */
	assert_int_equal(in8(board, 0x20), 0);
}

static void pic_second_chip_comes_through_the_cascade(void **state)
{
	struct board *board = *state;

	open_pics(board);
	isa_line(board, 12, true);
	isa_line(board, 9, true);
	assert_int_equal(take_interrupt(board, 0), 0x39);
	out8(board, 0x20, 0x0b);
	assert_int_equal(in8(board, 0x20), 0x04);
	out8(board, 0xa0, 0x20);
	out8(board, 0x20, 0x20);
	assert_int_equal(take_interrupt(board, 0), 0x3c);
	out8(board, 0xa0, 0x20);
	out8(board, 0x20, 0x20);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
}

static void pic_edge_is_taken_once_and_level_again(void **state)
{
	struct board *board = *state;

	open_pics(board);
	isa_line(board, 5, true);
	assert_int_equal(take_interrupt(board, 0), 0x35);
	out8(board, 0x20, 0x20);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	isa_line(board, 5, false);
	out8(board, 0x4d0, 0x20);
	assert_int_equal(in8(board, 0x4d0), 0x20);
	isa_line(board, 5, true);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(take_interrupt(board, 0), 0x35);
		out8(board, 0x20, 0x20);
	}
	isa_line(board, 5, false);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
}

static void pic_masks_polls_and_rotates(void **state)
{
	struct board *board = *state;

	open_pics(board);
	out8(board, 0x21, 0x10);
	isa_line(board, 4, true);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	out8(board, 0x21, 0);
	out8(board, 0x20, 0x0c);
	assert_int_equal(in8(board, 0x20), 0x84);
	out8(board, 0x20, 0xa0); /* rotate on non-specific EOI: 5 is highest now */
	isa_line(board, 4, false);
	isa_line(board, 4, true);
	isa_line(board, 6, true);
	assert_int_equal(take_interrupt(board, 0), 0x36);
	out8(board, 0x20, 0x20);
	out8(board, 0x20, 0xc7); /* as at power-on */
	assert_int_equal(take_interrupt(board, 0), 0x34);
}

static void pic_auto_eoi_and_special_mask(void **state)
{
	struct board *board = *state;

	open_pics(board);
	isa_line(board, 3, true);
	assert_int_equal(take_interrupt(board, 0), 0x33);
	isa_line(board, 6, true);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	out8(board, 0x21, 0x08);
	out8(board, 0x20, 0x68); /* special mask: 3 is masked, so it holds nobody up */
	assert_int_equal(take_interrupt(board, 0), 0x36);
	out8(board, 0x20, 0x11);
	out8(board, 0x21, 0x40);
	out8(board, 0x21, 4);
	out8(board, 0x21, 3); /* automatic EOI */
	isa_line(board, 3, false);
	isa_line(board, 3, true);
	assert_int_equal(take_interrupt(board, 0), 0x43);
	out8(board, 0x20, 0x0b);
	assert_int_equal(in8(board, 0x20), 0);
}

/* ---- I/O APIC ---- */

static void ioapic_has_24_pins_of_version_20(void **state)
{
	struct board *board = *state;

	assert_int_equal(ioapic_read(board, 1), 0x170020);
	for (u8 pin = 0; pin < 24; pin++)
		assert_int_equal(ioapic_read(board, (u8)(0x10 + 2 * pin)), 0x10000);
	ioapic_write(board, 0x11, 0xffffffff);
	assert_int_equal(ioapic_read(board, 0x11), 0xff000000);
}

static void ioapic_select_is_a_byte_and_the_window_32_bits(void **state)
{
	struct board *board = *state;

	board_access(board, 0, BUS_MEMORY, 0xfec00000, 1, true, 0x14);
	board_access(board, 0, BUS_MEMORY, 0xfec00010, 4, true, 0x1a751);
	assert_int_equal(ioapic_read(board, 0x14), 0x1a751);
	board_access(board, 0, BUS_MEMORY, 0xfec00010, 1, true, 0x42);
	board_access(board, 0, BUS_MEMORY, 0xfec00010, 2, true, 0x4242);
	assert_int_equal(ioapic_read(board, 0x14), 0x1a751);
	assert_int_equal(board_access(board, 0, BUS_MEMORY, 0xfec00000, 1, false, 0), 0x14);
	assert_int_equal(board_access(board, 0, BUS_MEMORY, 0xfec00011, 1, false, 0), 0xa7);
	assert_int_equal(board_access(board, 0, BUS_MEMORY, 0xfec00012, 2, false, 0), 1);
}

static void ioapic_edge_reaches_its_destination(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	ioapic_write(board, 0x15, 2u << 24);
	ioapic_write(board, 0x14, 0x51); /* pin 2: the timer */
	isa_line(board, 0, false);
	isa_line(board, 0, true);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	assert_int_equal(take_interrupt(board, 2), 0x51);
	isa_line(board, 0, true);
	lapic_write(board, 2, 0xb0, 0);
	assert_int_equal(take_interrupt(board, 2), VECTOR_NONE);
}

static void ioapic_level_asks_again_at_eoi(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	ioapic_write(board, 0x22, 0x8061); /* pin 9, level */
	isa_line(board, 9, true);
	assert_int_equal(ioapic_read(board, 0x22), 0xc061);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(take_interrupt(board, 0), 0x61);
		assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
		lapic_write(board, 0, 0xb0, 0);
	}
	isa_line(board, 9, false);
	assert_int_equal(take_interrupt(board, 0), 0x61); /* the last one is in IRR already */
	lapic_write(board, 0, 0xb0, 0);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	assert_int_equal(ioapic_read(board, 0x22), 0x8061);
}

static void ioapic_clears_remote_irr_by_eoi_register_and_by_edge(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	ioapic_write(board, 0x22, 0x8061);
	isa_line(board, 9, true);
	isa_line(board, 9, false);
	assert_int_equal(ioapic_read(board, 0x22), 0xc061);
	board_access(board, 0, BUS_MEMORY, 0xfec00040, 4, true, 0x61);
	assert_int_equal(ioapic_read(board, 0x22), 0x8061);
	isa_line(board, 9, true);
	ioapic_write(board, 0x22, 0x10061);
	assert_int_equal(ioapic_read(board, 0x22), 0x10061);
}

static void ioapic_lowest_priority_takes_the_idlest(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	lapic_write(board, 0, 0x80, 0x40);
	lapic_write(board, 1, 0x80, 0x20);
	lapic_write(board, 2, 0x80, 0x30);
	ioapic_write(board, 0x19, 7u << 24);
	ioapic_write(board, 0x18, 0x971); /* pin 4, logical, lowest priority */
	isa_line(board, 4, true);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	assert_int_equal(take_interrupt(board, 2), VECTOR_NONE);
	assert_int_equal(take_interrupt(board, 1), 0x71);
}

/* ---- local APIC ---- */

static void lapic_is_as_firmware_leaves_it(void **state)
{
	struct board *board = *state;

	assert_int_equal(lapic_read(board, 0, 0x20), 0);
	assert_int_equal(lapic_read(board, 1, 0x20), 1 << 24);
	assert_int_equal(lapic_read(board, 0, 0x30), 0x50014);
	assert_int_equal(lapic_read(board, 0, 0xf0), 0x1ff);
	assert_int_equal(lapic_read(board, 1, 0xf0), 0xff);
	assert_int_equal(lapic_read(board, 0, 0xe0), 0xffffffff);
	assert_int_equal(lapic_read(board, 1, 0x350), 0x10000);
	assert_int_equal(msr_get(board, 0, 0x1b), 0xfee00900);
	assert_int_equal(msr_get(board, 1, 0x1b), 0xfee00800);
}

static void lapic_priorities_hold_back(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	lapic_write(board, 0, 0x300, 0x40000 | 0x55); /* self */
	lapic_write(board, 0, 0x300, 0x40000 | 0x65);
	assert_int_equal(lapic_read(board, 0, 0x220), 1 << 21 | 0);
	board->machine.vcpus[0]->apic.ops->task_priority_set(
		board->machine.vcpus[0]->apic.object, 6);
	assert_int_equal(lapic_read(board, 0, 0x80), 0x60);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	lapic_write(board, 0, 0x80, 0);
	assert_int_equal(take_interrupt(board, 0), 0x65);
	assert_int_equal(lapic_read(board, 0, 0xa0), 0x60);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	lapic_write(board, 0, 0xb0, 0);
	assert_int_equal(take_interrupt(board, 0), 0x55);
	lapic_write(board, 0, 0xb0, 0);
	assert_int_equal(lapic_read(board, 0, 0xa0), 0);
}

static void lapic_timer_counts_once(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	lapic_write(board, 0, 0x3e0, 3); /* by 16 */
	lapic_write(board, 0, 0x320, 0x40);
	lapic_write(board, 0, 0x380, 1000);
	pass_ns(board, 8000);
	assert_int_equal(lapic_read(board, 0, 0x390), 500);
	lapic_write(board, 0, 0x3e0, 0xb); /* by 1, on the way */
	assert_int_equal(lapic_read(board, 0, 0x390), 500);
	pass_ns(board, 499);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	pass_ns(board, 1);
	assert_int_equal(take_interrupt(board, 0), 0x40);
	assert_int_equal(lapic_read(board, 0, 0x390), 0);
	lapic_write(board, 0, 0xb0, 0);
	pass_ns(board, 100000000);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
}

static void lapic_timer_counts_periodically(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	lapic_write(board, 0, 0x3e0, 0xb);
	lapic_write(board, 0, 0x320, 0x20041);
	lapic_write(board, 0, 0x380, 1000000);
	for (unsigned i = 1; i <= 100; i++) {
		pass_ns(board, 999999);
		assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
		assert_int_equal(lapic_read(board, 0, 0x390), 1);
		pass_ns(board, 1);
		assert_int_equal(take_interrupt(board, 0), 0x41);
		lapic_write(board, 0, 0xb0, 0);
	}
	lapic_write(board, 0, 0x320, 0x30041); /* masked: it counts on */
	pass_ns(board, 1500000);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	assert_int_equal(lapic_read(board, 0, 0x390), 500000);
	lapic_write(board, 0, 0x380, 1); /* far too fast: bundled */
	pass_ns(board, 10000000);
	assert_int_equal(lapic_read(board, 0, 0x390), 1);
}

static void lapic_timer_takes_a_tsc_deadline(void **state)
{
	struct board *board = *state;
	struct vcpu *vcpu = board->machine.vcpus[0];

	enable_apics(board);
	assert_true(msr_set(board, 0, 0x6e0, 1000)); /* not in this mode: ignored */
	assert_int_equal(msr_get(board, 0, 0x6e0), 0);
	lapic_write(board, 0, 0x320, 0x40042);
	pass_ns(board, 1000);
	vcpu->tsc_offset = 5000;
	assert_true(msr_set(board, 0, 0x6e0, 7000 + 2000));
	assert_int_equal(msr_get(board, 0, 0x6e0), 9000);
	pass_ns(board, 999);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	pass_ns(board, 1);
	assert_int_equal(take_interrupt(board, 0), 0x42);
	assert_int_equal(msr_get(board, 0, 0x6e0), 0);
	lapic_write(board, 0, 0xb0, 0);
	assert_true(msr_set(board, 0, 0x6e0, 1)); /* long past */
	assert_int_equal(take_interrupt(board, 0), 0x42);
	lapic_write(board, 0, 0xb0, 0);
	assert_true(msr_set(board, 0, 0x6e0, ~(u64)0));
	pass_ns(board, 1000000000);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	assert_true(msr_set(board, 0, 0x6e0, 0));
	assert_int_equal(events_next_deadline(&board->machine), TIME_NEVER);
}

static void lapic_sends_to_physical_logical_and_shorthands(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	lapic_write(board, 0, 0x310, 1u << 24);
	lapic_write(board, 0, 0x300, 0x4081);
	assert_int_equal(take_interrupt(board, 1), 0x81);
	lapic_write(board, 0, 0x310, 6u << 24);
	lapic_write(board, 0, 0x300, 0x4882);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
	assert_int_equal(take_interrupt(board, 1), VECTOR_NONE); /* 0x81 is being served */
	lapic_write(board, 1, 0xb0, 0);
	assert_int_equal(take_interrupt(board, 1), 0x82);
	assert_int_equal(take_interrupt(board, 2), 0x82);
	lapic_write(board, 1, 0x300, 0xc4090); /* all but self */
	assert_int_equal(take_interrupt(board, 0), 0x90);
	assert_int_equal(take_interrupt(board, 1), VECTOR_NONE);
	lapic_write(board, 1, 0xb0, 0);
	lapic_write(board, 0, 0xb0, 0);
	lapic_write(board, 1, 0x300, 0x840a0); /* all */
	assert_int_equal(take_interrupt(board, 0), 0xa0);
	assert_int_equal(take_interrupt(board, 1), 0xa0);
	assert_int_equal(take_interrupt(board, 2), 0xa0);
}

static void lapic_starts_processors(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	lapic_write(board, 0, 0x310, 1u << 24);
	lapic_write(board, 0, 0x300, 0x4500);
	assert_int_equal(pending(board, 1) & PENDING_INIT, PENDING_INIT);
	assert_int_equal(lapic_read(board, 1, 0xf0), 0xff); /* its registers are reset */
	lapic_write(board, 0, 0x300, 0x8500);		    /* de-assert: nothing */
	assert_int_equal(pending(board, 2), 0);
	lapic_write(board, 0, 0x300, 0x4699);
	assert_int_equal(pending(board, 1) & PENDING_SIPI, PENDING_SIPI);
	assert_int_equal(board->machine.vcpus[1]->cpu.sipi_vector, 0x99);
	lapic_write(board, 0, 0x310, 2u << 24);
	lapic_write(board, 0, 0x300, 0x4400);
	assert_int_equal(pending(board, 2), PENDING_NMI);
}

static void lapic_notes_errors(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	lapic_write(board, 0, 0x370, 0xfe);
	lapic_write(board, 0, 0x300, 0x40005); /* an illegal vector */
	assert_int_equal(lapic_read(board, 0, 0x280), 0);
	lapic_write(board, 0, 0x280, 0);
	assert_int_equal(lapic_read(board, 0, 0x280), 0x20);
	assert_int_equal(take_interrupt(board, 0), 0xfe);
	lapic_read(board, 0, 0x3f0);
	lapic_write(board, 0, 0x280, 0);
	assert_int_equal(lapic_read(board, 0, 0x280), 0x80);
}

static void lapic_software_disable_masks_all(void **state)
{
	struct board *board = *state;

	enable_apics(board);
	lapic_write(board, 0, 0x320, 0x40);
	lapic_write(board, 0, 0xf0, 0xff);
	assert_int_equal(lapic_read(board, 0, 0x320), 0x10040);
	lapic_write(board, 0, 0x320, 0x40);
	assert_int_equal(lapic_read(board, 0, 0x320), 0x10040);
	lapic_write(board, 0, 0x300, 0x40050);
	assert_int_equal(take_interrupt(board, 0), VECTOR_NONE);
}

static void lapic_off_lets_the_8259_through(void **state)
{
	struct board *board = *state;

	open_pics(board);
	assert_true(msr_set(board, 0, 0x1b, 0xfee00000));
	assert_int_equal(lapic_read(board, 0, 0x20), 0xffffffff);
	isa_line(board, 3, true);
	assert_int_equal(take_interrupt(board, 0), 0x33);
}

static void x2apic_is_entered_and_left_as_the_manual_says(void **state)
{
	struct board *board = *state;
	u64 base = 0xfee00800;

	assert_false(msr_set(board, 1, 0x1b, base | 1)); /* reserved */
	assert_false(msr_set(board, 1, 0x1b, (base & ~(u64)0x800) | 0x400));
	assert_true(msr_set(board, 1, 0x1b, base | 0x400));
	assert_false(msr_set(board, 1, 0x1b, base));
	assert_int_equal(msr_get(board, 1, 0x802), 1);
	assert_int_equal(msr_get(board, 1, 0x80d), 2);
	assert_int_equal(lapic_read(board, 1, 0x20), 0xffffffff);
	assert_true(msr_set(board, 1, 0x1b, base & ~(u64)0x800));
	assert_false(msr_set(board, 1, 0x1b, base | 0x400)); /* not straight from off */
	assert_true(msr_set(board, 1, 0x1b, base));
	assert_int_equal(lapic_read(board, 1, 0x20), 1 << 24);
}

static void x2apic_refuses_what_is_not_there(void **state)
{
	struct board *board = *state;
	u64 value = 0;

	assert_false(msr_try(board, 0, 0x802, false, &value));
	assert_true(msr_set(board, 0, 0x1b, 0xfee00d00));
	assert_false(msr_set(board, 0, 0x802, 0));
	assert_false(msr_set(board, 0, 0x80b, 1));
	assert_false(msr_set(board, 0, 0x808, 0x100));
	assert_false(msr_set(board, 0, 0x828, 1));
	assert_false(msr_try(board, 0, 0x80b, false, &value));
	assert_false(msr_try(board, 0, 0x80e, false, &value));
	assert_false(msr_try(board, 0, 0x831, false, &value));
	assert_false(msr_try(board, 0, 0x8ff, false, &value));
	assert_true(msr_set(board, 0, 0x80b, 0));
	assert_true(msr_set(board, 0, 0x83f, 0x77));
	assert_int_equal(take_interrupt(board, 0), 0x77);
}

static void x2apic_sends_to_32_bit_destinations(void **state)
{
	struct board *board = *state;

	for (unsigned i = 0; i < 3; i++) {
		assert_true(msr_set(board, i, 0x1b, 0xfee00c00));
		assert_true(msr_set(board, i, 0x80f, 0x1ff));
	}
	assert_true(msr_set(board, 0, 0x830, (u64)2 << 32 | 0x61));
	assert_int_equal(take_interrupt(board, 2), 0x61);
	assert_true(msr_set(board, 0, 0x830, (u64)6 << 32 | 0x872)); /* logical */
	assert_int_equal(take_interrupt(board, 1), 0x72);
	assert_int_equal(take_interrupt(board, 2), 0x72);
	assert_true(msr_set(board, 0, 0x830, (u64)0xffffffff << 32 | 0x83));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(take_interrupt(board, i), 0x83);
	assert_int_equal(msr_get(board, 0, 0x830), (u64)0xffffffff << 32 | 0x83);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(pic_delivers_by_priority_and_nests),
		board_test(pic_second_chip_comes_through_the_cascade),
		board_test(pic_edge_is_taken_once_and_level_again),
		board_test(pic_masks_polls_and_rotates),
		board_test(pic_auto_eoi_and_special_mask),
		board_test(ioapic_has_24_pins_of_version_20),
		board_test(ioapic_select_is_a_byte_and_the_window_32_bits),
		board_test_three(ioapic_edge_reaches_its_destination),
		board_test(ioapic_level_asks_again_at_eoi),
		board_test(ioapic_clears_remote_irr_by_eoi_register_and_by_edge),
		board_test_three(ioapic_lowest_priority_takes_the_idlest),
		board_test_three(lapic_is_as_firmware_leaves_it),
		board_test(lapic_priorities_hold_back),
		board_test(lapic_timer_counts_once),
		board_test(lapic_timer_counts_periodically),
		board_test(lapic_timer_takes_a_tsc_deadline),
		board_test_three(lapic_sends_to_physical_logical_and_shorthands),
		board_test_three(lapic_starts_processors),
		board_test(lapic_notes_errors),
		board_test(lapic_software_disable_masks_all),
		board_test(lapic_off_lets_the_8259_through),
		board_test_three(x2apic_is_entered_and_left_as_the_manual_says),
		board_test(x2apic_refuses_what_is_not_there),
		board_test_three(x2apic_sends_to_32_bit_destinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
