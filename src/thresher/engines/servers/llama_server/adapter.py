"""The adapter for llama-server: token ids in, exact probabilities out."""

from __future__ import annotations

from collections.abc import Sequence

from thresher.answers import Answer, AnswerTrie, AnswerWalk
from thresher.engines.servers.adapter import ServerFacts, Wishes
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import AbsentError, BadAnswerError
from thresher.engines.servers.llama_server.identity import Identity, ask, identify
from thresher.engines.servers.llama_server.slots import Prefixes, SavedStates, Slot
from thresher.engines.servers.llama_server.wire import Reading, translate
from thresher.models.chat_template import ChatTemplate, PlainFormat
from thresher.models.tokenizer import Tokenizer
from thresher.types import Request, Scores

_HEALTH_DEADLINE_S = 10.0
#: Texts of which some token is a whole character that no label of the question begins with.
_WHOLE_CHARACTERS = "a b c x y z 1 2"
_BEHIND_DOCUMENT, _BEHIND_QUESTION = 0, 1


class LlamaServer:
    """How ``adapters`` connects to it."""

    @staticmethod
    async def recognises(client: Client) -> bool:
        """Only llama-server has ``/props`` with its slots and settings."""
        client.understanding(translate)
        try:
            await ask(client)
        except (AbsentError, BadAnswerError):
            return False
        return True

    @staticmethod
    async def connect(client: Client, wishes: Wishes) -> LlamaServerAdapter:
        """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""
        client.understanding(translate)
        identity = await identify(client, wishes)
        states = SavedStates(client)
        await states.try_out()
        drawn = await identity.server_tokenizer.tokenize(_WHOLE_CHARACTERS)
        return LlamaServerAdapter(client, identity, states, drawn)


class LlamaServerAdapter:
    """One llama-server. A lane of the engine is a slot of the server, so that no request pushes another out."""

    def __init__(self, client: Client, identity: Identity, states: SavedStates, drawn: Sequence[int]) -> None:
        self._client = client
        self._identity = identity
        self._states = states
        self._prefixes = Prefixes(states)
        self._slots = [Slot(index, client, states, drawn) for index in range(identity.facts.slots or 1)]

    @property
    def facts(self) -> ServerFacts:
        """What is known of it."""
        return self._identity.facts

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the model's files where they are here, else the server's."""
        return self._identity.tokenizer

    @property
    def chat(self) -> ChatTemplate | PlainFormat:
        """As ``/props`` has it."""
        return self._identity.chat

    async def check(self) -> None:
        """Ask for its health."""
        await self._client.get("/health", deadline_s=min(_HEALTH_DEADLINE_S, self._client.deadline_s))

    async def score(self, request: Request, lane: int) -> Scores:
        """See :class:`~thresher.engines.servers.adapter.Adapter`. ``label_mass`` is not known: see :meth:`_answer`."""
        slot, prompt = self._slots[lane], request.prompt
        slot.begin()
        prefix = prompt.prefix_tokens
        placed = await self._prefixes.place(prefix, slot)
        document = [*prefix, *request.document_tokens]
        readings = list[Reading]()
        several = len(prompt.questions) > 1
        if several and len(document) > len(prefix):
            readings.append(await slot.read(document))
            await slot.mark(_BEHIND_DOCUMENT)
        answers = list[Answer]()
        for question in prompt.questions:
            if answers:
                await slot.back(_BEHIND_DOCUMENT)
            answers.append(await self._answer(slot, [*document, *question.suffix_tokens], question.trie, readings))
        if readings and not placed:
            self._prefixes.was_reused(prefix, slot, readings[0])
        reused = min(readings[0].reused_tokens, len(prefix)) if readings else 0
        return Scores(
            request_id=request.request_id,
            answers=tuple(answers),
            computed_tokens=slot.computed_tokens,
            cached_tokens=max(0, reused - placed),
        )

    async def _answer(self, slot: Slot, ending: Sequence[int], trie: AnswerTrie, readings: list[Reading]) -> Answer:
        """Descend the trie. The bias that makes the probabilities exact hides what other tokens weigh."""
        walk, seen = AnswerWalk(trie), 0
        while paths := walk.wanted():
            if seen == 1 and len(trie.branchings) > 2:
                await slot.mark(_BEHIND_QUESTION)  # of what follows, only the first needs no way back
            for path in paths:
                if seen > 1:
                    await slot.back(_BEHIND_QUESTION)
                reading = await slot.read([*ending, *path], trie.branchings[path].tokens)
                readings.append(reading)
                walk.observe(path, reading.logs or ())
                seen += 1
        return walk.answer()

    async def close(self) -> None:
        """Empty the files that were written."""
        await self._states.clear()
