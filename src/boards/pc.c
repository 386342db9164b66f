/* SPDX-License-Identifier: MIT */
#include "boards/pc.h"
#include "base/memory.h"
#include "devices/irqchip/ioapic.h"
#include "devices/irqchip/lapic.h"
#include "devices/irqchip/pic8259.h"
#include "devices/pc/acpi_pm.h"
#include "devices/pc/exit_port.h"
#include "devices/pc/i8042.h"
#include "devices/pc/pit8254.h"
#include "devices/pc/post_port.h"
#include "devices/pc/pvclock.h"
#include "devices/pc/pvpanic.h"
#include "devices/pc/reset_port.h"
#include "devices/pc/rtc.h"
#include "devices/pc/serial16550.h"
#include "devices/pci/host_bridge.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/block.h"
#include "devices/virtio/console.h"
#include "devices/virtio/entropy.h"
#include "devices/virtio/net.h"
#include "devices/virtio/vhost.h"
#include "devices/virtio/vsock.h"

struct pc {
	struct pc_parameters parameters;
	struct lapics lapics;
	struct ioapic ioapic;
	struct pic8259 pic;
	struct pit8254 pit;
	struct rtc rtc;
	struct i8042 i8042;
	struct acpi_pm pm;
	struct reset_port reset_port;
	struct pci_bus pci;
	struct pci_host_bridge host_bridge;
	struct post_port post_port;
	struct exit_port exit_port;
	struct pvpanic pvpanic;
	struct serial16550 serial0;
	struct pvclock pvclock;
	struct virtio_entropy entropy;
	struct virtio_balloon balloon;
	struct virtio_console console;
	struct virtio_net *nets[PC_NETS_MAX];
	struct virtio_block *disks[PC_DISKS_MAX];
	struct virtio_vsock *vsock;
	/* One a disk's slot, in place of the disk; the last one is the share. */
	struct virtio_vhost *vhosts[PC_DISKS_MAX + 1];
};

/* ---- wires ---- */

/* An ISA interrupt goes to both controllers; kernels mask what they do not use. */
static void isa_irq_set(void *owner, unsigned line, bool level)
{
	struct pc *pc = owner;

	pic8259_set_line(&pc->pic, line, level);
	ioapic_set_line(&pc->ioapic, line == PC_IRQ_TIMER ? PC_IOAPIC_TIMER_PIN : line, level);
}

static struct irq isa_irq(struct pc *pc, enum pc_irq line)
{
	return (struct irq){isa_irq_set, pc, line};
}

/* The 8259's INT is LINT0 of every processor, and pin 0 of the I/O APIC. */
static void pic_output_set(void *owner, unsigned line, bool level)
{
	struct pc *pc = owner;

	lapics_set_lint(&pc->lapics, 0, level);
	ioapic_set_line(&pc->ioapic, 0, level);
}

static const enum pc_irq pci_irqs[PCI_PINS] = {
	PC_IRQ_PCI_0, PC_IRQ_PCI_1, PC_IRQ_PCI_2, PC_IRQ_PCI_3};

/* Other addresses are RAM's or nobody's: no driver puts a message there. */
static void pci_message_send(void *owner, u64 address, u32 data)
{
	struct pc *pc = owner;
	struct apic_message message = apic_message_from_msi(address, data);

	if (address >> 20 == PC_LAPIC_ADDRESS >> 20)
		lapics_send(&pc->lapics, &message);
}

/* ---- creation ---- */

/* Controllers first: they are reset before the wires that end at them are let down. */
static enum status create_controllers(struct pc *pc, struct machine *machine)
{
	struct apic_port port = {lapics_send, &pc->lapics};
	struct irq pic_output = {pic_output_set, pc, 0};

	enum status status = lapics_init(&pc->lapics, machine);
	if (status != STATUS_OK)
		return status;
	pc->lapics.extint_acknowledge = pic8259_acknowledge;
	pc->lapics.extint_owner = &pc->pic;
	pc->lapics.end_of_interrupt = ioapic_end_of_interrupt;
	pc->lapics.end_of_interrupt_owner = &pc->ioapic;
	status = ioapic_init(&pc->ioapic, machine, PC_IOAPIC_ADDRESS, PC_IOAPIC_ID, port);
	if (status != STATUS_OK)
		return status;
	return pic8259_init(
		&pc->pic, machine, PC_PORT_PIC_MASTER, PC_PORT_PIC_SLAVE, PC_PORT_ELCR, pic_output);
}

static enum status create_clocks(struct pc *pc, struct machine *machine)
{
	const struct memory *memory = &machine->memory;

