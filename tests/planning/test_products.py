"""Products are counted as a reader of the program would count them."""

import jax
import jax.numpy as jnp
import pytest

from mmkd_jax.planning._products import passes_flops

A, B = jnp.ones((3, 5)), jnp.ones((5, 7))
ONE = 2 * 3 * 5 * 7


def count(function, *arguments) -> float:
    return passes_flops(jax.make_jaxpr(function)(*arguments).jaxpr)


def test_a_product():
    assert count(lambda a, b: a @ b, A, B) == ONE
    assert count(lambda a, b: jnp.einsum("nij,njk->nik", a, b), A[None], B[None]) == ONE


def test_gradients_are_two_products_more():
    assert count(jax.grad(lambda a, b: (a @ b).sum(), (0, 1)), A, B) in (2 * ONE, 3 * ONE)
    square = jax.grad(lambda a, b: jnp.square(a @ b).sum(), (0, 1))
    assert count(square, A, B) == 3 * ONE


@pytest.mark.parametrize(("precision", "passes"), [("default", 1), ("high", 3), ("highest", 6)])
def test_passes(precision, passes):
    assert count(lambda a, b: jnp.dot(a, b, precision=precision), A, B) == passes * ONE


def test_narrow_numbers_take_one_pass():
    narrow = A.astype(jnp.bfloat16), B.astype(jnp.bfloat16)
    assert count(lambda a, b: jnp.dot(a, b, precision="highest"), *narrow) == ONE


def test_loops_count_as_often_as_they_turn():
    def rounds(a, b):
        return jax.lax.fori_loop(0, 4, lambda _, sums: sums + a @ b, jnp.zeros((3, 7)))

    assert count(rounds, A, B) == 4 * ONE
    assert count(jax.jit(rounds), A, B) == 4 * ONE


def test_the_longest_branch_counts():
    def either(flag, a, b):
        return jax.lax.cond(flag, lambda a, b: a @ b, lambda a, b: jnp.zeros((3, 7)), a, b)

    assert count(either, True, A, B) == ONE


def test_what_is_computed_anew_counts_again():
    layer = jax.checkpoint(lambda a, b: jnp.square(jnp.sin(a @ b)).sum())
    assert count(jax.grad(layer, (0, 1)), A, B) == 4 * ONE


def test_convolutions():
    image, kernel = jnp.ones((2, 4, 9)), jnp.ones((6, 4, 3))  # batch, inputs, places

    def convolve(image, kernel):
        return jax.lax.conv_general_dilated(image, kernel, (1,), "VALID")

    assert count(convolve, image, kernel) == 2 * (2 * 6 * 7) * (4 * 3)
