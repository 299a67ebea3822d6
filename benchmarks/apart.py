"""Measuring in a fresh process: a peak of memory never falls again, and what was loaded before would count.

Does: run a function apart, tell this process's peak. Does not: measure time.
"""

from __future__ import annotations

import multiprocessing
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def apart(work: Callable[..., T], *arguments: Any) -> T:
    """What a function gives in a process of its own.

    Args:
        work: a module's function; it, its arguments and its result are pickled.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def peak_mb() -> float:
    """The most memory this process has held, in MB of 2**20 bytes.

    `ru_maxrss` will not do where /proc has it: on Linux that of a child starts from its parent's (getrusage(2), fork and exec keep it).
    """
    status = Path("/proc/self/status")
    if status.is_file() and (
        held := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"), re.MULTILINE)
    ):
        return int(held[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
