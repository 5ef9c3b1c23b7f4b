"""How much memory the native engine needs for one long document, beside what its formula says.

    python -m benchmarks.native_memory --tokens 8192 32768 131072

The model has random weights and Qwen3.5-27B's widths where memory grows with tokens (hidden 5120, attention with 24/4
heads of 256), but few layers, few DeltaNet heads and a narrow feed-forward, so that a CPU is done in
minutes. The last layer is full attention and pruned, as in the real model. Each length is read in a process
of its own, whose peak of resident memory counts; a process that reads 64 tokens gives what the process, the weights and
torch take.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from benchmarks.machine import save
from thresher.engines.native.config import DeltaConfig, LayerKind, NativeConfig
from thresher.engines.native.forward import ForwardPass
from thresher.engines.native.pack import HELD, Tree, lay_out
from thresher.engines.native.sizing import row_bytes
from thresher.engines.native.streaming import LayerStore
from thresher.engines.native.tables import EMBEDDING, Table
from thresher.engines.native.weights.layout import expected_shapes

CPU = torch.device("cpu")
STEP_ROWS = 1024
BASE_TOKENS = 64


class RandomSource:
    """A weight source that makes its tensors up, the same ones each time."""

    def __init__(self, config: NativeConfig) -> None:
        self.config = config
        self._shapes = expected_shapes(config)

    def names(self) -> Iterable[str]:
        return self._shapes

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def load(self, name: str, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
        shape = self._shapes[name]
        random = torch.Generator().manual_seed(len(name))
        values = torch.randn(shape, generator=random, dtype=dtype).mul_(shape[-1] ** -0.5 if len(shape) > 1 else 0.1)
        return values.to(device)

    def load_rows(
        self, name: str, rows: torch.Tensor | Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        return self.load(name, dtype, device)[torch.as_tensor(rows)]

    def stored_bytes(self, name: str) -> int:
        return 4 * math.prod(self._shapes[name])

    def close(self) -> None:
        return


def make_config(layers: int) -> NativeConfig:
    delta_layers: list[LayerKind] = ["delta"] * (layers - 1)
    return NativeConfig(
        family="qwen3_5",
        hidden_size=5120,
        layer_count=layers,
        layer_kinds=(*delta_layers, "full"),
        intermediate_size=64,
        vocabulary_size=256,
        rms_norm_eps=1e-6,
        norm_offset=1.0,
        query_heads=24,
        kv_heads=4,
        head_dim=256,
        rotary_dim=64,
        rope_theta=1e7,
        output_gate=True,
        tied_embeddings=True,
        delta=DeltaConfig(key_heads=1, value_heads=3, key_dim=128, value_dim=128, conv_width=4),
        moe=None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[8192, 32_768, 131_072])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(read_one(arguments.one, arguments.layers, arguments.threads)))
        return
    base = in_a_process(BASE_TOKENS, arguments)
    per_token = row_bytes(make_config(arguments.layers), 4)
    cases: list[dict[str, Any]] = []
    for tokens in arguments.tokens:
        found = in_a_process(tokens, arguments)
        formula = tokens * per_token
        case = {**found, "above_base_bytes": found["peak_bytes"] - base["peak_bytes"], "formula_bytes": formula}
        cases.append(case)
        print(
            f"{tokens:>9,} tokens: peak {found['peak_bytes'] / 2**30:.2f} GiB, {case['above_base_bytes'] / 2**30:.2f} "
            f"above base, rows by formula {formula / 2**30:.2f} GiB, {found['seconds']:.0f} s",
            flush=True,
        )
    report = {
        "torch": torch.__version__,
        "precision": "fp32",
        "layers": arguments.layers,
        "step_rows": STEP_ROWS,
        "bytes_per_token_by_formula": per_token,
        "base_bytes": base["peak_bytes"],
        "cases": cases,
    }
    save("native_memory", report)


def in_a_process(tokens: int, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.native_memory", "--one", str(tokens)]
    command += ["--layers", str(arguments.layers), "--threads", str(arguments.threads)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def read_one(tokens: int, layers: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    source = RandomSource(make_config(layers))
    store = LayerStore(source, "fp32", frozenset(range(layers)), CPU, keep_on_host=False)
    embedding = Table(source, EMBEDDING, torch.float32, CPU)
    forward = ForwardPass(source.config, store, embedding, torch.float32, CPU, CPU)
    tree = Tree(0)
    tree.want(tree.append(HELD, torch.randint(0, 256, (tokens,)).tolist()))
    pack, _ = lay_out([tree], STEP_ROWS, 8)
    start = time.perf_counter()
    hidden = forward.run(pack, None)
    seconds = time.perf_counter() - start
    if not hidden.isfinite().all():
        raise SystemExit("the hidden state is not finite")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"tokens": tokens, "peak_bytes": peak, "seconds": round(seconds, 1)}


if __name__ == "__main__":
    main()
