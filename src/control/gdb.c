/* SPDX-License-Identifier: MIT */
#include "control/gdb.h"
#include "base/memory.h"
#include "base/text.h"
#include "control/gdb_registers.h"
#include "core/machine.h"
#include "x86/paging.h"

#define SIGNAL_INT 2
#define SIGNAL_TRAP 5

static struct cpu *current_cpu(struct gdb_stub *stub)
{
	return &stub->machine->vcpus[stub->current]->cpu;
}

/* ---- sending ---- */

static const char hex_digits[] = "0123456789abcdef";

/* In one piece, kept until the next one: gdb may ask for it again. */
static void send_packet(struct gdb_stub *stub, const char *body)
{
	struct text text;
	u8 sum = 0;
	for (const char *c = body; *c; c++)
		sum += (u8)*c;
	text_init(&text, stub->sent, sizeof(stub->sent));
	text_format(&text, "$%s#%02x", body, sum);
	stub->sent_bytes = text.length;
	stub->send(stub->context, stub->sent, text.length);
}

/* An answer of one word. */
static void answer(struct gdb_stub *stub, bool ok)
{
	send_packet(stub, ok ? "OK" : "E01");
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

static void read_registers(struct gdb_stub *stub)
{
	char buffer[GDB_PACKET_BYTES];
	u8 value[GDB_REGISTER_BYTES_MAX];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	for (unsigned i = 0; i < gdb_register_count(current_cpu(stub)); i++)
		put_hex(&text, value, gdb_register_get(current_cpu(stub), i, value));
	send_packet(stub, buffer);
}

static void registers_changed(struct gdb_stub *stub)
{
	stub->machine->engine->push_state(stub->machine->vcpus[stub->current]);
}

/* What cannot be set (selectors, to begin with) stays as it is: gdb sends all of them to change one. */
static void write_registers(struct gdb_stub *stub, const char *at)
{
	u8 value[GDB_REGISTER_BYTES_MAX] = {0};
	for (unsigned i = 0; i < gdb_register_count(current_cpu(stub)); i++) {
		if (take_hex(&at, value, gdb_register_bytes(i)) != gdb_register_bytes(i))
			break;
		gdb_register_set(current_cpu(stub), i, value);
	}
	registers_changed(stub);
	answer(stub, true);
}

static unsigned take_register(struct gdb_stub *stub, const char **at)
{
	u64 number = take_number(at);
	return (unsigned)MIN(number, gdb_register_count(current_cpu(stub)));
}

static void read_register(struct gdb_stub *stub, const char *at)
{
	char buffer[2 * GDB_REGISTER_BYTES_MAX + 1];
	u8 value[GDB_REGISTER_BYTES_MAX];
	struct text text;
	unsigned bytes = gdb_register_get(current_cpu(stub), take_register(stub, &at), value);
	text_init(&text, buffer, sizeof(buffer));
	put_hex(&text, value, bytes);
	send_packet(stub, bytes ? buffer : "E01");
}

static void write_register(struct gdb_stub *stub, const char *at)
{
	u8 value[GDB_REGISTER_BYTES_MAX] = {0};
	unsigned number = take_register(stub, &at);
	bool ok = take_char(&at, '=') &&
		take_hex(&at, value, sizeof(value)) == gdb_register_bytes(number) &&
		gdb_register_set(current_cpu(stub), number, value);
	if (ok)
		registers_changed(stub);
	answer(stub, ok);
}

/* ---- memory ---- */

/* What lies at the virtual address, up to the page's end: a host pointer into RAM; NULL: nothing. */
static u8 *guest_bytes(struct vcpu *vcpu, u64 linear, u64 *bytes, u64 *physical)
{
	*bytes = MIN(*bytes, PAGE_SIZE - (linear & ~PAGE_MASK));
	if (!paging_translate_debug(&vcpu->cpu, linear, physical))
		return NULL;
	return memory_host(&vcpu->machine->memory, *physical, *bytes);
}

/* Up to where there is no more memory. */
static u64 copy_from_guest(struct vcpu *vcpu, u64 address, u8 *to, u64 bytes)
{
	u64 done = 0, physical;
	while (done < bytes) {
		u64 here = bytes - done;
		const u8 *from = guest_bytes(vcpu, address + done, &here, &physical);
		if (!from)
			break;
		memcpy(to + done, from, here);
		done += here;
	}
	return done;
}

static bool copy_to_guest(struct vcpu *vcpu, u64 address, const u8 *from, u64 bytes)
{
	u64 physical;
	while (bytes) {
		u64 here = bytes;
		if (!guest_bytes(vcpu, address, &here, &physical) ||
			!memory_write(vcpu->machine, physical, from, here))
			return false;
		address += here;
		from += here;
		bytes -= here;
	}
	return true;
}

static void read_memory(struct gdb_stub *stub, const char *at)
{
	char buffer[GDB_PACKET_BYTES];
	u8 bytes[(GDB_PACKET_BYTES - 16) / 2];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	u64 address = take_number(&at);
	take_char(&at, ',');
	u64 wanted = take_number(&at);
	wanted = MIN(wanted, sizeof(bytes));
	u64 got = copy_from_guest(stub->machine->vcpus[stub->current], address, bytes, wanted);
	put_hex(&text, bytes, got);
	send_packet(stub, got || !wanted ? buffer : "E14");
}

/* X has the bytes as they are, but for three that are escaped. */
static size_t take_binary(const char *at, const char *end, u8 *to, size_t most)
{
	size_t count = 0;
	for (; at < end && count < most; at++) {
		if (*at == '}' && ++at == end)
			break;
		to[count++] = (u8)(at[-1] == '}' ? *at ^ 0x20 : *at);
	}
	return count;
}

static void write_memory(struct gdb_stub *stub, const char *at, bool is_binary)
{
	u8 bytes[GDB_PACKET_BYTES];
	u64 address = take_number(&at);
	take_char(&at, ',');
	u64 wanted = take_number(&at);
	if (!take_char(&at, ':') || wanted > sizeof(bytes)) {
		answer(stub, false);
		return;
	}
	size_t got = is_binary ? take_binary(at, stub->packet + stub->length, bytes, wanted)
			       : take_hex(&at, bytes, wanted);
	struct vcpu *vcpu = stub->machine->vcpus[stub->current];
	if (got != wanted)
		answer(stub, false);
	else
		send_packet(stub, copy_to_guest(vcpu, address, bytes, wanted) ? "OK" : "E14");
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

/* Where the next instruction lies: breakpoints are linear addresses, as those of memory are. */
static u64 code_linear(const struct cpu *cpu)
{
	u64 rip = cpu->regs[RIP];
	return cpu_is_64_bit(cpu) ? rip : (u32)(rip + cpu->segments[SEGMENT_CS].base);
}

/* Looks at what is watched; NULL: nothing has changed. What is not mapped now has not changed. */
static struct gdb_watchpoint *find_changed(struct gdb_stub *stub, struct vcpu *vcpu)
{
	struct gdb_watchpoint *changed = NULL;
	for (unsigned i = 0; i < stub->watchpoint_count; i++) {
		struct gdb_watchpoint *it = &stub->watchpoints[i];
		u8 now[GDB_WATCHED_BYTES];
		if (copy_from_guest(vcpu, it->address, now, it->bytes) != it->bytes)
			continue;
		if (it->is_known && memcmp(now, it->value, it->bytes))
			changed = it;
		memcpy(it->value, now, it->bytes);
		it->is_known = true;
	}
	return changed;
}

/* The instruction at which it stood when told to run on. An interrupt that comes first makes it another. */
static bool is_first(struct gdb_stub *stub, const struct vcpu *vcpu)
{
	if (!stub->skip_first || vcpu->index != stub->current)
		return false;
	stub->skip_first = false;
	return vcpu->cpu.regs[RIP] == stub->first_rip;
}

static bool wants_stop(struct gdb_stub *stub, struct vcpu *vcpu)
{
	struct gdb_watchpoint *changed = find_changed(stub, vcpu);
	bool is_stepped = stub->is_stepping && vcpu->index == stub->current;
	if (is_first(stub, vcpu) && !changed)
		return false;
	if (!changed && !is_stepped && !is_breakpoint(stub, code_linear(&vcpu->cpu)))
		return false;
	stub->changed = changed;
	stub->stopped_at = vcpu->index;
	return true;
}

/* On the vCPU's thread. Of several that stop at once one is told of; the others stop again when they are let run. */
static bool before_insn(struct vcpu *vcpu, void *context)
{
	struct gdb_stub *stub = context;
	host_lock(&vcpu->machine->lock);
	bool stops = wants_stop(stub, vcpu);
	host_unlock(&vcpu->machine->lock);
	if (!stops)
		return false;
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
	stub->first_rip = current_cpu(stub)->regs[RIP];
	stub->changed = NULL;
	stub->is_running = true;
	for (unsigned i = 0; i < stub->watchpoint_count; i++)
		stub->watchpoints[i].is_known = false;
	set_hooks(stub, step || stub->breakpoint_count || stub->watchpoint_count);
	machine_resume(stub->machine);
}

static void tell_stop(struct gdb_stub *stub, unsigned signal)
{
	char buffer[80];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	text_format(&text, "T%02xthread:%x;", signal, stub->stopped_at + 1);
	if (stub->changed && signal == SIGNAL_TRAP)
		text_format(&text, "watch:%lx;", stub->changed->address);
	send_packet(stub, buffer);
}

static void stop(struct gdb_stub *stub, unsigned vcpu, unsigned signal)
{
	machine_pause(stub->machine);
	stub->is_running = false;
	stub->current = stub->stopped_at = vcpu;
	/* Of a machine that has ended gdb_ended tells. */
	if (machine_has_ended(stub->machine))
		return;
	stub->machine->engine->pull_state(stub->machine->vcpus[vcpu]);
	tell_stop(stub, signal);
}

void gdb_stopped(struct gdb_stub *stub)
{
	if (stub->is_running && !machine_has_ended(stub->machine))
		stop(stub, stub->stopped_at, SIGNAL_TRAP);
}

static void interrupt(struct gdb_stub *stub)
{
	if (stub->is_running)
		stop(stub, stub->current, SIGNAL_INT);
}

/* [ADDRESS] */
static void run_from(struct gdb_stub *stub, const char *at, bool step)
{
	u8 value[GDB_REGISTER_BYTES_MAX] = {0};
	if (hex_value(*at) >= 0) {
		u64 rip = take_number(&at);
		memcpy(value, &rip, sizeof(rip));
		gdb_register_set(current_cpu(stub), GDB_REGISTER_RIP, value);
		registers_changed(stub);
	}
	run_on(stub, step);
}

/* SIGNAL[;ADDRESS]: a processor takes no signals. */
static void run_with_signal(struct gdb_stub *stub, const char *at, bool step)
{
	take_number(&at);
	take_char(&at, ';');
	run_from(stub, at, step);
}

static void change_breakpoint(struct gdb_stub *stub, u64 address, bool insert)
{
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
	answer(stub, true);
}

static void change_watchpoint(struct gdb_stub *stub, u64 address, u64 bytes, bool insert)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < stub->watchpoint_count; i++) {
		const struct gdb_watchpoint *it = &stub->watchpoints[i];
		if (it->address != address || it->bytes != bytes)
			stub->watchpoints[kept++] = *it;
	}
	stub->watchpoint_count = kept;
	if (insert && (kept == GDB_WATCHPOINTS || !bytes || bytes > GDB_WATCHED_BYTES)) {
		send_packet(stub, "E1c");
		return;
	}
	if (insert)
		stub->watchpoints[stub->watchpoint_count++] =
			(struct gdb_watchpoint){.address = address, .bytes = (u8)bytes};
	answer(stub, true);
}

