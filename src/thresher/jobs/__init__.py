"""The durable store of a job: written by one process, read by any."""

from thresher.jobs.calibrations import store_calibrations
from thresher.jobs.export import check_target, export, new_file
from thresher.jobs.exporters.csv import csv_cell
from thresher.jobs.records import (
    Commit,
    DocumentRead,
    DocumentState,
    JobCounts,
    ListedDocument,
    Result,
    RunFacts,
)
from thresher.jobs.store import JobStore
from thresher.jobs.view import JobView

__all__ = [
    "Commit",
    "DocumentRead",
    "DocumentState",
    "JobCounts",
    "JobStore",
    "JobView",
    "ListedDocument",
    "Result",
    "RunFacts",
    "check_target",
    "csv_cell",
    "export",
    "new_file",
    "store_calibrations",
]
