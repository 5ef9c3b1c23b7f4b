"""Tiny random models of every family the native engine knows: as transformers computes them, and as its weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from thresher.engines.native.config import DeltaConfig, Family, MoeConfig, NativeConfig

FAMILIES: tuple[Family, ...] = ("qwen3_5", "qwen3_5_moe", "qwen3", "qwen3_moe")
VOCABULARY = 211
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "rms_norm_eps": 1e-3,  # large, so that a norm of nearly nothing does not blow rounding errors up
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}
_DELTA: dict[str, Any] = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 6,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 20,
    "linear_conv_kernel_dim": 4,
}
_MOE: dict[str, Any] = {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 40}


class MemorySource:
    """A :class:`~thresher.engines.native.weights.WeightSource` over tensors in memory."""

    def __init__(self, config: NativeConfig, tensors: dict[str, torch.Tensor]) -> None:
        self.config = config
        self._tensors = tensors

    def names(self) -> Iterable[str]:
        return self._tensors

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def load(self, name: str, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
        return self._tensors[name].to(device, dtype, copy=True)

    def load_rows(
        self, name: str, rows: torch.Tensor | Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        return self._tensors[name][torch.as_tensor(rows)].to(device, dtype)

    def stored_bytes(self, name: str) -> int:
        return self._tensors[name].nbytes

    def close(self) -> None:
        return


@dataclass(frozen=True)
class Twin:
    """One random model twice."""

    config: NativeConfig
    source: MemorySource
    reference: Any  # the transformers model

    @torch.inference_mode()
    def logits(self, tokens: Sequence[int]) -> torch.Tensor:
        """transformers' logits of one sequence alone, [tokens, vocabulary]."""
        found = self.reference(input_ids=torch.tensor([list(tokens)]), use_cache=False).logits[0]
        assert isinstance(found, torch.Tensor)
        return found


def make_twin(family: Family, layers: int = 4, **sizes: Any) -> Twin:
    """A model of ``family`` with random weights, norms and decays included."""
    torch.manual_seed(7)
    reference = _reference(family, layers, sizes)
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            if "norm" in name or name.endswith("dt_bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif parameter.dim() > 1:
                parameter.normal_(std=0.5 if "conv1d" in name else 0.6 * parameter.shape[-1] ** -0.5)
    text = reference.config
    tensors = {name.removeprefix("model."): value.detach() for name, value in reference.state_dict().items()}
    config = _native_config(family, text)
    if config.tied_embeddings:
        del tensors["lm_head.weight"]
    return Twin(config, MemorySource(config, tensors), reference)


def _reference(family: Family, layers: int, sizes: dict[str, Any]) -> Any:
    rope = {"rope_theta": 10_000.0, "rope_type": "default"}
    arguments = {**_SIZES, "num_hidden_layers": layers, **sizes}
    if family.startswith("qwen3_5"):
        arguments |= {**_DELTA, "full_attention_interval": 2, **sizes}
        rope |= {"partial_rotary_factor": 1 / 3, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    if family.endswith("moe"):
        arguments |= _MOE
    kinds: dict[str, tuple[Any, Any]] = {
        "qwen3_5": (transformers.Qwen3_5TextConfig, transformers.Qwen3_5ForCausalLM),
        "qwen3_5_moe": (transformers.Qwen3_5MoeTextConfig, transformers.Qwen3_5MoeForCausalLM),
        "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
        "qwen3_moe": (transformers.Qwen3MoeConfig, transformers.Qwen3MoeForCausalLM),
    }
    make_config, make_model = kinds[family]
    if family == "qwen3_5_moe":
        arguments["shared_expert_intermediate_size"] = 56
    if family == "qwen3_moe":
        arguments["norm_topk_prob"] = False
    config = make_config(**arguments, rope_parameters=rope)
    return make_model._from_config(config, attn_implementation="eager").eval()


def _native_config(family: Family, text: Any) -> NativeConfig:
    hybrid, mixed = family.startswith("qwen3_5"), family.endswith("moe")
    kinds = tuple("full" if kind == "full_attention" else "delta" for kind in text.layer_types) if hybrid else ()
    rotary = text.rope_parameters
    return NativeConfig(
        family=family,
        hidden_size=text.hidden_size,
        layer_count=text.num_hidden_layers,
        layer_kinds=kinds or ("full",) * text.num_hidden_layers,  # type: ignore[arg-type]
        intermediate_size=0 if mixed else text.intermediate_size,
        vocabulary_size=text.vocab_size,
        rms_norm_eps=text.rms_norm_eps,
        norm_offset=1.0 if hybrid else 0.0,
        query_heads=text.num_attention_heads,
        kv_heads=text.num_key_value_heads,
        head_dim=text.head_dim,
        rotary_dim=int(text.head_dim * rotary.get("partial_rotary_factor", 1)),
        rope_theta=rotary["rope_theta"],
        output_gate=hybrid,
        tied_embeddings=text.tie_word_embeddings,
        delta=DeltaConfig(
            key_heads=text.linear_num_key_heads,
            value_heads=text.linear_num_value_heads,
            key_dim=text.linear_key_head_dim,
            value_dim=text.linear_value_head_dim,
            conv_width=text.linear_conv_kernel_dim,
        )
        if hybrid
        else None,
        moe=MoeConfig(
            experts=text.num_experts,
            experts_per_token=text.num_experts_per_tok,
            expert_size=text.moe_intermediate_size,
            shared_expert_size=getattr(text, "shared_expert_intermediate_size", 0),
            normalize_top_k=getattr(text, "norm_topk_prob", True),
        )
        if mixed
        else None,
    )
