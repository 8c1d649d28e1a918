"""Plans of runs on TPUs that are not there: memory, time, and what the chips send one another."""

from mmkd_jax.planning._advice import advice
from mmkd_jax.planning._plan import Memory, Plan, plan
from mmkd_jax.planning._roofline import Roofline
from mmkd_jax.planning._table import table
from mmkd_jax.planning._topology import VARIABLES, Topology, parse_topology

__all__ = [
    "VARIABLES",
    "Memory",
    "Plan",
    "Roofline",
    "Topology",
    "advice",
    "parse_topology",
    "plan",
    "table",
]
