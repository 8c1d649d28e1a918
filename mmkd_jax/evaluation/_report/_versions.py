"""With what a run was computed."""

import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from mmkd_jax import __version__
from mmkd_jax.evaluation._replace import replace_file
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, section, table


def write_versions(workdir: str | os.PathLike[str]) -> None:
    """Writes ``versions.json``: what a run is computed with, for those who read about it later.

    For trainers: a report may be written on another machine, where the run's devices are not.
    """
    import jax

    device = jax.devices()[0]
    found = software() | {"device": f"{jax.device_count()} × {device.device_kind}"}
    if jax.process_count() > 1:
        found["processes"] = str(jax.process_count())
    text = json.dumps(found, indent=2) + "\n"
    replace_file(Path(workdir) / "versions.json", lambda file: file.write(text.encode()))


def software() -> dict[str, str]:
    """The versions of this process."""
    names = ("jax", "flax", "optax", "transformers", "numpy")
    found = {"mmkd_jax": __version__}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"Python": platform.python_version(), "system": platform.platform(terse=True)}


def versions(run: Run) -> Markup:
    """Of the run if it has written them down, else of the report."""
    known: dict[str, Any] = run.versions or software()
    note = None if run.versions else element("p", "Those that this report was written with.")
    rows = [[name, str(version)] for name, version in known.items()]
    return section("Versions", note, table([], rows))
