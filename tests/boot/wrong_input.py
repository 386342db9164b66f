#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/boot/wrong_input.py [--lodge FILE] [--guests DIR]: what is wrong gets one clear line on stderr, `lodge: ...`, exit
status 1 (files, machine) or 2 (usage), nothing on stdout, and an end within seconds. No guest runs. Needs build/guest's files."""
import argparse
import os
import random
import struct
import subprocess
import sys
import tempfile

LIMIT_SECONDS = 20
EM_386, EM_X86_64 = 3, 62
PT_LOAD, PT_NOTE = 1, 4


def elf64(segments, entry=0x100000, machine=EM_X86_64, **header):
    """segments: (physical address, content, size in memory). With a PVH note."""
    notes = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry & 0xffffffff)
    count = len(segments) + 1
    at = 64 + 56 * count
    table, body = b"", b""
    for address, content, size in segments:
        table += struct.pack("<IIQQQQQQ", PT_LOAD, 7, at + len(body), address, address, len(content), size, 0x1000)
        body += content
    table += struct.pack("<IIQQQQQQ", PT_NOTE, 4, at + len(body), 0, 0, len(notes), len(notes), 4)
    body += notes
    fields = {"phoff": 64, "phentsize": 56, "phnum": count, **header}
    return struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, machine, 1, entry, fields["phoff"], 0, 0, 64,
                       fields["phentsize"], fields["phnum"], 64, 0, 0) + table + body


def elf32(segments, entry=0x100000, **header):
    notes = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)
    count = len(segments) + 1
    at = 52 + 32 * count
    table, body = b"", b""
    for address, content, size in segments:
        table += struct.pack("<IIIIIIII", PT_LOAD, at + len(body), address, address, len(content), size, 7, 0x1000)
        body += content
    table += struct.pack("<IIIIIIII", PT_NOTE, at + len(body), 0, 0, len(notes), len(notes), 4, 4)
    body += notes
    fields = {"phoff": 52, "phnum": count, **header}
    return struct.pack("<4sBBBB8xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 0, 2, EM_386, 1, entry, fields["phoff"], 0, 0, 52, 32,
                       fields["phnum"], 40, 0, 0) + table + body


