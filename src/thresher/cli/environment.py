"""Options from ``THRESHER_*`` variables: a flag wins over a variable, a variable over the default."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence

import typer

from thresher.errors import ThresherError
from thresher.models import is_address

PREFIX = "THRESHER_"


@contextlib.contextmanager
def variables_named(context: typer.Context) -> Iterator[None]:
    """Add to an error those variables whose value it is about, which a user may have forgotten."""
    try:
        yield
    except ThresherError as error:
        used = [f"{name}={value!r}" for name, flag, value in _used(context) if _is_about(str(error), flag, value)]
        if used:
            error.args = (f"{error} (set in the environment: {', '.join(used)})",)
        raise


def model_references(context: typer.Context, given: Sequence[str]) -> Sequence[str]:
    """The values of ``--model``; a variable holds one reference, with spaces as it may be, or several addresses."""
    source = context.get_parameter_source("model")
    if source is None or source.name != "ENVIRONMENT" or all(map(is_address, given)):
        return given
    return [os.environ[f"{PREFIX}MODEL"]]


def _used(context: typer.Context) -> Iterator[tuple[str, str, str]]:
    """Variable, flag and value of every option that was taken from the environment."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if source is not None and source.name == "ENVIRONMENT" and isinstance(option.envvar, str):
            yield option.envvar, option.opts[0], os.environ.get(option.envvar, "")


def _is_about(message: str, flag: str, value: str) -> bool:
    """Whether the message names the flag, or the value as a word; a number alone may be any figure."""
    named = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", message) if value and not value.isdigit() else None
    return flag in message.split() or named is not None
