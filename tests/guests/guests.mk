# SPDX-License-Identifier: MIT
# Tiny guests: NAME-32.c or .S is a protected-mode guest, NAME-64.c or .S a long-mode one. Includable from the top
# Makefile, or alone: make -f tests/guests/guests.mk BUILD=build-guests guests
BUILD ?= build
GUESTS_DIR := tests/guests
GUESTS_OUT := $(BUILD)/tests/guests
GUESTS_CC ?= gcc
GUESTS_NAMES := $(sort $(basename $(notdir $(wildcard $(GUESTS_DIR)/*-32.[cS] $(GUESTS_DIR)/*-64.[cS]))))
GUESTS_FLAGS := -std=gnu17 -O1 -g -ffreestanding -fno-pie -mgeneral-regs-only -mno-red-zone -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-strict-aliasing -fwrapv \
	-fno-common -fno-tree-loop-distribute-patterns -Wall -Wextra -Wno-unused-parameter -Wno-array-bounds -Wno-clobbered \
	-I$(GUESTS_DIR)/common -MMD -MP $(if $(GUEST_SECONDS),-DSECONDS=$(GUEST_SECONDS))
GUESTS_LINK := -nostdlib -static -no-pie -Wl,-T,$(GUESTS_DIR)/common/link.ld -Wl,-z,max-page-size=4096 \
	-Wl,--build-id=none -Wl,--no-warn-rwx-segments
# boot-PROTOCOL-32 and -64 are entered by that protocol, all others by multiboot
GUESTS_ENTRIES := entry-multiboot.o entry-flat.o entry-pvh.o entry-linux.o
guests_entry = $(GUESTS_OUT)/common/$(1)/entry-$(or $(word 2,$(filter boot flat pvh linux multiboot,$(subst -, ,$(2)))),multiboot).o
GUESTS_RUNTIME_32 := $(addprefix $(GUESTS_OUT)/common/32/,start32.o runtime.o irq.o)
GUESTS_RUNTIME_64 := $(addprefix $(GUESTS_OUT)/common/64/,start64.o runtime.o irq.o smp.o)

.PHONY: guests
guests: $(GUESTS_NAMES:%=$(GUESTS_OUT)/%.elf)

define guests_rules
$(GUESTS_OUT)/common/$(1)/%.o: $(GUESTS_DIR)/common/%.c
	@mkdir -p $$(@D)
	$(GUESTS_CC) -m$(1) $(GUESTS_FLAGS) -c $$< -o $$@
$(GUESTS_OUT)/common/$(1)/%.o: $(GUESTS_DIR)/common/%.S
	@mkdir -p $$(@D)
	$(GUESTS_CC) -m$(1) $(GUESTS_FLAGS) -c $$< -o $$@
$(GUESTS_OUT)/%-$(1).o: $(GUESTS_DIR)/%-$(1).c
	@mkdir -p $$(@D)
	$(GUESTS_CC) -m$(1) $(GUESTS_FLAGS) -c $$< -o $$@
$(GUESTS_OUT)/%-$(1).o: $(GUESTS_DIR)/%-$(1).S
	@mkdir -p $$(@D)
	$(GUESTS_CC) -m$(1) $(GUESTS_FLAGS) -c $$< -o $$@
endef
$(eval $(call guests_rules,32))
$(eval $(call guests_rules,64))

$(GUESTS_OUT)/%-32.elf: $(GUESTS_OUT)/%-32.o $(GUESTS_RUNTIME_32) $(GUESTS_DIR)/common/link.ld $(GUESTS_ENTRIES:%=$(GUESTS_OUT)/common/32/%)
	$(GUESTS_CC) -m32 $(GUESTS_LINK) -Wl,-m,elf_i386 -o $@ $< $(GUESTS_RUNTIME_32) $(call guests_entry,32,$*)
	$(if $(findstring boot-flat,$@),objcopy -O binary $@ $@.flat && mv $@.flat $@)

# multiboot loaders take 32-bit ELF only; the code inside is 64-bit all the same. The .elf64 beside it is for debuggers.
$(GUESTS_OUT)/%-64.elf: $(GUESTS_OUT)/%-64.o $(GUESTS_RUNTIME_64) $(GUESTS_DIR)/common/link.ld $(GUESTS_ENTRIES:%=$(GUESTS_OUT)/common/64/%)
	$(GUESTS_CC) -m64 $(GUESTS_LINK) -o $(@:.elf=.elf64) $< $(GUESTS_RUNTIME_64) $(call guests_entry,64,$*)
	$(if $(findstring boot-linux,$@),cp $(@:.elf=.elf64) $@,objcopy -O elf32-i386 --strip-debug $(@:.elf=.elf64) $@)

.SECONDARY: $(GUESTS_NAMES:%=$(GUESTS_OUT)/%.o) $(GUESTS_RUNTIME_32) $(GUESTS_RUNTIME_64)
-include $(wildcard $(GUESTS_OUT)/*.d $(GUESTS_OUT)/common/*/*.d)
