/* SPDX-License-Identifier: MIT */
/* The virtual machine control block: APM volume 2, appendix B. */
#ifndef ENGINES_SVM_VMCB_H
#define ENGINES_SVM_VMCB_H

#include "base/bits.h"
#include "base/types.h"

#define VMCB_BYTES 4096

enum vmcb_exit {
	EXIT_CR0_READ = 0x00,
	EXIT_CR8_READ = 0x08,
	EXIT_CR0_WRITE = 0x10,
	EXIT_CR4_WRITE = 0x14,
	EXIT_CR8_WRITE = 0x18,
	EXIT_DR0_READ = 0x20,
	EXIT_DR7_WRITE = 0x37,
	EXIT_EXCEPTION_DB = 0x41,
	EXIT_EXCEPTION_AC = 0x51,
	EXIT_EXCEPTION_MC = 0x52,
	EXIT_INTR = 0x60,
	EXIT_NMI = 0x61,
	EXIT_SMI = 0x62,
	EXIT_INIT = 0x63,
	EXIT_VINTR = 0x64,
	EXIT_CR0_SEL_WRITE = 0x65,
	EXIT_RDPMC = 0x6f,
	EXIT_CPUID = 0x72,
	EXIT_RSM = 0x73,
	EXIT_IRET = 0x74,
	EXIT_INVD = 0x76,
	EXIT_HLT = 0x78,
	EXIT_INVLPGA = 0x7a,
	EXIT_IOIO = 0x7b,
	EXIT_MSR = 0x7c,
	EXIT_FERR_FREEZE = 0x7e,
	EXIT_SHUTDOWN = 0x7f,
	EXIT_VMRUN = 0x80,
	EXIT_VMMCALL = 0x81,
	EXIT_VMLOAD = 0x82,
	EXIT_VMSAVE = 0x83,
	EXIT_STGI = 0x84,
	EXIT_CLGI = 0x85,
	EXIT_SKINIT = 0x86,
	EXIT_WBINVD = 0x89,
	EXIT_MONITOR = 0x8a,
	EXIT_MWAIT = 0x8b,
	EXIT_MWAIT_ARMED = 0x8c,
	EXIT_XSETBV = 0x8d,
	EXIT_NPF = 0x400,
	EXIT_KINDS = EXIT_NPF + 1,
};

#define EXIT_INVALID (~(u64)0)

/* Exits below 0xa0 have an intercept bit of their number: 32 a word, in the order of the words. */
#define VMCB_INTERCEPT_WORDS 5

/* EVENTINJ and EXITINTINFO. */
#define EVENT_VALID BIT(31)
#define EVENT_HAS_ERROR BIT(11)
#define EVENT_TYPE_SHIFT 8
enum vmcb_event_type {
	EVENT_TYPE_INTERRUPT = 0,
	EVENT_TYPE_NMI = 2,
	EVENT_TYPE_EXCEPTION = 3,
	EVENT_TYPE_SOFTWARE = 4
};

#define INTERRUPT_V_IRQ BIT(8)
#define INTERRUPT_V_PRIORITY ((u64)15 << 16)
#define INTERRUPT_V_IGNORE_TPR BIT(20)
#define INTERRUPT_V_MASKING BIT(24)

#define NESTED_ENABLE BIT(0)

enum vmcb_tlb_control { TLB_KEEP = 0, TLB_FLUSH_ALL = 1 };

/* Attributes as in x86/cpu.h. */
struct vmcb_segment {
	u16 selector, attributes;
	u32 limit;
	u64 base;
};

struct vmcb {
	/* The control area. */
	u32 intercepts[VMCB_INTERCEPT_WORDS];
	u8 reserved_014[0x3c - 0x14];
	u16 pause_threshold, pause_count;
	u64 iopm, msrpm;
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control;
	u8 reserved_05d[3];
	u64 interrupt;
	u64 shadow; /* bit 0: an interrupt shadow */
	u64 exit_code, exit_info_1, exit_info_2, exit_interrupt_info;
	u64 nested;
	u8 reserved_098[0xa8 - 0x98];
	u64 event_injection;
	u64 nested_cr3;
	u64 virtual_extensions;
	u32 clean, reserved_0c4;
	u64 next_rip;
	u8 reserved_0d0[0x400 - 0xd0];
	/* The state save area. */
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved_4a0[0x4cb - 0x4a0];
	u8 cpl;
	u32 reserved_4cc;
	u64 efer;
	u8 reserved_4d8[0x548 - 0x4d8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved_580[0x5d8 - 0x580];
	u64 rsp;
	u8 reserved_5e0[0x5f8 - 0x5e0];
	u64 rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 reserved_648[0x668 - 0x648];
	u64 pat;
	u8 reserved_670[VMCB_BYTES - 0x670];
};

#define VMCB_AT(field, at) _Static_assert(offsetof(struct vmcb, field) == (at), #field)
VMCB_AT(pause_threshold, 0x3c);
VMCB_AT(iopm, 0x40);
VMCB_AT(asid, 0x58);
VMCB_AT(exit_code, 0x70);
VMCB_AT(nested, 0x90);
VMCB_AT(event_injection, 0xa8);
VMCB_AT(next_rip, 0xc8);
VMCB_AT(es, 0x400);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(cr2, 0x640);
VMCB_AT(pat, 0x668);
_Static_assert(sizeof(struct vmcb) == VMCB_BYTES, "one page");

#endif
