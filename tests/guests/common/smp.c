/* SPDX-License-Identifier: MIT */
/* Starting other processors (Intel volume 3, 8.4; AMD64 volume 2, 15.27.8 and 16.5). */
#include "smp.h"

struct smp_start smp_starts[SMP_MAX];
int smp_x2apic;
extern u8 smp_stacks[SMP_MAX][8192];
u8 smp_stacks[SMP_MAX][8192] __attribute__((aligned(16)));
static void (*volatile job)(unsigned cpu);
static volatile u32 job_number, jobs_done;
static volatile u32 barrier_count, barrier_round;
static int is_prepared;

/* The trampoline is copied to a page below 1 MiB and runs there in real mode; what it finds it keeps in registers. */
extern u8 smp_trampoline[], smp_trampoline_1[], smp_trampoline_end[];
/* clang-format off */
__asm__(".text\n"
	".code16\n"
	"smp_trampoline:\n"
	/* a little stack of its own, with flags as they were: many may be here at once */
	" mov %edx, %esi\n mov $1, %eax\n cpuid\n bswap %ebx\n movzbl %bl, %ebx\n"
	" leal 0x6020(, %ebx, 8), %esp\n"
	" call 1f\n"
	"1:\nsmp_trampoline_1: pop %bp\n"
	" pushf\n pop %bx\n"
	" mov %cs, %di\n"
	" mov %di, %ds\n"
	" mov %cr0, %edx\n"
	" lgdtl smp_pointer - smp_trampoline\n"
	" mov $0x31, %eax\n mov %eax, %cr0\n"
	" ljmpl $0x40, $smp_start32\n"
	" .balign 8\n"
	"smp_pointer: .word 511\n .long gdt\n"
	"smp_trampoline_end:\n"
	".code32\n"
	"smp_start32:\n"
	" mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n"
	" mov %edx, %esp\n"
	" mov $0x20, %eax\n mov %eax, %cr4\n"
	" mov $pml4, %eax\n mov %eax, %cr3\n"
	" mov $0xc0000080, %ecx\n mov $0x100, %eax\n xor %edx, %edx\n wrmsr\n"
	" mov $0x80000031, %eax\n mov %eax, %cr0\n"
	" ljmp $0x08, $1f\n"
	".code64\n"
	"1: xor %eax, %eax\n mov %eax, %fs\n mov %eax, %gs\n"
	" mov %esp, %r12d\n mov %ebx, %r13d\n mov %edi, %r14d\n mov %esi, %r15d\n"
	" mov $1, %eax\n xor %ecx, %ecx\n cpuid\n shr $24, %ebx\n"
	" mov %ebx, %esp\n inc %esp\n shl $13, %esp\n add $smp_stacks, %rsp\n"
	" push $2\n popf\n"
	" mov %ebx, %edi\n mov %r14d, %esi\n mov %ebp, %edx\n mov %r13d, %ecx\n mov %r12d, %r8d\n mov %r15d, %r9d\n"
	" call smp_main\n");
/* clang-format on */

unsigned smp_count(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	unsigned count = r[1] >> 16 & 0xff;
	return count ? count : 1;
}

unsigned smp_self(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	return r[1] >> 24;
}

void smp_eoi(void)
{
	if (smp_x2apic)
		msr_set(0x80b, 0);
	else
		apic_write(0xb0, 0);
}

void smp_ipi(u32 command, u32 destination)
{
	if (smp_x2apic) {
		mfence(); /* the MSRs are not ordered against stores */
		msr_set(0x830, (u64)destination << 32 | command);
		return;
	}
	for (unsigned i = 0; i < 1000000 && apic_read(0x300) & 0x1000; i++)
		;
	apic_write(0x310, destination << 24);
	apic_write(0x300, command);
}

static int on_wake(struct frame *f)
{
	smp_eoi();
	return 1;
}

