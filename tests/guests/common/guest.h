/* SPDX-License-Identifier: MIT */
/*
 * What every tiny guest is written against; README.md tells how. Built twice: -m32 (protected mode, paging off)
 * and -m64 (long mode, the first 4 GiB mapped one to one). A guest supplies guest_main().
 */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned long word; /* as wide as the mode */

/*
 * ---- selectors; SYSENTER and SYSCALL fix the order of the first six. Slots from GDT_FREE are the
 * guest's own.
 */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS32 0x18
#define USER_DS 0x20
#define USER_CS64 0x28
#define TSS_SELECTOR 0x30 /* two slots in long mode */
#define KERNEL_CS32 0x40  /* 32-bit code, CPL 0 (compatibility mode in a 64-bit guest) */
#define CODE16 0x48
#define DATA16 0x50
#define GDT_FREE 0x60
#ifdef __x86_64__
#define USER_CS USER_CS64
#else
#define USER_CS USER_CS32
#endif

enum { DE, DB, NMI, BP, OF, BR, UD, NM, DF, V9, TS, NP, SS, GP, PF, V15, MF, AC, MC, XM };
#define USER_EXIT 0x80 /* the vector by which CPL 3 comes back */
#define NONE 0x100     /* trap.vector when nothing was raised */

/* ---- flags */
#define FLAG_CF 1ul
#define FLAG_TF 0x100ul
#define FLAG_IF 0x200ul
#define FLAG_DF 0x400ul
#define FLAG_OF 0x800ul
#define FLAG_IOPL 0x3000ul
#define FLAG_NT 0x4000ul
#define FLAG_RF 0x10000ul
#define FLAG_VM 0x20000ul
#define FLAG_AC 0x40000ul

#define CR0_PE 1ul
#define CR0_MP 2ul
#define CR0_EM 4ul
#define CR0_TS 8ul
#define CR0_NE 0x20ul
#define CR0_WP 0x10000ul
#define CR0_AM 0x40000ul
#define CR0_NW 0x20000000ul
#define CR0_CD 0x40000000ul
#define CR0_PG 0x80000000ul
#define CR4_VME 1ul
#define CR4_TSD 4ul
#define CR4_DE 8ul
#define CR4_PSE 0x10ul
#define CR4_PAE 0x20ul
#define CR4_PGE 0x80ul
#define CR4_PCE 0x100ul
#define CR4_OSFXSR 0x200ul
#define CR4_OSXMMEXCPT 0x400ul
#define CR4_UMIP 0x800ul
#define CR4_PCIDE 0x20000ul
#define CR4_OSXSAVE 0x40000ul
#define CR4_SMEP 0x100000ul
#define CR4_SMAP 0x200000ul
#define MSR_EFER 0xc0000080
#define EFER_SCE 1
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define EFER_NXE 0x800

/* ---- what an exception or interrupt found, as the entry stubs leave it on the stack */
struct frame {
#ifdef __x86_64__
	word r15, r14, r13, r12, r11, r10, r9, r8, bp, di, si, dx, cx, bx, ax;
#else
	word gs, fs, es, ds, di, si, bp, unused_sp, bx, dx, cx, ax;
#endif
	word vector, error, ip, cs, flags, sp, ss; /* 32-bit: sp and ss only from an outer level */
#ifndef __x86_64__
	word v86_es, v86_ds, v86_fs, v86_gs;
#endif
};

struct trap {
	word vector, error, ip, cs, flags, sp, ss, cr2, ax;
	word handler_flags; /* RFLAGS as the handler saw them */
	unsigned count;	    /* since the TRY began */
};

struct context {
	word regs[10];
};

extern struct trap trap;
extern struct context recovery;
extern volatile int recovery_armed;
extern volatile word try_ip;	  /* set by CODE(): where the instruction under test begins */
extern volatile word user_try_ip; /* the same for UCODE(), in code for CPL 3 */
extern int failed;
int context_save(struct context *c) __attribute__((returns_twice));
void context_restore(struct context *c) __attribute__((noreturn));

/* A hook is asked first; nonzero: it dealt with the event, go on at the (perhaps changed) frame. */
typedef int (*hook_fn)(struct frame *f);
extern hook_fn hooks[256];

