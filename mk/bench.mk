# SPDX-License-Identifier: MIT
# The figures of docs/performance.md.

GUEST := build/guest
BENCH_FLAGS := -O2 -Wall -Wextra -static -nostdlib -fno-pie -no-pie -fno-stack-protector -fcf-protection=none \
	-fno-tree-vectorize -fno-tree-loop-distribute-patterns

$(BUILD)/tests/bench/loops: tests/bench/loops.c
	@mkdir -p $(@D)
	gcc $(BENCH_FLAGS) -o $@ $<
$(BUILD)/tests/bench/initrd: $(BUILD)/tests/bench/loops $(GUEST)/packages/busybox/busybox tools/make-initrd tools/guest-init
	tools/make-initrd $@ --busybox $(GUEST)/packages/busybox/busybox --add $<=bin/loops

## make bench           the figures, side by side with QEMU where it is installed; BENCH="--update-docs" for more options
.PHONY: bench
bench:
	tools/install-dependencies bench
	@$(MAKE) --no-print-directory all guest $(BUILD)/tests/bench/initrd
	tests/bench/run --lodge $(BUILD)/lodge --initrd $(BUILD)/tests/bench/initrd --results $(BUILD)/bench $(BENCH)
