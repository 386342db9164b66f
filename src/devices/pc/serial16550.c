/* SPDX-License-Identifier: MIT */
#include "devices/pc/serial16550.h"
#include "base/memory.h"
#include "devices/region.h"

/* Registers by port. */
enum serial_port {
	PORT_DATA,
	PORT_IER,
	PORT_IIR_FCR,
	PORT_LCR,
	PORT_MCR,
	PORT_LSR,
	PORT_MSR,
	PORT_SCRATCH
};

enum ier { IER_RECEIVED = 1 << 0, IER_THRE = 1 << 1, IER_LINE = 1 << 2, IER_MODEM = 1 << 3 };
enum iir {
	IIR_MODEM = 0x0,
	IIR_NONE = 0x1,
	IIR_THRE = 0x2,
	IIR_RECEIVED = 0x4,
	IIR_LINE = 0x6,
	IIR_TIMEOUT = 0xc,
	IIR_FIFOS = 0xc0,
};
enum fcr { FCR_ENABLE = 1 << 0, FCR_CLEAR_RECEIVE = 1 << 1, FCR_CLEAR_TRANSMIT = 1 << 2 };
enum lcr { LCR_BREAK = 1 << 6, LCR_DLAB = 1 << 7 };
enum mcr {
	MCR_DTR = 1 << 0,
	MCR_RTS = 1 << 1,
	MCR_OUT1 = 1 << 2,
	MCR_OUT2 = 1 << 3, /* on PCs: lets the interrupt through */
	MCR_LOOP = 1 << 4,
};
enum lsr {
	LSR_DATA_READY = 1 << 0,
	LSR_OVERRUN = 1 << 1,
	LSR_BREAK = 1 << 4,
	LSR_THRE = 1 << 5,
	LSR_EMPTY = 1 << 6,
};
enum msr {
	MSR_TERI = 1 << 2,
	MSR_CTS = 1 << 4,
	MSR_DSR = 1 << 5,
	MSR_RI = 1 << 6,
	MSR_DCD = 1 << 7
};

/*
 * A driver that opens the port clears the FIFOs and throws away one byte. Input that people typed (or piped) before that must
 * not be lost, so bytes from the console are then as if still on the line, and arrive this much later.
 */
#define ARRIVAL_DELAY_NS 1000000

static unsigned fifo_capacity(const struct serial16550 *serial)
{
	return serial->fcr & FCR_ENABLE ? SERIAL_FIFO_BYTES : 1;
}

static u8 fifo_pop(struct serial_fifo *fifo, unsigned count)
{
	u8 first = fifo->bytes[0];

	fifo->count -= (u8)count;
	memmove(fifo->bytes, fifo->bytes + count, fifo->count);
	return first;
}

static unsigned received_count(const struct serial16550 *serial)
{
	return event_is_set(&serial->arrival) ? 0 : serial->receive.count;
}

static u8 line_status(const struct serial16550 *serial)
{
	u8 lsr = serial->errors;

	if (received_count(serial))
		lsr |= LSR_DATA_READY;
	if (!serial->transmit.count)
		lsr |= LSR_THRE | LSR_EMPTY;
	return lsr;
}

