/* SPDX-License-Identifier: MIT */
/* RSDP, XSDT, FADT, FACS, MADT, MCFG and DSDT: ACPI specification 6.4, 5.2. */
#include "boot/acpi/acpi.h"

#include "base/bits.h"
#include "base/memory.h"
#include "base/text.h"
#include "boot/acpi/aml.h"
#include "boot/loader.h"
#include "core/memory.h"

enum {
	TABLE_HEADER_BYTES = 36,
	RSDP_BYTES = 36,
	FACS_BYTES = 64,
	FADT_BYTES = 268,
	TABLES_BYTES_MAX = 8192, /* what is written at most: checked */

	FADT_LEGACY_DEVICES = 1 << 0, /* IA-PC boot architecture flags, 5.2.9.3 */
	FADT_I8042 = 1 << 1,
	FADT_NO_VGA = 1 << 2,
	FADT_NO_RTC = 1 << 5,
	FADT_WBINVD = 1 << 0, /* fixed feature flags, 5.2.9 */
	FADT_PROC_C1 = 1 << 2,
	FADT_NO_SLEEP_BUTTON = 1 << 5,
	FADT_NO_RTC_WAKE = 1 << 6,
	FADT_TIMER_32_BIT = 1 << 8,
	FADT_RESET = 1 << 10,

	SPACE_IO = 1, /* generic address structure, 5.2.3.2 */
};

/* All tables, as they will lie at ACPI_TABLES_BASE. */
struct tables {
	u8 bytes[TABLES_BYTES_MAX];
	struct aml out;
	const struct acpi_platform *platform;
};

static u64 table_address(u32 at)
{
	return ACPI_TABLES_BASE + at;
}

static u8 checksum(const u8 *bytes, u32 count)
{
	u8 sum = 0;

	for (u32 i = 0; i < count; i++)
		sum = (u8)(sum + bytes[i]);
	return (u8)-sum;
}

static void put_zeros(struct aml *out, u32 count)
{
	for (u32 i = 0; i < count; i++)
		aml_byte(out, 0);
}

static void put_32(struct aml *out, u32 value)
{
	aml_bytes(out, &value, sizeof(value));
}

/* Begins a table, aligned to 64 bytes (the FACS wants it); returns its offset. */
static u32 table_begin(struct tables *tables, const char *signature, u8 revision)
{
	struct aml *out = &tables->out;
	u32 at = (u32)align_up(out->length, 64);

	put_zeros(out, at - out->length);
	aml_bytes(out, signature, 4);
	put_zeros(out, 4); /* length */
	aml_byte(out, revision);
	aml_byte(out, 0); /* checksum */
	aml_bytes(out, "LODGE LODGE-PC", 14);
	put_32(out, 1);
	aml_bytes(out, "LODG", 4);
	put_32(out, 1);
	return at;
}

static void table_end(struct tables *tables, u32 at)
{
	u32 bytes = tables->out.length - at;

	if (tables->out.overflowed)
		return;
	field_put_32(tables->bytes + at + 4, bytes);
	tables->bytes[at + 9] = checksum(tables->bytes + at, bytes);
}

#define EISA_LETTERS 7 /* of a name that is an EISA ID; an ACPI ID is longer: 6.1.5 */

struct fixed_device {
	const char *name, *identity;
	struct aml_resources resources;
	bool is_present;
};

static void put_device(struct aml *out, const struct fixed_device *device)
{
	u32 begun;

	if (!device->is_present)
		return;
	begun = aml_device_begin(out, device->name);
	if (text_length(device->identity) == EISA_LETTERS)
		aml_name_eisa(out, "_HID", device->identity);
	else
		aml_name_string(out, "_HID", device->identity);
	aml_name_integer(out, "_UID", 1);
	aml_name_resources(out, &device->resources);
	aml_end(out, begun);
}

/* INTA of each slot, whoever sits there: 6.2.13. No function has more pins. */
static void put_routing(struct aml *out, const struct acpi_pci *pci)
{
	u32 begun = aml_package_begin(out, "_PRT", ACPI_PCI_SLOTS);

	for (u32 slot = 0; slot < ACPI_PCI_SLOTS; slot++) {
		u32 entry = aml_package_begin(out, NULL, 4);

		aml_integer(out, slot << 16 | 0xffff); /* any function */
		aml_integer(out, 0);
		aml_integer(out, 0); /* a global interrupt, no link device */
		aml_integer(out, pci->slot_irqs[slot]);
		aml_end(out, entry);
	}
	aml_end(out, begun);
}

