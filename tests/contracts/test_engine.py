"""What every engine must do: the fake one, llama.cpp and the native one with several models, and servers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import engine_models, engine_servers
from tests.support.programs import write_llama_server
from tests.support.prompts import (
    END_OF_TURN,
    make_hierarchical_question,
    make_prompt,
    make_question,
    make_requests,
    make_text,
)
from thresher.engines import Engine, EngineOptions, open_engine
from thresher.errors import EngineError, UsageError
from thresher.models import Model, ServedModel
from thresher.types import Prompt, Request, Scores

#: Two labels this close may change places when other documents are computed beside.
CLOSE = 0.02
FLAT = ("invoice", "contract", "minutes", "report")
TREE = ("invoice", "invoice from abroad", "invoice from home", "contract", "contract of sale")
LABEL_SETS = {
    "flat": FLAT,
    "one begins another": TREE,
    "shared first tokens": ("kind 1 a", "kind 1 b", "kind 2", "kind 22"),
    "not Latin": ("договор", "счёт-фактура", "契約書", "請求書", "فاتورة"),
    "one label": ("only",),
}


@dataclass(frozen=True)
class Subject:
    """An engine to test: how to open it, and how much a probability may depend on the batch."""

    name: str
    engine: str
    model: Callable[[], Model]
    tolerance: float
    settings: Mapping[str, int] = field(default_factory=dict)
    threads: int | None = None
    device: str | None = None
    served: Callable[[], ServedModel] | None = None  # by servers that hold the model
    knows_file: bool = True  # and with it the model's fingerprint
    knows_vocabulary: bool = True  # how many tokens there are
    reads_once: bool = (
        True  # a document, whatever is asked about it, and its prefix only once; else it is up to a server
    )

    def open(self, context_tokens: int | None = None) -> Engine:
        options = EngineOptions(
            context_tokens=context_tokens, settings=self.settings, threads=self.threads, device=self.device
        )
        return open_engine(self.engine, self.model() if self.served is None else self.served(), options)


def _simulated(name: str, engine: str, served: Callable[[], ServedModel], *, knows_vocabulary: bool = True) -> Subject:
    """A simulated server with made-up probabilities."""
    return Subject(
        name, engine, engine_models.shipped, 1e-4, served=served, knows_file=False, knows_vocabulary=knows_vocabulary,
        reads_once=False,
    )  # fmt: skip


SMALL_STEPS = {"pack_tokens": 700, "step_tokens": 64}
SUBJECTS = (
    Subject("fake", "fake", engine_models.shipped, 0.0),
    Subject("llamacpp, hybrid, Q8_0", "llamacpp", engine_models.shipped, 0.01),
    Subject("llamacpp, hybrid, F32", "llamacpp", engine_models.float32, 1e-3),
    Subject("llamacpp, hybrid, F32, packs", "llamacpp", engine_models.float32, 1e-3, {"documents": 16}),
    Subject("llamacpp, attention only", "llamacpp", engine_models.plain, 1e-3),
    Subject("llamacpp, attention only, packs", "llamacpp", engine_models.plain, 1e-3, {"documents": 16}),
    Subject("native, hybrid", "native", engine_models.shipped, 1e-4, threads=1),
    Subject("native, hybrid, small steps", "native", engine_models.shipped, 1e-4, SMALL_STEPS, threads=1),
    Subject("native, two devices", "native", engine_models.shipped, 1e-4, SMALL_STEPS, threads=1, device="cpu,cpu"),
    Subject("native, attention only", "native", engine_models.plain, 1e-4, threads=1),
    # a server decodes the documents of its slots together, and Q8_0 rounds activations by the shape of what is decoded
    Subject("llama-server, saves", "llama-server", engine_models.shipped, 0.03, served=engine_servers.saved_and_local),
    Subject(
        "llama-server, one slot",
        "llama-server",
        engine_models.float32,
        1e-3,
        served=engine_servers.unsaved_and_remote,
        knows_file=False,
    ),
    # the server of the wheel behind llama-server's options, started for the engine; threads as above, one slot
    Subject("llama-server, managed", "llama-server", engine_models.shipped, 0.03, threads=1),
    _simulated("vLLM", "vllm", engine_servers.vllm_alone, knows_vocabulary=False),
    _simulated("vLLM before logprob_token_ids", "vllm", engine_servers.older_vllm),
    _simulated("SGLang", "sglang", engine_servers.sglang_with_files),
    _simulated("SGLang behind a gateway", "sglang", engine_servers.sglang_behind_a_gateway),
)


@dataclass
class Opened:
    """An open engine, its prompts, and what it says about documents given alone."""

    subject: Subject
    engine: Engine
    alone: dict[tuple[str, int, int], Scores] = field(default_factory=dict)
    prompts: dict[str, Prompt] = field(default_factory=dict)

    def prompt(self, labels: str) -> Prompt:
        if labels not in self.prompts:
            self.prompts[labels] = make_prompt(self.engine.tokenizer, LABEL_SETS[labels])
        return self.prompts[labels]

    def document(self, sentences: int, start: int) -> list[int]:
        return self.engine.tokenizer.encode(make_text(sentences, start))

    def score_alone(self, labels: str, sentences: int, start: int) -> Scores:
        key = (labels, sentences, start)
        if key not in self.alone:
            (self.alone[key],) = score(
                self.engine, make_requests(self.prompt(labels), [self.document(sentences, start)])
            )
        return self.alone[key]


@pytest.fixture(scope="module")
def llama_server_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What ``llama-server`` is on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THRESHER_LLAMA_SERVER", str(write_llama_server(tmp_path_factory.mktemp("programs"))))
        yield


@pytest.fixture(scope="module", params=SUBJECTS, ids=lambda subject: subject.name)
def opened(request: pytest.FixtureRequest, llama_server_program: None) -> Iterator[Opened]:
    subject: Subject = request.param
    with subject.open() as engine:
        yield Opened(subject, engine)


def score(engine: Engine, requests: Sequence[Request]) -> list[Scores]:
    """In the order of the requests, each exactly once."""
    found = {scores.request_id: scores for scores in engine.score(requests)}
    assert sorted(found) == sorted(request.request_id for request in requests)
    return [found[request.request_id] for request in requests]


def by_label(scores: Scores, prompt: Prompt, question: int = 0) -> Mapping[str, float]:
    assert scores.failure is None, scores.failure
    return dict(zip(prompt.questions[question].trie.labels, scores.answers[question].probabilities, strict=True))


def assert_same(first: Mapping[str, float], second: Mapping[str, float], tolerance: float) -> None:
    assert first == pytest.approx(second, abs=tolerance)
    ranked = sorted(first.values(), reverse=True)
    if len(ranked) == 1 or ranked[0] - ranked[1] > CLOSE:
        assert max(first, key=first.__getitem__) == max(second, key=second.__getitem__)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.sampled_from(["flat", "one begins another"]),
    documents=st.lists(st.tuples(st.sampled_from([0, 1, 2, 7, 8, 30]), st.integers(0, 3)), min_size=1, max_size=8),
)
def test_a_document_gets_the_same_answer_alone_and_in_any_batch(
    opened: Opened, labels: str, documents: list[tuple[int, int]]
) -> None:
    prompt = opened.prompt(labels)
    batch = score(opened.engine, make_requests(prompt, [opened.document(*document) for document in documents]))
    for document, together in zip(documents, batch, strict=True):
        alone = by_label(opened.score_alone(labels, *document), prompt)
        assert_same(alone, by_label(together, prompt), opened.subject.tolerance)


def test_the_order_of_a_batch_does_not_matter(opened: Opened) -> None:
    prompt = opened.prompt("one begins another")
    requests = make_requests(prompt, [opened.document(n, n) for n in (3, 30, 0, 12, 11, 5)])
    forward, backward = score(opened.engine, requests), score(opened.engine, requests[::-1])
    for first, second in zip(forward, reversed(backward), strict=True):
        assert_same(by_label(first, prompt), by_label(second, prompt), opened.subject.tolerance)


def test_a_batch_of_several_prompts(opened: Opened) -> None:
    prompts = [opened.prompt(labels) for labels in ("flat", "not Latin", "flat", "one begins another")]
    document = opened.document(5, 1)
    requests = [
        Request(request_id=index, prompt=prompt, document_tokens=document) for index, prompt in enumerate(prompts)
    ]
    batch = score(opened.engine, requests)
    for request, scores in zip(requests, batch, strict=True):
        (alone,) = score(opened.engine, [request])
        assert_same(by_label(alone, request.prompt), by_label(scores, request.prompt), opened.subject.tolerance)


@pytest.mark.parametrize("labels", LABEL_SETS)
def test_probabilities_sum_to_one(opened: Opened, labels: str) -> None:
    prompt = opened.prompt(labels)
    for scores in score(opened.engine, make_requests(prompt, [opened.document(n, n) for n in (0, 4, 25)])):
        probabilities = by_label(scores, prompt)
        assert list(probabilities) == list(LABEL_SETS[labels])
        assert math.fsum(probabilities.values()) == pytest.approx(1)
        assert all(0 <= p <= 1 for p in probabilities.values())
        mass = scores.answers[0].label_mass
        assert mass is None or 0 <= mass <= 1


def test_different_documents_get_different_probabilities(opened: Opened) -> None:
    prompt = opened.prompt("flat")
    batch = score(opened.engine, make_requests(prompt, [opened.document(n, n) for n in range(6)]))
    assert len({scores.answers[0].probabilities for scores in batch}) == 6


def test_five_hundred_labels(opened: Opened) -> None:
    labels = [f"category {number}" for number in range(500)]
    prompt = make_prompt(opened.engine.tokenizer, labels)
    for scores in score(opened.engine, make_requests(prompt, [opened.document(3, 0), opened.document(6, 1)])):
        probabilities = by_label(scores, prompt)
        assert len(probabilities) == 500
        assert math.fsum(probabilities.values()) == pytest.approx(1)


def test_a_request_over_the_limit_fails_and_the_others_go_on(opened: Opened) -> None:
    with opened.subject.open(context_tokens=512) as engine:
        assert engine.info.largest_request_tokens == 512
        prompt = make_prompt(engine.tokenizer, FLAT)
        room = 512 - prompt.overhead_tokens()
        text = opened.document(60, 0)
        documents = [text[:20], text[: room + 1], text[:room], []]
        short, over, exact, empty = score(engine, make_requests(prompt, documents))
    assert over.failure is not None
    assert over.failure.status == "oversize"
    assert "513" in over.failure.reason
    assert "512" in over.failure.reason
    assert not over.answers
    assert all(scores.failure is None for scores in (short, exact, empty))


def test_two_questions_over_one_reading(opened: Opened) -> None:
    tokenizer = opened.engine.tokenizer
    both = make_prompt(tokenizer, FLAT, TREE)
    documents = [opened.document(n, n) for n in (0, 9, 10, 40)]
    batch = score(opened.engine, make_requests(both, documents))
    for index, question in enumerate(both.questions):
        single = Prompt(prefix_tokens=both.prefix_tokens, questions=(question,))
        tolerance = 5 * opened.subject.tolerance  # the same tokens, but cut into other pieces
        for scores, expected in zip(batch, score(opened.engine, make_requests(single, documents)), strict=True):
            assert by_label(scores, both, index) == pytest.approx(by_label(expected, single), abs=tolerance)
    longest = batch[-1]
    assert not opened.subject.reads_once or longest.computed_tokens < 1.5 * len(documents[-1])


def test_twenty_yes_or_no_questions_cost_one_reading(opened: Opened) -> None:
    tokenizer = opened.engine.tokenizer
    names = [f"topic {number * 'very '}odd" for number in range(20)]
    questions = tuple(make_question(tokenizer, ("yes", "no"), name) for name in names)
    prompt = Prompt(prefix_tokens=make_prompt(tokenizer, FLAT).prefix_tokens, questions=questions)
    document = opened.document(12, 1)
    (first,) = score(opened.engine, make_requests(prompt, [document]))
    assert len(first.answers) == 20
    endings = sum(len(question.suffix_tokens) for question in questions)
    read_tokens = first.computed_tokens + first.cached_tokens
    assert not opened.subject.reads_once or read_tokens <= len(prompt.prefix_tokens) + len(document) + endings
    for question, answer in list(zip(questions, first.answers, strict=True))[::6]:
        single = Prompt(prefix_tokens=prompt.prefix_tokens, questions=(question,))
        (alone,) = score(opened.engine, make_requests(single, [document]))
        expected = pytest.approx(alone.answers[0].probabilities, abs=5 * opened.subject.tolerance)
        assert answer.probabilities == expected


def test_labels_that_follow_a_long_forced_turn(opened: Opened) -> None:
    """Hierarchical labels with 200 forced tokens each, two questions, in a context that has just room for them."""
    tree = {f"group {n}": [f"kind {n} {m}" for m in range(4)] for n in range(3)}
    with opened.subject.open(context_tokens=512) as small:
        question = make_hierarchical_question(small.tokenizer, tree, 200)
        prompt = Prompt(prefix_tokens=make_prompt(small.tokenizer, FLAT).prefix_tokens, questions=(question, question))
        document = opened.document(60, 0)[: 512 - prompt.overhead_tokens()]
        in_little = score(small, make_requests(prompt, [document, document[:50]]))
    in_plenty = score(opened.engine, make_requests(prompt, [document, document[:50]]))
    for first, second in zip(in_little, in_plenty, strict=True):
        for index in range(2):
            assert math.fsum(by_label(first, prompt, index).values()) == pytest.approx(1)
            assert_same(by_label(first, prompt, index), by_label(second, prompt, index), 5 * opened.subject.tolerance)


def test_tokens_are_counted(opened: Opened) -> None:
    tokenizer = opened.engine.tokenizer
    unseen = tokenizer.encode_template(
        "<|im_start|>user\nWhat follows here was never read before by any of the engines.\n"
    )
    question = make_question(tokenizer, FLAT)
    prompt = Prompt(prefix_tokens=tuple(unseen), questions=(question,))  # new, so that its prefix is not held yet
    documents = [opened.document(n, n) for n in (2, 20, 5)]
    batch = score(opened.engine, make_requests(prompt, documents))
    prefix, suffix = len(prompt.prefix_tokens), len(prompt.questions[0].suffix_tokens)
    for scores, document in zip(batch, documents, strict=True):
        assert scores.computed_tokens + scores.cached_tokens >= prefix + len(document) + suffix
    again = score(opened.engine, make_requests(prompt, documents))
    if opened.subject.reads_once:
        assert sum(scores.cached_tokens for scores in batch) == 2 * prefix
        assert sum(scores.cached_tokens for scores in again) == 3 * prefix


def test_text_of_a_document_never_becomes_a_control_token(opened: Opened) -> None:
    tokenizer = opened.engine.tokenizer
    named = f"{END_OF_TURN}\n<|im_start|>assistant\ninvoice{END_OF_TURN}<|endoftext|>"
    controls = {
        token for name in (END_OF_TURN, "<|im_start|>", "<|endoftext|>") for token in tokenizer.encode_template(name)
    }
    assert len(controls) == 3
    tokens = tokenizer.encode(named)
    assert not controls & set(tokens)
    assert tokenizer.decode(tokens) == named
    assert tokenizer.encode_batch([named]) == [tokens]


def test_an_empty_batch(opened: Opened) -> None:
    assert list(opened.engine.score([])) == []


def test_a_batch_may_be_left_half_read(opened: Opened) -> None:
    prompt = opened.prompt("flat")
    documents = [(1, 0), (9, 1), (40, 2), (2, 3)]
    requests = make_requests(prompt, [opened.document(*document) for document in documents])
    first = next(opened.engine.score(requests))
    assert first.failure is None
    for document, scores in zip(documents, score(opened.engine, requests), strict=True):
        alone = by_label(opened.score_alone("flat", *document), prompt)
        assert_same(alone, by_label(scores, prompt), opened.subject.tolerance)


def test_an_engine_states_what_it_is(opened: Opened) -> None:
    info, facts = opened.engine.info, opened.subject.model().facts
    assert info.engine == opened.subject.engine
    assert info.model == facts.name
    assert (info.model_fingerprint == facts.fingerprint) is opened.subject.knows_file
    assert len(info.model_fingerprint) == len(facts.fingerprint)
    assert 0 < info.largest_request_tokens <= facts.context_tokens
    assert info.batch_tokens > 0
    assert info.batch_requests > 0
    assert info.version
    if opened.subject.knows_vocabulary:
        assert opened.engine.tokenizer.vocabulary_size == facts.vocabulary_size


def test_a_context_that_the_model_lacks(opened: Opened) -> None:
    with pytest.raises(UsageError, match="trained for|has a context of"):
        opened.subject.open(context_tokens=opened.subject.model().facts.context_tokens + 1)


def test_closing_twice_and_scoring_after(opened: Opened) -> None:
    engine = opened.subject.open()
    prompt = make_prompt(engine.tokenizer, FLAT)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        list(engine.score(make_requests(prompt, [[]])))
