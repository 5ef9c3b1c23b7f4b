"""SGLang's adapter against simulated servers, which compute with the shipped model."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.support import engine_models
from tests.support.fault_server import Changed, FaultServer, Status
from tests.support.simulated import TEXTS, ask, connected, expected, prompt_for
from tests.support.simulators import model, sglang
from thresher.engines.servers.opening import detect_server
from thresher.errors import EngineError, UsageError

FILES = engine_models.shipped


def simulated(offer: sglang.Offer = sglang.V0_5, **changes: Any) -> sglang.SglangSimulator:
    return sglang.SglangSimulator(model.made_up(), dataclasses.replace(offer, **changes))


@pytest.mark.parametrize("offer", [sglang.V0_5, sglang.GATEWAY, sglang.REDUCED], ids=["0.5", "gateway", "reduced"])
def test_answers_are_those_of_llama_cpp(offer: sglang.Offer) -> None:
    simulator = sglang.SglangSimulator(model.float32(), offer)
    with connected("sglang", simulator, tokenizer=engine_models.float32()) as (engine, _):
        found = ask(engine, prompt_for(engine, engine.chat), TEXTS)
    for one, other in zip(found, expected(), strict=True):
        assert one.failure is None
        assert one.answers[0].probabilities == pytest.approx(other.answers[0].probabilities, abs=2e-4)
        mass = one.answers[0].label_mass
        assert mass is None if offer is sglang.REDUCED else mass == pytest.approx(other.answers[0].label_mass, abs=2e-4)


@pytest.mark.parametrize(
    ("changes", "path", "new_tokens"),
    [
        ({}, "/generate", 0),
        ({"prefill_only": False}, "/generate", 1),
        ({"generate": False}, "/v1/score", None),
        ({"multi_item_scoring_delimiter": 5}, "/generate", 0),
        ({"token_ids_logprob": False}, "/v1/score", None),
        ({"token_ids_logprob": False, "multi_item_scoring_delimiter": 5}, "/generate", 1),
    ],
)
def test_the_route_is_what_the_server_has(changes: dict[str, Any], path: str, new_tokens: int | None) -> None:
    """Scoring is never used where items of a request could see each other."""
    simulator = simulated(**changes)
    with connected("sglang", simulator, tokenizer=FILES()) as (engine, _):
        built = prompt_for(engine, engine.chat)
        simulator.bodies.clear()
        ask(engine, built, TEXTS[:2])
    assert {asked for asked, _ in simulator.bodies} == {path}
    if new_tokens is not None:
        assert {body["sampling_params"]["max_new_tokens"] for _, body in simulator.bodies} == {new_tokens}
        assert {body["logprob_start_len"] for _, body in simulator.bodies} == {-1}  # none of the prompt


def test_a_server_whose_items_see_each_other_and_without_another_route() -> None:
    offer = simulated(sglang.GATEWAY, multi_item_scoring_delimiter=5)
    with pytest.raises(EngineError, match="no log probabilities"), connected("sglang", offer, tokenizer=FILES()):
        pass


def test_its_files_are_asked_for() -> None:
    with (
        pytest.raises(UsageError, match="does not tell its chat template.*--tokenizer"),
        connected("sglang", simulated()),
    ):
        pass


def test_files_that_the_server_names_are_used_where_this_machine_has_them() -> None:
    simulator = simulated()
    simulator.name = str(FILES().files.path)
    with connected("sglang", simulator) as (engine, _):
        assert engine.tokenizer.vocabulary_size == FILES().facts.vocabulary_size
        assert ask(engine, prompt_for(engine, engine.chat), TEXTS[:1])[0].failure is None
    other = simulated()
    other.name = simulator.name
    other.tokenize = lambda body: {"tokens": [1, 2, 3]}  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="--tokenizer"), connected("sglang", other):
        pass


def test_the_context_is_what_its_scheduler_takes() -> None:
    with connected("sglang", simulated(context_length=1000), tokenizer=FILES()) as (engine, _):
        assert engine.info.largest_request_tokens == 995
        built = prompt_for(engine, engine.chat)
        (long,) = ask(engine, built, ["word " * 2000])
    assert long.failure is not None
    assert long.failure.status == "oversize"


def test_a_server_that_cuts_prompts_gives_no_label() -> None:
    simulator = simulated(truncates=True, context_length=2000)
    simulator.stated_length = None
    with connected("sglang", simulator, tokenizer=FILES(), context_tokens=4000) as (engine, _):
        (scores,) = ask(engine, prompt_for(engine, engine.chat), ["word " * 3000])
    assert scores.failure is not None
    assert scores.failure.status == "oversize"
    assert "1,999 of" in scores.failure.reason


def test_scoring_that_does_not_know_the_end_of_a_turn() -> None:
    """``/v1/score`` takes no added tokens; a label that begins another one needs the end of the turn."""
    simulator = simulated(sglang.GATEWAY, text_vocabulary=20476)
    with connected("sglang", simulator, tokenizer=FILES()) as (engine, _):
        assert any("labels that begin others fail" in notice for notice in engine.info.notices)
        (scores,) = ask(engine, prompt_for(engine, engine.chat), TEXTS[:1])
    assert scores.failure is None or "vocabulary" in scores.failure.reason


@pytest.mark.parametrize(
    "broken",
    [
        Changed(lambda reply: {"text": ""}),
        Changed(lambda reply: {**reply, "meta_info": {**reply["meta_info"], "output_token_ids_logprobs": []}}),
        Changed(
            lambda reply: {**reply, "meta_info": {**reply["meta_info"], "output_token_ids_logprobs": [[[None, 1]]]}}
        ),
        Status(200, b"<html>"),
        Status(500, {"error": {"message": "out of memory"}}),
    ],
    ids=["no meta_info", "missing logprobs", "no number", "invalid JSON", "out of memory"],
)
def test_an_accident_costs_its_document_only(broken: Any) -> None:
    with connected("sglang", simulated(), tokenizer=FILES()) as (engine, server):
        built = prompt_for(engine, engine.chat)
        server.befall("/generate", broken, 1)
        assert all(scores.failure is None for scores in ask(engine, built, TEXTS[:3]))
        server.befall("/generate", broken, None)
        always = ask(engine, built, TEXTS[:3])
    assert [scores.failure is not None and scores.failure.status for scores in always] == ["engine_error"] * 3


def test_a_refusal_fails_its_document_at_once() -> None:
    with connected("sglang", simulated(), tokenizer=FILES()) as (engine, server):
        built = prompt_for(engine, engine.chat)
        server.befall("/generate", Status(400, {"error": {"message": "input_ids out of range"}}), 1)
        found = ask(engine, built, TEXTS[:3])
    failures = [scores.failure for scores in found if scores.failure is not None]
    assert len(failures) == 1
    assert "out of range" in failures[0].reason


def test_it_is_recognised() -> None:
    with FaultServer(simulated()) as server:
        assert detect_server(server.url) == "sglang"
