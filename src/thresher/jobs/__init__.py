"""The durable store of a job: written by one process, read by any."""

from thresher.jobs.calibrations import store_calibrations
from thresher.jobs.decisions import (
    Action,
    Decision,
    NewDecision,
    Queue,
    ReviewedLabel,
    ReviewOutcome,
    sample_key,
    subject_of,
)
from thresher.jobs.export import check_target, export
from thresher.jobs.exporters.csv import csv_cell
from thresher.jobs.new_file import check_new_file, new_file
from thresher.jobs.passes import Pace, PassFacts, PassRecord
from thresher.jobs.records import (
    BriefRow,
    Commit,
    DocumentRead,
    DocumentState,
    JobCounts,
    ListedDocument,
    Result,
    RunFacts,
)
from thresher.jobs.reviewed import ReviewedLabels
from thresher.jobs.reviews import ReviewLog
from thresher.jobs.store import JobStore
from thresher.jobs.view import JobView

__all__ = [
    "Action",
    "BriefRow",
    "Commit",
    "Decision",
    "DocumentRead",
    "DocumentState",
    "JobCounts",
    "JobStore",
    "JobView",
    "ListedDocument",
    "NewDecision",
    "Pace",
    "PassFacts",
    "PassRecord",
    "Queue",
    "Result",
    "ReviewLog",
    "ReviewOutcome",
    "ReviewedLabel",
    "ReviewedLabels",
    "RunFacts",
    "check_new_file",
    "check_target",
    "csv_cell",
    "export",
    "new_file",
    "sample_key",
    "store_calibrations",
    "subject_of",
]