	enum status status = pit8254_init(
		&pc->pit, machine, PC_PORT_PIT, PC_PORT_SPEAKER, isa_irq(pc, PC_IRQ_TIMER));
	if (status == STATUS_OK)
		status = rtc_init(&pc->rtc, machine, PC_PORT_RTC, isa_irq(pc, PC_IRQ_RTC),
			memory->low_bytes, memory->bytes - memory->low_bytes);
	if (status == STATUS_OK)
		status = acpi_pm_init(
			&pc->pm, machine, PC_PORT_PM, PC_S5_SLEEP_TYPE, isa_irq(pc, PC_IRQ_SCI));
	if (status == STATUS_OK)
		status = pvclock_init(&pc->pvclock, machine);
	return status;
}

static enum status create_ports(struct pc *pc, struct machine *machine)
{
	static const struct console_backend nowhere;
	enum status status = i8042_init(&pc->i8042, machine, PC_PORT_I8042_DATA,
		PC_PORT_I8042_COMMAND, isa_irq(pc, PC_IRQ_KEYBOARD), isa_irq(pc, PC_IRQ_MOUSE));
	if (status == STATUS_OK)
		status = reset_port_init(&pc->reset_port, machine, PC_PORT_SYSTEM_CONTROL);
	if (status == STATUS_OK)
		status = post_port_init(&pc->post_port, machine, PC_PORT_POST);
	if (status == STATUS_OK)
		status =
			pvpanic_init(&pc->pvpanic, machine, PC_PORT_PVPANIC, &pc->parameters.panic);
	if (status == STATUS_OK && pc->parameters.has_exit_port)
		status = exit_port_init(&pc->exit_port, machine, PC_PORT_EXIT);
	if (status == STATUS_OK)
		status = serial16550_init(&pc->serial0, machine, "serial0", PC_PORT_SERIAL0,
			isa_irq(pc, PC_IRQ_SERIAL0),
			pc->parameters.console_is_virtio ? &nowhere : &pc->parameters.console);
	return status;
}

static enum status create_pci(struct pc *pc, struct machine *machine)
{
	struct pci_msi_port messages = {pci_message_send, pc};
	struct irq wires[PCI_PINS];

	for (unsigned i = 0; i < PCI_PINS; i++)
		wires[i] = isa_irq(pc, pci_irqs[i]);
	enum status status = pci_bus_init(
		&pc->pci, machine, PC_PCI_WINDOW, PC_PCI_WINDOW_BYTES, wires, messages);
	if (status == STATUS_OK)
		status = pci_host_bridge_init(
			&pc->host_bridge, machine, &pc->pci, PC_PORT_PCI_CONFIG, PC_PCI_ECAM);
	return status;
}

static struct virtio_parameters in_slot(struct pc *pc, unsigned slot, const char *name)
{
	return (struct virtio_parameters){
		.bus = &pc->pci,
		.slot = slot,
		.interrupt_line = (u8)pci_irqs[pci_bus_wire(slot, 0)],
		.name = name,
	};
}

static enum status create_vhost(struct pc *pc, const struct pc_vhost *vhost, unsigned index,
	struct virtio_parameters *common, enum virtio_type type)
{
	pc->vhosts[index] = host_memory_get(sizeof(struct virtio_vhost));
	if (!pc->vhosts[index])
		return STATUS_NO_MEMORY;
	*vhost->device = virtio_vhost_device(pc->vhosts[index]);
	return virtio_vhost_init(pc->vhosts[index], common, type, vhost->backend);
}

static enum status create_share(struct pc *pc, const struct pc_vhost *vhost)
{
	struct virtio_parameters common = in_slot(pc, PC_SLOT_SHARE, "share");

	return create_vhost(pc, vhost, PC_DISKS_MAX, &common, VIRTIO_FS);
}

static enum status create_disk(struct pc *pc, const struct pc_disk *disk, unsigned index)
{
	static const char *const names[PC_DISKS_MAX] = {"disk0", "disk1", "disk2", "disk3", "disk4",
		"disk5", "disk6", "disk7", "disk8", "disk9", "disk10", "disk11", "disk12", "disk13",
		"disk14", "disk15"};
	struct virtio_parameters common = in_slot(pc, PC_SLOT_DISKS + index, names[index]);
	struct virtio_block_parameters parameters = {
		.backend = disk->backend,
		.serial = disk->serial,
		.queues = pc->pci.machine->vcpu_count,
	};

	if (disk->vhost.backend)
		return create_vhost(pc, &disk->vhost, index, &common, VIRTIO_BLOCK);
	pc->disks[index] = host_memory_get(sizeof(struct virtio_block));
	if (!pc->disks[index])
		return STATUS_NO_MEMORY;
	return virtio_block_init(pc->disks[index], &common, &parameters);
}

static enum status create_net(struct pc *pc, const struct pc_net *net, unsigned index)
{
	static const char *const names[PC_NETS_MAX] = {"net0", "net1", "net2", "net3"};
	struct virtio_parameters common = in_slot(pc, PC_SLOT_NETS + index, names[index]);
	struct virtio_net_parameters parameters = {
		.backend = net->backend, .pairs = pc->pci.machine->vcpu_count};

