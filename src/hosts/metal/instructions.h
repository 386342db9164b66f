/* SPDX-License-Identifier: MIT */
/* The instructions that only the bare machine's owner uses, one function each. APM volume 3. */
#ifndef HOSTS_METAL_INSTRUCTIONS_H
#define HOSTS_METAL_INSTRUCTIONS_H

#include "base/types.h"

static always_inline void port_write_8(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static always_inline void port_write_16(u16 port, u16 value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static always_inline u8 port_read_8(u16 port)
{
	u8 value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static always_inline u16 port_read_16(u16 port)
{
	u16 value;
	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static always_inline u32 port_read_32(u16 port)
{
	u32 value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static always_inline u64 msr_get(u32 index)
{
	u32 low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return low | (u64)high << 32;
}

static always_inline void msr_set(u32 index, u64 value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
			 : "memory");
}

static always_inline u64 tsc_get(void)
{
	u32 low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (u64)high << 32;
}

static always_inline void cpu_pause(void)
{
	__asm__ volatile("pause");
}

static always_inline void interrupts_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static always_inline void interrupts_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static always_inline bool interrupts_are_enabled(void)
{
	u64 flags;
	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags & 0x200;
}

/* Returns what they were, for interrupts_restore. */
static always_inline bool interrupts_save(void)
{
	bool were = interrupts_are_enabled();
	interrupts_disable();
	return were;
}

static always_inline void interrupts_restore(bool were)
{
	if (were)
		interrupts_enable();
}

/* No interrupt is lost between the two: STI's shadow. */
static always_inline void interrupts_enable_and_halt(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

static always_inline _Noreturn void halt_for_ever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static always_inline u64 cr2_get(void)
{
	u64 value;
	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

static always_inline u64 cr3_get(void)
{
	u64 value;
	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static always_inline void cr3_set(u64 value)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static always_inline u64 cr4_get(void)
{
	u64 value;
	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static always_inline void cr4_set(u64 value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static always_inline void tlb_invalidate(u64 linear)
{
	__asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory");
}

static always_inline void xcr0_set(u64 value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((u32)value), "d"((u32)(value >> 32)));
}

#endif
