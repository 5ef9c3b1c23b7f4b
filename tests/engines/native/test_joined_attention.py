"""Keys laid one after the other for a single causal launch: the same attention as piece by piece."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.engines.native.kernels.attention import KeysValues, reference
from thresher.engines.native.kernels.attention.joined import Joined, join
from thresher.engines.native.pack import HELD, Tree, lay_out
from thresher.engines.native.step_view import attention_pieces

HEADS, GROUPS, SIZE = 4, 2, 8
CPU = torch.device("cpu")


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def aligned_to_the_last_key(queries: torch.Tensor, joined: Joined, seen: KeysValues) -> torch.Tensor:
    """What FlashAttention computes."""
    out = torch.empty_like(queries)
    spans = zip(joined.query_offsets.tolist()[:-1], joined.query_offsets.tolist()[1:],
                joined.key_offsets.tolist()[:-1], joined.key_offsets.tolist()[1:], strict=True)  # fmt: skip
    for start, stop, first, last in spans:
        visible = torch.ones(stop - start, last - first).tril(last - first - (stop - start)).bool()
        out[start:stop] = torch.nn.functional.scaled_dot_product_attention(
            queries[None, start:stop].transpose(1, 2),
            seen.keys[None, first:last].transpose(1, 2),
            seen.values[None, first:last].transpose(1, 2),
            attn_mask=visible,
            enable_gqa=True,
        )[0].transpose(0, 1)
    return out


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.integers(0, 9),
    st.integers(3, 40),
    st.lists(st.integers(1, 4), max_size=3),
)
def test_joined_keys_give_the_same_attention(
    documents: list[int], held_tokens: int, step_rows: int, branches: list[int]
) -> None:
    trees = []
    for length in documents:
        tree = Tree(held_tokens)
        document = tree.append(HELD, range(length))
        for branch in branches:
            tree.want(tree.append(document, range(branch)))
        trees.append(tree)
    pack, _ = lay_out(trees, step_rows, 8)
    keys_values = KeysValues(numbers(len(pack.tokens), GROUPS, SIZE), numbers(len(pack.tokens), GROUPS, SIZE) + 1)
    held = KeysValues(numbers(held_tokens, GROUPS, SIZE), numbers(held_tokens, GROUPS, SIZE) - 1)
    for step in pack.steps:
        pieces = attention_pieces(pack, step.spans, [span.length for span in step.spans])
        queries = numbers(step.stop - step.start, HEADS, SIZE)
        joined = join(pieces, CPU)
        assert joined is not None
        found = aligned_to_the_last_key(queries, joined, joined.keys_values(keys_values, held))
        torch.testing.assert_close(found, reference.attend(queries, pieces, keys_values, held), rtol=1e-4, atol=1e-5)


def test_much_shared_keys_are_not_copied() -> None:
    tree = Tree(0)
    document = tree.append(HELD, range(9000))
    for _ in range(20):
        tree.want(tree.append(document, range(2)))
    pack, _ = lay_out([tree], 20_000, 64)
    branches = pack.steps[1]
    assert join(attention_pieces(pack, branches.spans, [span.length for span in branches.spans]), CPU) is None
    first = pack.steps[0]
    assert join(attention_pieces(pack, first.spans, [span.length for span in first.spans]), CPU) is not None
