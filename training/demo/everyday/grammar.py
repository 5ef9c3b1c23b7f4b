"""A small text grammar: rules with alternatives, slots, repeats and values that stay the same within a document.

A grammar file holds rules. ``:: name`` starts a rule of one alternative a line; ``:; name`` one whose alternatives are
also separated by ``;``; ``:= name`` one of blocks separated by lines of ``~~~``. ``[3]`` before an alternative triples
its weight. A rule that appears again gets the new alternatives too. In an alternative:

* ``{rule}`` expands a rule, ``{rule#1}`` gives the same text everywhere in one document, ``{rule.*}`` takes the
  document's topic (``rule.food``) or now and then ``rule.any``; ``{^rule}`` capitalises, ``{!rule}`` upper-cases and
  ``{_rule}`` lower-cases;
* ``{a|b {rule}|}`` chooses, ``{?60:text}`` keeps the text in 60% of the cases;
* ``{rule*2-4X}`` repeats, where X says how they are joined: nothing is a new line, ``_`` a blank, ``,`` a comma, ``&``
  an English list, ``/`` an empty line, ``-`` bullets, ``+`` numbers;
* ``{n:2-40}``, ``{money:10-900}``, ``{id:@@-9999}``, ``{date}`` and the others of ``values.py`` compute a value.
"""

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .values import VALUES, Style

Part = Callable[["State"], str]
Alternative = list["str | Part"]

_REFERENCE = re.compile(r"([\^!_]?)(\w+(?:\.(?:\w+|\*))?)(?::([^#*]*))?(#\w+)?(?:\*(\d+)-(\d+)([_,&/+-]?))?")
_GENERAL_SHARE = 0.35
_JOINS = {"": "\n", "_": " ", ",": ", ", "/": "\n\n"}
_CASES: dict[str, Callable[[str], str]] = {"^": lambda t: t[:1].upper() + t[1:], "!": str.upper, "_": str.lower}


class GrammarError(ValueError):
    """A grammar file cannot be read: the message names the rule and the text."""


@dataclass(slots=True)
class State:
    """What one document remembers while it is written."""

    rng: random.Random
    topic: str
    style: Style
    stretch: int = 1
    memo: dict[str, str] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Rule:
    """A named list of alternatives."""

    name: str
    alternatives: list[Alternative] = field(default_factory=list)

    def __call__(self, state: State) -> str:
        """Expand one alternative, if possible one that this document has not used yet."""
        count = len(self.alternatives)
        chosen = self.alternatives[int(state.rng.random() * count)]
        if count > 2:
            for _ in range(3):
                if id(chosen) not in state.used:
                    break
                chosen = self.alternatives[int(state.rng.random() * count)]
            state.used.add(id(chosen))
        return render(chosen, state)


def render(alternative: Alternative, state: State) -> str:
    """Join an alternative's parts."""
    return "".join([part if type(part) is str else part(state) for part in alternative])  # type: ignore[operator]


