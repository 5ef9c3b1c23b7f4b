"""What a llama-server holds: its model's name, fingerprint, tokenizer and chat template."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from thresher.engines.servers.adapter import ServerFacts, Wishes
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError, ServerError
from thresher.engines.servers.llama_server.tokens import ServerTokenizer
from thresher.engines.servers.vocabulary import first_difference
from thresher.errors import ModelError, UsageError
from thresher.models.chat_template import ChatTemplate, PlainFormat
from thresher.models.model import Model, open_model
from thresher.models.reference import files_at
from thresher.models.tokenizer import Tokenizer

#: What control tokens look like where a template writes them.
_CONTROL_LIKE = re.compile(r"<[^<>\s{}%]{1,40}>|\[/?[A-Z_]{2,30}\]")
_ENDS_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<|return|>", "<end_of_turn>", "<|end_of_text|>", "</s>")


@dataclass(frozen=True, slots=True)
class Said:
    """What ``/props`` and ``/v1/models`` say."""

    props: Mapping[str, Any]
    meta: Mapping[str, Any]  # of the model; empty where the server does not say
    names: tuple[str, ...]

    @property
    def path(self) -> str:
        """Of the model's file, where the server runs."""
        return str(self.props.get("model_path") or "")

    @property
    def name(self) -> str:
        """For people."""
        alias = str(self.props.get("model_alias") or self.path or "model")
        return PurePosixPath(alias.replace("\\", "/")).name.removesuffix(".gguf")

    @property
    def template(self) -> str:
        """The chat template in use."""
        return str(self.props.get("chat_template") or "")

    def fingerprint(self) -> str:
        """64 hex digits of all that it says of its weights. Two models of one name, size and shape have the same."""
        of_weights = {key: self.meta.get(key) for key in ("n_params", "n_vocab", "n_embd", "n_ctx_train", "size")}
        said = [self.name, self.props.get("model_ftype"), self.template, of_weights]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Identity:
    """A server's model, as far as its adapter needs it."""

    facts: ServerFacts
    tokenizer: Tokenizer
    chat: ChatTemplate | PlainFormat
    server_tokenizer: ServerTokenizer


async def ask(client: Client) -> Said:
    """Ask the server. Raises ``ServerError``; ``BadAnswerError`` when it is no llama-server."""
    props = await client.get("/props")
    if not isinstance(props, dict) or not isinstance(props.get("default_generation_settings"), dict):
        raise BadAnswerError(f"{client.address}: /props is not that of a llama-server")
    try:
        listed = (await client.get("/v1/models"))["data"]
        meta = listed[0].get("meta") or {}
        names = tuple(name for model in listed for name in (model.get("id"), *model.get("aliases", ())) if name)
    except (ServerError, KeyError, IndexError, TypeError, AttributeError):
        meta, names = {}, ()  # an older server
    return Said(props, meta, names)


async def identify(client: Client, wishes: Wishes) -> Identity:
    """What the server holds.

    Raises:
        ServerError: it cannot be asked.
        UsageError: it holds another model than asked for, or its tokens are not those of ``--tokenizer``.
    """
    said = await ask(client)
    _check_name(client, said)
    own = ServerTokenizer(client, int(said.meta.get("n_vocab") or 0))
    special = await _special_tokens(own, said)
    files, notices = wishes.tokenizer, list[str]()
    if files is None and wishes.may_read_files and client.address.is_loopback:
        files = await asyncio.to_thread(_same_file, said)
    tokenizer = await _choose_tokenizer(client, own, files, wishes, notices)
    local = files if files is not None and files is not wishes.tokenizer else None
    chat = await _chat(said, own, files, special)
    if isinstance(chat, PlainFormat):
        notices.append(f"{said.name} has no chat template: it is used as a base model with a plain prompt")
    facts = ServerFacts(
        version=f"llama-server {said.props.get('build_info', 'of an unknown build')}",
        model=said.name if local is None else local.facts.name,
        model_fingerprint=said.fingerprint() if local is None else local.facts.fingerprint,
        precision=str(said.props.get("model_ftype") or "unknown") if local is None else local.facts.quantization,
        context_tokens=_positive(client, said.props["default_generation_settings"], "n_ctx"),
        slots=_positive(client, said.props, "total_slots"),
        shares_prefix=True,
        notices=tuple(notices),
    )
    return Identity(facts, tokenizer, chat, own)


