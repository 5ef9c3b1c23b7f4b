"""From what is installed to a command: found, asked what it knows, sized. vLLM and SGLang are stand-ins here."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import engine_models
from tests.support.checkpoints import tiny_config, write_checkpoint
from tests.support.programs import write_program
from tests.support.server_stubs import write_docker, write_stub
from thresher.engines.base import EngineOptions
from thresher.engines.servers.managed.asking import NoAnswerError, ask
from thresher.engines.servers.managed.devices import parse_devices
from thresher.engines.servers.managed.installed import NotInstalledError, find_installed
from thresher.engines.servers.managed.launch import Place
from thresher.engines.servers.managed.launcher import Launcher, make_launcher
from thresher.engines.servers.managed.opening import managed_command
from thresher.engines.servers.managed.programs import PROGRAMS
from thresher.errors import EngineCapacityError, EngineUnavailableError, UsageError
from thresher.models import Model, open_model, resolve

PLACE = Place(host="127.0.0.1", port=4321, api_key="the-key")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DOCKER_LOG", str(tmp_path / "docker.log"))
    for program in PROGRAMS.values():
        monkeypatch.delenv(program.variable, raising=False)
        monkeypatch.delenv(program.image_variable, raising=False)
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Model:
    folder = tmp_path / "a model"
    write_checkpoint(folder, tiny_config("qwen3_5"))
    return open_model(resolve(str(folder)))


def make(name: str, model: Model, said: list[str] | None = None, **options: Any) -> Launcher:
    said = [] if said is None else said
    chosen = EngineOptions(**options)
    return make_launcher(PROGRAMS[name], model, chosen, scratch=None, say=said.append)


def test_a_program_on_the_path_is_found_and_asked(programs: Path) -> None:
    stub = write_stub(programs, "vllm", "0.30.0")
    installed = find_installed(PROGRAMS["vllm"])
    assert installed.command == (str(stub), "serve")
    assert installed.version() == "0.30.0"
    assert "--gdn-prefill-backend" in installed.options()


def test_a_variable_names_a_program_or_a_whole_command(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = write_stub(programs.parent / "else where", "sglang", "0.5.23")
    monkeypatch.setenv("THRESHER_SGLANG", str(elsewhere))
    assert find_installed(PROGRAMS["sglang"]).command == (str(elsewhere), "serve")
    assert find_installed(PROGRAMS["sglang"]).version() == "0.5.23"
    monkeypatch.setenv("THRESHER_SGLANG", f"{shlex.quote(str(elsewhere))} -m sglang.launch_server")
    assert find_installed(PROGRAMS["sglang"]).command[1:] == ("-m", "sglang.launch_server")
    assert find_installed(PROGRAMS["sglang"]).version() == "unknown"


def test_a_variable_that_names_nothing_is_an_error(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHER_VLLM", "/nowhere/vllm")
    with pytest.raises(EngineUnavailableError, match="THRESHER_VLLM='/nowhere/vllm': there is no such program"):
        find_installed(PROGRAMS["vllm"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_not_installed_says_how_to_install_it(programs: Path, name: str) -> None:
    with pytest.raises(EngineUnavailableError) as caught:
        find_installed(PROGRAMS[name])
    message = str(caught.value)
    assert "on the PATH" in message
    assert "docker is not installed" in message
    assert PROGRAMS[name].install in message
    assert PROGRAMS[name].variable in message


def test_a_program_that_says_nothing_of_its_options_is_an_error(programs: Path, checkpoint: Model) -> None:
    write_stub(programs, "vllm", "0.30.0").write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(EngineUnavailableError, match="vllm cannot be asked for its options: it lists no options"):
        make("vllm", checkpoint)


def test_the_key_stands_in_no_command_where_it_need_not(programs: Path, checkpoint: Model) -> None:
    write_stub(programs, "vllm", "0.30.0")
    launch = make("vllm", checkpoint)(PLACE)
    assert "the-key" not in " ".join(launch.command)
    assert launch.environment["VLLM_API_KEY"] == "the-key"
    assert "the-key" not in repr(launch)


def test_sglang_reads_its_key_from_a_file(programs: Path, checkpoint: Model, tmp_path: Path) -> None:
    write_stub(programs, "sglang", "0.5.23")
    options = EngineOptions(context_tokens=64)
    launcher = make_launcher(PROGRAMS["sglang"], checkpoint, options, scratch=tmp_path, say=lambda _: None)
    for key in ("another", "the-key"):  # a second start writes it anew
        launch = launcher(replace(PLACE, api_key=key))
        path = Path(launch.command[launch.command.index("--config") + 1])
        assert yaml.safe_load(path.read_text()) == {"api-key": key}
        assert path.suffix == ".yaml"
        assert path.stat().st_mode & 0o777 == 0o600
        assert key not in " ".join(launch.command)
        assert "--api-key" not in launch.command
    assert not [line for line in launcher.notices if "key" in line]
    assert "--config" not in launcher.shown(PLACE)


def test_an_sglang_that_reads_no_files_is_told_of(programs: Path, checkpoint: Model, tmp_path: Path) -> None:
    write_stub(programs, "sglang", "0.4.6")
    options = EngineOptions(context_tokens=64)
    launcher = make_launcher(PROGRAMS["sglang"], checkpoint, options, scratch=tmp_path, say=lambda _: None)
    command = launcher(PLACE).command
    assert command[command.index("--api-key") + 1] == "the-key"
    assert "this sglang has no option --config: its key stands in the list of processes" in launcher.notices[-1]


def test_the_file_with_the_key_is_seen_in_a_container(programs: Path, checkpoint: Model, tmp_path: Path) -> None:
    inside, scratch = tmp_path / "inside", tmp_path / "slots"
    inside.mkdir()
    scratch.mkdir()
    write_stub(inside, "sglang", "0.5.23").rename(inside / "python3")
    stub = inside / "python3"
    stub.write_text(stub.read_text().replace("['serve', '--help']", "['-m', 'sglang.launch_server', '--help']"))
    write_docker(programs, inside)
    nvidia_smi(programs, 80_000)
    options = EngineOptions(context_tokens=64)
    launcher = make_launcher(PROGRAMS["sglang"], checkpoint, options, scratch=scratch, say=lambda _: None)
    command = launcher(PLACE).command
    assert f"{scratch}:{scratch}:ro" in command
    assert command[command.index("--config") + 1] == str(scratch / "key.yaml")
    assert "the-key" not in " ".join(command)


@pytest.mark.parametrize("version", ["0.30.0", "0.8.5"])
def test_vllm_gets_its_model_first(programs: Path, checkpoint: Model, version: str) -> None:
    stub = write_stub(programs, "vllm", version)
    command = make("vllm", checkpoint, context_tokens=64)(PLACE).command
    assert command[:3] == (str(stub), "serve", str(checkpoint.files.path))
    assert command[command.index("--max-model-len") + 1] == "64"


def test_what_a_version_lacks_is_told(programs: Path, checkpoint: Model) -> None:
    write_stub(programs, "vllm", "0.8.5")
    notices = "\n".join(make("vllm", checkpoint).notices)
    assert "this vllm has no option --performance-mode, --language-model-only" in notices


def test_a_version_without_what_is_needed_is_refused(programs: Path, checkpoint: Model) -> None:
    stub = write_stub(programs, "vllm", "0.30.0")
    stub.write_text(stub.read_text().replace("--max-model-len", "--longest"))
    with pytest.raises(EngineUnavailableError, match="vllm 0.30.0 has no option --max-model-len"):
        make("vllm", checkpoint)(PLACE)


@pytest.mark.parametrize(("name", "options", "message"), [
    ("llama-server", {"device": "cuda:1"}, "--device cuda:1"),
    ("llama-server", {"precision": "fp8"}, "--precision fp8"),
    ("llama-server", {"weights_memory_bytes": 1}, "--weights-memory"),
    ("llama-server", {"settings": {"slot": 1}}, "did you mean 'slots'"),
    ("llama-server", {"settings": {"slots": 0}}, "it may be 1 to 1024"),
    ("llama-server", {"context_tokens": 10**7}, "was trained for"),
    ("vllm", {}, "is a gguf"),
])  # fmt: skip
def test_options_that_it_cannot_serve_are_refused(
    programs: Path, name: str, options: dict[str, Any], message: str
) -> None:
    write_stub(programs, "llama-server", "b11434")
    with pytest.raises(UsageError, match=message):
        make(name, engine_models.shipped(), **options)


def test_checkpoints_are_not_for_llama_server_and_not_for_the_cpu(programs: Path, checkpoint: Model) -> None:
    write_stub(programs, "vllm", "0.30.0")
    with pytest.raises(UsageError, match="is a checkpoint"):
        make("llama-server", checkpoint)
    with pytest.raises(UsageError, match="started for GPUs only"):
        make("vllm", checkpoint, device="cpu")


def test_the_command_is_quoted_for_a_shell(programs: Path, checkpoint: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = write_stub(programs, "vllm", "0.30.0")
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    words = shlex.split(managed_command("vllm", checkpoint, EngineOptions()))
    assert words[:4] == ["VLLM_NO_USAGE_STATS=1", str(stub), "serve", str(checkpoint.files.path)]
    assert '{"enable_thinking":false}' in words
    assert "VLLM_API_KEY" not in " ".join(words)


def test_devices_are_read_from_what_llama_server_lists() -> None:
    listed = ["  CUDA0: NVIDIA H100 80GB (HBM3) (81089 MiB, 80500 MiB free)", "  Vulkan1: B (16 MiB, 8 MiB free)"]
    first, second = parse_devices("\n".join(["Available devices:", *listed]))
    assert first.name == "NVIDIA H100 80GB (HBM3)"
    assert (first.memory_bytes, first.free_bytes) == (81089 << 20, 80500 << 20)
    assert second.name == "B"
    assert parse_devices("Available devices:\n  (none)\n") == ()


def nvidia_smi(programs: Path, *mib: int) -> None:
    rows = "\n".join(f"NVIDIA X, {size}, {size}, 9.0" for size in mib)
    (programs / "nvidia-smi").write_text(f"#!/bin/sh\necho '{rows}'\n")
    (programs / "nvidia-smi").chmod(0o755)


def test_weights_are_split_over_as_few_gpus_as_hold_them(programs: Path, checkpoint: Model) -> None:
    write_stub(programs, "vllm", "0.30.0")
    size = checkpoint.facts.weights_bytes / (1 << 20)
    nvidia_smi(programs, *[max(1, int(size / 2 / 0.8) + 1)] * 3)
    command = make("vllm", checkpoint)(PLACE).command
    assert command[command.index("--tensor-parallel-size") + 1] == "2"


def test_weights_that_no_gpu_holds_are_refused(programs: Path, checkpoint: Model) -> None:
    write_stub(programs, "vllm", "0.30.0")
    nvidia_smi(programs, 0, 0)
    with pytest.raises(EngineCapacityError, match="smaller precision"):
        make("vllm", checkpoint)


def test_a_gpu_that_is_demanded_must_be_there(programs: Path) -> None:
    write_stub(programs, "llama-server", "b11434")
    with pytest.raises(EngineUnavailableError, match="--device gpu: llama-server finds no GPU"):
        make("llama-server", engine_models.shipped(), device="gpu")


def docker_commands(programs: Path) -> list[list[str]]:
    return [json.loads(line) for line in (programs.parent / "docker.log").read_text().splitlines()]


def test_without_a_binary_the_official_container_is_run(programs: Path, tmp_path: Path, checkpoint: Model) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write_stub(inside, "vllm", "0.30.0")
    write_docker(programs, inside)
    nvidia_smi(programs, 80_000)
    said: list[str] = []
    launcher = make("vllm", checkpoint, said)
    launch = launcher(PLACE)
    command = list(launch.command)
    name = command[command.index("--name") + 1]
    assert command[: command.index("--name")] == [str(programs / "docker"), "run", "--rm"]
    assert command[command.index("--publish") + 1] == "127.0.0.1:4321:8000"
    assert command[command.index("--volume") + 1] == f"{checkpoint.files.path}:{checkpoint.files.path}:ro"
    assert command[command.index("--entrypoint") :][:4] == ["--entrypoint", "vllm", "vllm/vllm-openai:latest", "serve"]
    assert command[command.index("--host") + 1] == "0.0.0.0"
    assert command[command.index("--port") + 1] == "8000"
    assert "--env" in command
    assert "VLLM_API_KEY" in command
    assert "the-key" not in " ".join(command)
    assert launch.cleanup == (str(programs / "docker"), "rm", "--force", name)
    assert launcher(PLACE).cleanup != launch.cleanup
    assert said == []


def test_an_image_that_is_missing_is_fetched_and_said_so(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write_stub(inside, "llama-server", "b11434")
    write_docker(programs, inside)
    monkeypatch.setenv("DOCKER_IMAGE", "missing")
    monkeypatch.setenv("THRESHER_LLAMA_SERVER_IMAGE", "registry.example/llama:1")
    said: list[str] = []
    make("llama-server", engine_models.shipped(), said, device="cpu")
    assert ["pull", "--quiet", "registry.example/llama:1"] in docker_commands(programs)
    assert said == ["fetching the container registry.example/llama:1, once; this may take long"]


def test_docker_without_its_daemon_is_no_docker(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_docker(programs, tmp_path)
    monkeypatch.setenv("DOCKER_DAEMON", "down")
    with pytest.raises(NotInstalledError, match="install vllm.* or name the program in THRESHER_VLLM") as caught:
        find_installed(PROGRAMS["vllm"])
    assert caught.value.reason == (
        "there is no vllm on the PATH, and docker does not answer: Cannot connect to the Docker daemon. Is the docker "
        "daemon running?"
    )


def test_of_what_a_program_says_when_it_fails_only_the_end_is_told(tmp_path: Path) -> None:
    program = write_program(
        tmp_path / "program", "import sys; print('a\\nb'); sys.exit('c\\n' + 'd' * 1000 + '\\n\\n')"
    )
    with pytest.raises(NoAnswerError) as caught:
        ask([str(program)])
    assert caught.value.why == "d" * 97 + "..."
    assert str(caught.value) == f"'{program}' ended with exit code 1: {caught.value.why}"


def test_a_container_for_gpus_needs_one(programs: Path, tmp_path: Path) -> None:
    write_docker(programs, tmp_path)
    with pytest.raises(EngineUnavailableError, match="needs an NVIDIA GPU"):
        find_installed(PROGRAMS["sglang"])
