/* SPDX-License-Identifier: MIT */
/* The 8254, the real-time clock, the PM timer and the paravirtual clock. */
#include "board.h"

static u64 ticks_ns(u64 ticks)
{
	return (ticks * 1000000000 + 1193181) / 1193182;
}

static void pit_set(struct board *board, unsigned counter, unsigned mode, u16 count)
{
	out8(board, 0x43, (u8)(counter << 6 | 3 << 4 | mode << 1));
	out8(board, (u16)(0x40 + counter), (u8)count);
	out8(board, (u16)(0x40 + counter), (u8)(count >> 8));
}

static u16 pit_latch(struct board *board, unsigned counter)
{
	out8(board, 0x43, (u8)(counter << 6));
	u16 low = in8(board, (u16)(0x40 + counter));
	return (u16)(low | in8(board, (u16)(0x40 + counter)) << 8);
}

static void pit_mode_0_counts_down_once_and_raises_out(void **state)
{
	struct board *board = *state;

	out8(board, 0x61, 1);
	pit_set(board, 2, 0, 1000);
	pass_ns(board, ticks_ns(1) + 1);
	assert_in_range(pit_latch(board, 2), 999, 1000);
	assert_int_equal(in8(board, 0x61) & 0x20, 0);
	pass_ns(board, ticks_ns(500));
	assert_in_range(pit_latch(board, 2), 499, 500);
	pass_ns(board, ticks_ns(499));
	assert_int_equal(in8(board, 0x61) & 0x20, 0);
	pass_ns(board, ticks_ns(3));
	assert_int_equal(in8(board, 0x61) & 0x20, 0x20);
	assert_true(pit_latch(board, 2) > 0xfff0); /* and goes on */
}

static void pit_mode_0_stands_while_its_gate_is_low(void **state)
{
	struct board *board = *state;

	out8(board, 0x61, 1);
	pit_set(board, 2, 0, 1000);
	pass_ns(board, ticks_ns(100));
	out8(board, 0x61, 0);
	u16 count = pit_latch(board, 2);
	pass_ns(board, ticks_ns(5000));
	assert_int_equal(pit_latch(board, 2), count);
	out8(board, 0x61, 1);
	pass_ns(board, ticks_ns(100));
	assert_in_range(pit_latch(board, 2), count - 101, count - 99);
}

static void pit_mode_2_interrupts_at_its_rate_without_drift(void **state)
{
	struct board *board = *state;
	unsigned taken = 0;

	open_pics(board);
	pit_set(board, 0, 2, 11932); /* 100 Hz */
	for (unsigned i = 0; i < 10000; i++) {
		pass_ns(board, 1000000);
		if (take_interrupt(board, 0) == 0x30) {
			taken++;
			out8(board, 0x20, 0x20);
		}
	}
	assert_int_equal(taken, 999 + (10 * (u64)1193182 >= 1000 * (u64)11932));
	assert_in_range(pit_latch(board, 0), 1, 11932);
}

static void pit_mode_3_is_a_square_wave(void **state)
{
	struct board *board = *state;
	unsigned high = 0;

	out8(board, 0x61, 1);
	pit_set(board, 2, 3, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		pass_ns(board, 838);
		high += in8(board, 0x61) >> 5 & 1;
	}
	assert_in_range(high, 495, 505);
	assert_int_equal(pit_latch(board, 2) & 1, 0);
}

static void pit_mode_1_waits_for_its_gate(void **state)
{
	struct board *board = *state;

	pit_set(board, 2, 1, 100);
	pass_ns(board, ticks_ns(1000));
	assert_int_equal(in8(board, 0x61) & 0x20, 0x20);
	out8(board, 0x61, 1);
	pass_ns(board, ticks_ns(50));
	assert_int_equal(in8(board, 0x61) & 0x20, 0);
	pass_ns(board, ticks_ns(60));
	assert_int_equal(in8(board, 0x61) & 0x20, 0x20);
	out8(board, 0x61, 0);
	out8(board, 0x61, 1); /* again, with the same count */
	pass_ns(board, ticks_ns(50));
	assert_int_equal(in8(board, 0x61) & 0x20, 0);
}

