/* SPDX-License-Identifier: MIT */
/*
 * The real processor's side. The instruction lies on a page of its own before INT3s; the state is loaded
 * by a trampoline that jumps there, and whatever happens next is a signal, whose frame has the state after it. The handler
 * then makes the frame return into the trampoline. 32-bit code runs by the same means under Linux's 32-bit code
 * segment.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "differential.h"
#include "x86/features.h"
#include "x86/fpu.h"
#include "x86/model.h"

/* What the trampoline loads and the handler fills. */
extern struct state native_state;
extern u64 native_rsp; /* the host's */
extern u16 native_ss;
extern u8 native_avx;
extern struct {
	u32 rip;
	u16 cs;
} __attribute__((packed)) native_far;
void native_enter(void);
extern const char __executable_start[], etext[];
extern const u8 native_exit[];
struct state native_state __attribute__((aligned(64)));
u64 native_rsp;
u16 native_ss;
u8 native_avx; /* YMM's upper halves are loaded, too */
typeof(native_far) native_far;

static struct outcome *native_outcome;
static u64 native_gs;

/* Offsets of struct state: regs 0, rip 128, rflags 136, fpu 144, ymm_high 656. */
_Static_assert(offsetof(struct state, rflags) == 136 && offsetof(struct state, fpu) == 144 &&
		offsetof(struct state, ymm_high) == 656,
	"trampoline");

__asm__(".text\n"
	".globl native_enter, native_exit\n"
	"native_enter:\n"
	"	pushq %rbx\n	pushq %rbp\n	pushq %r12\n	pushq %r13\n	pushq %r14\n	pushq %r15\n"
	"	movq %rsp, native_rsp(%rip)\n"
	"	fxrstorq native_state+144(%rip)\n"
	"	cmpb $0, native_avx(%rip)\n"
	"	je 1f\n"
	"	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	vinsertf128 $1, native_state+656+16*\\n(%rip), %ymm\\n, %ymm\\n\n"
	"	.endr\n"
	"1:\n"
	"	pushq native_state+136(%rip)\n"
	"	popfq\n"
	"	movq native_state+0(%rip), %rax\n"
	"	movq native_state+8(%rip), %rcx\n"
	"	movq native_state+16(%rip), %rdx\n"
	"	movq native_state+24(%rip), %rbx\n"
	"	movq native_state+40(%rip), %rbp\n"
	"	movq native_state+48(%rip), %rsi\n"
	"	movq native_state+56(%rip), %rdi\n"
	"	movq native_state+64(%rip), %r8\n"
	"	movq native_state+72(%rip), %r9\n"
	"	movq native_state+80(%rip), %r10\n"
	"	movq native_state+88(%rip), %r11\n"
	"	movq native_state+96(%rip), %r12\n"
	"	movq native_state+104(%rip), %r13\n"
	"	movq native_state+112(%rip), %r14\n"
	"	movq native_state+120(%rip), %r15\n"
	"	movw native_ss(%rip), %ss\n"
	"	movq native_state+32(%rip), %rsp\n"
	"	ljmpl *native_far(%rip)\n"
	"native_exit:\n"
	"	cmpb $0, native_avx(%rip)\n"
	"	je 1f\n"
	"	vzeroupper\n"
	"1:\n"
	"	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n	popq %rbp\n	popq %rbx\n"
	"	ret\n");

/*
 * Linux's frame is an XSAVE area in the standard form if it says so in what FXSAVE leaves to software: AVX's component
 * is at 576, and zero where XSTATE_BV has no bit.
 */
static void ymm_from_frame(struct state *state, const u8 *frame)
{
	u32 magic;
	u64 saved;

	memset(state->ymm_high, 0, sizeof(state->ymm_high));
	memcpy(&magic, frame + 464, sizeof(magic));
	memcpy(&saved, frame + 512, sizeof(saved));
	if (native_avx && magic == 0x46505853 /* FP_XSTATE_MAGIC1 */ && (saved & XCR0_AVX))
		memcpy(state->ymm_high, frame + 576, sizeof(state->ymm_high));
}

