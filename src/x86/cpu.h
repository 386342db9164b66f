/* SPDX-License-Identifier: MIT */
/*
 * The architectural state of one x86-64 processor, and the few words the engines keep beside it.
 * Source: AMD64 Architecture Programmer's Manual (APM) volumes 1-5, Intel SDM volumes 1-4.
 */
#ifndef X86_CPU_H
#define X86_CPU_H

#include "base/types.h"
#include "base/bits.h"
#include "x86/insn.h"
#include "x86/tlb.h"

struct environment;
struct cpu_model;

enum register_name {
	RAX,
	RCX,
	RDX,
	RBX,
	RSP,
	RBP,
	RSI,
	RDI,
	R8,
	R9,
	R10,
	R11,
	R12,
	R13,
	R14,
	R15,
	RIP, /* of the next instruction while one executes; of the current one between instructions */
	REGISTER_ZERO, /* always 0: the absent base or index */
	REGISTER_COUNT
};

/* Numbering is the encoding's (ModRM.reg of MOV Sreg); the rest are not encodable. */
enum segment_name {
	SEGMENT_ES,
	SEGMENT_CS,
	SEGMENT_SS,
	SEGMENT_DS,
	SEGMENT_FS,
	SEGMENT_GS,
	SEGMENT_LDTR,
	SEGMENT_TR,
	SEGMENT_NONE, /* base 0, no checks: what 64-bit code sees of ES, CS, SS and DS */
	SEGMENT_COUNT
};

/* Attributes as in APM volume 2, VMCB state save area: descriptor bits 40-47 and 52-55, packed. */
enum segment_attributes {
	SEGMENT_TYPE =
		0xf, /* accessed 1, writable or readable 2, expand-down or conforming 4, code 8 */
	SEGMENT_S = 1 << 4, /* code or data, not system */
	SEGMENT_DPL_SHIFT = 5,
	SEGMENT_DPL = 3 << 5,
	SEGMENT_P = 1 << 7,
	SEGMENT_AVL = 1 << 8,
	SEGMENT_L = 1 << 9,
	SEGMENT_DB = 1 << 10,
	SEGMENT_G = 1 << 11,
	SEGMENT_UNUSABLE = 1 << 12, /* loaded with a null selector */
};

struct segment {
	u64 base;
	u32 limit; /* in bytes, G applied: the last valid offset (expand-down: the last invalid one) */
	u16 selector;
	u16 attributes; /* enum segment_attributes */
};

struct descriptor_table {
	u64 base;
	u16 limit;
};

enum rflags {
	RFLAGS_CF = 1 << 0,
	RFLAGS_FIXED = 1 << 1, /* always 1 */
	RFLAGS_PF = 1 << 2,
	RFLAGS_AF = 1 << 4,
	RFLAGS_ZF = 1 << 6,
	RFLAGS_SF = 1 << 7,
	RFLAGS_TF = 1 << 8,
	RFLAGS_IF = 1 << 9,
	RFLAGS_DF = 1 << 10,
	RFLAGS_OF = 1 << 11,
	RFLAGS_IOPL = 3 << 12,
	RFLAGS_NT = 1 << 14,
	RFLAGS_RF = 1 << 16,
	RFLAGS_VM = 1 << 17,
	RFLAGS_AC = 1 << 18,
	RFLAGS_VIF = 1 << 19,
	RFLAGS_VIP = 1 << 20,
	RFLAGS_ID = 1 << 21,
	RFLAGS_ARITHMETIC = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF,
};

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME BIT(0)
#define CR4_PVI BIT(1)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_FFXSR BIT(14)

#define DR6_BS BIT(14)
#define DR6_BT BIT(15)
#define DR6_BD BIT(13)
#define DR7_GD BIT(13)

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)

/*
 * x87, MMX, SSE state. The image is the 64-bit FXSAVE form, which FXRSTOR of the host takes as it is:
 * x87 registers are in stack order (ST(0) first) at offset 32, 16 bytes each; XMM at 160. Always valid.
 */
