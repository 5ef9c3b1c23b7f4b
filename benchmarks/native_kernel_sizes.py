"""What the native engine's Triton kernels need on GPUs that are not at hand: compiled for each, without one.

    python -m benchmarks.native_kernel_sizes [--out benchmarks/results/native_kernel_sizes.json]

Shared memory against what a block may have there, registers against a thread's 255 (what does not fit goes to its
stack), at Qwen3.5-27B's sizes. Needs Triton on Linux (its own assembler is used), and ``TRITON_INTERPRET`` unset.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from thresher.engines.native.kernels.conv import sliding, tiles
from thresher.engines.native.kernels.conv.edges import conv_edges
from thresher.engines.native.kernels.delta_gates import triton as delta_gates
from thresher.engines.native.kernels.gate import triton as gate
from thresher.engines.native.kernels.gated_norm import triton as gated_norm
from thresher.engines.native.kernels.norm import triton as norm
from thresher.engines.native.kernels.rotate import triton as rotate
from thresher.engines.native.kernels.swiglu import triton as swiglu
from thresher.engines.native.kernels.triton_rows import head_blocks, head_warps, two_blocks, warps

#: Name -> compute capability, shared memory of a block in bytes (CUDA programming guide), whether it has E4M3.
GPUS: dict[str, tuple[int, int, bool]] = {
    "A6000": (86, 101_376, False),
    "RTX 4090": (89, 101_376, True),
    "H200": (90, 232_448, True),
    "RTX 5090": (120, 101_376, True),
}
_HALF, _WIDE, _EIGHT = "*bf16", "*fp32", "*fp8e4nv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = [
        {
            "gpu": gpu,
            "kernel": name,
            "shared_bytes_allowed": allowed,
            **_compile(kernel, types, constants, count, target),
        }
        for gpu, (target, allowed, eight) in GPUS.items()
        for quantize in ([False, True] if eight else [False])
        for name, kernel, types, constants, count in _kernels(quantize)
    ]
    for row in rows:
        print(
            f"{row['gpu']:<9} {row['kernel']:<22} shared {row['shared_bytes']:>7,} of {row['shared_bytes_allowed']:,}, "
            f"{row['registers']} registers, {row['stack_bytes']} bytes of stack"
        )
    too_large = [row for row in rows if row["shared_bytes"] > row["shared_bytes_allowed"]]
    if arguments.out:
        result = {"triton": version("triton"), "sizes": "Qwen3.5-27B", "kernels": rows}
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if too_large:
        raise SystemExit(f"these do not fit: {[(row['gpu'], row['kernel']) for row in too_large]}")


def _kernels(quantize: bool) -> Iterator[tuple[str, Any, list[str], dict[str, Any], int]]:
    """Name, kernel, types of what is passed, constants, warps; as the modules' own functions launch them."""
    out, ending = (_EIGHT, " to fp8") if quantize else (_HALF, "")
    rounding = {"QUANTIZE": quantize, "FULL": True}
    block, rest = two_blocks(5120)
    pointers = [_HALF, _WIDE, _HALF, out, _WIDE]
    constants = {"PLAIN": not quantize, **rounding, "STAGES": norm.stages(5120, 2), "BLOCK": block, "REST": rest}
    yield f"norm{ending}", norm._norm, [*pointers, *["i32"] * 3, "fp32"], constants, norm.launch_warps(block)
    block, rest = two_blocks(17_408)
    constants = {**rounding, "BLOCK": block, "REST": rest}
    count = swiglu.launch_warps(block, quantize=quantize)
    yield f"swiglu{ending}", swiglu._swiglu, [_HALF, out, _WIDE, "i32", "i32"], constants, count
    blocks = head_blocks(48, 128)
    constants = {**rounding, **dict(zip(("BLOCKS", "HEADS", "BLOCK"), blocks, strict=True))}
    pointers = [_HALF, _HALF, _WIDE, out, _WIDE]
    types = [*pointers, "i32", "i32", "fp32"]
    yield f"gated_norm{ending}", gated_norm._gated_norm, types, constants, head_warps(*blocks)
    blocks = head_blocks(24, 256)
    constants = {**rounding, **dict(zip(("BLOCKS", "HEADS", "BLOCK"), blocks, strict=True))}
    types = [_HALF, _HALF, out, _WIDE, *["i32"] * 4]
    yield f"sigmoid_gate{ending}", gate._sigmoid_gate, types, constants, head_warps(*blocks)
    if quantize:
        return
    constants = {"HEADS": 32, "BLOCK": 256}
    pointers = [_HALF, _WIDE, _WIDE, _WIDE, _HALF]
    yield "norm_rotate", rotate._norm_rotate, [*pointers, *["i32"] * 5, "fp32"], constants, warps(32 * 256)
    yield from _conv_kernels()
    constants = {"ROWS": delta_gates._ROWS, "BLOCK": 64}
    types = [_HALF, _WIDE, _WIDE, _WIDE, _WIDE, "i32", "i32", "i32"]
    yield "delta_gates", delta_gates._delta_gates, types, constants, delta_gates._WARPS


def _conv_kernels() -> Iterator[tuple[str, Any, list[str], dict[str, Any], int]]:
    sizes = {"CHANNELS": 10_240, "KEY_HEADS": 16, "KEY_DIM": 128}
    made = [_HALF, _HALF, _HALF]
    constants = {**sizes, "ROWS": sliding.ROWS, "HEADS": sliding.HEADS}
    types = [_HALF, _WIDE, *made, "i32", "fp32"]
    yield "conv_sliding", sliding.conv_sliding, types, constants, sliding.WARPS
    constants = {**sizes, "WIDTH": 4, "BLOCK": 128}
    tiled = {**constants, "ALIGNED": True, "ROWS": tiles.ROWS}
    yield "conv_tiles", tiles.conv_tiles, types, tiled, tiles.WARPS
    yield "conv_edges", conv_edges, [_HALF, _WIDE, _HALF, "*i64", *made, _HALF, "fp32"], constants, 1


def _compile(kernel: Any, types: list[str], constants: dict[str, Any], count: int, target: int) -> dict[str, int]:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = kernel.arg_names
    signature = dict(zip(names, types, strict=False)) | dict.fromkeys(constants, "constexpr")
    aligned = {(index,): [["tt.divisibility", 16]] for index, kind in enumerate(types) if kind != "fp32"}
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs=aligned,
    )
    made = triton.compile(source, target=GPUTarget("cuda", target, 32), options={"num_warps": count})
    return {"shared_bytes": int(made.metadata.shared), **_registers(made.asm["cubin"])}


def _registers(cubin: bytes) -> dict[str, int]:
    """What the assembler gave a thread, as ``cuobjdump`` of Triton's own package reads it."""
    import triton.backends.nvidia as nvidia

    tool = Path(nvidia.__file__).parent / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        shown = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", shown)
    if found is None:
        raise SystemExit(f"cuobjdump showed no registers: {shown}")
    return {"registers": int(found[1]), "stack_bytes": int(found[2])}


if __name__ == "__main__":
    main()
