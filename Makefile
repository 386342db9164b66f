# SPDX-License-Identifier: MIT
# lodge: `make help` lists the targets. SANITIZE=1 builds with ASan and UBSan into build-sanitize/, TSAN=1 with TSan into build-tsan/; CC=clang-14 works too.

SANITIZE ?= 0
ifeq ($(SANITIZE),1)
BUILD ?= build-sanitize
else ifeq ($(TSAN),1)
BUILD ?= build-tsan
else
BUILD ?= build
endif
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX ?= /usr/local
GENERATED := $(BUILD)/generated

# V=1 shows the commands.
ifneq ($(V),1)
.SILENT:
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# ---- sources, by the layers of ARCHITECTURE.md ------------------------------------------------------
find_c = $(sort $(shell find $(1) -name '*.c' 2>/dev/null))
FREESTANDING_DIRS := src/base src/x86 src/core src/engines src/devices src/boot src/boards
# Engines that have the bare processor are linked with hosts/metal only.
METAL_ENGINES := src/engines/svm
FREESTANDING_SOURCES := $(filter-out $(addsuffix /%,$(METAL_ENGINES)),$(call find_c,$(FREESTANDING_DIRS))) $(sort $(wildcard src/control/*.c))
# libc has these already
HOSTED_LEAVES_OUT := src/base/memory.c
HOST_LINUX_SOURCES := $(call find_c,src/hosts/linux)
HOST_FAKE_SOURCES := $(call find_c,src/hosts/fake)
# What Type 1 gives to its machines' devices, and what it computes, touch no hardware: unit tests run them on hosts/fake.
METAL_PURE_SOURCES := $(call find_c,src/hosts/metal/backend) $(addprefix src/hosts/metal/,boot/boot_info.c boot/multiboot.c boot/pvh.c \
	memory/extents.c schedule/fair.c)
CONTROL_LINUX_SOURCES := $(call find_c,src/control/linux)

# ---- flags ------------------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wpointer-arith -Wundef -Wvla -Wno-unused-parameter -Werror=implicit-function-declaration $(WERROR)
COMMON_FLAGS := -std=gnu17 -g -O2 -I. -Isrc -I$(GENERATED) $(WARNINGS) -fno-strict-aliasing -fno-common \
	-fwrapv -MMD -MP
FREESTANDING_FLAGS := -ffreestanding -mgeneral-regs-only -fno-omit-frame-pointer
FPU_FLAGS := -ffreestanding
ifeq ($(SANITIZE),1)
COMMON_FLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LINK_FLAGS := -fsanitize=address,undefined
REDUCED := 1
RUNNER_LINK_FLAGS := $(LINK_FLAGS)
else
LINK_FLAGS :=
RUNNER_LINK_FLAGS := -static
COMMON_FLAGS += -fno-pie
endif
ifeq ($(TSAN),1)
COMMON_FLAGS := $(filter-out -fno-pie,$(COMMON_FLAGS)) -fsanitize=thread -fPIE
LINK_FLAGS := -fsanitize=thread
REDUCED := 1
RUNNER_LINK_FLAGS := $(LINK_FLAGS)
endif
ifeq ($(COVERAGE),1)
COMMON_FLAGS += --coverage
LINK_FLAGS += --coverage
REDUCED := 1
endif
# Builds that open files and start helpers to report: src/hosts/linux/sandbox/layers.h.
ifeq ($(REDUCED),1)
COMMON_FLAGS += -DSANDBOX_REDUCED
endif
LINK_FLAGS += -pthread
NO_PIE := $(if $(filter 1,$(TSAN)),-pie,-no-pie)
ifneq ($(findstring clang,$(CC)),)
NO_PIE += -Wno-unused-command-line-argument
endif

objects = $(patsubst %.c,$(BUILD)/objects/%.o,$(1))
FREESTANDING_OBJECTS := $(call objects,$(filter-out $(HOSTED_LEAVES_OUT),$(FREESTANDING_SOURCES)))
HOST_LINUX_OBJECTS := $(call objects,$(HOST_LINUX_SOURCES))
HOST_FAKE_OBJECTS := $(call objects,$(HOST_FAKE_SOURCES))
METAL_PURE_OBJECTS := $(call objects,$(METAL_PURE_SOURCES))
CONTROL_LINUX_OBJECTS := $(call objects,$(CONTROL_LINUX_SOURCES))
FRONT_LIBS := -lz -llzma -lzstd -llz4 -lext2fs -lcom_err -lseccomp
# liburing 2.3 as a shared library lacks what restricts a ring.
RUNNER_LIBS := -lseccomp -lz -lzstd -l:liburing.a

# ---- generated --------------------------------------------------------------------------------------
OPCODE_TABLES := $(sort $(wildcard src/x86/decode/*.table))
OPCODES_GENERATED := $(GENERATED)/x86/decode/opcodes.inc
$(OPCODES_GENERATED): tools/generate-opcodes $(OPCODE_TABLES)
	@mkdir -p $(@D)
	tools/generate-opcodes --output $(@D) $(OPCODE_TABLES)

# ---- rules ------------------------------------------------------------------------------------------
layer_flags = $(if $(filter src/x86/fpu%,$(1)),$(FPU_FLAGS),$(if \
	$(filter src/hosts/linux/% src/hosts/fake/% src/control/linux/% src/programs/% tests/%,$(1)),-D_GNU_SOURCE,$(FREESTANDING_FLAGS)))

$(BUILD)/objects/%.o: %.c $(OPCODES_GENERATED)
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  CC $<")
	$(CC) $(COMMON_FLAGS) $(call layer_flags,$<) -c $< -o $@

.PHONY: all
all: $(BUILD)/lodge $(BUILD)/lodge-vm
	@echo "built $(BUILD)/lodge and $(BUILD)/lodge-vm; next: make run, or $(BUILD)/lodge help"

# The front knows no machine: it takes the words and the description from the freestanding part, what only the host can tell from the
# runner's, and is small.
FRONT_OBJECTS := $(CONTROL_LINUX_OBJECTS) $(call objects,src/hosts/linux/code_memory.c \
	$(filter src/base/text.c src/base/status.c src/x86/model.c src/x86/model_host.c \
	src/control/config% src/control/machines.c src/control/disk.c src/control/net.c,$(FREESTANDING_SOURCES)) \
	$(filter src/hosts/linux/qcow2/% %/sandbox/landlock.c %/sandbox/layers.c,$(HOST_LINUX_SOURCES)))
$(BUILD)/lodge: $(call objects,src/programs/lodge.c) $(FRONT_OBJECTS)
	$(CC) $(LINK_FLAGS) $(NO_PIE) -o $@ $^ $(FRONT_LIBS)

$(BUILD)/lodge-vm: $(call objects,src/programs/lodge_vm.c) $(FREESTANDING_OBJECTS) $(HOST_LINUX_OBJECTS)
	$(CC) $(LINK_FLAGS) $(RUNNER_LINK_FLAGS) -o $@ $^ $(RUNNER_LIBS)

# Everything freestanding with the deterministic host: what unit tests, differential tests and fuzzers link.
$(BUILD)/liblodge-test.a: $(FREESTANDING_OBJECTS) $(HOST_FAKE_OBJECTS) $(METAL_PURE_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

include $(sort $(wildcard mk/*.mk))

.PHONY: clean
clean:
	rm -rf $(BUILD)

.PHONY: help
help:
	@grep -hE '^## ' Makefile $(sort $(wildcard mk/*.mk)) | sed 's/^## //'

## make                 builds build/lodge and build/lodge-vm
## make clean           removes the build directory
-include $(shell find $(BUILD)/objects -name '*.d' 2>/dev/null)
