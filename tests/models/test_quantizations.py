"""Choosing a model among a repository's files."""

from __future__ import annotations

import pytest

from thresher.errors import ModelNotFoundError
from thresher.models.quantizations import choose, models_among

REPOSITORY = "unsloth/Qwen3.5-27B-GGUF"
FILES = [
    "README.md",
    "config.json",
    "mmproj-F16.gguf",
    "imatrix_unsloth.gguf",
    "Qwen3.5-27B-Q4_K_M.gguf",
    "Qwen3.5-27B-Q8_0.gguf",
    "Qwen3.5-27B-UD-Q5_K_XL.gguf",
    "Qwen3.5-27B-UD-Q4_K_XL.gguf",
    "Qwen3.5-27B-IQ4_XS.gguf",
    "BF16/Qwen3.5-27B-BF16-00001-of-00002.gguf",
    "BF16/Qwen3.5-27B-BF16-00002-of-00002.gguf",
]


def test_every_model_is_listed_once() -> None:
    found = {model.quantization: model.files for model in models_among(FILES)}
    assert set(found) == {"Q4_K_M", "Q8_0", "UD-Q5_K_XL", "UD-Q4_K_XL", "IQ4_XS", "BF16"}
    assert found["BF16"] == tuple(FILES[-2:])


@pytest.mark.parametrize(
    ("wanted", "file"),
    [
        (None, "Qwen3.5-27B-Q4_K_M.gguf"),
        ("Q8_0", "Qwen3.5-27B-Q8_0.gguf"),
        ("q8_0", "Qwen3.5-27B-Q8_0.gguf"),
        ("UD-Q5_K_XL", "Qwen3.5-27B-UD-Q5_K_XL.gguf"),
        ("Q5_K_XL", "Qwen3.5-27B-UD-Q5_K_XL.gguf"),
        ("bf16", "BF16/Qwen3.5-27B-BF16-00001-of-00002.gguf"),
        ("Qwen3.5-27B-IQ4_XS", "Qwen3.5-27B-IQ4_XS.gguf"),
    ],
)
def test_a_quantization_is_found_as_llama_cpp_finds_it(wanted: str | None, file: str) -> None:
    assert choose(REPOSITORY, FILES, wanted).files[0] == file


def test_an_unknown_quantization_lists_those_there_are() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        choose(REPOSITORY, FILES, "Q5_K_M")
    message = str(caught.value)
    assert "no quantization 'Q5_K_M'" in message
    assert "did you mean" in message
    assert "IQ4_XS, Q4_K_M, Q8_0, UD-Q4_K_XL, UD-Q5_K_XL" in message


def test_a_short_name_does_not_match_the_end_of_a_word() -> None:
    with pytest.raises(ModelNotFoundError, match="no quantization 'M'"):
        choose(REPOSITORY, ["a-Q4_KM.gguf"], "M")


def test_the_only_model_needs_no_quantization() -> None:
    assert choose("o/r", ["odd-name.gguf", "mmproj.gguf"], None).files == ("odd-name.gguf",)


def test_the_second_default_is_taken_where_the_first_is_missing() -> None:
    assert choose("o/r", ["a-Q8_0.gguf", "a-Q2_K.gguf"], None).files == ("a-Q8_0.gguf",)


def test_with_neither_default_a_choice_must_be_named() -> None:
    with pytest.raises(ModelNotFoundError, match=r"name a quantization; available: Q2_K, Q3_K_S \(write o/r:Q2_K\)"):
        choose("o/r", ["a-Q3_K_S.gguf", "a-Q2_K.gguf"], None)


def test_a_tie_is_an_error_that_lists_both() -> None:
    with pytest.raises(ModelNotFoundError, match="Q4_K_M is the name of 2 models: a-Q4_K_M, b-Q4_K_M"):
        choose("o/r", ["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], None)
    assert choose("o/r", ["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], "b-Q4_K_M").files == ("b-Q4_K_M.gguf",)


@pytest.mark.parametrize(
    ("files", "wanted", "said"),
    [
        (["model.safetensors"], "Q4_K_M", "safetensors weights and no GGUF file, and 'Q4_K_M' names one"),
        (["README.md"], None, "no model and no GGUF"),
    ],
)
def test_a_repository_without_gguf_says_where_to_look(files: list[str], wanted: str | None, said: str) -> None:
    with pytest.raises(ModelNotFoundError, match=said) as caught:
        choose("Qwen/Qwen3.5-27B", files, wanted)
    assert "Qwen3.5-27B-GGUF" in str(caught.value)


def test_a_repository_without_gguf_is_a_checkpoint() -> None:
    weights = ["model.safetensors-00001-of-00002.safetensors", "model.safetensors-00002-of-00002.safetensors"]
    others = ["README.md", "consolidated.safetensors", "original/model.safetensors", "pytorch_model.bin"]
    small = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"]
    assert choose("o/r", [*others, *weights, *small], None).files == (*small, *weights)
    assert choose("o/r", [*weights, *small, "a-Q8_0.gguf"], None).files == ("a-Q8_0.gguf",)
