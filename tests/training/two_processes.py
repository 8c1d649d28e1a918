"""Programs of two processes that see each other, on one machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BEGIN = """
import sys
import jax
address, number, *arguments = sys.argv[1:]
jax.distributed.initialize(address, num_processes=2, process_id=int(number))
"""


def start(code: str, *arguments: str, devices: int = 2) -> list[subprocess.Popen]:
    """Two processes that run `code`, with so many devices each, and `arguments` and `number`."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    return [
        subprocess.Popen(
            [sys.executable, "-c", _BEGIN + code, address, str(number), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | {
                "PYTHONPATH": str(ROOT),
                "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
                "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            },
        )
        for number in range(2)
    ]


def finish(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Exit codes and what was printed, to both streams."""
    try:
        printed = [process.communicate(timeout=120) for process in processes]
        return [(p.returncode, *text) for p, text in zip(processes, printed, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.wait()
