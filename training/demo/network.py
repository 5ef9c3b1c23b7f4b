"""The demo model in plain torch: Qwen3.5's text decoder, small, for training on right-padded rows.

Padding needs no mask: every layer is causal, and only positions before the padding are read. Parameter names
follow the published checkpoints' (see ``export.py`` for their names in GGUF).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from architecture import Architecture
from deltarule import CHUNK, chunked_delta_rule
from torch import Tensor, nn


class Norm(nn.Module):
    """RMS norm whose weight is an offset from one."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * (1 + self.weight)).to(x.dtype)


class DeltaNet(nn.Module):
    """Gated DeltaNet: short causal convolution, gated delta rule, gated norm."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.a = a
        self.in_proj_qkv = nn.Linear(a.hidden, 2 * a.key_size + a.value_size, bias=False)
        self.in_proj_z = nn.Linear(a.hidden, a.value_size, bias=False)
        self.in_proj_a = nn.Linear(a.hidden, a.value_heads, bias=False)
        self.in_proj_b = nn.Linear(a.hidden, a.value_heads, bias=False)
        self.conv1d = nn.Conv1d(
            2 * a.key_size + a.value_size,
            2 * a.key_size + a.value_size,
            a.conv_width,
            groups=2 * a.key_size + a.value_size,
            bias=False,
        )
        # Memory lengths from a few to some hundred tokens at the start.
        self.A_log = nn.Parameter(torch.log(torch.linspace(0.5, 8.0, a.value_heads)))
        self.dt_bias = nn.Parameter(torch.full((a.value_heads,), -4.0))
        self.norm = nn.Parameter(torch.ones(a.delta_dim))
        self.out_proj = nn.Linear(a.value_size, a.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a
        rows, time, _ = x.shape
        mixed = self.in_proj_qkv(x)
        kernel = self.conv1d.weight.squeeze(1)
        padded = F.pad(mixed, (0, 0, a.conv_width - 1, 0))
        conv = sum(padded[:, i : i + time] * kernel[:, i].to(x.dtype) for i in range(a.conv_width))
        mixed = F.silu(conv)
        q, k, v = mixed.float().split([a.key_size, a.key_size, a.value_size], dim=-1)
        repeat = a.value_heads // a.key_heads

        def heads(t: Tensor, count: int) -> Tensor:
            return t.reshape(rows, time, count, a.delta_dim).transpose(1, 2)

        q = _unit(heads(q, a.key_heads)).repeat_interleave(repeat, dim=1) * a.delta_dim**-0.5
        k = _unit(heads(k, a.key_heads)).repeat_interleave(repeat, dim=1)
        g = -self.A_log.exp() * F.softplus(self.in_proj_a(x).float() + self.dt_bias)
        beta = torch.sigmoid(self.in_proj_b(x).float())
        with torch.autocast(x.device.type, enabled=False):
            o = chunked_delta_rule(q, k, heads(v, a.value_heads), g.transpose(1, 2), beta.transpose(1, 2))
        o = o.transpose(1, 2)
        o = o * torch.rsqrt(o.square().mean(-1, keepdim=True) + a.norm_eps) * self.norm
        z = F.silu(self.in_proj_z(x).float()).reshape(rows, time, a.value_heads, a.delta_dim)
        return self.out_proj((o * z).reshape(rows, time, -1).to(x.dtype))


class Attention(nn.Module):
    """Grouped-query attention with normed queries and keys, partial rotary positions and an output gate."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.a = a
        self.q_proj = nn.Linear(a.hidden, 2 * a.query_heads * a.head_dim, bias=False)
        self.k_proj = nn.Linear(a.hidden, a.kv_heads * a.head_dim, bias=False)
        self.v_proj = nn.Linear(a.hidden, a.kv_heads * a.head_dim, bias=False)
        self.o_proj = nn.Linear(a.query_heads * a.head_dim, a.hidden, bias=False)
        self.q_norm = Norm(a.head_dim, a.norm_eps)
        self.k_norm = Norm(a.head_dim, a.norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output ``[rows, time, hidden]``, and the rotated queries and keys ``[rows, heads, time, d]``."""
        a = self.a
        rows, time, _ = x.shape
        q, gate = self.q_proj(x).reshape(rows, time, a.query_heads, 2 * a.head_dim).chunk(2, dim=-1)
        k = self.k_proj(x).reshape(rows, time, a.kv_heads, a.head_dim)
        v = self.v_proj(x).reshape(rows, time, a.kv_heads, a.head_dim).transpose(1, 2)
        q = _rotate(self.q_norm(q).transpose(1, 2), cos, sin)
        k = _rotate(self.k_norm(k).transpose(1, 2), cos, sin)
        o = F.scaled_dot_product_attention(q, k, v.to(q.dtype), is_causal=True, enable_gqa=True)
        o = o.transpose(1, 2) * torch.sigmoid(gate)
        return self.o_proj(o.reshape(rows, time, -1)), q, k


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(a.hidden, a.feed_forward, bias=False)
        self.up_proj = nn.Linear(a.hidden, a.feed_forward, bias=False)
        self.down_proj = nn.Linear(a.feed_forward, a.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DeltaLayer(nn.Module):
    """One layer with Gated DeltaNet."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.input_layernorm = Norm(a.hidden, a.norm_eps)
        self.linear_attn = DeltaNet(a)
        self.post_attention_layernorm = Norm(a.hidden, a.norm_eps)
        self.mlp = FeedForward(a)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.linear_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class FullLayer(nn.Module):
    """One layer with full attention."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.input_layernorm = Norm(a.hidden, a.norm_eps)
        self.self_attn = Attention(a)
        self.post_attention_layernorm = Norm(a.hidden, a.norm_eps)
        self.mlp = FeedForward(a)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        o, q, k = self.self_attn(self.input_layernorm(x), cos, sin)
        x = x + o
        return x + self.mlp(self.post_attention_layernorm(x)), q, k


@dataclass(frozen=True, slots=True)
class Reading:
    """What a forward pass leaves: states after the final norm, states before each layer, q and k by layer."""

    final: Tensor
    before: list[Tensor]
    queries: dict[int, Tensor]
    keys: dict[int, Tensor]


class Network(nn.Module):
    """Token ids ``[rows, time]`` (time a multiple of the delta rule's chunk) to states."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.a = a
        self.embed_tokens = nn.Embedding(a.vocabulary, a.hidden)
        self.layers = nn.ModuleList(FullLayer(a) if a.is_full_attention(i) else DeltaLayer(a) for i in range(a.layers))
        self.norm = Norm(a.hidden, a.norm_eps)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
        for layer in self.layers:
            mixer = layer.self_attn.o_proj if isinstance(layer, FullLayer) else layer.linear_attn.out_proj
            for out in (mixer, layer.mlp.down_proj):
                out.weight.data *= (2 * self.a.layers) ** -0.5
        nn.init.normal_(self.embed_tokens.weight, std=1.0)

    def forward(self, tokens: Tensor) -> Reading:
        x = self.embed_tokens(tokens)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.bfloat16)
        cos, sin = rotary_table(self.a, tokens.shape[1], x.device)
        before, queries, keys = [], {}, {}
        for i, layer in enumerate(self.layers):
            before.append(x)
            if isinstance(layer, FullLayer):
                x, queries[i], keys[i] = layer(x, cos, sin)
            else:
                x = layer(x)
        return Reading(self.norm(x), before, queries, keys)

    def logits(self, states: Tensor) -> Tensor:
        """Over the vocabulary, by the tied embeddings."""
        return F.linear(states, self.embed_tokens.weight.to(states.dtype)).float()

    def read(self, ids: list[int]) -> Tensor:
        """Final-normed states ``[len(ids), hidden]`` of one row, padded here to whole chunks."""
        padded = ids + [0] * (-len(ids) % CHUNK)
        device = self.embed_tokens.weight.device
        return self(torch.tensor([padded], device=device)).final[0, : len(ids)]


def rotary_table(a: Architecture, time: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``[time, rotary_dim]`` in float32."""
    frequency = a.rotary_base ** (-torch.arange(0, a.rotary_dim, 2, device=device).float() / a.rotary_dim)
    angle = torch.outer(torch.arange(time, device=device).float(), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    size = cos.shape[-1]
    turned, rest = x[..., :size].float(), x[..., size:]
    first, second = turned.chunk(2, dim=-1)
    turned = turned * cos + torch.cat([-second, first], dim=-1) * sin
    return torch.cat([turned.to(x.dtype), rest], dim=-1)


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)
