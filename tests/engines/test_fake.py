from __future__ import annotations

import pytest

from tests.support.prompts import make_prompt, make_requests
from thresher.engines.fake import FakeEngine

LABELS = ("invoice", "contract", "minutes")
EXPECTED = (0.013049340260856178, 0.9144983265067799, 0.07245233323236401)


def test_the_answers_are_the_same_in_every_release() -> None:
    engine = FakeEngine()
    prompt = make_prompt(engine.tokenizer, LABELS)
    (scores,) = engine.score(make_requests(prompt, [engine.tokenizer.encode("some document")]))
    assert scores.answers[0].probabilities == pytest.approx(EXPECTED, abs=1e-12)


def test_another_question_gets_another_answer() -> None:
    engine = FakeEngine()
    prompt = make_prompt(engine.tokenizer, LABELS, LABELS)
    (scores,) = engine.score(make_requests(prompt, [[1, 2, 3]]))
    assert scores.answers[0] != scores.answers[1]


def test_every_label_is_the_best_one_now_and_then() -> None:
    engine = FakeEngine()
    prompt = make_prompt(engine.tokenizer, LABELS)
    batch = engine.score(make_requests(prompt, [[n] for n in range(300)]))
    best = [max(range(3), key=scores.answers[0].probabilities.__getitem__) for scores in batch]
    assert all(best.count(label) > 60 for label in range(3))
