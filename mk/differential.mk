# SPDX-License-Identifier: MIT
# Differential tests: every instruction against the processor that this runs on.

DIFFERENTIAL_OBJECTS := $(call objects,$(addprefix tests/differential/,execute.c generate.c model.c native.c random.c))

# The whole archive, since rows.c refers to the semantics weakly.
$(BUILD)/tests/differential/execute: $(DIFFERENTIAL_OBJECTS) $(BUILD)/liblodge-test.a
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $(DIFFERENTIAL_OBJECTS) -Wl,--whole-archive $(BUILD)/liblodge-test.a -Wl,--no-whole-archive

TRANSLATED_OBJECTS := $(call objects,$(addprefix tests/differential/,translated.c engines.c blocks.c generate.c native.c random.c))
# What generate.c and native.c take of model.c.
$(BUILD)/tests/differential/translated: $(TRANSLATED_OBJECTS) $(call objects,tests/differential/model.c) $(BUILD)/liblodge-test.a
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $(filter %.o,$^) -Wl,--whole-archive $(BUILD)/liblodge-test.a -Wl,--no-whole-archive

## make differential    every instruction that user mode can run against the real processor (SEED=n CASES=n)
SEED ?= 1
CASES ?= 1000
.PHONY: differential
differential: $(BUILD)/tests/differential/execute
	$< --seed $(SEED) --cases $(CASES)

## make differential-translated   the same instructions, and random blocks, translated against interpreted (SEED=n BLOCKS=n)
BLOCKS ?= 20000
TRANSLATED_CASES ?= 200
.PHONY: differential-translated
differential-translated: $(BUILD)/tests/differential/translated
	$< --seed $(SEED) --cases $(TRANSLATED_CASES) --blocks $(BLOCKS)
