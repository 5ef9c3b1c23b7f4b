"""What a file is that should have been a GGUF file: the mistakes people make, told by the first bytes."""

from __future__ import annotations

#: First bytes -> what such a file is and what to do about it.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the model itself; fetch the model with `git lfs pull` or by its hub name",
    ),
    (b"PK\x03\x04", "a zip archive, as PyTorch writes weights; convert the model to GGUF or fetch a GGUF of it"),
    (b"\x80\x02", "a Python pickle, which is never loaded; fetch a GGUF of the model"),
    (b"\x80\x04", "a Python pickle, which is never loaded; fetch a GGUF of the model"),
    (b"\x80\x05", "a Python pickle, which is never loaded; fetch a GGUF of the model"),
    (b"lmgg", "a GGML file from before 2023-08; fetch a GGUF of the model"),
    (b"tjgg", "a GGML file from before 2023-08; fetch a GGUF of the model"),
    (b"fmgg", "a GGML file from before 2023-08; fetch a GGUF of the model"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; unpack it first"),
)


def describe_foreign_file(start: bytes) -> str:
    """What a file seems to be whose first bytes are ``start``, with the remedy; ends a sentence "it is ..."."""
    if not start:
        return "empty; the download may have failed"
    for signature, description in _SIGNATURES:
        if start.startswith(signature):
            return description
    if start[8:10] == b'{"':
        return "a safetensors file; give its folder, with config.json and tokenizer.json beside it"
    text = start.lstrip().lower()
    if text.startswith(b"{"):
        return "JSON; of a config.json give the folder that it is in"
    if text.startswith((b"<!doctype", b"<html")):
        return "a web page; the download went to a page about the model and not to the file"
    return f"of an unknown kind; it begins with {start[:8]!r} and not with b'GGUF'"
