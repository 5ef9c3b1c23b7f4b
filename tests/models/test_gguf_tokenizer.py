"""The Rust tokenizer built from a GGUF vocabulary is llama.cpp's, but text never becomes a control token."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.llama_tokenizer import LlamaTokenizer
from tests.support.vocabularies import (
    CHAT_TOKENS,
    CONTROL,
    NORMAL,
    SAMPLES,
    UNKNOWN,
    USER_DEFINED,
    Vocabulary,
    train,
    write_gguf,
)
from thresher.errors import ModelFormatError
from thresher.models.byte_level_tokenizer import ByteLevelTokenizer
from thresher.models.gguf_file import GgufHeader, read_header
from thresher.models.gguf_parser import Value
from thresher.models.gguf_tokenizer import build_tokenizer, special_texts
from thresher.models.pretokenizers import PRE_TOKENIZERS
from thresher.models.reference import resolve
from thresher.models.tokenizer import Tokenizer

#: One name of each distinct way to cut text.
FAMILIES = list({(kind.expressions, kind.ignore_merges): name for name, kind in PRE_TOKENIZERS.items()}.values())


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return train(SAMPLES * 3, size=1500)


@pytest.fixture(scope="module")
def path(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("vocabulary") / "m.gguf", vocabulary)


@pytest.fixture(scope="module")
def tokenizer(path: Path) -> ByteLevelTokenizer:
    return built(path)


@pytest.fixture(scope="module")
def llama(path: Path) -> Iterator[LlamaTokenizer]:
    loaded = LlamaTokenizer(path)
    yield loaded
    loaded.close()


def built(path: Path) -> ByteLevelTokenizer:
    tokenizer = build_tokenizer(read_header(path))
    assert tokenizer is not None
    return tokenizer


def test_it_is_a_tokenizer(tokenizer: ByteLevelTokenizer, vocabulary: Vocabulary) -> None:
    contract: Tokenizer = tokenizer
    assert contract.vocabulary_size == len(vocabulary.all_tokens)
    assert tokenizer.encode("") == []
    assert tokenizer.encode_batch([]) == []
    assert tokenizer.decode([]) == ""


@given(text=st.text() | st.text(alphabet=" \t\r\n'sTaé1２漢<|im_end>") | st.sampled_from(SAMPLES))
def test_text_survives_and_never_becomes_a_control_token(tokenizer: ByteLevelTokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert not any(map(tokenizer.is_special, tokens))


@given(
    texts=st.lists(
        st.lists(st.sampled_from([*CHAT_TOKENS, "<|im_", "end|>", "a", " ", "\n"]), max_size=8).map("".join), max_size=5
    )
)
def test_names_of_control_tokens_stay_text_in_batches(tokenizer: ByteLevelTokenizer, texts: list[str]) -> None:
    found = tokenizer.encode_batch(texts)
    assert found == [tokenizer.encode(text) for text in texts]
    assert [tokenizer.decode(tokens) for tokens in found] == texts
    assert not any(tokenizer.is_special(token) for tokens in found for token in tokens)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_cuts_text_as_llama_cpp_does(name: str, vocabulary: Vocabulary, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", vocabulary, pre=name)
    tokenizer, llama = built(path), LlamaTokenizer(path)
    for text in SAMPLES:
        assert tokenizer.encode(text) == llama.encode(text), text
        assert tokenizer.decode(tokenizer.encode(text)) == text
    llama.close()


def test_the_vocabulary_tells_the_families_apart(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """Otherwise the test above would pass with any table."""
    paths = [
        write_gguf(tmp_path / f"{name}.gguf", vocabulary, pre=name) for name in ("qwen35", "qwen2", "llama3", "gpt-2")
    ]
    found = {tuple(map(tuple, built(path).encode_batch(SAMPLES))) for path in paths}
    assert len(found) == len(paths)


@given(text=st.text(alphabet=st.characters(max_codepoint=0x2FFF, exclude_categories=("Cs", "Cn")), max_size=60))
@settings(max_examples=300)
def test_any_text_has_llama_cpps_tokens(tokenizer: ByteLevelTokenizer, llama: LlamaTokenizer, text: str) -> None:
    assume(not any(token in text for token in CHAT_TOKENS))  # llama.cpp recognises user-defined ones such as <think>
    assert tokenizer.encode(text) == llama.encode(text)


@pytest.fixture(scope="module")
def documents(shared_data: Path) -> list[str]:
    """Real documents, 25 of each labelled set."""
    found = []
    for file in sorted((shared_data / "labelled").glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            found += [json.loads(line)["text"] for line, _ in zip(lines, range(25), strict=False)]
    assert len(found) >= 100
    return found


def test_real_documents_have_llama_cpps_tokens(
    tokenizer: ByteLevelTokenizer, llama: LlamaTokenizer, documents: list[str]
) -> None:
    assert tokenizer.encode_batch(documents) == [llama.encode(document) for document in documents]


def test_the_demo_model_reads_real_documents_as_llama_cpp_does(documents: list[str]) -> None:
    path = resolve("demo").path
    tokenizer, llama = built(path), LlamaTokenizer(path)
    assert tokenizer.encode_batch(documents) == [llama.encode(document) for document in documents]
    assert tokenizer.encode_batch(SAMPLES) == [llama.encode(sample) for sample in SAMPLES]
    llama.close()


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user\nHello <|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "a<|im_end|><|im_end|>b",
        "<|endoftext|>",
        "no control token",
        "",
    ],
)
def test_templates_have_llama_cpps_tokens(tokenizer: ByteLevelTokenizer, llama: LlamaTokenizer, text: str) -> None:
    tokens = tokenizer.encode_template(text)
    assert tokens == llama.encode(text, parse_special=True)
    assert tokenizer.decode(tokens) == text


def test_a_longer_control_token_goes_before_a_shorter_one_within_it(tmp_path: Path) -> None:
    extra = {"<|a|>": CONTROL, "x<|a|>y": CONTROL, "<|a|>y": USER_DEFINED}
    vocabulary = train(SAMPLES, size=300, extra=extra)
    path = write_gguf(tmp_path / "m.gguf", vocabulary)
    tokenizer, llama = built(path), LlamaTokenizer(path)
    for text in ("x<|a|>y", "<|a|>y", "<|a|>z", "xx<|a|>yy<|a|>"):
        assert tokenizer.encode_template(text) == llama.encode(text, parse_special=True)
    assert tokenizer.encode_template("x<|a|>y") == [301]
    llama.close()


def test_white_space_tokens_of_the_user_defined_kind_are_words(tmp_path: Path) -> None:
    """MPT, OLMo and StableLM have runs of spaces as added tokens; they are text, in documents too."""
    extra = {" " * count: USER_DEFINED for count in range(8, 1, -1)} | {"<|end|>": CONTROL, "<unk>": UNKNOWN}
    vocabulary = train(SAMPLES, size=300, extra=extra)
    path = write_gguf(tmp_path / "m.gguf", vocabulary, pre="olmo")
    tokenizer, llama = built(path), LlamaTokenizer(path)
    for text in ("a        b  c", "    ", " x", " " * 21 + "y", "\t  \n   z"):
        tokens = tokenizer.encode(text)
        assert tokens == llama.encode(text)
        assert tokenizer.decode(tokens) == text
    assert tokenizer.encode(" " * 8) == [300]
    llama.close()


def test_tokens_that_llama_cpp_knows_as_control_by_name_are_control(tmp_path: Path) -> None:
    vocabulary = train(SAMPLES, size=300, extra={"<|im_end|>": NORMAL, "<|eot_id|>": NORMAL})
    tokenizer = built(write_gguf(tmp_path / "m.gguf", vocabulary))
    assert tokenizer.special_tokens == {"<|im_end|>": 300, "<|eot_id|>": 301}
    assert tokenizer.encode_template("<|eot_id|>") == [301]


def test_a_control_token_that_is_a_whole_word_is_not_reached_by_ignoring_merges(tmp_path: Path) -> None:
    """Families that look whole words up before merging would find "system" in the vocabulary."""
    vocabulary = train(SAMPLES, size=300, extra={"system": CONTROL})
    path = write_gguf(tmp_path / "m.gguf", vocabulary, pre="llama-bpe")
    tokenizer = built(path)
    assert tokenizer.encode_template("system") == [300]
    assert 300 not in tokenizer.encode("system")
    assert tokenizer.decode(tokenizer.encode("system")) == "system"


def test_lone_surrogates_become_the_replacement_character(tokenizer: ByteLevelTokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"
    assert tokenizer.encode_batch(["ok", "\udfff"]) == [tokenizer.encode("ok"), tokenizer.encode("\ufffd")]


def test_half_a_character_decodes_to_the_replacement_character(tokenizer: ByteLevelTokenizer) -> None:
    tokens = tokenizer.encode("✊")
    assert len(tokens) > 1
    assert tokenizer.decode(tokens[:1]) == "\ufffd"


@pytest.mark.parametrize(
    ("key", "value"), [("model", "llama"), ("model", "bert"), ("pre", "gemma4"), ("pre", "no-such")]
)
def test_other_kinds_of_vocabulary_are_left_to_llama_cpp(tmp_path: Path, path: Path, key: str, value: str) -> None:
    header = read_header(path)
    changed = {**header.metadata, f"tokenizer.ggml.{key}": value}
    assert build_tokenizer(replaced(header, changed)) is None
    assert "<|im_end|>" in special_texts(replaced(header, changed))


def replaced(header: GgufHeader, metadata: Mapping[str, Value]) -> GgufHeader:
    return replace(header, metadata=metadata)


def test_vocabularies_that_cannot_be_served_exactly_are_left_to_llama_cpp(path: Path) -> None:
    header = read_header(path)
    tokens = header.require("tokenizer.ggml.tokens", tuple)
    without_a_byte = {**header.metadata, "tokenizer.ggml.tokens": ("zz-not-a-byte", *tokens[1:])}
    out_of_vocabulary = {**header.metadata, "tokenizer.ggml.merges": ("q x",)}
    assert build_tokenizer(replaced(header, without_a_byte)) is None
    assert build_tokenizer(replaced(header, out_of_vocabulary)) is None
    assert build_tokenizer(replaced(header, {**header.metadata, "general.name": "Phi-3 mini"})) is None


def test_damaged_vocabularies_are_refused(path: Path) -> None:
    header = read_header(path)
    tokens = header.require("tokenizer.ggml.tokens", tuple)
    types = header.require("tokenizer.ggml.token_type", tuple)
    with pytest.raises(ModelFormatError, match="holds a token twice"):
        build_tokenizer(replaced(header, {**header.metadata, "tokenizer.ggml.tokens": (*tokens[:-8], *tokens[:8])}))
    with pytest.raises(ModelFormatError, match="only 3 token types"):
        build_tokenizer(replaced(header, {**header.metadata, "tokenizer.ggml.token_type": types[:3]}))
    with pytest.raises(ModelFormatError, match="should be a list of texts"):
        build_tokenizer(replaced(header, {**header.metadata, "tokenizer.ggml.tokens": (1, 2)}))
    with pytest.raises(ModelFormatError, match=r"'tokenizer.ggml.merges' is missing"):
        lacking = {key: value for key, value in header.metadata.items() if key != "tokenizer.ggml.merges"}
        build_tokenizer(replaced(header, lacking))


def test_encoding_is_fast_enough(tokenizer: ByteLevelTokenizer) -> None:
    """A reader of 16,000 tokens a second must not wait for the tokenizer."""
    texts = ["".join(SAMPLES) * 20] * 8
    start = time.process_time()
    tokens = sum(map(len, tokenizer.encode_batch(texts)))
    seconds = time.process_time() - start
    assert tokens / seconds > 100_000, f"{tokens / seconds:,.0f} tokens per second of processor time"