struct fpu {
	u8 image[512] __attribute__((aligned(64)));
	u8 ymm_high[16][16]; /* upper halves, for AVX */
	/* The tag word as XSAVE's header needs it, init optimisation and the like, belong here. */
};

/*
 * The arithmetic flags, as the host's LAHF and SETO leave them in AX: OF in bit 0; CF 8, PF 10, AF 12, ZF 14, SF 15.
 * (x86/flags.h is the one place that knows.)
 */
typedef u16 packed_flags;

/* Why the engine must look up: bits of cpu->pending, set from any thread. */
enum cpu_pending {
	PENDING_INTERRUPT = 1 << 0, /* the interrupt controller's line is up */
	PENDING_NMI = 1 << 1,
	PENDING_INIT = 1 << 2,
	PENDING_SIPI = 1 << 3, /* vector in cpu->sipi_vector */
	PENDING_SMI = 1 << 4,
	PENDING_STOP = 1 << 5,	 /* the host wants run() to return */
	PENDING_ENGINE = 1 << 7, /* the engine has something to see to (code written by others) */
	PENDING_TRAP = 1
		<< 6, /* the last instruction left a debug trap in cpu->pending_dr6, or a shadow to end;
				  set and cleared by the vCPU itself */
};

/* What keeps interrupts off until after the next instruction. */
enum interrupt_shadow { SHADOW_NONE, SHADOW_STI = 1, SHADOW_MOV_SS = 2 };

enum cpu_activity {
	CPU_RUNNING,
	CPU_HALTED,	   /* HLT: an interrupt wakes it */
	CPU_WAIT_FOR_SIPI, /* after INIT on an application processor */
	CPU_SHUTDOWN,	   /* triple fault */
};

struct msr_state { /* registers with no behaviour beyond being read back, or used in one place */
	u64 star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 pat;
	u64 mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
	u64 misc_enable, debugctl, mcg_status, mc_ctl[8], mc_status[8];
	u64 tsc_adjust;
	u64 syscfg, hwcr, patch_level, de_cfg;
};

#define ENGINE_WORDS 24

struct cpu {
	u64 regs[REGISTER_COUNT];
	u64 engine_words[ENGINE_WORDS]; /* a translating engine's, for its code */
	packed_flags arithmetic_flags;
	u8 step_suppressed; /* TF was set, but this instruction (INT n, SYSCALL) is followed by no trap */
	u8 holds_split_lock; /* x86/split_lock.h */
	u32 other_flags;     /* RFLAGS without the arithmetic ones; RFLAGS_FIXED always set */

	/* What the engine's loop and the unwinding of faults work with. */
	const struct insn *insn; /* the one executing, for the length and the flags */
	const struct insn *
		insn_end; /* the loop ends before this one; NULL asks it to end after the current one */
	u64 insns_retired; /* up to the start of the current block run (engine) */
	u32 pending;	   /* enum cpu_pending; atomic */
	u32 pending_waits; /* its bits that a repeated string instruction does not stop for: execute/string.h */
	u8 cpl;
	u8 code_size;	     /* enum insn_size of CS: SIZE_16, SIZE_32 or SIZE_64 */
	u8 stack_size;	     /* enum insn_size of the stack pointer: SS.B, or SIZE_64 */
	u8 interrupt_shadow; /* enum interrupt_shadow */
	u8 tlb_mode;	/* enum tlb_mode of ordinary data accesses: derived from CPL, SMAP and AC */
	u8 nmi_blocked; /* until IRET */
	u8 activity;	/* enum cpu_activity */
	u8 sipi_vector;
	/*
	 * Ordinary data accesses look here: the current address space's entries of tlb_mode. Valid until the next change of
	 * CR3, CR4 or mode.
	 */
	struct tlb_entry *data_tlb;
	/*
	 * What a linear address meant as code when paging_code_page was asked it means whenever code_key is the same
	 * again, also after other address spaces have been used meanwhile; where the page was global, whenever code_key_global
	 * is. One value is never both. What is fetched depends on code_size and on CPL being 3, too, for which they don't
	 * change.
	 */
	u64 code_key, code_key_global;
	u32 debug_active; /* any of DR7's enables: data accesses and fetches check (else never looked at) */
	u64 pending_dr6; /* debug conditions that the current instruction has met */
	void *unwind[5]; /* __builtin_setjmp buffer of the engine's loop */
	const struct environment *environment;

