"""What reads documents through a model.

``base`` is the contract, ``registry`` the list of engines, ``fake`` and ``llamacpp`` the engines.
"""

from thresher.engines.base import Engine, EngineInfo, EngineOptions
from thresher.engines.registry import Availability, availability, choose_engine, engine_gpus, engine_names, open_engine

__all__ = [
    "Availability",
    "Engine",
    "EngineInfo",
    "EngineOptions",
    "availability",
    "choose_engine",
    "engine_gpus",
    "engine_names",
    "open_engine",
]
