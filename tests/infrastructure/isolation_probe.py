# ruff: noqa: PLR1714, PTH115, PTH118, PTH123, PTH208, SIM105, SIM115, T201
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Runs inside a sandbox, tries what a hijacked program would try, and prints what it found as JSON."""

import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import socket
import stat

_SYS = 0 if platform.machine() == "x86_64" else 1
# unshare(CLONE_NEWUSER), keyctl(get session keyring), add_key, bpf, io_uring_setup, userfaultfd, perf_event_open,
# open_by_handle_at, mount, setns, kexec_load, syslog(read all), clone3
_CALLS = {
    "unshare": ((272, 97), (0x10000000,)), "keyctl": ((250, 219), (0, -3, 1)),
    "add_key": ((248, 217), (0, 0, 0, 0, -3)),
    "bpf": ((321, 280), (0, 0, 0)), "io_uring": ((425, 425), (1, 0)), "userfaultfd": ((323, 282), (0,)),
    "perf": ((298, 241), (0, 0, -1, -1, 0)), "handle": ((304, 265), (0, 0, 0)), "mount": ((165, 40), (0, 0, 0, 0, 0)),
    "setns": ((308, 268), (0, 0)), "kexec": ((246, 104), (0, 0, 0, 0)), "syslog": ((103, 116), (3, 0, 0)),
    "reboot": ((169, 142), (0, 0, 0, 0)), "swapon": ((167, 224), (0, 0)), "module": ((175, 105), (0, 0, 0)),
}  # fmt: skip


def refused_calls():
    libc, found = ctypes.CDLL(None, use_errno=True), {}
    for name, (numbers, arguments) in _CALLS.items():
        ctypes.set_errno(0)
        done = libc.syscall(numbers[_SYS], *(ctypes.c_long(value) for value in arguments))
        found[name] = "done" if done >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")
    return found


def opened(path, flags):
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError:
        return False
    return True


def proc_writable():
    found = []
    for base, folders, files in os.walk("/proc"):
        if base == "/proc":
            folders[:] = [name for name in folders if not name.isdigit() and name not in ("self", "thread-self")]
        # A masked file is /dev/null, and anybody may ask to be told of pressure.
        paths = [f"{base}/{name}" for name in files if base != "/proc/pressure"]
        found += [p for p in paths if stat.S_ISREG(os.lstat(p).st_mode) and opened(p, os.O_WRONLY)]
    return found


def proc_private():
    names = ("kcore", "kmsg", "keys", "timer_list", "kallsyms", "slabinfo", "vmallocinfo", "kpagecount", "sched_debug")
    found = []
    for name in names:
        try:
            with open(f"/proc/{name}", "rb") as file:
                if file.read(16).strip(b"\n0 "):  # addresses that are all zero tell nothing
                    found.append(name)
        except OSError:
            pass
    return found


def made(function):
    try:
        function()
    except (OSError, ValueError) as error:
        return errno.errorcode.get(getattr(error, "errno", 0) or 0, "refused")
    return "done"


def mounts():
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, right = line.split(" - ")
            parts, kind = left.split(), right.split()
            found.append({"root": parts[3], "at": parts[4], "options": parts[5], "kind": kind[0]})
    return found


def size_of(path):
    about = os.statvfs(path)
    return {"bytes": about.f_blocks * about.f_frsize, "inodes": about.f_files}


def setuid_programs():
    found = []
    for folder in ("/usr/bin", "/usr/sbin", "/bin", "/usr/lib", "/usr/libexec"):
        for base, _, names in os.walk(folder):
            for name in names:
                try:
                    if os.lstat(os.path.join(base, name)).st_mode & 0o6000:
                        found.append(os.path.join(base, name))
                except OSError:
                    pass
    return found


def gained(programs):
    """The effective user after starting each set-user-id program there is: ours, whatever they want."""
    ids = set()
    for program in programs[:3]:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(write, 1)
            os.dup2(write, 2)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            try:
                os.execv(program, [program, "--help"])
            finally:
                os._exit(1)
        os.close(write)
        try:
            with open(f"/proc/{child}/status") as file:
                ids.add(next(line.split()[2] for line in file if line.startswith("Uid:")))
        except (OSError, StopIteration):
            pass
        while os.read(read, 4096):
            pass
        os.close(read)
        os.waitpid(child, 0)
    return sorted(ids)


def abstract_sockets():
    with open("/proc/net/unix") as file:
        return [line.split()[-1] for line in file.readlines()[1:] if len(line.split()) > 7]


def strange_sockets():
    kinds = {"packet": (17, 3), "raw": (2, 3), "netlink audit": (16, 3), "vsock": (40, 1), "alg": (38, 5)}
    found = []
    for name, (family, kind) in kinds.items():
        try:
            with socket.socket(family, kind, 9 if family == 16 else 1 if kind == 3 else 0) as sock:
                if family == 40:
                    sock.settimeout(1)
                    sock.connect((2, 22))
                if family != 38 and family != 16:
                    found.append(name)
        except (OSError, ValueError):
            pass
    return found


def descriptors(process):
    found = []
    for name in os.listdir(f"/proc/{process}/fd"):
        try:
            found.append(os.readlink(f"/proc/{process}/fd/{name}"))
        except OSError:  # the one that listed the folder
            pass
    return found


def link(path):
    try:
        return os.readlink(path)
    except OSError:  # another kernel, which has none of its own
        return ""


def main():
    with open("/proc/self/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    page = mmap.PAGESIZE
    facts = {
        "status": status,
        "uid": [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()],
        "uid_map": [line.split() for line in open("/proc/self/uid_map")],
        "setuid": made(lambda: os.setuid(0)),
        "calls": refused_calls(),
        "proc_writable": proc_writable(),
        "proc_private": proc_private(),
        "mounts": mounts(),
        "namespaces": {n: link(f"/proc/self/ns/{n}") for n in ("pid", "ipc", "uts", "mnt", "net", "user")},
        "processes": [int(n) for n in os.listdir("/proc") if n.isdigit()],
        "environ": dict(os.environ),
        "everybodys_environ": [
            open(f"/proc/{n}/environ", "rb").read().decode("utf-8", "replace")
            for n in os.listdir("/proc") if n.isdigit() and opened(f"/proc/{n}/environ", os.O_RDONLY)
        ],
        "fds": {n: descriptors(n) for n in ("1", str(os.getpid())) if os.access(f"/proc/{n}/fd", os.R_OK)},
        "devices": [
            made(lambda: os.mknod("/workspace/device", 0o60666, os.makedev(254, 0))),
            made(lambda: os.mknod("/tmp/device", 0o20666, os.makedev(1, 3))),
        ],
        "root_of_init": made(lambda: os.listdir("/proc/1/root/root")),
        "sizes": {p: size_of(p) for p in ("/tmp", os.environ["HOME"], "/dev/shm")},
        "limits": {n: resource.getrlimit(getattr(resource, f"RLIMIT_{n}")) for n in ("CORE", "FSIZE", "NOFILE")},
        "raised": made(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))),
        "setuid_gain": gained(setuid_programs()),
        "abstract": abstract_sockets(),
        "sockets": strange_sockets(),
        "dev": sorted(os.listdir("/dev")),
        "sys_writable": [p for p in ("/sys/kernel/uevent_helper", "/sys/fs/cgroup/memory/tasks", "/sys/power/state")
                         if opened(p, os.O_WRONLY)],
        "hostname": socket.gethostname(),
        "page": page,
    }  # fmt: skip
    print(json.dumps(facts))


main()
