"""The arithmetic against what is published of the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import SHARED_DATA
from tests.support.published_models import CONFIGS, write_config, write_dynamic_q5
from thresher.hardware import HardwareFacts, named_gpu, unnamed_gpu
from thresher.models import ModelOutline, outline
from thresher.planning import Fit, Wishes, make_plan
from thresher.planning.costs import (
    active_parameters,
    core_flops_per_token,
    kv_bytes_per_token,
    matmul_flops_per_token,
    state_bytes_per_layer,
    state_bytes_per_sequence,
)
from thresher.planning.native_blocks import all_block_bytes
from thresher.planning.native_sizes import row_bytes
from thresher.planning.plan import weights_by_precision

GIB, MIB = 1 << 30, 1 << 20


def machine(*gpus: object, ram_gib: int = 64) -> HardwareFacts:
    return HardwareFacts(
        cpu="any",
        cores=8,
        memory_bytes=ram_gib * GIB,
        free_memory_bytes=ram_gib * GIB,
        gpus=gpus,  # type: ignore[arg-type]
        present=False,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelOutline]:
    folder = tmp_path_factory.mktemp("published")
    return {name: outline(str(write_config(folder, name))) for name in CONFIGS}


def total(found: ModelOutline, precision: str) -> int:
    return sum(weights_by_precision(found)[precision].values())


def fits(found: ModelOutline, *gpus: object, **wishes: object) -> list[Fit]:
    return list(make_plan(found, machine(*gpus), Wishes(**wishes)).fits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen3.5-27B", 26.896e9),
        ("Qwen3.5-397B-A17B", 396.3e9),
        ("Qwen3-32B", 32.8e9),
        ("Qwen3.5-35B-A3B", 34.7e9),
    ],
)
def test_parameters(models: dict[str, ModelOutline], name: str, parameters: float) -> None:
    assert models[name].parameters == pytest.approx(parameters, rel=0.002)


def test_active_parameters(models: dict[str, ModelOutline]) -> None:
    assert active_parameters(models["Qwen3.5-397B-A17B"].shape) == pytest.approx(17e9, rel=0.05)
    assert active_parameters(models["Qwen3.5-35B-A3B"].shape) == pytest.approx(3e9, rel=0.05)


def test_context_of_the_27b(models: dict[str, ModelOutline]) -> None:
    shape = models["Qwen3.5-27B"].shape
    assert kv_bytes_per_token(shape) == 65_536
    assert 262_144 * kv_bytes_per_token(shape) == 16 * GIB
    assert state_bytes_per_sequence(shape) == pytest.approx(150 * MIB, rel=0.01)
    assert state_bytes_per_layer(shape) == 3 * MIB + 120 * 1024
    assert row_bytes(shape, 2) == 14 * 1024 + 256


def test_context_of_a_dense_model(models: dict[str, ModelOutline]) -> None:
    """64 layers of 8 heads of 128, keys and values, 16 bits: 256 KiB a token, 10 GiB for its 40,960."""
    shape = models["Qwen3-32B"].shape
    assert kv_bytes_per_token(shape) == 262_144
    assert shape.context_tokens * kv_bytes_per_token(shape) == 10 * GIB
    assert state_bytes_per_sequence(shape) == 0


def test_weights_without_the_tables(models: dict[str, ModelOutline]) -> None:
    """MODEL.md: resident weights when embedding and head are elsewhere."""
    shape = models["Qwen3.5-27B"].shape
    found = {name: sum(all_block_bytes(shape, name)) / GIB for name in ("bf16", "fp8", "nvfp4")}
    assert found == pytest.approx({"bf16": 45.4, "fp8": 22.7, "nvfp4": 12.8}, rel=0.003)


def test_weights_of_files(models: dict[str, ModelOutline]) -> None:
    found = models["Qwen3.5-27B"]
    assert 18.3 <= total(found, "UD-Q5_K_XL") / GIB <= 18.8
    assert total(found, "Q4_K_M") == pytest.approx(16_740_812_160, rel=1e-4)
    assert total(found, "Q8_0") == pytest.approx(28_595_762_560, rel=0.002)
    assert total(models["Qwen3-32B"], "bf16") == pytest.approx(65.5e9, rel=0.005)


def test_four_bits_of_the_397b(models: dict[str, ModelOutline]) -> None:
    found = models["Qwen3.5-397B-A17B"]
    for precision in ("NVFP4", "MXFP4", "Q4_0", "int4"):
        assert 208e9 <= total(found, precision) <= 223.5e9, precision


def test_operations_of_the_27b(models: dict[str, ModelOutline]) -> None:
    shape = models["Qwen3.5-27B"].shape
    assert matmul_flops_per_token(shape) == pytest.approx(48.0e9, rel=0.001)
    attention = core_flops_per_token(shape, 131_072) - core_flops_per_token(shape, 0)
    assert attention == pytest.approx(24.2e9 * 131_072 / 128_000, rel=0.05)


def test_the_seed_job_fits_its_card(models: dict[str, ModelOutline]) -> None:
    """320 documents on an RTX 5090 with llama.cpp's server: 8 slots of 16K each, all of it on the card."""
    (fit,) = fits(
        models["Qwen3.5-27B"], named_gpu("rtx-5090"),
        engines=("llama-server",), precisions=("ud-q5_k_xl",), context_tokens=16_384, slots=8,
    )  # fmt: skip
    assert fit.fits
    assert 27 * GIB < fit.bytes < 30 * GIB
    assert fit.parts["kv"] == 8 * GIB
    assert fit.parts["state"] == 8 * state_bytes_per_sequence(models["Qwen3.5-27B"].shape)


