"""The set-up in conftest.py holds: other tests prove less than they seem to if it does not."""

import sys
import warnings

import jax
import jax.numpy as jnp
import pytest


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="another platform was asked for")
def test_eight_devices():
    assert len(jax.devices()) == 8


def test_rank_promotion_is_an_error():
    with pytest.raises(ValueError, match="rank_promotion"):
        jnp.zeros((2, 3)) + jnp.zeros(3)


def test_warnings_are_errors():
    with pytest.raises(UserWarning, match="careful"):
        warnings.warn("careful", stacklevel=1)


def test_shapes_in_signatures_are_checked(tmp_path, monkeypatch):
    import mmkd_jax

    (tmp_path / "_typed.py").write_text(
        "from jaxtyping import Array, Float\n"
        "def add(a: Float[Array, 'n'], b: Float[Array, 'n']):\n"
        "    return a\n"
    )
    monkeypatch.setattr(mmkd_jax, "__path__", [*mmkd_jax.__path__, str(tmp_path)])
    from mmkd_jax import _typed

    try:
        _typed.add(jnp.zeros(2), jnp.zeros(2))
        with pytest.raises(Exception, match="(?i)type-check"):
            _typed.add(jnp.zeros(2), jnp.zeros(3))
    finally:
        del sys.modules["mmkd_jax._typed"]
        del mmkd_jax._typed
