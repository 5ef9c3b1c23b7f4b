"""Every launch of every program: only known options, each once, whatever the model and the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.help_texts import HELP
from thresher.engines.servers.managed.facts import LaunchFacts
from thresher.engines.servers.managed.options import parse_help, spell
from thresher.engines.servers.managed.programs import PROGRAMS

FACTS = st.builds(
    LaunchFacts,
    model_path=st.just("/models/a model"),
    model_name=st.just("a-model"),
    host=st.just("127.0.0.1"),
    port=st.integers(1, 65_535),
    context_tokens=st.integers(64, 300_000),
    slots=st.integers(1, 256),
    on_gpu=st.booleans(),
    gpus=st.sampled_from([1, 2, 8]),
    threads=st.one_of(st.none(), st.integers(1, 64)),
    micro_batch_tokens=st.integers(32, 65_536),
    recurrent=st.booleans(),
    scratch_folder=st.one_of(st.none(), st.just("/scratch")),
    api_key=st.one_of(st.none(), st.just("secret")),
)


def arguments_of(name: str, version: str, facts: LaunchFacts) -> dict[str, str | None]:
    """Option -> value, as the program would read them; fails where it would not."""
    known = parse_help(HELP[name, version])
    arguments, unmet = spell(PROGRAMS[name].wishes(facts), known)
    assert not [one for one in unmet if one.needed]
    read: dict[str, str | None] = {}
    rest = iter(arguments)
    for option in rest:
        assert option in known
        assert option not in read
        read[option] = None if known.is_switch(option) else next(rest)
    return read


@pytest.mark.parametrize(("name", "version"), HELP)
@given(facts=FACTS)
def test_every_version_understands_its_arguments(name: str, version: str, facts: LaunchFacts) -> None:
    read = arguments_of(name, version, facts)
    assert read["--host"] == "127.0.0.1"
    assert read["--port"] == str(facts.port)
    length = {"llama-server": "--ctx-size", "vllm": "--max-model-len", "sglang": "--context-length"}[name]
    assert int(read[length] or 0) == facts.context_tokens * (facts.slots if name == "llama-server" else 1)


FIXED = LaunchFacts(
    model_path="/m", model_name="m", host="h", port=1, context_tokens=5120, slots=4, on_gpu=True, gpus=1, threads=None,
    micro_batch_tokens=2048, recurrent=True, scratch_folder="/scratch",
)  # fmt: skip


def test_llama_server_is_launched_for_prompts() -> None:
    assert arguments_of("llama-server", "b11434", FIXED) == {
        "--model": "/m", "--alias": "m", "--host": "h", "--port": "1", "--parallel": "4", "--ctx-size": "20480",
        "--no-kv-unified": None, "--batch-size": "4096", "--ubatch-size": "2048", "--flash-attn": "on",
        "--n-gpu-layers": "99", "--slot-save-path": "/scratch", "--cache-ram": "0", "--no-cache-idle-slots": None,
        "--no-context-shift": None, "--no-mmproj": None, "--reasoning": "off", "--no-ui": None, "--offline": None,
    }  # fmt: skip
    old = arguments_of("llama-server", "2025-02", FIXED)
    assert old["--flash-attn"] is None
    assert "--no-webui" in old
    assert "--reasoning" not in old


def test_without_a_gpu_llama_server_computes_on_the_cpu() -> None:
    read = arguments_of("llama-server", "b11434", replace(FIXED, on_gpu=False))
    assert (read["--n-gpu-layers"], read["--device"]) == ("0", "none")


def test_float32_weights_keep_keys_and_values_in_float32() -> None:
    read = arguments_of("llama-server", "b11434", replace(FIXED, full_precision=True))
    assert (read["--flash-attn"], read["--cache-type-k"], read["--cache-type-v"]) == ("off", "f32", "f32")


def test_vllm_is_launched_for_prompts() -> None:
    read = arguments_of("vllm", "0.30.0", replace(FIXED, slots=128))
    assert read == {
        "--served-model-name": "m", "--host": "h", "--port": "1", "--max-model-len": "5120",
        "--max-num-batched-tokens": "16384", "--max-num-seqs": "128", "--performance-mode": "throughput",
        "--language-model-only": None, "--no-enable-prefix-caching": None, "--gdn-prefill-backend": "flashinfer",
        "--default-chat-template-kwargs": '{"enable_thinking":false}', "--max-logprobs": "1024",
        "--no-enable-log-requests": None, "--disable-uvicorn-access-log": None,
    }  # fmt: skip
    assert "--disable-log-requests" in arguments_of("vllm", "0.8.5", FIXED)


def test_sglang_is_launched_for_prompts() -> None:
    read = arguments_of("sglang", "0.5.23", replace(FIXED, slots=128, gpus=2, api_key="k"))
    assert read == {
        "--model-path": "/m", "--served-model-name": "m", "--host": "h", "--port": "1", "--context-length": "5120",
        "--chunked-prefill-size": "32768", "--max-prefill-tokens": "32768", "--max-running-requests": "128",
        "--mem-fraction-static": "0.85", "--disable-radix-cache": None, "--linear-attn-prefill-backend": "flashinfer",
        "--mamba-ssm-dtype": "bfloat16", "--tp-size": "2", "--api-key": "k", "--log-level-http": "warning",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "version", "option"), [
    ("vllm", "0.30.0", "--no-enable-prefix-caching"), ("sglang", "0.5.23", "--disable-radix-cache"),
])  # fmt: skip
def test_a_prefix_is_shared_by_caches_unless_the_model_keeps_a_state(name: str, version: str, option: str) -> None:
    assert option in arguments_of(name, version, FIXED)
    assert option not in arguments_of(name, version, replace(FIXED, recurrent=False))


@pytest.mark.parametrize("field", ["context_tokens", "slots", "gpus", "micro_batch_tokens"])
def test_facts_that_make_no_sense_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(FIXED, **{field: 0})  # type: ignore[arg-type]
