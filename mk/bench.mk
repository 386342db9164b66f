# SPDX-License-Identifier: MIT
# The figures of docs/performance.md.

GUEST := build/guest
# The workloads: a static program whose code is what its source says, so not vectorized, and the same whatever CC and SANITIZE are.
BENCH_SOURCES := $(sort $(wildcard tests/bench/workloads/*.c))
BENCH_FLAGS := -std=gnu17 -D_GNU_SOURCE -O2 -I. -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-format-nonliteral -static -fno-pie \
	-no-pie -fno-stack-protector -fcf-protection=none -fno-tree-vectorize -fno-tree-loop-distribute-patterns -fno-strict-aliasing -pthread

$(BUILD)/tests/bench/work: $(BENCH_SOURCES) tests/bench/workloads/work.h
	@mkdir -p $(@D)
	gcc $(BENCH_FLAGS) -o $@ $(BENCH_SOURCES)
$(BUILD)/tests/bench/initrd: $(BUILD)/tests/bench/work $(GUEST)/packages/busybox/busybox tools/make-initrd tools/guest-init
	tools/make-initrd $@ --busybox $(GUEST)/packages/busybox/busybox --add $<=bin/work

## make bench           the figures, side by side with QEMU where it is installed; BENCH="--update-docs" for more options
.PHONY: bench
bench:
	tools/install-dependencies bench
	@$(MAKE) --no-print-directory all guest $(BUILD)/tests/bench/initrd
	tests/bench/run --lodge $(BUILD)/lodge --initrd $(BUILD)/tests/bench/initrd --results $(BUILD)/bench $(BENCH)

## make bench-check     every workload of the bench, natively and in a guest: the checksums agree
.PHONY: bench-check
bench-check:
	@$(MAKE) --no-print-directory all guest $(BUILD)/tests/bench/initrd
	tests/bench/run --check --lodge $(BUILD)/lodge --initrd $(BUILD)/tests/bench/initrd

## make lockstep-bench  every workload of the bench with the two engines compared: five to ten minutes
.PHONY: lockstep-bench
lockstep-bench:
	@$(MAKE) --no-print-directory all guest $(BUILD)/tests/bench/initrd
	tests/bench/run --check --engine lockstep --seconds 2 --patience 900 --lodge $(BUILD)/lodge --initrd $(BUILD)/tests/bench/initrd