/*
 * Runs code; whatever it raises ends it and is told in trap. Interrupted code loses its registers.
 */
#define TRY(code)                               \
	do {                                    \
		trap_clear();                   \
		if (!context_save(&recovery)) { \
			recovery_armed = 1;     \
			code;                   \
		}                               \
		recovery_armed = 0;             \
		trap_restore_state();           \
	} while (0)

/*
 * Assembly text of the instruction under test: its address is kept, so that traps are told relative
 * to it.
 */
#ifdef __x86_64__
#define CODE(text) "movq $771f, try_ip\n771: " text "\n"
#define UCODE(text) "movq $771f, user_try_ip\n771: " text "\n"
#else
#define CODE(text) "movl $771f, try_ip\n771: " text "\n"
#define UCODE(text) "movl $771f, user_try_ip\n771: " text "\n"
#endif

/* Try assembly and report: "name: ok", "name: #GP(0x28)+0". */
#define SHOW(name, text, ...)                                                    \
	do {                                                                     \
		TRY(__asm__ volatile(CODE(text)::__VA_ARGS__ : "memory", "cc")); \
		report(name);                                                    \
	} while (0)

void trap_clear(void);
void trap_restore_state(void);
void report(const char *
		name); /* one line about trap: vector, error, CR2, offset from try_ip, CPL if not 0 */
void report_trap(void); /* the same without name and newline */

/* ---- output: %s %x (word) %q (u64) %d (int) %c; hexadecimal has its 0x */
void print(const char *fmt, ...);
void value(const char *name, word v);	/* "name: 0x..." */
void check(const char *name, int good); /* "name: yes", or "name: NO" and the guest fails */
/*
 * Between these, output waits in memory: the serial port is then free to be tested, and time is not
 * spent on it.
 */
void output_hold(void);
void output_release(void);
void finish(void) __attribute__((noreturn));
void skip(const char *why) __attribute__((noreturn)); /* "skip: why", then ends well */
void *fill(void *to, int c, size_t n);
void *copy(void *to, const void *from, size_t n);

/* ---- code at CPL 3 */
#define USER __attribute__((section(".user"), noinline))
#define USER_DATA __attribute__((section(".userdata")))
#ifdef __x86_64__
#define USER_FN USER
#else
#define USER_FN USER __attribute__((regparm(2)))
#endif
extern u8 user_start[], user_end[];
extern u8 user_stack[], user_stack_top[], user_exit[];
/*
 * Never returns by itself: the function's return comes as trap USER_EXIT, which TRY turns into NONE
 * (trap.ax: value).
 */
void user_enter(void *fn, word a, word b);
void user_enter_flags(void *fn, word a, word b, word flags, word cs, word ss);
#define TRY_USER(fn, a, b) TRY(user_enter((void *)(fn), (word)(a), (word)(b)))
word user_read8(word a);
word user_read32(word a);
word user_write8(word a);
word user_jump(word a);
/* the same at CPL 0; kernel_jump calls */
void touch_read(word a);
void touch_write(word a);
void touch_call(word a);

/* ---- tables */
struct gate {
	u16 offset_low, selector, flags, offset_high;
#ifdef __x86_64__
	u32 offset_top, reserved;
#endif
};
struct table_pointer {
	u16 limit;
	word base;
} __attribute__((packed));
#ifdef __x86_64__
struct tss {
	u32 reserved0;
	u64 rsp[3], reserved1, ist[7], reserved2;
	u16 reserved3, io_map;
	u8 io_bitmap[128 + 1];
} __attribute__((packed));
#else
struct tss {
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp,
		esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, io_map;
	u8 io_bitmap[128 + 1];
} __attribute__((packed));
#endif
extern u64 gdt[64];
extern struct gate idt[256];
extern struct tss tss;
extern u8 kernel_stack0[], kernel_stack0_top[]; /* where events from CPL 3 arrive */
extern struct table_pointer gdt_pointer, idt_pointer;
#define GATE_INT 0xe /* 32- or 64-bit interrupt gate */
#define GATE_TRAP 0xf
#define GATE_TASK 0x5
#define GATE_INT16 0x6
#define GATE_TRAP16 0x7
#define GATE_CALL 0xc
#define GATE_CALL16 0x4
void gate_make(struct gate *g, int type, int dpl, u16 selector, word offset);
void idt_set(int vector, int type, int dpl, word handler, int ist);
word vector_stub(int vector);
/* access: P DPL S type; flags: G D L AVL in the low nibble, as in the descriptor */
u64 descriptor(u32 base, u32 limit, u8 access, u8 flags);
#define ACCESS_CODE0 0x9b
#define ACCESS_DATA0 0x93
#define ACCESS_CODE3 0xfb
#define ACCESS_DATA3 0xf3
#define FLAGS_32 0xc
#define FLAGS_64 0xa
#define FLAGS_16 0x0

