# SPDX-License-Identifier: MIT
# Differential tests: every instruction against the processor that this runs on.

DIFFERENTIAL_OBJECTS := $(call objects,$(addprefix tests/differential/,execute.c generate.c model.c native.c random.c))

# The whole archive, since rows.c refers to the semantics weakly.
$(BUILD)/tests/differential/execute: $(DIFFERENTIAL_OBJECTS) $(BUILD)/liblodge-test.a
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $(DIFFERENTIAL_OBJECTS) -Wl,--whole-archive $(BUILD)/liblodge-test.a -Wl,--no-whole-archive

## make differential    every instruction that user mode can run against the real processor (SEED=n CASES=n)
SEED ?= 1
CASES ?= 1000
.PHONY: differential
differential: $(BUILD)/tests/differential/execute
	$< --seed $(SEED) --cases $(CASES)
