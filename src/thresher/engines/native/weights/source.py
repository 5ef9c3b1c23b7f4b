"""The contract between files of weights and the engine.

Names and shapes are those of the Hugging Face checkpoint, relative to the language model and the same for every kind of
file and family (:mod:`.layout` lists them all with their shapes)::

    embed_tokens.weight  norm.weight  lm_head.weight (absent where config.tied_embeddings)
    layers.N.input_layernorm.weight  layers.N.post_attention_layernorm.weight
    layers.N.self_attn.{q,k,v,o}_proj.weight  layers.N.self_attn.{q,k}_norm.weight
    layers.N.linear_attn.{in_proj_qkv,in_proj_z,in_proj_a,in_proj_b,conv1d,norm,out_proj}.weight
    layers.N.linear_attn.A_log  layers.N.linear_attn.dt_bias
    layers.N.mlp.{gate,up,down}_proj.weight
    layers.N.mlp.gate.weight  layers.N.mlp.experts.gate_up_proj  layers.N.mlp.experts.down_proj
    layers.N.mlp.shared_expert.{gate,up,down}_proj.weight  layers.N.mlp.shared_expert_gate.weight

Values are those of the checkpoint too: value heads grouped by key head, norm weights without their offset, ``A_log``
and not its exponential. Experts are always fused: ``gate_up_proj`` [experts, 2 * expert_size, hidden] with the gate
first, and ``down_proj`` [experts, hidden, expert_size], so that ``load_rows`` reads single experts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch

from thresher.engines.native.config import NativeConfig


class WeightSource(Protocol):
    """Weights of one model, read from its files only when asked for. Safe to use from several threads at once.

    Opening one checks that every tensor which the config promises is there in the right shape; ``ModelFormatError``
    names the tensor, what was expected and what was found.
    """

    @property
    def config(self) -> NativeConfig:
        """What the model computes."""

    def names(self) -> Iterable[str]:
        """Every tensor's name, in the order of the forward pass."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor. ``KeyError`` for a name not in :meth:`names`, here and below."""

    def load(self, name: str, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
        """The whole tensor, dequantized; contiguous, and the caller's own to keep and to change.

        With another ``device`` the bytes go there as they are stored and are dequantized there: on an H100 Q5_K at 37
        billion values a second, where 16 cores beside it manage 0.5.

        Raises:
            ModelFormatError: the file cannot be read, or holds values that are no numbers where they must be.
        """

    def load_rows(
        self,
        name: str,
        rows: torch.Tensor | Sequence[int],
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> torch.Tensor:
        """``load(name, dtype, device)[rows]``, reading only these rows of the first dimension (tokens, experts).

        Raises:
            IndexError: a row that the tensor does not have.
        """

    def stored_bytes(self, name: str) -> int:
        """Bytes of the tensor in its file, scales included."""

    def close(self) -> None:
        """Give the files back; loading afterwards raises ``ValueError``. May be called twice."""
