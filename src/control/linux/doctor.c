/* SPDX-License-Identifier: MIT */
#include "control/linux/doctor.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "control/linux/cli.h"
#include "control/linux/engines.h"
#include "control/linux/json.h"
#include "control/linux/limits.h"
#include "control/linux/models.h"
#include "control/linux/process.h"
#include "control/linux/registry.h"
#include "control/linux/sandbox_layers.h"
#include "hosts/linux/runner.h"

#define KVM_GET_API_VERSION 0xae00 /* linux/kvm.h: _IO(0xae, 0) */

/* One thing looked at. `needed`: without it no machine runs here. */
struct finding {
	const char *name;
	bool is_good, is_needed;
	char text[256];
	const char *remedy; /* NULL: none, or none needed */
};

static void look_at_processor(struct finding *finding)
{
	char missing[128];
	u32 brand[13] = {0};

	for (u32 i = 0; i < 3; i++)
		__get_cpuid(0x80000002 + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2],
			&brand[4 * i + 3]);
	model_missing_features(missing, sizeof(missing));
	finding->is_good = !missing[0];
	snprintf(finding->text, sizeof(finding->text), "%.48s; %s%s", (const char *)brand,
		missing[0] ? "lacks " : "has all that lodge needs", missing);
	finding->remedy = "a processor with x86-64-v2, AES and PCLMULQDQ";
}

static void look_at_models(struct finding *finding)
{
	const struct cpu_model *best, *model;
	struct error error;

	finding->is_good = model_choose("auto", &best, &error) == STATUS_OK;
	if (!finding->is_good)
		return (void)snprintf(finding->text, sizeof(finding->text), "%s", error.text);
	snprintf(finding->text, sizeof(finding->text), "%s, the default of --cpu", best->name);
	for (unsigned i = 0; cpu_model_at(i); i++) {
		size_t length = strlen(finding->text);

		if (model_choose(cpu_model_at(i)->name, &model, &error) != STATUS_OK)
			snprintf(finding->text + length, sizeof(finding->text) - length, "; %s",
				error.text);
		else if (model != best)
			snprintf(finding->text + length, sizeof(finding->text) - length, "; %s",
				model->name);
	}
}

static void look_at_memory(struct finding *finding)
{
	struct sysinfo info;
	unsigned long long free_mib;

	if (sysinfo(&info))
		return;
	free_mib = (unsigned long long)(info.freeram + info.bufferram) * info.mem_unit >> 20;
	finding->is_good = free_mib >= 128;
	snprintf(finding->text, sizeof(finding->text), "%llu MiB free, %ld processors online",
		free_mib, sysconf(_SC_NPROCESSORS_ONLN));
	finding->remedy = "close other programs, or use --memory 128M";
}

static void look_at_runner(struct finding *finding)
{
	struct error error;
	char path[PATH_MAX];
	enum status status = process_find_runner(path, sizeof(path), &error);

	finding->is_good = status == STATUS_OK;
	snprintf(finding->text, sizeof(finding->text), "%.250s",
		status == STATUS_OK ? path : error.text);
	finding->remedy = "make, or make install";
}

static void look_at_virtualization(struct finding *finding)
{
	u32 eax, ebx, ecx = 0, edx;
	bool has_vmx = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx >> 5 & 1;
	bool has_svm = __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && ecx >> 2 & 1;

	finding->is_good = has_vmx || has_svm;
	snprintf(finding->text, sizeof(finding->text), "%s",
		has_svm		  ? "AMD SVM"
			: has_vmx ? "Intel VMX"
				  : "none (not needed by the software engines)");
	finding->remedy = "the firmware's setup, or nested virtualization in a host above";
}

static void look_at_kvm(struct finding *finding)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version = fd >= 0 ? ioctl(fd, KVM_GET_API_VERSION, 0) : -1;

	finding->is_good = version == 12;
	if (fd < 0)
		snprintf(finding->text, sizeof(finding->text), "/dev/kvm: %s", strerror(errno));
	else
		snprintf(finding->text, sizeof(finding->text), "/dev/kvm, API version %d", version);
	finding->remedy = errno == EACCES ? "adduser $USER kvm, and log in again"
					  : "modprobe kvm_amd or kvm_intel, where there is "
					    "virtualization; the kvm engine comes later";
	if (fd >= 0)
		close(fd);
}

static bool find_in_path(const char *program, char *found, size_t bytes)
{
	char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin"), *rest = path;

	for (char *folder = strsep(&rest, ":"); folder; folder = strsep(&rest, ":")) {
		snprintf(found, bytes, "%s/%s", folder, program);
		if (!access(found, X_OK)) {
			free(path);
			return true;
		}
	}
	free(path);
	return false;
}

static void look_at_qemu(struct finding *finding)
{
	char path[PATH_MAX];

	finding->is_good = find_in_path("qemu-system-x86_64", path, sizeof(path));
	snprintf(finding->text, sizeof(finding->text), "%.190s",
		finding->is_good ? path
				 : "not installed (only make test and make bench compare with it)");
	finding->remedy = "apt-get install qemu-system-x86";
}

