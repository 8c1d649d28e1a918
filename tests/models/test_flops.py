import jax
import jax.numpy as jnp
import pytest

from mmkd_jax import models
from mmkd_jax.models import encoder_flops, masked_lm_flops

BASE = models.EncoderConfig(
    vocabulary_size=30522, width=768, layers=12, heads=12, hidden_width=3072, positions=512
)
# Wide enough for products to be nearly all of it, as they are in a real one.
TINY = models.EncoderConfig(
    vocabulary_size=1000, width=128, layers=2, heads=2, hidden_width=512, positions=64
)


def test_bert_base_by_hand():
    # A token in a layer, multiplications and additions: 3 + 1 maps 768 x 768, then 768 x 3072 and
    # back, then scores with 128 tokens in 12 heads of 64, and their mean.
    maps = 4 * (2 * 768 * 768) + 2 * (2 * 768 * 3072)
    attention = 2 * (2 * 12 * 64 * 128)
    assert encoder_flops(BASE, 128, 128) == 128 * 12 * (maps + attention) == 22_347_251_712
    # Known as 2 operations a parameter and token: 85 million in the layers' matrices.
    assert encoder_flops(BASE, 1, 0) == 2 * 84_934_656


def test_attention_is_quadratic_and_the_rest_is_not():
    rest = encoder_flops(BASE, 512, 0)
    long = encoder_flops(BASE, 512, 512) - rest
    assert long == 2 * (encoder_flops(BASE, 512, 256) - rest)  # the same tokens in shorter rows
    assert encoder_flops(BASE, 1024, 512) == 2 * encoder_flops(BASE, 512, 512)


def test_the_head_by_hand():
    assert masked_lm_flops(BASE, 20) == 20 * (2 * 768 * 768 + 2 * 768 * 30522)


def flops(function, *arguments) -> float:
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]


def test_what_xla_counts_is_within_ten_percent():
    rows, length = 4, 64
    params = models.abstract_params(TINY, heads=["masked_lm"])
    ids = jax.ShapeDtypeStruct((rows, length), jnp.int32)
    mask = jax.ShapeDtypeStruct((rows, length), jnp.bool_)
    counted = flops(
        lambda params, ids, mask: models.Encoder(TINY).apply({"params": params}, ids, mask)[0],
        *(params, ids, mask),
    )
    assert encoder_flops(TINY, rows * length, length) == pytest.approx(counted, rel=0.1)
    hidden = jax.ShapeDtypeStruct((rows, length, 128), jnp.float32)
    counted = flops(lambda p, hidden: models.masked_lm_logits(TINY, p, hidden), params, hidden)
    assert masked_lm_flops(TINY, rows * length) == pytest.approx(counted, rel=0.1)
