"""How torch's threads wait is settled before torch is there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from thresher.engines.native.opening import Native
assert "torch" not in sys.modules
Native.version()
print(os.environ.get("GOMP_SPINCOUNT"), os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, "3000 None"),
        ({"GOMP_SPINCOUNT": "7"}, "7 None"),
        ({"OMP_WAIT_POLICY": "active"}, "None active"),
    ],
    ids=["none", "spins", "policy"],
)
def test_a_users_own_setting_stays(own: dict[str, str], found: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=inherited | own, capture_output=True, text=True)
    assert done.stdout.strip() == found, done.stderr