/*
 * KIND,ADDRESS,LENGTH. Software and hardware breakpoints are the same here. Of watchpoints there are those for writes: the bytes are
 * compared between instructions. Reads leave no trace.
 */
static void change_point(struct gdb_stub *stub, const char *at, bool insert)
{
	char kind = *at;
	if (kind < '0' || kind > '2') {
		send_packet(stub, "");
		return;
	}
	at++;
	bool well_formed = take_char(&at, ',');
	u64 address = take_number(&at);
	well_formed = take_char(&at, ',') && well_formed;
	u64 bytes = take_number(&at);
	if (!well_formed)
		answer(stub, false);
	else if (kind == '2')
		change_watchpoint(stub, address, bytes, insert);
	else
		change_breakpoint(stub, address, insert);
}

/* ---- queries ---- */

static void query_target(struct gdb_stub *stub, const char *at)
{
	char xml[GDB_DESCRIPTION_BYTES], buffer[GDB_PACKET_BYTES];
	struct text description, text;
	text_init(&description, xml, sizeof(xml));
	gdb_registers_describe(current_cpu(stub), &description);
	u64 offset = take_number(&at);
	take_char(&at, ',');
	u64 bytes = take_number(&at), total = description.length;
	offset = MIN(offset, total);
	bytes = MIN(bytes, total - offset);
	bytes = MIN(bytes, sizeof(buffer) - 2);
	text_init(&text, buffer, sizeof(buffer));
	text_append_char(&text, offset + bytes == total ? 'l' : 'm');
	for (u64 i = 0; i < bytes; i++)
		text_append_char(&text, xml[offset + i]);
	send_packet(stub, buffer);
}

