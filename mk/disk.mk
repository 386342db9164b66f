# SPDX-License-Identifier: MIT
# Disk images: what is found in their /boot, and the qcow2 format against qemu-img.

DISK := $(BUILD)/tests/disk

$(DISK)/boot_files: $(BUILD)/objects/tests/disk/boot_files.o $(FRONT_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $^ $(FRONT_LIBS)
$(DISK)/qcow2: $(BUILD)/objects/tests/disk/qcow2.o $(call objects,$(wildcard src/hosts/linux/qcow2/*.c) src/base/status.c src/base/text.c)
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $^ -lz -lzstd

## make disk            disk images: what is found in their /boot, and qcow2 against qemu-img
.PHONY: disk
disk: $(DISK)/boot_files $(DISK)/qcow2
	tests/disk/run --build $(BUILD)
