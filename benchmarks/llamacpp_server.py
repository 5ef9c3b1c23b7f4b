"""Labelling inside the process against llama.cpp's own server with a plain client.

Same build, same model, same documents, same threads, same run.

    python -m benchmarks.llamacpp_server [--model demo | hybrid-0.1b | ...] [--case prefix-500 | seed] [--documents 24]

The client sends one chat request a document, 8 at a time, with a grammar of the labels and thinking off. The server
runs in its own process on loopback, with the launch settings known to suit prompt-heavy work (a slot for each of the
8, micro-batch 2048, separate KV caches, prompt caching as it comes); it is also measured with a single slot.
Its OpenMP threads wait as the user's environment says, so usually as OpenMP does by itself. Every round reads other
documents of the same lengths, because a prompt read before would come out of the server's cache; in a round each system
has its turn.

Case ``seed`` takes the lengths of ``seed-320.json``, evenly through the sorted list where fewer documents
are asked for, divided by ``--shrink``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.documents import make_documents
from benchmarks.machine import save
from benchmarks.random_models import SIZES, open_named
from thresher.answers import AnswerTrie
from thresher.engines import Engine, EngineOptions, open_engine
from thresher.models import Model
from thresher.types import Prompt, QuestionPrompt, Request

#: As many as make a prefix of about 500 tokens.
LABELS = {
    "invoice": "asks for payment for goods or services delivered, with amounts and a due date",
    "contract": "an agreement that binds the parties who sign it, with their rights and duties",
    "minutes": "a record of what was discussed and decided in a meeting, and who was present",
    "cv": "a person's education, work experience and skills, written to apply for a position",
    "bug-report": "describes a fault in software, what was expected and how to reproduce it",
    "support-request": "a customer asks for help with a product or service that does not work",
    "delivery-note": "lists the goods that come with a shipment and where they are sent",
    "quotation": "offers goods or services at a price that holds for a certain time",
    "order": "asks a supplier to deliver goods or services at agreed prices",
    "complaint": "a customer is unhappy with what was delivered and wants a remedy",
    "newsletter": "news of a company or a club, sent to many readers at once",
    "recipe": "says how to prepare a dish, with its ingredients and the steps",
    "manual": "explains how a device is set up, used and kept in good order",
    "report": "sets out results of an examination with figures and conclusions",
    "application": "asks an authority for a permit or for money, with reasons",
    "policy": "rules of an organisation that everybody in it has to follow",
    "statement": "account movements at a bank over a month, with the balances",
    "prescription": "a doctor orders medicine for a patient, with dose and duration",
    "reminder": "asks once more for a payment that is overdue, with the amount and new date",
    "timetable": "when trains, buses or lessons take place, day by day and hour by hour",
    "obituary": "announces a death, with the life of the person and the day of the funeral",
    "press-release": "tells the press about an event of a company or an authority",
    "review": "judges a book, a film or a product, with what is good and what is bad in it",
    "poem": "lines of verse, often with rhyme, that speak of a feeling or a scene",
    "will": "says who inherits the property of a person after the death, signed by that person",
    "lease": "rental of a home, an office or equipment for a monthly payment",
    "advertisement": "praises goods or services to possible buyers and says where to get them",
}
TAIL = "---\nAnswer with exactly one label from the list, and nothing else."
WORKLOAD = Path(__file__).parents[1] / "src" / "thresher" / "bench" / "workloads" / "seed-320.json"
CONCURRENCY = 8
#: As the user has it: loading the library in this process adds to ``os.environ``.
_ENVIRONMENT = dict(os.environ)
#: Of a slot, beside the document: prefix, suffix, answer, and documents that come out a little longer.
OVERHEAD_TOKENS = 1000
#: Name -> slots of the server.
SERVERS = {"server, 8 slots": 8, "server, 1 slot": 1}


@dataclass(slots=True)
class Round:
    """One system's turn over one set of documents."""

    seconds: float
    processor_seconds: float  # of all processes that take part; other load on the machine hardly touches it
    labels: list[str]
    prompt_tokens: int
    computed_tokens: int


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(json.loads(sys.argv[2]))
        return
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        model = open_named(arguments.model, Path(folder))
        lengths = document_lengths(arguments)
        head = make_head()
        systems: dict[str, Callable[[Sequence[str]], Round]] = {}
        servers = [
            ServedModel(model, slots, max(lengths) + OVERHEAD_TOKENS, arguments.threads) for slots in SERVERS.values()
        ]
        options = EngineOptions(threads=arguments.threads, device="cpu")
        with open_engine("llamacpp", model, options) as engine:
            systems["thresher"] = InProcess(engine, model, head)
            systems |= {name: Client(server, head) for name, server in zip(SERVERS, servers, strict=True)}
            rounds = take_turns(systems, model, lengths, arguments.rounds)
        for server in servers:
            server.close()
    report = {
        "model": model.facts.name,
        "parameters": model.facts.parameters,
        "case": arguments.case,
        "shrink": arguments.shrink,
        "rounds": arguments.rounds,
        "document_tokens": lengths,
        "threads": arguments.threads,
        "systems": summarize(rounds),
    }
    save(f"llamacpp_server_{arguments.case}_{arguments.model}", report)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", help=f"a model reference, or a random one of {', '.join(SIZES)}")
    parser.add_argument("--case", choices=("prefix-500", "seed"), default="prefix-500")
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shrink", type=int, default=1, help="divide the lengths of the case seed")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    return parser.parse_args()


