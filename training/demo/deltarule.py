"""The gated delta rule over whole sequences, in chunks, for training.

Per value head the state ``S[d, d]`` follows ``S_t = exp(g_t) S_{t-1} + k_t (beta_t (v_t - exp(g_t) S_{t-1}^T k_t))^T`` and the output
is ``S_t^T q_t`` (Yang et al., "Gated Delta Networks", 2024). Within a chunk the recurrence is a triangular
solve; between chunks it is linear in the state, so one batched matrix product a chunk carries it on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 32
_BLOCK = 16


def naive_delta_rule(q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor) -> Tensor:
    """Token by token; the reference. q, k, v ``[rows, heads, time, d]``; g, beta ``[rows, heads, time]``."""
    state = torch.zeros(*q.shape[:2], q.shape[-1], v.shape[-1], dtype=q.dtype, device=q.device)
    outputs = []
    for t in range(q.shape[2]):
        state = state * g[:, :, t, None, None].exp()
        known = torch.einsum("rhkv,rhk->rhv", state, k[:, :, t])
        update = (v[:, :, t] - known) * beta[:, :, t, None]
        state = state + torch.einsum("rhk,rhv->rhkv", k[:, :, t], update)
        outputs.append(torch.einsum("rhkv,rhk->rhv", state, q[:, :, t]))
    return torch.stack(outputs, dim=2)


def chunked_delta_rule(q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor) -> Tensor:
    """The same in chunks. ``time`` must be a multiple of ``CHUNK``; all in float32."""
    rows, heads, time, size = q.shape
    chunks = time // CHUNK

    def split(x: Tensor) -> Tensor:
        return x.reshape(rows * heads, chunks, CHUNK, *x.shape[3:])

    q, k, v, g, beta = split(q), split(k), split(v), split(g), split(beta)
    total = g.cumsum(-1)
    lower = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=q.device).tril()
    # Masked before exp: above the diagonal the difference is positive and would overflow.
    decay = (total[..., :, None] - total[..., None, :]).masked_fill(~lower, -torch.inf).exp()
    k_beta = k * beta[..., None]
    coupling = (k_beta @ k.transpose(-1, -2)) * decay
    solve = UnitLowerInverse.apply(coupling.tril(-1))
    values = solve @ (v * beta[..., None])
    keys = solve @ (k_beta * total[..., None].exp())
    last = total[..., -1:]
    carried = (k * (last - total)[..., None].exp()).transpose(-1, -2)
    identity = torch.eye(size, device=q.device, dtype=q.dtype)
    transition = identity * last[..., None].exp() - carried @ keys
    states = scan_states(transition, carried @ values)
    fresh = values - keys @ states
    inside = (q @ k.transpose(-1, -2)) * decay
    out = (q * total[..., None].exp()) @ states + inside @ fresh
    return out.reshape(rows, heads, time, -1)


class UnitLowerInverse(torch.autograd.Function):
    """``(I + A)^-1`` for strictly lower ``A[..., CHUNK, CHUNK]``."""

    @staticmethod
    def forward(ctx: Any, strict: Tensor) -> Tensor:
        first = _small_inverse(strict[..., :_BLOCK, :_BLOCK])
        second = _small_inverse(strict[..., _BLOCK:, _BLOCK:])
        corner = -second @ strict[..., _BLOCK:, :_BLOCK] @ first
        top = torch.cat([first, torch.zeros_like(first)], dim=-1)
        inverse = torch.cat([top, torch.cat([corner, second], dim=-1)], dim=-2)
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        transposed = inverse.transpose(-1, -2)
        return -(transposed @ grad @ transposed).tril(-1)


def _small_inverse(strict: Tensor) -> Tensor:
    """By the Neumann product: the sizes of the powers stay harmless up to 16 rows."""
    power = -strict
    inverse = torch.eye(_BLOCK, device=strict.device, dtype=strict.dtype) + power
    for _ in range(3):
        power = power @ power
        inverse = inverse + inverse @ power
    return inverse


# A custom operation, because compiled code would unroll the loop over the chunks.
@torch.library.custom_op("demo::scan_states", mutates_args=())
def scan_states(transition: Tensor, update: Tensor) -> Tensor:
    """States before each chunk: ``S_0 = 0``, ``S_{n+1} = M_n S_n + U_n``; all ``[heads, chunks, d, d]``."""
    m, u = transition.transpose(0, 1).contiguous(), update.transpose(0, 1).contiguous()
    states = torch.zeros_like(u)
    for n in range(u.shape[0] - 1):
        torch.baddbmm(u[n], m[n], states[n], out=states[n + 1])
    return states.transpose(0, 1).contiguous()


@torch.library.custom_op("demo::scan_states_backward", mutates_args=())
def scan_states_backward(transition: Tensor, grad: Tensor) -> Tensor:
    """Gradient of ``update`` from that of the states."""
    m = transition.transpose(0, 1).contiguous()
    after = grad.transpose(0, 1).contiguous()
    for n in range(m.shape[0] - 2, 0, -1):
        after[n].baddbmm_(m[n].transpose(-1, -2), after[n + 1])
    d_update = torch.zeros_like(after)
    d_update[:-1] = after[1:]
    return d_update.transpose(0, 1).contiguous()


@scan_states.register_fake
def _(transition: Tensor, update: Tensor) -> Tensor:
    return torch.empty_like(update, memory_format=torch.contiguous_format)


@scan_states_backward.register_fake
def _(transition: Tensor, grad: Tensor) -> Tensor:
    return torch.empty_like(grad, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], output)


def _scan_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    transition, states = ctx.saved_tensors
    d_update = scan_states_backward(transition, grad)
    return d_update @ states.transpose(-1, -2), d_update


scan_states.register_autograd(_scan_gradients, setup_context=_keep)
