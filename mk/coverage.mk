# SPDX-License-Identifier: MIT
# What the tests execute of x86/ and devices/: unit tests, differential tests, tiny guests, a boot.

## make coverage        lines of src/x86 and src/devices that the tests execute
.PHONY: coverage coverage-run
coverage:
	$(MAKE) --no-print-directory BUILD=build-coverage COVERAGE=1 coverage-run
	tools/coverage build-coverage src/x86 src/devices
coverage-run: all unit
	-$(MAKE) --no-print-directory BUILD=build-coverage COVERAGE=1 differential
	-tests/guests/run --lodge $(BUILD)/lodge --build $(BUILD)
	-timeout 300 $(BUILD)/lodge run --kernel build/guest/vmlinuz --initrd build/guest/initrd --append "console=ttyS0 quiet tour" </dev/null

## make count           files, lines and functions of src/
.PHONY: count
count:
	tools/count-code
