# SPDX-License-Identifier: MIT
"""Eight Debian guests side by side, detached."""
import json
import os
import re
import signal
import subprocess
import time

from machine import APPEND, IS_UP, Failure, Machine, copy_disk, free_port

MEMORY = 192


class Member:
    """A detached machine; what a Machine knows of ssh, without a console."""

    def __init__(self, fleet, name, *more, before=()):
        self.fleet, self.name, self.port = fleet, name, free_port()
        self.disk = copy_disk(fleet.image, fleet.folder(f"{name}.qcow2"), "qcow2")
        self.start = time.monotonic()
        fleet.lodge("run", "--detach", "--name", name, "--disk", self.disk, "--append", APPEND, "--memory", f"{MEMORY}M", "--net", f"user,publish={self.port}:22",
                    "--engine", fleet.engine, *more, before=before)
        self.key, self.process = fleet.key, self

    returncode = None
    ssh_words, ssh, wait_for_ssh, knock = Machine.ssh_words, Machine.ssh, Machine.wait_for_ssh, Machine.knock

    def wait_until_up(self, timeout):
        end = time.monotonic() + timeout
        while not re.search(IS_UP, self.fleet.lodge("logs", self.name)):
            if time.monotonic() > end:
                raise Failure(f"{self.name} is not up in {timeout} s; {self.tail()}")
            time.sleep(1)

    def poll(self):
        return None if any(machine["name"] == self.name for machine in self.fleet.list()) else 1

    def tail(self):
        return repr(self.fleet.lodge("logs", self.name)[-300:])

    def pid(self):
        return next(machine["pid"] for machine in self.fleet.list() if machine["name"] == self.name)


class Fleet:
    def __init__(self, given, folder):
        self.path, self.folder, self.engine = given.lodge, folder, given.engine
        self.image, self.key = f"{given.build}/debian.img", f"{given.build}/debian.key"
        self.environment = {**os.environ, "LODGE_RUNTIME_DIR": folder("registry")}
        self.members = []

    def lodge(self, *words, before=(), check=True):
        done = subprocess.run([*before, self.path, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                              env=self.environment)
        if check and done.returncode:
            raise Failure(f"lodge {' '.join(words)}: {done.returncode}, {done.stdout.decode()[-300:]}")
        return done.stdout.decode("latin1")

    def add(self, name, *more, before=()):
        self.members.append(Member(self, name, *more, before=before))
        return self.members[-1]

    def list(self):
        return json.loads(self.lodge("list", "--json"))

    def stats(self):
        return {row["name"]: row for row in json.loads(self.lodge("stats", "--json"))}

    def close(self):
        names = [member.name for member in self.members]
        if names:
            self.lodge("rm", "--force", *names, check=False)


def process_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_all(fleet, count):
    for i in range(count):
        fleet.add(f"guest{i}")
    times = [member.wait_for_ssh(1800) for member in fleet.members]
    print(f"#  seconds to ssh: {', '.join(f'{t:.0f}' for t in times)}", flush=True)
    for member in fleet.members:
        said = member.ssh("systemctl is-system-running --wait; hostname", check=False, timeout=900)[0].split()
        if said != ["running", "guest"]:
            raise Failure(f"{member.name} says {said}")


def list_and_stats_are_right(fleet):
    names = sorted(member.name for member in fleet.members)
    rows = fleet.list()
    if sorted(row["name"] for row in rows) != names or any(row["state"] != "running" or row["memory"] != MEMORY << 20 for row in rows):
        raise Failure(f"list says {rows}")
    stats = fleet.stats()
    if sorted(stats) != names:
        raise Failure(f"stats says {stats}")
    for row in rows:
        of = stats[row["name"]]
        here = process_seconds(row["pid"])
        if abs(of["cpu_seconds"] - here) > 0.1 * here + 2:
            raise Failure(f"stats says {of}, the process has taken {here:.1f} s")


def idle_costs_little(fleet):
    time.sleep(20)
    pids = {row["name"]: row["pid"] for row in fleet.list()}
    before, start = {name: process_seconds(pid) for name, pid in pids.items()}, time.monotonic()
    time.sleep(30)
    shares = {name: 100 * (process_seconds(pid) - before[name]) / (time.monotonic() - start) for name, pid in pids.items()}
    print("#  per cent of a core, idle: " + ", ".join(f"{share:.1f}" for share in shares.values()), flush=True)
    if max(shares.values()) > 3:
        raise Failure(f"idle guests take {shares}")


def memory_stays_below(fleet):
    """
    What a guest has used and freed is not all held for it. Linux reports free memory of a zone with more than 64 MiB and its watermark free only, and
    in pieces of 2 MiB, so that a guest this small gives little back.
    """
    for member in fleet.members:
        member.ssh("mount -o remount,size=100m /dev/shm; dd if=/dev/urandom of=/dev/shm/x bs=1M count=80 2>/dev/null; sleep 1; rm /dev/shm/x; "
                   "sync; echo 3 >/proc/sys/vm/drop_caches", timeout=600)
    time.sleep(20)
    used = {name: row["memory_used"] / (1 << 20) for name, row in fleet.stats().items()}
    print("#  MiB held: " + ", ".join(f"{mib:.0f}" for mib in used.values()) + f", of {MEMORY}", flush=True)
    if max(used.values()) > MEMORY * 0.95:
        raise Failure(f"held of {MEMORY} MiB: {used}")


def a_kill_disturbs_none(fleet):
    victim, rest = fleet.members[0], fleet.members[1:]
    os.kill(victim.pid(), signal.SIGKILL)
    for member in rest:
        if member.ssh("hostname").split() != ["guest"]:
            raise Failure(f"{member.name} does not answer")
    if victim.name in [row["name"] for row in fleet.list()]:
        raise Failure("the killed one is still listed")


def stops_in_order(fleet):
    names = [member.name for member in fleet.members[1:]]
    fleet.lodge("stop", "--timeout", "300", *names)
    ended = {row["name"]: (row["state"], row["exit_status"]) for row in json.loads(fleet.lodge("list", "--json", "--all")) if row["name"] in names}
    if set(ended.values()) != {("stopped", 0)}:
        raise Failure(f"after stop: {ended}")


def weights_count(fleet):
    """Two guests that compute for ever on one processor of the host, weights 3 to 1."""
    heavy, light = (fleet.add(name, "--cpu-weight", weight, before=["taskset", "-c", "0"]) for name, weight in (("heavy", "300"), ("light", "100")))
    for member in (heavy, light):
        member.wait_for_ssh(1800)
        member.ssh("systemctl is-system-running --wait >/dev/null; nohup sh -c 'while :; do :; done' >/dev/null 2>&1 </dev/null &", timeout=600)
    time.sleep(5)
    pids = [heavy.pid(), light.pid()]
    before = [process_seconds(pid) for pid in pids]
    time.sleep(30)
    took = [process_seconds(pid) - one for pid, one in zip(pids, before)]
    print(f"#  weights 3 to 1: {took[0]:.1f} s and {took[1]:.1f} s, {took[0] / max(took[1], 0.01):.2f} to 1", flush=True)
    if not 2 <= took[0] / max(took[1], 0.01) <= 4.5:
        raise Failure(f"seconds of processor time, weights 300 and 100: {took}")
