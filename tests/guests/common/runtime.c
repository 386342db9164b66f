/* SPDX-License-Identifier: MIT */
/* The runtime of tiny guests: output, exceptions caught and told, tables, entry to CPL 3. */
#include "guest.h"

#include <stdarg.h>

struct trap trap;
struct context recovery;
volatile int recovery_armed;
int failed;
hook_fn hooks[256];
volatile word try_ip;
USER_DATA volatile word user_try_ip = 0;
USER_DATA u8 user_stack[4096] __attribute__((aligned(16))) = {0};
__asm__(".global user_stack_top\n.set user_stack_top, user_stack + 4096");
u8 kernel_stack0[8192] __attribute__((aligned(16)));
__asm__(".global kernel_stack0_top\n.set kernel_stack0_top, kernel_stack0 + 8192");
struct gate idt[256] __attribute__((aligned(16)));
struct tss tss __attribute__((aligned(128)));
struct table_pointer gdt_pointer, idt_pointer;
extern u8 stubs[];

/* Base 0, limit 4 GiB, accessed already: the processor then writes nothing. */
u64 gdt[64] __attribute__((aligned(16), section(".data"))) = {
	[KERNEL_DS / 8] = 0x00cf93000000ffff,
	[USER_CS32 / 8] = 0x00cffb000000ffff,
	[USER_DS / 8] = 0x00cff3000000ffff,
	[USER_CS64 / 8] = 0x00affb000000ffff,
	[KERNEL_CS32 / 8] = 0x00cf9b000000ffff,
	[CODE16 / 8] = 0x00009b000000ffff,
	[DATA16 / 8] = 0x000093000000ffff,
#ifdef __x86_64__
	[KERNEL_CS / 8] = 0x00af9b000000ffff,
#else
	[KERNEL_CS / 8] = 0x00cf9b000000ffff,
#endif
};
#ifndef __x86_64__
struct table_pointer gdt_pointer = {sizeof(gdt) - 1, (word)gdt};
#endif

void *fill(void *to, int c, size_t n)
{
	u8 *p = to;

	while (n--)
		*p++ = (u8)c;
	return to;
}

void *copy(void *to, const void *from, size_t n)
{
	u8 *p = to;
	const u8 *q = from;

	while (n--)
		*p++ = *q++;
	return to;
}

/* gcc may ask for these by name */
void *memset(void *to, int c, size_t n);
void *memset(void *to, int c, size_t n)
{
	return fill(to, c, n);
}

void *memcpy(void *to, const void *from, size_t n);
void *memcpy(void *to, const void *from, size_t n)
{
	return copy(to, from, n);
}

/*
 * ---- output -------------------------------------------------------------------------------------
 */
static char held[16384];
static unsigned held_length;
static int holding;

void output_hold(void)
{
	holding = 1;
}

static void put_char(char c)
{
	if (holding && held_length < sizeof(held)) {
		held[held_length++] = c;
		return;
	}
	while (!(inb(0x3fd) & 0x20))
		;
	outb(0x3f8, (u8)c);
}

static void put(const char *s)
{
	while (*s)
		put_char(*s++);
}

static void put_hex(u64 v)
{
	int shift = 60;

	put("0x");
	while (shift > 0 && !(v >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[v >> shift & 15]);
}

static void put_decimal(int v)
{
	char text[12];
	int n = 0;
	unsigned u = v < 0 ? -(unsigned)v : (unsigned)v;

	if (v < 0)
		put_char('-');
	do
		text[n++] = (char)('0' + u % 10);
	while (u /= 10);
	while (n)
		put_char(text[--n]);
}

void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		switch (*++fmt) {
		case 's':
			put(va_arg(args, const char *));
			break;
		case 'x':
			put_hex(va_arg(args, word));
			break;
		case 'q':
			put_hex(va_arg(args, u64));
			break;
		case 'd':
			put_decimal(va_arg(args, int));
			break;
		case 'c':
			put_char((char)va_arg(args, int));
			break;
		default:
			put_char(*fmt);
		}
	}
	va_end(args);
}

void value(const char *name, word v)
{
	print("%s: %x\n", name, v);
}

void check(const char *name, int good)
{
	print("%s: %s\n", name, good ? "yes" : "NO");
	if (!good)
		failed = 1;
}

void output_release(void)
{
	holding = 0;
	for (unsigned i = 0; i < held_length; i++)
		put_char(held[i]);
	held_length = 0;
}