/* By the 8254's gate 2, about. */
u64 smp_ticks(unsigned ms)
{
	static u64 per_ms;
	if (!per_ms) {
		outb(0x61, (inb(0x61) & ~2) | 1);
		outb(0x43, 0xb0);
		outb(0x42, 11932 & 0xff);
		outb(0x42, 11932 >> 8);
		u64 start = rdtsc();
		for (unsigned i = 0; i < 10000000 && !(inb(0x61) & 0x20); i++)
			;
		per_ms = (rdtsc() - start) / 10;
	}
	return per_ms * ms;
}

void smp_delay(unsigned ms)
{
	u64 start = rdtsc();
	while (rdtsc() - start < smp_ticks(ms))
		__asm__ volatile("pause");
}

static void sleep_until_job(u32 last)
{
	while (job_number == last)
		__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void smp_main(unsigned cpu, u32 cs, u32 ip, u32 flags, u32 cr0, u32 edx);
void smp_main(unsigned cpu, u32 cs, u32 ip, u32 flags, u32 cr0, u32 edx)
{
	struct smp_start *start = &smp_starts[cpu];
	u32 last = job_number;

	lgdt(&gdt_pointer);
	lidt(&idt_pointer);
	if (!(msr_get(0x1b) & 0x400)) /* INIT leaves x2APIC mode on */
		apic_enable();
	if (smp_x2apic) {
		msr_set(0x1b, msr_get(0x1b) | 0xc00);
		msr_set(0x80f, 0x1ff);
	}
	start->cs = cs & 0xffff;
	start->ip = (ip & 0xffff) - (u32)(smp_trampoline_1 - smp_trampoline);
	start->flags = flags & 0xffff;
	start->cr0 = cr0;
	start->edx = edx;
	__atomic_fetch_add(&start->count, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		__asm__ volatile("cli");
		sleep_until_job(last);
		last = job_number;
		job(cpu);
		__atomic_fetch_add(&jobs_done, 1, __ATOMIC_SEQ_CST);
	}
}

void smp_prepare(void)
{
	if (is_prepared)
		return;
	is_prepared = 1;
	smp_ticks(1);
	hooks[SMP_WAKE] = on_wake;
	pic_init(0xff, 0xff);
	if (!smp_x2apic)
		apic_enable();
	copy((void *)SMP_TRAMPOLINE, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
}

int smp_wait_started(unsigned cpu, u32 count)
{
	return WAIT_FOR(smp_starts[cpu].count >= count);
}

int smp_start(void)
{
	smp_prepare();
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_INIT, 0);
	smp_delay(10);
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_SIPI | SMP_TRAMPOLINE >> 12, 0);
	smp_delay(1);
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_SIPI | SMP_TRAMPOLINE >> 12, 0);
	int all = 1;
	for (unsigned i = 1; i < smp_count(); i++)
		all &= smp_wait_started(i, 1);
	return all;
}

int smp_start_one(unsigned cpu, u32 page)
{
	u32 count = smp_starts[cpu].count;
	smp_prepare();
	copy((void *)(word)page, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
	smp_ipi(ICR_ASSERT | ICR_INIT, cpu);
	smp_delay(1);
	smp_ipi(ICR_ASSERT | ICR_SIPI | page >> 12, cpu);
	return smp_wait_started(cpu, count + 1);
}

void smp_go(void (*fn)(unsigned cpu))
{
	barrier_count = 0;
	jobs_done = 0;
	job = fn;
	__atomic_fetch_add(&job_number, 1, __ATOMIC_SEQ_CST);
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_FIXED | SMP_WAKE, 0);
}

int smp_join(void)
{
	return WAIT_FOR(jobs_done == smp_count() - 1);
}

int smp_run(void (*fn)(unsigned cpu))
{
	smp_go(fn);
	fn(0);
	return smp_join();
}

void smp_barrier(void)
{
	u32 round = barrier_round;
	if (__atomic_add_fetch(&barrier_count, 1, __ATOMIC_SEQ_CST) == smp_count()) {
		barrier_count = 0;
		__atomic_fetch_add(&barrier_round, 1, __ATOMIC_SEQ_CST);
	} else if (!WAIT_FOR(barrier_round != round)) {
		print("a processor is missing at a barrier: NO\n");
		failed = 1;
		finish();
	}
}