def test_four_bits_of_the_27b_with_context(models: dict[str, ModelOutline]) -> None:
    for context in (49_152, 65_536):
        (fit,) = fits(
            models["Qwen3.5-27B"], unnamed_gpu(24 * GIB),
            engines=("llama-server",), precisions=("Q4_K_M",), context_tokens=context, slots=1,
        )  # fmt: skip
        assert fit.fits
        with_embedding = fit.bytes + weights_by_precision(models["Qwen3.5-27B"])["Q4_K_M"]["embedding"]
        assert 20e9 <= with_embedding <= 24e9


def test_native_peak_on_an_h200(models: dict[str, ModelOutline]) -> None:
    """Against the peak of device memory that the benchmark of the seed job measured (benchmarks/results)."""
    measured = {"bf16": 59_477_814_784, "fp8": 34_434_741_760}
    for precision, peak in measured.items():
        (fit,) = fits(
            models["Qwen3.5-27B"],
            named_gpu("h200"),
            engines=("native",),
            precisions=(precision,),
            context_tokens=16_384,
        )
        weights_and_rows = fit.parts["weights"] + fit.parts["kv"] + fit.parts["activations"]
        assert weights_and_rows == pytest.approx(peak, rel=0.05)


def test_the_headers_of_a_file_say_the_same(models: dict[str, ModelOutline], tmp_path: Path) -> None:
    """851 tensors in the types that llama.cpp's loader counts; 20 GB that lie nowhere."""
    found = outline(str(write_dynamic_q5(tmp_path, models["Qwen3.5-27B"].shape)))
    assert found.parameters == models["Qwen3.5-27B"].parameters
    assert 18.3 <= sum(part.size_bytes for part in found.stored.values()) / GIB <= 18.8
    assert kv_bytes_per_token(found.shape) == 65_536
    assert state_bytes_per_sequence(found.shape) == state_bytes_per_sequence(models["Qwen3.5-27B"].shape)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configs_of_public_projects_agree(
    shared_data: Path, models: dict[str, ModelOutline], name: str, tmp_path: Path
) -> None:
    config = (SHARED_DATA / "models" / "configs" / f"{name}.json").read_text()
    (tmp_path / "config.json").write_text(config)
    assert outline(str(tmp_path)).shape == models[name].shape
