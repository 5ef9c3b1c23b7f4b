"""The command line, for the reports that it writes."""

from tests.cli.conftest import classify, thresher

__all__ = ["classify", "thresher"]
