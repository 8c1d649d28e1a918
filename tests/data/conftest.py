"""What tests of readers share."""

import pytest


@pytest.fixture
def file(tmp_path):
    """Writes a file to be read."""

    def write(content: str | bytes):
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
