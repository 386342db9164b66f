# SPDX-License-Identifier: MIT
"""A whole computer's figures: Debian's start to its login and to ssh, disk and network; lodge beside QEMU, on copies of the same image."""
import os
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "acceptance"))
from machine import Guest, Machine, copy_disk, cpu_seconds, free_port, processes_below, run  # noqa: E402

APPEND = "root=LABEL=debian ro console=ttyS0 quiet"
PATIENCE = "[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n"  # also on a busy host there is a login in the end
DISK_MIB = 256


def boot_files(image, folder):
    """The image's kernel and initrd, for who cannot find them there."""
    names = run(["/sbin/debugfs", "-R", "ls -p /boot", image]).stdout.decode().split("/")
    kernel = next(name for name in names if name.startswith("vmlinuz-"))
    paths = []
    for name in (kernel, kernel.replace("vmlinuz-", "initrd.img-")):
        paths.append(os.path.join(folder, name))
        run(["/sbin/debugfs", "-R", f"dump /boot/{name} {paths[-1]}", image])
    return paths


def patient_copy(image, folder):
    """The image, whose systemd does not give up a device after 90 s."""
    copy, file = copy_disk(image, os.path.join(folder, "base")), os.path.join(folder, "patience.conf")
    with open(file, "w") as out:
        out.write(PATIENCE)
    for words in ("mkdir /etc/systemd/system.conf.d", f"write {file} /etc/systemd/system.conf.d/patience.conf"):
        run(["/sbin/debugfs", "-w", "-R", words, copy])
    return copy


class Maker:
    """Machines on fresh copies of the image."""

    def __init__(self, given, folder, first):
        self.given, self.folder, self.first = given, folder, first
        self.kernel, self.initrd = boot_files(given.image, folder)
        self.image, self.count = patient_copy(given.image, folder), 0

    def lodge(self, disk, port, more):
        words = [self.given.lodge, "run", "--engine", self.given.engine, "--disk", disk, "--net", f"user,publish={port}:22", "--memory", "512M",
                 "--append", APPEND, *self.given.option]
        return words + [word for path in more for word in ("--disk", path)]

    def qemu(self, disk, port, more):
        words = [self.given.qemu_program, "-accel", "tcg", "-M", "q35", "-cpu", "max", "-m", "512M", "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio",
                 "-kernel", self.kernel, "-initrd", self.initrd, "-append", APPEND, "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22",
                 "-device", "virtio-net-pci,netdev=n"]
        return words + [word for path in (disk, *more) for word in ("-drive", f"file={path},format=raw,if=virtio")]

    def start(self, name, more=()):
        self.count += 1
        disk = copy_disk(self.image, os.path.join(self.folder, f"disk{self.count}"))
        port = free_port()
        words = (self.qemu if name.startswith("QEMU") else self.lodge)(disk, port, more)
        machine = Machine(self.first + words, port, self.given.key)
        machine.disk = disk
        return machine


def time_boot(maker, name, patience):
    machine = maker.start(name)
    try:
        login = machine.expect(r"login:", patience)[1] - machine.start
        processor = cpu_seconds(processes_below(machine.process.pid))
        machine.seen = 0  # its ssh may have been there before, but is asked only now
        return round(login, 2), round(machine.wait_for_ssh(patience, 0.5), 2), round(processor, 2)
    finally:
        machine.close()
        os.unlink(machine.disk)


def measure_boots(maker, names, given, say):
    times = {name: {"login": [], "ssh": [], "processor": []} for name in names}
    for turn in range(given.repeats):
        for name in names:
            login, ssh, processor = time_boot(maker, name, given.patience)
            for what, value in (("login", login), ("ssh", ssh), ("processor", processor)):
                times[name][what].append(value)
            say(f"Debian, {turn + 1} of {given.repeats}, {name}: login {login:.1f} s of which processor {processor:.1f} s, ssh {ssh:.1f} s, "
                f"load {os.getloadavg()[0]:.1f}")
    return times


def gateway(machine):
    return machine.ssh("ip route | awk '/^default/ {print $3; exit}'").strip()


def stand_ready(machine, given, port):
    """The command that has the workloads stand ready in the machine."""
    with open(given.work, "rb") as program:
        machine.put("/root/work", program.read())
    machine.ssh("chmod +x /root/work")
    words = f"WORK_DISK=/dev/vdb WORK_SERVER={gateway(machine)}:{port} exec /root/work /bin/true /tmp"
    return [machine.ssh_words("-tt", words)[0], "-tt", *machine.ssh_words()[1:], words]


def measure(given, results, names, first, tools):
    """tools: what tests/bench/run has: System, measure_workload, say, line."""
    folder = tempfile.mkdtemp(prefix="lodge-bench-", dir=given.results)
    machines, systems, server = [], [], None
    try:
        maker = Maker(given, folder, first)
        results["debian_s"] = measure_boots(maker, names, given, tools.say) if given.repeats else {}
        server = Guest([given.work, "serve"], terminal=True)
        port = int(server.expect(r"SERVING (\d+)", 20)[0][1])
        native = os.path.join(folder, "native")
        run(["truncate", "-s", f"{DISK_MIB}M", native])
        environment = {"WORK_DISK": native, "WORK_SERVER": f"127.0.0.1:{port}"}
        systems.append(tools.System("native", ["env", *(f"{k}={v}" for k, v in environment.items()), given.work, "/bin/true", folder], given.patience))
        for name in names:
            data = os.path.join(folder, f"data{len(machines)}")
            run(["truncate", "-s", f"{DISK_MIB}M", data])
            machines.append(maker.start(name, [data]))
        for name, machine in zip(names, machines):
            machine.wait_for_ssh(given.patience)
            taken = cpu_seconds(processes_below(machine.process.pid))
            tools.say(f"{name} stands ready after {time.monotonic() - machine.start:.0f} s of which processor {taken:.1f} s")
            machine.ssh("systemctl is-system-running --wait", check=False, timeout=given.patience)
            systems.append(tools.System(name, stand_ready(machine, given, port), given.patience))
        for system in systems:
            system.wait_ready()
        tools.do_workloads(given, systems, results, ("disk", "network"))
    finally:
        for one in [*systems, *machines, *([server] if server else [])]:
            one.close()
        run(["rm", "-rf", folder])


def boot_table(times):
    if not times:
        return []
    qemu = next((name for name in times if name.startswith("QEMU")), None)
    lines = ["", "### Debian from its disk", "", "Seconds; *processor* is what the processes had taken at the login: it depends less on what else the host does.", "",
             "| system | login: median | all | times QEMU | processor: median | all | times QEMU | ssh: median | all | times QEMU |", "|---" * 10 + "|"]
    for name, both in times.items():
        cells = [name]
        for what in ("login", "processor", "ssh"):
            median = statistics.median(both[what])
            ratio = f"{median / statistics.median(times[qemu][what]):.2f}" if qemu else "-"
            cells += [f"{median:.1f}", ", ".join(f"{t:.1f}" for t in sorted(both[what])), ratio]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
