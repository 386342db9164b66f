/* SPDX-License-Identifier: MIT */
/*
 * A kernel's boot under the instruction clock, saved at random moments: each saved machine, loaded into a new one
 * and run on, must end in exactly the state of the run that was not interrupted, bit for bit, RAM and disk included.
 *
 * --engines names those of the unbroken run, of the one that is saved, and of the ones that go on: they need not be the same.
 *
 * boot_snapshots [--moments N] [--seed S] [--disk MIB] [--engines A,B,C] VMLINUX INITRD COMMAND-LINE; the guest must power off by
 * itself. With a disk the moments are those from its first request on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "boards/pc.h"
#include "boot/boot.h"
#include "core/machine.h"
#include "hosts/fake/disk.h"
#include "x86/model.h"

#define RAM_BYTES (96 * MIB)
#define INSNS_MAX 20000000000ull /* a boot that needs more hangs */

static struct boot_images images;
static const struct engine_ops *engines[3] = {
	&engine_interpreter, &engine_interpreter, &engine_interpreter};
static u64 disk_bytes; /* 0: there is no disk */

/* A machine with its RAM, and what its console has said. */
struct subject {
	struct machine machine;
	u8 *ram;
	struct console_device console;
	u64 output_bytes, output_hash;
	bool echo;
	struct fake_disk disk;
	struct block_ops disk_ops;
	u8 *disk_content;
	u64 disk_begins; /* the time of its first request */
};

static size_t take_output(void *context, const u8 *from, size_t bytes)
{
	struct subject *subject = context;
	for (size_t i = 0; i < bytes; i++)
		subject->output_hash = (subject->output_hash ^ from[i]) * 0x100000001b3;
	subject->output_bytes += bytes;
	if (subject->echo)
		fwrite(from, 1, bytes, stderr);
	return bytes;
}

static void resume_input(void *context) {}

static void die(const char *what)
{
	fprintf(stderr, "boot_snapshots: %s\n", what);
	printf("0 passed, 1 failed\n");
	exit(1);
}

static bool load_boot(struct machine *machine, void *context)
{
	struct boot_entry entry;
	struct error error;
	struct acpi_platform platform = pc_acpi_platform(machine);
	if (boot_load(machine, &images, &platform, &entry, &error) != STATUS_OK)
		die(error.text);
	boot_apply(&machine->vcpus[0]->cpu, &entry);
	return true;
}

/* Requests end at once, as they do in the runner under this clock. */
static void submit(struct block_backend *backend, struct block_request *request)
{
	struct subject *subject = container_of(backend, struct subject, disk.backend);

	if (!subject->disk_begins)
		subject->disk_begins = clock_now_ns(&subject->machine.clock);
	fake_disk_ops.submit(backend, request);
}

static void disk_create(struct subject *subject)
{
	u64 seed = 1;

	subject->disk_content = malloc(disk_bytes);
	if (!subject->disk_content)
		die("no memory for a disk");
	for (u64 at = 0; at < disk_bytes; at += 8) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		memcpy(subject->disk_content + at, &seed, 8);
	}
	fake_disk_init(&subject->disk, subject->disk_content, disk_bytes);
	subject->disk_ops = fake_disk_ops;
	subject->disk_ops.submit = submit;
	subject->disk.backend.ops = &subject->disk_ops;
}

