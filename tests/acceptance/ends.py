# SPDX-License-Identifier: MIT
"""Reboots, power-offs, kills, disks that fail, and what goes in and out over the network."""
import hashlib
import http.server
import os
import re
import signal
import subprocess
import threading
import time

from machine import Failure, processes_below, run

TROUBLE = "unstable|lockup|rcu.*stall|hung task|WARNING|BUG:|Oops|warp|skew|I/O error|EXT4-fs error"


def is_well(machine, cpus):
    """systemd is content, there are as many processors as asked for, and the kernel complains of nothing."""
    text = machine.ssh(f"""systemctl is-system-running --wait; systemctl --failed --no-legend; nproc
cat /sys/devices/system/clocksource/clocksource0/current_clocksource; dmesg | grep -E '{TROUBLE}'""", check=False, timeout=600)[0]
    if text.split() != ["running", str(cpus), "tsc"]:
        raise Failure(f"it says {text!r}")


def reboots(machine, given):
    before = machine.ssh("cat /proc/sys/kernel/random/boot_id")
    machine.ssh("systemctl reboot --no-block", check=False, timeout=300)
    machine.expect("reboot: Restarting system", 600)
    machine.wait_for_ssh(1800)
    if machine.ssh("cat /proc/sys/kernel/random/boot_id") == before:
        raise Failure("it is the same boot as before")


# ---- the network -------------------------------------------------------------------------------------