static void pit_mode_4_strobes_for_one_tick(void **state)
{
	struct board *board = *state;
	unsigned low = 0;

	out8(board, 0x61, 1);
	pit_set(board, 2, 4, 100);
	for (unsigned i = 0; i < 300; i++) {
		pass_ns(board, 839);
		low += !(in8(board, 0x61) & 0x20);
	}
	assert_in_range(low, 1, 2);
}

/* The host may be busy: an edge whose event comes late is an interrupt all the same, and exactly one. */
static void pit_edges_are_not_lost_when_they_come_late(void **state)
{
	static const u8 modes[] = {0, 2, 3, 4};
	struct board *board = *state;
	struct machine *machine = &board->machine;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		open_pics(board);
		pit_set(board, 0, modes[i], 1000);
		take_interrupt(board, 0); /* mode 0's OUT falls, others' may rise */
		out8(board, 0x20, 0x20);
		clock_advance(&machine->clock, ticks_ns(1600));
		if (i & 1) /* an access comes first */
			pit_latch(board, 0);
		events_run(machine, clock_now_ns(&machine->clock));
		assert_int_equal(take_interrupt(board, 0), 0x30);
		out8(board, 0x20, 0x20);
		assert_int_equal(take_interrupt(board, 0), -1);
	}
}

static void pit_counts_in_bcd(void **state)
{
	struct board *board = *state;

	out8(board, 0x61, 1);
	out8(board, 0x43, 2 << 6 | 3 << 4 | 0 << 1 | 1);
	out8(board, 0x42, 0x00);
	out8(board, 0x42, 0x10);
	pass_ns(board, ticks_ns(11) + 1);
	assert_in_range(pit_latch(board, 2), 0x0989, 0x0991);
}

static void pit_reads_back_status_and_count(void **state)
{
	struct board *board = *state;

	pit_set(board, 0, 2, 1000);
	out8(board, 0x43, 0xc2); /* both, of counter 0 */
	assert_int_equal(in8(board, 0x40) & 0x7f, 0x34);
	u16 low = in8(board, 0x40);
	assert_int_equal(low | in8(board, 0x40) << 8, 1000);
	out8(board, 0x43, 0x34);
	out8(board, 0x43, 0xe2);
	assert_int_equal(in8(board, 0x40) & 0x40, 0x40); /* no count yet */
}

static void pit_refresh_bit_toggles(void **state)
{
	struct board *board = *state;
	unsigned changes = 0, last = 0;

	for (unsigned i = 0; i < 1000; i++) {
		pass_ns(board, 1000);
		unsigned now = in8(board, 0x61) & 0x10;
		changes += now != last;
		last = now;
	}
	assert_in_range(changes, 65, 67); /* every 15.085 us */
}

/* ---- the real-time clock ---- */

static u8 cmos(struct board *board, u8 index)
{
	out8(board, 0x70, index);
	return in8(board, 0x71);
}

static void cmos_set(struct board *board, u8 index, u8 value)
{
	out8(board, 0x70, index);
	out8(board, 0x71, value);
}

static void rtc_tells_the_wall_clock_in_bcd(void **state)
{
	struct board *board = *state;

	assert_int_equal(cmos(board, 0), 0x20);
	assert_int_equal(cmos(board, 2), 0x13);
	assert_int_equal(cmos(board, 4), 0x22);
	assert_int_equal(cmos(board, 6), 3); /* Tuesday */
	assert_int_equal(cmos(board, 7), 0x14);
	assert_int_equal(cmos(board, 8), 0x11);
	assert_int_equal(cmos(board, 9), 0x23);
	assert_int_equal(cmos(board, 0x32), 0x20);
	assert_int_equal(cmos(board, 0xd), 0x80);
	pass_ns(board, 41000000000);
	assert_int_equal(cmos(board, 0), 0x01);
	assert_int_equal(cmos(board, 2), 0x14);
}

