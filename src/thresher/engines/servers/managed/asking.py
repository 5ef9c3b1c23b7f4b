"""Short questions to programs: run one, take what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from thresher.errors import EngineUnavailableError

#: vLLM imports torch before it answers.
_TIMEOUT_S = 180.0
_QUOTED_CHARACTERS = 100


class NoAnswerError(EngineUnavailableError):
    """A program that was asked did not answer; ``why`` in a few words, its own last ones where it has any."""

    def __init__(self, command: Sequence[str], how: str, why: str) -> None:
        super().__init__(f"'{' '.join(command)}' {how}{why}")
        self.why = why


def ask(command: Sequence[str], *, timeout_s: float | None = _TIMEOUT_S) -> str:
    """All that ``command`` prints, on both streams: llama.cpp tells its version on standard error.

    Raises:
        NoAnswerError: it cannot be run, fails or takes too long.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False, text=True,
            errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NoAnswerError(command, "gave ", f"no answer within {timeout_s:.0f} s") from error
    except OSError as error:
        raise NoAnswerError(command, "cannot be run: ", error.strerror or str(error)) from error
    if done.returncode != 0:
        said = _last_line(done.stderr) or _last_line(done.stdout) or "it said nothing"
        raise NoAnswerError(command, f"ended with exit code {done.returncode}: ", said)
    return done.stdout + done.stderr


def _last_line(text: str) -> str:
    """Cut to what a message bears."""
    line = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    return line if len(line) <= _QUOTED_CHARACTERS else f"{line[: _QUOTED_CHARACTERS - 3]}..."