/* ---- memory: pages above the program, cleared, never given back */
void *page_alloc(void);
#ifdef __x86_64__
extern u64 pml4[512], pdpt_low[512];
#endif

/* ---- processor */
static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline u8 inb(u16 port)
{
	u8 v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static inline u16 inw(u16 port)
{
	u16 v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}
static inline u32 inl(u16 port)
{
	u32 v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
#define CONTROL_REGISTER(n)                                                 \
	static inline word cr##n##_get(void)                                \
	{                                                                   \
		word v;                                                     \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v)::"memory"); \
		return v;                                                   \
	}                                                                   \
	static inline void cr##n##_set(word v)                              \
	{                                                                   \
		__asm__ volatile("mov %0, %%cr" #n ::"r"(v) : "memory");    \
	}
CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)
#define DEBUG_REGISTER(n)                                                   \
	static inline word dr##n##_get(void)                                \
	{                                                                   \
		word v;                                                     \
		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(v)::"memory"); \
		return v;                                                   \
	}                                                                   \
	static inline void dr##n##_set(word v)                              \
	{                                                                   \
		__asm__ volatile("mov %0, %%dr" #n ::"r"(v) : "memory");    \
	}
DEBUG_REGISTER(0)
DEBUG_REGISTER(1)
DEBUG_REGISTER(2)
DEBUG_REGISTER(3)
DEBUG_REGISTER(6)
DEBUG_REGISTER(7)
static inline u64 msr_get(u32 index)
{
	u32 low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}
static inline void msr_set(u32 index, u64 v)
{
	__asm__ volatile("wrmsr" ::"c"(index), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline word flags_get(void)
{
	word v;
	__asm__ volatile("pushf; pop %0" : "=r"(v)::"memory");
	return v;
}
static inline void flags_set(word v)
{
	__asm__ volatile("push %0; popf" ::"r"(v) : "memory", "cc");
}
static inline void invlpg(word a)
{
	__asm__ volatile("invlpg (%0)" ::"r"(a) : "memory");
}
static inline void lidt(const struct table_pointer *p)
{
	__asm__ volatile("lidt %0" ::"m"(*p));
}
static inline void lgdt(const struct table_pointer *p)
{
	__asm__ volatile("lgdt %0" ::"m"(*p));
}
static inline void cpuid(u32 leaf, u32 sub, u32 out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(sub));
}
static inline u64 rdtsc(void)
{
	u32 low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}
/* register: 0 eax 1 ebx 2 ecx 3 edx; 0 where the leaf is absent */
int cpuid_has(u32 leaf, int reg, int bit);
#define HAS_PCID cpuid_has(1, 2, 17)
#define HAS_X2APIC cpuid_has(1, 2, 21)
#define HAS_TSC_DEADLINE cpuid_has(1, 2, 24)
#define HAS_SMEP cpuid_has(7, 1, 7)
#define HAS_INVPCID cpuid_has(7, 1, 10)
#define HAS_SMAP cpuid_has(7, 1, 20)

/* ---- interrupts, for the guests that use them: common/irq.c */
void pic_init(u8 master_mask, u8 slave_mask); /* vectors 0x20 and 0x28 */
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 v);
void apic_enable(void); /* software enable, spurious vector 0xff, LVTs masked, TPR 0 */

void guest_main(void);
#endif
