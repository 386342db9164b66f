/* SPDX-License-Identifier: MIT */
#include "control/linux/engines.h"

#include <string.h>

#include "control/linux/models.h"
#include "hosts/linux/code_memory.h"

/* The fastest first: auto takes the first that works. */
const struct engine_choice engine_choices[] = {
	{"kvm", "Linux KVM, on processors with virtualization", NULL, NULL},
	{"translate", "binary translation; needs no virtualization",
		"binary translation; it needs no virtualization", code_memory_probe},
	{"direct", "guest user code untranslated; needs no virtualization", NULL, NULL},
	{"interp", "one instruction at a time; needs no virtualization",
		"the one that this version has; it needs no virtualization", NULL},
	{"svm", "AMD's virtualization, on the bare machine (lodge-metal)", NULL, NULL},
	{"lockstep",
		"two engines on one guest, compared with each other: for finding lodge's own faults",
		"it was asked for", NULL},
};
const unsigned engine_choice_count = ARRAY_SIZE(engine_choices);

static enum status probe_host(const struct engine_choice *choice, struct error *error)
{
	struct error reason;
	enum status status = choice->probe(&reason);

	if (status != STATUS_OK)
		error_set(error, status, "--engine %s: %.200s", choice->name, reason.text);
	return status;
}

enum status engine_check(const struct engine_choice *choice, struct error *error)
{
	char missing[128];

	if (!choice->why)
		return error_set(error, STATUS_UNSUPPORTED,
			"--engine %s: not available yet in this version; there is interp",
			choice->name);
	model_missing_features(missing, sizeof(missing));
	if (missing[0])
		return error_set(error, STATUS_UNSUPPORTED, "--engine %s: this processor lacks %s",
			choice->name, missing);
	return choice->probe ? probe_host(choice, error) : STATUS_OK;
}

static enum status choose_first(const struct engine_choice **choice, struct error *error)
{
	enum status status = STATUS_UNSUPPORTED;

	for (unsigned i = 0; i < engine_choice_count; i++) {
		status = engine_check(&engine_choices[i], error);
		if (status == STATUS_OK) {
			*choice = &engine_choices[i];
			return STATUS_OK;
		}
	}
	return status;
}

enum status engine_choose(
	const char *name, const struct engine_choice **choice, struct error *error)
{
	if (!strcmp(name, "auto"))
		return choose_first(choice, error);
	for (unsigned i = 0; i < engine_choice_count; i++) {
		enum status status;

		if (strcmp(engine_choices[i].name, name))
			continue;
		status = engine_check(&engine_choices[i], error);
		if (status == STATUS_OK)
			*choice = &engine_choices[i];
		return status;
	}
	return error_set(error, STATUS_INVALID, "--engine %.40s: no such engine", name);
}
