/* SPDX-License-Identifier: MIT */
/*
 * Segment registers, descriptor tables, far transfers and task switches: APM volume 2 chapters 4 and 12, volume 3;
 * SDM volume 3 chapters 5 to 7.
 */
#ifndef X86_SEGMENTS_H
#define X86_SEGMENTS_H

#include "x86/cpu.h"

/* MOV, POP and Lxs to ES, SS, DS, FS, GS by selector, with all checks of the mode; raises. Not CS. */
void segment_load(struct cpu *cpu, enum segment_name name, u16 selector);
/* Real-mode style: base = selector << 4; limit and attributes stay in real mode, become vm86's in vm86. */
void segment_load_8086(struct cpu *cpu, enum segment_name name, u16 selector);

void segment_load_ldt(struct cpu *cpu, u16 selector);  /* LLDT */
void segment_load_task(struct cpu *cpu, u16 selector); /* LTR */

/* Far control transfers; operand_size is the instruction's. They set RIP, CS, and whatever else changes; raise. */
void far_jump(struct cpu *cpu, u16 selector, u64 offset, enum insn_size operand_size);
void far_call(struct cpu *cpu, u16 selector, u64 offset, enum insn_size operand_size);
void far_return(struct cpu *cpu, enum insn_size operand_size, u16 pop_bytes);
void interrupt_return(struct cpu *cpu, enum insn_size operand_size); /* IRET, IRETD, IRETQ */

/* LAR, LSL, VERR, VERW: false leaves ZF clear. */
bool segment_access_rights(struct cpu *cpu, u16 selector, u32 *rights);
bool segment_limit(struct cpu *cpu, u16 selector, u32 *limit);
bool segment_verify(struct cpu *cpu, u16 selector, bool for_write);

enum task_switch_kind { TASK_JUMP, TASK_CALL, TASK_IRET, TASK_GATE };
/* 32- and 16-bit TSS; error_code is pushed on the new stack where has_error_code. */
void task_switch(struct cpu *cpu, u16 selector, enum task_switch_kind kind, bool has_error_code,
	u32 error_code);

/* True when the I/O permission bitmap allows all bytes of the port access (CPL > IOPL or vm86). Raises #GP else. */
void segment_check_io(struct cpu *cpu, u16 port, unsigned bytes);

/* Sets the attributes that CPL and mode imply when SYSCALL, SYSRET and their kin load flat segments. */
void segment_set_flat(
	struct cpu *cpu, enum segment_name name, u16 selector, unsigned dpl, u16 attributes);

#endif
