"""The command line, for what it measures."""

from tests.cli.conftest import thresher

__all__ = ["thresher"]
