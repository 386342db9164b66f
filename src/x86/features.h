/* SPDX-License-Identifier: MIT */
/* The instruction set extensions that opcodes.table's cpuid column and the CPU models speak of. */
#ifndef X86_FEATURES_H
#define X86_FEATURES_H

/* X(name in upper case) ; the table writes them in lower case. */
/* clang-format does not agree with itself about this. */
/* clang-format off */
#define CPU_FEATURES(X) \
	X(BASE) X(X87) X(CMOV) X(CX8) X(MMX) X(SSE) X(SSE2) X(SSE3) X(SSSE3) X(SSE41) X(SSE42) \
	X(POPCNT) X(CX16) X(LAHF64) X(FXSR) X(XSAVE) X(XSAVEOPT) X(XSAVEC) X(XSAVES) X(AES) \
	X(PCLMUL) X(RDRAND) X(RDSEED) X(RDTSCP) X(SYSCALL) X(SYSENTER) X(LM) X(NX) X(CLFLUSH) \
	X(CLFLUSHOPT) X(CLWB) X(MONITOR) X(INVPCID) X(PCID) X(SMEP) X(SMAP) X(FSGSBASE) \
	X(UMIP) X(MOVBE) X(ABM) X(BMI1) X(BMI2) X(ADX) X(F16C) X(FMA) X(AVX) X(AVX2) \
	X(PREFETCHW) X(RDPID) X(SHA) X(TSC) X(MSR) X(SVM) X(ERMS)
/* clang-format on */

enum cpu_feature {
#define X(name) FEATURE_##name,
	CPU_FEATURES(X)
#undef X
		FEATURE_COUNT
};

#endif
