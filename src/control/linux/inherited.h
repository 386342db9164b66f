/* SPDX-License-Identifier: MIT */
/* Descriptors that lodge was started with, past 2. One in the background must not hold them: somebody may wait for their end. */
#ifndef CONTROL_LINUX_INHERITED_H
#define CONTROL_LINUX_INHERITED_H

/* First of all, before any is opened. */
void inherited_remember(void);
void inherited_close(void);

#endif
