"""What an endpoint takes and gives: found by asking it a small question in more and more ways.

OpenAI-compatible endpoints differ in nearly every optional field, refuse what they do not know or pass over it, and do
not say which. So each wish is put to the endpoint on its own, with a question whose answer is known to be one of two
words, and kept where the reply shows that it was granted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thresher.engines.servers.fault import AbsentError, BadRequestError
from thresher.engines.servers.openai.chat import ChatRoute, Completion
from thresher.engines.servers.openai.replies import Form, NoLabelError, response_format, said
from thresher.engines.servers.openai.turns import Message

_OPTIONS = ("red", "blue")
_QUESTION = Message(
    "user", "Labels:\nred\nblue\n\nDocument:\nThe sky at noon.\n---\nAnswer with exactly one label, and nothing else."
)
#: Room for a reply that thinks, so that this is seen.
_PROBE_TOKENS = 32
#: Ways of saying that the model is not to think; none is understood everywhere.
_THINKING_OFF: tuple[Mapping[str, Any], ...] = (
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"reasoning_effort": "none"},
)
_TOPS = (20, 5)
#: Prose and figures in several scripts, for the number of bytes that make a token here.
_SAMPLE = (
    "The tenant shall pay 1,250.00 EUR in advance on the first working day of each month, without any deduction. "
    "Die Lieferung erfolgt frei Haus; Größe und Gewicht stehen auf dem Lieferschein Nr. 2024-0817. "
    "Le locataire s'engage à user paisiblement des locaux loués, suivant leur destination. "
    "Стороны обязуются хранить тайну в соответствии с договором. 甲乙双方应当保守秘密。 "
) * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How one endpoint is to be asked."""

    tokens_field: str = "max_tokens"
    fixed: Mapping[str, Any] = field(default_factory=dict)  # sent with every request
    top_logprobs: int | None = None  # None: it tells no probabilities
    structured: bool = False  # it keeps a reply to a schema
    bytes_per_token: float = 1.0  # of a text in several languages

    def fields(self, options: Sequence[str], form: Form = "plain") -> dict[str, Any]:
        """All but the messages, to be answered with one of ``options``."""
        longest = max(len(option.encode()) for option in options)
        sent: dict[str, Any] = {**self.fixed, self.tokens_field: longest + _PROBE_TOKENS}
        if self.top_logprobs is not None:
            sent |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        if form == "json":
            sent["response_format"] = response_format(options)
        return sent


async def find_terms(chat: ChatRoute) -> Terms:
    """Ask until all is known.

    Raises:
        AbsentError: it answers nothing that could be a label, or thinks and cannot be told not to.
        ServerError: it cannot be asked.
    """
    terms, reply = await _plain_terms(chat)
    terms, reply = await _without_thinking(chat, terms, reply)
    _check_thoughtless(chat, reply)
    terms = await _with_probabilities(chat, terms)
    terms = replace(terms, structured=await _is_structured(chat, terms))
    return await _measured(chat, terms)


async def _plain_terms(chat: ChatRoute) -> tuple[Terms, Completion]:
    """The least that a request needs; newer models take another name for its length, and no temperature."""
    refusal: BadRequestError | None = None
    for fixed in ({"temperature": 0}, {}):
        for tokens_field in ("max_tokens", "max_completion_tokens"):
            terms = Terms(tokens_field=tokens_field, fixed=fixed)
            try:
                return terms, await _ask(chat, terms)
            except BadRequestError as error:
                refusal = refusal or error
    assert refusal is not None  # noqa: S101 - or it would have returned
    raise refusal


async def _without_thinking(chat: ChatRoute, terms: Terms, reply: Completion) -> tuple[Terms, Completion]:
    """The first way of turning thinking off that is taken; another one while the reply still thinks."""
    for wish in _THINKING_OFF:
        asked = replace(terms, fixed={**terms.fixed, **wish})
        try:
            found = await _ask(chat, asked)
        except BadRequestError:
            continue
        if not _thinks(found):
            return asked, found
    return terms, reply


async def _with_probabilities(chat: ChatRoute, terms: Terms) -> Terms:
    for top in _TOPS:
        asked = replace(terms, top_logprobs=top)
        try:
            found = await _ask(chat, asked)
        except BadRequestError:
            continue
        return asked if found.places and any(place.listed for place in found.places) else terms
    return terms


async def _is_structured(chat: ChatRoute, terms: Terms) -> bool:
    try:
        found = await _ask(chat, terms, "json")
        said(found.content, _OPTIONS, "json")
    except (BadRequestError, NoLabelError):
        return False
    return True


def _check_thoughtless(chat: ChatRoute, reply: Completion) -> None:
    if _thinks(reply):
        raise AbsentError(
            f"{chat.name}: the model thinks before it answers, and the endpoint turns that off by none of the usual "
            "fields; turn it off at the server, or use a model that does not think"
        )


async def _measured(chat: ChatRoute, terms: Terms) -> Terms:
    """How many bytes make a token: from a short and a long prompt, so that a template's own tokens do not count."""
    short = await _ask(chat, terms)
    long = await chat.complete([Message("user", _QUESTION.content + _SAMPLE)], **terms.fields(_OPTIONS))
    if short.prompt_tokens is None or long.prompt_tokens is None or long.prompt_tokens <= short.prompt_tokens:
        raise AbsentError(f"{chat.name}: the endpoint does not count prompt tokens (usage.prompt_tokens), as it should")
    return replace(terms, bytes_per_token=len(_SAMPLE.encode()) / (long.prompt_tokens - short.prompt_tokens))


async def _ask(chat: ChatRoute, terms: Terms, form: Form = "plain") -> Completion:
    return await chat.complete([_QUESTION], **terms.fields(_OPTIONS, form))


def _thinks(reply: Completion) -> bool:
    return bool(reply.reasoning.strip()) or reply.content.lstrip().startswith("<think") or not reply.content.strip()
