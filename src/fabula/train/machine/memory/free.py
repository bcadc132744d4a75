"""How much memory this process may still take: of the machine, of its container, and of a GPU."""

import os
import re
from pathlib import Path

import torch

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
NO_LIMIT = 2**60
"""Version 1 of the control groups writes "no limit" as a number about as large as 2^63."""


def free_memory(proc: Path = PROC, cgroup: Path = CGROUP) -> int | None:
    """Bytes that the machine, this process's control groups and its own limit (ulimit -v) leave, with those that the
    process has already: what an earlier run of it has freed is used again (fabula.train.machine.memory.keeping).
    None where the system does not say.

    Linux counts what it can drop (MemAvailable); elsewhere all the memory of the machine is what is known.
    """
    meminfo = _text(proc / "meminfo")
    if not (found := re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)):
        return _all_memory()
    free = min([int(found[1]) * 1024, *_left_in_groups(_text(proc / "self" / "cgroup"), cgroup), *_left_to_map(proc)])
    return free + (resident_bytes(proc) or 0)


def resident_bytes(proc: Path = PROC) -> int | None:
    """Bytes of memory that this process has now; None where the system does not say."""
    own = re.search(r"^VmRSS:\s+(\d+) kB", _text(proc / "self" / "status"), re.MULTILINE)
    return int(own[1]) * 1024 if own else None


def own_bytes(proc: Path = PROC) -> int | None:
    """The same without the pages of files: tokens that are read from the disk are no growth, the system takes them back
    when it needs the room. None where the system does not say."""
    own = re.search(r"^RssAnon:\s+(\d+) kB", _text(proc / "self" / "status"), re.MULTILINE)
    return int(own[1]) * 1024 if own else resident_bytes(proc)


def free_gpu_memory() -> int:
    """Bytes of the current CUDA device that are free, or held by torch without use."""
    free, _ = torch.cuda.mem_get_info()
    return int(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())


def _left_to_map(proc: Path) -> list[int]:
    """What its limit leaves to this process, where it has one."""
    limit = re.search(r"^Max address space +(\d+)", _text(proc / "self" / "limits"), re.MULTILINE)
    mapped = re.search(r"^VmSize:\s+(\d+) kB", _text(proc / "self" / "status"), re.MULTILINE)
    return [max(0, int(limit[1]) - int(mapped[1]) * 1024)] if limit and mapped else []


def _left_in_groups(groups: str, root: Path) -> list[int]:
    """What each group that this process is in leaves of its limit; page cache that nobody uses counts as free."""
    left = []
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            base, limit_name, used_name, cache = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit_name, used_name = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        folder = base / path.lstrip("/")
        # A container sees its own group as the root of the tree, whatever its path is called outside.
        for each in {base, folder, *(parent for parent in folder.parents if parent.is_relative_to(base))}:
            limit, used = _text(each / limit_name).strip(), _text(each / used_name).strip()
            if limit.isdecimal() and used.isdecimal() and int(limit) < NO_LIMIT:
                unused = re.search(rf"^{cache} (\d+)$", _text(each / "memory.stat"), re.MULTILINE)
                left.append(int(limit) - int(used) + (int(unused[1]) if unused else 0))
    return left


def _all_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, other systems not these names
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
