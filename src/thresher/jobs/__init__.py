"""The durable store of a job: written by one process, read by any."""

from thresher.jobs.export import check_target, export
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
    "Pace",
    "PassFacts",
    "PassRecord",
    "Result",
    "RunFacts",
    "check_target",
    "export",
]
