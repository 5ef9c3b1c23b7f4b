"""What reads documents through a model.

``base`` is the contract, ``registry`` the list of engines; the others are the engines.
"""

from thresher.engines.base import Engine, EngineInfo, EngineOptions, ServedModelEngine
from thresher.engines.registry import (
    Availability,
    availability,
    choose_engine,
    engine_gpus,
    engine_names,
    engine_settings,
    open_engine,
    probe,
    server_command,
)

__all__ = [
    "Availability",
    "Engine",
    "EngineInfo",
    "EngineOptions",
    "ServedModelEngine",
    "availability",
    "choose_engine",
    "engine_gpus",
    "engine_names",
    "engine_settings",
    "open_engine",
    "probe",
    "server_command",
]
