"""How long a step takes at best, from what it multiplies, moves and sends."""

import dataclasses

from mmkd_jax.planning._collectives import Exchange
from mmkd_jax.training import TPU, peak_flops

STATED = (
    "max(products / peak, memory traffic / bandwidth) + bytes sent / bandwidth of the links "
    "+ bytes sent to other slices / share of the network; nothing is sent while others compute"
)


@dataclasses.dataclass(frozen=True)
class Roofline:
    """Seconds of a step, by what they go into.

    Attributes:
      products: Of matrices.
      memory: Reading and writing it; goes on beside the products.
      links: Sending within a slice.
      network: Sending to other slices.
    """

    products: float
    memory: float
    links: float
    network: float

    @property
    def step(self) -> float:
        """All of it, as `STATED`."""
        return max(self.products, self.memory) + self.links + self.network


def roofline(tpu: TPU, products: float, moved: float, sent: list[Exchange]) -> Roofline:
    """The least time for what a chip does in a step.

    Args:
      tpu: The chip.
      products: Operations, times the passes that they take.
      moved: Bytes between chip and memory.
      sent: What it sends.
    """
    peak = peak_flops(tpu.kind, "bfloat16")
    return Roofline(
        products / peak,
        moved / tpu.hbm_bandwidth,
        sum(exchange.sent for exchange in sent) / tpu.links,
        sum(exchange.sent_to_slices for exchange in sent) / tpu.network,
    )
