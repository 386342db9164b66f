# SPDX-License-Identifier: MIT
# Hostile guests: random streams in every mode, accesses of every size to everything, random blobs as kernels. Every
# program's cases run in children; a failing one is repeated by --seed S --case K.

HOSTILE_SHARED := tests/hostile/machine.c tests/hostile/scenario.c tests/hostile/encode.c tests/hostile/program.c
HOSTILE_NAMES := streams accesses blob
HOSTILE_PROGRAMS := $(HOSTILE_NAMES:%=$(BUILD)/tests/hostile/%)

$(HOSTILE_PROGRAMS): $(BUILD)/tests/hostile/%: $(BUILD)/objects/tests/hostile/%.o $(call objects,$(HOSTILE_SHARED)) \
	$(BUILD)/liblodge-test.a
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $(filter %.o,$^) -Wl,--whole-archive $(BUILD)/liblodge-test.a -Wl,--no-whole-archive

HOSTILE_SEED ?= 1
HOSTILE_ENGINE ?= interp

## make hostile         guests that try to break their host: HOSTILE_SEED=n, HOSTILE_ENGINE=translate, SANITIZE=1
.PHONY: hostile
hostile: $(HOSTILE_PROGRAMS)
	@passed=0; failed=0; for program in $(HOSTILE_PROGRAMS); do \
		if $$program --seed $(HOSTILE_SEED) --engine $(HOSTILE_ENGINE) > $$program.log; then :; fi; cat $$program.log; \
		set -- $$(tail -n 1 $$program.log); passed=$$((passed + $${1:-0})); failed=$$((failed + $${3:-1})); \
	done; echo "$$passed passed, $$failed failed"; [ $$failed -eq 0 ]
