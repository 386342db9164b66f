# SPDX-License-Identifier: MIT
"""Programs of Debian's packages that check what they compute, in one guest."""
import os
import re
import subprocess

from machine import Failure, TOP, run

# Stressors that verify what they do, by what they lean on; each alone, for a while.
STRESSORS = {
    "processor": "cpu matrix qsort bsearch str wcs memcpy zlib crypt vecmath vecwide fp tree hash",
    "memory": "vm mmap mremap malloc brk shm stack fault madvise mprotect membarrier atomic cache tlb-shootdown",
    "processes": "fork vfork clone pthread switch mutex futex sem pipe sigsegv sigq signal timer clock nanosleep exec",
    "files": "hdd iomix dentry link rename flock fallocate sync-file seek xattr dir aio copy-file readahead",
}
SECONDS = 3

FIO = """[global]
directory=/srv
size=96m
ioengine=libaio
direct=1
verify=crc32c
verify_fatal=1
do_verify=1
[random]
rw=randwrite
bs=4k
iodepth=16
[mixed]
stonewall
rw=randrw
bsrange=512-64k
blockalign=512
iodepth=8
[sequential]
stonewall
rw=write
bs=1m
iodepth=2
verify=sha256
[uring]
stonewall
ioengine=io_uring
rw=randwrite
bs=8k
iodepth=32
fsync=64
"""

PYTHON_TESTS = ("test_math test_float test_cmath test_complex test_long test_int test_decimal test_fractions test_struct test_array test_json "
                "test_re test_unicode test_zlib test_hashlib test_random test_time test_datetime test_threading "
                "test_queue test_subprocess test_signal test_select test_mmap test_os test_posix test_fcntl test_tempfile "
                "test_ctypes test_generators test_dict test_set test_sort test_itertools test_functools test_fork1 test_pty test_poll")


def stress(machine, given):
    done = 0
    for kind, names in STRESSORS.items():
        text = machine.ssh(f"""cd /srv; known=" $(stress-ng --stressors) "; for name in {names}; do case $known in *" $name "*) ;; *) echo $name UNKNOWN; continue ;; esac
timeout 300 stress-ng --$name 2 --verify --timeout {SECONDS} --temp-path /srv --oomable >/tmp/said 2>&1; echo $name $?; cat /tmp/said >>/tmp/said.all; done""",
                           timeout=3000)
        ended = dict(line.split() for line in text.splitlines())
        skipped = [name for name, status in ended.items() if status in ("2", "4", "UNKNOWN")]  # not there, or lacks something of the machine
        wrong = {name: status for name, status in ended.items() if status != "0" and name not in skipped}
        print(f"#  {kind}: {len(ended) - len(skipped) - len(wrong)} stressors went well" + (f", skipped {skipped}" if skipped else ""), flush=True)
        if wrong or sorted(ended) != sorted(names.split()):
            raise Failure(f"{kind}: {wrong} {machine.ssh('grep -iE fail /tmp/said.all | tail -n 5; true')[-600:]}")
        done += len(ended) - len(skipped)
    if done < 40:
        raise Failure(f"only {done} stressors went at all")
    trouble = machine.ssh("dmesg | grep -E 'BUG:|Oops|lockup|rcu.*stall|hung task|I/O error|EXT4-fs error' | grep -v stress-ng || true")
    if trouble.strip():
        raise Failure(f"the kernel says: {trouble[-500:]}")


def disk_verify(machine, given):
    text = machine.ssh(f"cat >/tmp/job <<'END'\n{FIO}END\nfio --output-format=normal /tmp/job; s=$?; rm -f /srv/*.0.0; exit $s", timeout=900)
    errors = [line for line in text.splitlines() if re.search(r"err=\s*[1-9]|verify: bad|error=", line)]
    if errors or len(re.findall(r"err=\s*0", text)) < 4:
        raise Failure(f"fio says: {errors or text[-500:]}")


