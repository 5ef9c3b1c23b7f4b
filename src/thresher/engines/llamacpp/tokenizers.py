"""Which tokenizer an open model gets: the fast one if it agrees with llama.cpp's, else llama.cpp's own."""

from __future__ import annotations

import logging

from thresher.engines.llamacpp.vocabulary import LlamaTokenizer
from thresher.models.tokenizer import PROBES, Tokenizer

logger = logging.getLogger(__name__)


def choose_tokenizer(fast: Tokenizer | None, own: LlamaTokenizer, model_name: str) -> Tokenizer:
    """``fast`` if there is one and both give the same tokens for every probe; else ``own``, which is slower."""
    if fast is None:
        logger.info("%s: this vocabulary is read by llama.cpp's own tokenizer, which is slower", model_name)
        return own
    for probe in PROBES:
        if fast.encode(probe) != own.encode(probe):
            logger.warning(
                "%s: the fast tokenizer disagrees with llama.cpp on %r; using llama.cpp's, which is slower",
                model_name,
                probe[:30],
            )
            return own
    return fast