	struct segment segments[SEGMENT_COUNT];
	struct descriptor_table gdtr, idtr;
	u64 cr0, cr2, cr3, cr4, efer, xcr0;
	u64 dr[4], dr6, dr7;
	struct msr_state msrs;
	const struct cpu_model *model;
	u32 apic_id;   /* initial, for CPUID */
	u32 cpu_count; /* vCPUs in the machine, for CPUID's topology */
	u64 tsc_hz;    /* the machine's, for CPUID 15h, 16h and the hypervisor leaves */

	/* Exception delivery: set by raise, read by whoever catches the unwinding. */
	struct {
		u8 vector;
		bool has_error_code;
		u32 error_code;
		u64 cr2; /* #PF: the address, moved to CR2 at delivery */
	} fault;

	/* Where RAM is, for walks of page tables; what neither holds, environment->ram_page is asked for. Whole pages. */
	struct ram_window {
		u64 start, bytes;
		u8 *host;
	} ram[2];

	u64 physical_mask; /* bits that a physical address may have: MAXPHYADDR */
	u64 pdptes[4];	   /* PAE paging: loaded with CR3 */

	struct fpu fpu;
	struct tlb tlb;
};

/* Power-on and INIT state: APM volume 2, 14.1. `bootstrap`: RUNNING at f000:fff0, else waiting for a SIPI. */
void cpu_reset(struct cpu *cpu, bool bootstrap);
/* As INIT leaves it: caches, FPU state, MSRs kept. */
void cpu_init(struct cpu *cpu, bool bootstrap);
/* Starts at vector:0000 in real mode, if it was waiting. */
void cpu_start_up(struct cpu *cpu, u8 vector);

/*
 * To be called after any change of CR0, CR4, EFER, CS, SS, CPL or RFLAGS.AC, VM: recomputes the derived words
 * (code_size, stack_size, tlb_mode, debug_active), and ends the block.
 */
void cpu_mode_changed(struct cpu *cpu);

/*
 * May these registers be (from a saved state, which is hostile)? Reserved bits of control registers, EFER against CR0 and
 * CR4, RFLAGS, MXCSR, segment attributes of the mode. Whatever passes cannot make the processor library misbehave.
 */
bool cpu_state_is_valid(const struct cpu *cpu);

static always_inline bool cpu_is_long_mode(const struct cpu *cpu)
{
	return cpu->efer & EFER_LMA;
}

static always_inline bool cpu_is_64_bit(const struct cpu *cpu)
{
	return cpu->code_size == SIZE_64;
}

static always_inline bool cpu_is_protected(const struct cpu *cpu)
{
	return cpu->cr0 & CR0_PE;
}

static always_inline bool cpu_is_virtual_8086(const struct cpu *cpu)
{
	return cpu->other_flags & RFLAGS_VM;
}

/* Real or virtual-8086 mode: segments are paragraphs. */
static always_inline bool cpu_is_8086(const struct cpu *cpu)
{
	return !cpu_is_protected(cpu) || cpu_is_virtual_8086(cpu);
}

static always_inline unsigned cpu_iopl(const struct cpu *cpu)
{
	return (cpu->other_flags >> 12) & 3;
}

/* Asks the engine's loop to end after the current instruction. */
static always_inline void cpu_end_block(struct cpu *cpu)
{
	cpu->insn_end = NULL;
}

#endif
