/* SPDX-License-Identifier: MIT */
#include "control/gdb.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/machine.h"
#include "x86/flags.h"
#include "x86/paging.h"

#define SIGNAL_INT 2
#define SIGNAL_TRAP 5

/*
 * The registers in gdb's order: org.gnu.gdb.i386.core for 64 bits, then sse. Control registers would need a feature of
 * their own; `monitor regs` prints them.
 */
static const char target_xml[] =
	"<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
	"<architecture>i386:x86-64</architecture></target>";

/* ---- sending ---- */

static const char hex_digits[] = "0123456789abcdef";

static void send_packet(struct gdb_stub *stub, const char *body)
{
	u8 sum = 0;
	for (const char *c = body; *c; c++)
		sum += (u8)*c;
	char tail[3] = {'#', hex_digits[sum >> 4], hex_digits[sum & 15]};
	stub->send(stub->context, "$", 1);
	stub->send(stub->context, body, text_length(body));
	stub->send(stub->context, tail, 3);
}

static void put_hex(struct text *text, const void *from, size_t bytes)
{
	const u8 *in = from;
	for (size_t i = 0; i < bytes; i++) {
		text_append_char(text, hex_digits[in[i] >> 4]);
		text_append_char(text, hex_digits[in[i] & 15]);
	}
}

