"""The teacher's vectors of a whole corpus, and token embeddings made from them."""

from __future__ import annotations

import numpy as np
import torch
from corpus import Corpus
from rows import Vectors
from teacher import Teacher
from tokenizers import Tokenizer
from torch import Tensor
from vocabulary import token_strings

_PIECE = 1000  # characters; the teacher reads about 256 word pieces
_PIECES = 4
_IDENTITY = 48  # hidden sizes that tell apart tokens of one meaning, such as "Invoice" and " invoice"


def embed_corpus(corpus: Corpus, teacher: Teacher) -> Vectors:
    """Vectors of every document (mean of its first pieces), name and description."""
    pieces, owners = [], []
    for i, document in enumerate(corpus.documents):
        for start in range(0, min(len(document.text), _PIECES * _PIECE), _PIECE):
            if start == 0 or len(document.text) - start > _PIECE // 4:
                pieces.append(document.text[start : start + _PIECE])
                owners.append(i)
    sums = np.zeros((len(corpus.documents), 384), dtype=np.float32)
    np.add.at(sums, owners, teacher.embed(pieces).astype(np.float32))
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    texts: dict[str, int] = {}
    base = len(corpus.documents)
    names = [[base + texts.setdefault(n, len(texts)) for n in c.names] for c in corpus.concepts]
    descriptions = [[base + texts.setdefault(d, len(texts)) for d in c.descriptions] for c in corpus.concepts]
    table = np.concatenate([sums.astype(np.float16), teacher.embed(list(texts))])
    return Vectors(table, np.arange(base), names, descriptions)


def token_embeddings(tokenizer: Tokenizer, teacher: Teacher, hidden: int) -> Tensor:
    """``[vocabulary, hidden]``: the principal components of the tokens' vectors, and random numbers as identity."""
    generator = torch.Generator().manual_seed(1)
    vectors = torch.from_numpy(teacher.embed([s.strip() or "." for s in token_strings(tokenizer)])).float()
    vectors -= vectors.mean(0)
    _, _, axes = torch.linalg.svd(
        vectors[torch.randperm(len(vectors), generator=generator)[:8000]], full_matrices=False
    )
    meaning = torch.nn.functional.normalize(vectors @ axes[: hidden - _IDENTITY].T, dim=1) * 3.5
    identity = torch.randn(len(vectors), _IDENTITY, generator=generator) * (2.0 / _IDENTITY**0.5)
    return torch.cat([meaning, identity], dim=1)
