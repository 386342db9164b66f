# SPDX-License-Identifier: MIT
# Disk images: what is found in their /boot, and the qcow2 format against qemu-img.

DISK := $(BUILD)/tests/disk

$(DISK)/boot_files: $(BUILD)/objects/tests/disk/boot_files.o $(FRONT_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $^ $(FRONT_LIBS)

## make disk            disk images: what is found in their /boot
.PHONY: disk
disk: $(DISK)/boot_files
	tests/disk/run --build $(BUILD)
