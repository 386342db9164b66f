# SPDX-License-Identifier: MIT
"""A running `lodge run` for tests: its console by a pty or by pipes, each chunk of output stamped with the host's clock."""
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import termios
import threading
import time


class Failure(Exception):
    pass


def processes_below(pid):
    """pid and all its descendants that live."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def own_memory_kib(pids):
    """What the processes take beyond the guest's RAM, which is shared memory: {name: KiB}."""
    result = {}
    for pid in pids:
        with open(f"/proc/{pid}/status") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        size = sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssFile", "VmPTE") if name in fields)
        name = fields["Name"].strip()
        result[name] = result.get(name, 0) + size
    return result


class Guest:
    """words: the command. With terminal, its stdin and stdout are a pty in the mode of a usual shell; else pipes, stdin at its end."""

    def __init__(self, words, terminal=False, environment=None):
        self.words = words
        self.errors = tempfile.TemporaryFile()
        self.master = self.slave = None
        self.output = b""
        self.seen = 0  # up to where expect() has looked
        self.stamps = []  # (end of a chunk in output, time)
        self.changed = threading.Condition()
        self.closed = False
        self.start = time.monotonic()
        environment = {**os.environ, **(environment or {})}
        if terminal:
            self.master, self.slave = pty.openpty()
            self.mode_before = termios.tcgetattr(self.slave)
            self.process = subprocess.Popen(words, stdin=self.slave, stdout=self.slave, stderr=self.errors,
                                            start_new_session=True, env=environment)
            source = self.master
        else:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
                                            start_new_session=True, env=environment)
            source = self.process.stdout.fileno()
        self.reader = threading.Thread(target=self.read_all, args=(source,), daemon=True)
        self.reader.start()

    def read_all(self, source):
        while True:
            try:
                ready = select.select([source], [], [], 0.2)[0]
                data = os.read(source, 65536) if ready else None
            except (OSError, ValueError):
                data = b""
            with self.changed:
                if data:
                    self.output += data
                    self.stamps.append((len(self.output), time.monotonic()))
                elif data == b"" or self.process.poll() is not None:
                    self.closed = True
                self.changed.notify_all()
                if self.closed:
                    return

    def when(self, position):
        """The time at which the byte at position had arrived."""
        for end, at in self.stamps:
            if end > position:
                return at
        return time.monotonic()

    def expect(self, pattern, timeout):
        """Waits for a regular expression behind what was found before; returns (match, time it had arrived whole)."""
        limit = time.monotonic() + timeout
        regex = re.compile(pattern.encode())
        with self.changed:
            while True:
                found = regex.search(self.output, self.seen)
                if found:
                    self.seen = found.end()
                    return found, self.when(found.end() - 1)
                left = limit - time.monotonic()
                if self.closed:
                    raise Failure(f"ended with {self.wait(5)} before {pattern!r} was seen; {self.tail()}")
                if left <= 0:
                    raise Failure(f"{pattern!r} not seen in {timeout:.0f} s; {self.tail()}")
                self.changed.wait(min(left, 0.5))

    def tail(self):
        text = self.output[-300:].decode("latin1") + self.error_text()[-300:]
        return "last: " + repr(text)

    def error_text(self):
        self.errors.seek(0)
        return self.errors.read().decode("latin1")

    def type(self, data, timeout=60):
        """Types into the terminal, as fast as it is taken."""
        limit = time.monotonic() + timeout
        data = data.encode("latin1") if isinstance(data, str) else data
        os.set_blocking(self.master, False)
        while data:
            if not select.select([], [self.master], [], max(0, limit - time.monotonic()))[1]:
                raise Failure(f"input was not taken in {timeout} s, {len(data)} bytes are left")
            try:
                data = data[os.write(self.master, data[:1024]):]
            except BlockingIOError:
                pass

    def command(self, text, timeout=60):
        """Runs one line in the guest's shell; returns (its output, its status)."""
        self.type(text + '; echo EN""D $?\r')
        before = self.seen
        found, _ = self.expect(r"END (\d+)\r?\n", timeout)
        said = self.output[before:found.start()].decode("latin1").replace("\r", "")
        said = said.split('echo EN""D $?\n', 1)[-1]
        self.expect("/ # ", timeout)
        return said.strip(), int(found[1])

    def wait(self, timeout):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"did not end within {timeout} s; {self.tail()}") from None

    def signal(self, number):
        self.process.send_signal(number)

    def check_terminal_restored(self):
        now = termios.tcgetattr(self.slave)
        if now != self.mode_before:
            raise Failure(f"the terminal was left changed: {self.mode_before} became {now}")

    def close(self):
        """Ends whatever is left of it."""
        if self.process.poll() is None:
            pids = processes_below(self.process.pid)
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        self.reader.join(5)
        for descriptor in (self.master, self.slave):
            if descriptor is not None:
                os.close(descriptor)
        self.errors.close()
