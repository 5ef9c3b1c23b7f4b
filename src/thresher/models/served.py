"""A model that a server holds: where it is, rather than its files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from thresher.errors import UsageError
from thresher.models.model import Model

_ADDRESS = re.compile(r"^https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedModel:
    """One model, held by one or several servers."""

    addresses: tuple[str, ...]  # http(s) URLs as the user wrote them
    tokenizer: Model | None = None  # files with the tokenizer and the chat template of the served model


def is_address(reference: str) -> bool:
    """Whether a model reference is a server's URL."""
    return _ADDRESS.match(reference.strip()) is not None


def served_addresses(references: Sequence[str]) -> tuple[str, ...]:
    """The servers' addresses; empty where the one reference is that of files.

    Raises:
        UsageError: several references that are not all addresses, or one twice.
    """
    given = tuple(reference.strip() for reference in references)
    addresses = tuple(reference for reference in given if is_address(reference))
    if addresses and len(addresses) < len(given):
        other = next(reference for reference in given if not is_address(reference))
        raise UsageError(f"--model {other}: several models must all be addresses of servers, and this one is not")
    if len(given) > 1 and not addresses:
        raise UsageError(f"--model is given {len(given)} times; only addresses of servers may be several")
    if repeated := next((address for address in addresses if addresses.count(address) > 1), None):
        raise UsageError(f"--model {repeated} is given twice")
    return addresses