def document_lengths(arguments: argparse.Namespace) -> list[int]:
    if arguments.case == "prefix-500":
        return [1000] * arguments.documents
    workload = json.loads(WORKLOAD.read_text(encoding="utf-8"))
    prompts = sorted(workload["prompt_tokens"])
    step = len(prompts) / min(arguments.documents, len(prompts))
    chosen = [prompts[int((index + 0.5) * step)] for index in range(min(arguments.documents, len(prompts)))]
    return [max(50, (length - workload["prefix_tokens"]) // arguments.shrink) for length in chosen]


def make_head() -> str:
    """Instructions and labels: the start of every prompt."""
    labels = "\n".join(f"{name}: {description}" for name, description in LABELS.items())
    return f"Decide what kind of document this is.\n\nLabels:\n{labels}\n\nDocument:\n"


class InProcess:
    """Thresher's engine: tokenizing and scoring, as a run does them."""

    def __init__(
        self, engine: Engine, model: Model, head: str, others_seconds: Callable[[], float] = lambda: 0.0
    ) -> None:
        """``others_seconds`` is the processor time that another process has spent for it so far."""
        self._engine = engine
        self._others_seconds = others_seconds
        before, _, _, after = model.chat.pieces((head, "x", TAIL))
        encode, template = engine.tokenizer.encode, engine.tokenizer.encode_template
        end = template(model.chat.end_of_turn)
        trie = AnswerTrie(list(LABELS), [[*encode(label), *end] for label in LABELS])
        suffix = (*encode(TAIL), *template(after))
        question = QuestionPrompt(name="kind", suffix_tokens=suffix, trie=trie)
        self._prompt = Prompt(prefix_tokens=(*template(before), *encode(head)), questions=(question,))

    def __call__(self, texts: Sequence[str]) -> Round:
        start, processor = time.perf_counter(), time.process_time() + self._others_seconds()
        documents = self._engine.tokenizer.encode_batch([f"{text}\n" for text in texts])
        requests = [Request(request_id=n, prompt=self._prompt, document_tokens=d) for n, d in enumerate(documents)]
        scores = sorted(self._engine.score(requests), key=lambda scores: scores.request_id)
        seconds, processor = time.perf_counter() - start, time.process_time() + self._others_seconds() - processor
        labels = [max(zip(s.answers[0].probabilities, LABELS, strict=True))[1] for s in scores]
        suffix = len(self._prompt.questions[0].suffix_tokens)
        return Round(
            seconds,
            processor,
            labels,
            sum(len(self._prompt.prefix_tokens) + len(document) + suffix for document in documents),
            sum(s.computed_tokens for s in scores),
        )


class ServedModel:
    """The server as a process of its own; ``url`` is where it listens."""

    def __init__(self, model: Model, slots: int, tokens_per_slot: int, threads: int, saves: Path | None = None) -> None:
        settings = {
            "saves": None if saves is None else f"{saves}/",
            "path": str(model.files.path),
            "slots": slots,
            "context": slots * tokens_per_slot,
            "threads": threads,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.llamacpp_server", "--serve", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_ENVIRONMENT,
        )
        assert self._process.stdout is not None
        self.url = next((line.split()[1] for line in self._process.stdout if line.startswith("listening ")), "")
        if not self.url:
            raise SystemExit("the server did not start")

    def processor_seconds(self) -> float:
        """Used by the server so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        self._process.communicate()


def serve(settings: dict[str, Any]) -> None:
    """Run the server until standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.n_parallel, params.n_ctx = settings["slots"], settings["context"]
    params.n_batch, params.n_ubatch = 4096, 2048
    params.kv_unified, params.cache_ram_mib, params.n_gpu_layers = False, 0, 0
    params.enable_reasoning, params.ui, params.port = 0, False, 0
    if settings["saves"] is not None:
        params.slot_save_path, params.cache_idle_slots = settings["saves"], False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    server = xllamacpp.Server(params)
    sys.stdout.write(f"\nlistening {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


class Client:
    """A plain client: a chat request a document, so many at a time."""

    def __init__(self, server: ServedModel, head: str) -> None:
        self._server = server
        self._url = f"{server.url}/v1/chat/completions"
        self._head = head
        self._grammar = "root ::= " + " | ".join(json.dumps(label) for label in LABELS)

    def __call__(self, texts: Sequence[str]) -> Round:
        start, processor = time.perf_counter(), time.process_time() + self._server.processor_seconds()
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            answers = list(pool.map(self._ask, texts))
        seconds = time.perf_counter() - start
        processor = time.process_time() + self._server.processor_seconds() - processor
        return Round(
            seconds,
            processor,
            [answer["choices"][0]["message"]["content"] for answer in answers],
            sum(answer["usage"]["prompt_tokens"] for answer in answers),
            sum(answer["timings"]["prompt_n"] for answer in answers),
        )

    def _ask(self, text: str) -> Any:
        body = {
            "messages": [{"role": "user", "content": f"{self._head}{text}\n{TAIL}"}],
            "grammar": self._grammar,
            "temperature": 0,
            "max_tokens": 16,
            "chat_template_kwargs": {"enable_thinking": False},
        }
        request = urllib.request.Request(self._url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as response:
            return json.load(response)


def take_turns(
    systems: dict[str, Callable[[Sequence[str]], Round]], model: Model, lengths: Sequence[int], rounds: int
) -> dict[str, list[Round]]:
    """``rounds`` turns each, after one on a few documents that is not counted."""
    tokenizer = model.tokenizer
    assert tokenizer is not None
    found: dict[str, list[Round]] = {name: [] for name in systems}
    for number in range(rounds + 1):
        texts = make_documents(tokenizer, lengths if number else lengths[:2], seed=number)
        for name, system in systems.items():
            result = system(texts)
            if number:
                found[name].append(result)
    return found


def summarize(rounds: dict[str, list[Round]]) -> dict[str, Any]:
    """Medians over the rounds; ratios are of the same round."""
    ours = rounds["thresher"]
    return {
        name: {
            "documents_per_second": statistics.median(len(r.labels) / r.seconds for r in found),
            "computed_tokens_per_second": statistics.median(r.computed_tokens / r.seconds for r in found),
            "prompt_tokens_per_document": sum(r.prompt_tokens for r in found) / sum(len(r.labels) for r in found),
            "computed_tokens_per_document": sum(r.computed_tokens for r in found) / sum(len(r.labels) for r in found),
            "thresher_times_faster": statistics.median(
                theirs.seconds / mine.seconds for mine, theirs in zip(ours, found, strict=True)
            ),
            "thresher_times_less_processor_time": statistics.median(
                theirs.processor_seconds / mine.processor_seconds for mine, theirs in zip(ours, found, strict=True)
            ),
            "same_label_share": statistics.mean(
                a == b
                for mine, theirs in zip(ours, found, strict=True)
                for a, b in zip(mine.labels, theirs.labels, strict=True)
            ),
        }
        for name, found in rounds.items()
    }


if __name__ == "__main__":
    main()
