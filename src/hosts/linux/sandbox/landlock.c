/* SPDX-License-Identifier: MIT */
/* Landlock (Linux' Documentation/userspace-api/landlock.rst): a domain that allows nothing of what the kernel's version can forbid. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hosts/linux/sandbox/layers.h"

#define CREATE_RULESET_VERSION 1u

/* By hand: the build's headers may be older than the host's kernel. */
struct ruleset {
	u64 handled_files, handled_net, scoped;
};

/* The version that brought them, and how many bits (from bit 0) there are since. */
static const struct {
	int version;
	unsigned file_bits, net_bits, scope_bits;
} abilities[] = {
	{1, 13, 0, 0}, /* everything but what follows */
	{2, 14, 0, 0}, /* linking across folders */
	{3, 15, 0, 0}, /* truncating */
	{4, 15, 2, 0}, /* TCP bind, connect */
	{5, 16, 2, 0}, /* ioctl of devices */
	{6, 16, 2, 2}, /* abstract Unix sockets, signals */
};

static struct ruleset ruleset_for(int version)
{
	struct ruleset ruleset = {0};

	for (size_t i = 0; i < ARRAY_SIZE(abilities); i++) {
		if (abilities[i].version <= version)
			ruleset = (struct ruleset){(1ull << abilities[i].file_bits) - 1,
				(1ull << abilities[i].net_bits) - 1,
				(1ull << abilities[i].scope_bits) - 1};
	}
	return ruleset;
}

void landlock_enter(struct sandbox_layer *layer)
{
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	if (version < 1) {
		layer_set(layer, false, "this kernel has none, or it is off (lsm=): %s",
			strerror(errno));
		return;
	}
	struct ruleset ruleset = ruleset_for(version);
	/* An older kernel takes the longer struct as long as what it does not know is zero. */
	int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0))
		layer_set(layer, false, "version %d: %s", version, strerror(errno));
	else
		layer_set(layer, true, "version %d: no files%s%s", version,
			ruleset.handled_net ? ", no TCP" : "",
			ruleset.scoped ? ", no signals to others" : "");
	if (fd >= 0)
		close(fd);
}