/* ---- reading ---- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static u64 take_number(const char **at)
{
	u64 value = 0;
	for (int digit; (digit = hex_value(**at)) >= 0; (*at)++)
		value = value << 4 | (u64)digit;
	return value;
}

/* Bytes in hex; how many there were. */
static size_t take_hex(const char **at, void *to, size_t most)
{
	u8 *out = to;
	size_t count = 0;
	while (count < most && hex_value((*at)[0]) >= 0 && hex_value((*at)[1]) >= 0) {
		out[count++] = (u8)(hex_value((*at)[0]) << 4 | hex_value((*at)[1]));
		*at += 2;
	}
	return count;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* ---- registers ---- */

struct register_image {
	u64 general[16]; /* rax rbx rcx rdx rsi rdi rbp rsp r8.. */
	u64 rip;
	u32 eflags;
	u32 segments[6]; /* cs ss ds es fs gs */
} __attribute__((packed));

static const u8 general_order[16] = {
	RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15};
static const u8 segment_order[6] = {
	SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS};

static void fill_image(const struct cpu *cpu, struct register_image *image)
{
	for (unsigned i = 0; i < 16; i++)
		image->general[i] = cpu->regs[general_order[i]];
	image->rip = cpu->regs[RIP];
	image->eflags = (u32)flags_get(cpu);
	for (unsigned i = 0; i < 6; i++)
		image->segments[i] = cpu->segments[segment_order[i]].selector;
}

/* Segments are shown only: loading one by hand would need the guest's tables. */
static void take_image(struct cpu *cpu, const struct register_image *image)
{
	for (unsigned i = 0; i < 16; i++)
		cpu->regs[general_order[i]] = image->general[i];
	cpu->regs[RIP] = image->rip;
	flags_set(cpu, image->eflags);
	cpu_mode_changed(cpu);
}

static void read_registers(struct gdb_stub *stub)
{
	const struct cpu *cpu = &stub->machine->vcpus[stub->current]->cpu;
	char buffer[2048];
	struct text text;
	struct register_image image;
	text_init(&text, buffer, sizeof(buffer));
	fill_image(cpu, &image);
	put_hex(&text, &image, sizeof(image));
	for (unsigned i = 0; i < 8; i++) /* st0-st7 */
		put_hex(&text, cpu->fpu.image + 32 + 16 * i, 10);
	static const u8 x87_control[] = {
		0, 2, 4, 0, 8, 0, 16, 6}; /* in the image: cw sw tw - fip - fdp fop */
	for (unsigned i = 0; i < 8; i++) {
		u32 value = 0;
		memcpy(&value, cpu->fpu.image + x87_control[i], i == 4 || i == 6 ? 4 : 2);
		value = i == 3 || i == 5 ? 0 : value;
		put_hex(&text, &value, 4);
	}
	put_hex(&text, cpu->fpu.image + 160, 256); /* xmm0-15 */
	put_hex(&text, cpu->fpu.image + 24, 4);	   /* mxcsr */
	send_packet(stub, buffer);
}

static void write_registers(struct gdb_stub *stub, const char *at)
{
	struct cpu *cpu = &stub->machine->vcpus[stub->current]->cpu;
	struct register_image image;
	fill_image(cpu, &image);
	take_hex(&at, &image, sizeof(image));
	take_image(cpu, &image);
	send_packet(stub, "OK");
}

static void write_register(struct gdb_stub *stub, const char *at)
{
	struct cpu *cpu = &stub->machine->vcpus[stub->current]->cpu;
	struct register_image image;
	u64 number = take_number(&at), value = 0;
	fill_image(cpu, &image);
	if (!take_char(&at, '=') || number > 17) {
		send_packet(stub, "E01");
		return;
	}
	take_hex(&at, &value, 8);
	if (number < 16)
		image.general[number] = value;
	else if (number == 16)
		image.rip = value;
	else
		image.eflags = (u32)value;
	take_image(cpu, &image);
	send_packet(stub, "OK");
}

/* ---- memory ---- */

/* What lies at the virtual address, up to the page's end: a host pointer into RAM; NULL: nothing. */
static u8 *guest_bytes(struct gdb_stub *stub, u64 linear, u64 *bytes, u64 *physical)
{
	struct cpu *cpu = &stub->machine->vcpus[stub->current]->cpu;
	*bytes = MIN(*bytes, PAGE_SIZE - (linear & ~PAGE_MASK));
	if (!paging_translate_debug(cpu, linear, physical))
		return NULL;
	return memory_host(&stub->machine->memory, *physical, *bytes);
}

static void read_memory(struct gdb_stub *stub, const char *at)
{
	char buffer[GDB_PACKET_BYTES];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	u64 address = take_number(&at), physical;
	take_char(&at, ',');
	u64 left = take_number(&at);
	left = MIN(left, (GDB_PACKET_BYTES - 16) / 2);
	while (left) {
		u64 bytes = left;
		const u8 *from = guest_bytes(stub, address, &bytes, &physical);
		if (!from)
			break;
		put_hex(&text, from, bytes);
		address += bytes;
		left -= bytes;
	}
	send_packet(stub, text.length || !left ? buffer : "E14");
}

static void write_memory(struct gdb_stub *stub, const char *at)
{
	u64 address = take_number(&at), physical;
	take_char(&at, ',');
	u64 left = take_number(&at);
	take_char(&at, ':');
	while (left) {
		u8 bytes[PAGE_SIZE / 2];
		u64 here = MIN(left, sizeof(bytes));
		if (!guest_bytes(stub, address, &here, &physical) ||
			take_hex(&at, bytes, here) != here ||
			!memory_write(stub->machine, physical, bytes, here)) {
			send_packet(stub, "E14");
			return;
		}
		address += here;
		left -= here;
	}
	send_packet(stub, "OK");
}

/* ---- running ---- */

static bool is_breakpoint(const struct gdb_stub *stub, u64 address)
{
	for (unsigned i = 0; i < stub->breakpoint_count; i++) {
		if (stub->breakpoints[i] == address)
			return true;
	}
	return false;
}

/* On the vCPU's thread. */
static bool before_insn(struct vcpu *vcpu, void *context)
{
	struct gdb_stub *stub = context;
	if (stub->skip_first && vcpu->index == stub->current) {
		stub->skip_first = false;
		return false;
	}
	bool stepped = stub->is_stepping && vcpu->index == stub->current;
	if (!stepped && !is_breakpoint(stub, vcpu->cpu.regs[RIP]))
		return false;
	stub->stopped_at = vcpu->index;
	machine_request_pause(vcpu->machine);
	stub->notify(stub->context);
	return true;
}

static void set_hooks(struct gdb_stub *stub, bool on)
{
	for (unsigned i = 0; i < stub->machine->vcpu_count; i++) {
		struct vcpu *vcpu = stub->machine->vcpus[i];
		vcpu->before_insn = on ? before_insn : NULL;
		vcpu->before_insn_context = stub;
	}
}

static void run_on(struct gdb_stub *stub, bool step)
{
	stub->is_stepping = step;
	stub->skip_first = true;
	stub->is_running = true;
	set_hooks(stub, step || stub->breakpoint_count);
	machine_resume(stub->machine);
}

static void tell_stop(struct gdb_stub *stub, unsigned signal)
{
	char buffer[40];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	text_format(&text, "T%02xthread:%x;", signal, stub->stopped_at + 1);
	send_packet(stub, buffer);
}

void gdb_stopped(struct gdb_stub *stub)
{
	if (!stub->is_running)
		return;
	machine_pause(stub->machine);
	stub->is_running = false;
	stub->current = stub->stopped_at;
	tell_stop(stub, SIGNAL_TRAP);
}

static void interrupt(struct gdb_stub *stub)
{
	if (!stub->is_running)
		return;
	machine_pause(stub->machine);
	stub->is_running = false;
	stub->stopped_at = stub->current;
	tell_stop(stub, SIGNAL_INT);
}

static void change_breakpoint(struct gdb_stub *stub, const char *at, bool insert)
{
	char kind = *at++;
	take_char(&at, ',');
	u64 address = take_number(&at);
	if (kind != '0' && kind != '1') {
		send_packet(stub, "");
		return;
	}
	unsigned kept = 0;
	for (unsigned i = 0; i < stub->breakpoint_count; i++) {
		if (stub->breakpoints[i] != address)
			stub->breakpoints[kept++] = stub->breakpoints[i];
	}
	stub->breakpoint_count = kept;
	if (insert && kept == GDB_BREAKPOINTS) {
		send_packet(stub, "E1c");
		return;
	}
	if (insert)
		stub->breakpoints[stub->breakpoint_count++] = address;
	send_packet(stub, "OK");
}

/* ---- queries ---- */

static void query_target(struct gdb_stub *stub, const char *at)
{
	char buffer[sizeof(target_xml) + 1];
	struct text text;
	u64 offset = take_number(&at);
	take_char(&at, ',');
	u64 bytes = take_number(&at);
	u64 total = sizeof(target_xml) - 1;
	text_init(&text, buffer, sizeof(buffer));
	offset = MIN(offset, total);
	bytes = MIN(bytes, total - offset);
	text_append_char(&text, offset + bytes == total ? 'l' : 'm');
	for (u64 i = 0; i < bytes; i++)
		text_append_char(&text, target_xml[offset + i]);
	send_packet(stub, buffer);
}

static void query_threads(struct gdb_stub *stub)
{
	char buffer[200];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	for (unsigned i = 0; i < stub->machine->vcpu_count; i++)
		text_format(&text, "%c%x", i ? ',' : 'm', i + 1);
	send_packet(stub, buffer);
}

/* `monitor regs`: what the protocol's register set lacks. */
static void monitor(struct gdb_stub *stub, const char *at)
{
	const struct cpu *cpu = &stub->machine->vcpus[stub->current]->cpu;
	char command[16] = {0}, answer[600], packet[1300];
	struct text text;
	take_hex(&at, command, sizeof(command) - 1);
	text_init(&text, answer, sizeof(answer));
	if (text_equal(command, "regs"))
		text_format(&text,
			"cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx cpl %u\ngdt %lx/%x idt %lx/%x\n"
			"fs %lx gs %lx kernel gs %lx tr %lx\npending %x activity %u\n",
			cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4, cpu->efer, cpu->cpl, cpu->gdtr.base,
			cpu->gdtr.limit, cpu->idtr.base, cpu->idtr.limit,
			cpu->segments[SEGMENT_FS].base, cpu->segments[SEGMENT_GS].base,
			cpu->msrs.kernel_gs_base, cpu->segments[SEGMENT_TR].base, cpu->pending,
			cpu->activity);
	else
		text_append(&text, "monitor knows: regs\n");
	struct text hex;
	text_init(&hex, packet, sizeof(packet));
	put_hex(&hex, answer, text.length);
	send_packet(stub, packet);
}

static void query(struct gdb_stub *stub, const char *packet)
{
	static const char features[] = "qXfer:features:read:target.xml:";
	if (text_starts_with(packet, "qSupported"))
		send_packet(stub,
			"PacketSize=1000;qXfer:features:read+;QStartNoAckMode+;vContSupported+");
	else if (text_starts_with(packet, features))
		query_target(stub, packet + sizeof(features) - 1);
	else if (text_equal(packet, "qfThreadInfo"))
		query_threads(stub);
	else if (text_equal(packet, "qsThreadInfo"))
		send_packet(stub, "l");
	else if (text_equal(packet, "qC"))
		send_packet(stub, "QC1");
	else if (text_starts_with(packet, "qAttached"))
		send_packet(stub, "1");
	else if (text_starts_with(packet, "qRcmd,"))
		monitor(stub, packet + 6);
	else
		send_packet(stub, "");
}

/* H g|c THREAD: 0 and -1 are any. */
static void select_thread(struct gdb_stub *stub, const char *at)
{
	if (*at && *++at != '-') {
		u64 thread = take_number(&at);
		if (thread > stub->machine->vcpu_count) {
			send_packet(stub, "E01");
			return;
		}
		if (thread)
			stub->current = (unsigned)thread - 1;
	}
	send_packet(stub, "OK");
}

/* vCont;s:1;c */
static void run_by_vcont(struct gdb_stub *stub, const char *at)
{
	if (*at == '?') {
		send_packet(stub, "vCont;c;C;s;S");
		return;
	}
	bool step = at[0] == ';' && (at[1] == 's' || at[1] == 'S');
	run_on(stub, step);
}

static void handle_packet(struct gdb_stub *stub, const char *packet)
{
	if (stub->is_running)
		return; /* gdb has no word now but the interrupt */
	switch (packet[0]) {
	case '?':
		tell_stop(stub, SIGNAL_TRAP);
		break;
	case 'g':
		read_registers(stub);
		break;
	case 'G':
		write_registers(stub, packet + 1);
		break;
	case 'P':
		write_register(stub, packet + 1);
		break;
	case 'm':
		read_memory(stub, packet + 1);
		break;
	case 'M':
		write_memory(stub, packet + 1);
		break;
	case 'c':
	case 's':
		run_on(stub, packet[0] == 's');
		break;
	case 'Z':
	case 'z':
		change_breakpoint(stub, packet + 1, packet[0] == 'Z');
		break;
	case 'H':
		select_thread(stub, packet + 1);
		break;
	case 'T':
		send_packet(stub, "OK");
		break;
	case 'q':
		query(stub, packet);
		break;
	case 'Q':
		stub->no_acks |= text_equal(packet, "QStartNoAckMode");
		send_packet(stub, stub->no_acks ? "OK" : "");
		break;
	case 'v':
		if (text_starts_with(packet, "vCont"))
			run_by_vcont(stub, packet + 5);
		else
			send_packet(stub, "");
		break;
	case 'D':
		send_packet(stub, "OK");
		gdb_detach(stub);
		break;
	case 'k':
		machine_end(stub->machine, MACHINE_STOPPED, 0);
		break;
	default:
		send_packet(stub, "");
	}
}

/* ---- framing ---- */

static void end_packet(struct gdb_stub *stub, char last_digit)
{
	int sum = hex_value(stub->checksum_digit) << 4 | hex_value(last_digit);
	bool good = sum == stub->sum && stub->length <= GDB_PACKET_BYTES;
	stub->receiving = GDB_IDLE;
	if (!stub->no_acks)
		stub->send(stub->context, good ? "+" : "-", 1);
	if (!good)
		return;
	stub->packet[stub->length] = 0;
	handle_packet(stub, stub->packet);
}

static void receive_char(struct gdb_stub *stub, char c)
{
	switch (stub->receiving) {
	case GDB_IDLE:
		if (c == 3)
			interrupt(stub);
		if (c == '$') {
			stub->receiving = GDB_IN_PACKET;
			stub->length = 0;
			stub->sum = 0;
		}
		break;
	case GDB_IN_PACKET:
		if (c == '#') {
			stub->receiving = GDB_CHECKSUM_1;
			break;
		}
		stub->sum += (u8)c;
		if (stub->length < GDB_PACKET_BYTES)
			stub->packet[stub->length] = c;
		if (stub->length <= GDB_PACKET_BYTES)
			stub->length++;
		break;
	case GDB_CHECKSUM_1:
		stub->checksum_digit = c;
		stub->receiving = GDB_CHECKSUM_2;
		break;
	case GDB_CHECKSUM_2:
		end_packet(stub, c);
		break;
	}
}

void gdb_receive(struct gdb_stub *stub, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count && !stub->is_detached; i++)
		receive_char(stub, bytes[i]);
}

void gdb_attach(struct gdb_stub *stub, struct machine *machine,
	void (*send)(void *context, const char *from, size_t bytes), void (*notify)(void *context),
	void *context)
{
	*stub = (struct gdb_stub){
		.machine = machine, .send = send, .notify = notify, .context = context};
	machine_pause(machine);
}

void gdb_detach(struct gdb_stub *stub)
{
	if (stub->is_detached)
		return;
	if (stub->is_running)
		machine_pause(stub->machine);
	set_hooks(stub, false);
	stub->is_detached = true;
	machine_resume(stub->machine);
}
