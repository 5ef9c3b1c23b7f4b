"""Runs :mod:`~thresher.models.template_worker` and turns its failures into errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from thresher.errors import ModelError, ModelFormatError
from thresher.models import template_worker

#: Wall time for a request, starting the process included: on a loaded machine that alone may take seconds.
WALL_LIMIT_S = 20.0


def render_texts(template: str, renders: Sequence[Mapping[str, object]]) -> list[str | ModelFormatError]:
    """Render ``template`` once for each set of variables; a rendering that fails is an error in its place.

    Raises:
        ModelFormatError: the template used more time or memory than allowed.
        ModelError: no process could be started.
    """
    request = json.dumps({"template": template, "renders": list(renders)})
    try:
        done = subprocess.run(
            [sys.executable, "-P", template_worker.__file__],
            input=request.encode("utf-8"),
            capture_output=True,
            timeout=WALL_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFormatError(_too_much(f"it did not end within {WALL_LIMIT_S:g} s")) from error
    except OSError as error:
        raise ModelError(f"no process could be started to render the chat template: {error}") from error
    if done.returncode != 0:
        raise ModelFormatError(_too_much(f"its process ended with code {done.returncode}{_last_line(done.stderr)}"))
    return [_outcome(reply) for reply in json.loads(done.stdout)]


def _outcome(reply: Mapping[str, str]) -> str | ModelFormatError:
    if "text" in reply:
        return reply["text"]
    return ModelFormatError(f"the model's chat template cannot be rendered: {reply['error']}")


def _too_much(what: str) -> str:
    limit_s, limit_mib = template_worker.CPU_LIMIT_S, template_worker.MEMORY_LIMIT_BYTES // 2**20
    return (
        f"the model's chat template was stopped, its limits being {limit_s} s and {limit_mib} MiB: {what}; "
        "use another file of the model"
    )


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return f" ({lines[-1][:200]})" if lines else ""
