"""How fast engines read on this machine, measured: workloads, sweeps, and the settings that are fastest."""

from thresher.bench.cases import Case
from thresher.bench.folder import made_folder
from thresher.bench.measurement import Measurement
from thresher.bench.options import BenchOptions, Sweep
from thresher.bench.results import Results, compare
from thresher.bench.suite import run_bench, run_tune
from thresher.bench.tuning import Trial, Tuned
from thresher.bench.workload import WORKLOADS, Workload, open_workload

__all__ = [
    "WORKLOADS",
    "BenchOptions",
    "Case",
    "Measurement",
    "Results",
    "Sweep",
    "Trial",
    "Tuned",
    "Workload",
    "compare",
    "made_folder",
    "open_workload",
    "run_bench",
    "run_tune",
]
