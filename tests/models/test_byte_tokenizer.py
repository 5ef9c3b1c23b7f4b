from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thresher.models.byte_tokenizer import ByteTokenizer


@given(st.text())
def test_bytes_as_tokens(text: str) -> None:
    tokenizer = ByteTokenizer()
    known = text.encode("utf-8", "replace").decode()
    assert tokenizer.decode(tokenizer.encode(text)) == known
    assert tokenizer.encode_template(f"{text}<|im_end|>") == [*tokenizer.encode_template(text), 257]
