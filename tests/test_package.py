"""The package as a whole: what importing it costs, its version, its wheel."""

import importlib.metadata
import os
import pkgutil
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mmkd_jax

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mmkd_jax"

# Packages for users who have jax, numpy and jaxtyping and nothing else.
LIGHT = ("crf", "losses", "tags")
BLOCKED = (
    *("absl", "flax", "grain", "ml_collections", "optax", "orbax", "safetensors", "tensorboardX"),
    *("tensorflow", "tensorflow_datasets", "tokenizers", "torch", "tqdm", "transformers"),
)


def run_python(code: str, cwd: Path = ROOT, **environment: str) -> str:
    """Runs `code` in a fresh interpreter and returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_is_light():
    # What the interpreter loads by itself when it starts is not ours.
    code = (
        "import sys; before = set(sys.modules); import mmkd_jax; dir(mmkd_jax);"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    third_party = set(run_python(code).split()) - set(sys.stdlib_module_names)
    assert third_party == {"mmkd_jax"}


@pytest.mark.parametrize("name", sorted(set(LIGHT) & set(mmkd_jax._SUBMODULES)))
def test_light_packages_need_only_jax_numpy_and_jaxtyping(name):
    run_python(
        f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); import mmkd_jax.{name}"
    )


@pytest.mark.parametrize("name", mmkd_jax._SUBMODULES)
def test_submodules_are_attributes(name):
    assert run_python(f"import mmkd_jax; print(mmkd_jax.{name}.__name__)").strip() == (
        f"mmkd_jax.{name}"
    )
    assert name in dir(mmkd_jax)
    assert name in mmkd_jax.__all__


def test_every_public_subpackage_is_listed():
    found = pkgutil.iter_modules([str(PACKAGE)])
    packages = {module.name for module in found if module.ispkg and module.name[0] != "_"}
    assert packages <= set(mmkd_jax._SUBMODULES)


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'mmkd_jax' has no attribute 'nothing'"):
        _ = mmkd_jax.nothing


def test_version_is_the_installed_one():
    try:
        installed = importlib.metadata.version("mmkd_jax")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("mmkd_jax is not installed, only importable")
    assert installed == mmkd_jax.__version__


def test_wheel_builds_and_imports_outside_the_checkout(tmp_path):
    pytest.importorskip("setuptools", minversion="77", reason="builds the wheel")
    # A copy, because setuptools builds inside the source tree.
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "launch", source / "launch")
    shutil.copytree(PACKAGE, source / "mmkd_jax", ignore=shutil.ignore_patterns("__pycache__"))

    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps"]
    build = ["wheel", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run([*pip, *build, *offline], check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")

    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {p.relative_to(ROOT).as_posix() for p in PACKAGE.rglob("*.py")}
    sample = PACKAGE / "data" / "sample"
    corpus = [*sample.glob("*.tsv"), sample / "README.md"]
    wanted |= {p.relative_to(ROOT).as_posix() for p in corpus}
    assert files == wanted | {"mmkd_jax/py.typed"}

    site = tmp_path / "site"
    install = ["install", "--target", str(site), str(wheel)]
    subprocess.run([*pip, *install, *offline], check=True, timeout=300)
    code = (
        "import mmkd_jax; from mmkd_jax import *; from importlib.metadata import version;"
        "print(mmkd_jax.__file__, mmkd_jax.__version__, version('mmkd_jax'))"
    )
    printed = run_python(code, cwd=tmp_path, PYTHONPATH=str(site)).split()
    assert printed == [
        str(site / "mmkd_jax" / "__init__.py"),
        mmkd_jax.__version__,
        mmkd_jax.__version__,
    ]