static void rtc_keeps_what_the_guest_sets(void **state)
{
	struct board *board = *state;
	static const u8 time[][2] = {
		{0, 0x58}, {2, 0x59}, {4, 0x23}, {7, 0x28}, {8, 0x02}, {9, 0x24}};

	cmos_set(board, 0xb, 0x82);
	for (size_t i = 0; i < ARRAY_SIZE(time); i++)
		cmos_set(board, time[i][0], time[i][1]);
	pass_ns(board, 5000000000);
	assert_int_equal(cmos(board, 0), 0x58); /* stands */
	cmos_set(board, 0xb, 0x02);
	pass_ns(board, 3000000000);
	assert_int_equal(cmos(board, 7), 0x29); /* a leap year */
	assert_int_equal(cmos(board, 8), 0x02);
	assert_int_equal(cmos(board, 4), 0);
	assert_int_equal(cmos(board, 0), 0x01);
	board->machine.reset(&board->machine);
	assert_int_equal(cmos(board, 7), 0x29); /* there is a battery */
}

static void rtc_has_12_hour_and_binary_forms(void **state)
{
	struct board *board = *state;

	cmos_set(board, 0xb, 0x00);
	assert_int_equal(cmos(board, 4), 0x90); /* 10 PM */
	cmos_set(board, 0xb, 0x06);
	assert_int_equal(cmos(board, 4), 22);
	assert_int_equal(cmos(board, 9), 23);
}

static void rtc_shows_an_update_in_progress(void **state)
{
	struct board *board = *state;

	assert_int_equal(cmos(board, 0xa), 0x26);
	pass_ns(board, 999800000);
	assert_int_equal(cmos(board, 0xa), 0xa6);
	pass_ns(board, 200000);
	assert_int_equal(cmos(board, 0xa), 0x26);
}

static void rtc_interrupts_at_alarm_update_and_period(void **state)
{
	struct board *board = *state;

	open_pics(board);
	cmos_set(board, 1, 0x23);
	cmos_set(board, 3, 0xff);
	cmos_set(board, 5, 0xff);
	cmos_set(board, 0xb, 0x22);
	pass_ns(board, 2900000000);
	assert_int_equal(take_interrupt(board, 0), -1);
	pass_ns(board, 200000000);
	assert_int_equal(take_interrupt(board, 0), 0x38);
	assert_int_equal(cmos(board, 0xc) & 0xb0, 0xb0);
	assert_int_equal(cmos(board, 0xc), 0);
	out8(board, 0xa0, 0x20);
	out8(board, 0x20, 0x20);
	cmos_set(board, 0xb, 0x42);
	unsigned taken = 0;
	for (unsigned i = 0; i < 20000; i++) {
		pass_ns(board, 50000);
		if (take_interrupt(board, 0) == 0x38) {
			taken++;
			assert_int_equal(cmos(board, 0xc) & 0xc0, 0xc0);
			out8(board, 0xa0, 0x20);
			out8(board, 0x20, 0x20);
		}
	}
	assert_in_range(taken, 1022, 1025);
}

static void cmos_tells_the_memory(void **state)
{
	struct board *board = *state;

	assert_int_equal(cmos(board, 0x15) | cmos(board, 0x16) << 8, 640);
	assert_int_equal(cmos(board, 0x17) | cmos(board, 0x18) << 8, 31 * 1024);
	assert_int_equal(cmos(board, 0x34) | cmos(board, 0x35) << 8, 256);
	cmos_set(board, 0x50, 0xab);
	assert_int_equal(cmos(board, 0x50), 0xab);
}

/* ---- the PM timer ---- */

static void pm_timer_counts_at_its_rate(void **state)
{
	struct board *board = *state;
	u32 start = in32(board, 0x608);

	pass_ns(board, 1000000000);
	assert_in_range(in32(board, 0x608) - start, 3579544, 3579546);
}

static void pm_timer_tells_of_its_carry(void **state)
{
	struct board *board = *state;

	open_pics(board);
	out16(board, 0x602, 1);
	pass_ns(board, 599 * (u64)1000000000);
	assert_int_equal(in16(board, 0x600) & 1, 0);
	assert_int_equal(take_interrupt(board, 0), -1);
	pass_ns(board, (u64)1000000000);
	assert_int_equal(take_interrupt(board, 0), 0x39); /* the SCI */
	assert_int_equal(in16(board, 0x600) & 1, 1);
	out16(board, 0x600, 1);
	assert_int_equal(in16(board, 0x600) & 1, 0);
}

