"""``thresher plan`` as users meet it."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.cli.conftest import Thresher
from tests.conftest import PROJECT
from tests.support.checkpoints import tiny_config, write_checkpoint
from tests.support.hub_server import HubServer
from tests.support.published_models import write_config, write_dynamic_q5
from thresher.hardware import HardwareFacts
from thresher.models import outline
from thresher.pipeline import machine

GIB = 1 << 30


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is one of 16 GiB without a GPU, whatever it is."""
    here = HardwareFacts(
        cpu="a processor", cores=4, memory_bytes=16 * GIB, free_memory_bytes=12 * GIB, gpus=(), present=True
    )
    monkeypatch.setattr(machine, "probe_hardware", lambda: here)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "models", "Qwen3.5-27B")


def test_the_object_for_programs(thresher: Thresher, config: Path) -> None:
    result = thresher(
        "plan", "--model", config, "--gpu", "rtx-5090", "--context", "16384", "--slots", "8", "--json"
    )  # fmt: skip
    assert result.code == 0
    found = result.json
    assert found["parameters"] == 26_895_998_464
    assert found["kv_bytes_per_token"] == 65_536
    assert found["state_bytes_per_sequence"] == 156_893_184
    assert found["weights_bytes"]["Q4_K_M"] == pytest.approx(16_740_812_160, rel=1e-4)
    fields = {"engine", "precision", "context", "slots", "pack", "bytes", "fits", "remedy"}
    assert all(fields <= set(fit) for fit in found["fits"])
    server = next(f for f in found["fits"] if (f["engine"], f["precision"]) == ("llama-server", "UD-Q5_K_XL"))
    assert (server["fits"], server["slots"], server["context"]) == (True, 8, 16_384)
    assert sum(server["bytes_by_part"].values()) == server["bytes"] < server["available_bytes"]
    unfit = next(fit for fit in found["fits"] if (fit["engine"], fit["precision"]) == ("native", "bf16"))
    assert not unfit["fits"]
    assert "--weights-memory" in unfit["remedy"]
    assert {"tokens_per_second", "low", "high", "basis", "seconds"} <= set(found["speed"][0])
    assert found["hardware"]["this_machine"] is False
    assert found["documents"] is None


def test_the_tables_for_people(thresher: Thresher, config: Path) -> None:
    result = thresher("plan", "--model", config, "--vram", "12", "--context", "32768", "--engine", "native")
    assert result.code == 0, "a plan could be made, though nothing fits"
    for words in (
        "26.90 B",
        "65,536 bytes a token",
        "149.6 MiB a sequence",
        "a GPU with 12 GiB",
        "--weights-memory 8GiB",
    ):
        assert words in result.out
    assert "the rates of this machine are not known" in result.out


def test_a_quantized_file(thresher: Thresher, config: Path) -> None:
    file = write_dynamic_q5(config.parent, outline(str(config)).shape)
    found = thresher("plan", "--model", file, "--gpu", "rtx-5090", "--context", "131072", "--json").json
    assert {fit["engine"] for fit in found["fits"]} == {"native", "llamacpp", "llama-server"}
    assert 18.3 <= found["weights_bytes"][found["quantization"]] / GIB <= 18.8
    assert sum(found["stored_types_bytes"].values()) == found["weights_bytes"][found["quantization"]]
    server = next(fit for fit in found["fits"] if fit["engine"] == "llama-server")
    assert (server["fits"], server["slots"]) == (True, 1)


def test_the_context_is_cut_to_what_fits(thresher: Thresher, config: Path) -> None:
    found = thresher("plan", "--model", config, "--vram", "24GiB", "--precision", "Q4_K_M", "--json").json
    contexts = {fit["engine"]: fit["context"] for fit in found["fits"]}
    assert set(contexts) == {"llamacpp", "llama-server"}
    assert all(16_384 < context < 262_144 for context in contexts.values())
    assert all(fit["fits"] for fit in found["fits"])


