"""vLLM's adapter against simulated servers of several versions, which compute with the shipped model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.support import engine_models
from tests.support.fault_server import Accident, Changed, FaultServer, Status
from tests.support.prompts import make_requests
from tests.support.simulated import TEXTS, ask, connected, expected, prompt_for
from tests.support.simulators import model, vllm
from thresher.answers import AnswerTrie
from thresher.engines.servers.opening import detect_server
from thresher.errors import EngineError, EngineUnavailableError, UsageError
from thresher.types import Prompt, QuestionPrompt, Scores

PROCESSED = vllm.Offer(version="0.22.1", processed_logprobs=True)
SCORING_ONLY = vllm.Offer(version="0.22.1", generative_scoring=True, max_logprobs=0)


def simulated(offer: vllm.Offer = vllm.MAIN, **changes: Any) -> vllm.VllmSimulator:
    return vllm.VllmSimulator(model.made_up(), dataclasses.replace(offer, **changes))


@pytest.mark.parametrize("offer", [vllm.MAIN, vllm.V0_10, PROCESSED, SCORING_ONLY], ids=lambda offer: offer.version)
def test_answers_are_those_of_llama_cpp(offer: vllm.Offer) -> None:
    with connected("vllm", vllm.VllmSimulator(model.float32(), offer)) as (engine, _):
        found = ask(engine, prompt_for(engine, engine.chat), TEXTS)
    for one, other in zip(found, expected(), strict=True):
        assert one.failure is None
        assert one.answers[0].probabilities == pytest.approx(other.answers[0].probabilities, abs=2e-4)
        mass = one.answers[0].label_mass
        assert mass is None if offer is PROCESSED else mass == pytest.approx(other.answers[0].label_mass, abs=2e-4)


@pytest.mark.parametrize(
    ("offer", "path", "field"),
    [
        (vllm.MAIN, "/v1/completions", "logprob_token_ids"),
        (vllm.V0_22, "/v1/completions", "allowed_token_ids"),
        (vllm.V0_10, "/v1/completions", "allowed_token_ids"),
        (SCORING_ONLY, "/generative_scoring", "label_token_ids"),
    ],
)
def test_the_route_is_what_the_server_has(offer: vllm.Offer, path: str, field: str) -> None:
    simulator = simulated(offer)
    with connected("vllm", simulator) as (engine, _):
        built = prompt_for(engine, engine.chat)
        simulator.bodies.clear()
        ask(engine, built, TEXTS[:2])
        assert (engine.info.notices != ()) is (offer is SCORING_ONLY)
    read = [(asked, body) for asked, body in simulator.bodies if asked not in {"/tokenize", "/detokenize"}]
    assert read
    assert all(asked == path and field in body for asked, body in read)
    assert not any("prompt_logprobs" in body or "echo" in body for _, body in read)


def test_prompts_are_token_ids_with_thinking_closed() -> None:
    simulator, real = simulated(), engine_models.shipped()
    with connected("vllm", simulator) as (engine, _):
        built = prompt_for(engine, engine.chat)
        ask(engine, built, TEXTS[:1])
        assert engine.chat.pieces(("a\n", "b")) == real.chat.pieces(("a\n", "b"))
        assert engine.chat.end_of_turn == real.chat.end_of_turn
        assert engine.chat.next_turn == real.chat.next_turn
    assert real.tokenizer is not None
    prompt = next(body["prompt"] for body in simulator.asked("/v1/completions") if len(body["prompt"]) > 3)
    assert real.tokenizer.decode(prompt).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    rendered = [body for body in simulator.asked("/tokenize") if "messages" in body]
    assert rendered
    assert all(body["chat_template_kwargs"] == {"enable_thinking": False} for body in rendered)
    assert not any(text[:20] in str(body) for body in rendered for text in TEXTS)  # only placeholders are rendered


def test_a_document_over_the_wire_writes_no_control_token() -> None:
    own = engine_models.shipped().tokenizer
    assert own is not None
    simulator = simulated()
    with connected("vllm", simulator) as (engine, _):
        for text in (
            "<|im_end|>",
            "a<|im_start|>b<|endoftext|>c",
            "<<|im_end|>>",
            "[INST] <b>bold</b> \ud800 <|im_end|>",
        ):
            tokens = engine.tokenizer.encode(text)
            assert not set(tokens) & {token for name in own.special_tokens for token in own.encode_template(name)}
            assert engine.tokenizer.decode(tokens) == text.encode("utf-8", "replace").decode()
        before = len(simulator.bodies)
        engine.tokenizer.encode("again <b> and <|im_end|>")
        assert len(simulator.bodies) - before == 2  # two pieces; the words in brackets are known


def test_more_tokens_than_a_request_may_name() -> None:
    simulator = simulated()
    with connected("vllm", simulator) as (engine, _):
        trie = AnswerTrie([f"label {n}" for n in range(300)], [(1000 + n,) for n in range(300)])
        question = QuestionPrompt(name="kind", suffix_tokens=(7,), trie=trie)
        (scores,) = engine.score(make_requests(Prompt(prefix_tokens=(5,), questions=(question,)), [[6]]))
    named = [body["logprob_token_ids"] for body in simulator.asked("/v1/completions")]
    assert list(map(len, named)) == [3, 128, 128, 44]  # the first one tried it out
    exact = np.exp(model.made_up().logprobs([5, 6, 7])[1000:1300])
    assert scores.answers[0].probabilities == pytest.approx(exact / exact.sum())
    assert scores.answers[0].label_mass == pytest.approx(exact.sum())


def test_files_given_for_the_tokenizer_are_compared_with_the_server() -> None:
    with connected("vllm", simulated(), tokenizer=engine_models.shipped()) as (engine, _):
        assert engine.tokenizer is engine_models.shipped().tokenizer
    with connected("vllm", simulated(tokenizes=False), tokenizer=engine_models.shipped()) as (engine, _):
        assert engine.tokenizer is engine_models.shipped().tokenizer
    other = vllm.VllmSimulator(model.made_up())
    other.tokenize = lambda body: {"tokens": [1, 2, 3], "count": 3, "max_model_len": 9}  # type: ignore[method-assign]
    with (
        pytest.raises(UsageError, match="turns text into other tokens"),
        connected("vllm", other, tokenizer=engine_models.shipped()),
    ):
        pass


def test_without_a_tokenizer_files_are_asked_for() -> None:
    with pytest.raises(UsageError, match="--tokenizer"), connected("vllm", simulated(tokenizes=False)):
        pass


def test_the_context_is_the_servers_or_the_users() -> None:
    with connected("vllm", simulated(max_model_len=2000)) as (engine, _):
        assert engine.info.largest_request_tokens == 2000
    with pytest.raises(UsageError, match="--context"), connected("vllm", simulated(states_length=False)):
        pass
    with connected("vllm", simulated(states_length=False), context_tokens=900) as (engine, _):
        assert engine.info.largest_request_tokens == 900


def test_too_long_is_told_by_a_typed_field() -> None:
    """The user declared more than the server has."""
    with connected("vllm", simulated(states_length=False, max_model_len=400), context_tokens=4000) as (engine, _):
        built = prompt_for(engine, engine.chat)
        short, long = ask(engine, built, [TEXTS[0], "word " * 1000])
    assert short.failure is None
    assert long.failure is not None
    assert long.failure.status == "oversize"


def test_a_server_that_cuts_prompts_gives_no_label() -> None:
    offer = dataclasses.replace(SCORING_ONLY, states_length=False, max_model_len=400)
    with connected("vllm", vllm.VllmSimulator(model.made_up(), offer), context_tokens=4000) as (engine, _):
        (scores,) = ask(engine, prompt_for(engine, engine.chat), ["word " * 1000])
    assert scores.failure is not None
    assert scores.failure.status == "oversize"
    assert "399" in scores.failure.reason


def test_a_model_that_the_server_lacks_is_named() -> None:
    with (
        pytest.raises(UsageError, match="no model 'dema', only demo.*did you mean"),
        connected("vllm", simulated(), model="dema"),
    ):
        pass


def test_several_models_and_none_named() -> None:
    simulator = simulated()
    cards = [{"id": name, "object": "model", "owned_by": "vllm", "max_model_len": 99} for name in ("one", "two")]
    with (
        pytest.raises(UsageError, match="has 2 models .one, two.; name one"),
        connected(
            "vllm", simulator, accidents=lambda server: server.befall("/v1/models", Status(200, {"data": cards}), None)
        ),
    ):
        pass


def test_the_key_is_sent_and_a_wrong_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = simulated()
    simulator.api_key = "secret-1"
    monkeypatch.setenv("THRESHER_API_KEY", "secret-1")
    with connected("vllm", simulator) as (engine, _):
        assert ask(engine, prompt_for(engine, engine.chat), TEXTS[:1])[0].failure is None
    monkeypatch.setenv("THRESHER_API_KEY", "secret-2")
    with pytest.raises(EngineUnavailableError, match="401") as caught, connected("vllm", simulator):
        pass
    assert "secret" not in str(caught.value)


def befallen(path: str, answer: Any, times: int | None) -> list[Scores]:
    """Three documents; the accident befalls completions once the engine is open."""
    with connected("vllm", simulated(), tokenizer=engine_models.shipped()) as (engine, server):
        built = prompt_for(engine, engine.chat)
        server.befall(path, answer, times)
        return ask(engine, built, TEXTS[:3])


@pytest.mark.parametrize(
    "broken",
    [
        Changed(lambda reply: {**reply, "choices": []}),
        Changed(lambda reply: {**reply, "choices": [{**reply["choices"][0], "logprobs": None}]}),
        Changed(lambda reply: {"choices": [{"logprobs": {"tokens": ["token_id:1"], "token_logprobs": [None],
                                                         "top_logprobs": [{}]}}], "usage": {"prompt_tokens": 10**6}}),
        Changed(lambda reply: []),
        Status(200, b'{"choices": [{"logpro'),
        Status(500, {"error": {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}}),
    ],
    ids=["empty choices", "missing logprobs", "no number", "no object", "invalid JSON", "out of memory"],
)  # fmt: skip
def test_an_accident_costs_its_document_only(broken: Any) -> None:
    once = befallen("/v1/completions", broken, 1)
    assert all(scores.failure is None for scores in once)  # asked again
    always = befallen("/v1/completions", broken, None)
    assert [scores.failure is not None and scores.failure.status for scores in always] == ["engine_error"] * 3


def test_out_of_memory_on_one_document() -> None:
    with connected("vllm", simulated(), tokenizer=engine_models.shipped()) as (engine, server):
        built = prompt_for(engine, engine.chat)
        failed = Status(500, {"error": {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}})
        large = len(engine.tokenizer.encode(TEXTS[3]))
        limit = len(built.prompt.prefix_tokens) + 2 * large
        large_one = Accident("/v1/completions", failed, None, lambda asked: len(asked.json()["prompt"]) > limit)
        server.accidents.append(large_one)
        small, other, big = ask(engine, built, [TEXTS[0], TEXTS[1], TEXTS[5] * 3])
    assert small.failure is None
    assert other.failure is None
    assert big.failure is not None
    assert "out of memory" in big.failure.reason


def test_a_server_that_forgets_its_model_ends_the_run() -> None:
    gone = Status(404, {"error": {"message": "no such model", "type": "NotFoundError", "param": "model", "code": 404}})
    found = befallen("/v1/completions", gone, None)
    assert all(scores.failure is not None and scores.failure.status == "engine_error" for scores in found)


def test_no_log_probabilities_at_all() -> None:
    with pytest.raises(EngineError, match="max-logprobs"), connected("vllm", simulated(vllm.V0_10, max_logprobs=0)):
        pass


def test_it_is_recognised() -> None:
    with FaultServer(simulated()) as server:
        assert detect_server(server.url) == "vllm"
