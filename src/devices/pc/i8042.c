/* SPDX-License-Identifier: MIT */
#include "devices/pc/i8042.h"
#include "base/memory.h"
#include "devices/region.h"

enum i8042_status {
	STATUS_OUTPUT_FULL = 1 << 0,
	STATUS_SYSTEM = 1 << 2,	 /* self-test passed */
	STATUS_COMMAND = 1 << 3, /* the last write was a command */
	STATUS_UNLOCKED = 1 << 4,
	STATUS_FROM_MOUSE = 1 << 5,
	STATUS_TIMEOUT = 1 << 6,
};
enum command_byte {
	COMMAND_KEYBOARD_IRQ = 1 << 0,
	COMMAND_MOUSE_IRQ = 1 << 1,
	COMMAND_SYSTEM = 1 << 2,
	COMMAND_KEYBOARD_OFF = 1 << 4,
	COMMAND_MOUSE_OFF = 1 << 5,
	COMMAND_TRANSLATE = 1 << 6,
};
enum output_port { OUTPUT_NOT_RESET = 1 << 0, OUTPUT_A20 = 1 << 1 };
enum i8042_command {
	READ_RAM = 0x20,  /* to 0x3f */
	WRITE_RAM = 0x60, /* to 0x7f */
	MOUSE_DISABLE = 0xa7,
	MOUSE_ENABLE = 0xa8,
	MOUSE_TEST = 0xa9,
	SELF_TEST = 0xaa,
	KEYBOARD_TEST = 0xab,
	KEYBOARD_DISABLE = 0xad,
	KEYBOARD_ENABLE = 0xae,
	READ_INPUT_PORT = 0xc0,
	READ_OUTPUT_PORT = 0xd0,
	WRITE_OUTPUT_PORT = 0xd1,
	WRITE_KEYBOARD_BUFFER = 0xd2,
	WRITE_MOUSE_BUFFER = 0xd3,
	WRITE_MOUSE = 0xd4,
	A20_DISABLE = 0xdd,
	A20_ENABLE = 0xdf,
	PULSE_OUTPUT = 0xf0, /* to 0xff: the zeros of bits 3-0 are pulsed low */
};

#define SELF_TEST_PASSED 0x55
#define TEST_PASSED 0x00
#define TEST_CLOCK_LOW 0x01 /* what an interface says that is not there */
#define RESEND 0xfe	    /* with STATUS_TIMEOUT: the device does not answer */

static void i8042_update(struct i8042 *i8042)
{
	bool is_full = i8042->status & STATUS_OUTPUT_FULL;
	bool from_mouse = i8042->status & STATUS_FROM_MOUSE;

	irq_set(&i8042->keyboard_irq,
		is_full && !from_mouse && i8042->ram[0] & COMMAND_KEYBOARD_IRQ);
	irq_set(&i8042->mouse_irq, is_full && from_mouse && i8042->ram[0] & COMMAND_MOUSE_IRQ);
}

static void answer(struct i8042 *i8042, u8 value, u8 status)
{
	i8042->output = value;
	i8042->status &= STATUS_SYSTEM | STATUS_COMMAND;
	i8042->status |= STATUS_OUTPUT_FULL | status;
}

static void output_port_write(struct i8042 *i8042, u8 value)
{
	i8042->output_port = value | OUTPUT_NOT_RESET;
	if (!(value & OUTPUT_NOT_RESET))
		machine_request_reset(i8042->device.machine);
}

static void command_write(struct i8042 *i8042, u8 command)
{
	i8042->status |= STATUS_COMMAND;
	i8042->command = 0;
	switch (command) {
	case READ_RAM ... READ_RAM + I8042_RAM_BYTES - 1:
		answer(i8042, i8042->ram[command & (I8042_RAM_BYTES - 1)], 0);
		break;
	case WRITE_RAM ... WRITE_RAM + I8042_RAM_BYTES - 1:
	case WRITE_OUTPUT_PORT ... WRITE_MOUSE:
		i8042->command = command;
		break;
	case MOUSE_DISABLE:
		i8042->ram[0] |= COMMAND_MOUSE_OFF;
		break;
	case MOUSE_ENABLE:
		i8042->ram[0] &= (u8)~COMMAND_MOUSE_OFF;
		break;
	case MOUSE_TEST:
		answer(i8042, TEST_CLOCK_LOW, 0);
		break;
	case SELF_TEST:
		i8042->status |= STATUS_SYSTEM;
		answer(i8042, SELF_TEST_PASSED, 0);
		break;
	case KEYBOARD_TEST:
		answer(i8042, TEST_PASSED, 0);
		break;
	case KEYBOARD_DISABLE:
		i8042->ram[0] |= COMMAND_KEYBOARD_OFF;
		break;
	case KEYBOARD_ENABLE:
		i8042->ram[0] &= (u8)~COMMAND_KEYBOARD_OFF;
		break;
	case READ_INPUT_PORT:
		answer(i8042, 0x80, 0); /* keyboard not locked */
		break;
	case READ_OUTPUT_PORT:
		answer(i8042, i8042->output_port, 0);
		break;
	case A20_DISABLE: /* kept, but memory is never masked */
		i8042->output_port &= (u8)~OUTPUT_A20;
		break;
	case A20_ENABLE:
		i8042->output_port |= OUTPUT_A20;
		break;
	case PULSE_OUTPUT ... 0xff:
		if (!(command & OUTPUT_NOT_RESET))
			machine_request_reset(i8042->device.machine);
		break;
	}
}

