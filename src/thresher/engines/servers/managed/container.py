"""A server in its official container, run with docker."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.engines.servers.managed.asking import NoAnswerError, ask
from thresher.engines.servers.managed.launch import Place
from thresher.engines.servers.managed.programs import Image, Program
from thresher.errors import EngineUnavailableError
from thresher.hardware.nvidia import nvidia_gpus

#: Where the server listens inside, on all interfaces of a network of its own; outside only on loopback.
INNER_HOST, INNER_PORT = "0.0.0.0", 8000  # noqa: S104
_DOCKER_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """An image and the way to run it."""

    docker: str
    image: str
    entry_point: str
    arguments: tuple[str, ...]
    on_gpu: bool

    def run(
        self, arguments: Sequence[str], *, name: str, place: Place, folders: Iterable[Path], variables: Iterable[str]
    ) -> tuple[str, ...]:
        """The command that runs the server. ``folders`` are seen inside under their own names, read-only;
        ``variables`` are taken over by name, so that no secret stands in the command.
        """
        mounts = [text for folder in folders for text in ("--volume", f"{folder}:{folder}:ro")]
        kept = [text for variable in variables for text in ("--env", variable)]
        gpus = ["--gpus", "all", "--ipc", "host"] if self.on_gpu else []
        return (
            self.docker, "run", "--rm", "--name", name, "--publish", f"{place.host}:{place.port}:{INNER_PORT}",
            *gpus, *mounts, *kept, "--entrypoint", self.entry_point, self.image, *self.arguments, *arguments,
        )  # fmt: skip

    def question(self, arguments: Sequence[str], *, whole: bool = True) -> tuple[str, ...]:
        """The command that asks the program inside something; ``whole``: with the arguments before its options."""
        inner = self.arguments if whole else ()
        return (self.docker, "run", "--rm", "--entrypoint", self.entry_point, self.image, *inner, *arguments)

    def pull(self, say: Callable[[str], None]) -> None:
        """Fetch the image if it is not here yet, for as long as that takes."""
        try:
            ask([self.docker, "image", "inspect", self.image], timeout_s=_DOCKER_TIMEOUT_S)
        except EngineUnavailableError:
            say(f"fetching the container {self.image}, once; this may take long")
            ask([self.docker, "pull", "--quiet", self.image], timeout_s=None)

    def remove(self, name: str) -> tuple[str, ...]:
        """The command that ends the container called ``name``: killing ``docker run`` does not."""
        return (self.docker, "rm", "--force", name)


def find_container(program: Program, *, want_gpu: bool | None) -> Container:
    """The container of ``program``. ``want_gpu`` None takes a GPU where there is one.

    Raises:
        EngineUnavailableError: no docker, docker without its daemon, or no GPU for an image that needs one.
    """
    docker = shutil.which("docker")
    if docker is None:
        raise EngineUnavailableError("docker is not installed")
    try:
        ask([docker, "version"], timeout_s=_DOCKER_TIMEOUT_S)
    except NoAnswerError as error:
        raise EngineUnavailableError(f"docker does not answer: {error.why}") from error
    on_gpu = bool(nvidia_gpus()) if want_gpu is None else want_gpu
    image = os.environ.get(program.image_variable, "").strip() or _official(program.image, on_gpu=on_gpu)
    if image is None:
        raise EngineUnavailableError(f"the official container of {program.name} needs an NVIDIA GPU, and there is none")
    return Container(
        docker=docker, image=image, entry_point=program.image.entry_point, arguments=program.image.arguments,
        on_gpu=on_gpu,
    )  # fmt: skip


def _official(image: Image, *, on_gpu: bool) -> str | None:
    return image.gpu if on_gpu else image.cpu


def folders_of(path: Path) -> list[Path]:
    """What must be seen inside for the model at ``path`` to be read: its folder, and where links in it lead, as in the
    hub's cache.
    """
    folder = path if path.is_dir() else path.parent
    files = [*folder.iterdir()]
    places = {folder.absolute(), *(file.resolve().parent for file in files if file.is_symlink())}
    return sorted(place for place in places if not any(other in place.parents for other in places))