static void query_current(struct gdb_stub *stub)
{
	char buffer[16];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	text_format(&text, "QC%x", stub->current + 1);
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

/* `monitor regs`: what the protocol's registers lack, in one view. */
static void monitor(struct gdb_stub *stub, const char *at)
{
	const struct cpu *cpu = current_cpu(stub);
	char command[16] = {0}, said[600], packet[1300];
	struct text text;
	take_hex(&at, command, sizeof(command) - 1);
	text_init(&text, said, sizeof(said));
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
	put_hex(&hex, said, text.length);
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
		query_current(stub);
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
	u64 thread = 0;
	if (*at && *++at != '-')
		thread = take_number(&at);
	bool is_known = thread <= stub->machine->vcpu_count;
	if (thread && is_known)
		stub->current = (unsigned)thread - 1;
	answer(stub, is_known);
}

/* vCont;s:1;c: the first action is the one that counts. */
static void run_by_vcont(struct gdb_stub *stub, const char *at)
{
	if (*at == '?') {
		send_packet(stub, "vCont;c;C;s;S");
		return;
	}
	bool step = at[0] == ';' && (at[1] == 's' || at[1] == 'S');
	if (step || (at[0] == ';' && (at[1] == 'c' || at[1] == 'C')))
		run_on(stub, step);
	else
		answer(stub, false);
}

static void no_more_acks(struct gdb_stub *stub, const char *packet)
{
	bool asked = text_equal(packet, "QStartNoAckMode");
	stub->no_acks |= asked;
	send_packet(stub, asked ? "OK" : "");
}

static void handle_packet(struct gdb_stub *stub, const char *packet)
{
	const char *rest = packet + (packet[0] != 0);
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
		write_registers(stub, rest);
		break;
	case 'p':
		read_register(stub, rest);
		break;
	case 'P':
		write_register(stub, rest);
		break;
	case 'm':
		read_memory(stub, rest);
		break;
	case 'M':
	case 'X':
		write_memory(stub, rest, packet[0] == 'X');
		break;
	case 'c':
	case 's':
		run_from(stub, rest, packet[0] == 's');
		break;
	case 'C':
	case 'S':
		run_with_signal(stub, rest, packet[0] == 'S');
		break;
	case 'Z':
	case 'z':
		change_point(stub, rest, packet[0] == 'Z');
		break;
	case 'H':
		select_thread(stub, rest);
		break;
	case 'T':
		answer(stub, take_number(&rest) <= stub->machine->vcpu_count);
		break;
	case 'q':
		query(stub, packet);
		break;
	case 'Q':
		no_more_acks(stub, packet);
		break;
	case 'v':
		if (text_starts_with(packet, "vCont"))
			run_by_vcont(stub, packet + 5);
		else
			send_packet(stub, "");
		break;
	case 'D':
		answer(stub, true);
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
		if (c == '-' && !stub->no_acks)
			stub->send(stub->context, stub->sent, stub->sent_bytes);
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

void gdb_ended(struct gdb_stub *stub, u8 status)
{
	char buffer[4];
	struct text text;
	if (stub->is_detached)
		return;
	text_init(&text, buffer, sizeof(buffer));
	text_format(&text, "W%02x", status);
	send_packet(stub, buffer);
	stub->is_detached = true;
}
