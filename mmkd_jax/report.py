"""Writes what a run has come to as a page that opens anywhere.

    python -m mmkd_jax.report runs/quickstart
    python -m mmkd_jax.report DIR --out=quickstart.html

A run that goes on at the moment may be looked at too.
"""

import sys

from absl import flags

from mmkd_jax._program import start

_OUT = flags.DEFINE_string("out", None, "The file to write; by default report.html in the workdir.")


def report(workdir: str, out: str | None = None) -> int:
    """Writes the report and says where it is; returns the exit code."""
    from mmkd_jax import evaluation

    print(evaluation.write_report(workdir, out))
    return 0


def main(arguments: list[str]) -> int:
    """The program."""
    if len(arguments) != 1:
        sys.exit(f"report: name the workdir of one run, got {len(arguments)} arguments")
    try:
        return report(arguments[0], _OUT.value)
    except OSError as error:
        sys.exit(f"report: {error}")


if __name__ == "__main__":
    start(main, "report", takes_paths=True)
