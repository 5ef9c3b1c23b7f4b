"""The durable store of a job: written by one process, read by any."""

from thresher.jobs.decisions import Action, Decision, NewDecision, Queue, ReviewOutcome, sample_key, subject_of
from thresher.jobs.export import check_target, export
from thresher.jobs.new_file import check_new_file, new_file
from thresher.jobs.passes import Pace, PassFacts, PassRecord
from thresher.jobs.records import (
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
    "ReviewedLabels",
    "RunFacts",
    "check_new_file",
    "check_target",
    "export",
    "new_file",
    "sample_key",
    "subject_of",
]
