/* SPDX-License-Identifier: MIT */
#include "control/linux/models.h"

#include <string.h>

enum status model_choose(const char *name, const struct cpu_model **model, struct error *error)
{
	bool is_auto = !strcmp(name, "auto");
	u64 host = cpu_host_features();
	const struct cpu_model *chosen = is_auto ? cpu_model_best(host) : cpu_model_find(name);
	char names[128];
	struct text missing;

	if (!chosen && !is_auto)
		return error_set(error, STATUS_INVALID, "--cpu %.40s: no such model", name);
	text_init(&missing, names, sizeof(names));
	if (!cpu_model_runs_on(chosen ? chosen : cpu_model_at(0), host, &missing))
		return error_set(error, STATUS_UNSUPPORTED, "--cpu %s: this processor lacks %s",
			name, names);
	*model = chosen;
	return STATUS_OK;
}

void model_missing_features(char *names, size_t bytes)
{
	struct text missing;

	text_init(&missing, names, bytes);
	cpu_model_runs_on(cpu_model_at(0), cpu_host_features(), &missing);
}
