/* SPDX-License-Identifier: MIT */
#include "devices/irqchip/pic8259.h"
#include "base/memory.h"
#include "devices/region.h"

#define CASCADE_INPUT 2
#define SPURIOUS_INPUT 7

enum icw1 { ICW1_IC4 = 1 << 0, ICW1_SINGLE = 1 << 1, ICW1_LEVEL = 1 << 3, ICW1_SELECT = 1 << 4 };
enum icw4 { ICW4_AUTO_EOI = 1 << 1, ICW4_NESTED = 1 << 4 };

/* Level-triggered inputs: ELCR, or all by ICW1. */
static u8 chip_level_mask(const struct pic8259_chip *chip)
{
	return chip->icw1 & ICW1_LEVEL ? 0xff : chip->elcr;
}

/* The input of `requests` with the highest priority, and its rank (0 the highest, 8: none). */
static unsigned chip_rank_first(const struct pic8259_chip *chip, u8 requests, unsigned *input)
{
	for (unsigned rank = 0; rank < 8; rank++) {
		*input = (chip->lowest_priority + 1 + rank) & 7;
		if (requests >> *input & 1)
			return rank;
	}
	return 8;
}

/*
 * The input to be delivered now, or -1. In special mask mode an in-service bit that is masked inhibits nobody; in special
 * fully nested mode (first chip) the cascade's own in-service bit does not inhibit the second chip.
 */
static int chip_pending(const struct pic8259_chip *chip, bool is_master)
{
	unsigned input, serviced;
	u8 isr = chip->isr;

	if (chip->special_mask)
		isr &= (u8)~chip->imr;
	if (is_master && chip->icw4 & ICW4_NESTED)
		isr &= (u8) ~(1 << CASCADE_INPUT);
	unsigned rank = chip_rank_first(chip, chip->irr & (u8)~chip->imr, &input);
	if (rank == 8 || rank >= chip_rank_first(chip, isr, &serviced))
		return -1;
	return (int)input;
}

static void chip_set_line(struct pic8259_chip *chip, unsigned input, bool level)
{
	u8 bit = (u8)(1 << input);

	/* A request that goes away before it is acknowledged is gone: a spurious one is delivered if INT was seen. */
	if (!level)
		chip->irr &= (u8)~bit;
	else if (chip_level_mask(chip) & bit || !(chip->lines & bit))
		chip->irr |= bit;
	chip->lines = level ? chip->lines | bit : chip->lines & (u8)~bit;
}

static void pic_update(struct pic8259 *pic)
{
	chip_set_line(&pic->chips[0], CASCADE_INPUT, chip_pending(&pic->chips[1], false) >= 0);
	irq_set(&pic->output, chip_pending(&pic->chips[0], true) >= 0);
}

/* One chip's INTA: the input it answers for. */
static unsigned chip_acknowledge(struct pic8259_chip *chip, bool is_master)
{
	int input = chip_pending(chip, is_master);

	if (input < 0)
		return SPURIOUS_INPUT; /* no in-service bit is set: data sheet, "Interrupt sequence" */
	u8 bit = (u8)(1 << input);
	if (!(chip_level_mask(chip) & bit))
		chip->irr &= (u8)~bit;
	if (!(chip->icw4 & ICW4_AUTO_EOI))
		chip->isr |= bit;
	else if (chip->rotate_on_aeoi)
		chip->lowest_priority = (u8)input;
	return (unsigned)input;
}

int pic8259_acknowledge(void *owner)
{
	struct pic8259 *pic = owner;
	struct pic8259_chip *chip = &pic->chips[0];
	unsigned input = chip_acknowledge(chip, true);

	if (input == CASCADE_INPUT) {
		chip = &pic->chips[1];
		input = chip_acknowledge(chip, false);
		/* The cascade's wire drops between two requests: else the next edge would be missed. */
		chip_set_line(&pic->chips[0], CASCADE_INPUT, false);
	}
	int vector = chip->vector_base | (int)input;
	pic_update(pic);
	return vector;
}

void pic8259_set_line(void *owner, unsigned line, bool level)
{
	struct pic8259 *pic = owner;

	if (line > 15 || line == CASCADE_INPUT)
		return;
	chip_set_line(&pic->chips[line >> 3], line & 7, level);
	pic_update(pic);
}

static void chip_write_icw1(struct pic8259_chip *chip, u8 value)
{
	chip->icw1 = value;
	chip->icw4 = 0;
	chip->imr = 0;
	chip->isr = 0;
	chip->irr =
		chip->lines & chip_level_mask(chip); /* edge sense is reset: a new edge is needed */
	chip->lowest_priority = 7;
	chip->special_mask = chip->read_isr = chip->is_polled = chip->rotate_on_aeoi = false;
	chip->init_step = 2;
}

/* OCW2: bits 7-5 are rotate, specific, EOI. */
static void chip_write_ocw2(struct pic8259_chip *chip, u8 value)
{
	bool rotate = value & 0x80, is_specific = value & 0x40, is_eoi = value & 0x20;
	unsigned input = value & 7;
	u8 isr = chip->special_mask ? chip->isr & (u8)~chip->imr : chip->isr;

	if (!is_eoi && !is_specific) {
		chip->rotate_on_aeoi = rotate;
		return;
	}
	if (is_eoi && !is_specific && chip_rank_first(chip, isr, &input) == 8)
		return;
	if (is_eoi)
		chip->isr &= (u8) ~(1 << input);
	if (rotate)
		chip->lowest_priority = (u8)input;
}

