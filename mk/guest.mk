# SPDX-License-Identifier: MIT
# Guests: Debian's kernels as the packages have them, and small initramfs archives. Always under build/guest, whatever BUILD is.

GUEST := build/guest
GUEST_KINDS := cloud amd64 rt 686 686-pae bpo-cloud

# The package's file, fetched once.
$(GUEST)/packages/%/vmlinuz:
	MODULES=0 tools/get-kernel $(GUEST)/packages $*
$(GUEST)/packages/%/busybox:
	tools/get-kernel $(GUEST)/packages $*
.PRECIOUS: $(GUEST)/packages/%/vmlinuz $(GUEST)/packages/%/busybox

$(GUEST)/vmlinuz: $(GUEST)/packages/cloud/vmlinuz
	cp $< $@.new && mv $@.new $@
$(GUEST)/vmlinux: $(GUEST)/vmlinuz tools/extract-kernel
	tools/extract-kernel $< $@
$(GUEST)/initrd: $(GUEST)/packages/busybox/busybox tools/make-initrd tools/guest-init
	tools/make-initrd $@ --busybox $<
$(GUEST)/vmlinuz-%: $(GUEST)/packages/%/vmlinuz
	cp $< $@.new && mv $@.new $@
# With the modules that drive lodge's devices, and the kernel they are of.
$(GUEST)/packages/cloud-modules/vmlinuz:
	tools/get-kernel $(GUEST)/packages cloud-modules
.PRECIOUS: $(GUEST)/packages/cloud-modules/vmlinuz
$(GUEST)/vmlinuz-virtio: $(GUEST)/packages/cloud-modules/vmlinuz
	cp $< $@.new && mv $@.new $@
$(GUEST)/vmlinux-virtio: $(GUEST)/vmlinuz-virtio tools/extract-kernel
	tools/extract-kernel $< $@
$(GUEST)/initrd-virtio: $(GUEST)/packages/busybox/busybox $(GUEST)/packages/cloud-modules/vmlinuz tools/make-initrd tools/guest-init
	tools/make-initrd $@ --busybox $< --modules $(GUEST)/packages/cloud-modules/modules
$(GUEST)/initrd-i386: $(GUEST)/packages/busybox-i386/busybox tools/make-initrd tools/guest-init
	tools/make-initrd $@ --busybox $<

## make guest           the demo guest: build/guest/vmlinuz and build/guest/initrd
.PHONY: guest
guest: $(GUEST)/vmlinuz $(GUEST)/initrd

## make test-guests     all that tests boot: also build/guest/vmlinux (ELF), vmlinuz-686-pae, initrd-i386, vmlinuz-virtio, vmlinux-virtio, initrd-virtio
.PHONY: test-guests
test-guests: guest $(GUEST)/vmlinux $(GUEST)/vmlinuz-686-pae $(GUEST)/initrd-i386 $(GUEST)/vmlinuz-virtio $(GUEST)/vmlinux-virtio $(GUEST)/initrd-virtio

## make guest-KIND      another kernel, build/guest/vmlinuz-KIND: amd64 rt 686 686-pae bpo-cloud
.PHONY: $(GUEST_KINDS:%=guest-%)
$(GUEST_KINDS:%=guest-%): guest-%: $(GUEST)/vmlinuz-% $(GUEST)/initrd

## make run             boots the demo guest to a shell on this terminal; without a terminal runs a short tour
.PHONY: run
run:
	tools/install-dependencies run
	@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) all guest
	@tools/run-demo
