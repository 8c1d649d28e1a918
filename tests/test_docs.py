"""Every example a reader can see runs: README's Python blocks and the docstrings of mmkd_jax."""

import ast
import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def python_blocks(markdown: str) -> dict[int, str]:
    """The ```python blocks of a page, by the number of the line before each."""
    blocks = re.finditer(r"^```python\n(.*?)^```$", markdown, flags=re.MULTILINE | re.DOTALL)
    return {markdown.count("\n", 0, block.start()) + 1: block[1] for block in blocks}


def run_block(code: str, line: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs one block as a reader would: alone, in a fresh interpreter, and without a warning."""
    program = folder / "block.py"
    program.write_text("\n" * line + code, encoding="utf-8")  # tracebacks name README's lines
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    # As in pyproject.toml: other tests may be writing JAX's compilation cache at this moment.
    half_written = "ignore:Error reading persistent compilation cache entry:UserWarning"
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", half_written, str(program)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


README = python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("line", README)
def test_readme_block_runs(line, tmp_path):
    done = run_block(README[line], line, tmp_path)
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)


def docstring_tests(path: Path, name: str) -> Iterator[doctest.DocTest]:
    """The docstrings of one source file that hold examples.

    The source is read, not the module: decorators such as ``jax.jit`` or ``jax.custom_vjp`` turn
    functions into objects that doctest's own finder may pass over. Examples see only what they
    import themselves, as at a reader's prompt.
    """
    parser = doctest.DocTestParser()

    def visit(node: ast.AST, name: str) -> Iterator[doctest.DocTest]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from visit(child, f"{name}.{child.name}")
            else:
                yield from visit(child, name)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text and ">>>" in text:
                line = node.body[0].lineno - 1
                globs = {"__name__": "__main__"}
                yield parser.get_doctest(text, globs, name, str(path), line)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), name)


def run_docstring(test: doctest.DocTest) -> str:
    """Returns doctest's report of what failed, empty if nothing did."""
    report: list[str] = []
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    doctest.DocTestRunner(optionflags=options, verbose=False).run(test, out=report.append)
    return "".join(report)


DOCSTRINGS = [
    test
    for path in sorted((ROOT / "mmkd_jax").rglob("*.py"))
    for test in docstring_tests(
        path, ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    )
]


@pytest.mark.parametrize("test", DOCSTRINGS, ids=lambda test: test.name)
def test_docstring_example_runs(test):
    if report := run_docstring(test):
        pytest.fail(report, pytrace=False)


def test_a_wrong_block_fails(tmp_path):
    page = "# Title\n\n```python\nprint(1)\n```\n```bash\nfalse\n```\n```python\nassert 0\n```\n"
    blocks = python_blocks(page)
    assert blocks == {3: "print(1)\n", 9: "assert 0\n"}
    assert run_block(blocks[3], 3, tmp_path).returncode == 0
    failed = run_block(blocks[9], 9, tmp_path)
    assert failed.returncode != 0
    assert "line 10" in failed.stderr
    assert run_block("import warnings; warnings.warn('x')", 1, tmp_path).returncode != 0


def test_a_wrong_docstring_fails_whatever_decorates_it(tmp_path):
    path = tmp_path / "decorated.py"
    path.write_text(
        '"""No example."""\n'
        "import jax\n"
        "@jax.jit\n"
        "def double(x):\n"
        '    """Doubles.\n\n'
        "    >>> 1 + 1\n"
        "    2\n"
        '    """\n'
        "if True:\n"
        "    class C:\n"
        "        @property\n"
        "        def p(self):\n"
        '            """>>> 1 + 1\n'
        "            3\n"
        '            """\n'
    )
    right, wrong = docstring_tests(path, "decorated")
    assert (right.name, wrong.name) == ("decorated.double", "decorated.C.p")
    assert run_docstring(right) == ""
    report = run_docstring(wrong)
    assert f'File "{path}", line 14, in decorated.C.p' in report
    assert "Got:\n    2\n" in report