def database(machine, given):
    """The sums of what pgbench moved agree, also after the server was killed in the midst of it and recovered."""
    sums = ("SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches), "
            "(SELECT coalesce(sum(delta), 0) FROM pgbench_history);")
    text = machine.ssh(f"""set -e
systemctl start postgresql
for i in $(seq 60); do su postgres -c 'psql -qAtc "SELECT 1"' >/dev/null 2>&1 && break; sleep 1; done
su postgres -c 'createdb bench'
cd /tmp
su postgres -c 'pgbench -i -q -s 2 bench' 2>&1 | tail -n 2
su postgres -c 'pgbench -c 4 -j 2 -T 20 bench' 2>&1
echo SUMS $(su postgres -c 'psql -At bench -c "{sums}"')
su postgres -c 'pgbench -c 4 -T 20 bench' >/dev/null 2>&1 &
sleep 8; pkill -KILL postgres; wait || true
systemctl restart postgresql
for i in $(seq 90); do su postgres -c 'psql -qAtc "SELECT 1"' >/dev/null 2>&1 && break; sleep 1; done
echo SUMS $(su postgres -c 'psql -At bench -c "{sums}"')
su postgres -c 'psql -At bench -c "SELECT count(*) FROM pgbench_accounts;"'
systemctl stop postgresql
""", timeout=900)
    tps = re.search(r"tps = ([0-9.]+)", text)
    rows = re.findall(r"SUMS (\S+)", text)
    print(f"#  pgbench: {tps[1] if tps else '?'} transactions a second", flush=True)
    if len(rows) != 2 or any(len(set(row.split("|"))) != 1 for row in rows) or "\n200000\n" not in text:
        raise Failure(f"sums differ: {rows}; {text[-600:]}")


def compiler(machine, given):
    """The guest's gcc makes of the bench's program the same bytes as a native run of the same gcc, and the program computes the same."""
    sources = "tests/bench/workloads"
    script = f"""rm -rf /tmp/c && mkdir /tmp/c && cd /tmp/c && tar -xf /tmp/c.tar && export LC_ALL=C && for f in {sources}/*.c; do
gcc -std=gnu17 -D_GNU_SOURCE -O2 -w -c -fno-strict-aliasing -I. -o $(basename $f).o $f || exit 1; done
gcc -static -o work *.o -pthread -lm || exit 1; gcc --version | head -n 1; sha256sum *.o work
(echo list; echo do sort 3; echo do sha256 3; echo do matrix-sse2 3; echo do bytecode 3; echo end) | ./work /bin/true /tmp | grep END"""
    archive = run(["tar", "-C", TOP, "-cf", "-", sources]).stdout
    machine.put("/tmp/c.tar", archive)
    inside = machine.ssh(script, timeout=1200)
    if len(re.findall(r"^END \S+ \w+", inside, re.M)) != 4:
        raise Failure(f"what it compiled does not run: {inside[-500:]}")
    outside = native(given, script, {"tmp/c.tar": archive})
    if outside is None:
        print("#  not root: no native run to compare the compiler's output with", flush=True)
    elif inside != outside:
        raise Failure(f"the compiler's output differs: {inside[-600:]!r} and natively {outside[-600:]!r}")


def tree(given):
    """The image's files on the host, for a native run in a chroot; None where we are not root."""
    if os.geteuid():
        return None
    path = os.path.join(given.build, "acceptance.tree")
    if not os.path.isdir(path):
        new = f"{path}.{os.getpid()}"
        os.makedirs(new)
        run(["/sbin/debugfs", "-R", f"rdump / {new}", given.image], timeout=900)
        os.rename(new, path)
    return path


def native(given, script, files=None, timeout=900):
    """What a script says in a chroot of the same files, natively; None where we are not root."""
    root = tree(given)
    if not root:
        return None
    for name, content in (files or {}).items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(content)
    inner = f"mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev && exec chroot {root} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root bash -s"
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", inner], input=script.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout)
    return done.stdout.decode("latin1")


def python(machine, given):
    script = f"cd /tmp && timeout 1500 python3 -m test -j1 --timeout 400 -o {PYTHON_TESTS} 2>&1"
    inside = results(machine.ssh(script + "; true", timeout=1700))
    text = native(given, script, timeout=1700)
    print(f"#  {len(inside)} modules, not passed: {sorted(k for k, v in inside.items() if v != 'passed')}", flush=True)
    outside = results(text) if text else {name: "passed" for name in inside}
    different = {name: (inside.get(name), outside.get(name)) for name in {*inside, *outside} if inside.get(name) != outside.get(name)}
    if different or len(inside) < 35:
        raise Failure(f"in the guest and natively: {different}")


def results(text):
    """{module: how its test ended}"""
    found = {}
    for name, how in re.findall(r"\[ *\d+/\d+(?:/\d+)?\] (test_\w+) (passed|failed|skipped|timed out|crashed)", text):
        found[name] = how
    return found
