# SPDX-License-Identifier: MIT
# The decoder against Zydis (libzydis-dev), and its speed.

# Without the semantics: the tables refer to them weakly.
DECODE_OBJECTS := $(call objects,$(wildcard src/x86/decode/*.c) src/base/text.c src/x86/raise.c)

$(BUILD)/tests/differential/decode_zydis: $(BUILD)/objects/tests/differential/decode_zydis.o $(DECODE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $^ -lZydis

DECODE_CASES ?= 300000
DECODE_SEED ?= 1

## make decode          the decoder against Zydis; DECODE_CASES=10000000 DECODE_SEED=1
.PHONY: decode
decode: $(BUILD)/tests/differential/decode_zydis
	$< --cases $(DECODE_CASES) --seed $(DECODE_SEED)

$(BUILD)/tests/bench/decode: $(BUILD)/objects/tests/bench/decode.o $(DECODE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $^

## make bench-decode    how many instructions the decoder does a second, over its own code
.PHONY: bench-decode
bench-decode: $(BUILD)/tests/bench/decode
	$<
