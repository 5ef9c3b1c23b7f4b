"""The teacher: all-MiniLM-L6-v2, which gives texts of like meaning like vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from compact import grow, shrink
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

SIZE = 384
_LENGTH = 256
_BATCH_TOKENS = 65536


def pack(model: Path, out: Path) -> None:
    """Copy what the teacher needs from ``model`` to ``out``, made small."""
    out.mkdir(parents=True, exist_ok=True)
    weights = load_file(model / "model.safetensors")
    kept = {k: v for k, v in weights.items() if v.is_floating_point() and "pooler" not in k}
    save_file(shrink(kept), out / "teacher.safetensors")
    for name in ("tokenizer.json", "config.json"):
        (out / name).write_bytes((model / name).read_bytes())


class Teacher:
    """Embeds texts on ``device``."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import BertConfig, BertModel

        config = BertConfig(**json.loads((folder / "config.json").read_text()))
        weights = grow(load_file(folder / "teacher.safetensors"))
        model = BertModel(config, add_pooling_layer=False)
        missing, _ = model.load_state_dict(weights, strict=False)
        if stray := [name for name in missing if "position_ids" not in name and "token_type_ids" not in name]:
            raise ValueError(f"the teacher's file lacks {stray}")
        self._model = model.to(device).eval()
        self._device = device
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LENGTH)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors ``[texts, SIZE]`` in float16; a text is read to its 256th word piece."""
        encoded = [e.ids for e in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
        result = np.zeros((len(texts), SIZE), dtype=np.float16)
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and len(encoded[order[stop]]) * (stop + 1 - start) <= _BATCH_TOKENS:
                stop += 1
            chosen = order[start:stop]
            result[chosen] = self._embed_batch([encoded[i] for i in chosen]).cpu().numpy()
            start = stop
        return result

    def _embed_batch(self, rows: list[list[int]]) -> Tensor:
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=self._device)
        with torch.autocast(self._device, dtype=torch.float16, enabled=self._device == "cuda"):
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (states.float() * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(pooled, dim=-1).half()
