"""The probability of a span is that of all tag sequences that spell it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax import inference
from mmkd_jax.crf import LinearChain
from mmkd_jax.tags import TagSet, spans
from tests.crf.enumerate import enumerate_all

STEPS = 4
TAG_SETS = {
    "BIO": TagSet.of_types(["X", "Y"]),
    "BIOES": TagSet.of_types(["X"], "BIOES"),
    "IO": TagSet.of_types(["X", "Y"], "IO"),
}
EVERY = [(i, j, k) for i in range(STEPS) for j in range(i + 1, STEPS + 1) for k in (0, 1)]


def random_chain(names, seed, lengths, constrained=False):
    keys = iter(jax.random.split(jax.random.key(seed), 4))
    count = len(names)
    scores = {
        "transitions": 2 * jax.random.normal(next(keys), (count, count)),
        "start": jax.random.normal(next(keys), (count,)),
        "end": jax.random.normal(next(keys), (count,)),
    }
    if constrained:
        allowed = names.allowed_transitions(), names.allowed_starts(), names.allowed_ends()
        scores = {
            name: jnp.where(where, scores[name], -jnp.inf)
            for name, where in zip(scores, allowed, strict=True)
        }
    emissions = 2 * jax.random.normal(next(keys), (len(lengths), STEPS, count))
    return LinearChain(emissions, **scores, lengths=jnp.array(lengths))


@pytest.mark.parametrize("scheme", TAG_SETS)
@given(st.integers(0, 1000), st.booleans(), st.lists(st.integers(0, STEPS), min_size=2, max_size=2))
def test_is_that_of_all_sequences_that_have_it(scheme, seed, constrained, lengths):
    names = TAG_SETS[scheme]
    asked = [span for span in EVERY if span[2] < len(names.types)]
    chain = random_chain(names, seed, lengths, constrained)
    table = jnp.broadcast_to(jnp.array([*asked, (-1, -1, -1)]), (2, len(asked) + 1, 3))
    found = np.asarray(inference.span_probabilities(chain, names, table))
    for row, truth in zip(found, enumerate_all(chain), strict=True):
        expected = dict.fromkeys(asked, 0.0)
        for path, prob in zip(truth.paths, truth.probs, strict=True):
            for start, end, kind in spans([names[tag] for tag in path]):
                expected[start, end, names.types.index(kind)] += prob
        np.testing.assert_allclose(row[:-1], list(expected.values()), rtol=1e-4, atol=1e-6)
        assert row[-1] == 0


def test_is_not_the_product_of_its_tags():
    names = TagSet.of_types(["X"])
    transitions = jnp.array([[0.0, 0.0, -9.0], [-9.0, -9.0, 9.0], [0.0, 0.0, 0.0]])
    chain = LinearChain(jnp.zeros((1, 2, 3)), transitions)
    [[found]] = inference.span_probabilities(chain, names, jnp.array([[[0, 2, 0]]]))
    assert found > 0.99  # B is followed by I alone, and little else comes into question


def test_needs_a_scheme():
    with pytest.raises(ValueError, match="tags must be of a scheme such as BIO"):
        inference.span_probabilities(
            random_chain(TAG_SETS["BIO"], 0, [1]), TagSet(list("abcde")), jnp.zeros((1, 1, 3), int)
        )