static void chip_write_ocw3(struct pic8259_chip *chip, u8 value)
{
	if (value & 0x40)
		chip->special_mask = value & 0x20;
	if (value & 0x04)
		chip->is_polled = true;
	else if (value & 0x02)
		chip->read_isr = value & 1;
}

static void chip_write_command(struct pic8259_chip *chip, u8 value)
{
	if (value & ICW1_SELECT)
		chip_write_icw1(chip, value);
	else if (value & 0x08)
		chip_write_ocw3(chip, value);
	else
		chip_write_ocw2(chip, value);
}

static void chip_write_data(struct pic8259_chip *chip, u8 value)
{
	switch (chip->init_step) {
	case 2:
		chip->vector_base = value & 0xf8;
		chip->init_step = !(chip->icw1 & ICW1_SINGLE) ? 3 : chip->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	case 3:
		chip->cascade = value;
		chip->init_step = chip->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	case 4:
		chip->icw4 = value;
		chip->init_step = 0;
		break;
	default:
		chip->imr = value;
	}
}

static u8 chip_read(struct pic8259_chip *chip, bool is_master, unsigned port)
{
	if (chip->is_polled) { /* acts as INTA; data sheet, "Poll command" */
		chip->is_polled = false;
		if (chip_pending(chip, is_master) < 0)
			return 0;
		return (u8)(0x80 | chip_acknowledge(chip, is_master));
	}
	if (port)
		return chip->imr;
	return chip->read_isr ? chip->isr : chip->irr;
}

static void pic_access(struct pic8259 *pic, unsigned index, struct bus_access *access)
{
	struct pic8259_chip *chip = &pic->chips[index];

	if (!access->is_write)
		access->value = chip_read(chip, index == 0, access->address & 1);
	else if (access->address & 1)
		chip_write_data(chip, (u8)access->value);
	else
		chip_write_command(chip, (u8)access->value);
	pic_update(pic);
}

static void pic_access_master(void *owner, struct bus_access *access)
{
	pic_access(owner, 0, access);
}

static void pic_access_slave(void *owner, struct bus_access *access)
{
	pic_access(owner, 1, access);
}

/* ELCR: inputs 0, 1, 2, 8 and 13 are always edges. */
static void pic_access_elcr(void *owner, struct bus_access *access)
{
	static const u8 writable[2] = {0xf8, 0xde};
	struct pic8259 *pic = owner;
	unsigned index = access->address & 1;
	struct pic8259_chip *chip = &pic->chips[index];

	if (!access->is_write) {
		access->value = chip->elcr;
		return;
	}
	chip->elcr = (u8)access->value & writable[index];
	chip->irr |= chip->lines & chip->elcr;
	pic_update(pic);
}

static void pic_reset(struct device *device)
{
	struct pic8259 *pic = container_of(device, struct pic8259, device);

	for (unsigned i = 0; i < 2; i++)
		pic->chips[i] = (struct pic8259_chip){.lowest_priority = 7, .imr = 0xff};
	irq_lower(&pic->output);
}

static bool pic_loaded(void *object)
{
	struct pic8259 *pic = object;

	for (unsigned i = 0; i < 2; i++) {
		struct pic8259_chip *chip = &pic->chips[i];
		if (chip->lowest_priority > 7 || chip->init_step > 4 || chip->vector_base & 7)
			return false;
	}
	return true;
}

#define CHIP_FIELDS(n)                                                                      \
	STATE_UINT(struct pic8259, chips[n].irr), STATE_UINT(struct pic8259, chips[n].isr), \
		STATE_UINT(struct pic8259, chips[n].imr),                                   \
		STATE_UINT(struct pic8259, chips[n].lines),                                 \
		STATE_UINT(struct pic8259, chips[n].vector_base),                           \
		STATE_UINT(struct pic8259, chips[n].cascade),                               \
		STATE_UINT(struct pic8259, chips[n].icw1),                                  \
		STATE_UINT(struct pic8259, chips[n].icw4),                                  \
		STATE_UINT(struct pic8259, chips[n].elcr),                                  \
		STATE_UINT(struct pic8259, chips[n].init_step),                             \
		STATE_UINT(struct pic8259, chips[n].lowest_priority),                       \
		STATE_FLAG(struct pic8259, chips[n].read_isr),                              \
		STATE_FLAG(struct pic8259, chips[n].is_polled),                             \
		STATE_FLAG(struct pic8259, chips[n].special_mask),                          \
		STATE_FLAG(struct pic8259, chips[n].rotate_on_aeoi)

static const struct state_field pic_fields[] = {CHIP_FIELDS(0), CHIP_FIELDS(1)};
static const struct state_table pic_state = STATE_TABLE("pic8259", 1, pic_fields, pic_loaded);
static const struct device_ops pic_ops = {"pic8259", pic_reset, &pic_state};

enum status pic8259_init(struct pic8259 *pic, struct machine *machine, u16 master, u16 slave,
	u16 elcr, struct irq output)
{
	enum status status;

	memset(pic, 0, sizeof(*pic));
	pic->output = output;
	status = region_attach(
		machine, &pic->regions[0], "pic0", BUS_PORT, master, 2, 1, pic_access_master, pic);
	if (status == STATUS_OK)
		status = region_attach(machine, &pic->regions[1], "pic1", BUS_PORT, slave, 2, 1,
			pic_access_slave, pic);
	if (status == STATUS_OK)
		status = region_attach(machine, &pic->regions[2], "elcr", BUS_PORT, elcr, 2, 1,
			pic_access_elcr, pic);
	if (status == STATUS_OK)
		device_attach(machine, &pic->device, &pic_ops, "pic", pic);
	return status;
}
