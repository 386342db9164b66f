# SPDX-License-Identifier: MIT
# A whole computer: Debian with programs that check what they do. Long, so not part of `make test`.

# Debian's own test programs, and what they need.
ACCEPTANCE_PACKAGES := stress-ng,fio,postgresql,gcc,libc6-dev,make,python3,libpython3.11-testsuite
build/acceptance.img: tools/make-debian
	tools/install-dependencies debian
	EXTRA=$(ACCEPTANCE_PACKAGES) SIZE=8G tools/make-debian build/acceptance

## make acceptance      Debian at work, hours in all: PART=NAME,... of smoke programs qcow2 boots interp network faults kills fleet
.PHONY: acceptance
acceptance: all build/debian.img $(if $(filter smoke boots interp faults fleet,$(PART)),,build/acceptance.img)
	tools/install-dependencies test
	tests/acceptance/run --lodge $(BUILD)/lodge $(if $(PART),--part $(PART)) $(ACCEPTANCE)

KERNEL_KINDS := cloud amd64 rt bpo-cloud 686 686-pae
build/guest/packages/installer/vmlinuz:
	tools/get-kernel build/guest/packages installer

## make test-kernels    Debian's other kernels, and its installer to the first screen: KERNELS=NAME,...
.PHONY: test-kernels
test-kernels: all guest build/guest/initrd-i386 $(patsubst %,build/guest/vmlinuz-%,$(filter-out cloud,$(KERNEL_KINDS))) build/guest/packages/installer/vmlinuz
	tests/acceptance/kernels --lodge $(BUILD)/lodge $(if $(KERNELS),--only $(KERNELS))
