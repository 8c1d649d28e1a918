"""Writes golden/: what launchers would do. Run it after they have changed, and read the difference.

python -m tests.launch.make_golden
"""

import tempfile
from pathlib import Path

from tests.launch.launchers import DRY_RUNS, GOLDEN, imitate, launch

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        programs = imitate(Path(folder) / "programs", nvidia_smi="exit 1")
        for name, (script, *arguments) in DRY_RUNS.items():
            done = launch(script, "--dry_run", *arguments, programs=programs)
            (GOLDEN / f"{name}.txt").write_text(done.stdout)