class Cases:
    def __init__(self, given, folder):
        self.lodge, self.guests, self.folder = given.lodge, given.guests, folder
        self.verbose = given.verbose
        self.passed = self.failed = self.count = 0
        with open(f"{given.guests}/vmlinuz", "rb") as file:
            self.bzimage = file.read()
        with open(f"{given.guests}/vmlinux", "rb") as file:
            self.vmlinux = file.read()

    def file(self, content):
        self.count += 1
        path = f"{self.folder}/input-{self.count}"
        with open(path, "wb") as file:
            file.write(content)
        return path

    def lodge_says(self, words, environment=None):
        """(status or None, stdout, stderr)"""
        try:
            done = subprocess.run([self.lodge, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return None, b"", b""
        return done.returncode, done.stdout, done.stderr

    def refused(self, name, status, words, must_say=None):
        got, out, errors = self.lodge_says(words)
        text = errors.decode("utf-8", "replace")
        lines = text.splitlines()
        why = None
        if got is None:
            why = f"no end within {LIMIT_SECONDS} s"
        elif got not in (status if isinstance(status, tuple) else (status,)):
            why = f"exit status {got}, not {status}; it says {text[-200:]!r}"
        elif out:
            why = f"something on stdout: {out[:100]!r}"
        elif len(lines) != 1 or not text.endswith("\n"):
            why = f"{len(lines)} lines on stderr, not one: {text[:300]!r}"
        elif not lines[0].startswith("lodge: ") or len(lines[0]) < 15 or not lines[0].isprintable():
            why = f"not a clear line beginning `lodge: `: {text!r}"
        elif must_say and not any(word in text for word in must_say):
            why = f"names none of {must_say}: {text!r}"
        if why:
            self.failed += 1
            print(f"FAIL {name}: {why}", flush=True)
        else:
            self.passed += 1
            if self.verbose:
                print(f"ok {name}: {lines[0]}", flush=True)

    def kernel(self, name, content, *more):
        path = self.file(content)
        self.refused(name, 1, ["run", "--kernel", path, *more], ("kernel", path))
        os.unlink(path)

    # ---- the groups ----

    def usage(self):
        kernel = ["--kernel", f"{self.guests}/vmlinuz"]
        for name, words in [
                ("unknown option", ["run", "--no-such-option"]), ("unknown short option", ["run", "-Z"]),
                ("unknown command", ["fly"]), ("unknown engine", ["run", "--engine", "steam", *kernel]),
                ("option without its value", ["run", *kernel, "--memory"]),
                ("memory 12Q", ["run", *kernel, "--memory", "12Q"]), ("empty memory", ["run", *kernel, "--memory", ""]),
                ("negative memory", ["run", *kernel, "--memory", "-1M"]), ("memory 0", ["run", *kernel, "--memory", "0"]),
                ("memory of 30 digits", ["run", *kernel, "--memory", "9" * 30]),
                ("memory that overflows", ["run", *kernel, "--memory", "99999999999G"]),
                ("no processors", ["run", *kernel, "--cpus", "0"]), ("processors in words", ["run", *kernel, "--cpus", "two"]),
                ("unknown console", ["run", *kernel, "--console", "carrier-pigeon"]),
                ("unknown clock", ["run", *kernel, "--clock", "sundial"]),
                ("unknown processor model", ["run", *kernel, "--cpu", "z80"]), ("a word too many", ["run", *kernel, "word"]),
                ("a very long command line", ["run", *kernel, "--append", "x" * 5000])]:
            self.refused(name, 2, words)
        self.refused("an engine not usable here", 1, ["run", "--engine", "kvm", *kernel], ("kvm",))

    def not_files(self):
        good = f"{self.guests}/vmlinuz"
        closed = self.file(b"x" * 4096)
        os.chmod(closed, 0)
        for option in ("--kernel", "--initrd"):
            first = [] if option == "--kernel" else ["--kernel", good]
            missing = f"{self.folder}/not-there"
            self.refused(f"{option}: missing", 1, ["run", *first, option, missing], (missing,))
            self.refused(f"{option}: a directory", 1, ["run", *first, option, self.folder], (self.folder,))
            self.refused(f"{option}: a device", 1, ["run", *first, option, "/dev/null"], ("/dev/null",))
            self.refused(f"{option}: an endless device", 1, ["run", *first, option, "/dev/zero"], ("/dev/zero",))
            self.refused(f"{option}: an empty name", (1, 2), ["run", *first, option, ""])
            empty = self.file(b"")
            self.refused(f"{option}: empty", 1, ["run", *first, option, empty], (empty, option[2:]))
            if os.getuid():
                self.refused(f"{option}: not readable", 1, ["run", *first, option, closed], (closed,))
            pipe = f"{self.folder}/pipe{option}"
            os.mkfifo(pipe)
            self.refused(f"{option}: a named pipe", 1, ["run", *first, option, pipe], (pipe,))
        self.refused("no kernel and no disk", 2, ["run"])

    def truncated(self):
        setup = (self.bzimage[0x1f1] + 1) * 512
        sizes = [1, 2, 3, 4, 63, 64, 511, 512, 0x1f0, 0x1f1, 0x1f2, 0x200, 0x202, 0x206, 0x208, 0x211, 0x214, 0x230, 0x238,
                 0x248, 0x250, 0x258, 0x260, 0x268, 0x26c, 1024, setup - 1, setup, setup + 1, setup + 0x200, setup + 4096,
                 len(self.bzimage) // 2, len(self.bzimage) * 9 // 10]
        for size in sizes:
            self.kernel(f"a bzImage of {size} bytes", self.bzimage[:size])
        table = 64 + 56 * struct.unpack_from("<H", self.vmlinux, 56)[0]
        for size in [4, 5, 16, 18, 20, 24, 32, 40, 52, 54, 56, 58, 63, 64, 65, 64 + 56, table - 1, table, 4096, 0x200000,
                     len(self.vmlinux) // 2]:
            self.kernel(f"an ELF kernel of {size} bytes", self.vmlinux[:size])
        good = elf32([(0x100000, b"\xf4" * 64, 64)])
        for size in (16, 24, 28, 44, 51, 52, 60, 52 + 32, 52 + 64, len(good) - 1):
            self.kernel(f"a 32-bit ELF kernel of {size} bytes", good[:size])

    def damaged(self):
        image, setup = bytearray(self.bzimage), (self.bzimage[0x1f1] + 1) * 512
        payload = setup + struct.unpack_from("<I", image, 0x248)[0]
        for name, offset, data in [
                ("no boot flag", 0x1fe, b"\0\0"), ("no header signature", 0x202, b"XXXX"),
                ("protocol 1.0", 0x206, b"\0\1"), ("255 setup sectors", 0x1f1, b"\xff" ),
                ("payload offset past the end", 0x248, b"\xff\xff\xff\x7f"),
                ("payload offset that wraps", 0x248, b"\xff\xff\xff\xff"),
                ("payload length past the end", 0x24c, b"\xff\xff\xff\x7f"),
                ("payload length that wraps", 0x24c, b"\xff\xff\xff\xff"), ("damaged compression", payload + 100, b"\xff" * 4000),
                ("an LZ4 block of 4 GiB", payload + 4, b"\xff\xff\xff\xff")]:
            changed = bytearray(image)
            changed[offset:offset + len(data)] = data
            self.kernel(f"a bzImage with {name}", bytes(changed))

    def random_bytes(self):
        source = random.Random(3)
        for size in (1, 100, 512, 1024, 4096, 65536, 1 << 20):
            self.kernel(f"{size} random bytes", source.randbytes(size))
        self.kernel("1 MiB of zeros", bytes(1 << 20))
        self.kernel("text", b"This is not a kernel.\n" * 100)
        self.kernel("random bytes behind an ELF magic", b"\x7fELF\2\1\1" + source.randbytes(65536))
        self.kernel("random bytes behind a 32-bit ELF magic", b"\x7fELF\1\1\1" + source.randbytes(65536))
        head = bytearray(source.randbytes(65536))
        head[0x1fe:0x200], head[0x202:0x206] = b"\x55\xaa", b"HdrS"
        self.kernel("random bytes behind a bzImage's magic", bytes(head))

    def elf_segments(self):
        code, mib = b"\xf4" * 4096, 1 << 20
        low = [(mib, code, 4096)]
        for name, content in [
                ("that overlap", elf64([(mib, code, 8192), (mib + 4096, code, 4096)])),
                ("of the same address", elf64(low + low)),
                ("that wrap", elf64([(2**64 - 4096, code, 8192)])), ("whose size wraps", elf64([(mib, code, 2**64 - mib + 1)])),
                ("at the top of the address space", elf64([(2**63, code, 4096)])),
                ("past memory", elf64([(1 << 40, code, 4096)])), ("that end past memory", elf64([(mib, code, 1 << 31)])),
                ("that are all of memory and a byte", elf64([(0, code, (512 << 20) + 1)])),
                ("in the hole below 4 GiB", elf64([(0xfee00000, code, 4096)])),
                ("bigger in the file than in memory", elf64([(mib, code, 100)])),
                ("whose file part is past the end", elf64([(mib, code, 4096)])[:-2000]),
                ("none at all", elf64([])), ("an entry outside of them", elf64(low, entry=0x7000000)),
                ("a table past the end", elf64(low, phoff=1 << 40)), ("a table that wraps", elf64(low, phoff=2**64 - 8)),
                ("65535 of them", elf64(low, phnum=65535)), ("of size 0 each", elf64(low, phentsize=0)),
                ("of size 65535 each", elf64(low, phentsize=65535)), ("for another processor", elf64(low, machine=183)),
                ("32-bit, overlapping", elf32([(mib, code, 8192), (mib + 4096, code, 4096)])),
                ("32-bit, that wrap", elf32([(0xfffff000, code, 8192)])),
                ("32-bit, past memory", elf32([(0x7ff00000, code, 4096)])),
                ("32-bit, a table past the end", elf32(low, phoff=0x7fffffff))]:
            self.kernel(f"ELF segments: {name}", content)

    def memory(self):
        kernel = f"{self.guests}/vmlinuz"
        elf = f"{self.guests}/vmlinux"
        for size in ("8M", "16M", "32M"):
            self.refused(f"{size} of memory for a bzImage", 1, ["run", "--kernel", kernel, "--memory", size])
            self.refused(f"{size} of memory for an ELF kernel", 1, ["run", "--kernel", elf, "--memory", size])
        big = f"{self.folder}/big"
        with open(big, "wb") as file:
            file.truncate(600 << 20)
        self.refused("an initrd larger than memory", 1, ["run", "--kernel", kernel, "--initrd", big, "--memory", "512M"], (big, "initrd"))
        self.refused("an initrd that leaves the kernel no room", 1,
                     ["run", "--kernel", elf, "--initrd", big, "--memory", "610M"])
        with open(big, "wb") as file:
            file.truncate(1 << 40)
        self.refused("a kernel of 1 TiB", 1, ["run", "--kernel", big], (big, "kernel"))
        self.refused("an initrd of 1 TiB", 1, ["run", "--kernel", kernel, "--initrd", big], (big, "initrd"))
        os.unlink(big)
        self.refused("more memory than any host has", (1, 2), ["run", "--kernel", kernel, "--memory", "1000000G"])


def main():
    parser = argparse.ArgumentParser(prog="tests/boot/wrong_input.py", description=__doc__)
    parser.add_argument("--lodge", default="build/lodge")
    parser.add_argument("--guests", default="build/guest")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    given.lodge = os.path.abspath(given.lodge)
    for name in (given.lodge, f"{given.guests}/vmlinuz", f"{given.guests}/vmlinux"):
        if not os.path.exists(name):
            print(f"FAIL wrong input: {name} is not there: run make all test-guests\n0 passed, 1 failed")
            sys.exit(1)
    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(given, folder)
        for group in (cases.usage, cases.not_files, cases.truncated, cases.damaged, cases.random_bytes, cases.elf_segments,
                      cases.memory):
            group()
    print(f"{cases.passed} passed, {cases.failed} failed")
    sys.exit(1 if cases.failed else 0)


main()