def test_documents_are_counted(thresher: Thresher, tmp_path: Path) -> None:
    examples = PROJECT / "examples" / "documents"
    found = thresher("plan", "--model", "demo", "--gpu", "h100", "--documents", examples, "--json").json
    assert found["documents"]["documents"] == len([path for path in examples.rglob("*") if path.is_file()])
    assert found["documents"]["tokens"] > 10_000
    native = next(speed for speed in found["speed"] if speed["engine"] == "native")
    assert native["seconds"] == pytest.approx(found["documents"]["tokens"] / native["tokens_per_second"])
    (tmp_path / "rows.jsonl").write_text(
        '{"body_text": "some words"}\n{"body_text": "some words"}\n{"body_text": "a"}\n'
    )
    found = thresher(
        "plan", "--model", "demo", "--documents", "rows.jsonl", "--text-column", "body_text", "--json"
    ).json["documents"]
    assert (found["documents"], found["duplicates"], found["unreadable"]) == (3, 1, 0)
    assert not (tmp_path / "thresher-jobs").exists()


def test_batch_files_are_counted(thresher: Thresher, tmp_path: Path) -> None:
    line = (
        '{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", '
        '"content": "Is this an invoice?"}], "response_format": {"type": "json_schema", "json_schema": {"name": "a", '
        '"schema": {"type": "string", "enum": ["yes", "no"]}}}}}'
    )
    (tmp_path / "batch.jsonl").write_text(line + "\n")
    found = thresher("plan", "--model", "demo", "--documents", "batch.jsonl", "--json")
    assert found.code == 0, found.err
    assert found.json["documents"]["documents"] == 1


def test_a_config_without_a_tokenizer(thresher: Thresher, config: Path) -> None:
    result = thresher("plan", "--model", config, "--documents", PROJECT / "examples" / "documents")
    assert result.code == 2
    assert "comes without a tokenizer" in result.err
    assert "tokenizer.json beside its config.json" in result.err


def test_a_checkpoint_with_a_tokenizer(thresher: Thresher, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint", tiny_config("qwen3_5"))
    result = thresher("plan", "--model", "checkpoint", "--documents", PROJECT / "examples" / "documents", "--json")
    assert result.json["documents"]["tokens"] > 10_000


def test_a_hub_name_fetches_headers_only(
    thresher: Thresher, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 20 GB of the file are zeros that the server makes up; a few MB of it go over the wire."""
    file = write_dynamic_q5(tmp_path, outline(str(config)).shape)
    with file.open("rb") as opened:
        content = opened.read(32 << 20)
    with HubServer({"owner/repo": {file.name: content}}, claimed_bytes={file.name: file.stat().st_size}) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        found = thresher("plan", "--model", "owner/repo:UD-Q5_K_XL", "--gpu", "rtx-5090", "--json")
    assert found.code == 0, found.err
    assert found.json["parameters"] == 26_895_998_464
    assert 0 < hub.sent_bytes < 20e6


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--gpu", "rtx-4091"], 2, "did you mean 'rtx-4090'"),
        (["--gpus", "2"], 2, "nvidia-smi shows no GPU in this machine"),
        (["--vram", "much"], 2, "--vram: 'much' is no size"),
        (["--gpu", "h100", "--gpu", "h200"], 2, "--gpu h100 --gpu h200: give one name"),
        (["--gpu", "h100", "--gpu", "h100"], 2, "write --gpus 2"),
        (["--device", "gpu"], 2, "only cpu"),
        (["--device", "cpu", "--gpu", "h100"], 2, "plans without a GPU"),
        (["--gpu", "h100", "--gpus", "0"], 2, "give 1 to"),
        (["--engine", "lama-server"], 2, "did you mean 'llama-server'"),
        (["--precision", "Q4_K_L"], 2, "did you mean 'Q4_K_M'"),
        (["--context", "999999"], 2, "was trained for 262,144 tokens"),
        (["--documents", "nowhere"], 2, "nowhere"),
    ],
)
def test_what_cannot_be_planned(thresher: Thresher, config: Path, flags: list[str], code: int, message: str) -> None:
    model = "demo" if flags[0] == "--documents" else config
    result = thresher("plan", "--model", model, *flags)
    assert (result.code, message in result.err) == (code, True), result.err


def test_a_model_without_metadata(thresher: Thresher, tmp_path: Path) -> None:
    (tmp_path / "empty.gguf").write_bytes(b"GGUF" + bytes([3, 0, 0, 0]) + bytes(16))
    result = thresher("plan", "--model", "empty.gguf")
    assert (result.code, "'general.architecture' is missing" in result.err) == (1, True)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text('{"model_type": "qwen3"}')
    result = thresher("plan", "--model", "folder")
    assert (result.code, "is missing" in result.err) == (1, True)
