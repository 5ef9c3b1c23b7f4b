"""Train the demo model for a given time on one GPU.

    python train.py --data FOLDER --out FOLDER --seconds 540

``--data`` is what ``prepare.py`` wrote. Checkpoints (float16) and a log are written to ``--out``.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from architecture import Architecture
from batches import SHAPES, loader
from compact import grow
from corpus import Corpus
from embedding import embed_corpus, token_embeddings
from heldout import Question, accuracy, held_back_sets
from losses import Losses, Projections, losses
from network import Network
from prompts import Prompter
from rows import RowMaker, Vectors
from teacher import SIZE, Teacher
from tokenizers import Tokenizer
from torch import Tensor

_WARM_UP = 0.02  # share of the time
_FROZEN = 0.35  # share of the time in which the token embeddings stay as the teacher made them
_EVALUATIONS = (0.5,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the command line gives."""

    data: Path
    out: Path
    seconds: float
    workers: int
    rate: float
    device: str
    compiled: bool
    start: Path | None
    seed: int


def prepare(
    settings: Settings, tokenizer: Tokenizer, prompter: Prompter
) -> tuple[Corpus, Vectors, Network, np.ndarray, np.ndarray]:
    """The corpus, the teacher's vectors, a fresh (or continued) network, and all documents' tokens end to end."""
    corpus = Corpus.load(settings.data / "corpus.jsonl.xz")
    teacher = Teacher(settings.data / "teacher", settings.device)
    vectors = embed_corpus(corpus, teacher)
    network = Network(Architecture()).to(settings.device)
    network.embed_tokens.weight.data.copy_(token_embeddings(tokenizer, teacher, network.a.hidden))
    if settings.start:
        network.load_state_dict(grow(torch.load(settings.start, map_location=settings.device, weights_only=True)))
    tokens = prompter.documents([d.text for d in corpus.documents])
    offsets = np.cumsum([0, *map(len, tokens)])
    return corpus, vectors, network, np.concatenate(tokens).astype(np.uint16), offsets


