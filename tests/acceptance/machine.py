# SPDX-License-Identifier: MIT
"""A whole Debian guest: its disk, what runs it, its ssh. Made by tools/make-debian."""
import base64
import glob
import os
import select
import shutil
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "boot"))
from guest import Failure, Guest, cpu_seconds, processes_below  # noqa: E402,F401


def run(words, check=True, timeout=600, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, **more)
    if check and done.returncode:
        raise Failure(f"{' '.join(words)}: status {done.returncode}, {done.stdout[-500:].decode('latin1')}")
    return done


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def copy_disk(image, path, kind="raw"):
    """A disk of the guest's own: a sparse copy, or a qcow2 image on top of one."""
    if kind == "raw":
        run(["cp", "--sparse=always", "--reflink=auto", image, path])
    else:
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", os.path.abspath(image), "-F", "raw", path])
    return path


def check_disk(path, kind="raw"):
    """What fsck says of a disk whose guest has ended in order."""
    raw = path
    if kind != "raw":
        run(["qemu-img", "check", "-q", path])
        raw = path + ".raw"
        run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw])
    done = run(["/sbin/e2fsck", "-f", "-n", raw], check=False)
    if raw != path:
        os.unlink(raw)
    text = done.stdout.decode("latin1")
    if done.returncode or "journal" in text:
        raise Failure(f"e2fsck says {done.returncode}: {text[-600:]}")


# What lodge tells the kernel by itself, and patience for a busy host.
APPEND = "root=LABEL=debian ro console=ttyS0 systemd.default_timeout_start_sec=900"
# The console's login is missing where systemd gave up its device after 90 s, which cannot be told by the command line.
IS_UP = r"login:|Started .{0,12}ssh\.service"


def lodge_words(lodge, disk, port, memory="1G", cpus=1, more=()):
    return [lodge, "run", "--disk", disk, "--append", APPEND, "--memory", memory, "--cpus", str(cpus), "--net", f"user,publish={port}:22", *more]


def is_ssh(connection, waiting):
    try:
        answer = connection.recv(4)
    except OSError:
        answer = b""
    waiting.remove(connection)
    connection.close()
    return answer == b"SSH-"


KNOCKING_MAX = 3


class Machine(Guest):
    """A guest that one command line runs, with an ssh port of the host's loopback."""

    def __init__(self, words, port, key, terminal=False):
        super().__init__(words, terminal)
        self.port, self.key = port, key

    def put(self, path, data):
        """Bytes into a file of the guest."""
        encoded = base64.b64encode(data).decode()
        self.ssh(f"base64 -d >{path} <<'END'\n{encoded}\nEND")

    def ssh_words(self, *words):
        return ["ssh", "-i", self.key, "-p", str(self.port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=120", "-o", "ServerAliveInterval=20", "-o", "ServerAliveCountMax=15", "root@127.0.0.1", *words]

    def ssh(self, script, timeout=300, check=True, again=6):
        """What a script said, out and err; its status, where it may fail."""
        try:
            done = subprocess.run(self.ssh_words("bash", "-s"), input=script.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"ssh did not end in {timeout} s: {(late.stdout or b'')[-600:].decode('latin1')}; console {self.tail()}") from None
        text = done.stdout.decode("latin1")
        if done.returncode == 255 and b"kex_exchange" in done.stdout and again:  # the server has too many who have not logged in yet
            time.sleep(5)
            return self.ssh(script, timeout, check, again - 1)
        if check and done.returncode:
            raise Failure(f"status {done.returncode}: {text[-800:]}")
        return text if check else (text, done.returncode)

    def wait_until_up(self, timeout):
        """When the console asked who is there, or said that ssh is there."""
        return self.expect(IS_UP, timeout)[1]

    def wait_for_ssh(self, timeout=600, interval=3):
        """
        Seconds from the start to ssh's first line. Nobody knocks before the console shows that it may help, and few at a time: Debian 12's passt sends a lost
        SYN but once, ends its handshake with the guest only when there is data, and spins when one hangs up before that; and a guest on a
        busy host that forks for all who knock gets nowhere.
        """
        end, waiting = time.monotonic() + timeout, []
        self.wait_until_up(timeout)
        try:
            while time.monotonic() < end:
                if self.process.poll() is not None:
                    raise Failure(f"ended with {self.process.returncode}; {self.tail()}")
                if len(waiting) < KNOCKING_MAX:
                    self.knock(waiting)
                ready = select.select(waiting, [], [], interval)[0] if waiting else []
                if [1 for connection in ready if is_ssh(connection, waiting)]:
                    return time.monotonic() - self.start
                time.sleep(0.2)
        finally:
            for connection in waiting:
                connection.close()
        raise Failure(f"ssh did not answer in {timeout} s; {self.tail()}")

    def knock(self, waiting):
        one = socket.socket()
        one.settimeout(1)
        try:
            one.connect(("127.0.0.1", self.port))
            one.sendall(b"SSH-2.0-lodge\r\n")
            waiting.append(one)
        except OSError:
            one.close()

    def power_off(self, timeout=300):
        self.ssh("systemctl poweroff --no-block", check=False, timeout=300)
        status = self.wait(timeout)
        if status:
            raise Failure(f"power-off ended with {status}; {self.tail()}")


class Folder:
    """Names for disks, beside the images, since a qcow2 image lies in its backing file's folder; removed at the end."""

    def __init__(self, build, name):
        self.prefix = os.path.join(build, f"run-{name}.{os.getpid()}.")

    def __call__(self, name):
        return self.prefix + name

    def close(self):
        for path in glob.glob(glob.escape(self.prefix) + "*"):
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
