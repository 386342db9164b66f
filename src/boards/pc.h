/* SPDX-License-Identifier: MIT */
/*
 * The PC board: which devices there are, where, and how they are wired. The only place with addresses and interrupt numbers.
 */
#ifndef BOARDS_PC_H
#define BOARDS_PC_H

#include "boot/acpi/acpi.h"
#include "core/machine.h"
#include "devices/backend/block.h"
#include "devices/backend/console.h"
#include "devices/backend/net.h"
#include "devices/backend/panic.h"
#include "devices/backend/vhost.h"
#include "devices/backend/vsock.h"

enum pc_port {
	PC_PORT_PIC_MASTER = 0x20,
	PC_PORT_PIT = 0x40,
	PC_PORT_I8042_DATA = 0x60,
	PC_PORT_SPEAKER = 0x61,
	PC_PORT_I8042_COMMAND = 0x64,
	PC_PORT_RTC = 0x70,
	PC_PORT_POST = 0x80,
	PC_PORT_SYSTEM_CONTROL = 0x92,
	PC_PORT_PIC_SLAVE = 0xa0,
	PC_PORT_EXIT = 0xf4,
	PC_PORT_SERIAL0 = 0x3f8,
	PC_PORT_ELCR = 0x4d0,
	PC_PORT_PVPANIC = 0x505,
	PC_PORT_PM = 0x600,
	PC_PORT_PM1_EVENT = PC_PORT_PM,
	PC_PORT_PM1_CONTROL = PC_PORT_PM + 4,
	PC_PORT_PM_TIMER = PC_PORT_PM + 8,
	PC_PORT_GPE0 = PC_PORT_PM + 0x20,
	PC_PORT_PCI_CONFIG = 0xcf8,
	PC_PORT_RESET = 0xcf9,
};

#define PC_GPE0_BYTES 16
#define PC_RESET_VALUE 0x06
#define PC_S5_SLEEP_TYPE 5

/* ISA interrupts: the 8259 pair's inputs, and the I/O APIC's pins, but for the timer, which is on pin 2 there. */
enum pc_irq {
	PC_IRQ_TIMER = 0,
	PC_IRQ_KEYBOARD = 1,
	PC_IRQ_SERIAL0 = 4,
	PC_IRQ_PCI_0 = 5, /* the PCI bus's four wires, level */
	PC_IRQ_RTC = 8,
	PC_IRQ_SCI = 9,
	PC_IRQ_PCI_1 = 10,
	PC_IRQ_PCI_2 = 11,
	PC_IRQ_MOUSE = 12,
	PC_IRQ_FPU = 13,
	PC_IRQ_PCI_3 = 15,
	PC_IRQS = 16,
	PC_IOAPIC_TIMER_PIN = 2,
};

#define PC_PCI_WINDOW 0xc0000000
#define PC_PCI_WINDOW_BYTES 0x20000000
#define PC_PCI_ECAM 0xe0000000

enum pc_pci_slot {
	PC_SLOT_BRIDGE = 0,
	PC_SLOT_ENTROPY = 1,
	PC_SLOT_BALLOON = 2,
	PC_SLOT_CONSOLE = 3,
	PC_SLOT_NETS = 4,
	PC_SLOT_DISKS = 8,
	PC_SLOT_VSOCK = 24,
	PC_SLOT_SHARE = 25,
};
#define PC_NETS_MAX 4
#define PC_DISKS_MAX 16

#define PC_LAPIC_ADDRESS 0xfee00000
#define PC_IOAPIC_ADDRESS 0xfec00000
#define PC_IOAPIC_ID 0

/* A device that another process does the work of. */
struct pc_vhost {
	struct vhost_backend *backend; /* lives as long as the board; NULL: there is none */
	struct vhost_device *device;   /* filled by pc_create */
};

struct pc_disk {
	struct block_backend *backend; /* lives as long as the board; NULL: vhost has it */
	const char *serial;	       /* at most 20 letters; may be empty */
	struct pc_vhost vhost;
};

struct pc_net {
	struct net_backend *backend; /* lives as long as the board */
	struct net_device *device;   /* filled by pc_create */
	u8 address[NET_ADDRESS_BYTES];
};

struct pc_vsock {
	struct vsock_backend
		*backend;	     /* lives as long as the board; NULL: there is no such device */
	struct vsock_device *device; /* filled by pc_create */
};

/* What the devices have counted since the start, all disks and all cards together; and the guest's memory as it last told. */
struct pc_counts {
	u64 disk_reads, disk_read_bytes, disk_writes, disk_written_bytes;
	u64 net_received_frames, net_received_bytes, net_sent_frames, net_sent_bytes,
		net_dropped_frames;
	u64 guest_total_bytes, guest_free_bytes, guest_available_bytes; /* ~0: never told */
};

struct pc_parameters {
	/* Where the console's output goes; write NULL: nowhere. Copied. */
	struct console_backend console;
	bool console_is_virtio;	    /* a virtio console is it, not serial0 */
	struct panic_backend panic; /* copied */
	/* The guest has told of its memory, as pc_ask_guest wanted it to. With the machine's lock held. NULL: nobody is told. */
	void (*guest_told)(void *context);
	bool has_exit_port;
	const struct pc_disk *disks; /* read by pc_create only */
	const struct pc_net *nets;   /* at most PC_NETS_MAX; read by pc_create only */
	unsigned net_count;
	struct pc_vsock vsock;
	struct pc_vhost share; /* a folder of the host's: virtio-fs */
	unsigned disk_count;   /* at most PC_DISKS_MAX */
	/*
	 * After all is in its power-on state, at the start and at each reset: puts the boot images into RAM and sets the first
	 * vCPU's registers. False: it cannot, and has said why; the machine ends with MACHINE_FAULT. NULL: nothing to load.
	 */
	bool (*load_boot)(struct machine *machine, void *context);
	void *context;
};

/*
 * Makes the board's devices, and sets machine->reset and machine->board. *console is what the console's input is given to.
 * The machine has its vCPUs, and has not run; machine->reset is to be called before it does. After a failure nothing is left behind
 * but the machine must not be used.
 */
enum status pc_create(struct machine *machine, const struct pc_parameters *parameters,
	struct console_device *console) must_use;
/* Before machine_fini, which no longer knows the devices. */
void pc_destroy(struct machine *machine);
/*
 * Returns once the backends have nothing in flight, while all vCPUs stand still: before the machine is saved, or ends. Without
 * machine->lock. (A reset does it by itself.)
 */
void pc_drain(struct machine *machine);
/* From any thread. */
void pc_power_button(struct machine *machine);
/* With machine->lock held. */
void pc_count(struct machine *machine, struct pc_counts *counts);
/* Asks the guest of its memory. False: it has nobody who would tell. With machine->lock held. */
bool pc_ask_guest(struct machine *machine);
/* What the ACPI tables are to say of this board. */
struct acpi_platform pc_acpi_platform(const struct machine *machine);

#endif
