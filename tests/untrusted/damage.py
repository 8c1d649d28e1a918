"""Files as a stranger may have made them: sound ones with pieces cut out, put in and exchanged."""

import gzip

from hypothesis import strategies as st

_NASTY = (
    *(
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\r",
        b"\n\n",
        b"\t\t",
        b'"',
        b"\\",
        b"<",
    ),
    *(b"&x;", b"]]>", b"-->", b"-1", b"NaN", b"1e999", b"9" * 5000, b"[" * 20000, b"{" * 5000),
    *(
        b'"\\ud800"',
        b"\x1b[2J",
        "\u202e\u0301\u200d".encode(),
        b"None",
        b"null",
        b"true",
        b"{}",
        b"[]",
    ),
    *(
        b"0",
        b"\xff\xff\xff\xff",
        b"\xff\xff\xff\x7f",
        b"a" * 3000,
        b"charset=utf-7",
        b"charset=zip",
    ),
)


@st.composite
def damaged(draw: st.DrawFn, sound: bytes, most: int = 4) -> bytes:
    """The file after some accidents."""
    content = sound
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(content)))
        gone = draw(st.sampled_from([0, 0, 1, 2, 7, 10**9]))
        new = draw(st.one_of(st.sampled_from(_NASTY), st.binary(max_size=6), st.just(b"")))
        content = content[:at] + new + content[at + gone :]
    if draw(st.integers(0, 9)) == 0:
        packed = bytearray(gzip.compress(content, mtime=0))
        packed[draw(st.integers(0, len(packed) - 1))] ^= draw(st.integers(0, 255))
        content = bytes(packed[: draw(st.integers(1, len(packed)))])
    return content
