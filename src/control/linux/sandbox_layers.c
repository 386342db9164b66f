/* SPDX-License-Identifier: MIT */
#include "control/linux/sandbox_layers.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/linux/process.h"

#define ANSWER_BYTES 4096

_Noreturn static void become_runner(const char *path, int output)
{
	char *arguments[] = {(char *)"lodge-vm", (char *)"sandbox", NULL};
	char *environment[] = {NULL};

	dup2(output, STDOUT_FILENO);
	execve(path, arguments, environment);
	_exit(1);
}

static size_t read_all(int fd, char *to, size_t bytes)
{
	size_t length = 0;
	ssize_t got;

	while ((got = read(fd, to + length, bytes - length)) > 0)
		length += (size_t)got;
	return length;
}

/* The runner's words; "" when there are none. */
static void ask_runner(char answer[ANSWER_BYTES])
{
	struct error error;
	char path[PATH_MAX];
	int ends[2];
	pid_t pid;

	answer[0] = 0;
	if (process_find_runner(path, sizeof(path), &error) != STATUS_OK || pipe(ends))
		return;
	pid = fork();
	if (!pid)
		become_runner(path, ends[1]);
	close(ends[1]);
	if (pid > 0) {
		answer[read_all(ends[0], answer, ANSWER_BYTES - 1)] = 0;
		waitpid(pid, NULL, 0);
	}
	close(ends[0]);
}

/* NAME 0|1 TEXT */
static bool read_line(const char *line, struct sandbox_layer_found *found)
{
	int is_there;

	if (sscanf(line, "%23s %d %199[^\n]", found->name, &is_there, found->text) != 3)
		return false;
	found->is_there = is_there;
	return true;
}

unsigned sandbox_layers_ask(struct sandbox_layer_found found[SANDBOX_LAYERS_MAX])
{
	char answer[ANSWER_BYTES], *rest = answer;
	unsigned count = 0;

	ask_runner(answer);
	for (char *line = strsep(&rest, "\n"); line && count < SANDBOX_LAYERS_MAX;
		line = strsep(&rest, "\n"))
		count += read_line(line, &found[count]);
	return count;
}
