"""What a model says to texts without content: what the task's own words make it lean to."""

from __future__ import annotations

from collections.abc import Sequence

from thresher.engines import Engine
from thresher.errors import EngineError
from thresher.pipeline.answering import Answering
from thresher.pipeline.asking import Ask
from thresher.types import Failure

#: As in Zhao et al. 2021, "Calibrate Before Use", section 5: their answers are averaged.
CONTENT_FREE_TEXTS = ("N/A", "[MASK]", "")


def read_content_free(engine: Engine, ask: Ask) -> dict[str, dict[str, float]]:
    """Question -> label -> mean probability over :data:`CONTENT_FREE_TEXTS`.

    Raises:
        EngineError: the engine could not read one of them, or is a server that gives no probabilities.
    """
    tokens = engine.tokenizer.encode_batch([ask.words(text) for text in CONTENT_FREE_TEXTS])
    asked = []
    for text, of_text in zip(CONTENT_FREE_TEXTS, tokens, strict=True):
        place, own_tokens = ask.place(of_text)
        asked.append((text, place.task_prompt, [own_tokens]))
    found: dict[str, list[dict[str, float]]] = {}
    for text, outcome in Answering(engine).ask(asked):
        if isinstance(outcome, Failure):
            raise EngineError(f"the text without content {text!r} could not be read: {outcome.reason}")
        for verdict in outcome.verdicts:
            if not verdict.probabilities:
                raise EngineError(f"the endpoint gives no probabilities for the text without content {text!r}")
            found.setdefault(verdict.question, []).append(dict(verdict.probabilities))
    return {question: _mean(of_texts) for question, of_texts in found.items()}


def _mean(of_texts: Sequence[dict[str, float]]) -> dict[str, float]:
    return {label: sum(shares[label] for shares in of_texts) / len(of_texts) for label in of_texts[0]}
