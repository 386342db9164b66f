# SPDX-License-Identifier: MIT
# Runners that their guest has taken over (tests/sandbox/escape.c): one with all layers, one without the lists of system calls, which
# would otherwise hide what the other layers hold.

SANDBOX := $(BUILD)/tests/sandbox
SANDBOX_WRAPS := machine_end boot_load read write recv sandbox_enter_role
RUNNER_OBJECTS := $(call objects,src/programs/lodge_vm.c) $(FREESTANDING_OBJECTS) $(HOST_LINUX_OBJECTS)
wrap = $(1:%=-Wl,--wrap=%)

$(SANDBOX)/full/lodge-vm: SANDBOX_WRAPPED = $(SANDBOX_WRAPS)
$(SANDBOX)/no-lists/lodge-vm: SANDBOX_WRAPPED = $(SANDBOX_WRAPS) syscalls_enter
$(SANDBOX)/full/lodge-vm $(SANDBOX)/no-lists/lodge-vm: $(BUILD)/objects/tests/sandbox/escape.o $(RUNNER_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LINK_FLAGS) $(RUNNER_LINK_FLAGS) $(call wrap,$(SANDBOX_WRAPPED)) -o $@ $^ $(RUNNER_LIBS)

# lodge takes the lodge-vm that is beside it.
$(SANDBOX)/full/lodge $(SANDBOX)/no-lists/lodge: $(BUILD)/lodge
	@mkdir -p $(@D)
	cp $< $@

## make sandbox         guests that have taken their runner over, and find nothing that it may do
.PHONY: sandbox sandbox-programs
sandbox-programs: $(foreach kind,full no-lists,$(SANDBOX)/$(kind)/lodge $(SANDBOX)/$(kind)/lodge-vm)
sandbox: all sandbox-programs
	tests/sandbox/run --build $(BUILD)
