"""What the demo model is trained to do, beside naming the label: the helpers that make a small model learn it.

The answer's own loss is cross-entropy over the whole vocabulary at every answer token; the first token's target is spread over
the labels as the teacher judges them. Helpers: *guided attention* (from the answer's tokens, two heads of one layer look at
the right label's line), and the cosine between the teacher's vectors and a projection of the states that enter that layer, for the
document (read at the answer's first token) and for each label (read at the end of its line).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from batches import Batch
from network import Network, Reading
from torch import Tensor, nn

GUIDED_LAYER = 5
GUIDED_HEADS = 2


class Projections(nn.Module):
    """States to the teacher's space; used in training only."""

    def __init__(self, hidden: int, size: int) -> None:
        super().__init__()
        self.document = nn.Linear(hidden, size)
        self.label = nn.Linear(hidden, size)


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean losses of a batch, and how many rows named the label with the most weight."""

    first: Tensor
    rest: Tensor
    guide: Tensor
    document: Tensor
    label: Tensor
    correct: Tensor

    def total(self, guide: float, cosine: float) -> Tensor:
        return self.first + 0.5 * self.rest + guide * self.guide + cosine * (self.document + self.label)


def losses(network: Network, projections: Projections, reading: Reading, batch: Batch, table: Tensor) -> Losses:
    """All losses of one batch; ``table`` holds the teacher's vectors."""
    rows = torch.arange(len(batch["at"]), device=table.device)
    logits = network.logits(reading.final[rows[:, None], batch["at"]])
    first, correct = _first(logits[:, 0], batch)
    rest = F.cross_entropy(logits[:, 1:].flatten(0, 1), batch["answer"][:, 1:].flatten(), ignore_index=-1)
    entering = reading.before[GUIDED_LAYER].float()
    norm = network.layers[GUIDED_LAYER].input_layernorm
    document = 1 - F.cosine_similarity(
        projections.document(norm(entering[rows, batch["at"][:, 0]])), table[batch["document"]].float(), dim=-1
    )
    return Losses(
        first,
        rest,
        _guide(reading, batch, rows),
        document.mean(),
        _label(projections, norm, entering, batch, rows, table),
        correct,
    )


def _first(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    log = logits.log_softmax(-1).gather(1, batch["first"])
    present = batch["names"] >= 0
    loss = -(batch["weights"] * log).sum(1).mean()
    best = log.masked_fill(~present, -torch.inf).argmax(1)
    # Two labels may share their first token: naming either is right here.
    wanted = batch["first"].gather(1, batch["weights"].argmax(1, keepdim=True))
    return loss, (batch["first"].gather(1, best[:, None]) == wanted).float().mean()


def _guide(reading: Reading, batch: Batch, rows: Tensor) -> Tensor:
    q = reading.queries[GUIDED_LAYER][:, :GUIDED_HEADS]
    k = reading.keys[GUIDED_LAYER][:, :1]  # the guided heads share the first key head
    at = batch["at"]
    q = q.transpose(1, 2)[rows[:, None], at].transpose(1, 2)
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    ahead = torch.arange(k.shape[2], device=k.device) > at[:, None, :, None]
    mass = scores.masked_fill(ahead, -torch.inf).softmax(-1).mean(1).cumsum(-1)
    mass = F.pad(mass, (1, 0))  # [rows, answer, time + 1]: mass before each position
    spans = batch["spans"].flatten(1)[:, None].expand(-1, at.shape[1], -1)
    edges = mass.gather(2, spans).unflatten(2, (-1, 2))
    log = (edges[..., 1] - edges[..., 0]).clamp(min=1e-5).log()
    said = F.one_hot(batch["said"], log.shape[2]).float()
    wanted = torch.cat([batch["weights"][:, None], said[:, None].expand(-1, at.shape[1] - 1, -1)], dim=1)
    used = (batch["answer"] >= 0).float()
    return -((wanted * log).sum(-1) * used).sum() / used.sum()


def _label(
    projections: Projections, norm: nn.Module, entering: Tensor, batch: Batch, rows: Tensor, table: Tensor
) -> Tensor:
    present = batch["names"] >= 0
    ends = (batch["spans"][..., 1] - 1).clamp(min=0)
    said = projections.label(norm(entering[rows[:, None], ends]))
    wanted = table[batch["names"].clamp(min=0)].float()
    described = (batch["descriptions"] >= 0)[..., None]
    wanted = wanted + described * table[batch["descriptions"].clamp(min=0)].float()
    loss = 1 - F.cosine_similarity(said, wanted, dim=-1)
    return (loss * present).sum() / present.sum()
