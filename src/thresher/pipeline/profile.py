"""The saved settings of a run: which profile is for it, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from thresher.engines import engine_settings, probe
from thresher.hardware import probe_hardware
from thresher.models import Model
from thresher.pipeline.options import ClassifyOptions
from thresher.planning import Profile, Subject, load_profile, machine_of, profile_file


def subject_of(engine: str, model: Model, options: ClassifyOptions) -> Subject:
    """Whom a profile is for: this machine and model, this engine as asked for."""
    return Subject(
        machine=machine_of(probe_hardware()),
        model_fingerprint=model.facts.fingerprint,
        engine=engine,
        engine_version=probe(engine).version,
        precision=options.precision,
        device=options.device or "",
    )


def with_profile(engine: str, model: Model, options: ClassifyOptions) -> tuple[ClassifyOptions, str]:
    """The options with the settings of the profile that there is for them, and a line for people; "" without one.

    Settings that the caller gave stand as they are.
    """
    if options.settings or not options.use_profile or not engine_settings(engine):
        return options, ""
    subject = subject_of(engine, model, options)
    profile = load_profile(subject)
    if profile is None or not profile.settings:
        return options, ""
    return replace(options, settings=profile.settings), _in_words(profile, subject)


def _in_words(profile: Profile, subject: Subject) -> str:
    when = datetime.fromtimestamp(profile.found_at, UTC)
    return (
        f"profile: {profile.in_words()}, {profile.ratio:.2f} times as fast as without on {profile.workload} on "
        f"{when:%Y-%m-%d} ({profile_file(subject)}); --no-profile leaves it out"
    )