static void subject_create(struct subject *subject, const struct engine_ops *engine, bool boots)
{
	struct pc_disk disk = {.backend = &subject->disk.backend, .serial = "snapshot"};

	memset(subject, 0, sizeof(*subject));
	if (disk_bytes)
		disk_create(subject);
	subject->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct machine_parameters parameters = {.engine = engine,
		.ram = subject->ram,
		.ram_bytes = RAM_BYTES,
		.clock = CLOCK_INSTRUCTIONS,
		.tsc_hz = 1000000000,
		.wall_start_ns = 1735689600000000000,
		.no_reboot = true,
		.model = cpu_model_find("x86-64-v2"),
		.vcpu_count = 1};
	struct pc_parameters board = {
		.console = {.write = take_output, .resume_input = resume_input, .context = subject},
		.load_boot = boots ? load_boot : NULL,
		.disks = &disk,
		.disk_count = disk_bytes ? 1 : 0};
	if (subject->ram == MAP_FAILED ||
		machine_init(&subject->machine, &parameters) != STATUS_OK ||
		pc_create(&subject->machine, &board, &subject->console) != STATUS_OK)
		die("no machine could be made");
	clock_start(&subject->machine.clock);
	subject->machine.reset(&subject->machine);
}

static void subject_destroy(struct subject *subject)
{
	pc_destroy(&subject->machine);
	machine_fini(&subject->machine);
	munmap(subject->ram, RAM_BYTES);
	free(subject->disk_content);
}

static void run_to_end(struct subject *subject)
{
	vcpu_run_insns(subject->machine.vcpus[0], INSNS_MAX);
	if (subject->machine.exit != MACHINE_POWER_OFF) {
		fprintf(stderr, "exit %u at instruction %lu, rip %lx\n", subject->machine.exit,
			subject->machine.clock.now_ns, subject->machine.vcpus[0]->cpu.regs[RIP]);
		die("the guest did not power off");
	}
}

/* The saved machine, in memory. */
struct buffer {
	u8 *bytes;
	u64 length, capacity, at;
};

static bool buffer_write(void *context, const void *from, u64 bytes)
{
	struct buffer *buffer = context;
	if (buffer->length + bytes > buffer->capacity) {
		buffer->capacity = (buffer->length + bytes) * 2;
		buffer->bytes = realloc(buffer->bytes, buffer->capacity);
		if (!buffer->bytes)
			return false;
	}
	memcpy(buffer->bytes + buffer->length, from, bytes);
	buffer->length += bytes;
	return true;
}

static bool buffer_read(void *context, void *to, u64 bytes)
{
	struct buffer *buffer = context;
	if (bytes > buffer->length - buffer->at)
		return false;
	memcpy(to, buffer->bytes + buffer->at, bytes);
	buffer->at += bytes;
	return true;
}

static const u8 *map_file(const char *path, u64 *bytes)
{
	struct stat status;
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0 || fstat(descriptor, &status)) {
		fprintf(stderr, "boot_snapshots: %s: %s\n", path, strerror(errno));
		die("a guest's file is missing: make guest");
	}
	*bytes = (u64)status.st_size;
	void *mapped = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
	close(descriptor);
	return mapped == MAP_FAILED ? NULL : mapped;
}

/* Compares an ended machine with the unbroken run's; prints what differs. */
static bool same_end(struct subject *whole, struct subject *resumed, u64 moment)
{
	static char lines[16384];
	struct text text;
	text_init(&text, lines, sizeof(lines));
	u64 differences = state_diff(&whole->machine, &resumed->machine, &text);
	if (whole->output_hash != resumed->output_hash)
		printf("the console's output differs\n");
	if (disk_bytes && memcmp(whole->disk_content, resumed->disk_content, disk_bytes)) {
		printf("the disks differ\n");
		differences++;
	}
	if (differences)
		printf("saved at instruction %lu: %lu differences\n%s", moment, differences, lines);
	return !differences && whole->output_hash == resumed->output_hash;
}

