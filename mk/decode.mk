# SPDX-License-Identifier: MIT
# The decoder against Zydis (libzydis-dev), and its speed.

DECODE_OBJECTS := $(call objects,$(wildcard src/x86/decode/*.c) src/base/text.c)

$(BUILD)/tests/differential/decode_zydis: $(BUILD)/objects/tests/differential/decode_zydis.o $(BUILD)/liblodge-test.a
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $< -Wl,--whole-archive $(BUILD)/liblodge-test.a -Wl,--no-whole-archive -lZydis

DECODE_CASES ?= 300000
DECODE_SEED ?= 1

## make decode          the decoder against Zydis; DECODE_CASES=10000000 DECODE_SEED=1
.PHONY: decode
decode: $(BUILD)/tests/differential/decode_zydis
	$< --cases $(DECODE_CASES) --seed $(DECODE_SEED)
