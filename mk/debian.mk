# SPDX-License-Identifier: MIT
# A Debian 12 guest on a disk, made once. Always under build, whatever BUILD is. tools/make-debian says what its environment may hold.

DEBIAN_KINDS := amd64 rt bpo-cloud

build/debian.img: tools/make-debian
	tools/install-dependencies debian
	tools/make-debian build/debian
build/debian-%.img: tools/make-debian
	tools/install-dependencies debian
	KIND=$* tools/make-debian build/debian-$*

## make debian          a Debian 12 disk, build/debian.img, and root's ssh key, build/debian.key; EXTRA=fio,gcc SIZE=4G
.PHONY: debian
debian: build/debian.img

## make debian-KIND     the same with another kernel, build/debian-KIND.img: amd64 rt bpo-cloud
.PHONY: $(DEBIAN_KINDS:%=debian-%)
$(DEBIAN_KINDS:%=debian-%): debian-%: build/debian-%.img

## make lockstep-debian Debian's whole boot from its disk, and its way down, with the two engines compared: up to an hour
.PHONY: lockstep-debian
lockstep-debian: build/debian.img
	@$(MAKE) --no-print-directory all
	tests/boot/lockstep_debian --lodge $(BUILD)/lodge --image build/debian.img