	memcpy(parameters.address, net->address, sizeof(parameters.address));
	pc->nets[index] = host_memory_get(sizeof(struct virtio_net));
	if (!pc->nets[index])
		return STATUS_NO_MEMORY;
	*net->device = virtio_net_device(pc->nets[index]);
	return virtio_net_init(pc->nets[index], &common, &parameters);
}

static enum status create_vsock(struct pc *pc, const struct pc_vsock *vsock)
{
	struct virtio_parameters common = in_slot(pc, PC_SLOT_VSOCK, "vsock");

	pc->vsock = host_memory_get(sizeof(struct virtio_vsock));
	if (!pc->vsock)
		return STATUS_NO_MEMORY;
	*vsock->device = virtio_vsock_device(pc->vsock);
	return virtio_vsock_init(pc->vsock, &common, vsock->backend);
}

static enum status create_virtio(struct pc *pc, const struct pc_parameters *parameters)
{
	struct virtio_parameters entropy = in_slot(pc, PC_SLOT_ENTROPY, "entropy");
	struct virtio_parameters balloon = in_slot(pc, PC_SLOT_BALLOON, "balloon");
	struct virtio_parameters console = in_slot(pc, PC_SLOT_CONSOLE, "console");
	enum status status = virtio_entropy_init(&pc->entropy, &entropy);

	pc->balloon.told = parameters->guest_told;
	pc->balloon.told_context = parameters->context;

	if (status == STATUS_OK)
		status = virtio_balloon_init(&pc->balloon, &balloon);
	if (status == STATUS_OK && parameters->console_is_virtio)
		status = virtio_console_init(&pc->console, &console, &parameters->console);
	for (unsigned i = 0; status == STATUS_OK && i < parameters->disk_count; i++)
		status = create_disk(pc, &parameters->disks[i], i);
	for (unsigned i = 0; status == STATUS_OK && i < parameters->net_count; i++)
		status = create_net(pc, &parameters->nets[i], i);
	if (status == STATUS_OK && parameters->vsock.backend)
		status = create_vsock(pc, &parameters->vsock);
	if (status == STATUS_OK && parameters->share.backend)
		status = create_share(pc, &parameters->share);
	return status;
}

/* All that holds memory of its own; also of a board that is only half made. */
static void destroy(struct pc *pc)
{
	for (unsigned i = 0; i < PC_DISKS_MAX; i++) {
		if (!pc->disks[i])
			continue;
		virtio_block_fini(pc->disks[i]);
		host_memory_put(pc->disks[i], sizeof(struct virtio_block));
	}
	for (unsigned i = 0; i < PC_NETS_MAX; i++) {
		if (!pc->nets[i])
			continue;
		virtio_net_fini(pc->nets[i]);
		host_memory_put(pc->nets[i], sizeof(struct virtio_net));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pc->vhosts); i++) {
		if (!pc->vhosts[i])
			continue;
		virtio_vhost_fini(pc->vhosts[i]);
		host_memory_put(pc->vhosts[i], sizeof(struct virtio_vhost));
	}
	if (pc->vsock)
		virtio_vsock_fini(pc->vsock);
	host_memory_put(pc->vsock, sizeof(struct virtio_vsock));
	virtio_entropy_fini(&pc->entropy);
	virtio_balloon_fini(&pc->balloon);
	virtio_console_fini(&pc->console);
	host_memory_put(pc, sizeof(*pc));
}

/* ---- what the machine asks of its board ---- */

void pc_drain(struct machine *machine)
{
	struct pc *pc = machine->board;

	for (unsigned i = 0; i < PC_DISKS_MAX; i++) {
		struct block_backend *backend = pc->disks[i] ? pc->disks[i]->backend : NULL;

		if (backend)
			backend->ops->drain(backend);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pc->vhosts); i++) {
		struct vhost_backend *backend = pc->vhosts[i] ? pc->vhosts[i]->backend : NULL;

		if (backend)
			backend->drain(backend->context);
	}
}

static void pc_reset(struct machine *machine)
{
	struct pc *pc = machine->board;
	const struct pc_parameters *parameters = &pc->parameters;

	pc_drain(machine);
	machine_reset_devices(machine);
	lapics_set_virtual_wire(&pc->lapics);
	if (parameters->load_boot && !parameters->load_boot(machine, parameters->context))
		machine_end(machine, MACHINE_FAULT, 0);
}

static bool pc_hypervisor_leaf(struct machine *machine, u32 leaf, u32 result[4])
{
	struct pvclock_frequencies frequencies = {machine->clock.tsc_hz, LAPIC_TIMER_HZ};

	return pvclock_cpuid(&frequencies, leaf, result);
}