static bool check_moment(struct subject *whole, struct subject *runner, u64 moment)
{
	static struct subject resumed;
	struct buffer buffer = {0};
	struct state_sink sink = {.write = buffer_write, .context = &buffer};
	struct state_source source = {.read = buffer_read, .context = &buffer};
	struct error error;
	pc_drain(&runner->machine);
	if (state_save(&runner->machine, &sink) != STATUS_OK)
		die("saving failed");
	subject_create(&resumed, engines[2], false);
	if (disk_bytes)
		memcpy(resumed.disk_content, runner->disk_content, disk_bytes);
	if (state_load(&resumed.machine, &source, &error) != STATUS_OK)
		die(error.text);
	free(buffer.bytes);
	resumed.output_bytes = runner->output_bytes;
	resumed.output_hash = runner->output_hash;
	run_to_end(&resumed);
	bool same = same_end(whole, &resumed, moment);
	subject_destroy(&resumed);
	return same;
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;
	return x < y ? -1 : x > y;
}

static u64 *choose_moments(unsigned count, u64 seed, u64 from, u64 total)
{
	u64 *moments = calloc(count + 1, sizeof(*moments));
	for (unsigned i = 0; i < count; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		moments[i] = from + (seed >> 16) % (total - from);
	}
	qsort(moments, count, sizeof(*moments), compare_u64);
	return moments;
}

static void choose_engines(const char *names)
{
	static const struct engine_ops *const all[] = {&engine_interpreter, &engine_translator};
	for (unsigned i = 0; i < ARRAY_SIZE(engines); i++) {
		size_t length = strcspn(names, ",");
		engines[i] = NULL;
		for (unsigned k = 0; k < ARRAY_SIZE(all); k++)
			if (strlen(all[k]->name) == length && !strncmp(all[k]->name, names, length))
				engines[i] = all[k];
		if (!engines[i])
			die("--engines: three of interp and translate, as interp,translate,interp");
		names += length + (names[length] == ',');
	}
}

int main(int argc, char **argv)
{
	static struct subject whole, runner;
	unsigned moments_count = 20, passed = 0;
	u64 seed = 1;
	int at = 1;
	for (; at + 1 < argc && !strncmp(argv[at], "--", 2); at += 2) {
		if (!strcmp(argv[at], "--moments"))
			moments_count = (unsigned)strtoul(argv[at + 1], NULL, 0);
		else if (!strcmp(argv[at], "--seed"))
			seed = strtoull(argv[at + 1], NULL, 0);
		else if (!strcmp(argv[at], "--engines"))
			choose_engines(argv[at + 1]);
		else if (!strcmp(argv[at], "--disk"))
			disk_bytes = strtoull(argv[at + 1], NULL, 0) * MIB;
	}
	if (argc - at != 3)
		die("usage: boot_snapshots [--moments N] [--seed S] [--disk MIB] [--engines A,B,C] VMLINUX INITRD COMMAND-LINE");
	images.kernel = map_file(argv[at], &images.kernel_bytes);
	images.initrd = map_file(argv[at + 1], &images.initrd_bytes);
	images.command_line = argv[at + 2];

	subject_create(&whole, engines[0], true);
	whole.echo = getenv("VERBOSE");
	run_to_end(&whole);
	u64 total = clock_now_ns(&whole.machine.clock), done = 0;
	printf("the unbroken run: %lu instructions and idle nanoseconds, %lu bytes of output; seed %lu\n",
		total, whole.output_bytes, seed);
	if (disk_bytes)
		printf("the disk: from %lu on, %u reads, %u writes, %u flushes\n",
			whole.disk_begins, whole.disk.reads, whole.disk.writes, whole.disk.flushes);
	fflush(stdout);

	subject_create(&runner, engines[1], true);
	u64 *moments = choose_moments(moments_count, seed, whole.disk_begins, total);
	for (unsigned i = 0; i < moments_count; i++) {
		vcpu_run_insns(runner.machine.vcpus[0], moments[i] - done);
		done = moments[i];
		bool same = check_moment(&whole, &runner, done);
		printf("%s saved at %lu\n", same ? "ok" : "FAIL", done);
		fflush(stdout);
		passed += same;
	}
	free(moments);
	subject_destroy(&runner);
	subject_destroy(&whole);
	printf("%u passed, %u failed\n", passed, moments_count - passed);
	return passed != moments_count;
}
