"""Arithmetic only: a model, a machine and a workload -> what fits, how fast it can be. Imports no engine."""

from thresher.planning.counting import DocumentCounts
from thresher.planning.evaluate import largest_context, least_context
from thresher.planning.fit import Fit
from thresher.planning.plan import Plan, Wishes, make_plan, plan_one
from thresher.planning.precisions import automatic_precision
from thresher.planning.profiles import Profile, Subject, load_profile, machine_of, profile_file, save_profile
from thresher.planning.setting import ENGINES, Setting
from thresher.planning.speed import Speed

__all__ = [
    "ENGINES",
    "DocumentCounts",
    "Fit",
    "Plan",
    "Profile",
    "Setting",
    "Speed",
    "Subject",
    "Wishes",
    "automatic_precision",
    "largest_context",
    "least_context",
    "load_profile",
    "machine_of",
    "make_plan",
    "plan_one",
    "profile_file",
    "save_profile",
]
