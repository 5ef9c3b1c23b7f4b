"""Any OpenAI-compatible endpoint, against simulated ones that differ as those in use do."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from tests.support import engine_models
from tests.support.fault_server import Accident, Changed, FaultServer, Status
from tests.support.simulated import TASK, TEXTS, ask, connected, expected, prompt_for
from tests.support.simulators import model, openai
from thresher import classify
from thresher.engines.servers.opening import detect_server
from thresher.errors import EngineUnavailableError, UsageError
from thresher.tasks import Task

OFFERS = {
    "OpenAI": openai.OPENAI,
    "passes over what it does not know": openai.PLAIN,
    "without probabilities": openai.MUTE,
    "bare": openai.BARE,
    "thinks unless told not to": openai.LOCAL,
    "new names": openai.Offer(new_names=True),
    "five at most": openai.Offer(top_logprobs=5),
    "silent about probabilities": openai.Offer(silent_about_logprobs=True),
}
#: Probabilities are those of texts, which may be cut into other tokens than the label's own.
CLOSE = 5e-3


def simulated(offer: openai.Offer = openai.OPENAI, **changes: Any) -> openai.OpenAiSimulator:
    return openai.OpenAiSimulator(model.float32(), dataclasses.replace(offer, **changes))


def always(reply: str, offer: openai.Offer) -> openai.OpenAiSimulator:
    """An endpoint with one answer to everything."""
    simulator = openai.OpenAiSimulator(model.made_up(), offer)
    simulator.says = lambda _: reply
    return simulator


@pytest.mark.parametrize("offer", OFFERS)
def test_labels_are_those_of_llama_cpp(offer: str) -> None:
    with connected("openai", simulated(OFFERS[offer])) as (engine, _):
        found = ask(engine, prompt_for(engine, engine.chat), TEXTS)
        says_so = any("no probabilities" in notice for notice in engine.info.notices)
    tells = OFFERS[offer].top_logprobs is not None and not OFFERS[offer].silent_about_logprobs
    assert says_so is not tells
    for one, other in zip(found, expected(), strict=True):
        assert one.failure is None
        answer, true = one.answers[0], other.answers[0]
        assert answer.best == true.best
        if answer.probabilities:
            assert answer.probabilities == pytest.approx(true.probabilities, abs=CLOSE)
            assert answer.label_mass == pytest.approx(true.label_mass, abs=CLOSE)
        else:
            assert answer.choice is not None
    if OFFERS[offer] is openai.PLAIN:
        assert sum(bool(scores.answers[0].probabilities) for scores in found) >= len(TEXTS) - 2
    if not tells:
        assert all(
            scores.answers[0] == scores.answers[0].__class__((), None, scores.answers[0].choice) for scores in found
        )


def test_tokens_are_those_that_the_endpoint_counts() -> None:
    simulator = simulated(openai.BARE)
    with connected("openai", simulator) as (engine, _):
        (scores,) = ask(engine, prompt_for(engine, engine.chat), TEXTS[:1])
    messages = simulator.asked("/v1/chat/completions")[-1]["messages"]
    assert scores.computed_tokens == len(simulator.model.chat_tokens(messages, thinking=False))


def test_a_reply_that_is_no_label() -> None:
    """It is asked for again within a structure; where there is none, it is a failure that shows it."""
    for offer, fails in ((openai.OPENAI, False), (openai.BARE, True)):
        simulator = simulated(offer)
        with connected("openai", simulator) as (engine, _):
            simulator.says = lambda reply: reply if reply.startswith("{") else f"The label is {reply}."
            (scores,) = ask(engine, prompt_for(engine, engine.chat), TEXTS[:1])
        if fails:
            assert scores.failure is not None
            assert "none of the 5 labels: 'The label is" in scores.failure.reason
        else:
            assert scores.failure is None
            assert scores.answers[0].label_mass is not None


def test_a_model_that_begins_to_think() -> None:
    simulator = simulated(openai.BARE)
    with connected("openai", simulator) as (engine, _):
        simulator.says = lambda reply: f"<think>\nLet me see. {reply}"
        (scores,) = ask(engine, prompt_for(engine, engine.chat), TEXTS[:1])
    assert scores.failure is not None
    assert "thinks before it answers" in scores.failure.reason


def test_a_model_that_always_thinks_is_refused() -> None:
    with (
        pytest.raises(EngineUnavailableError, match="turn it off at the server"),
        connected("openai", simulated(openai.STUBBORN)),
    ):
        pass


def test_labels_with_children_are_asked_turn_by_turn() -> None:
    task = Task(labels=["bill/invoice", "bill/reminder", "contract/lease", "contract/sale", "minutes"])
    simulator = openai.OpenAiSimulator(model.made_up(), openai.BARE)
    with connected("openai", simulator) as (engine, _):
        simulator.bodies.clear()
        replies = iter(["contract", " sale\n"])
        simulator.says = lambda _: next(replies)
        (scores,) = ask(engine, prompt_for(engine, engine.chat, task), TEXTS[:1])
    assert scores.failure is None
    assert (scores.answers[0].choice, scores.answers[0].probabilities) == (3, ())
    first, second = (body["messages"] for body in simulator.asked("/v1/chat/completions"))
    assert [message["role"] for message in first] == ["user"]
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[0] == first[0]
    assert second[1]["content"] == "contract"
    assert 'Which kind of "contract" is it?' in second[2]["content"]


def test_a_branch_that_was_not_said_does_not_cost_the_label() -> None:
    """Where exploring fails, the label that was said stays, without a probability."""
    task = Task(labels=["bill/invoice", "bill/reminder", "minutes"])
    simulator = simulated(openai.PLAIN)
    with connected("openai", simulator) as (engine, server):
        built = prompt_for(engine, engine.chat, task)
        listed = [
            {"token": name, "logprob": math.log(p), "bytes": None} for name, p in (("minutes", 0.8), ("bill", 0.2))
        ]
        logprobs = {"content": [{**listed[0], "top_logprobs": listed}]}
        said = {"index": 0, "message": {"role": "assistant", "content": "minutes"}, "logprobs": logprobs}
        simulator.says = lambda _: "neither"
        first = Changed(lambda reply: {**reply, "choices": [said]})
        server.accidents.append(Accident("/v1/chat", first, None, lambda asked: len(asked.json()["messages"]) == 1))
        (scores,) = ask(engine, built, TEXTS[:1])
    assert scores.failure is None
    assert (scores.answers[0].choice, scores.answers[0].probabilities) == (2, ())


def test_a_label_that_begins_another_has_no_probability_in_plain_text() -> None:
    """The end of a reply is not told, so nothing says how likely going on was."""
    task = Task(labels=["invoice", "invoice from abroad"])
    with connected("openai", simulated(openai.PLAIN)) as (engine, _):
        (scores,) = ask(engine, prompt_for(engine, engine.chat, task), TEXTS[1:2])
    assert scores.failure is None
    assert scores.answers[0].choice in {0, 1}
    assert not scores.answers[0].probabilities


@pytest.mark.parametrize(
    ("offer", "context", "stated"),
    [(openai.OPENAI, None, 0), (openai.OPENAI, 700, 700), (openai.LOCAL, None, 4096), (openai.LOCAL, 800, 800)],
)
def test_the_context_is_stated_or_declared(offer: openai.Offer, context: int | None, stated: int) -> None:
    with connected("openai", simulated(offer), context_tokens=context) as (engine, _):
        assert engine.info.largest_request_tokens == stated
        assert engine.info.bytes_per_token is not None
        assert 1 < engine.info.bytes_per_token < 4
        assert any("no context is known" in notice for notice in engine.info.notices) is (stated == 0)


def test_more_context_than_the_endpoint_states() -> None:
    with (
        pytest.raises(UsageError, match="has a context of 4,096"),
        connected("openai", simulated(openai.LOCAL), context_tokens=5000),
    ):
        pass


def test_a_tokenizer_is_not_for_it() -> None:
    with (
        pytest.raises(UsageError, match="--tokenizer"),
        connected("openai", simulated(), tokenizer=engine_models.shipped()),
    ):
        pass


def test_an_endpoint_that_does_not_count_tokens() -> None:
    with (
        pytest.raises(EngineUnavailableError, match="does not count"),
        connected("openai", simulated(counts_tokens=False)),
    ):
        pass


@pytest.mark.parametrize("changes", [{}, {"lists_models": False}])
def test_a_model_named_in_the_address(changes: dict[str, Any]) -> None:
    simulator = simulated(openai.BARE, **changes)
    with connected("openai", simulator, model="simulated-model") as (engine, _):
        assert ask(engine, prompt_for(engine, engine.chat), TEXTS[:1])[0].failure is None
    with pytest.raises(EngineUnavailableError, match="404"), connected("openai", simulator, model="another"):
        pass


@pytest.mark.parametrize(
    "broken",
    [
        Changed(lambda reply: {**reply, "choices": []}),
        Changed(lambda reply: {**reply, "choices": [{"message": None}]}),
        Status(200, b'{"choices":'),
        Status(500, {"error": {"message": "out of memory", "type": "server_error"}}),
    ],
    ids=["empty choices", "no message", "invalid JSON", "out of memory"],
)
def test_an_accident_costs_its_document_only(broken: Any) -> None:
    with connected("openai", simulated(openai.BARE)) as (engine, server):
        built = prompt_for(engine, engine.chat)
        server.befall("/v1/chat", broken, 1)
        assert all(scores.failure is None for scores in ask(engine, built, TEXTS[:3]))
        server.befall("/v1/chat", broken, None)
        always = ask(engine, built, TEXTS[:3])
    assert [scores.failure is not None and scores.failure.status for scores in always] == ["engine_error"] * 3


def test_probabilities_that_stay_away_are_null() -> None:
    silent = Changed(lambda reply: {**reply, "choices": [{**reply["choices"][0], "logprobs": None}]})
    with connected("openai", simulated(openai.PLAIN)) as (engine, server):
        built = prompt_for(engine, engine.chat)
        server.befall("/v1/chat", silent, None)
        found = ask(engine, built, TEXTS[:2])
    assert all(scores.failure is None and scores.answers[0].choice is not None for scores in found)


def test_it_is_recognised_last() -> None:
    with FaultServer(simulated()) as server:
        assert detect_server(server.url) == "openai"


@pytest.mark.parametrize("policy", ["head-tail", "head", "windows", "skip"])
def test_a_run_in_text(policy: Any, tmp_path: Path) -> None:
    """The whole way: documents cut by bytes, rows without what was not measured."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "short.txt").write_text(TEXTS[1])
    (inputs / "long.txt").write_text(TEXTS[1] * 60)
    with FaultServer(always("invoice", openai.PLAIN)) as server:
        run = classify(
            [inputs], TASK, model=server.url, engine="openai", context=500, long=policy, job=tmp_path / "job"
        )
        rows = {row.document_id: row for row in run}
    short, long = rows["short.txt"], rows["long.txt"]
    assert (short.status, short.label, short.context) == ("ok", "invoice", 500)
    assert short.document_tokens is None
    assert short.prompt_tokens is not None
    assert long.status == {"skip": "oversize", "windows": "ok"}.get(policy, "truncated")
    assert (long.truncated_tokens > 0) is (policy in {"head", "head-tail"})
    if policy != "skip":
        assert long.label == "invoice"


def test_documents_that_the_endpoint_refuses_as_too_long_are_set_aside(tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "short.txt").write_text(TEXTS[1])
    (inputs / "long.txt").write_text(TEXTS[1] * 300)
    with FaultServer(always("invoice", openai.BARE)) as server:
        run = classify([inputs], TASK, model=server.url, engine="openai", job=tmp_path / "job")
        rows = {row.document_id: row for row in run}
    assert rows["long.txt"].status == "oversize"
    assert "--context" in str(rows["long.txt"].error)
    short = rows["short.txt"]
    assert (short.status, short.label, short.probability, short.label_mass) == ("ok", "invoice", None, None)
    assert short.context is None
    assert not short.probabilities
