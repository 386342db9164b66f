# SPDX-License-Identifier: MIT
# Saved state: a boot saved at random moments ends as the unbroken one does; so does one that is saved while it uses a disk.

$(BUILD)/tests/snapshot/boot_snapshots: $(BUILD)/objects/tests/snapshot/boot_snapshots.o $(BUILD)/liblodge-test.a
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $< -Wl,--whole-archive $(BUILD)/liblodge-test.a -Wl,--no-whole-archive

SNAPSHOT_COMMAND_LINE := console=ttyS0 quiet cryptomgr.notests=1 run=ls,-l,/bin
## make snapshots       saves a boot at 20 random moments, and compares how each goes on (MOMENTS=n ENGINES=interp,translate,interp)
.PHONY: snapshots
snapshots: $(BUILD)/tests/snapshot/boot_snapshots guest $(GUEST)/vmlinux
	$(BUILD)/tests/snapshot/boot_snapshots $(if $(MOMENTS),--moments $(MOMENTS)) $(if $(ENGINES),--engines $(ENGINES)) $(GUEST)/vmlinux $(GUEST)/initrd "$(SNAPSHOT_COMMAND_LINE)"

# Copies within the disk, writes what the source of entropy gives, and reads all of it.
SNAPSHOT_DISK_RUN := dd,if=/dev/vda,of=/dev/vda,bs=16k,count=32,seek=32,conv=fsync;dd,if=/dev/hwrng,of=/dev/vda,bs=64,count=16,conv=fsync;sha256sum,/dev/vda
## make snapshots-disk  the same 8 times while the guest uses a disk
.PHONY: snapshots-disk
snapshots-disk: $(BUILD)/tests/snapshot/boot_snapshots $(GUEST)/vmlinux-virtio $(GUEST)/initrd-virtio
	$(BUILD)/tests/snapshot/boot_snapshots --moments $(or $(MOMENTS),8) $(if $(ENGINES),--engines $(ENGINES)) --disk 1 $(GUEST)/vmlinux-virtio $(GUEST)/initrd-virtio \
		"console=ttyS0 quiet cryptomgr.notests=1 run=$(SNAPSHOT_DISK_RUN)"
