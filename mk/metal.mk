# SPDX-License-Identifier: MIT
# Type 1: the image that boots on the bare machine. Objects of its own: interrupts come on whatever stack there is, so no red zone; and of src/engines
# those that have the bare processor, which no other program links.

METAL := $(BUILD)/metal
METAL_SOURCES := src/programs/lodge_metal.c $(FREESTANDING_SOURCES) $(call find_c,src/hosts/metal $(METAL_ENGINES))
METAL_ASSEMBLY := $(sort $(shell find src/hosts/metal $(METAL_ENGINES) -name '*.S'))
METAL_OBJECTS := $(patsubst %.c,$(METAL)/%.o,$(METAL_SOURCES)) $(patsubst %.S,$(METAL)/%.o,$(METAL_ASSEMBLY))
METAL_FLAGS := -std=gnu17 -g -O2 -Isrc -I$(GENERATED) $(WARNINGS) -fno-strict-aliasing -fno-common -fwrapv -MMD -MP -fno-pie -mno-red-zone \
	-mcmodel=small -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-ffunction-sections -fdata-sections
METAL_LINK := ld -m elf_x86_64 -z noexecstack -z max-page-size=4096 --gc-sections --build-id=none -T src/hosts/metal/metal.ld

metal_layer_flags = $(if $(filter src/x86/fpu%,$(1)),$(FPU_FLAGS),$(FREESTANDING_FLAGS))

$(METAL)/%.o: %.c $(OPCODES_GENERATED)
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  METAL-CC $<")
	$(CC) $(METAL_FLAGS) $(call metal_layer_flags,$<) -c $< -o $@
$(METAL)/%.o: %.S
	@mkdir -p $(@D)
	$(CC) -Isrc -MMD -MP -c $< -o $@
$(METAL)/entry-pvh.o: src/hosts/metal/boot/entry.S
	@mkdir -p $(@D)
	$(CC) -Isrc -MMD -MP -DWITHOUT_MULTIBOOT_1 -c $< -o $@

# Twice: the second time with the names of the first one's functions, which lie behind the code and so move none of it.
$(METAL)/unnamed.elf: $(METAL_OBJECTS) src/hosts/metal/metal.ld
	$(METAL_LINK) -o $@ $(METAL_OBJECTS)
$(METAL)/symbols.S: $(METAL)/unnamed.elf tools/generate-symbols
	tools/generate-symbols $< $@
$(METAL)/symbols.o: $(METAL)/symbols.S
	$(CC) -c $< -o $@
$(METAL)/lodge-metal-64.elf: $(METAL_OBJECTS) $(METAL)/symbols.o src/hosts/metal/metal.ld
	$(METAL_LINK) -o $@ $(METAL_OBJECTS) $(METAL)/symbols.o

# QEMU takes multiboot's header before PVH's note, and then a 32-bit file only.
$(BUILD)/lodge-metal.elf: $(METAL)/lodge-metal-64.elf
	objcopy -O elf32-i386 --strip-debug $< $@

# For tests of PVH under QEMU.
$(METAL)/lodge-metal-pvh.elf: $(METAL_OBJECTS) $(METAL)/entry-pvh.o src/hosts/metal/metal.ld
	$(METAL_LINK) -o $@ $(filter-out %/metal/boot/entry.o,$(filter %.o,$^))

# The UEFI application: a PE file around the image. Position-independent, and without addresses in its data, of which ld makes no relocations.
EFI := $(METAL)/efi
EFI_OBJECTS := $(patsubst src/%,$(EFI)/%.o,$(basename $(wildcard src/hosts/efi/*.[cS])) src/base/memory)
EFI_FLAGS := -std=gnu17 -O2 -Isrc $(WARNINGS) -fno-strict-aliasing -fwrapv -MMD -MP -ffreestanding -mgeneral-regs-only -mno-red-zone \
	-fpie -fvisibility=hidden -fshort-wchar -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-ident \
	-include src/hosts/efi/visibility.h
EFI_LINK := ld -m i386pep --subsystem 10 -e efi_main --image-base 0x400000 --dynamicbase --enable-reloc-section

$(EFI)/%.o: src/%.c
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  EFI-CC $<")
	$(CC) $(EFI_FLAGS) -c $< -o $@
$(EFI)/%.o: src/%.S
	@mkdir -p $(@D)
	$(CC) -DIMAGE_FILE='"$(EFI)/image.elf"' -c $< -o $@
$(EFI)/image.elf: $(METAL)/lodge-metal-64.elf
	@mkdir -p $(@D)
	objcopy --strip-all $< $@
$(EFI)/hosts/efi/payload.o: $(EFI)/image.elf
$(BUILD)/lodge-metal.efi: $(EFI_OBJECTS)
	@! readelf -rW $^ | grep -E 'R_X86_64_(64|GOT|REX_GOT)' || { echo "an address in the data of the UEFI application"; exit 1; }
	$(EFI_LINK) -o $@ $^

## make metal           builds build/lodge-metal.elf and .efi, which boot on the bare machine
.PHONY: metal
metal: $(BUILD)/lodge-metal.elf $(BUILD)/lodge-metal.efi $(METAL)/lodge-metal-pvh.elf
	@echo "built $(BUILD)/lodge-metal.elf and $(BUILD)/lodge-metal.efi; next: make run-metal, or tools/make-metal-iso"

## make run-metal       boots build/lodge-metal.elf under QEMU with the demo guest twice; Ctrl-A 1 and Ctrl-A 2 go to their consoles
.PHONY: run-metal
run-metal:
	tools/install-dependencies metal
	@$(MAKE) --no-print-directory metal guest
	tools/run-metal $(BUILD)/lodge-metal.elf

-include $(shell find $(METAL) -name '*.d' 2>/dev/null)