/* ---- kvmclock ---- */

static void pvclock_tells_time_and_frequency(void **state)
{
	struct board *board = *state;
	struct vcpu *vcpu = board->machine.vcpus[0];
	u64 tsc, ns;
	u32 scale;
	i8 shift;

	pass_ns(board, 123456789);
	vcpu->tsc_offset = 1000;
	board_access(board, 0, BUS_MSR, 0x4b564d01, 8, true, 0x10001);
	assert_int_equal(board_access(board, 0, BUS_MSR, 0x12, 8, false, 0), 0x10001);
	memcpy(&tsc, board->ram + 0x10008, 8);
	memcpy(&ns, board->ram + 0x10010, 8);
	memcpy(&scale, board->ram + 0x10018, 4);
	shift = (i8)board->ram[0x1001c];
	assert_int_equal(board->ram[0x10000] & 1, 0);
	assert_int_equal(board->ram[0x1001d], 1);
	assert_int_equal(ns, 123456789);
	assert_int_equal(tsc, 123456789 * 2 + 1000);
	u64 delta = BOARD_TSC_HZ;
	delta = shift < 0 ? delta >> -shift : delta << shift;
	assert_in_range((u64)((unsigned __int128)delta * scale >> 32), 999999990, 1000000000);
	board_access(board, 0, BUS_MSR, 0x4b564d00, 8, true, 0x20000);
	u32 wall[3];
	memcpy(wall, board->ram + 0x20000, sizeof(wall));
	assert_int_equal(wall[1], 1700000000);
	assert_int_equal(wall[2], 0);
}

static void pvclock_ignores_a_page_that_is_not_ram(void **state)
{
	struct board *board = *state;

	board_access(board, 0, BUS_MSR, 0x4b564d01, 8, true, ~(u64)0);
	board_access(board, 0, BUS_MSR, 0x4b564d01, 8, true, BOARD_RAM_BYTES - 16 + 1);
	board_access(board, 0, BUS_MSR, 0x4b564d00, 8, true, 0xfee00000);
	for (u64 i = 0; i < 16; i++)
		assert_int_equal(board->ram[BOARD_RAM_BYTES - 16 + i], 0);
}

static void hypervisor_leaves_are_kvms(void **state)
{
	struct board *board = *state;
	u32 result[4];

	assert_true(board->machine.hypervisor_leaf(&board->machine, 0x40000000, result));
	assert_memory_equal(&result[1], "KVMKVMKVM\0\0\0", 12);
	assert_true(board->machine.hypervisor_leaf(&board->machine, 0x40000010, result));
	assert_int_equal(result[0], BOARD_TSC_HZ / 1000);
	assert_int_equal(result[1], 1000000);
	assert_false(board->machine.hypervisor_leaf(&board->machine, 0x40000100, result));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(pit_mode_0_counts_down_once_and_raises_out),
		board_test(pit_mode_0_stands_while_its_gate_is_low),
		board_test(pit_mode_2_interrupts_at_its_rate_without_drift),
		board_test(pit_mode_3_is_a_square_wave),
		board_test(pit_mode_1_waits_for_its_gate),
		board_test(pit_mode_4_strobes_for_one_tick),
		board_test(pit_edges_are_not_lost_when_they_come_late),
		board_test(pit_counts_in_bcd),
		board_test(pit_reads_back_status_and_count),
		board_test(pit_refresh_bit_toggles),
		board_test(rtc_tells_the_wall_clock_in_bcd),
		board_test(rtc_keeps_what_the_guest_sets),
		board_test(rtc_has_12_hour_and_binary_forms),
		board_test(rtc_shows_an_update_in_progress),
		board_test(rtc_interrupts_at_alarm_update_and_period),
		board_test(cmos_tells_the_memory),
		board_test(pm_timer_counts_at_its_rate),
		board_test(pm_timer_tells_of_its_carry),
		board_test(pvclock_tells_time_and_frequency),
		board_test(pvclock_ignores_a_page_that_is_not_ram),
		board_test(hypervisor_leaves_are_kvms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
