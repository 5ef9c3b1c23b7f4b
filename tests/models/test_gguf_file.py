"""Headers of GGUF files: what is read, and what is said about files that are none."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

from tests.support.vocabularies import SAMPLES, Vocabulary, train, write_gguf
from thresher.errors import ModelFormatError, ModelNotFoundError
from thresher.models import gguf_parser
from thresher.models.ggml_types import FILE_TYPES, TENSOR_TYPES
from thresher.models.gguf_file import parse_header, read_header


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return train(SAMPLES, size=400)


@pytest.fixture
def model(tmp_path: Path, vocabulary: Vocabulary) -> Path:
    return write_gguf(
        tmp_path / "m.gguf",
        vocabulary,
        tensors={"token_embd.weight": (406, 8), "blk.0.attn_q.weight": (8, 8), "output_norm.weight": (8,)},
        general__quantization_version=2,
        custom__flag=True,
    )


def test_metadata_and_tensors_are_those_that_were_written(model: Path, vocabulary: Vocabulary) -> None:
    header = read_header(model)
    assert header.version == 3
    assert header.metadata["tokenizer.ggml.tokens"] == tuple(vocabulary.all_tokens)
    assert header.metadata["tokenizer.ggml.token_type"] == tuple(vocabulary.types)
    assert header.require("qwen35.context_length", int) == 4096
    assert header.require("custom.flag", bool) is True
    assert [(t.name, t.shape, t.type_name, t.elements, t.size_bytes) for t in header.tensors] == [
        ("token_embd.weight", (8, 406), "F32", 3248, 12992),
        ("blk.0.attn_q.weight", (8, 8), "F32", 64, 256),
        ("output_norm.weight", (8,), "F32", 8, 32),
    ]
    reader = gguf.GGUFReader(str(model))
    assert [t.offset for t in header.tensors] == [t.data_offset for t in reader.tensors]
    assert header.data_offset == reader.tensors[0].data_offset


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(str(tmp_path / "v.gguf"), "any")
    numbers = {"uint8": 255, "int8": -128, "uint16": 65535, "int16": -32768, "uint32": 2**32 - 1, "int32": -(2**31)}
    for kind, value in {**numbers, "uint64": 2**64 - 1, "int64": -(2**63), "float64": 0.1}.items():
        getattr(writer, f"add_{kind}")(f"a.{kind}", value)
    writer.add_float32("a.float32", 0.5)
    writer.add_array("a.texts", ["x", "", "ß漢"])
    writer.add_array("a.nested", [[1, 2], [3]])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    metadata = read_header(tmp_path / "v.gguf").metadata
    assert {key: metadata[f"a.{key}"] for key in numbers} == numbers
    assert metadata["a.uint64"] == 2**64 - 1
    assert metadata["a.int64"] == -(2**63)
    assert (metadata["a.float32"], metadata["a.float64"]) == (0.5, 0.1)
    assert metadata["a.texts"] == ("x", "", "ß漢")
    assert metadata["a.nested"] == ((1, 2), (3,))


def test_the_window_grows_until_the_header_fits(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_header(model)
    monkeypatch.setattr(gguf_parser, "_FIRST_WINDOW_BYTES", 24)
    assert read_header(model) == whole


def test_tensor_data_is_not_read(tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = write_gguf(tmp_path / "m.gguf", vocabulary, tensors={"big.weight": (4096, 1024)})
    with path.open("rb") as file:
        source = CountingSource(gguf_parser.FileSource("m", file))
        parse_header(source)
    assert source.read_bytes < 1_100_000 < path.stat().st_size


class CountingSource:
    """Any source of byte ranges serves, not only a file."""

    def __init__(self, inner: gguf_parser.FileSource) -> None:
        self.inner, self.name, self.size_bytes, self.read_bytes = inner, inner.name, inner.size_bytes, 0

    def read(self, offset: int, length: int) -> bytes:
        data = self.inner.read(offset, length)
        self.read_bytes += len(data)
        return data


def test_a_cut_file_names_the_first_tensor_that_is_missing(model: Path) -> None:
    data = model.read_bytes()
    header = read_header(model)
    model.write_bytes(data[: header.tensors[1].offset + 10])
    with pytest.raises(
        ModelFormatError, match=r"cut short: it has \d.* bytes and needs .*'blk.0.attn_q.weight', 2 of 3"
    ):
        read_header(model)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3, 0.9])
def test_a_file_cut_within_its_header_is_an_error(model: Path, share: float) -> None:
    data = model.read_bytes()[: read_header(model).data_offset]
    model.write_bytes(data[: max(5, int(len(data) * share))])
    with pytest.raises(ModelFormatError, match="cut short"):
        read_header(model)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (struct.pack("<Q", 90) + b'{"__metadata__": {}}', "safetensors"),
        (b"\n <!DOCTYPE html><html><body>Not found", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"PK\x03\x04rest of a zip", "zip archive"),
        (b"\x80\x02}q\x00.", "pickle"),
        (b'{"architectures": []}', "give the folder"),
        (b"tjgg\x03\x00\x00\x00", "GGML file from before"),
        (b"hello, world", "b'hello, w'"),
    ],
)
def test_what_is_no_gguf_is_recognised(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match="not a GGUF file") as caught:
        read_header(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "GGUF version 9"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "GGUF version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "promises at least"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "promises at least"),
        (b"GGUF\x03", "only 5 bytes"),
    ],
)
def test_headers_that_promise_nonsense_are_refused(tmp_path: Path, start: bytes, said: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(start)
    with pytest.raises(ModelFormatError, match=said):
        read_header(path)


def one_key(value_type: int, value: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<I", value_type) + value


@pytest.mark.parametrize(
    ("value_type", "value", "said"),
    [
        (8, struct.pack("<Q", 2**62), "promises at least"),
        (9, struct.pack("<IQ", 8, 2**50), "promises at least"),
        (9, struct.pack("<IQ", 6, 2**50), "promises at least"),
        (9, struct.pack("<IQQ", 8, 1, 2**40) + b"x" * 64, "promises at least"),
        (9, struct.pack("<IQ", 9, 1) * 12 + b"x" * 64, "nested"),
        (77, b"x" * 64, "type 77"),
    ],
)
def test_hostile_values_end_in_an_error(tmp_path: Path, value_type: int, value: bytes, said: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(one_key(value_type, value))
    with pytest.raises(ModelFormatError, match=said):
        read_header(path)


def test_a_tensor_type_from_the_future_is_named(model: Path) -> None:
    data = bytearray(model.read_bytes())
    at = data.index(b"output_norm.weight") + len(b"output_norm.weight") + 4 + 8
    data[at : at + 4] = struct.pack("<I", 999)
    model.write_bytes(data)
    with pytest.raises(ModelFormatError, match="'output_norm.weight' is stored as type 999"):
        read_header(model)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="No such file"):
        read_header(tmp_path / "absent.gguf")


def test_keys_are_asked_for_by_name_and_type(model: Path) -> None:
    header = read_header(model)
    with pytest.raises(ModelFormatError, match=r"'qwen35.expert_count' is missing"):
        header.require("qwen35.expert_count", int)
    with pytest.raises(ModelFormatError, match="should be of type str, not int"):
        header.get("qwen35.context_length", str, "")
    assert header.get("qwen35.expert_count", int, 3) == 3


def test_tensor_types_agree_with_the_gguf_package() -> None:
    for number, kind in TENSOR_TYPES.items():
        if kind.name != "Q2_0":  # newer than the package
            known = GGMLQuantizationType(number)
            assert (known.name, *GGML_QUANT_SIZES[known]) == (kind.name, kind.block_elements, kind.block_bytes)
    for number, name in FILE_TYPES.items():
        if name != "Q2_0":
            assert LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_").startswith(name)


def test_a_vocabulary_of_full_size_is_read_in_time(tmp_path: Path) -> None:
    count = 248_320
    alphabet = np.array([chr(0x100 + i) for i in range(68)])
    tokens = ["".join(alphabet[[i % 68, i // 68 % 68, i // 4624 % 68]]) for i in range(count)]
    merges = [f"{token[:2]} {token[2]}" for token in tokens]
    path = write_gguf(tmp_path / "big.gguf", Vocabulary(tuple(tokens), tuple(merges)))
    start = time.process_time()
    header = read_header(path)
    seconds = time.process_time() - start
    assert len(header.require("tokenizer.ggml.tokens", tuple)) == count
    assert seconds < 2, f"{seconds:.2f} s of processor time; 0.3 s on a quiet machine"
