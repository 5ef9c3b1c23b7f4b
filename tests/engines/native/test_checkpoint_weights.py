"""safetensors checkpoints of every layout, read for the native engine; transformers wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.support.checkpoints import FAMILIES, change_config, rewrite_weights, tiny_config, write_checkpoint
from thresher.engines.native.config import Family, NativeConfig
from thresher.engines.native.weights import WeightSource, open_weights
from thresher.errors import ModelFormatError, ModelNotFoundError
from thresher.models import open_model, resolve

Weights = dict[str, torch.Tensor]


def opened(folder: Path) -> WeightSource:
    return open_weights(open_model(resolve(str(folder))))


def check(source: WeightSource, config: NativeConfig, originals: Mapping[str, torch.Tensor]) -> None:
    """That the source holds the tensors that transformers has, and no others."""
    expected = {name.removeprefix("model."): value for name, value in originals.items()}
    if config.tied_embeddings:
        del expected["lm_head.weight"]
    assert source.config == config
    assert set(source.names()) == expected.keys()
    for name in source.names():
        assert source.shape(name) == tuple(expected[name].shape)
        assert torch.equal(source.load(name, torch.float32), expected[name]), name


@pytest.mark.parametrize("family", FAMILIES)
def test_what_transformers_saves_is_read(family: Family, tmp_path: Path) -> None:
    config = tiny_config(family)
    originals = write_checkpoint(tmp_path, config)
    check(opened(tmp_path), config, originals)


def test_shards_and_a_tied_head(tmp_path: Path) -> None:
    config = tiny_config("qwen3_5", tied=True)
    originals = write_checkpoint(tmp_path, config, shard_bytes=500_000)
    assert len(list(tmp_path.glob("*.safetensors"))) > 3
    check(opened(tmp_path), config, originals)
    one = sorted(tmp_path.glob("*.safetensors"))[1]
    check(open_weights(open_model(resolve(str(one)))), config, originals)
    one.unlink()
    with pytest.raises(ModelNotFoundError, match=rf"1 of them are missing: {one.name}"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("prefix", "head"),
    [("model.language_model.", "lm_head.weight"), ("language_model.model.", "language_model.lm_head.weight")],
)
def test_multimodal_checkpoints_keep_the_language_model_deeper(prefix: str, head: str, tmp_path: Path) -> None:
    config = tiny_config("qwen3_5_moe")
    originals = write_checkpoint(tmp_path, config)
    deeper = {
        head if name == "lm_head.weight" else prefix + name.removeprefix("model."): value
        for name, value in originals.items()  # with fused experts, as the published models have them
    }
    eyes = {"model.visual.patch_embed.proj.weight": torch.zeros(8, 8), "mtp.fc.weight": torch.zeros(4, 4)}
    rewrite_weights(tmp_path, {**deeper, **eyes})
    path = tmp_path / "config.json"
    text = json.loads(path.read_text())
    path.write_text(json.dumps({"model_type": "qwen3_5_moe", "text_config": text, "vision_config": {"depth": 2}}))
    check(opened(tmp_path), config, originals)
    assert open_model(resolve(str(tmp_path))).facts.parameters == sum(value.numel() for value in originals.values())


@pytest.mark.parametrize("fused", [True, False])
def test_single_experts_are_read_from_any_layout(fused: bool, tmp_path: Path) -> None:
    originals = write_checkpoint(tmp_path, tiny_config("qwen3_moe"))
    if fused:
        rewrite_weights(tmp_path, originals)
    source = opened(tmp_path)
    for name in ("layers.1.mlp.experts.gate_up_proj", "layers.1.mlp.experts.down_proj"):
        expected = originals[f"model.{name}"]
        assert torch.equal(source.load(name, torch.float32), expected)
        assert torch.equal(source.load_rows(name, [6, 0, 6], torch.float32), expected[[6, 0, 6]])
        assert source.stored_bytes(name) == expected.nbytes


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_rounded_once(stored: torch.dtype, tmp_path: Path) -> None:
    originals = {name: value.to(stored) for name, value in write_checkpoint(tmp_path, tiny_config("qwen3")).items()}
    rewrite_weights(tmp_path, originals)
    source = opened(tmp_path)
    name = "layers.0.mlp.down_proj.weight"
    assert torch.equal(source.load(name, stored), originals[f"model.{name}"])
    assert torch.equal(source.load(name, torch.bfloat16), originals[f"model.{name}"].to(torch.bfloat16))
    assert torch.equal(source.load_rows(name, [3, 1], stored), originals[f"model.{name}"][[3, 1]])


def in_fp8(weights: Mapping[str, torch.Tensor], block: tuple[int, int] | None, ending: str) -> tuple[Weights, Weights]:
    """What an fp8 repository stores, and the values that it means."""
    stored, meant = dict(weights), dict(weights)
    for name, value in weights.items():
        if value.ndim < 2 or "proj" not in name or value.shape[-1] < 32:
            continue
        scales = factors_of(value, block)
        whole = expanded(scales, value.shape, block)
        stored[name] = (value / whole).to(torch.float8_e4m3fn)
        stored[name + ending] = scales
        meant[name] = stored[name].float() * whole
    return stored, meant


def factors_of(value: torch.Tensor, block: tuple[int, int] | None) -> torch.Tensor:
    if block is None:
        return (value.abs().max() / 448).reshape(1)
    rows, columns = (-(-value.shape[-2] // block[0]), -(-value.shape[-1] // block[1]))
    generator = torch.Generator().manual_seed(rows * columns)
    return 0.001 + 0.01 * torch.rand(*value.shape[:-2], rows, columns, generator=generator)


def expanded(scales: torch.Tensor, shape: torch.Size, block: tuple[int, int] | None) -> torch.Tensor:
    if block is None:
        return scales
    whole = scales.repeat_interleave(block[0], -2).repeat_interleave(min(block[1], shape[-1]), -1)
    return whole[..., : shape[-2], : shape[-1]]


@pytest.mark.parametrize("family", ["qwen3_5", "qwen3_5_moe"])
@pytest.mark.parametrize(
    ("block", "ending"),
    [((128, 128), "_scale_inv"), ((48, 64), "_scale_inv"), ((1, 10**6), "_scale"), (None, "_scale")],
)
def test_fp8_is_number_times_factor(family: Family, block: tuple[int, int] | None, ending: str, tmp_path: Path) -> None:
    config = tiny_config(family)
    weights, meant = in_fp8(write_checkpoint(tmp_path, config), block, ending)
    rewrite_weights(tmp_path, weights)
    settings: dict[str, object] = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    if block is not None and block[1] < 10**6:
        settings["weight_block_size"] = list(block)
    change_config(tmp_path, quantization_config=settings)
    source = opened(tmp_path)
    check(source, config, meant)
    name = "layers.1.self_attn.q_proj.weight"
    rows = [700, 3, 200]
    assert torch.equal(source.load_rows(name, rows, torch.float32), meant[f"model.{name}"][rows])
    assert source.stored_bytes(name) == weights[f"model.{name}"].nbytes + weights[f"model.{name}{ending}"].nbytes
    if config.moe:
        name = "layers.1.mlp.experts.down_proj"
        assert torch.equal(source.load_rows(name, [4, 1], torch.float32), meant[f"model.{name}"][[4, 1]])
    assert open_model(resolve(str(tmp_path))).facts.quantization == "FP8"


def test_fp8_single_experts(tmp_path: Path) -> None:
    config = tiny_config("qwen3_moe")
    originals = write_checkpoint(tmp_path, config)
    single = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert "model.layers.0.mlp.experts.0.gate_proj.weight" in single
    weights, meant = in_fp8(single, (64, 64), "_scale_inv")
    rewrite_weights(tmp_path, weights)
    change_config(tmp_path, quantization_config={"quant_method": "fp8", "weight_block_size": [64, 64]})
    loaded = opened(tmp_path).load("layers.2.mlp.experts.gate_up_proj", torch.float32)
    below = "model.layers.2.mlp.experts"
    gate, up = (torch.stack([meant[f"{below}.{e}.{part}_proj.weight"] for e in range(8)]) for part in ("gate", "up"))
    assert torch.equal(loaded, torch.cat([gate, up], dim=1))
    assert (loaded - originals[f"{below}.gate_up_proj"]).norm() < 0.1 * loaded.norm()


def drop(name: str) -> Callable[[Weights], Weights]:
    return lambda weights: {key: value for key, value in weights.items() if key != name}


def swap(name: str, value: torch.Tensor) -> Callable[[Weights], Weights]:
    return lambda weights: {**weights, name: value}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (drop("model.norm.weight"), r"the tensor 'norm.weight' of shape \(96,\) is missing"),
        (
            drop("model.embed_tokens.weight"),
            r"'embed_tokens.weight' is missing, with or without a prefix; .*46 tensors",
        ),
        (
            swap("model.layers.3.self_attn.o_proj.weight", torch.zeros(96, 64)),
            r"'layers.3.self_attn.o_proj.weight' has the shape \(96, 64\), and the model's config promises \(96, 384\)",
        ),
        (
            swap("model.norm.weight", torch.zeros(96, dtype=torch.int32)),
            r"'model.norm.weight' is stored as I32, and the native engine reads F64, F32",
        ),
        (
            swap("model.layers.0.mlp.up_proj.weight", torch.zeros(160, 96, dtype=torch.float8_e4m3fn)),
            r"'model.layers.0.mlp.up_proj.weight' is in fp8 and its factors are missing, '.*_scale_inv' or",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(edit: Callable[[Weights], Weights], said: str, tmp_path: Path) -> None:
    rewrite = edit(write_checkpoint(tmp_path, tiny_config("qwen3")))
    rewrite_weights(tmp_path, rewrite)
    with pytest.raises(ModelFormatError, match=said):
        opened(tmp_path)


def test_a_missing_expert_is_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, tiny_config("qwen3_moe"))
    single = safetensors.torch.load_file(tmp_path / "model.safetensors")
    rewrite_weights(tmp_path, drop("model.layers.3.mlp.experts.5.up_proj.weight")(single))
    with pytest.raises(
        ModelFormatError, match=r"1 experts' tensors are missing, '.*layers.3.mlp.experts.5.up_proj.weight"
    ):
        opened(tmp_path)


def test_a_factor_may_have_no_dimensions(tmp_path: Path) -> None:
    weights, meant = in_fp8(write_checkpoint(tmp_path, tiny_config("qwen3")), None, "_scale")
    rewrite_weights(tmp_path, {name: w.reshape(()) if name.endswith("_scale") else w for name, w in weights.items()})
    check(opened(tmp_path), tiny_config("qwen3"), meant)


def test_experts_of_different_shapes_are_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, tiny_config("qwen3_moe"))
    single = safetensors.torch.load_file(tmp_path / "model.safetensors")
    rewrite_weights(tmp_path, {**single, "model.layers.2.mlp.experts.5.up_proj.weight": torch.zeros(32, 96)})
    with pytest.raises(ModelFormatError, match=r"not of one shape: .*, '.*experts.5.up_proj.weight' has \(32, 96\)"):
        opened(tmp_path)


def test_factors_of_another_shape_are_named(tmp_path: Path) -> None:
    weights, _ = in_fp8(write_checkpoint(tmp_path, tiny_config("qwen3")), (64, 64), "_scale_inv")
    rewrite_weights(tmp_path, weights)
    change_config(tmp_path, quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]})
    with pytest.raises(
        ModelFormatError, match=r"have the shape \(6, 2\); a tensor of \(384, 96\) has one for the whole, one "
    ):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_act": "gelu"}, r"hidden_act is 'gelu', and the native engine knows only 'silu'"),
        ({"hidden_act": None}, r"the key 'hidden_act' is missing"),
        ({"attention_bias": True}, r"attention_bias is True"),
        ({"use_sliding_window": True}, r"use_sliding_window is True"),
        ({"head_dim": None}, r"the key 'head_dim' is missing"),
        ({"rms_norm_eps": "small"}, r"the key 'rms_norm_eps' should be of type float, and is 'small'"),
        ({"num_attention_heads": 0}, r"'num_attention_heads' is 0; it must be positive"),
        ({"num_key_value_heads": True}, r"'num_key_value_heads' should be of type int"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}}, r"rope_type is 'yarn'"),
        ({"rope_parameters": {"rope_type": "default"}}, r"rope_parameters: the key 'rope_theta' is missing"),
        (
            {"layer_types": ["full_attention"] * 3},
            r"layer_types should name .* for each of 4 layers, and has 3 entries",
        ),
        ({"layer_types": ["sliding_attention"] * 4}, r"'sliding_attention' among them"),
        ({"tie_word_embeddings": None}, r"'tie_word_embeddings' is missing"),
        ({"model_type": "llama"}, r"the model type 'llama' is not built into the native engine, only qwen3, "),
        ({"quantization_config": {"quant_method": "awq"}}, r"quantized by 'awq', and the native engine reads fp8"),
        (
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128]}},
            r"weight_block_size should be two positive numbers and is \[128\]",
        ),
    ],
)
def test_a_config_that_changes_the_arithmetic_is_refused(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, tiny_config("qwen3"))
    change_config(tmp_path, **changes)
    with pytest.raises(ModelFormatError, match=said):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"linear_num_value_heads": 5}, r"linear_num_value_heads 5 is no multiple of linear_num_key_heads 2"),
        ({"attn_output_gate": False}, r"attn_output_gate is False"),
        (
            {"rope_parameters": {"rope_theta": 1e6, "partial_rotary_factor": 0.3}},
            r"partial_rotary_factor 0.3 of head_dim 64 is no even number",
        ),
        ({"rope_parameters": {"rope_theta": 1e6}}, r"'partial_rotary_factor' is missing"),
    ],
)
def test_a_hybrid_config_is_checked_too(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, tiny_config("qwen3_5"))
    change_config(tmp_path, **changes)
    with pytest.raises(ModelFormatError, match=said):
        opened(tmp_path)


def test_unknown_keys_and_the_older_spelling_are_fine(tmp_path: Path) -> None:
    config = tiny_config("qwen3")
    originals = write_checkpoint(tmp_path, config)
    change_config(tmp_path, rope_parameters=None, rope_theta=1000000, rope_scaling=None, something_new=[1, 2])
    check(opened(tmp_path), config, originals)
