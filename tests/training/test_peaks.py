import jax
import jax.numpy as jnp
import pytest

from mmkd_jax.training._peaks import peak_flops

# The names under which JAX shows them.
KINDS = {
    "TPU v4": 275,
    "TPU v5 lite": 197,
    "TPU v5e": 197,
    "TPU v5": 459,
    "TPU v5p": 459,
    "TPU v6 lite": 918,
    "TPU v6e": 918,
    "NVIDIA A100-SXM4-40GB": 312,
    "NVIDIA A100 80GB PCIe": 312,
    "NVIDIA H100 80GB HBM3": 989.5,
    "NVIDIA H100 PCIe": 756.5,
    "NVIDIA H100 NVL": 835.5,
    "NVIDIA H200": 989.5,
    "NVIDIA B200": 2250,
    "NVIDIA L4": 121,
}


@pytest.mark.parametrize("kind", KINDS)
def test_sixteen_bits(kind):
    assert peak_flops(kind, jnp.bfloat16) == KINDS[kind] * 1e12
    assert peak_flops(kind, "float32") <= peak_flops(kind, "bfloat16")


def test_devices_without_bfloat16():
    assert peak_flops("Tesla T4", "float16") == 65e12
    assert peak_flops("Tesla V100-SXM2-16GB", "float16") == 125e12
    assert peak_flops("Tesla V100-PCIE-32GB", "float16") == 112e12
    assert peak_flops("Tesla T4", "bfloat16") is None
    assert peak_flops("TPU v4", "float16") is None


@pytest.mark.parametrize("kind", ["cpu", "NVIDIA L40S", "NVIDIA GB200", "TPU v3", "TPU v7x", ""])
def test_what_is_not_known(kind):
    assert peak_flops(kind, "bfloat16") is None


def test_this_machine_has_none():
    assert peak_flops(jax.devices("cpu")[0].device_kind, "float32") is None
