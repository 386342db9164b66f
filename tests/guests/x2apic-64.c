/* SPDX-License-Identifier: MIT */
/* x2APIC mode: registers as MSRs (AMD64 volume 2, 16.11). */
#include "guest.h"

static volatile unsigned count, last;
static int on_vector(struct frame *f)
{
	count++;
	last = (unsigned)f->vector;
	msr_set(0x80b, 0);
	return 1;
}

static void window(void)
{
	__asm__ volatile("sti; nop; nop; nop; nop; cli" ::: "memory");
}

static void try_read(const char *name, u32 index)
{
	TRY(__asm__ volatile(CODE("rdmsr")::"c"(index) : "eax", "edx"));
	report(name);
}

static void try_write(const char *name, u32 index, u64 v)
{
	TRY(__asm__ volatile(CODE("wrmsr")::"c"(index), "a"((u32)v), "d"((u32)(v >> 32))));
	report(name);
}

void guest_main(void)
{
	if (!HAS_X2APIC)
		skip("no x2APIC");
	hooks[0x50] = hooks[0x51] = hooks[0x52] = on_vector;
	try_read("x2APIC register outside the mode", 0x802);
	apic_enable();
	try_write("x2APIC without enable", 0x1b, 0xfee00400);
	msr_set(0x1b, 0xfee00d00);
	value("base msr", (word)(msr_get(0x1b) & 0xc00));
	value("id", (word)msr_get(0x802));
	value("ldr", (word)msr_get(0x80d));
	check("version", (msr_get(0x803) & 0xf0) == 0x10);
	msr_set(0x80f, 0x1ff);
	value("svr", (word)msr_get(0x80f));
	msr_set(0x83f, 0x50);
	value("irr after self-IPI", (word)(msr_get(0x822) >> 16 & 1));
	window();
	print("self-IPI: %d of vector %x\n", (int)count, (word)last);
	msr_set(0x830, 0x51);
	window();
	print("icr, physical 0: %d of vector %x\n", (int)count, (word)last);
	msr_set(0x830, 0xffffffff00000052);
	window();
	print("icr, broadcast: %d of vector %x\n", (int)count, (word)last);
	msr_set(0x830, 0x0000000100000852);
	window();
	print("icr, logical: %d of vector %x\n", (int)count, (word)last);
	msr_set(0x830, 0x0001000100000850);
	window();
	print("icr, logical, another cluster: %d\n", (int)count);
	msr_set(0x808, 0x60);
	word cr8;
	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
	value("cr8 after tpr 0x60", cr8);
	msr_set(0x808, 0);
	try_write("id is read-only", 0x802, 0);
	try_write("ldr is read-only", 0x80d, 0);
	try_write("version is read-only", 0x803, 0);
	try_write("EOI of 1", 0x80b, 1);
	try_read("EOI cannot be read", 0x80b);
	try_read("self-IPI cannot be read", 0x83f);
	try_write("tpr with reserved bits", 0x808, 0x100);
	try_write("svr with reserved bits", 0x80f, 0x100001ff);
	try_read("dfr does not exist", 0x80e);
	try_read("icr high does not exist", 0x831);
	try_write("esr of 1", 0x828, 1);
	try_write("timer lvt with reserved bits", 0x832, 0x80010000);
	try_write("back to xAPIC at once", 0x1b, 0xfee00900);
	msr_set(0x1b, 0xfee00100);
	value("disabled", (word)(msr_get(0x1b) & 0xc00));
	try_write("x2APIC from disabled", 0x1b, 0xfee00c00);
	msr_set(0x1b, 0xfee00900);
	value("xAPIC again", (word)(msr_get(0x1b) & 0xc00));
}
