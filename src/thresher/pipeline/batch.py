"""Runs over batch files: each line brings its own prompt and replies."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.documents import Item, ReaderPool, batch_items
from thresher.errors import InputError, ModelFormatError, TaskError, UsageError
from thresher.pipeline.asking import Ask, AskingOptions, Assignment, Place
from thresher.pipeline.options import ClassifyOptions
from thresher.tasks.batch import (
    BATCH_VERSION,
    QUESTION_NAME,
    ChatPrompt,
    Group,
    RequestReader,
    Sharing,
    build_chat_prompt,
    takes_system,
)
from thresher.types import ChatRequest, Failure

#: Requests are put in the order of their groups so many at a time.
_ORDERED_REQUESTS = 4_096
_ORDERED_CHARACTERS = 32 * 1024 * 1024
#: Prompts kept ready; a file of more groups builds them again as they come by.
_KEPT_PROMPTS = 64

_SYSTEM_IN_FRONT = (
    "the model's chat template has no place for system messages: they are put in front of the user's message"
)
BATCH_ASSIGNMENT = Assignment(
    name="batch", fingerprint=f"batch-{BATCH_VERSION}", questions=(QUESTION_NAME,), kinds={QUESTION_NAME: "choice"}
)


class BatchInputs:
    """The requests of batch files; they can be gone through more than once. ``check`` comes first."""

    def __init__(self, files: Sequence[Path], options: ClassifyOptions, exclude: Sequence[Path] = ()) -> None:
        _check_fitting(files, options, exclude)
        self.sharing = Sharing()
        self.notices: tuple[str, ...] = ()
        self._files = files
        self._limit = options.limit

    def names(self) -> tuple[str, ...]:
        """What the record of the run and the job's default folder call the inputs."""
        return tuple(map(str, self._files))

    def items(self, _: ReaderPool) -> Iterator[Item]:
        """The requests, in the order of the files."""
        return self._items(RequestReader())

    def _items(self, reader: RequestReader) -> Iterator[Item]:
        return itertools.islice(batch_items(self._files, reader), self._limit)

    def check(self) -> None:
        """Go through all requests to learn what they share. Raises ``InputError`` when there is none."""
        reader, count = RequestReader(), 0
        for item in self._items(reader):
            count += 1
            if item.request is not None:
                self.sharing.add(item.request)
        if not count:
            raise InputError(f"no document found in {self._files[0]}; the file has no lines")
        self.sharing.settle()
        if reader.ignored:
            self.notices = (
                "passed over in the requests, because answers are read off the probabilities of --model, without "
                f"sampling and thinking: {', '.join(sorted(reader.ignored))}",
            )

    def items_to_read(self, pool: ReaderPool) -> Iterator[Item]:
        """As they are to be read: members of a group follow each other, so that what they share is read once."""
        for chunk in _chunks(self.items(pool)):
            ranks: dict[Group | None, int] = {}
            order = [ranks.setdefault(self._group(item), len(ranks)) for item in chunk]
            yield from (chunk[place] for place in sorted(range(len(chunk)), key=order.__getitem__))

    def _group(self, item: Item) -> Group | None:
        return None if item.request is None else self.sharing.group_of(item.request)


def _check_fitting(files: Sequence[Path], options: ClassifyOptions, outputs: Sequence[Path]) -> None:
    """Refuse what makes no sense for batch files, rather than pass it over."""
    columns = {
        "--text-column": options.text_column, "--id-column": options.id_column, "--gold-column": options.gold_columns,
    }  # fmt: skip
    if column := next((flag for flag, value in columns.items() if value), None):
        raise UsageError(f"{files[0]} is a batch file, whose lines have no columns; leave out {column}")
    if options.content_free:
        raise UsageError(f"{files[0]} is a batch file, whose requests differ from each other; leave out --content-free")
    reading = {"--attachments": options.attachments, "--ocr": options.ocr}
    if flag := next((flag for flag, value in reading.items() if value), None):
        raise UsageError(f"{files[0]} is a batch file, whose lines are texts; leave out {flag}")
    written = {path.resolve() for path in outputs}
    if both := next((path for path in files if path.resolve() in written), None):
        raise InputError(f"{both} is both an input and an output of this run; name another")


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    characters = 0
    for item in items:
        chunk.append(item)
        characters += len(item.text or "")
        if len(chunk) >= _ORDERED_REQUESTS or characters >= _ORDERED_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


class BatchAsking:
    """What each request asks for itself; requests of a group have one prompt."""

    def __init__(self, sharing: Sharing, options: AskingOptions) -> None:
        self._sharing = sharing
        self._options = options
        self._asks: OrderedDict[Group, Ask | Failure] = OrderedDict()
        self.notices: tuple[str, ...] = (
            (_SYSTEM_IN_FRONT,) if sharing.has_system and not takes_system(options.chat) else ()
        )

    def of(self, request: ChatRequest | None) -> Ask | Failure:
        """How to ask for a reply to ``request``, or why this model cannot be asked."""
        if request is None:
            raise ValueError("a document of a batch without its request")
        group = self._sharing.group_of(request)
        ask = self._asks.pop(group, None) or self._build(request, group)
        self._asks[group] = ask
        if len(self._asks) > _KEPT_PROMPTS:
            self._asks.popitem(last=False)
        return ask

    def _build(self, request: ChatRequest, group: Group) -> Ask | Failure:
        options = self._options
        try:
            shared = build_chat_prompt(request, group, options.tokenizer, options.chat)
            alone = build_chat_prompt(request, None, options.tokenizer, options.chat)
        except (ModelFormatError, TaskError) as error:
            return Failure(status="unreadable", reason=f"the request cannot be put to this model: {error}")
        try:
            alone_place = options.place(alone.task_prompt)
        except UsageError as error:
            return Failure(status="oversize", reason=str(error))
        try:
            return _GroupAsk(shared, options.place(shared.task_prompt), alone, alone_place)
        except UsageError:  # what is shared fills the context: a document that several requests ask about
            return _GroupAsk(alone, alone_place, alone, alone_place)


@dataclass(frozen=True, slots=True)
class _GroupAsk:
    """One group: the prompt that its requests share, and the one for a message that shares nothing of it."""

    shared: ChatPrompt
    shared_place: Place
    alone: ChatPrompt
    alone_place: Place

    def words(self, text: str) -> str:
        return self.shared.message(text)

    def place(self, tokens: Sequence[int]) -> tuple[Place, Sequence[int]]:
        document = self.shared.document_tokens(tokens)
        if document is None or not (self._has_room() or self.shared_place.admission.fits(document)):
            return self.alone_place, tokens
        return self.shared_place, document

    def _has_room(self) -> bool:
        """Whether cutting a request's own part would leave much of it: else the whole message is cut."""
        return 2 * self.shared_place.admission.capacity_tokens >= self.alone_place.admission.capacity_tokens