static void put_pci_bridge(struct aml *out, const struct acpi_pci *pci)
{
	u32 begun = aml_device_begin(out, "PCI0");
	struct aml_list list;

	aml_name_eisa(out, "_HID", "PNP0A08");
	aml_name_eisa(out, "_CID", "PNP0A03");
	aml_name_integer(out, "_UID", 0);
	aml_name_integer(out, "_BBN", 0);
	list = aml_resources_begin(out);
	aml_resource_bus_window(out, 0, 0);
	aml_resource_ports(out, pci->config_port, 8);
	aml_resource_port_window(out, 0, (u16)(pci->config_port - 1));
	aml_resource_port_window(out, (u16)(pci->config_port + 8), 0xffff);
	aml_resource_memory_window(
		out, pci->window_address, pci->window_address + (pci->window_bytes - 1));
	aml_resources_end(out, list);
	put_routing(out, pci);
	aml_end(out, begun);
}

/* ECAM is the board's own: PCI firmware specification 3.0, 4.1.2. */
static void put_board_resources(struct aml *out, const struct acpi_pci *pci)
{
	u32 begun = aml_device_begin(out, "BORD");
	struct aml_list list;

	aml_name_eisa(out, "_HID", "PNP0C02");
	aml_name_integer(out, "_UID", 1);
	list = aml_resources_begin(out);
	aml_resource_memory(out, pci->ecam_address, pci->ecam_bytes);
	aml_resources_end(out, list);
	aml_end(out, begun);
}

static u32 put_dsdt(struct tables *tables)
{
	const struct acpi_platform *platform = tables->platform;
	const struct fixed_device devices[] = {
		{"COM1", "PNP0501", {{{platform->serial_port, 8}}, platform->serial_irq},
			platform->serial_port != 0},
		{"RTC_", "PNP0B00", {{{0x70, 2}}, 8}, platform->has_rtc},
		{"TIMR", "PNP0100", {{{0x40, 4}}, 0}, platform->has_pit},
		{"KBD_", "PNP0303", {{{0x60, 1}, {0x64, 1}}, 1}, platform->has_i8042},
		{"PVPN", "QEMU0001", {{{platform->pvpanic_port, 1}}, -1},
			platform->pvpanic_port != 0},
	};
	const u8 s5[] = {platform->s5_sleep_type, 0, 0, 0};
	u32 at = table_begin(tables, "DSDT", 2);
	u32 scope = aml_scope_begin(&tables->out, "_SB_");

	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		put_device(&tables->out, &devices[i]);
	if (platform->pci.ecam_bytes) {
		put_pci_bridge(&tables->out, &platform->pci);
		put_board_resources(&tables->out, &platform->pci);
	}
	aml_end(&tables->out, scope);
	aml_name_package(&tables->out, "_S5_", s5, sizeof(s5));
	table_end(tables, at);
	return at;
}

/* It has neither checksum nor the usual header: 5.2.10. */
static u32 put_facs(struct tables *tables)
{
	struct aml *out = &tables->out;
	u32 at = (u32)align_up(out->length, 64);

	put_zeros(out, at - out->length);
	aml_bytes(out, "FACS", 4);
	put_32(out, FACS_BYTES);
	put_zeros(out, 24);
	aml_byte(out, 2); /* version */
	put_zeros(out, FACS_BYTES - 33);
	return at;
}

static void put_port(u8 *at, u16 port, u8 bytes)
{
	if (!port)
		return;
	at[0] = SPACE_IO;
	at[1] = (u8)(bytes * 8);
	at[3] = bytes == 1 ? 1 : bytes == 2 ? 2 : 3; /* access size: byte, word, dword */
	field_put_64(at + 4, port);
}

static void put_power_ports(u8 *fadt, const struct acpi_platform *platform)
{
	field_put_16(fadt + 46, platform->sci_irq);
	field_put_32(fadt + 56, platform->pm1_event_port);
	field_put_32(fadt + 64, platform->pm1_control_port);
	field_put_32(fadt + 76, platform->pm_timer_port);
	field_put_32(fadt + 80, platform->gpe0_port);
	fadt[88] = 4;
	fadt[89] = 2;
	fadt[91] = platform->pm_timer_port ? 4 : 0;
	fadt[92] = platform->gpe0_port ? platform->gpe0_bytes : 0;
	put_port(fadt + 148, platform->pm1_event_port, 4);
	fadt[148 + 3] = 2; /* two registers of 16 bits */
	put_port(fadt + 172, platform->pm1_control_port, 2);
	put_port(fadt + 208, platform->pm_timer_port, 4);
	put_port(fadt + 220, platform->gpe0_port, platform->gpe0_bytes);
	if (platform->gpe0_port)
		fadt[220 + 3] = 1;
}

static u32 fadt_flags(const struct acpi_platform *platform)
{
	u32 flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE;

	if (platform->pm_timer_32_bit)
		flags |= FADT_TIMER_32_BIT;
	if (platform->reset_port)
		flags |= FADT_RESET;
	return flags;
}

