"""Renders chat templates in a process of its own: ``python -P template_worker.py < request.json > reply.json``.

A chat template is a program that came with a model file. Jinja's sandbox keeps it from Python's internals, but not
from ``{% for %}`` loops inside loops, ``'x' * 10**10`` or ``'x'.center(10**10)``. No list of such tricks is ever
complete, so the operating system sets the limits: seconds of processor time and bytes of memory for this process. The
parent adds a limit of wall time. This module imports nothing of Thresher, so that the process starts in a tenth of a
second.

Request: ``{"template": str, "renders": [variables, ...]}``. Reply: ``[{"text": str} or {"error": str}, ...]``.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

CPU_LIMIT_S = 5
MEMORY_LIMIT_BYTES = 512 * 1024 * 1024
TEXT_LIMIT_CHARACTERS = 1_000_000

#: What a template is told when it asks for the time: an answer must not depend on the day of the run.
FIXED_DATE = (2026, 1, 1)


def render_all(template: str, renders: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """Render ``template`` once for each set of variables; what goes wrong is an ``error``, never an exception."""
    from jinja2 import TemplateError

    try:
        compiled = _environment().from_string(template)
    except (TemplateError, RecursionError, MemoryError, ValueError, SyntaxError) as error:
        return [{"error": _describe(error)} for _ in renders]
    return [_render(compiled, variables) for variables in renders]


def _render(compiled: Any, variables: dict[str, Any]) -> dict[str, str]:
    parts: list[str] = []
    length = 0
    try:
        for part in compiled.generate(**variables):
            parts.append(part)
            length += len(part)
            if length > TEXT_LIMIT_CHARACTERS:
                return {"error": f"it writes more than {TEXT_LIMIT_CHARACTERS:,} characters"}
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything
        return {"error": _describe(error)}
    return {"text": "".join(parts)}


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _environment() -> Any:
    """The environment in which transformers renders chat templates, so that templates mean the same here."""
    from datetime import date

    from jinja2 import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    def strftime_now(layout: str) -> str:
        return date(*FIXED_DATE).strftime(layout)

    def tojson(value: object, ensure_ascii: bool = False, indent: int | None = None, **_: object) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment


def _limit_this_process() -> None:
    try:
        import resource
    except ImportError:  # not on Windows; the parent's limit of wall time remains
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    with contextlib.suppress(ValueError, OSError):  # macOS may refuse it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Serve one request on standard input and output."""
    request = json.load(sys.stdin)
    _limit_this_process()
    json.dump(render_all(request["template"], request["renders"]), sys.stdout)


if __name__ == "__main__":
    main()
