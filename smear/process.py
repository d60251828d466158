"""The name of a process among all hosts, and whether a process of that name has certainly ended."""

import os
import socket
from pathlib import Path


def this_process(proc: Path = Path("/proc")) -> str:
    """Names this process among all hosts: host, running kernel, process namespace, number, start.

    The kernel's boot and the namespace tell whether another process could be seen from here at all.
    """
    return f"{socket.gethostname()[:60]}:{_world(proc)}:{os.getpid()}:{_started(proc, os.getpid())}"


def has_ended(process: str, proc: Path = Path("/proc")) -> bool:
    """Whether a process of that name has certainly ended: it ran under this kernel, in this namespace, and is gone."""
    parts = process.split(":")
    if len(parts) != 5 or f"{parts[1]}:{parts[2]}" != _world(proc) or "" in parts or not parts[3].isdigit():
        return False
    return _started(proc, int(parts[3])) != parts[4]


def _world(proc: Path) -> str:
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{os.stat(proc / 'self/ns/pid').st_ino}"  # noqa: PTH116 - as pathlib, one call
    except OSError:
        return ":"  # nothing to compare by: `has_ended` never says yes


def _started(proc: Path, pid: int) -> str:
    """When a process started, in the kernel's ticks; empty where there is none."""
    try:
        told = (proc / str(pid) / "stat").read_bytes()
    except OSError:
        return ""
    return told.rpartition(b")")[2].split()[19].decode()