static u32 put_fadt(struct tables *tables, u32 dsdt, u32 facs)
{
	const struct acpi_platform *platform = tables->platform;
	u32 at = table_begin(tables, "FACP", 5);
	u8 *fadt = tables->bytes + at;

	put_zeros(&tables->out, FADT_BYTES - TABLE_HEADER_BYTES);
	if (tables->out.overflowed)
		return at;
	field_put_32(fadt + 36, (u32)table_address(facs));
	field_put_32(fadt + 40, (u32)table_address(dsdt));
	put_power_ports(fadt, platform);
	field_put_16(fadt + 96, 0x0fff); /* no C2, no C3: latencies past the limits */
	field_put_16(fadt + 98, 0x0fff);
	fadt[108] = platform->has_rtc ? 0x32 : 0; /* the century's place in CMOS */
	field_put_16(fadt + 109,
		(u16)(FADT_LEGACY_DEVICES | FADT_NO_VGA | (platform->has_i8042 ? FADT_I8042 : 0) |
			(platform->has_rtc ? 0 : FADT_NO_RTC)));
	field_put_32(fadt + 112, fadt_flags(platform));
	put_port(fadt + 116, platform->reset_port, 1);
	fadt[128] = platform->reset_value;
	fadt[131] = 1; /* 5.1 */
	field_put_64(fadt + 140, table_address(dsdt));
	table_end(tables, at);
	return at;
}

/* Interrupt source override, 5.2.12.5. flags: polarity and trigger, 0 as the bus has it, 0xd level, active high. */
static void put_override(struct aml *out, u8 source, u8 gsi, u16 flags)
{
	const u8 entry[] = {2, 10, 0, source, gsi, 0, 0, 0, (u8)flags, (u8)(flags >> 8)};

	aml_bytes(out, entry, sizeof(entry));
}

static u32 put_madt(struct tables *tables)
{
	static const u8 lapic_nmi[] = {4, 6, 0xff, 0, 0, 1}; /* every processor's LINT1 */
	const struct acpi_platform *platform = tables->platform;
	u32 at = table_begin(tables, "APIC", 4);
	struct aml *out = &tables->out;

	put_32(out, platform->lapic_address);
	put_32(out, 1); /* there is an 8259, too */
	for (u32 i = 0; i < platform->cpu_count; i++) {
		const u8 lapic[] = {0, 8, (u8)i, (u8)i, 1, 0, 0, 0};

		aml_bytes(out, lapic, sizeof(lapic));
	}
	aml_byte(out, 1);
	aml_byte(out, 12);
	aml_byte(out, platform->ioapic_id);
	aml_byte(out, 0);
	put_32(out, platform->ioapic_address);
	put_32(out, 0); /* its first interrupt */
	put_override(out, 0, 2, 0);
	put_override(out, platform->sci_irq, platform->sci_irq, 0xd);
	aml_bytes(out, lapic_nmi, sizeof(lapic_nmi));
	table_end(tables, at);
	return at;
}

/* PCI firmware specification 3.0, table 4-3: one bus. */
static u32 put_mcfg(struct tables *tables)
{
	u32 at = table_begin(tables, "MCFG", 1);
	struct aml *out = &tables->out;

	put_zeros(out, 8);
	put_32(out, tables->platform->pci.ecam_address);
	put_zeros(out, 12); /* the upper address; segment 0, bus 0 to bus 0; reserved */
	table_end(tables, at);
	return at;
}

/* mcfg 0: there is none. */
static u32 put_xsdt(struct tables *tables, u32 fadt, u32 madt, u32 mcfg)
{
	u32 at = table_begin(tables, "XSDT", 1);
	u64 entries[] = {table_address(fadt), table_address(madt), table_address(mcfg)};

	aml_bytes(&tables->out, entries, sizeof(entries) - (mcfg ? 0 : sizeof(entries[0])));
	table_end(tables, at);
	return at;
}

static void fill_rsdp(struct tables *tables, u32 xsdt)
{
	u8 *rsdp = tables->bytes;

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "LODGE ", 6);
	rsdp[15] = 2;
	field_put_32(rsdp + 20, RSDP_BYTES);
	field_put_64(rsdp + 24, table_address(xsdt));
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, RSDP_BYTES);
}

enum status acpi_write_tables(
	struct machine *machine, const struct acpi_platform *platform, u64 *rsdp)
{
	struct tables tables = {.platform = platform};
	u32 dsdt, facs, fadt, madt, mcfg;

	tables.out = (struct aml){.bytes = tables.bytes, .capacity = sizeof(tables.bytes)};
	put_zeros(&tables.out, RSDP_BYTES);
	dsdt = put_dsdt(&tables);
	facs = put_facs(&tables);
	fadt = put_fadt(&tables, dsdt, facs);
	madt = put_madt(&tables);
	mcfg = platform->pci.ecam_bytes ? put_mcfg(&tables) : 0;
	fill_rsdp(&tables, put_xsdt(&tables, fadt, madt, mcfg));
	if (tables.out.overflowed ||
		!memory_write(machine, ACPI_TABLES_BASE, tables.bytes, tables.out.length))
		return STATUS_TOO_BIG;
	*rsdp = ACPI_TABLES_BASE;
	return STATUS_OK;
}
