"""How fast devices are at best, as their makers say."""

import re

import jax.numpy as jnp
from jax.typing import DTypeLike

_T = 1e12

# Dense products with sums in float32, of one device as JAX counts them. Data sheets of NVIDIA's
# give twice the number from Ampere on, "with sparsity". The first pattern that fits counts.
#
# float32 is what JAX's default precision makes of it: bfloat16 passes on a TPU, TF32 on a GPU that
# has it.
_PEAKS: tuple[tuple[str, dict[str, float]], ...] = (
    # cloud.google.com/tpu/docs/v4, v5e, v5p, v6e: "peak compute per chip (bf16)".
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
