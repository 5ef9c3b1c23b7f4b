"""Plans as wholes: what is planned where, what would fit, how fast, and how it is known."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import PROJECT
from tests.planning.test_published_facts import GIB, machine, models
from thresher.errors import UsageError
from thresher.hardware import HardwareFacts, named_gpu, unnamed_gpu
from thresher.models import ModelOutline
from thresher.planning import ENGINES, DocumentCounts, Fit, Plan, Setting, Wishes, make_plan, plan_one
from thresher.planning.evaluate import evaluate, largest_context

__all__ = ["models"]
NAME = "Qwen3.5-27B"


def plan(found: ModelOutline, hardware: HardwareFacts, **wishes: object) -> Plan:
    return make_plan(found, hardware, Wishes(**wishes))  # type: ignore[arg-type]


def changed(setting: Setting, remedy: str) -> Setting:
    """The setting that a remedy's words describe."""
    rules: list[tuple[str, str, type]] = [
        (r"^--context (\d+)$", "context_tokens", int),
        (r"^--precision (\S+)$", "precision", str),
        (r"^the model in (\S+)$", "precision", str),
        (r"^(\d+) such GPUs$", "gpus", int),
        (r"^(\d+) slots$", "slots", int),
    ]
    if match := re.match(r"^--weights-memory ([\d.]+)GiB: \d+ layers are streamed", remedy):
        return dataclasses.replace(setting, weights_memory_bytes=int(float(match[1]) * GIB))
    for pattern, field, kind in rules:
        if match := re.match(pattern, remedy):
            return dataclasses.replace(setting, **{field: kind(match[1])})
    raise AssertionError(f"a remedy that says nothing: {remedy}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    name=st.sampled_from(["Qwen3.5-27B", "Qwen3-32B", "Qwen3.5-35B-A3B", "Qwen3.5-397B-A17B"]),
    engine=st.sampled_from(ENGINES),
    gib=st.integers(4, 200),
    gpus=st.integers(1, 8),
    context=st.integers(1, 40_000),
    slots=st.integers(1, 16),
)
def test_every_remedy_fits(
    models: dict[str, ModelOutline], name: str, engine: str, gib: int, gpus: int, context: int, slots: int
) -> None:
    hardware = machine(*[unnamed_gpu(gib * GIB)] * gpus)
    for fit in plan(models[name], hardware, engines=(engine,), context_tokens=context, slots=slots).fits:
        assert bool(fit.remedies) <= (not fit.fits)
        assert (fit.bytes <= fit.available_bytes) or not fit.fits
        for remedy in fit.remedies:
            assert evaluate(models[name], changed(fit.setting, remedy), hardware).fits, remedy


