"""Settings that were found to be fastest: one file for each machine, model, engine and precision."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from thresher.errors import UsageError
from thresher.hardware import HardwareFacts

_FORMAT = 1
#: Where profiles are kept, instead of the user's data folder.
VARIABLE = "THRESHER_PROFILES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a profile is for. Where any of it differs, the profile does not apply."""

    machine: str
    model_fingerprint: str
    engine: str
    engine_version: str
    precision: str  # as asked for
    device: str  # as asked for; "" where the choice is the engine's

    @property
    def key(self) -> str:
        """SHA-256 (hex) of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was found."""

    settings: Mapping[str, int]  # of the engine; empty where its own choice was the fastest
    ratio: float  # of the throughput with them to that with the engine's own choice, measured in pairs
    found_at: float  # seconds since the epoch
    model: str  # for people
    workload: str

    def in_words(self) -> str:
        """The settings."""
        return ", ".join(f"{name} {value:,}" for name, value in self.settings.items()) or "the engine's own choice"


def machine_of(hardware: HardwareFacts) -> str:
    """What of a machine decides which settings are fastest: its processor and its GPUs."""
    gpus = ", ".join(sorted(gpu.name for gpu in hardware.gpus))
    return f"{hardware.cpu}, {hardware.cores} cores{f'; {gpus}' if gpus else ''}"


def profile_file(subject: Subject) -> Path:
    """Where the profile of ``subject`` is, or would be."""
    own = os.environ.get(VARIABLE)
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    folder = Path(own) if own else Path(data) / "thresher" / "profiles"
    return folder / f"{subject.engine}-{subject.key[:16]}.json"


def load_profile(subject: Subject) -> Profile | None:
    """The profile of ``subject``; None where there is none, or none that this version can read."""
    try:
        fields = json.loads(profile_file(subject).read_text("utf-8"))
        if fields["format"] != _FORMAT or fields["subject"] != asdict(subject):
            return None
        profile = Profile(**fields["profile"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    usable = isinstance(profile.settings, dict) and all(type(value) is int for value in profile.settings.values())
    return profile if usable else None


def save_profile(subject: Subject, profile: Profile) -> Path:
    """Write the profile, in place of an older one; returns the file. Raises ``UsageError`` when that fails."""
    file = profile_file(subject)
    text = json.dumps({"format": _FORMAT, "subject": asdict(subject), "profile": asdict(profile)}, indent=2)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
        Path(name).replace(file)
    except OSError as error:
        raise UsageError(
            f"the profile cannot be written to {file}: {error.strerror}; name another folder with {VARIABLE}"
        ) from error
    return file
