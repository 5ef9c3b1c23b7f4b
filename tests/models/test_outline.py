"""What is known of a model before its weights are, from files here and from a real server that serves byte ranges."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import engine_models
from tests.support.checkpoints import FAMILIES, tiny_config, write_checkpoint
from tests.support.gguf_models import write_with_architecture
from tests.support.hub_server import HubServer
from tests.support.published_models import write_config
from thresher.errors import ModelDownloadError, ModelError, ModelFormatError, ModelNotFoundError
from thresher.models import open_model, outline, outline_of_model, resolve
from thresher.models.hub import HubSettings
from thresher.models.hub_outline import outline_on_hub
from thresher.models.outline import ModelOutline
from thresher.models.shape_weights import PARTS, part_of, weights_of


def gguf_bytes() -> bytes:
    return engine_models.shipped().files.path.read_bytes()


def on_hub(
    hub: HubServer, cache: Path, quantization: str | None = None, repository: str = "owner/repo"
) -> ModelOutline:
    settings = HubSettings(endpoint=hub.endpoint, cache=cache)
    return outline_on_hub(repository, quantization, repository, settings=settings)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({"owner/repo": {"m-Q8_0.gguf": gguf_bytes()}}) as server:
        yield server


def test_a_gguf_file_by_its_header() -> None:
    model = engine_models.shipped()
    found = outline("demo")
    assert found.parameters == model.facts.parameters == sum(weight.elements for weight in weights_of(found.shape))
    assert sum(part.size_bytes for part in found.stored.values()) == model.facts.weights_bytes
    assert (found.shape.layers, found.shape.context_tokens) == (model.facts.layers, model.facts.context_tokens)
    assert found.quantization == "Q8_0"
    tokenizer = found.load_tokenizer()
    assert tokenizer is not None
    assert tokenizer.encode("some words") == engine_models.shipped().tokenizer.encode("some words")  # type: ignore[union-attr]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_by_its_headers(family: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, tiny_config(family))  # type: ignore[arg-type]
    found = outline(str(tmp_path))
    assert found.parameters == sum(weight.elements for weight in weights_of(found.shape))
    by_shape: dict[str, int] = {}
    for weight in weights_of(found.shape):
        by_shape[weight.part] = by_shape.get(weight.part, 0) + weight.elements
    assert {part: stored.elements for part, stored in found.stored.items()} == by_shape
    assert outline(str(tmp_path / "model.safetensors")).shape == found.shape
    assert outline_of_model(open_model(resolve(str(tmp_path)))).shape == found.shape


def test_a_config_alone(tmp_path: Path) -> None:
    found = outline(str(write_config(tmp_path, "Qwen3.5-27B")))
    assert (found.source, found.quantization, dict(found.stored)) == ("config.json", None, {})
    assert found.load_tokenizer() is None


def test_every_name_has_its_part() -> None:
    names = {"token_embd.weight": "embedding", "output.weight": "head", "output_norm.weight": "other"}
    names |= {"blk.3.ffn_gate_exps.weight": "experts", "blk.3.ffn_gate_inp.weight": "other", "blk.0.ssm_a": "deltanet"}
    names |= {"model.layers.0.mlp.experts.7.up_proj.weight": "experts", "model.layers.0.mlp.gate.weight": "other"}
    names |= {"model.layers.0.self_attn.q_proj.weight": "attention", "blk.1.attn_output.weight": "attention"}
    assert {name: part_of(name) for name in names} == names
    assert set(names.values()) < set(PARTS)


def test_a_gguf_on_the_hub_without_its_weights(hub: HubServer, tmp_path: Path) -> None:
    found = on_hub(hub, tmp_path, "Q8_0")
    assert found.shape == outline("demo").shape
    assert (found.name, found.source) == ("m-Q8_0", "GGUF header, by byte ranges")
    assert all(wanted is not None for wanted in hub.downloads()), "nothing is asked for as a whole"
    assert hub.sent_bytes < len(gguf_bytes()) / 4
    assert not list(tmp_path.rglob("*.gguf"))


def test_a_checkpoint_on_the_hub_without_its_weights(hub: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    write_checkpoint(folder, tiny_config("qwen3_5"), shard_bytes=500_000)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sum(name.endswith(".safetensors") for name in files) > 1
    hub.repositories["owner/checkpoint"] = files
    found = on_hub(hub, tmp_path / "cache", repository="owner/checkpoint")
    assert found.shape == outline(str(folder)).shape
    assert found.parameters == outline(str(folder)).parameters
    assert found.source == "config.json and safetensors headers, by byte ranges"
    tokenizer = found.load_tokenizer()
    assert tokenizer is not None
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_repository_with_nothing_but_a_config(hub: HubServer, tmp_path: Path) -> None:
    config = (write_config(tmp_path, "Qwen3-32B") / "config.json").read_bytes()
    hub.repositories["owner/config"] = {"config.json": config}
    assert on_hub(hub, tmp_path, repository="owner/config").parameters == pytest.approx(32.8e9, rel=0.01)


def test_a_file_by_its_address(hub: HubServer) -> None:
    found = outline(f"{hub.endpoint}/owner/repo/resolve/main/m-Q8_0.gguf")
    assert found.shape == outline("demo").shape
    assert hub.sent_bytes < len(gguf_bytes()) / 4


def test_a_server_that_serves_no_ranges(hub: HubServer, tmp_path: Path) -> None:
    hub.ignores_ranges = True
    with pytest.raises(ModelDownloadError, match="serves no parts of files.*download the file and give its path"):
        on_hub(hub, tmp_path)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelDownloadError, match="cannot be reached"):
        outline("http://127.0.0.1:9/m.gguf")
    settings = HubSettings(endpoint="http://127.0.0.1:9", cache=tmp_path)
    with pytest.raises(ModelDownloadError, match="does not hold it"):
        outline_on_hub("owner/repo", None, "owner/repo", settings=settings)


def test_an_unknown_quantization_names_those_there_are(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="available: Q8_0"):
        on_hub(hub, tmp_path, "Q9_K")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": None}, "'num_hidden_layers' is missing"),
        ({"linear_num_value_heads": None}, "'linear_num_value_heads' is missing"),
        ({"model_type": "gpt_neox"}, "the sizes of the model type 'gpt_neox' are not known"),
        ({"hidden_size": -1}, "must be positive"),
        ({"layer_types": ["full_attention"]}, "for each of 64 layers"),
    ],
)
def test_a_config_that_does_not_say_enough(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=message):
        outline(str(write_config(tmp_path, "Qwen3.5-27B", **changes)))


def test_weights_without_a_config(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(ModelFormatError, match=r"holds weights and no config\.json"):
        outline(str(tmp_path))


def test_a_gguf_without_metadata(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    with pytest.raises(ModelFormatError, match=r"'general\.architecture' is missing"):
        outline(str(path))


def test_another_architecture_with_the_same_sizes(tmp_path: Path) -> None:
    path = write_with_architecture(engine_models.plain().files.path, tmp_path / "m.gguf", "some-new-one")
    found = outline(str(path)).shape
    assert (found.architecture, found.layers, found.full_layers) == ("some-new-one", 2, 2)


def test_the_address_of_a_server() -> None:
    with pytest.raises(ModelError, match="the address of a server"):
        outline("http://127.0.0.1:8080")
