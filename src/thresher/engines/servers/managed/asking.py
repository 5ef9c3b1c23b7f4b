"""Short questions to programs: run one, take what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from thresher.errors import EngineUnavailableError

#: vLLM imports torch before it answers.
_TIMEOUT_S = 180.0
_QUOTED = 300


def ask(command: Sequence[str], *, timeout_s: float | None = _TIMEOUT_S) -> str:
    """All that ``command`` prints, on both streams: llama.cpp tells its version on standard error.

    Raises:
        EngineUnavailableError: it cannot be run, fails or takes too long.
    """
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=timeout_s, check=False, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise EngineUnavailableError(f"'{shown}' gave no answer within {timeout_s:.0f} s") from error
    except OSError as error:
        raise EngineUnavailableError(f"'{shown}' cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        said = " ".join(done.stdout.split())[-_QUOTED:]
        raise EngineUnavailableError(f"'{shown}' ended with exit code {done.returncode}: {said or 'it said nothing'}")
    return done.stdout
