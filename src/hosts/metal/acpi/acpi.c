/* SPDX-License-Identifier: MIT */
#include "hosts/metal/acpi/acpi.h"
#include "base/bits.h"
#include "base/memory.h"
#include "hosts/metal/memory/paging.h"

static struct acpi_processors processors;
static struct acpi_interrupts interrupts;
static struct acpi_power power;

#define BIOS_START 0xe0000
#define BIOS_END 0x100000
#define TABLE_BYTES_MAX (4 * MIB)

struct rsdp {
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt, length;
	u64 xsdt;
} __attribute__((packed));

struct table {
	char signature[4];
	u32 bytes;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __attribute__((packed));

/* Fields at any alignment. */
static u16 get_16(const void *at)
{
	u16 value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static u32 get_32(const void *at)
{
	u32 value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static u64 get_64(const void *at)
{
	u64 value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static bool sums_to_zero(const void *at, u64 bytes)
{
	u8 sum = 0;
	for (u64 i = 0; i < bytes; i++)
		sum += ((const u8 *)at)[i];
	return !sum;
}

/* NULL: it is not one, or damaged. */
static const struct table *table_at(u64 physical)
{
	const struct table *table = paging_map_table(physical, sizeof(*table));
	if (!physical || table->bytes < sizeof(*table) || table->bytes > TABLE_BYTES_MAX)
		return NULL;
	paging_map_table(physical, table->bytes);
	return sums_to_zero(table, table->bytes) ? table : NULL;
}

static bool is_table(const struct table *table, const char *signature)
{
	return !memcmp(table->signature, signature, 4);
}

/* ---- MADT: ACPI 6.4, 5.2.12 ---- */

enum madt_entry {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_X2APIC = 9,
};

#define MADT_ENTRIES 44
#define LAPIC_ENABLED BIT(0)
#define IOAPIC_LOW_ACTIVE BIT(13)
#define IOAPIC_LEVEL BIT(15)

static void add_processor(u32 apic_id, u32 flags)
{
	if ((flags & LAPIC_ENABLED) && processors.count < ACPI_PROCESSORS_MAX)
		processors.apic_ids[processors.count++] = apic_id;
}

/* MPS INTI flags: 3 in bits 0-1 is active low, 3 in bits 2-3 level. */
static void add_override(u8 irq, u32 pin, u16 flags)
{
	if (irq >= 16)
		return;
	interrupts.isa_pin[irq] = pin;
	interrupts.isa_flags[irq] = ((flags & 3) == 3 ? IOAPIC_LOW_ACTIVE : 0) |
		((flags >> 2 & 3) == 3 ? IOAPIC_LEVEL : 0);
}

static void read_madt_entry(const u8 *entry)
{
	switch (entry[0]) {
	case MADT_LAPIC:
		add_processor(entry[3], get_32(entry + 4));
		break;
	case MADT_X2APIC:
		add_processor(get_32(entry + 4), get_32(entry + 8));
		break;
	case MADT_IOAPIC:
		if (interrupts.ioapic_address)
			break;
		interrupts.ioapic_address = get_32(entry + 4);
		interrupts.ioapic_first_pin = get_32(entry + 8);
		break;
	case MADT_OVERRIDE:
		add_override(entry[3], get_32(entry + 4), get_16(entry + 8));
		break;
	}
}

static void read_madt(const struct table *madt)
{
	const u8 *from = (const u8 *)madt;
	for (unsigned i = 0; i < 16; i++)
		interrupts.isa_pin[i] = i;
	for (u32 at = MADT_ENTRIES; at + 12 <= madt->bytes && from[at + 1] >= 2; at += from[at + 1])
		read_madt_entry(from + at);
}

/* ---- FADT and the DSDT's \_S5: ACPI 6.4, 5.2.9 and 7.4.2 ---- */

enum fadt_field {
	FADT_DSDT = 40,
	FADT_PM1A_CONTROL = 64,
	FADT_PM1B_CONTROL = 68,
	FADT_PM_TIMER = 76
};

#define AML_BYTE_PREFIX 0x0a
#define AML_PACKAGE 0x12

/* A constant of a package: a byte with its prefix, or ZeroOp and OneOp as they are. */
static const u8 *read_constant(const u8 *at, u8 *value)
{
	if (*at == AML_BYTE_PREFIX)
		at++;
	*value = *at;
	return at + 1;
}

/*
 * Without an AML interpreter: the package behind the name _S5_ holds constants in every firmware that is known.
 */
static void read_sleep_types(const struct table *dsdt)
{
	const u8 *from = (const u8 *)dsdt;
	for (u32 at = sizeof(*dsdt); at + 16 < dsdt->bytes; at++) {
		const u8 *package = from + at + 4;
		if (memcmp(from + at, "_S5_", 4) || package[0] != AML_PACKAGE)
			continue;
		package += 1 + 1 + (package[1] >> 6) + 1; /* opcode, length, count */
		package = read_constant(package, &power.sleep_type_a);
		read_constant(package, &power.sleep_type_b);
		power.has_sleep = true;
		return;
	}
}

static void read_fadt(const struct table *fadt)
{
	const u8 *from = (const u8 *)fadt;
	if (fadt->bytes < FADT_PM_TIMER + 4)
		return;
	power.pm1a_control = (u16)get_32(from + FADT_PM1A_CONTROL);
	power.pm1b_control = (u16)get_32(from + FADT_PM1B_CONTROL);
	power.pm_timer = (u16)get_32(from + FADT_PM_TIMER);
	const struct table *dsdt = table_at(get_32(from + FADT_DSDT));
	if (dsdt && power.pm1a_control)
		read_sleep_types(dsdt);
}

/* ---- the tables' tables ---- */

static void read_table(u64 physical)
{
	const struct table *table = table_at(physical);
	if (!table)
		return;
	if (is_table(table, "APIC"))
		read_madt(table);
	else if (is_table(table, "FACP"))
		read_fadt(table);
}

static bool rsdp_is_good(const struct rsdp *rsdp)
{
	return !memcmp(rsdp->signature, "RSD PTR ", 8) && sums_to_zero(rsdp, 20);
}

static const struct rsdp *rsdp_find(u64 given)
{
	if (given) {
		const struct rsdp *rsdp = paging_map_table(given, sizeof(*rsdp));
		if (rsdp_is_good(rsdp))
			return rsdp;
	}
	const u8 *bios = paging_map_table(BIOS_START, BIOS_END - BIOS_START);
	for (u64 at = 0; at < BIOS_END - BIOS_START; at += 16)
		if (rsdp_is_good((const void *)(bios + at)))
			return (const void *)(bios + at);
	return NULL;
}

bool acpi_init(u64 given)
{
	const struct rsdp *rsdp = rsdp_find(given);
	if (!rsdp)
		return false;
	bool wide = rsdp->revision >= 2 && rsdp->xsdt;
	const struct table *root = table_at(wide ? rsdp->xsdt : rsdp->rsdt);
	for (u32 at = sizeof(*root); root && at + (wide ? 8 : 4) <= root->bytes;
		at += wide ? 8 : 4) {
		const u8 *entry = (const u8 *)root + at;
		read_table(wide ? get_64(entry) : get_32(entry));
	}
	return root;
}

const struct acpi_processors *acpi_processors(void)
{
	return &processors;
}

const struct acpi_interrupts *acpi_interrupts(void)
{
	return &interrupts;
}

const struct acpi_power *acpi_power(void)
{
	return &power;
}
