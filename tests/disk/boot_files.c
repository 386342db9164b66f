/* SPDX-License-Identifier: MIT */
/* boot_files IMAGE FOLDER: what is found in the disk's /boot, as FOLDER/kernel, payload and initrd; prints the words for the kernel. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/linux/disk/boot_files.h"

static void write_file(const char *folder, const char *name, int from)
{
	char path[4096];
	struct stat info;
	off_t at = 0;
	int to;

	if (from < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	fstat(from, &info);
	while (at < info.st_size && sendfile(to, from, &at, (size_t)(info.st_size - at)) > 0)
		;
	close(to);
}

int main(int argc, char **argv)
{
	struct boot_files files;
	static struct chain disk;
	struct error error;
	int fd = argc == 3 ? open(argv[1], O_RDONLY) : -1;

	if (fd < 0)
		return 2;
	disk.count = 1;
	disk.files[0] = (struct chain_file){.fd = fd};
	if (boot_files_find(&disk, 256 * MIB, &files, &error) != STATUS_OK) {
		printf("%s\n", error.text);
		return 1;
	}
	write_file(argv[2], "kernel", files.kernel.kernel);
	write_file(argv[2], "payload", files.kernel.payload);
	write_file(argv[2], "initrd", files.initrd);
	printf("%s\n", files.append);
	return 0;
}
