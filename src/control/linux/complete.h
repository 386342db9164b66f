/* SPDX-License-Identifier: MIT */
/* For the shell: completions/lodge asks `lodge complete [COMMAND]` which words may come next, one a line. */
#ifndef CONTROL_LINUX_COMPLETE_H
#define CONTROL_LINUX_COMPLETE_H

int complete_words(int argc, char **argv);

#endif
