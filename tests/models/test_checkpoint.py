"""Checkpoint folders as models: files, facts, tokenizer, chat template, hub."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.checkpoints import TEMPLATE, change_config, tiny_config, write_checkpoint, write_tokenizer
from tests.support.hub_server import HubServer
from tests.support.vocabularies import CHAT_TOKENS, SAMPLES, train, write_gguf
from thresher.engines import open_engine
from thresher.errors import ModelFormatError, ModelNotFoundError
from thresher.models import ChatTemplate, Model, load_facts, open_model, resolve
from thresher.models.byte_level_tokenizer import ByteLevelTokenizer
from thresher.models.checkpoint_tokenizer import build_checkpoint_tokenizer
from thresher.models.gguf_file import read_header
from thresher.models.gguf_tokenizer import build_tokenizer
from thresher.models.hub import HubSettings, fetch
from thresher.models.safetensors_file import read_safetensors_header


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "Tiny-Qwen"
    write_checkpoint(path, tiny_config("qwen3_5"))
    return path


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path, tiny_config("qwen3_5"))
    return tmp_path


def opened(folder: Path) -> Model:
    return open_model(resolve(str(folder)))


def test_a_folder_is_a_model(folder: Path) -> None:
    files = resolve(str(folder))
    assert (files.name, files.path, files.is_checkpoint) == ("Tiny-Qwen", folder, True)
    assert files.shards == (folder / "model.safetensors",)
    model = open_model(files)
    facts = model.facts
    assert (facts.name, facts.architecture, facts.quantization) == ("Tiny-Qwen", "qwen3_5_text", "F32")
    assert (facts.layers, facts.hidden, facts.vocabulary_size, facts.context_tokens) == (4, 96, 320, 4096)
    assert (facts.recurrent, facts.hybrid) == (True, True)
    assert facts.weights_bytes == 4 * facts.parameters
    assert (facts.bos_token, facts.eos_token, facts.eos_id, facts.add_bos) == (None, "<|im_end|>", 302, False)
    assert load_facts(files) == facts
    assert isinstance(model.chat, ChatTemplate)
    assert model.chat.end_of_turn == "<|im_end|>"
    assert model.chat.pieces(["a"]) == ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")


def test_a_gguf_beside_a_checkpoint_is_taken(copy: Path) -> None:
    write_gguf(copy / "m-Q8_0.gguf", train(SAMPLES, size=300), tensors={"token_embd.weight": [8, 8]})
    assert resolve(str(copy)).is_checkpoint is False


def test_the_fingerprint_is_of_everything_that_changes_an_answer(folder: Path, copy: Path) -> None:
    same = opened(folder).facts.fingerprint
    assert opened(copy).facts.fingerprint == same
    found = {same}
    (copy / "chat_template.jinja").write_text(TEMPLATE + " ")
    found.add(opened(copy).facts.fingerprint)
    change_config(copy, rms_norm_eps=1e-5)
    found.add(opened(copy).facts.fingerprint)
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"\x01\x02")
    found.add(opened(copy).facts.fingerprint)
    assert len(found) == 4


def test_the_template_may_lie_in_the_tokenizers_settings(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    path = copy / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    assert opened(copy).facts.chat_template is None
    assert opened(copy).notices
    for named in (TEMPLATE, [{"name": "tool_use", "template": "x"}, {"name": "default", "template": TEMPLATE}]):
        path.write_text(json.dumps({**settings, "chat_template": named, "eos_token": {"content": "<|endoftext|>"}}))
        facts = opened(copy).facts
        assert (facts.chat_template, facts.eos_token, facts.eos_id) == (TEMPLATE, "<|endoftext|>", 300)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth"])
def test_pickles_are_never_loaded(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(b"\x80\x02")
    with pytest.raises(
        ModelFormatError, match=rf"a Python pickle \({name}\), which is never loaded .* safetensors, or"
    ):
        resolve(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("config.json", None, ModelNotFoundError, "config.json: cannot be read"),
        ("config.json", b"[1]", ModelFormatError, r"should hold a JSON object and holds \[1\]"),
        ("config.json", b'{"a": ', ModelFormatError, "is no valid JSON"),
        ("config.json", b"[" * 100_000, ModelFormatError, "is no valid JSON"),
        ("config.json", b"{}", ModelFormatError, "the key '.*' is missing"),
        ("tokenizer.json", None, ModelNotFoundError, "tokenizer.json: cannot be read"),
        ("tokenizer.json", b'{"model": {"type": "Unigram"}}', ModelFormatError, "another kind than byte-level BPE"),
        ("tokenizer_config.json", b'{"eos_token": "</s>"}', ModelFormatError, "the token '</s>', which tokenizer.json"),
        ("chat_template.jinja", b"\xff\xfe\xff", ModelFormatError, "chat_template.jinja: cannot be read"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../x"}}', ModelFormatError, "not files beside it"),
        ("model.safetensors.index.json", b"{}", ModelFormatError, "'weight_map' is missing"),
        ("model.safetensors", b"", ModelFormatError, "not a safetensors file: it is empty"),
        ("model.safetensors", b"version https://git-lfs", ModelFormatError, "a Git LFS pointer"),
        ("model.safetensors", b"<!doctype html>", ModelFormatError, "a web page"),
        ("extra.safetensors", b"", None, ""),
    ],
)
def test_damage_is_named(
    name: str, content: bytes | None, error: type[Exception] | None, said: str, copy: Path
) -> None:
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(content)
    if error is None:
        opened(copy)
        return
    with pytest.raises(error, match=said):
        opened(copy)


def header(entries: object, *, length: int | None = None, data: int = 0) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(data)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header({}, length=10**6), r"cut short: its header has 1,000,000 bytes and the file 10;"),
        (header({}, length=10**12), "not a safetensors file"),
        (header(b"{]"), "the header is damaged"),
        (header({"a": {"dtype": "F32"}}), "the header is damaged"),
        (header({"a": {"dtype": "F7", "shape": [1], "data_offsets": [0, 4]}}), "'a' is stored as 'F7'"),
        (
            header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, data=8),
            r"'a' of shape \(2,\) in F32 needs 8 bytes and has 4",
        ),
        (header({"a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}, data=8), "the file is damaged"),
        (
            header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, data=7),
            "cut short: it has .* the first incomplete tensor is 'a', 1 of 1 are missing",
        ),
    ],
)
def test_damaged_headers_are_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=said):
        read_safetensors_header(path)


@given(content=st.binary(max_size=300))
@example(content=header({"a": [1]}))
@example(content=header({"a": {"dtype": "F32", "shape": "xx", "data_offsets": [0, 8]}}))
@example(content=header({"a": {"dtype": "F32", "shape": [1], "data_offsets": ["0", "4"]}}))
@example(content=header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}))
def test_any_bytes_are_a_header_or_an_error(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(content)
    with contextlib.suppress(ModelFormatError):
        read_safetensors_header(path)


def test_a_tensor_in_two_files_is_an_error(copy: Path) -> None:
    (copy / "model-2.safetensors").write_bytes((copy / "model.safetensors").read_bytes())
    with pytest.raises(
        ModelFormatError, match=r"'lm_head.weight' is in model.*.safetensors and in model.*.safetensors"
    ):
        opened(copy)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> tuple[ByteLevelTokenizer, ByteLevelTokenizer]:
    """The same vocabulary from ``tokenizer.json`` and from GGUF."""
    folder = tmp_path_factory.mktemp("tokenizers")
    vocabulary = write_tokenizer(folder)
    from_gguf = build_tokenizer(read_header(write_gguf(folder / "m.gguf", vocabulary)))
    assert from_gguf is not None
    return build_checkpoint_tokenizer(folder / "tokenizer.json"), from_gguf


@given(text=st.text() | st.lists(st.sampled_from([*SAMPLES, *CHAT_TOKENS, "<|im_", "end|>"])).map("".join))
def test_a_checkpoint_reads_text_as_its_gguf_does(
    tokenizers: tuple[ByteLevelTokenizer, ByteLevelTokenizer], text: str
) -> None:
    ours, theirs = tokenizers
    composed = unicodedata.normalize("NFC", text)  # llama.cpp leaves that out
    assert ours.encode(text) == theirs.encode(composed)
    if text == composed:
        assert ours.encode_template(text) == theirs.encode_template(text)
    assert ours.decode(ours.encode(text)) == composed
    assert not any(map(ours.is_special, ours.encode(text)))


def test_control_tokens_are_the_files(tokenizers: tuple[ByteLevelTokenizer, ByteLevelTokenizer]) -> None:
    ours, theirs = tokenizers
    assert ours.special_tokens == theirs.special_tokens
    assert ours.vocabulary_size == theirs.vocabulary_size
    assert ours.encode_template("<|im_start|><think>") == [301, 303]


def test_added_white_space_stays_a_word(tmp_path: Path) -> None:
    vocabulary = write_tokenizer(tmp_path)
    path = tmp_path / "tokenizer.json"
    contents = json.loads(path.read_text())
    last = len(vocabulary.all_tokens)
    contents["added_tokens"].append({"id": last + 5, "content": "\t\t\t\t", "special": False})
    path.write_text(json.dumps(contents))
    tokenizer = build_checkpoint_tokenizer(path)
    assert tokenizer.encode("\t\t\t\t") == [last + 5]
    assert tokenizer.decode([last + 5]) == "\t\t\t\t"
    assert tokenizer.vocabulary_size == last + 6
    assert not tokenizer.is_special(last + 5)


def test_llama_cpp_says_that_it_reads_no_checkpoint(folder: Path) -> None:
    with pytest.raises(ModelFormatError, match="llama.cpp reads GGUF files only; use --engine native"):
        open_engine("llamacpp", opened(folder))


def test_the_fake_engine_runs_on_a_checkpoint(folder: Path) -> None:
    with open_engine("fake", opened(folder)) as engine:
        assert engine.info.model == "Tiny-Qwen"


def test_a_repository_with_a_checkpoint_is_fetched(folder: Path, tmp_path: Path) -> None:
    names = {path.name: path.read_bytes() for path in folder.iterdir()}
    with HubServer({"owner/Tiny": {**names, "README.md": b"read me"}}) as server:
        settings = HubSettings(endpoint=server.endpoint, cache=tmp_path)
        files = fetch("owner/Tiny", None, "owner/Tiny", offline=False, settings=settings)
    assert (files.name, files.is_checkpoint) == ("Tiny", True)
    assert open_model(files).facts.fingerprint == opened(folder).facts.fingerprint
    assert not (files.path / "README.md").exists()
    assert fetch("owner/Tiny", None, "owner/Tiny", offline=True, settings=settings).path == files.path