@given(gib=st.integers(10, 90), engine=st.sampled_from(ENGINES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_the_largest_context_is_the_largest(models: dict[str, ModelOutline], gib: int, engine: str) -> None:
    precision = "Q4_K_M" if engine.startswith("llama") else "fp8"
    setting = Setting(engine=engine, precision=precision, context_tokens=512, slots=1, gpus=1)
    hardware = machine(unnamed_gpu(gib * GIB))
    most = largest_context(models[NAME], setting, hardware)
    if most:
        assert evaluate(models[NAME], dataclasses.replace(setting, context_tokens=most), hardware).fits
    if most < models[NAME].shape.context_tokens:
        larger = dataclasses.replace(setting, context_tokens=max(512, most + 256))
        assert not evaluate(models[NAME], larger, hardware).fits


def test_a_small_card_streams(models: dict[str, ModelOutline]) -> None:
    fit, shown = plan(
        models[NAME], machine(unnamed_gpu(12 * GIB)), engines=("native",), precisions=("fp8",), context_tokens=32_768
    ).fits
    assert not fit.fits
    assert (shown.fits, shown.streamed_layers > 0) == (True, True)
    assert fit.remedy is not None
    streamed = evaluate(models[NAME], changed(fit.setting, fit.remedies[0]), machine(unnamed_gpu(12 * GIB)))
    assert streamed.fits
    assert 30 < streamed.streamed_layers < 64
    assert "from host memory" in fit.remedies[0]
    fit, _ = plan(
        models[NAME], machine(unnamed_gpu(12 * GIB), ram_gib=4), engines=("native",), precisions=("fp8",)
    ).fits
    assert "from disk, for host memory is too small" in (fit.remedy or "")


def test_a_model_larger_than_all_cards_together(models: dict[str, ModelOutline]) -> None:
    found = models["Qwen3.5-397B-A17B"]
    for hardware in (machine(named_gpu("h200")), machine(*[unnamed_gpu(24 * GIB)] * 8)):
        fits = plan(found, hardware, engines=("native",), context_tokens=32_768).fits
        assert not any(fit.fits for fit in fits if not fit.streamed_layers)
        four_bits = next(fit for fit in fits if fit.setting.precision.startswith("nvfp4") and not fit.fits)
        assert four_bits.remedies[0].startswith("--weights-memory")
        more = any(remedy.endswith("such GPUs") for remedy in four_bits.remedies)
        # a layer's experts in 16 bits take 12 GiB while it computes: no number of small cards has room for that
        assert more == (hardware.gpus[0].memory_bytes > 100 * GIB), four_bits


def test_servers_share_heads_out_evenly(models: dict[str, ModelOutline]) -> None:
    """24 query heads do not go over 5 GPUs."""
    setting = Setting(engine="vllm", precision="fp8", context_tokens=8192, gpus=5)
    hardware = machine(*[unnamed_gpu(80 * GIB)] * 5)
    assert not evaluate(models[NAME], setting, hardware).fits
    assert evaluate(models[NAME], dataclasses.replace(setting, gpus=4), hardware).fits


def test_without_a_gpu(models: dict[str, ModelOutline]) -> None:
    found = plan(models[NAME], machine(ram_gib=24))
    assert {fit.setting.engine for fit in found.fits} == {"native", "llamacpp", "llama-server"}
    whole = {fit.setting.precision for fit in found.fits if fit.fits and not fit.streamed_layers}
    assert whole == {"UD-Q5_K_XL", "Q4_K_M"}
    assert found.speeds == ()


@pytest.mark.parametrize("precision", ["bf16", "fp8"])
def test_the_speed_that_was_measured(models: dict[str, ModelOutline], precision: str) -> None:
    """Against the committed run of the seed job on an H200: 3,794 tokens a document."""
    file = PROJECT / "benchmarks" / "results" / f"native_prefill_27B_{precision}.json"
    measured = json.loads(file.read_text())
    found = plan(models[NAME], machine(named_gpu("h200")), engines=("native",), precisions=(precision,))
    (speed,) = found.speeds
    assert speed.basis == "measured"
    assert speed.low < measured["tokens_per_second"] < speed.high
    assert speed.tokens_per_second == pytest.approx(measured["tokens_per_second"], rel=0.03)
    assert speed.ceiling_tokens_per_second == pytest.approx(
        measured["ceilings"]["sustained_tokens_per_second"], rel=0.03
    )


def test_another_card_is_a_projection(models: dict[str, ModelOutline]) -> None:
    found = plan(models[NAME], machine(named_gpu("rtx-5090")), engines=("native", "llama-server"), context_tokens=8192)
    assert {speed.basis for speed in found.speeds} == {"projection"}
    fp8 = next(speed for speed in found.speeds if speed.precision == "fp8")
    assert fp8.low < 7_100 * 0.67 < fp8.high
    assert fp8.high < 8_300


def test_reported_runs_lie_in_the_ranges(models: dict[str, ModelOutline]) -> None:
    """Prompt tokens per second that others reported of Qwen3.5-27B."""
    reported = [
        ("h100", "sglang", "fp8", 15_700),
        ("h100", "sglang", "bf16", 10_600),
        ("h200", "sglang", "fp8", 16_800),
        ("h200", "sglang", "bf16", 11_200),
        ("rtx-5090", "llama-server", "UD-Q5_K_XL", 2_000),
        ("rtx-5090", "llama-server", "Q4_K_M", 3_670),
        ("rtx-4090", "llama-server", "Q4_K_M", 2_467),
        ("rtx-3090", "vllm", "int4", 1_131),
    ]
    for gpu, engine, precision, rate in reported:
        found = plan(
            models[NAME], machine(named_gpu(gpu)), engines=(engine,), precisions=(precision,), context_tokens=4096
        )
        (speed,) = found.speeds
        assert speed.low < rate < speed.high, (gpu, engine, precision, speed)


def test_streamed_weights_bound_the_speed(models: dict[str, ModelOutline]) -> None:
    """MODEL.md: 223 GB of 4-bit weights over 50 GB/s take 4.5 s a pass."""
    hardware = machine(named_gpu("pro-6000"), ram_gib=256)
    found = plan(
        models["Qwen3.5-397B-A17B"], hardware, engines=("native",), precisions=("nvfp4",), context_tokens=16_384,
        weights_memory_bytes=40 * GIB,
    )  # fmt: skip
    (fit,), (speed,) = found.fits, found.speeds
    assert fit.pack_tokens is not None
    assert fit.streamed_layers > 40
    assert speed.tokens_per_second <= fit.pack_tokens / (fit.streamed_bytes / 50e9) * 1.0001


def test_time_for_documents(models: dict[str, ModelOutline]) -> None:
    counts = DocumentCounts(
        documents=2, duplicates=0, unreadable=0, tokens=40_000, longest_tokens=30_000, squared_tokens=10**9
    )
    hardware = machine(named_gpu("h100"))
    found = make_plan(models[NAME], hardware, Wishes(engines=("native",), precisions=("fp8",)), counts)
    (speed,) = found.speeds
    assert speed.seconds == pytest.approx(40_000 / speed.tokens_per_second)
    assert speed.seconds is not None
    assert speed.seconds_low is not None
    assert speed.seconds_high is not None
    assert speed.seconds_low < speed.seconds < speed.seconds_high
    (short,) = plan(models[NAME], hardware, engines=("native",), precisions=("fp8",)).speeds
    assert speed.tokens_per_second < short.tokens_per_second, "long documents cost more attention"


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"engines": ("vlm",)}, "did you mean 'vllm'"),
        ({"precisions": ("fp9",)}, "did you mean 'fp8'"),
        ({"engines": ("native",), "precisions": ("Q4_K_M",)}, "no such precision for native"),
        ({"context_tokens": 300_000}, "was trained for 262,144 tokens"),
        ({"slots": 0}, "give at least 1"),
    ],
)
def test_wishes_that_make_no_sense(models: dict[str, ModelOutline], wishes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(models[NAME], machine(named_gpu("h100")), **wishes)


def test_a_limit_below_the_least_says_so(models: dict[str, ModelOutline]) -> None:
    setting = Setting(engine="native", precision="bf16", context_tokens=512, weights_memory_bytes=1 << 20)
    fit: Fit = plan_one(models[NAME], machine(ram_gib=128), setting)
    assert "--weights-memory 1.0 MiB: the least is two of the largest layers" in fit.problem
    assert fit.remedies[0] == "no --weights-memory: all layers fit"


def test_data_files_name_their_sources() -> None:
    for name in ("mixes.json", "shares.json"):
        assert json.loads((Path(PROJECT) / "src" / "thresher" / "planning" / name).read_text())["about"]
