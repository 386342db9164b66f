# SPDX-License-Identifier: MIT
# Unit tests: every tests/unit/**/test_*.c is one cmocka program, linked with the freestanding core on hosts/fake.

UNIT_SOURCES := $(sort $(shell find tests/unit -name 'test_*.c' 2>/dev/null))
UNIT_PROGRAMS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SOURCES))

# The whole archive: the decoder refers to semantics weakly, which draws no members.
$(BUILD)/tests/unit/%: $(BUILD)/objects/tests/unit/%.o $(BUILD)/liblodge-test.a
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $< -Wl,--whole-archive $(BUILD)/liblodge-test.a -Wl,--no-whole-archive -lcmocka

## make unit            builds and runs the unit tests
.PHONY: unit
unit: $(UNIT_PROGRAMS)
	tests/unit/run $(UNIT_PROGRAMS)