/* The byte that a command waits for; without one it is the keyboard's, which is not there. */
static void data_write(struct i8042 *i8042, u8 value)
{
	u8 command = i8042->command;

	i8042->status &= (u8)~STATUS_COMMAND;
	i8042->command = 0;
	switch (command) {
	case WRITE_RAM ... WRITE_RAM + I8042_RAM_BYTES - 1:
		i8042->ram[command & (I8042_RAM_BYTES - 1)] = value;
		if (command == WRITE_RAM)
			i8042->status =
				(u8)((i8042->status & ~STATUS_SYSTEM) | (value & STATUS_SYSTEM));
		break;
	case WRITE_OUTPUT_PORT:
		output_port_write(i8042, value);
		break;
	case WRITE_KEYBOARD_BUFFER:
		answer(i8042, value, 0);
		break;
	case WRITE_MOUSE_BUFFER: /* without a mouse's interface nothing comes back from it */
		answer(i8042, RESEND, STATUS_TIMEOUT);
		break;
	case WRITE_MOUSE:
		answer(i8042, RESEND, STATUS_FROM_MOUSE | STATUS_TIMEOUT);
		break;
	default:
		answer(i8042, RESEND, STATUS_TIMEOUT);
	}
}

static void i8042_access_data(void *owner, struct bus_access *access)
{
	struct i8042 *i8042 = owner;

	if (access->is_write) {
		data_write(i8042, (u8)access->value);
	} else {
		access->value = i8042->output;
		i8042->status &= STATUS_SYSTEM | STATUS_COMMAND;
	}
	i8042_update(i8042);
}

static void i8042_access_command(void *owner, struct bus_access *access)
{
	struct i8042 *i8042 = owner;

	if (access->is_write)
		command_write(i8042, (u8)access->value);
	else
		access->value = i8042->status | STATUS_UNLOCKED;
	i8042_update(i8042);
}

static void i8042_reset(struct device *device)
{
	struct i8042 *i8042 = container_of(device, struct i8042, device);

	memset(i8042->ram, 0, sizeof(i8042->ram));
	/* As firmware leaves it. */
	i8042->ram[0] = COMMAND_SYSTEM | COMMAND_TRANSLATE | COMMAND_MOUSE_OFF;
	i8042->status = STATUS_SYSTEM;
	i8042->output = 0;
	i8042->output_port = OUTPUT_NOT_RESET | OUTPUT_A20;
	i8042->command = 0;
	i8042_update(i8042);
}

static const struct state_field i8042_fields[] = {
	STATE_BLOB(struct i8042, ram),
	STATE_UINT(struct i8042, status),
	STATE_UINT(struct i8042, output),
	STATE_UINT(struct i8042, output_port),
	STATE_UINT(struct i8042, command),
};
static const struct state_table i8042_state = STATE_TABLE("i8042", 1, i8042_fields, NULL);
static const struct device_ops i8042_ops = {"i8042", i8042_reset, &i8042_state};

enum status i8042_init(struct i8042 *i8042, struct machine *machine, u16 data, u16 command,
	struct irq keyboard_irq, struct irq mouse_irq)
{
	memset(i8042, 0, sizeof(*i8042));
	i8042->keyboard_irq = keyboard_irq;
	i8042->mouse_irq = mouse_irq;
	enum status status = region_attach(machine, &i8042->regions[0], "i8042-data", BUS_PORT,
		data, 1, 1, i8042_access_data, i8042);
	if (status == STATUS_OK)
		status = region_attach(machine, &i8042->regions[1], "i8042-command", BUS_PORT,
			command, 1, 1, i8042_access_command, i8042);
	if (status == STATUS_OK)
		device_attach(machine, &i8042->device, &i8042_ops, "i8042", i8042);
	return status;
}