def goes_in_and_out(machine, mib):
    """Random bytes into a file of the guest over ssh, and out of it again, are the same."""
    sent, got = hashlib.sha256(), hashlib.sha256()
    start = time.monotonic()
    into = subprocess.Popen(machine.ssh_words("cat >/srv/big && sync && sha256sum </srv/big"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for _ in range(mib):
        piece = os.urandom(1 << 20)
        sent.update(piece)
        into.stdin.write(piece)
    inside = into.communicate(timeout=900)[0].decode().split()[:1]
    middle = time.monotonic()
    out = subprocess.Popen(machine.ssh_words("cat /srv/big; rm /srv/big"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    size = 0
    while piece := out.stdout.read(1 << 20):
        got.update(piece)
        size += len(piece)
    out.wait(60)
    end = time.monotonic()
    print(f"#  {mib} MiB over ssh: in {mib / (middle - start):.1f} MiB/s, out {mib / (end - middle):.1f} MiB/s", flush=True)
    if inside != [sent.hexdigest()] or (size, got.hexdigest()) != (mib << 20, sent.hexdigest()):
        raise Failure(f"{size} bytes came back, and sums differ: {sent.hexdigest()} was sent, {inside} was in the guest, {got.hexdigest()} came back")


def curls(machine, given):
    """A file from a server on the host's loopback, and back to it."""
    data, taken = os.urandom(64 << 20), []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_PUT(self):
            left = int(self.headers["Content-Length"])
            if self.headers.get("Expect"):
                self.send_response_only(100)
                self.end_headers()
            pieces = []
            while left:
                pieces.append(self.rfile.read(min(left, 1 << 20)))
                left -= len(pieces[-1])
            taken.append(b"".join(pieces))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        text = machine.ssh(f"""gw=$(ip route | awk '/^default/ {{print $3; exit}}'); url=http://$gw:{server.server_address[1]}/x
curl -sS -w '%{{speed_download}}\\n' -o /srv/x $url && sha256sum /srv/x && curl -sS -w '%{{speed_upload}}\\n' -T /srv/x $url; rm /srv/x""", timeout=600)
        rates = [float(word) / (1 << 20) for word in re.findall(r"^(\d+)$", text, re.M)]
        print(f"#  curl: {' MiB/s in, '.join(f'{rate:.1f}' for rate in rates)} MiB/s out", flush=True)
        if hashlib.sha256(data).hexdigest() not in text or taken != [data]:
            raise Failure(f"what arrived is not what was sent: {text[-300:]!r}")
    finally:
        server.shutdown()
        server.server_close()


# ---- kills -------------------------------------------------------------------------------------------

def runner_of(machine):
    for pid in processes_below(machine.process.pid):
        with open(f"/proc/{pid}/comm") as file:
            if file.read().strip() == "lodge-vm":
                return pid
    raise Failure("there is no runner")


# Files that are renamed over one another, each durable before its number is said; on two file systems in turns.
WRITER = r"""
import os, sys
n = int(sys.argv[1])
while True:
    n += 1
    for top in ("/srv", "/mnt"):
        name = f"{top}/durable/{n % 200}"
        fd = os.open(name + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(fd, (b"%d\n" % n) * (1 + n * 37 % 3000))
        os.fsync(fd)
        os.close(fd)
        os.rename(name + ".new", name)
        folder = os.open(f"{top}/durable", os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    print(n, flush=True)
"""

CHECKER = r"""
import os, sys
last, bad = int(sys.argv[1]), []
for top in ("/srv", "/mnt"):
    for n in range(max(1, last - 199), last + 1):
        try:
            data = open(f"{top}/durable/{n % 200}", "rb").read()
            got = int(data.split(b"\n", 1)[0])
        except (OSError, ValueError) as error:
            bad.append((top, n, str(error)))
            continue
        if got not in (n, n + 200) or data != (b"%d\n" % got) * (1 + got * 37 % 3000):
            bad.append((top, n, got, len(data)))
print("BAD" if bad else "GOOD", bad[:5])
"""


def prepare_writer(machine, fresh):
    machine.ssh(f"cat >/root/writer.py <<'END'\n{WRITER}\nEND\ncat >/root/checker.py <<'END'\n{CHECKER}\nEND\n"
                + ("mkfs.ext4 -q /dev/vdb && " if fresh else "") + "mount /dev/vdb /mnt && mkdir -p /srv/durable /mnt/durable && sync")


def write_until_killed(machine, last, seconds):
    """The last number that the guest said was durable when its runner was killed."""
    writer = subprocess.Popen(machine.ssh_words(f"python3 /root/writer.py {last}"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    first = writer.stdout.readline()
    if not first:
        raise Failure("the writer said nothing")
    time.sleep(seconds)
    os.kill(runner_of(machine), signal.SIGKILL)
    try:
        rest = writer.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        writer.kill()
        rest = writer.communicate()[0]
    numbers = [int(word) for word in (first + rest).split(b"\n")[:-1] if word]
    machine.wait(30)
    return max(numbers)


def check_durable(machine, last):
    text = machine.ssh(f"python3 /root/checker.py {last}; dmesg | grep -E 'EXT4-fs error|I/O error' || true")
    if not text.startswith("GOOD") or len(text.splitlines()) != 1:
        raise Failure(f"after {last} writes: {text[:600]}")


# ---- disks that fail ---------------------------------------------------------------------------------

def full_host(machine, filler):
    """/dev/vdb lies on a full file system of the host: writes fail, the guest goes on, and once there is room they do not."""
    text, status = machine.ssh("dd if=/dev/urandom of=/dev/vdb bs=1M count=64 oflag=direct 2>&1", check=False)
    if not status or "Input/output error" not in text and "No space left" not in text:
        raise Failure(f"dd to a full host ended with {status}: {text[-300:]}")
    machine.ssh("dd if=/dev/zero of=/srv/other bs=1M count=8 conv=fsync 2>/dev/null; rm /srv/other; dd if=/dev/vdb of=/dev/null bs=1M count=4 iflag=direct")
    os.unlink(filler)
    machine.ssh("dd if=/dev/urandom of=/tmp/r bs=1M count=24 2>/dev/null; dd if=/tmp/r of=/dev/vdb bs=1M oflag=direct 2>/dev/null; "
                "sync; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vdb bs=1M count=24 iflag=direct 2>/dev/null | cmp - /tmp/r")


def cut_disk(machine, path):
    """The host's file is cut under a guest: what is gone reads as an error, the rest as before."""
    machine.ssh("dd if=/dev/zero of=/dev/vdc bs=1M count=16 oflag=direct 2>/dev/null")
    os.truncate(path, 8 << 20)
    text, status = machine.ssh("dd if=/dev/vdc of=/dev/null bs=1M skip=8 iflag=direct 2>&1", check=False)
    if not status or "Input/output error" not in text:
        raise Failure(f"dd of what is gone ended with {status}: {text[-300:]}")
    machine.ssh("dd if=/dev/vdc of=/dev/null bs=1M count=8 iflag=direct; systemctl is-system-running")
