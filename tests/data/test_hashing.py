"""Numbers by counting look random, and are what they always were."""

import numpy as np

from mmkd_jax.data._hashing import fractions, hashed, permutation


def test_the_numbers_never_change():
    # Checkpoints are resumed by later versions: their masks must be those of this one.
    assert int(hashed(0)) == 0xE220A8397B1DCDAF  # splitmix64's first number for seed 0
    assert int(hashed(1, 2, 3)) == int(hashed(1, np.array([2]), 3)[0])
    assert permutation(8, 1, 2).tolist() == permutation(8, 1, 2).tolist()


def test_order_and_number_of_keys_matter():
    keys = [(0, 1), (1, 0), (0, 1, 0), (1,), (0, 0, 1), (-1, 1), (2**63, 1)]
    assert len({int(hashed(*key)) for key in keys}) == len(keys)


def test_bits_are_even_and_independent():
    bits = hashed(3, np.arange(40_000))
    ones = np.unpackbits(bits.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 0.02
    uniform = fractions(bits)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert np.abs(np.histogram(uniform, 20, (0, 1))[0] / 2000 - 1).max() < 0.15
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(uniform, fractions(hashed(4, np.arange(40_000))))[0, 1]) < 0.02


def test_permutations_hold_every_number():
    assert sorted(permutation(100, 5).tolist()) == list(range(100))
    assert permutation(100, 5).tolist() != permutation(100, 6).tolist()
    assert permutation(0, 1).tolist() == []
