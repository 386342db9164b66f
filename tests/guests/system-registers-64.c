/* SPDX-License-Identifier: MIT */
/*
 * CPUID, MSRs, control registers, counters, xsetbv: what is refused and what stays (AMD64 volume 2,
 * 3; volume 3, CPUID).
 */
#include "guest.h"

static void rd(const char *name, u32 index)
{
	TRY(__asm__ volatile(CODE("rdmsr")::"c"(index) : "eax", "edx"));
	report(name);
}

static void wr(const char *name, u32 index, u64 v)
{
	TRY(__asm__ volatile(CODE("wrmsr")::"c"(index), "a"((u32)v), "d"((u32)(v >> 32))));
	report(name);
}

static void feature(const char *name, u32 leaf, int reg, int bit)
{
	print("%s: %d\n", name, cpuid_has(leaf, reg, bit));
}

static void cr4_try(const char *name, word bits)
{
	SHOW(name, "mov %0, %%cr4", "r"(cr4_get() | bits));
}

extern u8 user_rdtsc[], user_rdpmc[], user_in[], user_in16[], user_hlt[];
/* clang-format off */
__asm__(".pushsection .user\n"
	"user_rdtsc:\n" UCODE("rdtsc") "ret\n"
	"user_rdpmc: mov $0, %ecx\n" UCODE("rdpmc") "ret\n"
	"user_in: mov %edi, %edx\n" UCODE("inb %dx, %al") "ret\n"
	"user_in16: mov %edi, %edx\n" UCODE("inl %dx, %eax") "ret\n"
	"user_hlt:\n" UCODE("hlt") "ret\n"
	".popsection");
/* clang-format on */

static void io_try(const char *name, void *fn, word port)
{
	TRY_USER(fn, port, 0);
	report(name);
}

