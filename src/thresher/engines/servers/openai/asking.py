"""One question of one document put to an endpoint: which replies are possible, which was given, how likely each was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from thresher.answers import Answer, AnswerWalk, Path
from thresher.engines.servers.openai.chat import ChatRoute, Completion
from thresher.engines.servers.openai.replies import Form, NoLabelError, said, surface
from thresher.engines.servers.openai.shares import first_mass, shares
from thresher.engines.servers.openai.terms import Terms
from thresher.engines.servers.openai.turns import Message, Replies, messages_of

_SMALLEST_SHARE = 1e-30


@dataclass(frozen=True, slots=True)
class Told:
    """What an endpoint said where several replies were possible."""

    completions: tuple[Completion, ...]
    choice: int
    probabilities: tuple[float, ...] | None
    mass: float | None  # of free decoding


def _told(completion: Completion, options: Sequence[str], form: Form, mass: float | None) -> Told:
    choice = said(completion.content, options, form)
    replies = surface(completion.content, options, form, choice)
    found = shares(replies, choice, completion.places) if replies and completion.places else None
    if found is not None and form == "plain":
        mass = found.mass
    return Told((completion,), choice, None if found is None else found.probabilities, mass)


class ChatModel:
    """One model of an endpoint, asked on its terms."""

    def __init__(self, chat: ChatRoute, terms: Terms) -> None:
        self._chat = chat
        self._terms = terms

    async def ask(self, tokens: Sequence[int], options: Sequence[str]) -> Told:
        """One reply to a conversation. What is no label is asked for again within a structure, where there is that."""
        messages = messages_of(tokens)
        plain = await self._complete(messages, options, "plain")
        replies = [option.encode() for option in options]
        try:
            return _told(plain, options, "plain", first_mass(replies, plain.places))
        except NoLabelError:
            if not self._terms.structured:
                raise
        structured = await self._complete(messages, options, "json")
        told = _told(structured, options, "json", first_mass(replies, plain.places))
        return replace(told, completions=(plain, structured))

    async def _complete(self, messages: Sequence[Message], options: Sequence[str], form: Form) -> Completion:
        found = await self._chat.complete(messages, **self._terms.fields(options, form))
        if found.reasoning.strip():
            raise NoLabelError("the model thought before it answered: turn that off at the server")
        return found


class Asking:
    """One question of one document."""

    def __init__(self, model: ChatModel, prompt: Sequence[int], replies: Replies) -> None:
        self._model = model
        self._prompt = prompt
        self._replies = replies
        self._known: dict[Path, Told] = {}

    async def answer(self) -> Answer:
        """With probabilities where every branching that matters tells them, else the label that was said."""
        walk = AnswerWalk(self._replies.steps)
        while paths := walk.wanted():
            for path in paths:
                try:
                    told = await self._at(path)
                except NoLabelError:  # perhaps on a way that was not taken
                    return await self._said()
                if told.probabilities is None:
                    return await self._said()
                walk.observe(path, [math.log(max(share, _SMALLEST_SHARE)) for share in told.probabilities])
        return replace(walk.answer(), label_mass=self._mass())

    async def _said(self) -> Answer:
        """Down the tree by what was said."""
        path = self._replies.steps.root_path
        while path is not None:
            branching = self._replies.steps.branchings[path]
            choice = (await self._at(path)).choice
            path, members = branching.next_paths[choice], branching.members[choice]
        return Answer((), self._mass(), choice=members[0])

    def _mass(self) -> float | None:
        return self._known[()].mass if () in self._known else None

    async def _at(self, path: Path) -> Told:
        if path not in self._known:
            tokens = [*self._prompt, *self._replies.tokens(path)]
            self._known[path] = await self._model.ask(tokens, self._replies.options(path))
        return self._known[path]

    def completions(self) -> list[Completion]:
        """All that was asked."""
        return [completion for told in self._known.values() for completion in told.completions]