enum status pc_create(struct machine *machine, const struct pc_parameters *parameters,
	struct console_device *console)
{
	struct pc *pc = host_memory_get(sizeof(*pc));

	if (!pc)
		return STATUS_NO_MEMORY;
	pc->parameters = *parameters;
	pc->parameters.disks = NULL;
	pc->parameters.nets = NULL;
	enum status status = create_controllers(pc, machine);
	if (status == STATUS_OK)
		status = create_clocks(pc, machine);
	if (status == STATUS_OK)
		status = create_ports(pc, machine);
	if (status == STATUS_OK)
		status = create_pci(pc, machine);
	if (status == STATUS_OK)
		status = create_virtio(pc, parameters);
	if (status != STATUS_OK) {
		destroy(pc);
		return status;
	}
	machine->board = pc;
	machine->reset = pc_reset;
	machine->hypervisor_leaf = pc_hypervisor_leaf;
	machine->fpu_error = isa_irq(pc, PC_IRQ_FPU);
	*console = parameters->console_is_virtio ? virtio_console_device(&pc->console)
						 : serial16550_console(&pc->serial0);
	return STATUS_OK;
}

void pc_destroy(struct machine *machine)
{
	destroy(machine->board);
	machine->board = NULL;
	machine->reset = NULL;
}

static void count_disks(const struct pc *pc, struct pc_counts *counts)
{
	for (unsigned i = 0; i < PC_DISKS_MAX; i++) {
		const struct virtio_block *disk = pc->disks[i];

		if (!disk)
			continue;
		counts->disk_reads += disk->reads;
		counts->disk_read_bytes += disk->read_bytes;
		counts->disk_writes += disk->writes;
		counts->disk_written_bytes += disk->written_bytes;
	}
}

static void count_nets(const struct pc *pc, struct pc_counts *counts)
{
	for (unsigned i = 0; i < PC_NETS_MAX; i++) {
		const struct virtio_net *net = pc->nets[i];

		if (!net)
			continue;
		counts->net_received_frames += net->received_frames;
		counts->net_received_bytes += net->received_bytes;
		counts->net_sent_frames += net->sent_frames;
		counts->net_sent_bytes += net->sent_bytes;
		counts->net_dropped_frames += net->dropped_frames;
	}
}

void pc_count(struct machine *machine, struct pc_counts *counts)
{
	const struct pc *pc = machine->board;
	const u64 *told = pc->balloon.statistics;

	*counts = (struct pc_counts){.guest_total_bytes = told[BALLOON_TOTAL_BYTES],
		.guest_free_bytes = told[BALLOON_FREE_BYTES],
		.guest_available_bytes = told[BALLOON_AVAILABLE_BYTES]};
	count_disks(pc, counts);
	count_nets(pc, counts);
}

bool pc_ask_guest(struct machine *machine)
{
	struct pc *pc = machine->board;

	return virtio_balloon_ask(&pc->balloon);
}

void pc_power_button(struct machine *machine)
{
	struct pc *pc = machine->board;

	host_lock(&machine->lock);
	acpi_pm_power_button(&pc->pm);
	host_unlock(&machine->lock);
}

struct acpi_platform pc_acpi_platform(const struct machine *machine)
{
	struct acpi_platform platform = {
		.cpu_count = machine->vcpu_count,
		.lapic_address = PC_LAPIC_ADDRESS,
		.ioapic_address = PC_IOAPIC_ADDRESS,
		.ioapic_id = PC_IOAPIC_ID,
		.sci_irq = PC_IRQ_SCI,
		.pm1_event_port = PC_PORT_PM1_EVENT,
		.pm1_control_port = PC_PORT_PM1_CONTROL,
		.pm_timer_port = PC_PORT_PM_TIMER,
		.pm_timer_32_bit = true,
		.gpe0_port = PC_PORT_GPE0,
		.gpe0_bytes = PC_GPE0_BYTES,
		.s5_sleep_type = PC_S5_SLEEP_TYPE,
		.reset_port = PC_PORT_RESET,
		.reset_value = PC_RESET_VALUE,
		.serial_port = PC_PORT_SERIAL0,
		.serial_irq = PC_IRQ_SERIAL0,
		.pvpanic_port = PC_PORT_PVPANIC,
		.has_rtc = true,
		.has_pit = true,
		.has_i8042 = true,
		.pci =
			{
				.ecam_address = PC_PCI_ECAM,
				.ecam_bytes = PCI_ECAM_BYTES,
				.config_port = PC_PORT_PCI_CONFIG,
				.window_address = PC_PCI_WINDOW,
				.window_bytes = PC_PCI_WINDOW_BYTES,
			},
	};

	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		platform.pci.slot_irqs[slot] = (u8)pci_irqs[pci_bus_wire(slot, 0)];
	return platform;
}