static void state_from_frame(struct state *state, const ucontext_t *context)
{
	static const int from[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
		REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
	for (unsigned i = 0; i < 16; i++)
		state->regs[i] = (u64)context->uc_mcontext.gregs[from[i]];
	state->rip = (u64)context->uc_mcontext.gregs[REG_RIP];
	state->rflags = (u64)context->uc_mcontext.gregs[REG_EFL];
	memcpy(state->fpu, context->uc_mcontext.fpregs, sizeof(state->fpu));
	ymm_from_frame(state, (const u8 *)context->uc_mcontext.fpregs);
}

/* A trap or a fetch that faults, both beyond the instruction, mean that it completed. */
static void outcome_from_frame(struct outcome *outcome, const ucontext_t *context)
{
	u64 trap = (u64)context->uc_mcontext.gregs[REG_TRAPNO];
	u64 error = (u64)context->uc_mcontext.gregs[REG_ERR];
	u64 cr2 = (u64)context->uc_mcontext.gregs[REG_CR2];
	state_from_frame(&outcome->state, context);
	outcome->faulted = true;
	outcome->vector = (u8)trap;
	outcome->error_code = (u32)error;
	outcome->cr2 = trap == 14 ? cr2 : 0;
	if (trap == 3) {
		outcome->faulted = false;
		outcome->state.rip--;
	} else if (outcome->state.rip != native_far.rip && (trap == 14 || trap == 13)) {
		outcome->faulted = false;
	}
}

static void handler(int signal, siginfo_t *info, void *frame)
{
	ucontext_t *context = frame;
	struct _libc_fpstate *fpu = context->uc_mcontext.fpregs;
	u64 rip = (u64)context->uc_mcontext.gregs[REG_RIP];
	if (!native_outcome || (rip >= (uintptr_t)__executable_start && rip < (uintptr_t)etext)) {
		static const char text[] = "differential: a signal outside of tests\n";
		if (write(2, text, sizeof(text) - 1) < 0)
			_exit(3);
		_exit(3);
	}
	outcome_from_frame(native_outcome, context);
	native_outcome = NULL;
	fpu->cwd = 0x37f;
	fpu->swd = 0;
	fpu->ftw = 0; /* the ABI wants the stack empty, and src/x86/fpu_x87_quick.c counts on it */
	fpu->mxcsr = 0x1f80;
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)native_exit;
	context->uc_mcontext.gregs[REG_RSP] = (greg_t)native_rsp;
	context->uc_mcontext.gregs[REG_EFL] = 0x202;
	u64 selectors = (u64)context->uc_mcontext.gregs[REG_CSGSFS];
	context->uc_mcontext.gregs[REG_CSGSFS] =
		(greg_t)((selectors & 0xffffffff0000) | LINUX_CS64 | (u64)LINUX_DS << 48);
}

