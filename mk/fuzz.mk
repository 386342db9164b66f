# SPDX-License-Identifier: MIT
# libFuzzer targets: every tests/fuzz/fuzz_NAME.c, linked with the freestanding core and hosts/fake, all of it built by clang with the
# sanitizers. tests/fuzz/NAME.dict is its dictionary, tests/fuzz/seeds/NAME/ its first inputs, where there are any.

FUZZ_SECONDS ?= 10
FUZZ_CC ?= clang-14
FUZZ := $(BUILD)/fuzz
FUZZ_FLAGS := -std=gnu17 -g -O1 -Isrc -I. -I$(GENERATED) $(WARNINGS) -fno-strict-aliasing -fwrapv -fno-omit-frame-pointer -MMD -MP \
	-fno-sanitize-recover=undefined
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,$(FUZZ)/%,$(FUZZ_SOURCES))
# A machine to be hostile to, which several targets share.
FUZZ_SHARED := tests/hostile/machine.c tests/hostile/scenario.c tests/hostile/encode.c
FUZZ_OBJECTS := $(patsubst %.c,$(FUZZ)/objects/%.o,$(filter-out $(HOSTED_LEAVES_OUT),$(FREESTANDING_SOURCES)) $(HOST_FAKE_SOURCES) \
	$(FUZZ_SHARED))

# The processor compares a great deal, none of it with magic words worth guessing: three times as fast without.
fuzz_coverage = $(if $(filter src/x86/%,$(1)),-fno-sanitize-coverage=trace-cmp)

$(FUZZ)/objects/%.o: %.c $(OPCODES_GENERATED)
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  FUZZ-CC $<")
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined $(call fuzz_coverage,$<) $(call layer_flags,$<) -c $< -o $@

$(FUZZ)/liblodge-fuzz.a: $(FUZZ_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

# What a target needs beside: of the host's side, and libraries.
fuzz_objects = $(patsubst %.c,$(FUZZ)/objects/%.o,$(1))
FUZZ_MORE_qcow2 := $(call fuzz_objects,$(filter-out %/chain.c,$(wildcard src/hosts/linux/qcow2/*.c)))
FUZZ_MORE_vhost_ring := $(call fuzz_objects,src/hosts/linux/vhost_ring.c)
FUZZ_MORE_boot_disk := $(call fuzz_objects,src/control/linux/disk/partitions.c)
FUZZ_LIBS_qcow2 := -lz -lzstd

.SECONDEXPANSION:
$(FUZZ)/fuzz_%: $(FUZZ)/objects/tests/fuzz/fuzz_%.o $$(FUZZ_MORE_$$*) $(FUZZ)/liblodge-fuzz.a
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) \
		-Wl,--whole-archive $(FUZZ)/liblodge-fuzz.a -Wl,--no-whole-archive $(FUZZ_LIBS_$*)

.PRECIOUS: $(FUZZ)/objects/%.o

## make fuzz            every fuzz target for FUZZ_SECONDS (10) each
.PHONY: fuzz fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS)
fuzz: $(FUZZ_PROGRAMS)
	tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ) $(FUZZ_PROGRAMS)

-include $(shell find $(FUZZ)/objects -name '*.d' 2>/dev/null)