void guest_main(void)
{
	u32 r[4], vendor[4];

	cpuid(0, 0, r);
	vendor[0] = r[1];
	vendor[1] = r[3];
	vendor[2] = r[2];
	vendor[3] = 0;
	print("vendor: %s\n", (const char *)vendor);
	static const struct {
		const char *name;
		u32 leaf;
		int reg, bit;
	} features[] = {
		{"fpu", 1, 3, 0},
		{"pse", 1, 3, 3},
		{"tsc", 1, 3, 4},
		{"msr", 1, 3, 5},
		{"pae", 1, 3, 6},
		{"cx8", 1, 3, 8},
		{"apic", 1, 3, 9},
		{"sep", 1, 3, 11},
		{"mtrr", 1, 3, 12},
		{"pge", 1, 3, 13},
		{"cmov", 1, 3, 15},
		{"pat", 1, 3, 16},
		{"pse36", 1, 3, 17},
		{"clflush", 1, 3, 19},
		{"mmx", 1, 3, 23},
		{"fxsr", 1, 3, 24},
		{"sse", 1, 3, 25},
		{"sse2", 1, 3, 26},
		{"sse3", 1, 2, 0},
		{"pclmulqdq", 1, 2, 1},
		{"ssse3", 1, 2, 9},
		{"cx16", 1, 2, 13},
		{"sse4.1", 1, 2, 19},
		{"sse4.2", 1, 2, 20},
		{"popcnt", 1, 2, 23},
		{"aes", 1, 2, 25},
		{"xsave", 1, 2, 26},
		{"rdrand", 1, 2, 30},
		{"hypervisor", 1, 2, 31},
		{"smep", 7, 1, 7},
		{"smap", 7, 1, 20},
		{"syscall", 0x80000001, 3, 11},
		{"nx", 0x80000001, 3, 20},
		{"1 GiB pages", 0x80000001, 3, 26},
		{"rdtscp", 0x80000001, 3, 27},
		{"long mode", 0x80000001, 3, 29},
		{"lahf in long mode", 0x80000001, 2, 0},
	};
	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		feature(features[i].name, features[i].leaf, features[i].reg, features[i].bit);
	u32 again[4];
	cpuid(1, 0, r);
	cpuid(1, 0, again);
	check("cpuid is stable", r[0] == again[0] && r[2] == again[2] && r[3] == again[3]);
	cpuid(0x80000000, 0, r);
	check("extended leaves up to 0x80000008", r[0] >= 0x80000008);
	cpuid(0x80000008, 0, r);
	value("linear address bits", r[0] >> 8 & 0xff);
	cpuid(1, 0, r);
	int osxsave = r[2] >> 27 & 1;
	cr4_set(cr4_get() | CR4_OSXSAVE);
	cpuid(1, 0, r);
	print("osxsave follows CR4: %d %d\n", osxsave, (int)(r[2] >> 27 & 1));

	rd("rdmsr 0x12345678", 0x12345678);
	rd("rdmsr 0x40001234", 0x40001234);
	wr("wrmsr 0x12345678", 0x12345678, 0);
	rd("rdmsr EFER", MSR_EFER);
	wr("EFER: reserved bit 1", MSR_EFER, msr_get(MSR_EFER) | 2);
	wr("EFER: reserved bit 40", MSR_EFER, msr_get(MSR_EFER) | 1ull << 40);
	wr("EFER: LME off while paging", MSR_EFER, msr_get(MSR_EFER) & ~(u64)EFER_LME);
	wr("EFER: SCE and NXE", MSR_EFER, msr_get(MSR_EFER) | EFER_SCE | EFER_NXE);
	value("EFER", (word)msr_get(MSR_EFER));
	msr_set(MSR_EFER, EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE);
	wr("LSTAR not canonical", 0xc0000082, 0x800000000000);
	wr("CSTAR not canonical", 0xc0000083, 0x800000000000);
	wr("LSTAR canonical", 0xc0000082, 0xffff800000000000);
	check("LSTAR kept", msr_get(0xc0000082) == 0xffff800000000000);
	wr("SYSENTER_EIP", 0x176, 0x123456);
	check("SYSENTER_EIP kept", msr_get(0x176) == 0x123456);
	wr("FMASK", 0xc0000084, 0x47700);
	value("FMASK", (word)msr_get(0xc0000084));
	wr("PAT", 0x277, 0x0007040600070406);
	wr("PAT with type 2", 0x277, 0x0007040600070402);
	wr("PAT with type 0x80", 0x277, 0x8007040600070406);
	wr("apic base with a reserved bit", 0x1b, 0xfee00901);
	msr_set(0x1b, 0xfee00900);
	msr_set(0xc0000102, 0x1122334455);
	msr_set(0xc0000101, 0x99);
	__asm__ volatile("swapgs");
	print("swapgs: %q %q\n", msr_get(0xc0000101), msr_get(0xc0000102));
	__asm__ volatile("swapgs");
	wr("TSC_AUX", 0xc0000103, 0x1234);
	u32 aux;
	__asm__ volatile("rdtscp" : "=c"(aux)::"eax", "edx");
	value("rdtscp: aux", aux);
	/* tsc */
	u64 t = rdtsc();
	check("tsc advances", rdtsc() > t || rdtsc() > t);
	wr("tsc can be written", 0x10, 0x100000000000);
	value("tsc's high bits", (word)(rdtsc() >> 40));

	/* control registers */
	word cr0 = cr0_get();
	static const struct {
		const char *name;
		word clear, set;
	} changes[] = {
		{"cr0: WP", 0, CR0_WP},
		{"cr0: NW without CD", CR0_CD, CR0_NW},
		{"cr0: CD", 0, CR0_CD},
		{"cr0: CD and NW", 0, CR0_CD | CR0_NW},
		{"cr0: bit 32", 0, 1ul << 32},
		{"cr0: bit 6 is ignored", 0, 0x40},
	};
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		/*
		 * given back at once: what a lenient processor takes may be no place to go on from
		 */
		TRY(__asm__ volatile(CODE("mov %0, %%cr0") "mov %1, %%cr0" ::"r"(
					     (cr0 & ~changes[i].clear) | changes[i].set),
				     "r"(cr0)
				     : "memory"));
		report(changes[i].name);
	}
	cr0_set(cr0 | 0x40);
	value("cr0", cr0_get());
	cr4_try("cr4: PGE, PCE, TSD, DE", CR4_PGE | CR4_PCE | CR4_TSD | CR4_DE);
	cr4_set(cr4_get() & ~(CR4_PGE | CR4_PCE | CR4_TSD | CR4_DE));
	SHOW("cr3: PWT, PCD", "mov %0, %%cr3", "r"(cr3_get() | 0x18));
	value("cr3's low bits", cr3_get() & 0xfff);
	cr3_set(cr3_get() & ~0x18ul);
	cr2_set(0x123456789abcdef0);
	value("cr2 keeps anything", cr2_get());

	/* smsw, lmsw, clts */
	word sw;
	__asm__ volatile("smsw %0" : "=r"(sw));
	check("smsw of 64 bits is cr0", sw == cr0_get());
	__asm__ volatile("lmsw %w0" ::"r"(0xe));
	value("lmsw sets MP, EM, TS and cannot clear PE", cr0_get() & 0xf);
	__asm__ volatile("clts");
	value("clts", cr0_get() & 0xf);
	cr0_set((cr0_get() & ~CR0_EM) | CR0_MP);

	/* counters */
	TRY_USER(user_rdtsc, 0, 0);
	report("rdtsc at CPL 3");
	cr4_set(cr4_get() | CR4_TSD);
	TRY_USER(user_rdtsc, 0, 0);
	report("rdtsc at CPL 3 with TSD");
	SHOW("rdtsc at CPL 0 with TSD", "rdtsc", "a"(0), "d"(0));
	cr4_set(cr4_get() & ~CR4_TSD);
	TRY_USER(user_rdpmc, 0, 0);
	report("rdpmc at CPL 3 without PCE");
	TRY_USER(user_hlt, 0, 0);
	report("hlt at CPL 3");

	/* what the model lacks is undefined */
	feature("monitor", 1, 2, 3);
	SHOW("monitor is not there", "monitor", "a"(user_stack), "c"(0), "d"(0));
	SHOW("mwait is not there", "mwait", "a"(0), "c"(1));

	/* xsetbv */
	SHOW("xgetbv 0", "xgetbv", "a"(0), "c"(0), "d"(0));
	SHOW("xsetbv 0: x87 and SSE", "xsetbv", "a"(3), "c"(0), "d"(0));
	SHOW("xsetbv 0: no x87", "xsetbv", "a"(2), "c"(0), "d"(0));
	SHOW("xsetbv 0: high bit", "xsetbv", "a"(3), "c"(0), "d"(0x80000000));
	SHOW("xsetbv 0x100", "xsetbv", "a"(3), "c"(0x100), "d"(0));
	cr4_set(cr4_get() & ~CR4_OSXSAVE);
	SHOW("xgetbv without CR4.OSXSAVE", "xgetbv", "a"(0), "c"(0), "d"(0));

	/* the I/O permission bitmap */
	tss.io_bitmap[0x80 / 8] &= (u8)~1;
	io_try("port allowed by the bitmap", user_in, 0x80);
	io_try("port refused by the bitmap", user_in, 0x81);
	io_try("four ports, one of them allowed", user_in16, 0x80);
	tss.io_bitmap[0x80 / 8] = 0xf0;
	io_try("four ports, all allowed", user_in16, 0x80);
	tss.io_bitmap[0x86 / 8] = 0x3f;
	tss.io_bitmap[0x88 / 8] = 0xfc;
	io_try("four ports over two bytes of the bitmap", user_in16, 0x86);
	tss.io_bitmap[0x88 / 8] = 0xfe;
	io_try("the last of them refused", user_in16, 0x86);
	io_try("port past the bitmap", user_in, 0x5000);
	TRY(user_enter_flags(user_in, 0x81, 0, 0x3002, USER_CS | 3, USER_DS | 3));
	report("IOPL 3 needs no bitmap");
	tss.io_map = sizeof(tss) + 8;
	io_try("bitmap past the limit", user_in, 0x80);
}