def _check_name(client: Client, said: Said) -> None:
    wanted = client.address.model
    if wanted is not None and wanted not in {said.name, *said.names}:
        raise UsageError(f"--model {client.address.given}: the server holds {said.name}, not {wanted}")


def _positive(client: Client, fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or value < 1:
        raise BadAnswerError(f"{client.address}: /props has no {name}")
    return value


def _same_file(said: Said) -> Model | None:
    """The model's file, where it is on this machine, too, and is what the server says it holds."""
    path = Path(said.path)
    if not said.path or not path.is_absolute() or not path.is_file() or not said.meta:
        return None
    try:
        model = open_model(files_at(path, str(path)))
    except ModelError:
        return None
    facts = model.facts
    here = {
        "n_params": facts.parameters, "n_vocab": facts.vocabulary_size, "n_embd": facts.hidden,
        "n_ctx_train": facts.context_tokens,
    }  # fmt: skip
    return model if all(said.meta.get(name) == value for name, value in here.items()) else None


async def _choose_tokenizer(
    client: Client, own: ServerTokenizer, files: Model | None, wishes: Wishes, notices: list[str]
) -> Tokenizer:
    """That of the files, when it cuts texts as the server's does; else the server's."""
    if files is not None and files.tokenizer is not None:
        difference = await first_difference(own.tokenize, files.tokenizer)
        if difference is None:
            return files.tokenizer
        if files is wishes.tokenizer:
            raise UsageError(
                f"--tokenizer {files.files.reference}: {client.address} cuts {difference[:30]!r} into other tokens; "
                "give the files of the model that it holds, or leave the option out"
            )
    await _check_plain(client, own)
    notices.append(
        f"texts are tokenized by {client.address}; --tokenizer with the model's files would spare it the work"
    )
    return own


async def _check_plain(client: Client, own: ServerTokenizer) -> None:
    """An old server takes control tokens in any text for what they are called; then no document is safe with it."""
    for name in _ENDS_OF_TURN:
        tokens = await own.tokenize(name, with_control=True)
        if len(tokens) == 1 and await own.tokenize(name) == tokens:
            raise UsageError(
                f"{client.address}: its /tokenize makes a control token of {name} in a document; update the server, or "
                "give the model's files with --tokenizer"
            )


async def _chat(
    said: Said, own: ServerTokenizer, files: Model | None, special: list[str]
) -> ChatTemplate | PlainFormat:
    if files is not None and said.template in {files.facts.chat_template, ""}:
        return files.chat
    bos, eos = str(said.props.get("bos_token") or ""), str(said.props.get("eos_token") or "")
    adds_bos = len(await own.tokenize("x", with_start=True)) > len(await own.tokenize("x"))
    if not said.template:
        return PlainFormat(bos_token=bos, add_bos=adds_bos)
    return ChatTemplate(said.template, bos_token=bos, eos_token=eos, special_tokens=special, add_bos=adds_bos)


async def _special_tokens(own: ServerTokenizer, said: Said) -> list[str]:
    """The texts in the chat template, and the usual ends of turns, that are one token there and more in a document."""
    candidates = sorted({*_CONTROL_LIKE.findall(said.template), *_ENDS_OF_TURN, str(said.props.get("eos_token") or "")})
    found = list[str]()
    for text in filter(None, candidates):
        tokens = await own.tokenize(text, with_control=True)
        if len(tokens) == 1 and await own.tokenize(text) != tokens:
            found.append(text)
    return found
