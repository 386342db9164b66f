/* SPDX-License-Identifier: MIT */
/* SVM on each of the machine's processors: whether it is there, turning it on, ASIDs, and the permission maps that all guests share. */
#include <cpuid.h>

#include "base/check.h"
#include "base/memory.h"
#include "core/host_processor.h"
#include "engines/svm/vcpu.h"

#define MSR_EFER 0xc0000080u
#define MSR_VM_CR 0xc0010114u
#define MSR_VM_HSAVE_PA 0xc0010117u
#define EFER_SVME BIT(12)
#define EFER_AUTOIBRS BIT(21)
#define VM_CR_SVMDIS BIT(4)

#define CPUID_SVM 0x8000000au
#define IO_MAP_BYTES (3 * PAGE_SIZE)
#define MSR_MAP_BYTES (2 * PAGE_SIZE)

/* Own of each, used by it alone. */
static struct svm_processor {
	void *host_vmcb;
	u64 asid_generation;
	u32 next_asid, asid_count;
	bool is_on;
} processors[HOST_PROCESSORS_MAX];

static u8 *io_map, *msr_map;

static u64 msr_get(u32 index)
{
	u32 low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return low | (u64)high << 32;
}

static void msr_set(u32 index, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}

/* ---- the maps ---- */

/* What VMLOAD and VMSAVE move, or the VMCB has, and the guest may do with as it likes. */
static const struct {
	u32 msr;
	bool may_write;
} permitted[] = {
	{0x10, false}, /* TSC: with the offset */
	{0x174, true}, /* SYSENTER_CS, ESP, EIP */
	{0x175, true},
	{0x176, true},
	{0xc0000081, true}, /* STAR, LSTAR, CSTAR, SFMASK */
	{0xc0000082, true},
	{0xc0000083, true},
	{0xc0000084, true},
	{0xc0000100, true}, /* FS_BASE, GS_BASE, KERNEL_GS_BASE */
	{0xc0000101, true},
	{0xc0000102, true},
};

/* Two bits an MSR, 8192 of them in each of three ranges: APM volume 2, 15.11. */
static void permit_msr(u32 msr, bool may_write)
{
	u32 bit = 2 * (msr & 0x1fff);
	if (msr >> 30)
		bit += 8 * 0x800;
	msr_map[bit / 8] &= (u8) ~(1u << (bit % 8));
	if (may_write)
		msr_map[bit / 8] &= (u8) ~(2u << (bit % 8));
}

static enum status make_maps(void)
{
	if (msr_map)
		return STATUS_OK;
	io_map = host_memory_get(IO_MAP_BYTES);
	u8 *map = host_memory_get(MSR_MAP_BYTES);
	if (!io_map || !map)
		return STATUS_NO_MEMORY;
	memset(io_map, 0xff, IO_MAP_BYTES);
	memset(map, 0xff, MSR_MAP_BYTES);
	msr_map = map;
	for (unsigned i = 0; i < ARRAY_SIZE(permitted); i++)
		permit_msr(permitted[i].msr, permitted[i].may_write);
	return STATUS_OK;
}

u64 svm_msr_permissions(void)
{
	return host_physical_address(msr_map);
}

u64 svm_io_permissions(void)
{
	return host_physical_address(io_map);
}

/* ---- is it there? ---- */

enum status svm_probe(struct error *error)
{
	u32 a, b, c, d;
	if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(c & BIT(2)))
		return error_set(error, STATUS_UNSUPPORTED, "this processor has no SVM");
	if (msr_get(MSR_VM_CR) & VM_CR_SVMDIS)
		return error_set(
			error, STATUS_UNSUPPORTED, "SVM is disabled by this machine's firmware");
	__cpuid(CPUID_SVM, a, b, c, d);
	if (!(d & BIT(0)))
		return error_set(
			error, STATUS_UNSUPPORTED, "this processor's SVM has no nested paging");
	if (make_maps() != STATUS_OK)
		return error_set(error, STATUS_NO_MEMORY, "no memory for SVM's permission maps");
	return STATUS_OK;
}

/*
 * Automatic IBRS is kept for a guest that asks for it where the processor has none: CPUID does not offer it there.
 */
u64 svm_efer_allowed(void)
{
	u32 a, b, c, d;
	u64 allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME;
	if (__get_cpuid(0x80000021, &a, &b, &c, &d) && (a & BIT(8)))
		allowed |= EFER_AUTOIBRS;
	return allowed;
}

/* ---- one of the machine's processors ---- */

static void turn_on(struct svm_processor *here)
{
	u32 a, b, c, d;
	void *save = host_memory_get(PAGE_SIZE);
	here->host_vmcb = host_memory_get(PAGE_SIZE);
	check(save && here->host_vmcb);
	msr_set(MSR_EFER, msr_get(MSR_EFER) | EFER_SVME);
	msr_set(MSR_VM_HSAVE_PA, host_physical_address(save));
	/* FS, TR and the like are the same from here on. */
	__asm__ volatile("vmsave %0" : : "a"(host_physical_address(here->host_vmcb)) : "memory");
	__cpuid(CPUID_SVM, a, b, c, d);
	here->asid_count = b;
	here->next_asid = b; /* so that the first one begins a generation, and flushes */
	here->is_on = true;
}

/* ASID 0 is the host's. When all are given away, a new generation begins with everything flushed. */
static void give_asid(struct svm_processor *here, struct vmcb *vmcb)
{
	vmcb->tlb_control = TLB_KEEP;
	if (here->next_asid >= here->asid_count) {
		here->asid_generation++;
		here->next_asid = 1;
		vmcb->tlb_control = TLB_FLUSH_ALL;
	}
	vmcb->asid = here->next_asid++;
}

void svm_processor_prepare(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	unsigned index = host_processor_index();
	struct svm_processor *here = &processors[index];
	if (unlikely(!here->is_on))
		turn_on(here);
	svm->vmcb->tlb_control = TLB_KEEP;
	if (svm->last_on == index && svm->asid_generation == here->asid_generation &&
		svm->vmcb->asid)
		return;
	give_asid(here, svm->vmcb);
	svm->last_on = index;
	svm->asid_generation = here->asid_generation;
}

u64 svm_processor_host_vmcb(void)
{
	return host_physical_address(processors[host_processor_index()].host_vmcb);
}
