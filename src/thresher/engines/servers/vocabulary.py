"""Where the tokens and the chat template of a served model come from: files on this machine, or the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.engines.servers.adapter import Wishes
from thresher.engines.servers.client.address import Address
from thresher.engines.servers.fault import AbsentError, BadRequestError
from thresher.errors import ModelError, UsageError
from thresher.models.chat_format import ChatFormat
from thresher.models.model import Model, open_model
from thresher.models.reference import resolve
from thresher.models.tokenizer import PROBES, Tokenizer


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What turns a task into the tokens of a served model."""

    tokenizer: Tokenizer
    chat: ChatFormat
    notices: tuple[str, ...] = ()


AskTokens = Callable[[str], Awaitable[Sequence[int]]]  # the server's own tokens of a text, nothing added


async def vocabulary_of_files(
    address: Address, wishes: Wishes, paths: Sequence[object], ask_tokens: AskTokens
) -> Vocabulary | None:
    """From ``--tokenizer``, else from the files that the server names, where this machine has them.

    Either way it is compared with the server's. None where there are no files, or those of another model.

    Raises:
        UsageError: ``--tokenizer`` is not the served model's.
        ServerError: the server cannot be asked.
    """
    model = wishes.tokenizer
    if model is not None:
        if model.tokenizer is None:
            raise UsageError(
                f"--tokenizer {model.files.reference}: only llama.cpp can read this file's vocabulary; name a "
                "checkpoint (owner/repo or a folder with tokenizer.json)"
            )
        if await _agrees(model, ask_tokens) is False:
            raise UsageError(
                f"--tokenizer {model.files.reference}: {address} turns text into other tokens; give the files of the "
                "model that it serves"
            )
    elif address.is_loopback and wishes.may_read_files:
        model = await asyncio.to_thread(_first_model, paths)
        if model is None or not await _agrees(model, ask_tokens):
            return None
    if model is None or model.tokenizer is None:
        return None
    return Vocabulary(model.tokenizer, model.chat, model.notices)


async def first_difference(ask_tokens: AskTokens, other: Tokenizer) -> str | None:
    """A text that the server and ``other`` cut into different tokens; None where none was found.

    Raises:
        ServerError: the server cannot be asked.
    """
    for probe, tokens in zip(PROBES, await asyncio.gather(*map(ask_tokens, PROBES)), strict=True):
        if other.encode(probe) != list(tokens):
            return probe
    return None


async def _agrees(model: Model, ask_tokens: AskTokens) -> bool | None:
    """Whether files and server make the same tokens; None where the server makes none."""
    if model.tokenizer is None:
        return False
    try:
        return await first_difference(ask_tokens, model.tokenizer) is None
    except (AbsentError, BadRequestError):
        return None


def _first_model(paths: Sequence[object]) -> Model | None:
    for path in paths:
        if not isinstance(path, str) or not path or not Path(path).is_absolute() or not Path(path).exists():
            continue
        try:
            return open_model(resolve(path, offline=True))
        except ModelError:
            continue
    return None
