/* SPDX-License-Identifier: MIT */
/* Debug exceptions in 32-bit protected mode. */
#define IRET_RF(label) "push $0x10002; push %%cs; push $" #label "f; iret\n"
#include "debug.h"

void guest_main(void)
{
	test_debug();
	STEP("step: pop ss", "push %%ss; pop %%ss; nop; nop");
	STEP("step: iret", "pushf; push %%cs; push $1f; iret; 1: nop");
}
