"""GGUF files read for the native engine: the checkpoint comes back, and llama.cpp agrees on what it means."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support import engine_models
from tests.support.checkpoints import FAMILIES, random_weights, tiny_config
from tests.support.gguf_weights import write_gguf_model
from tests.support.references import llama_logits, transformers_logits
from tests.support.vocabularies import SAMPLES, train
from thresher.engines.native.config import Family, NativeConfig
from thresher.engines.native.weights import WeightSource, open_weights
from thresher.errors import ModelFormatError
from thresher.models import Model, open_model, resolve
from thresher.models.ggml_types import TENSOR_TYPES

TEXT = "Invoice 4711: please pay 300 EUR within 14 days. The lease ends on Monday. " * 3
VOCABULARY = train(SAMPLES, size=300)


def config_of(family: Family, **changes: object) -> NativeConfig:
    config = tiny_config(family, vocabulary_size=len(VOCABULARY.all_tokens))
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def written(
    path: Path, config: NativeConfig, weights: dict[str, torch.Tensor] | None = None, **keys: int | str
) -> Model:
    weights = weights or random_weights(config)
    return open_model(resolve(str(write_gguf_model(path / "m.gguf", config, weights, VOCABULARY, **keys))))


def encoded(model: Model) -> list[int]:
    assert model.tokenizer is not None
    return model.tokenizer.encode(TEXT)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_checkpoint_comes_back_and_llama_cpp_agrees(family: Family, tmp_path: Path) -> None:
    config = config_of(family)
    model = written(tmp_path, config)
    source = open_weights(model)
    assert source.config == config
    originals = {name.removeprefix("model."): value for name, value in random_weights(config).items()}
    assert set(source.names()) == originals.keys()
    for name in source.names():
        loaded = source.load(name, torch.float32)
        assert loaded.is_contiguous()
        assert source.shape(name) == tuple(loaded.shape)
        torch.testing.assert_close(loaded, originals[name], rtol=0, atol=1e-6)
    tokens = encoded(model)
    mine, theirs = transformers_logits(source, tokens), llama_logits(model, tokens)
    assert (mine - theirs).norm() / theirs.norm() < 1e-3


@pytest.mark.parametrize("make", [engine_models.float32, engine_models.plain])
def test_llama_cpp_agrees_on_models_with_meaning(make: Callable[[], Model]) -> None:
    model = make()
    tokens = encoded(model)
    mine, theirs = transformers_logits(open_weights(model), tokens), llama_logits(model, tokens)
    assert (mine - theirs).norm() / theirs.norm() < 1e-4


@pytest.fixture(scope="module")
def demo() -> WeightSource:
    return open_weights(engine_models.shipped())


@pytest.mark.parametrize(
    "name",
    [
        "embed_tokens.weight",
        "layers.0.linear_attn.in_proj_qkv.weight",
        "layers.0.linear_attn.conv1d.weight",
        "layers.0.linear_attn.out_proj.weight",
        "layers.0.linear_attn.A_log",
        "layers.1.self_attn.q_norm.weight",
    ],
)
def test_rows_are_those_of_the_whole(demo: WeightSource, name: str) -> None:
    rows = [demo.shape(name)[0] - 1, 0, 2, 0]
    whole = demo.load(name, torch.bfloat16)
    assert torch.equal(demo.load_rows(name, torch.tensor(rows), torch.bfloat16), whole[rows])
    assert demo.load_rows(name, [], torch.float32).shape == (0, *demo.shape(name)[1:])
    for outside in (-1, demo.shape(name)[0]):
        with pytest.raises(IndexError, match="rows"):
            demo.load_rows(name, [outside], torch.float32)


def test_what_is_loaded_is_the_callers_own(demo: WeightSource) -> None:
    first = demo.load("norm.weight", torch.float32)
    kept = first.clone()
    first.zero_()
    assert torch.equal(demo.load("norm.weight", torch.float32), kept)


def test_stored_bytes_are_the_files(demo: WeightSource) -> None:
    assert sum(map(demo.stored_bytes, demo.names())) == engine_models.shipped().facts.weights_bytes


def test_single_experts_are_read_from_fused_tensors(tmp_path: Path) -> None:
    source = open_weights(written(tmp_path, config_of("qwen3_5_moe")))
    for name in ("layers.0.mlp.experts.gate_up_proj", "layers.0.mlp.experts.down_proj"):
        assert torch.equal(source.load_rows(name, [5, 2], torch.float32), source.load(name, torch.float32)[[5, 2]])


def test_layers_that_predict_further_tokens_are_left_out(tmp_path: Path) -> None:
    config = config_of("qwen3")
    more = dataclasses.replace(config, layer_count=5, layer_kinds=("full",) * 5)
    source = open_weights(written(tmp_path, more, nextn_predict_layers=1))
    assert source.config == config
    assert not any(name.startswith("layers.4.") for name in source.names())


def test_a_closed_source_reads_no_more(tmp_path: Path) -> None:
    source = open_weights(written(tmp_path, config_of("qwen3")))
    source.close()
    source.close()
    with pytest.raises(ValueError, match="is closed"):
        source.load("norm.weight", torch.float32)


def test_a_file_cut_after_it_was_opened_is_an_error(tmp_path: Path) -> None:
    model = written(tmp_path, config_of("qwen3"))
    source = open_weights(model)
    with model.files.path.open("r+b") as file:
        file.truncate(model.files.path.stat().st_size // 2)
    with pytest.raises(ModelFormatError, match="cut short after it was opened"):
        [source.load(name, torch.float32) for name in source.names()]


def test_tensors_that_do_not_fit_the_config_are_named(tmp_path: Path) -> None:
    config = config_of("qwen3")
    weights = random_weights(config)
    up, keys = weights["model.layers.2.mlp.up_proj.weight"], "model.layers.1.self_attn.k_proj.weight"
    del weights["model.layers.2.mlp.up_proj.weight"]
    with pytest.raises(ModelFormatError, match=r"'layers.2.mlp.up_proj.weight' of shape \(160, 96\) is missing"):
        open_weights(written(tmp_path, config, weights))
    changed = {**weights, "model.layers.2.mlp.up_proj.weight": up, keys: weights[keys][:64]}
    with pytest.raises(ModelFormatError, match=r"'layers.1.self_attn.k_proj.weight' has the shape \(64, 96\), and .*"):
        open_weights(written(tmp_path, config, changed))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rope__scaling__type", "yarn", r"qwen3.rope.scaling.type is 'yarn', and .* knows only 'none'"),
        ("attention__sliding_window", 512, r"qwen3.attention.sliding_window is 512"),
        ("expert_gating_func", 2, r"qwen3.expert_gating_func is 2, and .* knows only 1"),
    ],
)
def test_other_arithmetic_is_refused_by_name(key: str, value: int | str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=said):
        open_weights(written(tmp_path, config_of("qwen3"), None, **{key: value}))


def test_a_bias_is_refused(tmp_path: Path) -> None:
    config = config_of("qwen3")
    weights = {**random_weights(config), "model.layers.0.self_attn.q_proj.bias": torch.zeros(384)}
    with pytest.raises(ModelFormatError, match=r"'blk.0.attn_q.bias' changes what the model computes"):
        open_weights(written(tmp_path, config, weights))


def test_types_that_are_not_built_are_named(tmp_path: Path) -> None:
    model = written(tmp_path, config_of("qwen3"))
    (number,) = (kind for kind, info in TENSOR_TYPES.items() if info.name == "I32")
    place = model.files.path.read_bytes().index(b"blk.3.ffn_up.weight") + len("blk.3.ffn_up.weight") + 4 + 2 * 8
    with model.files.path.open("r+b") as file:
        file.seek(place)
        file.write(struct.pack("<I", number))
    with pytest.raises(
        ModelFormatError, match=r"'blk.3.ffn_up.weight' is stored as I32, and the native engine reads F32"
    ):
        open_weights(open_model(resolve(str(model.files.path))))


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = engine_models.shipped().files.path
    other = tmp_path / "other.gguf"
    other.write_bytes(path.read_bytes().replace(b"qwen35", b"qwen99"))
    with pytest.raises(ModelFormatError, match=r"'qwen99' is not built into the native engine, only qwen3, "):
        open_weights(open_model(resolve(str(other))))


def test_numbers_that_cannot_be_are_refused(tmp_path: Path) -> None:
    model = written(tmp_path, config_of("qwen3_5"))
    info = next(tensor for tensor in model.headers[0].tensors if tensor.name == "blk.0.ssm_a")
    with model.files.path.open("r+b") as file:
        file.seek(info.offset)
        file.write(np.ones(6, dtype=np.float32).tobytes())
    with pytest.raises(ModelFormatError, match="should be negative everywhere"):
        open_weights(model).load("layers.0.linear_attn.A_log", torch.float32)