/* In loop mode the outputs are the inputs: data sheet, MCR bit 4. Otherwise a terminal is there, and ready. */
static u8 modem_lines(const struct serial16550 *serial)
{
	u8 mcr = serial->mcr;

	if (!(mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
		(mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static u8 interrupt_identity(const struct serial16550 *serial)
{
	static const u8 triggers[4] = {1, 4, 8, 14};
	unsigned received = received_count(serial);

	if (serial->ier & IER_LINE && serial->errors)
		return IIR_LINE;
	if (serial->ier & IER_RECEIVED && received) {
		/* The timeout of four characters' time has always passed: nothing else comes on its own. */
		bool reached =
			!(serial->fcr & FCR_ENABLE) || received >= triggers[serial->fcr >> 6];
		return reached ? IIR_RECEIVED : IIR_TIMEOUT;
	}
	if (serial->ier & IER_THRE && serial->thre_pending)
		return IIR_THRE;
	if (serial->ier & IER_MODEM && serial->modem_changes)
		return IIR_MODEM;
	return IIR_NONE;
}

static void serial_update(struct serial16550 *serial)
{
	bool is_let_through = serial->mcr & MCR_OUT2 && !(serial->mcr & MCR_LOOP);

	irq_set(&serial->irq, is_let_through && interrupt_identity(serial) != IIR_NONE);
}

/* ---- transmit ---- */

static void transmit_flush(struct serial16550 *serial)
{
	struct serial_fifo *fifo = &serial->transmit;
	const struct console_backend *backend = &serial->backend;
	size_t taken = fifo->count;

	if (!fifo->count)
		return;
	if (backend->write)
		taken = backend->write(backend->context, fifo->bytes, fifo->count);
	fifo_pop(fifo, (unsigned)MIN(taken, fifo->count));
	if (!fifo->count)
		serial->thre_pending = true;
}

static void receive_in_loop(struct serial16550 *serial, u8 value)
{
	struct serial_fifo *fifo = &serial->receive;

	if (fifo->count < fifo_capacity(serial))
		fifo->bytes[fifo->count++] = value;
	else
		serial->errors |= LSR_OVERRUN;
}

static void transmit_byte(struct serial16550 *serial, u8 value)
{
	struct serial_fifo *fifo = &serial->transmit;

	serial->thre_pending = false;
	serial_update(serial); /* so that the next "empty" is an edge */
	if (serial->mcr & MCR_LOOP) {
		receive_in_loop(serial, value);
		serial->thre_pending = true;
		return;
	}
	if (fifo->count ==
		SERIAL_FIFO_BYTES) { /* written though THRE was down: the chip overwrites */
		fifo->bytes[SERIAL_FIFO_BYTES - 1] = value;
		return;
	}
	fifo->bytes[fifo->count++] = value;
	transmit_flush(serial);
}

static void serial_writable(void *device)
{
	struct serial16550 *serial = device;

	transmit_flush(serial);
	serial_update(serial);
}

/* ---- receive ---- */

static size_t serial_receive(void *device, const u8 *from, size_t bytes)
{
	struct serial16550 *serial = device;
	struct serial_fifo *fifo = &serial->receive;
	unsigned capacity = fifo_capacity(serial);
	size_t taken = 0;

	if (serial->mcr & MCR_LOOP) /* the line is disconnected */
		capacity = 0;
	while (taken < bytes && fifo->count < capacity)
		fifo->bytes[fifo->count++] = from[taken++];
	serial->has_refused = taken < bytes;
	serial_update(serial);
	return taken;
}

/* To be called whenever there may be room again. */
static void resume_input(struct serial16550 *serial)
{
	if (!serial->has_refused || !serial->backend.resume_input || serial->mcr & MCR_LOOP ||
		serial->receive.count >= fifo_capacity(serial))
		return;
	serial->has_refused = false;
	serial->backend.resume_input(serial->backend.context);
}

static void serial_arrival(void *owner)
{
	serial_update(owner);
}

static u8 receive_byte(struct serial16550 *serial)
{
	u8 value = 0;

	if (received_count(serial))
		value = fifo_pop(&serial->receive, 1);
	resume_input(serial);
	return value;
}

/* ---- registers ---- */

static void clear_receive(struct serial16550 *serial)
{
	serial->errors = 0;
	if (serial->mcr & MCR_LOOP)
		serial->receive.count = 0;
	else if (serial->receive.count)
		event_set(&serial->arrival,
			clock_now_ns(&serial->device.machine->clock) + ARRIVAL_DELAY_NS);
}

static void fcr_write(struct serial16550 *serial, u8 value)
{
	bool is_toggled = (serial->fcr ^ value) & FCR_ENABLE;

	if (!(value & FCR_ENABLE))
		value = 0; /* the other bits count only together with it */
	serial->fcr = value & (u8) ~(FCR_CLEAR_RECEIVE | FCR_CLEAR_TRANSMIT);
	if (is_toggled || value & FCR_CLEAR_RECEIVE)
		clear_receive(serial);
	/* Output waits for the console only; a FIFO reset does not lose it. */
	resume_input(serial);
}

static void ier_write(struct serial16550 *serial, u8 value)
{
	bool is_enabled = value & IER_THRE && !(serial->ier & IER_THRE);

	serial->ier = value & 0xf;
	if (is_enabled && !serial->transmit.count)
		serial->thre_pending = true;
}

static void modem_update(struct serial16550 *serial)
{
	u8 lines = modem_lines(serial), changed = lines ^ serial->modem_lines;

	serial->modem_changes |= changed >> 4 & (u8)~MSR_TERI;
	if (changed & MSR_RI && !(lines & MSR_RI)) /* RI tells of its trailing edge only */
		serial->modem_changes |= MSR_TERI;
	serial->modem_lines = lines;
}

static void mcr_write(struct serial16550 *serial, u8 value)
{
	serial->mcr = value & 0x1f;
	modem_update(serial);
	resume_input(serial);
}

static void lcr_write(struct serial16550 *serial, u8 value)
{
	/* A break in loop mode comes back as one: a zero byte with the break bit. */
	if (value & LCR_BREAK && !(serial->lcr & LCR_BREAK) && serial->mcr & MCR_LOOP) {
		receive_in_loop(serial, 0);
		serial->errors |= LSR_BREAK;
	}
	serial->lcr = value;
}

static void port_write(struct serial16550 *serial, unsigned port, u8 value)
{
	bool is_latch = serial->lcr & LCR_DLAB;

	switch (port) {
	case PORT_DATA:
		if (is_latch)
			serial->divisor = (u16)((serial->divisor & 0xff00) | value);
		else
			transmit_byte(serial, value);
		break;
	case PORT_IER:
		if (is_latch)
			serial->divisor = (u16)((serial->divisor & 0xff) | value << 8);
		else
			ier_write(serial, value);
		break;
	case PORT_IIR_FCR:
		fcr_write(serial, value);
		break;
	case PORT_LCR:
		lcr_write(serial, value);
		break;
	case PORT_MCR:
		mcr_write(serial, value);
		break;
	case PORT_SCRATCH:
		serial->scratch = value;
		break;
	}
}

static u8 port_read(struct serial16550 *serial, unsigned port)
{
	bool is_latch = serial->lcr & LCR_DLAB;
	u8 value;

	switch (port) {
	case PORT_DATA:
		return is_latch ? (u8)serial->divisor : receive_byte(serial);
	case PORT_IER:
		return is_latch ? (u8)(serial->divisor >> 8) : serial->ier;
	case PORT_IIR_FCR:
		value = interrupt_identity(serial);
		if (value == IIR_THRE)
			serial->thre_pending = false;
		return value | (serial->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
	case PORT_LCR:
		return serial->lcr;
	case PORT_MCR:
		return serial->mcr;
	case PORT_LSR:
		value = line_status(serial);
		serial->errors = 0;
		return value;
	case PORT_MSR:
		value = serial->modem_lines | serial->modem_changes;
		serial->modem_changes = 0;
		return value;
	default:
		return serial->scratch;
	}
}

static void serial_access(void *owner, struct bus_access *access)
{
	struct serial16550 *serial = owner;

	if (access->is_write)
		port_write(serial, access->address & 7, (u8)access->value);
	else
		access->value = port_read(serial, access->address & 7);
	serial_update(serial);
}

/* ---- reset, state, creation ---- */

/* Data sheet, table III. What waits for the console stays: it was sent before. */
static void serial_reset(struct device *device)
{
	struct serial16550 *serial = container_of(device, struct serial16550, device);

	serial->ier = serial->fcr = serial->lcr = serial->mcr = serial->scratch = 0;
	serial->errors = serial->modem_changes = 0;
	serial->modem_lines = modem_lines(serial);
	serial->divisor = 12; /* 9600 baud, as firmware leaves it */
	serial->thre_pending = false;
	event_cancel(&serial->arrival);
	irq_lower(&serial->irq);
	resume_input(serial);
}

static bool serial_loaded(void *object)
{
	struct serial16550 *serial = object;

	serial->has_refused = true; /* the console is another one: it is asked once too often */
	return serial->receive.count <= SERIAL_FIFO_BYTES &&
		serial->transmit.count <= SERIAL_FIFO_BYTES;
}

static const struct state_field serial_fields[] = {
	STATE_BLOB(struct serial16550, receive.bytes),
	STATE_UINT(struct serial16550, receive.count),
	STATE_BLOB(struct serial16550, transmit.bytes),
	STATE_UINT(struct serial16550, transmit.count),
	STATE_UINT(struct serial16550, ier),
	STATE_UINT(struct serial16550, fcr),
	STATE_UINT(struct serial16550, lcr),
	STATE_UINT(struct serial16550, mcr),
	STATE_UINT(struct serial16550, scratch),
	STATE_UINT(struct serial16550, errors),
	STATE_UINT(struct serial16550, modem_changes),
	STATE_UINT(struct serial16550, modem_lines),
	STATE_UINT(struct serial16550, divisor),
	STATE_FLAG(struct serial16550, thre_pending),
	STATE_TIMER(struct serial16550, arrival),
};
static const struct state_table serial_state =
	STATE_TABLE("serial16550", 1, serial_fields, serial_loaded);
static const struct device_ops serial_ops = {"serial16550", serial_reset, &serial_state};

enum status serial16550_init(struct serial16550 *serial, struct machine *machine, const char *name,
	u16 base, struct irq irq, const struct console_backend *backend)
{
	memset(serial, 0, sizeof(*serial));
	serial->irq = irq;
	serial->backend = *backend;
	enum status status = region_attach(
		machine, &serial->region, name, BUS_PORT, base, 8, 1, serial_access, serial);
	if (status != STATUS_OK)
		return status;
	event_init(&serial->arrival, machine, serial_arrival, serial);
	device_attach(machine, &serial->device, &serial_ops, name, serial);
	return STATUS_OK;
}

struct console_device serial16550_console(struct serial16550 *serial)
{
	return (struct console_device){serial_receive, serial_writable, serial};
}
