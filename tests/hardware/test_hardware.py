from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path

import pytest

from thresher.errors import UsageError
from thresher.hardware import gpu_names, named_gpu, probe_hardware, unnamed_gpu
from thresher.hardware.host_memory import available_bytes, total_bytes
from thresher.hardware.nvidia import nvidia_gpus, parse_answer

GIB = 1 << 30
ANSWER = """NVIDIA GeForce RTX 4090, 24564, 23010, 8.9
NVIDIA H100 80GB HBM3, 81559, 81000, 9.0
Some, New Card, 16384, 16000, 13.1
[N/A], [N/A], [N/A], [N/A]
"""


def test_this_machine() -> None:
    found = probe_hardware()
    assert 0 < found.free_memory_bytes <= found.memory_bytes == total_bytes()
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.present
    assert found.cpu


def test_free_memory_is_a_sensible_figure() -> None:
    assert 2**24 < available_bytes() <= total_bytes() < 2**50


def test_what_the_driver_says() -> None:
    known, large, new = parse_answer(ANSWER)
    assert (known.memory_bytes, known.free_bytes) == (24_564 << 20, 23_010 << 20)
    assert known.rates == named_gpu("rtx-4090").rates
    assert large.measured_rates == named_gpu("h100").measured_rates
    assert (new.name, new.capability, dict(new.rates), new.bandwidth) == ("Some, New Card", (13, 1), {}, None)


def test_a_driver_that_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{ANSWER}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert nvidia_gpus() == parse_answer(ANSWER)
    program.write_text("#!/bin/sh\necho no devices were found\nexit 6\n")
    assert nvidia_gpus() == ()


def test_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_gpus() == ()


def test_every_gpu_of_the_table_is_whole() -> None:
    table = json.loads((resources.files("thresher.hardware") / "gpus.json").read_text("utf-8"))
    for name in gpu_names():
        gpu = named_gpu(name)
        assert gpu.source.startswith(table["sources"][table["gpus"][name]["source"]])
        assert 8 * GIB < gpu.memory_bytes < 300 * GIB
        assert gpu.bandwidth is not None
        assert 2e11 < gpu.bandwidth < 1e13
        assert gpu.rates["bf16"] < gpu.rates["int8"]
        assert ("fp8" in gpu.rates) == (gpu.capability is not None and gpu.capability >= (8, 9))
        assert ("nvfp4" in gpu.rates) == (gpu.capability is not None and gpu.capability >= (10, 0))


@pytest.mark.parametrize(("name", "found"), [("RTX 5090", "rtx-5090"), ("H100", "h100"), ("rtx_4090", "rtx-4090")])
def test_names_as_people_write_them(name: str, found: str) -> None:
    assert named_gpu(name) == named_gpu(found)


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"--gpu rtx-4091: .* did you mean 'rtx-4090'.*--vram 24"):
        named_gpu("rtx-4091")


def test_a_gpu_of_which_only_the_memory_is_known() -> None:
    gpu = unnamed_gpu(24 * GIB)
    assert (gpu.name, gpu.free_bytes, dict(gpu.rates)) == ("a GPU with 24 GiB", 24 * GIB, {})
