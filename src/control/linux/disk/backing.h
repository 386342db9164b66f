/* SPDX-License-Identifier: MIT */
/*
 * What a qcow2 image stands on. Images are strangers' work, and the name in one is not a right to a file: a backing file lies in the
 * folder of the image that names it, or below, and says its format.
 */
#ifndef CONTROL_LINUX_DISK_BACKING_H
#define CONTROL_LINUX_DISK_BACKING_H

#include "hosts/linux/qcow2/chain.h"

/* chain has the image's file, named path, and gets the others, opened and locked. error names the file that it is about. */
enum status backing_open(const char *path, struct chain *chain, struct error *error) must_use;

#endif