void finish(void)
{
	output_release();
	put("done\n");
	outb(0xf4, failed ? 1 : 0);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void skip(const char *why)
{
	print("skip: %s\n", why);
	finish();
}

/*
 * ---- exceptions ---------------------------------------------------------------------------------
 */
static const char *const mnemonics[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
	"#DF", "#9", "#TS", "#NP", "#SS", "#GP", "#PF", "#15", "#MF", "#AC", "#MC", "#XM"};

static int has_error_code(word vector)
{
	return vector == DF || (vector >= TS && vector <= PF) || vector == AC;
}

void report_trap(void)
{
	if (trap.vector == NONE) {
		print("ok");
		return;
	}
	if (trap.vector <= XM)
		print("%s", mnemonics[trap.vector]);
	else
		print("vector %x", trap.vector);
	if (has_error_code(trap.vector))
		print("(%x)", trap.error);
	if (trap.vector == PF)
		print(" cr2=%x", trap.cr2);
	word from = (trap.cs & 3) && user_try_ip ? user_try_ip : try_ip;

	if (trap.ip - from < 64)
		print(" +%d", (int)(trap.ip - from));
	else if (from - trap.ip < 64)
		print(" -%d", (int)(from - trap.ip));
	if (trap.cs & 3)
		print(" cpl%d", (int)(trap.cs & 3));
}

void report(const char *name)
{
	print("%s: ", name);
	report_trap();
	print("\n");
}

void trap_clear(void)
{
	fill(&trap, 0, sizeof(trap));
	trap.vector = NONE;
	try_ip = 0;
	if (!(cr4_get() & CR4_SMAP))
		user_try_ip = 0;
}

void trap_restore_state(void)
{
	flags_set(2);
	if (trap.vector == USER_EXIT)
		trap.vector = NONE;
}

void trap_enter(struct frame *f);
void trap_enter(struct frame *f)
{
	word cr2 = cr2_get();

	trap.handler_flags = flags_get();
	if (hooks[f->vector] && hooks[f->vector](f))
		return;
	trap.vector = f->vector;
	trap.error = f->error;
	trap.ip = f->ip;
	trap.cs = f->flags & FLAG_VM ? (f->cs & 0xffff) << 4 : f->cs & 0xffff;
	trap.flags = f->flags;
	trap.cr2 = cr2;
	trap.ax = f->ax;
	trap.count++;
#ifndef __x86_64__
	if (!(f->cs & 3) && !(f->flags & FLAG_VM)) {
		trap.sp = (word)&f->sp;
		trap.ss = KERNEL_DS;
	} else
#endif
	{
		trap.sp = f->sp;
		trap.ss = f->ss & 0xffff;
	}
	if (recovery_armed) {
		recovery_armed = 0;
		context_restore(&recovery);
	}
	print("unexpected: ");
	report_trap();
	print(" ip=%x flags=%x sp=%x\n", trap.ip, trap.flags, trap.sp);
	failed = 1;
	finish();
}

/*
 * ---- tables -------------------------------------------------------------------------------------
 */
u64 descriptor(u32 base, u32 limit, u8 access, u8 flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 |
		(u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 | (u64)(base >> 24) << 56;
}

void gate_make(struct gate *g, int type, int dpl, u16 selector, word offset)
{
	fill(g, 0, sizeof(*g));
	g->offset_low = (u16)offset;
	g->selector = selector;
	g->flags = (u16)(0x8000 | dpl << 13 | type << 8);
	g->offset_high = (u16)(offset >> 16);
#ifdef __x86_64__
	g->offset_top = (u32)(offset >> 32);
#endif
}

void idt_set(int vector, int type, int dpl, word handler, int ist)
{
	gate_make(&idt[vector], type, dpl, KERNEL_CS, handler);
	idt[vector].flags |= (u16)ist;
}

word vector_stub(int vector)
{
	return (word)stubs + (word)vector * 16;
}

void user_enter(void *fn, word a, word b)
{
	user_enter_flags(fn, a, b, 2, USER_CS | 3, USER_DS | 3);
}

int cpuid_has(u32 leaf, int reg, int bit)
{
	u32 r[4];

	cpuid(leaf & 0x80000000, 0, r);
	if (r[0] < leaf)
		return 0;
	cpuid(leaf, 0, r);
	return r[reg] >> bit & 1;
}

void *page_alloc(void)
{
	static word next = 0x800000;
	void *page = (void *)next;

	next += 4096;
	return fill(page, 0, 4096);
}

#ifdef __x86_64__
/* CPL 3 may use its own pages and no others; 4 KiB pages below 4 MiB. */
static void user_pages_init(void)
{
	extern u64 page_directories[2048];

	for (int i = 0; i < 2; i++) {
		u64 *table = page_alloc();

		for (int j = 0; j < 512; j++) {
			u64 page = ((u64)i << 21) + ((u64)j << 12);
			int user = page >= (u64)user_start && page < (u64)user_end;

			table[j] = page | (user ? 7 : 3);
		}
		page_directories[i] = (u64)table | 7;
	}
	cr3_set(cr3_get());
}
#endif

static void tables_init(void)
{
	gdt_pointer.limit = sizeof(gdt) - 1;
	gdt_pointer.base = (word)gdt;
	for (int i = 0; i < 256; i++)
		idt_set(i, GATE_INT, i == USER_EXIT || i == BP || i == OF ? 3 : 0, vector_stub(i),
			0);
	idt_pointer.limit = sizeof(idt) - 1;
	idt_pointer.base = (word)idt;
#ifdef __x86_64__
	tss.rsp[0] = (word)kernel_stack0_top;
	gdt[TSS_SELECTOR / 8 + 1] = 0;
#else
	tss.esp0 = (word)kernel_stack0_top;
	tss.ss0 = KERNEL_DS;
#endif
	tss.io_map = offsetof(struct tss, io_bitmap);
	fill(tss.io_bitmap, 0xff, sizeof(tss.io_bitmap));
	gdt[TSS_SELECTOR / 8] = descriptor((u32)(word)&tss, sizeof(tss) - 1, 0x89, 0);
	lgdt(&gdt_pointer);
	lidt(&idt_pointer);
	__asm__ volatile("lldt %w0" ::"r"(0));
	__asm__ volatile("ltr %w0" ::"r"(TSS_SELECTOR));
}

void runtime_start(void);
void runtime_start(void)
{
	outb(0x3f9, 0);
	outb(0x3fb, 0x80);
	outb(0x3f8, 1);
	outb(0x3f9, 0);
	outb(0x3fb, 3);
	outb(0x3fa, 7);
	outb(0x3fc, 0);
	/* nothing may interrupt a guest that did not ask: both 8259s masked */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	cr0_set((cr0_get() & ~(CR0_EM | CR0_TS | CR0_WP | CR0_AM | CR0_CD | CR0_NW)) | CR0_MP |
		CR0_NE);
	tables_init();
#ifdef __x86_64__
	user_pages_init();
#endif
	((word *)user_stack_top)[-1] = (word)user_exit;
	guest_main();
	finish();
}