static void map_fixed(u64 linear, u64 bytes, int protection)
{
	void *at = mmap((void *)linear, bytes, protection,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
	if (at != (void *)linear) {
		fprintf(stderr, "differential: cannot map %#llx\n", (unsigned long long)linear);
		exit(3);
	}
}

static void handlers_install(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	/* Where no case's RSP points: Linux would take that for the handler's. */
	size_t bytes = 256 * KIB;
	void *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t alternate = {.ss_sp = stack, .ss_size = bytes};
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
	action.sa_sigaction = handler;
	sigfillset(&action.sa_mask);
	sigaltstack(&alternate, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

const struct ldt_segment ldt_segments[LDT_COUNT] = {
	[LDT_CODE_16] = {.base = 0, .limit = 0xffffffff, .code = true},
	[LDT_DATA] = {.base = DATA_LINEAR, .limit = DATA_WRITABLE_BYTES - 1, .wide = true},
	[LDT_DATA_16] = {.base = DATA_LINEAR, .limit = DATA_WRITABLE_BYTES - 1},
	[LDT_READ_ONLY] = {.base = DATA_LINEAR,
		.limit = DATA_PAGES * 4096 - 1,
		.wide = true,
		.read_only = true},
	[LDT_EXPAND_DOWN] = {.base = DATA_LINEAR - 0x10000,
		.limit = 0xffff,
		.wide = true,
		.expand_down = true},
};

static void ldt_set(void)
{
	for (unsigned i = 0; i < LDT_COUNT; i++) {
		const struct ldt_segment *segment = &ldt_segments[i];
		bool pages = segment->limit > 0xfffff;
		struct user_desc description = {
			.entry_number = i,
			.base_addr = segment->base,
			.limit = pages ? segment->limit >> 12 : segment->limit,
			.seg_32bit = segment->wide,
			.contents = segment->code      ? 2
				: segment->expand_down ? 1
						       : 0,
			.read_exec_only = segment->read_only,
			.limit_in_pages = pages,
			.useable = 1,
		};
		if (syscall(SYS_modify_ldt, 1, &description, sizeof(description))) {
			perror("differential: modify_ldt");
			exit(3);
		}
	}
}

void native_init(void)
{
	/* asked once: CPUID takes long in a virtual machine */
	native_avx = cpu_model_runs_on(cpu_model_find("x86-64-v3"), cpu_host_features(), NULL);
	handlers_install();
	map_fixed(CODE_LINEAR, 2 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
	map_fixed(DATA_LINEAR, DATA_WRITABLE_BYTES, PROT_READ | PROT_WRITE);
	map_fixed(DATA_LINEAR + DATA_READ_ONLY, 4096, PROT_READ | PROT_WRITE);
	memset((void *)CODE_LINEAR, 0xcc, 2 * 4096);
	ldt_set();
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1000);
	native_gs = 0x1000;
}

u64 native_fs_base(void)
{
	u64 base = 0;
	syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
	return base;
}

u64 native_gs_base(void)
{
	return native_gs;
}

static void read_only_set(const u8 *data)
{
	void *at = (void *)(DATA_LINEAR + DATA_READ_ONLY);
	if (!memcmp(at, data, 4096))
		return;
	mprotect(at, 4096, PROT_READ | PROT_WRITE);
	memcpy(at, data, 4096);
	mprotect(at, 4096, PROT_READ);
}

/* A case that writes among the code spoils those after it: the generator's fault. */
static void code_check(const struct test_case *test)
{
	static const u8 traps[16] = {0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
		0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc};
	u8 *code = (u8 *)CODE_LINEAR;
	if (!memcmp(code, traps, 16) && !memcmp(code, code + 16, 2 * 4096 - 16))
		return;
	fprintf(stderr, "differential: row %u case %u wrote to the code\n", test->row,
		test->number);
	memset(code, 0xcc, 2 * 4096);
}

void native_run(const struct test_case *test, const u8 *template, struct outcome *outcome)
{
	u8 *code = (u8 *)test->before.rip;
	data_prepare(test, template, (u8 *)DATA_LINEAR);
	read_only_set(template + DATA_READ_ONLY);
	memcpy(code, test->bytes, test->length);
	native_state = test->before;
	native_far.rip = (u32)test->before.rip;
	native_far.cs = test->cs;
	native_ss = test->ss;
	/* 64-bit code, ours included, doesn't care. */
	__asm__ volatile("movw %0, %%ds\n\tmovw %1, %%es" : : "r"(test->ds), "r"(test->es));
	native_outcome = outcome;
	native_enter();
	memset(code, 0xcc, test->length);
	code_check(test);
	outcome->data = (const u8 *)DATA_LINEAR;
}

/* ---- what the host has --------------------------------------------------------------------------- */

struct cpuid_bit {
	u8 feature;
	u32 leaf, subleaf;
	u8 reg, bit; /* eax, ebx, ecx, edx */
};

static const struct cpuid_bit cpuid_bits[] = {
	{FEATURE_SSE3, 1, 0, 2, 0},
	{FEATURE_PCLMUL, 1, 0, 2, 1},
	{FEATURE_SSSE3, 1, 0, 2, 9},
	{FEATURE_FMA, 1, 0, 2, 12},
	{FEATURE_CX16, 1, 0, 2, 13},
	{FEATURE_SSE41, 1, 0, 2, 19},
	{FEATURE_SSE42, 1, 0, 2, 20},
	{FEATURE_MOVBE, 1, 0, 2, 22},
	{FEATURE_POPCNT, 1, 0, 2, 23},
	{FEATURE_AES, 1, 0, 2, 25},
	{FEATURE_XSAVE, 1, 0, 2, 27},
	{FEATURE_AVX, 1, 0, 2, 28},
	{FEATURE_F16C, 1, 0, 2, 29},
	{FEATURE_RDRAND, 1, 0, 2, 30},
	{FEATURE_MONITOR, 1, 0, 2, 3},
	{FEATURE_BMI1, 7, 0, 1, 3},
	{FEATURE_AVX2, 7, 0, 1, 5},
	{FEATURE_BMI2, 7, 0, 1, 8},
	{FEATURE_INVPCID, 7, 0, 1, 10},
	{FEATURE_RDSEED, 7, 0, 1, 18},
	{FEATURE_ADX, 7, 0, 1, 19},
	{FEATURE_SMAP, 7, 0, 1, 20},
	{FEATURE_CLFLUSHOPT, 7, 0, 1, 23},
	{FEATURE_CLWB, 7, 0, 1, 24},
	{FEATURE_SHA, 7, 0, 1, 29},
	{FEATURE_RDPID, 7, 0, 2, 22},
	{FEATURE_LAHF64, 0x80000001, 0, 2, 0},
	{FEATURE_ABM, 0x80000001, 0, 2, 5},
	{FEATURE_PREFETCHW, 0x80000001, 0, 2, 8},
	{FEATURE_RDTSCP, 0x80000001, 0, 3, 27},
	{FEATURE_XSAVEOPT, 13, 1, 0, 0},
	{FEATURE_XSAVEC, 13, 1, 0, 1},
	{FEATURE_XSAVES, 13, 1, 0, 3},
};

static bool cpuid_bit(u32 leaf, u32 subleaf, unsigned reg, unsigned bit)
{
	u32 r[4] = {0};
	if (!__get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]))
		return false;
	return r[reg] & BIT(bit);
}

/* Whatever the list lacks is in every x86-64 processor. */
bool native_has(unsigned feature)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cpuid_bits); i++) {
		const struct cpuid_bit *b = &cpuid_bits[i];
		if (b->feature == feature)
			return cpuid_bit(b->leaf, b->subleaf, b->reg, b->bit);
	}
	return true;
}

bool native_has_avx(void)
{
	return native_avx;
}

bool native_is_intel(void)
{
	u32 r[4];
	__cpuid(0, r[0], r[1], r[2], r[3]);
	return r[2] == 0x6c65746e; /* "ntel" */
}

/* CPUID 7.0 EBX bit 6: FDP moves with unmasked exceptions only. */
bool native_fdp_on_exceptions_only(void)
{
	return cpuid_bit(7, 0, 1, 6);
}
