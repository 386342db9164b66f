# SPDX-License-Identifier: MIT
# The fast checks: no boots, no millions of cases.

.PHONY: layers headers freestanding format
layers:
	tools/check-layers
headers: $(OPCODES_GENERATED)
	CC="$(CC)" tools/check-headers $(BUILD)
freestanding: $(FREESTANDING_OBJECTS) $(call objects,src/base/memory.c)
	tools/check-freestanding $^
format:
	tools/check-format

## make check           the fast part of the tests: format, layers, headers, freestanding, unit tests
.PHONY: check
check: format layers headers freestanding unit
