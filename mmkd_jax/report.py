"""Writes what a run has come to as a page that opens anywhere.

    python -m mmkd_jax.report runs/quickstart
    python -m mmkd_jax.report DIR OTHER_DIR ... --out=compared.html

The page is about the first run; the scores and curves of the others stand beside its own. A run
that goes on at the moment may be looked at too.
"""

import sys

from absl import flags

from mmkd_jax._program import start

_OUT = flags.DEFINE_string(
    "out", None, "The file to write; by default report.html in the first workdir."
)


def report(workdir: str, *others: str, out: str | None = None) -> int:
    """Writes the report and says where it is; returns the exit code."""
    from mmkd_jax import evaluation

    print(evaluation.write_report(workdir, out, others=others))
    return 0


def main(arguments: list[str]) -> int:
    """The program."""
    if not arguments:
        sys.exit("report: name the workdir of a run, and of others to compare it with")
    try:
        return report(*arguments, out=_OUT.value)
    except OSError as error:
        sys.exit(f"report: {error}")


if __name__ == "__main__":
    start(main, "report", takes_paths=True)
