"""Stored rows as a page for people: one file that stands alone."""

from thresher.reports.facts import ReportFacts
from thresher.reports.gather import gather
from thresher.reports.page import page
from thresher.reports.write import write_report

__all__ = ["ReportFacts", "gather", "page", "write_report"]
