"""The peers of ``office_readers``, run by a Python that has them: paths come in as JSON lines, times go out as JSON.

pip install 'markitdown[docx,pptx,xlsx,xls,pdf,outlook]' striprtf
"""

from __future__ import annotations

import importlib
import json
import resource
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

_PEERS = {".rtf": "striprtf"}  # which markitdown does not read
_REPETITIONS = 3
_ENOUGH_S = 0.2  # a file that took as long is not timed again
_TIMEOUT_S = 10
_MEMORY_LIMIT_BYTES = 4 * 1024**3


def main() -> None:
    """Time each path once it is warm; a file that the peer cannot read has no time."""
    converter = importlib.import_module("markitdown").MarkItDown(enable_plugins=False)
    strip = importlib.import_module("striprtf.striprtf").rtf_to_text
    convert: dict[str, Callable[[str], object]] = {
        "markitdown": converter.convert_local,
        "striprtf": lambda path: strip(Path(path).read_text(encoding="latin-1")),
    }
    signal.signal(signal.SIGALRM, _give_up)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT_BYTES, _MEMORY_LIMIT_BYTES))
    times = {}
    for line in sys.stdin:
        path = json.loads(line)
        times[path] = seconds(convert[_PEERS.get(Path(path).suffix.lower(), "markitdown")], path)
    sys.stdout.write(json.dumps({"versions": {name: version(name) for name in convert}, "seconds": times}))


def seconds(convert: Callable[[str], object], path: str) -> float | None:
    """The shortest of a few runs; None if it fails, or takes too long or too much memory."""
    taken: list[float] = []
    for _ in range(_REPETITIONS):
        signal.alarm(_TIMEOUT_S)
        started = time.perf_counter()
        try:
            convert(path)
        except (Exception, _TooLongError):  # noqa: BLE001 - whatever the peer fails with
            return None
        finally:
            signal.alarm(0)
        taken.append(time.perf_counter() - started)
        if sum(taken) > _ENOUGH_S:
            break
    return min(taken)


class _TooLongError(BaseException):
    """Not an Exception, which the peer would take for a failure of one of its converters, and try the next."""


def _give_up(*_signal: object) -> None:
    raise _TooLongError


if __name__ == "__main__":
    main()
