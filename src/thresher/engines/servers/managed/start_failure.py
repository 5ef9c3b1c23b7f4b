"""Why a server did not start, from what it left: how it ended and the end of its log."""

from __future__ import annotations

import re

from thresher.engines.servers.managed.server_log import ServerLog
from thresher.errors import EngineCapacityError, EngineError

#: A process that ends has no typed field for it, so what the programs write is all there is: CUDA's, torch's, ggml's
#: and vLLM's words for memory that is not there.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|outofmemory|(?:failed|unable) to allocate|cannot allocate memory|bad_alloc|not enough memory"
    r"|no available memory|free memory on device .* is less than|larger than the (?:maximum|available)",
    re.IGNORECASE,
)
_KILLED = "killed by SIGKILL"
_LINES_SEARCHED = 200


def start_failure(name: str, how: str, log: ServerLog) -> EngineError:
    """The error for a server called ``name`` that ended or hung while it started; ``how`` says which."""
    end = f"the end of its log ({log.path}):\n{log.tail()}"
    if _OUT_OF_MEMORY.search(log.tail(_LINES_SEARCHED)) or how == _KILLED:
        return EngineCapacityError(
            f"{name} did not start, for want of memory ({how}): give a smaller --context, a smaller quantization or "
            f"model, or free memory on the device; {end}"
        )
    return EngineError(f"{name} did not start ({how}); {end}")
