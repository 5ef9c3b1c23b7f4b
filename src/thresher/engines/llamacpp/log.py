"""Where llama.cpp's log goes: warnings and errors are kept for our messages, the rest is dropped."""

from __future__ import annotations

import ctypes
import logging
from collections import deque

logger = logging.getLogger("thresher.llamacpp")

#: Values of ``enum ggml_log_level`` that matter here.
WARN, ERROR, CONTINUED = 3, 4, 5

LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class LogCapture:
    """Receives the lines; one per loaded library, because llama.cpp has one log per process."""

    def __init__(self, kept_lines: int = 50) -> None:
        self._errors: deque[str] = deque(maxlen=kept_lines)
        self._last_level = 0
        self.callback = LOG_CALLBACK(self._receive)

    def _receive(self, level: int, text: bytes | None, _data: int | None) -> None:
        level = self._last_level if level == CONTINUED else level
        self._last_level = level
        if level in (WARN, ERROR) and text:
            line = text.decode("utf-8", "replace").strip()
            self._errors.append(line)
            logger.debug("%s", line)

    def clear(self) -> None:
        """Forget the lines kept so far."""
        self._errors.clear()

    def errors(self) -> list[str]:
        """Warnings and errors since the last ``clear``, oldest first."""
        return list(self._errors)
