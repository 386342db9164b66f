# SPDX-License-Identifier: MIT
# Saved state: a boot saved at random moments ends as the unbroken one does.

$(BUILD)/tests/snapshot/boot_snapshots: $(BUILD)/objects/tests/snapshot/boot_snapshots.o $(BUILD)/liblodge-test.a
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $< -Wl,--whole-archive $(BUILD)/liblodge-test.a -Wl,--no-whole-archive

SNAPSHOT_COMMAND_LINE := console=ttyS0 quiet cryptomgr.notests=1 run=ls,-l,/bin
## make snapshots       saves a boot at 20 random moments, and compares how each goes on
.PHONY: snapshots
snapshots: $(BUILD)/tests/snapshot/boot_snapshots guest
	$(BUILD)/tests/snapshot/boot_snapshots $(if $(MOMENTS),--moments $(MOMENTS)) build/guest/vmlinux build/guest/initrd "$(SNAPSHOT_COMMAND_LINE)"
