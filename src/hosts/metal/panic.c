/* SPDX-License-Identifier: MIT */
#include "hosts/metal/panic.h"
#include "base/check.h"
#include "base/text.h"
#include "hosts/metal/console/serial.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/interrupts/apic.h"
#include "hosts/metal/interrupts/interrupts.h"
#include "hosts/metal/memory/frames.h"
#include "hosts/metal/memory/image.h"
#include "hosts/metal/power.h"
#include "hosts/metal/processor/processor.h"
#include "hosts/metal/symbols.h"

#define BACKTRACE_MAX 24

static u32 has_begun;

static void say(const char *format, ...) format_like(1, 2);
static void say(const char *format, ...)
{
	char buffer[200];
	struct text text;
	va_list arguments;
	text_init(&text, buffer, sizeof(buffer));
	va_start(arguments, format);
	text_format_list(&text, format, arguments);
	va_end(arguments);
	serial_write_now((const u8 *)buffer, text.length);
	serial_write_now((const u8 *)"\r\n", 2);
}

/* The first one speaks; it lets a second fault within it end at once. */
static void begin(void)
{
	interrupts_disable();
	if (__atomic_exchange_n(&has_begun, 1, __ATOMIC_SEQ_CST))
		halt_for_ever();
	apic_send_to_others(VECTOR_HALT);
}

static bool is_code(u64 address)
{
	return address >= (u64)image_start && address < (u64)text_end;
}

/* Frames are linked by RBP, whose chain lies on one stack. */
static void say_backtrace(u64 rip, u64 rbp)
{
	for (unsigned i = 0; i < BACKTRACE_MAX && is_code(rip); i++) {
		u64 offset;
		const char *name = symbol_find(rip, &offset);
		say("  %016lx %s+%#lx", rip, name, offset);
		if (!rbp || rbp % 8)
			return;
		const u64 *frame = (const u64 *)rbp;
		rip = frame[1];
		if (frame[0] <= rbp || frame[0] - rbp > 16 * FRAME_BYTES)
			rbp = 0;
		else
			rbp = frame[0];
	}
}

static _Noreturn void finish(void)
{
	power_fail();
	halt_for_ever();
}

void panic(const char *format, ...)
{
	char buffer[200];
	struct text text;
	va_list arguments;
	begin();
	text_init(&text, buffer, sizeof(buffer));
	va_start(arguments, format);
	text_format_list(&text, format, arguments);
	va_end(arguments);
	say("\r\nlodge-metal: %s", buffer);
	say_backtrace((u64)__builtin_return_address(0), (u64)__builtin_frame_address(0));
	finish();
}

void panic_exception(const struct interrupt_frame *frame)
{
	begin();
	say("\r\nlodge-metal: exception %lu, error code %#lx, on processor %u", frame->vector,
		frame->error_code, processor_here()->index);
	say("rip %016lx flags %08lx rsp %016lx cr2 %016lx cr3 %016lx", frame->rip, frame->rflags,
		frame->rsp, cr2_get(), cr3_get());
	say("rax %016lx rbx %016lx rcx %016lx rdx %016lx", frame->rax, frame->rbx, frame->rcx,
		frame->rdx);
	say("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", frame->rsi, frame->rdi, frame->rbp,
		frame->r8);
	say("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", frame->r9, frame->r10, frame->r11,
		frame->r12);
	say("r13 %016lx r14 %016lx r15 %016lx", frame->r13, frame->r14, frame->r15);
	say_backtrace(frame->rip, frame->rbp);
	finish();
}

void check_failed(const char *file, int line, const char *condition)
{
	panic("a fault of lodge's own at %s:%d (%s): please report it", file, line, condition);
}