class Grammar:
    """All rules of some grammar texts. Raises GrammarError for a slot that names no rule and no value."""

    def __init__(self, texts: Iterable[str], topics: tuple[str, ...]) -> None:
        self.rules: dict[str, Rule] = {}
        self._topics = topics
        sources = [entry for text in texts for entry in _split_rules(text)]
        for name, _ in sources:
            self.rules[name] = Rule(name)
        for name, alternatives in sources:
            self.rules[name].alternatives += [self._weighted(name, text) for text in alternatives]

    def expand(self, name: str, state: State) -> str:
        """The text of rule `name` for this document."""
        return self.rules[name](state)

    def _weighted(self, name: str, text: str) -> Alternative:
        try:
            return self._parse(text.replace("\\n", "\n").replace("\\t", "\t"))
        except GrammarError as error:
            raise GrammarError(f"rule {name!r}: {error} in {text!r}") from error

    def _parse(self, text: str) -> Alternative:
        parts: Alternative = []
        position = 0
        while (start := text.find("{", position)) >= 0:
            end = _closing(text, start)
            if start > position:
                parts.append(text[position:start])
            parts.append(self._slot(text[start + 1 : end]))
            position = end + 1
        if position < len(text):
            parts.append(text[position:])
        return parts

    def _slot(self, content: str) -> Part:
        if content.startswith("?"):
            percent, _, body = content[1:].partition(":")
            return _optional(int(percent) / 100, self._parse(body))
        options = _split_top(content, "|")
        if len(options) > 1:
            return _choice([self._parse(option) for option in options])
        match = _REFERENCE.fullmatch(content)
        if match is None and "{" in content:
            case = content[0] if content[0] in _CASES else ""
            group = _choice([self._parse(content.removeprefix(case))])
            return _cased(_CASES[case], group) if case else group
        if match is None:
            raise GrammarError(f"slot {content!r} cannot be read")
        case, name, argument, key, low, high, join = match.groups()
        part = self._target(name, argument)
        if key:
            part = _remembered(f"{name}:{argument}{key}", part)
        if case:
            part = _cased(_CASES[case], part)
        return _repeated(part, int(low), int(high), join) if low else part

    def _target(self, name: str, argument: str | None) -> Part:
        if name.endswith(".*"):
            stem = name[:-1]
            missing = [topic for topic in self._topics if stem + topic not in self.rules]
            if missing:
                raise GrammarError(f"{name!r} lacks the topics {missing}")
            by_topic = {topic: self.rules[stem + topic] for topic in self._topics}
            general = self.rules.get(stem + "any")
            return lambda state: (
                general(state) if general and state.rng.random() < _GENERAL_SHARE else by_topic[state.topic](state)
            )
        if name in self.rules:
            return self.rules[name]
        if name not in VALUES:
            raise GrammarError(f"no rule or value is called {name!r}")
        value = VALUES[name](argument)
        return lambda state: value(state.rng, state.style)


def _split_rules(text: str) -> list[tuple[str, list[str]]]:
    rules = []
    for chunk in re.split(r"^(?=:[:;=] )", text, flags=re.MULTILINE)[1:]:
        head, _, body = chunk.partition("\n")
        if head[1] == "=":
            pieces = [piece.strip("\n") for piece in re.split(r"^~~~$", body, flags=re.MULTILINE)]
        else:
            separator = r"[;\n]" if head[1] == ";" else r"\n"
            pieces = [piece.strip() for piece in re.split(separator, body)]
        rules.append((head[3:].strip(), [copy for piece in pieces if piece for copy in _copies(piece)]))
    return rules


def _copies(piece: str) -> list[str]:
    weight = re.match(r"\[(\d+)\]\s*", piece)
    return [piece[weight.end() :]] * int(weight[1]) if weight else [piece]


def _closing(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return index
    raise GrammarError("a brace is not closed")


def _split_top(text: str, separator: str) -> list[str]:
    pieces, depth, last = [], 0, 0
    for index, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == separator and depth == 0:
            pieces.append(text[last:index])
            last = index + 1
    return [*pieces, text[last:]]


def _optional(share: float, body: Alternative) -> Part:
    return lambda state: render(body, state) if state.rng.random() < share else ""


def _choice(options: list[Alternative]) -> Part:
    count = len(options)
    return lambda state: render(options[int(state.rng.random() * count)], state)


def _remembered(key: str, part: Part) -> Part:
    def recall(state: State) -> str:
        text = state.memo.get(key)
        if text is None:
            text = state.memo[key] = part(state)
        return text

    return recall


def _cased(change: Callable[[str], str], part: Part) -> Part:
    return lambda state: change(part(state))


def _repeated(part: Part, low: int, high: int, join: str) -> Part:
    stretches = high > 2 and join not in (",", "&")

    def repeat(state: State) -> str:
        wanted = low + int(state.rng.random() * (high - low + 1))
        stretch = state.stretch
        if stretches and stretch > 1:  # the outermost list grows: more sections, each of usual length
            wanted, state.stretch = wanted * stretch, 1
        texts = list(dict.fromkeys(part(state) for _ in range(wanted)))
        state.stretch = stretch
        if join == "-":
            return "\n".join(state.style.bullet + text for text in texts)
        if join == "+":
            return "\n".join(f"{index}{state.style.number_mark} {text}" for index, text in enumerate(texts, 1))
        if join == "&" and len(texts) > 1:
            return ", ".join(texts[:-1]) + " and " + texts[-1]
        return _JOINS.get(join, ", ").join(texts)

    return repeat
