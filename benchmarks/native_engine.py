"""Documents per second of the native engine on a CPU, beside transformers doing the same job.

    python -m benchmarks.native_engine --threads 2

The job: the example task asked of documents of random tokens; an answer is the logits after the whole prompt. The peer
is transformers' own model with the same float32 weights (the demo model's), attention ``sdpa``, one document at a time
as documents of different lengths want it, and logits of the last position only. Both take turns for a number of rounds
in one process, and the medians are compared. Before that, the answers are checked to be the same.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

import thresher
from benchmarks.machine import save
from thresher.engines import Engine, EngineOptions, open_engine
from thresher.engines.native.config import NativeConfig
from thresher.engines.native.weights import open_weights
from thresher.models import Model, open_model, resolve
from thresher.tasks import build_prompt
from thresher.types import Prompt, Request

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CASES = (("short, 60 tokens", 60, 16), ("mail, 300 tokens", 300, 8), ("pages, 1,500 tokens", 1500, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = open_model(resolve("demo"))
    peer = make_peer(model)
    with open_engine("native", model, EngineOptions(threads=arguments.threads)) as engine:
        prompt = build_prompt(thresher.load_task(EXAMPLES / "task.yaml"), engine.tokenizer, model.chat).prompt
        cases = [run_case(case, engine, peer, prompt, arguments.rounds) for case in CASES]
    save(
        "native_engine",
        {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "threads": arguments.threads,
            "rounds": arguments.rounds,
            "precision": "fp32",
            "prefix_tokens": len(prompt.prefix_tokens),
            "cases": cases,
        },
    )


def make_peer(model: Model) -> Any:
    """transformers' model with the same weights."""
    source = open_weights(model)
    config = source.config
    make: Any = transformers.Qwen3_5ForCausalLM._from_config
    peer = make(peer_config(config), attn_implementation="sdpa").eval()
    tensors = {name: source.load(name, torch.float32) for name in source.names()}
    state = {name if name.startswith("lm_head") else f"model.{name}": value for name, value in tensors.items()}
    if config.tied_embeddings:
        state["lm_head.weight"] = tensors["embed_tokens.weight"]
    peer.load_state_dict(state, strict=True)
    source.close()
    return peer


def peer_config(config: NativeConfig) -> transformers.Qwen3_5TextConfig:
    if config.delta is None:
        raise SystemExit("the demo model is expected to be hybrid")
    kinds = {"delta": "linear_attention", "full": "full_attention"}
    return transformers.Qwen3_5TextConfig(
        vocab_size=config.vocabulary_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.layer_count,
        layer_types=[kinds[kind] for kind in config.layer_kinds],
        num_attention_heads=config.query_heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.head_dim,
        rms_norm_eps=config.rms_norm_eps,
        tie_word_embeddings=config.tied_embeddings,
        linear_num_key_heads=config.delta.key_heads,
        linear_num_value_heads=config.delta.value_heads,
        linear_key_head_dim=config.delta.key_dim,
        linear_value_head_dim=config.delta.value_dim,
        linear_conv_kernel_dim=config.delta.conv_width,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": config.rope_theta,
            "partial_rotary_factor": config.rotary_dim / config.head_dim,
            "mrope_section": [config.rotary_dim // 2, 0, 0],
            "mrope_interleaved": True,
        },
    )


def run_case(case: tuple[str, int, int], engine: Engine, peer: Any, prompt: Prompt, rounds: int) -> dict[str, Any]:
    name, length, count = case
    requests = make_requests(prompt, length, count)
    answers: dict[str, list[float]] = {}

    def native() -> None:
        scores = {s.request_id: s for s in engine.score(requests)}
        answers["native"] = [max(scores[r.request_id].answers[0].probabilities) for r in requests]

    def transformers_alone() -> None:
        answers["transformers"] = [best_probability(peer, request) for request in requests]

    native()
    transformers_alone()
    difference = max(abs(a - b) for a, b in zip(answers["native"], answers["transformers"], strict=True))
    if difference > 1e-3:
        raise SystemExit(f"{name}: the engines do not do the same job, probabilities differ by {difference:.4f}")
    ours, theirs = take_turns([native, transformers_alone], rounds)
    found = {
        "name": name,
        "documents": count,
        "documents_per_second": count / ours,
        "transformers_documents_per_second": count / theirs,
        "ratio": theirs / ours,
        "largest_difference": difference,
    }
    print(found, flush=True)
    return found


def make_requests(prompt: Prompt, length: int, count: int) -> list[Request]:
    random = np.random.default_rng(1)
    lengths = random.integers(length // 2, length + length // 2, count)
    return [
        Request(request_id=i, prompt=prompt, document_tokens=random.integers(300, 15_000, n).tolist())
        for i, n in enumerate(lengths)
    ]


@torch.inference_mode()
def best_probability(peer: Any, request: Request) -> float:
    """Of the likeliest label, where the first branching decides; transformers reads the whole prompt for it."""
    (question,) = request.prompt.questions
    root = question.trie.root_path or ()
    tokens = [*request.prompt.prefix_tokens, *request.document_tokens, *question.suffix_tokens, *root]
    logits = peer(input_ids=torch.tensor([tokens]), use_cache=False, logits_to_keep=1).logits[0, -1]
    return float(logits[list(question.trie.branchings[root].tokens)].softmax(0).max())


def take_turns(runs: Sequence[Callable[[], None]], rounds: int) -> list[float]:
    """Median seconds of each run; in every round each has its turn."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, found in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            found.append(time.perf_counter() - start)
    return [statistics.median(found) for found in seconds]


if __name__ == "__main__":
    main()
