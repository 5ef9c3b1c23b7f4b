"""From final hidden states to what answers need: logits of some tokens, and the sum over the whole vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.layers.norm import rms_norm
from thresher.engines.native.tables import Table
from thresher.engines.native.weights import WeightSource

#: Rows of the head multiplied at once when its whole vocabulary is summed.
_CHUNK_ROWS = 8192


class AnswerRows:
    """The head's rows of the tokens that a prompt's answers are made of."""

    def __init__(self, tokens: Sequence[int], rows: torch.Tensor) -> None:
        self.columns = {token: column for column, token in enumerate(tokens)}
        self.rows = rows  # float32 [tokens, hidden]


class Head:
    """Final norm and head. Products are summed in float32 whatever the weights are stored in."""

    def __init__(self, source: WeightSource, table: Table, device: torch.device) -> None:
        config: NativeConfig = source.config
        self._table = table
        self._device = device
        self._eps = config.rms_norm_eps
        self._scale = source.load("norm.weight", torch.float32).to(device) + config.norm_offset

    def answer_rows(self, tokens: Sequence[int]) -> AnswerRows:
        """What :meth:`logits` needs for ``tokens``, each once."""
        rows = self._table.rows(np.array(tokens, dtype=np.int64), self._device)
        return AnswerRows(tokens, rows.float())

    def norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """The final norm, to float32."""
        return rms_norm(hidden, self._scale, self._eps).float()

    def logits(self, normed: torch.Tensor, answers: AnswerRows) -> torch.Tensor:
        """[outputs, hidden] to float32 [outputs, tokens of ``answers``]."""
        return normed @ answers.rows.t()

    def logsumexp(self, normed: torch.Tensor) -> torch.Tensor:
        """[outputs, hidden] to float64 [outputs]: logsumexp of the logits of the whole vocabulary."""
        sums = torch.full((len(normed),), -torch.inf, dtype=torch.float64, device=normed.device)
        if len(normed):
            for rows in self._table.chunks(_CHUNK_ROWS, self._device):
                logits = normed @ rows.float().t()
                sums = torch.logaddexp(sums, logits.logsumexp(-1).double())
        return sums
