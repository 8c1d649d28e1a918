"""The world every test runs in. This file is imported before any test, and before JAX."""

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_CACHE = _ROOT / ".cache"

# Environment variables, not jax.config: JAX reads some of them only while it starts, and programs
# that tests start inherit them. What the caller has set already stands.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
_DEVICES = "--xla_force_host_platform_device_count"
if _DEVICES not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_DEVICES}=8".strip()
# Most of a run's time is compilation: workers, programs and later runs share what was compiled.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(_CACHE / "hypothesis"))

import hypothesis  # noqa: E402
import jax  # noqa: E402
import jaxtyping  # noqa: E402
import pytest  # noqa: E402

# Broadcasting between ranks hides wrong axes. Not an environment variable: README's examples run
# as a reader runs them, without it.
jax.config.update("jax_numpy_rank_promotion", "raise")

# Check the shapes in mmkd_jax's signatures at run time. Works on modules imported from here on.
jaxtyping.install_import_hook("mmkd_jax", "beartype.beartype")

# No deadline: the first example of each shape compiles. In CI the same examples every time, so
# that a red build is about the change that it tests.
hypothesis.settings.register_profile("here", deadline=None, max_examples=20)
hypothesis.settings.register_profile(
    "everywhere_the_same", hypothesis.settings.get_profile("here"), derandomize=True
)
hypothesis.settings.load_profile("everywhere_the_same" if os.environ.get("CI") else "here")


def pytest_report_header() -> str:
    return f"jax {jax.__version__} on {os.environ['JAX_PLATFORMS']}"


# Each compiled program is several mappings of memory, of which Linux grants a process 65 530; with
# none left, compilation ends in a segmentation fault.
_MOST_MAPPINGS = 30_000


@pytest.fixture(autouse=True, scope="module")
def few_mappings():
    """Forgets compiled programs before there are too many of them."""
    yield
    mappings = Path("/proc/self/maps")
    if mappings.exists() and mappings.read_bytes().count(b"\n") > _MOST_MAPPINGS:
        jax.clear_caches()
