import pytest

from mmkd_jax.training._agreement import DamagedError, in_short, on_all, same_everywhere


def fail(error):
    raise error


def test_on_one_process_it_is_what_was_read_or_why_not():
    assert on_all(lambda: 3) == 3
    assert on_all(lambda: None) is None
    assert same_everywhere([3, 1]) == [3, 1]
    for error in (ValueError("torn"), KeyError("torn"), ValueError()):
        with pytest.raises(DamagedError, match="torn|ValueError"):
            on_all(lambda error=error: fail(error))


def test_what_began_an_error_is_told_in_short():
    last = RuntimeError("at last")
    last.__cause__ = OSError("at  first\n" + "x" * 1000 + " the end")
    text = in_short(last)
    assert text.startswith("OSError: at first xxx")
    assert text.endswith("xxx the end")
    assert len(text) < 450
    assert in_short(ValueError("as it is")) == "as it is"
