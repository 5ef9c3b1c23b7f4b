"""The demo model's byte-level BPE vocabulary, with Qwen3.5's way of splitting text and its control tokens."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

#: Qwen3.5's pre-tokenizer, as llama.cpp knows it by the name "qwen35".
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
THINK_TOKENS = ("<think>", "</think>")


def train(texts: Iterable[str], size: int) -> Tokenizer:
    """A tokenizer of exactly ``size`` tokens, the control and think tokens last."""
    special = CONTROL_TOKENS + THINK_TOKENS
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=24,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS])
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in THINK_TOKENS])
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"the texts gave {tokenizer.get_vocab_size()} tokens, {size} are wanted: give more text")
    return tokenizer


def token_strings(tokenizer: Tokenizer) -> list[str]:
    """What each token reads as, by id; a part of a character reads as the replacement character."""
    return [tokenizer.decode([i], skip_special_tokens=False) for i in range(tokenizer.get_vocab_size())]
