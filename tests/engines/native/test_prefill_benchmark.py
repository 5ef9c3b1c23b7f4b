"""The benchmark of the native engine runs on a CPU, and prints no speed when results are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import native_prefill
from benchmarks.native import checks
from benchmarks.native.profile import component_of
from benchmarks.native.shapes import SHAPES
from thresher.engines.native.weights.layout import expected_shapes

ARGUMENTS = ["--model", "tiny", "--workload", "tiny", "--device", "cpu", "--out"]


def run(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    monkeypatch.setattr("sys.argv", ["native_prefill", *ARGUMENTS, str(out)])
    native_prefill.main()


def test_it_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, tmp_path)
    result = json.loads((tmp_path / "native_prefill_tiny_fp32.json").read_text(encoding="utf-8"))
    assert result["computed_tokens"] == 31 + 44 + 70 + 22 - 3 * 12
    assert result["cached_tokens"] == 3 * 12
    assert result["tokens_per_second"] == pytest.approx(result["computed_tokens"] / result["seconds"])
    assert result["shares"]["multiplies as in bursts"] == pytest.approx(
        result["tokens_per_second"] / result["ceilings"]["tokens_per_second"]
    )
    assert result["precision"] == "fp32"
    assert {"device", "cpu_threads"} <= result["hardware"].keys()
    assert f"{result['tokens_per_second']:,.0f} tokens/s computed" in capsys.readouterr().out


def test_no_speed_for_wrong_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "check_model", lambda *_: {"logits fp32": 0.5})
    with pytest.raises(SystemExit, match="logits fp32: relative error 0.5, the limit is 0.0001"):
        run(monkeypatch, tmp_path)
    assert "tokens/s" not in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_failures() -> None:
    assert checks.failures({"kernel bf16 conv": 0.005, "logits fp8": 0.3, "logits, times the plain": 0.9}) == []
    assert len(checks.failures({"kernel bf16 conv": float("nan"), "kernel fp8 norm": 0.05})) == 2


@pytest.mark.parametrize(
    ("name", "parameters"), [("27B", 26.896e9), ("397B-A17B", 396.3e9), ("32B", 32.76e9), ("35B-A3B", 34.66e9)]
)
def test_shapes_have_the_published_sizes(name: str, parameters: float) -> None:
    total = sum(_product(shape) for shape in expected_shapes(SHAPES[name]).values())
    assert total == pytest.approx(parameters, rel=1e-3)


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


@pytest.mark.parametrize(
    ("kernel", "component"),
    [
        ("nvjet_sm90_qqtst_128x128_128x6_1x2_h_bz_ovscale_TNT", "matrix multiplies"),
        ("void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttnFwdSm90", "attention"),
        ("chunk_gated_delta_rule_fwd_kernel_h_blockdim64", "DeltaNet rule"),
        ("conv_sliding", "convolution"),
        ("conv_edges", "convolution"),
        ("_swiglu", "norms, gates and rounding"),
        ("Memcpy HtoD (Pageable -> Device)", "copies"),
        ("void at::native::vectorized_elementwise_kernel<8, at::native::CUDAFunctor_add", "other element-wise"),
    ],
)
def test_kernels_are_told_apart_by_their_names(kernel: str, component: str) -> None:
    assert component_of(kernel) == component