/* What locks the runner in: a finding each. Without one the others hold, so none is needed. */
static unsigned look_at_sandbox(struct finding *findings)
{
	static struct sandbox_layer_found found[SANDBOX_LAYERS_MAX];
	static char names[SANDBOX_LAYERS_MAX][32];
	unsigned count = sandbox_layers_ask(found);

	for (unsigned i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "sandbox %.23s", found[i].name);
		findings[i] = (struct finding){.name = names[i],
			.is_good = found[i].is_there,
			.remedy = "docs/threat-model.md says what this layer needs, and what the "
				  "others keep without it"};
		snprintf(findings[i].text, sizeof(findings[i].text), "%s", found[i].text);
	}
	return count;
}

static void look_at_limits(struct finding *finding)
{
	finding->is_good = limits_describe(finding->text, sizeof(finding->text));
	finding->remedy =
		"a login session of systemd, or LODGE_CGROUP=a delegated group that passes on "
		"cpu and memory";
}

/* What is there of this user's machines. */
static void look_at_registry(struct finding *finding)
{
	struct error error;

	finding->is_good = registry_check(&error) == STATUS_OK;
	snprintf(finding->text, sizeof(finding->text), "%.250s",
		finding->is_good ? registry_path() : error.text);
	finding->remedy =
		"XDG_RUNTIME_DIR or LODGE_RUNTIME_DIR set to a folder of your own; without one only "
		"machines without a name run, on a terminal";
}

static void look_at_kernel(struct finding *finding)
{
	struct utsname name;

	if (uname(&name))
		return;
	finding->is_good = true;
	snprintf(finding->text, sizeof(finding->text), "%s %.90s, %.60s", name.sysname,
		name.release, name.machine);
}

static const struct {
	const char *name;
	bool is_needed;
	void (*look)(struct finding *finding);
} looks[] = {
	{"processor", true, look_at_processor},
	{"model", false, look_at_models},
	{"kernel", false, look_at_kernel},
	{"memory", false, look_at_memory},
	{"lodge-vm", true, look_at_runner},
	{"virtualization", false, look_at_virtualization},
	{"kvm", false, look_at_kvm},
	{"qemu", false, look_at_qemu},
	{"registry", false, look_at_registry},
	{"limits", false, look_at_limits},
};

static void print_json(const struct finding *findings, unsigned count)
{
	printf("{\"version\": \"%s\", \"findings\": [", LODGE_VERSION);
	for (unsigned i = 0; i < count; i++) {
		printf("%s\n  {\"name\": \"%s\", \"good\": %s, \"needed\": %s, \"text\": ",
			i ? "," : "", findings[i].name, findings[i].is_good ? "true" : "false",
			findings[i].is_needed ? "true" : "false");
		json_print_string(findings[i].text);
		if (!findings[i].is_good && findings[i].remedy) {
			printf(", \"remedy\": ");
			json_print_string(findings[i].remedy);
		}
		putchar('}');
	}
	printf("\n], \"engines\": [");
	for (unsigned i = 0; i < engine_choice_count; i++) {
		struct error error = {{0}};
		bool is_usable = engine_check(&engine_choices[i], &error) == STATUS_OK;

		printf("%s\n  {\"name\": \"%s\", \"usable\": %s, \"text\": ", i ? "," : "",
			engine_choices[i].name, is_usable ? "true" : "false");
		json_print_string(is_usable ? engine_choices[i].summary : error.text);
		putchar('}');
	}
	printf("\n]}\n");
}

static void print_text(const struct finding *findings, unsigned count)
{
	printf("lodge %s\n", LODGE_VERSION);
	for (unsigned i = 0; i < count; i++) {
		const struct finding *finding = &findings[i];

		printf("%-4s %-15s %s\n",
			finding->is_good	     ? "ok"
				: finding->is_needed ? "NO"
						     : "-",
			finding->name, finding->text);
		if (!finding->is_good && finding->remedy)
			printf("     %-15s to get it: %s\n", "", finding->remedy);
	}
	for (unsigned i = 0; i < engine_choice_count; i++) {
		const struct engine_choice *choice = &engine_choices[i];
		struct error error;
		bool is_usable = engine_check(choice, &error) == STATUS_OK;

		printf("%-4s engine %-8s %s%s\n", is_usable ? "ok" : "-", choice->name,
			choice->summary,
			is_usable	      ? ""
				: choice->why ? "; this host cannot"
					      : "; not in this version yet");
	}
}

int doctor_run(bool as_json)
{
	struct finding findings[ARRAY_SIZE(looks) + SANDBOX_LAYERS_MAX];
	unsigned count = ARRAY_SIZE(looks);
	bool can_run = true;

	for (unsigned i = 0; i < ARRAY_SIZE(looks); i++) {
		findings[i] =
			(struct finding){.name = looks[i].name, .is_needed = looks[i].is_needed};
		looks[i].look(&findings[i]);
		can_run = can_run && (findings[i].is_good || !findings[i].is_needed);
	}
	count += look_at_sandbox(&findings[count]);
	if (as_json)
		print_json(findings, count);
	else
		print_text(findings, count);
	return can_run ? LODGE_EXIT_OK : LODGE_EXIT_FAILURE;
}
