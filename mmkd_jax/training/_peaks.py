"""How fast and how large devices are at best, as their makers say."""

import re
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

_T = 1e12

# Dense products with sums in float32, of one device as JAX counts them. Data sheets of NVIDIA's
# give twice the number from Ampere on, "with sparsity". The first pattern that fits counts.
#
# float32 is what JAX's default precision makes of it: bfloat16 passes on a TPU, TF32 on a GPU that
# has it.
_PEAKS: tuple[tuple[str, dict[str, float]], ...] = (
    # docs.cloud.google.com/tpu/docs/v4, v5e, v5p, v6e: "peak compute per chip (bf16)".
    (r"TPU v4\b", {"bfloat16": 275 * _T, "float32": 275 * _T}),
    (r"TPU v5 ?(lite|e)\b", {"bfloat16": 197 * _T, "float32": 197 * _T}),
    (r"TPU v5 ?p?$", {"bfloat16": 459 * _T, "float32": 459 * _T}),
    (r"TPU v6 ?(lite|e)\b", {"bfloat16": 918 * _T, "float32": 918 * _T}),
    # NVIDIA HGX B200 data sheet: 8 of them have 36 PFLOPS in 16 bits and 18 in TF32, sparse.
    (r"\bB200\b", {"bfloat16": 2250 * _T, "float16": 2250 * _T, "float32": 1125 * _T}),
    # NVIDIA H200 data sheet, SXM and NVL.
    (r"\bH200 NVL\b", {"bfloat16": 835.5 * _T, "float16": 835.5 * _T, "float32": 417.5 * _T}),
    (r"\bH200\b", {"bfloat16": 989.5 * _T, "float16": 989.5 * _T, "float32": 494.5 * _T}),
    # NVIDIA H100 data sheet, PCIe, NVL and SXM.
    (r"\bH100 PCIe\b", {"bfloat16": 756.5 * _T, "float16": 756.5 * _T, "float32": 378 * _T}),
    (r"\bH100 NVL\b", {"bfloat16": 835.5 * _T, "float16": 835.5 * _T, "float32": 417.5 * _T}),
    (r"\bH100\b", {"bfloat16": 989.5 * _T, "float16": 989.5 * _T, "float32": 494.5 * _T}),
    # NVIDIA A100 data sheet.
    (r"\bA100\b", {"bfloat16": 312 * _T, "float16": 312 * _T, "float32": 156 * _T}),
    # NVIDIA L4 data sheet.
    (r"\bL4\b", {"bfloat16": 121 * _T, "float16": 121 * _T, "float32": 60 * _T}),
    # NVIDIA T4 and V100 data sheets; neither has bfloat16 or TF32.
    (r"\bT4\b", {"float16": 65 * _T, "float32": 8.1 * _T}),
    (r"\bV100-PCIE\b", {"float16": 112 * _T, "float32": 14 * _T}),
    (r"\bV100\b", {"float16": 125 * _T, "float32": 15.7 * _T}),
)


class TPU(NamedTuple):
    """One chip, and its share of what connects it.

    Attributes:
      kind: As JAX calls it.
      hbm: Bytes of memory that a program may use.
      hbm_bandwidth: Bytes a second between memory and chip.
      links: Bytes a second that it sends to its neighbours in the slice, over all links.
      network: Bytes a second that it sends to other slices: its share of what its host has.
    """

    kind: str
    hbm: float
    hbm_bandwidth: float
    links: float
    network: float


_G, _GI = 1e9, 2**30

# Sources, read in November 2026:
# * Memory: what the compiler of libtpu 0.0.42 says is there for programs, of 16, 32 and 95 GB.
# * Bandwidth of memory and links: docs.cloud.google.com/tpu/docs/v5e, v5p and v6e. They give links
#   in both directions together, or in Gbps in one. Of v4 they give memory's only; its six links of
#   50 GB/s are in Jouppi et al., "TPU v4", 2023 (arXiv:2304.01433).
# * Network: the same pages, as "data center network bandwidth" of a pod of 256 chips (v5e, v6e) or
#   of a chip (v5p). For v4 there is none; v5p's is taken.
TPUS: dict[str, TPU] = {
    "v4": TPU("TPU v4", 30.75 * _GI, 1200 * _G, 300 * _G, 6.25 * _G),
    "v5e": TPU("TPU v5 lite", 15.75 * _GI, 819 * _G, 200 * _G, 3.125 * _G),
    "v5p": TPU("TPU v5", 95.74 * _GI, 2765 * _G, 600 * _G, 6.25 * _G),
    "v6e": TPU("TPU v6 lite", 31.25 * _GI, 1600 * _G, 400 * _G, 12.5 * _G),
}


def peak_flops(device_kind: str, dtype: DTypeLike) -> float | None:
    """Floating point operations a second of one device at best.

    Example:
      >>> from mmkd_jax.training._peaks import peak_flops
      >>> print(peak_flops("TPU v4", "bfloat16"), peak_flops("cpu", "float32"))
      275000000000000.0 None

    Args:
      device_kind: as in ``jax.devices()[0].device_kind``.
      dtype: of what is multiplied.

    Returns:
      None if it is not known.
    """
    name = jnp.dtype(dtype).name
    for pattern, peaks in _PEAKS:
        if re.search(pattern, device_kind, re.IGNORECASE):
            return peaks.get(name)
    return None
