/* SPDX-License-Identifier: MIT */
/*
 * The paravirtual clock that Linux and the BSDs know as kvmclock, and the CPUID leaves that offer it, so that a guest need not
 * measure frequencies. Source: Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst.
 *
 * The TSC is strictly proportional to the machine's clock, so what a guest was told once stays true; a guest that writes its
 * own TSC afterwards must register its page anew.
 */
#ifndef DEVICES_PC_PVCLOCK_H
#define DEVICES_PC_PVCLOCK_H

#include "core/machine.h"

struct pvclock {
	struct device device;
	struct bus_region regions[2];
	u64 wall_clock;			    /* MSRs as last written */
	u64 system_time[MACHINE_VCPUS_MAX]; /* one a vCPU */
	u32 version[MACHINE_VCPUS_MAX];	    /* of the vCPU's page; even */
	u32 wall_version;
};

/* What of the machine CPUID tells. */
struct pvclock_frequencies {
	u64 tsc_hz, apic_timer_hz;
};

enum status pvclock_init(struct pvclock *pvclock, struct machine *machine) must_use;
/* EAX, EBX, ECX, EDX of a leaf from 0x40000000 on; false where there is none. */
bool pvclock_cpuid(const struct pvclock_frequencies *frequencies, u32 leaf, u32 result[4]);

#endif
