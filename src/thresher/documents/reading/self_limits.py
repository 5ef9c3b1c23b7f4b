"""What a worker process asks the system to hold it to. Each system does what it can; Linux does all of it.

| | Linux | macOS | Windows |
|---|---|---|---|
| memory | limited | not limited | not limited |
| kills itself when stuck | yes | yes | no; its parent kills it |
| ends with its parent | at once | after the document | after the document |
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Be killed when the parent is gone, even in the middle of a document (Linux; elsewhere at the end of its pipe)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # on Windows the parent of a virtual environment's Python is its launcher
    if sys.platform != "win32" and os.getppid() != parent:
        os._exit(1)


def limit_memory(limit_bytes: int) -> None:
    """Address space: what is used now and ``limit_bytes`` more. No core files of other people's documents."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS takes such a limit and does not keep to it
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limit_bytes, used + limit_bytes))


def set_alarm(seconds: int) -> None:
    """Be killed after so many seconds, should the parent not do it; 0 calls it off."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def peak_bytes() -> int:
    """The most memory that this process has held."""
    try:
        import resource
    except ImportError:
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