def optimizer(network: Network, projections: Projections, rate: float) -> torch.optim.Optimizer:
    """AdamW with decay on matrices only; the token embeddings have a group of their own, the first."""
    named = [(n, p) for n, p in network.named_parameters() if n != "embed_tokens.weight"]
    matrices = [p for _, p in named if p.ndim == 2] + list(projections.parameters())
    vectors = [p for _, p in named if p.ndim != 2]
    groups = [
        {"params": [network.embed_tokens.weight], "scale": 0.2, "weight_decay": 0.0},
        {"params": matrices, "scale": 1.0, "weight_decay": 0.05},
        {"params": vectors, "scale": 1.0, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=network.embed_tokens.weight.is_cuda)


def schedule(step: torch.optim.Optimizer, rate: float, progress: float) -> None:
    """Warm up, then fall in a straight line to nothing; the embeddings join late."""
    factor = min(progress / _WARM_UP, (1 - progress) / (1 - _WARM_UP), 1.0)
    for number, group in enumerate(step.param_groups):
        frozen = number == 0 and progress < _FROZEN
        group["lr"] = 0.0 if frozen else rate * max(factor, 0.0) * group["scale"]


class Trainer:
    """One run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tokenizer = Tokenizer.from_file(str(settings.data / "tokenizer.json"))
        self.prompter = Prompter(self.tokenizer)
        corpus, vectors, self.network, flat, offsets = prepare(settings, self.tokenizer, self.prompter)
        self.questions = held_back_sets(corpus) | read_questions(settings.data / "questions.json")
        self.table = torch.from_numpy(vectors.table).to(settings.device)
        self.projections = Projections(self.network.a.hidden, SIZE).to(settings.device)
        self.batches = iter(
            loader(partial(_maker, corpus, vectors, flat, offsets, self.prompter, settings.seed), settings.workers)
        )
        if settings.compiled:
            torch._dynamo.config.recompile_limit = 64
            for layer in self.network.layers:
                layer.compile(dynamic=False)

    def run(self) -> None:
        """Train until the time is over, then save."""
        s, network = self.settings, self.network
        optimize = optimizer(network, self.projections, s.rate)
        began, steps, tokens, evaluations = self._warm_kernels(), 0, 0, list(_EVALUATIONS)
        while (progress := (time.monotonic() - began) / s.seconds) < 1:
            schedule(optimize, s.rate, progress)
            batch = next(self.batches)
            tokens += batch["tokens"].numel()
            result = self._step(batch, progress)
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimize.step()
            optimize.zero_grad(set_to_none=True)
            steps += 1
            if steps % 100 == 0:
                self._log(steps, tokens, time.monotonic() - began, result)
            if evaluations and progress > evaluations[0]:
                evaluations.pop(0)
                self.save("checkpoint.pt")
                self.evaluate()
        self.save("model.pt")
        logging.info("%d steps, %.0f M tokens in %.0f s", steps, tokens / 1e6, time.monotonic() - began)
        self.evaluate()

    def _warm_kernels(self) -> float:
        """Compile every batch shape before the clock starts."""
        if self.settings.compiled:
            began = time.monotonic()
            for length, rows in SHAPES.items():
                ids = torch.randint(0, 20000, (rows, length), device="cuda")
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    self.network(ids).final.float().square().mean().backward()
            self.network.zero_grad(set_to_none=True)
            torch.cuda.synchronize()
            logging.info("compiled in %.0f s", time.monotonic() - began)
        return time.monotonic()

    def _step(self, batch: dict[str, Tensor], progress: float) -> Losses:
        batch = {k: v.to(self.settings.device, non_blocking=True) for k, v in batch.items()}
        with torch.autocast(self.settings.device, dtype=torch.bfloat16):
            reading = self.network(batch["tokens"].long())
            result = losses(self.network, self.projections, reading, batch, self.table)
        result.total(guide=0.5 - 0.4 * progress, cosine=1.0 - 0.8 * progress).backward()
        return result

    def _log(self, steps: int, tokens: int, seconds: float, r: Losses) -> None:
        parts = [float(x.detach()) for x in (r.first, r.rest, r.guide, r.document, r.label, r.correct)]
        logging.info(
            "%6d %4.0fs %5.2fM tok/s  first %.3f rest %.3f guide %.3f document %.3f label %.3f correct %.3f",
            steps, seconds, tokens / seconds / 1e6, *parts,
        )  # fmt: skip

    def evaluate(self) -> None:
        """Log the accuracy on every held-back set."""
        self.network.eval()
        for name, questions in self.questions.items():
            # Not compiled: every shape met here would be compiled anew.
            with torch.autocast(self.settings.device, dtype=torch.bfloat16), torch.compiler.set_stance("force_eager"):
                share = accuracy(self.network, self.prompter, questions)
            chance = sum(1 / len(q.labels) for q in questions) / len(questions)
            logging.info("    %-16s %.3f of %d (chance %.2f)", name, share, len(questions), chance)
        self.network.train()

    def save(self, name: str) -> None:
        """Weights in float16: a file must stay under 16 MiB on some machines, so in two."""
        state = {k: v.half().cpu() for k, v in self.network.state_dict().items()}
        torch.save({k: v for k, v in state.items() if k.startswith("embed")}, self.settings.out / f"embed-{name}")
        torch.save({k: v for k, v in state.items() if not k.startswith("embed")}, self.settings.out / name)


def read_questions(path: Path) -> dict[str, list[Question]]:
    """Questions on generated texts that ``prepare.py`` set aside."""
    return {
        name: [Question(text, tuple((n, d) for n, d in labels), right) for text, labels, right in rows]
        for name, rows in json.loads(path.read_text()).items()
    }


def _maker(
    corpus: Corpus, vectors: Vectors, flat: np.ndarray, offsets: np.ndarray, prompter: Prompter, seed: int, worker: int
) -> RowMaker:
    return RowMaker(corpus, vectors, flat, offsets, prompter, seed * 1000 + worker)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--seconds", type=float, required=True, help="of training; preparation takes another minute or two"
    )
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--plain", dest="compiled", action="store_false", help="do not compile the layers")
    parser.add_argument("--start", type=Path, help="weights to go on from, made small by compact.py")
    parser.add_argument("--seed", type=int, default=1)
    settings = Settings(**vars(parser.parse_args()))
    settings.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(settings.out / "log.txt")],
    )
    torch.manual_seed(settings.seed)
    torch.set_float32_matmul_precision("high")
    Trainer(settings).run()


if __name__ == "__main__":
    main()
