"""Examples cut to the tokens that they may take together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thresher.errors import TaskError
from thresher.models.tokenizer import Tokenizer
from thresher.tasks.question import Example
from thresher.tasks.task import Task

_GAP_MARK = "\n[...]\n"
#: An example cut to fewer tokens would show nothing.
_LEAST_TOKENS = 16


def fit_examples(
    task: Task, tokenizer: Tokenizer, units_per_token: float = 1.0
) -> tuple[list[tuple[Example, ...]], str | None]:
    """Each question's examples with long texts cut (start and end stay), and a notice if any was.

    ``units_per_token``: how many of the tokenizer's units count as a token, where these are bytes.

    Raises:
        TaskError: there are so many that each would be cut to nothing.
    """
    texts = [example.text for question in task.questions for example in question.examples]
    tokens = tokenizer.encode_batch(texts)
    total, budget = sum(map(len, tokens)), int(task.examples_tokens * units_per_token)
    if total <= budget:
        return [question.examples for question in task.questions], None
    limit = _fair_limit([len(t) for t in tokens], budget)
    total_tokens, limit_tokens = round(total / units_per_token), int(limit / units_per_token)
    if limit_tokens < _LEAST_TOKENS:
        raise TaskError(
            f"{len(texts)} examples have {total_tokens:,} tokens and examples_tokens is {task.examples_tokens:,}, "
            f"which leaves {limit_tokens} for each of the long ones; give fewer examples or more tokens"
        )
    cut = iter([text if len(t) <= limit else _cut(t, limit, tokenizer) for text, t in zip(texts, tokens, strict=True)])
    fitted = [tuple(replace(example, text=next(cut)) for example in q.examples) for q in task.questions]
    long = sum(len(t) > limit for t in tokens)
    return fitted, (
        f"{long} of {len(texts)} examples were cut to {limit_tokens} tokens each: together they have "
        f"{total_tokens:,} tokens, and examples_tokens is {task.examples_tokens:,}"
    )


def _fair_limit(lengths: Sequence[int], budget: int) -> int:
    """The largest limit at which all of ``lengths``, each cut to it, fit ``budget`` together."""
    left, longer = budget, len(lengths)
    for length in sorted(lengths):
        if length * longer > left:
            break
        left -= length
        longer -= 1
    return left // longer


def _cut(tokens: Sequence[int], limit: int, tokenizer: Tokenizer) -> str:
    kept = limit - len(tokenizer.encode(_GAP_MARK))
    tail = kept // 2
    # a token may hold part of a character, which decodes to replacement marks at the cut
    start = tokenizer.decode(tokens[: kept - tail]).rstrip("\N{REPLACEMENT CHARACTER}")
    end = tokenizer.decode(tokens[len(tokens) - tail :]).lstrip("\N{REPLACEMENT CHARACTER}")
    return start + _GAP_MARK + end
