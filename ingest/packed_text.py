"""A file or a pipe enters, plain or packed; its bytes or its text leave, line by line.

What a file is, is told by its first bytes, which stay to be read: a pipe says them but once, and a name may be wrong.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO, TextIOWrapper
from pathlib import Path
from typing import IO, TextIO, cast

#: What reading such a file may raise.
ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, UnicodeError, zipfile.BadZipFile)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MEMBERS_SHOWN_MAX = 5
#: How files begin that are no text: what each is, and what to do with it.
_NO_TEXT = {
    b"PK": "it is a ZIP file within another: unpack it once",
    b"\x28\xb5\x2f\xfd": "it is packed by Zstandard: unpack it, or pack it by gzip",
    b"7z\xbc\xaf": "it is a 7z archive: take the file out of it",
    b"\x1f\x8b": "it is packed by gzip twice: unpack it once",
    b"\xd0\xcf\x11\xe0": "it is an old spreadsheet: save its table as CSV UTF-8",
    b"SQLi": "it is a database of SQLite: export its table as CSV",
}


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text file, UTF-8 or UTF-16 by its mark, that may be packed."""
    with open_bytes(path) as stream:
        mark = stream.peek(4)[:2] if hasattr(stream, "peek") else b""
        encoding = "utf-16" if mark in _UTF_16 else "utf-8-sig"
        with TextIOWrapper(stream, encoding=encoding, newline="") as text:
            yield text


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file or a pipe that may be packed by gzip, bzip2 or xz, or be the only file of a ZIP; ``-`` is standard input.

    Raises
    ------
    OSError
        If it cannot be opened, or is a ZIP of several files, or a spreadsheet; with what to do.
    """
    with _open_plain(path) as stream:
        begin = stream.peek(6)[:6]
        if begin.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield cast(IO[bytes], unpacked)
        elif begin.startswith(b"BZh"):
            with bz2.BZ2File(stream) as unpacked_2:
                yield cast(IO[bytes], unpacked_2)
        elif begin.startswith(b"\xfd7zXZ"):
            with lzma.LZMAFile(stream) as unpacked_3:
                yield cast(IO[bytes], unpacked_3)
        elif begin.startswith(b"PK\x03\x04"):
            with _only_member(stream) as member:
                yield member
        else:
            yield stream


@contextmanager
def _only_member(stream: BufferedReader) -> Iterator[IO[bytes]]:
    if not stream.seekable():
        raise OSError("it is a ZIP file, which cannot be read from a pipe: unpack it first")
    with zipfile.ZipFile(stream) as archive:
        names = [
            item.filename
            for item in archive.infolist()
            if not item.is_dir() and not item.filename.startswith("__MACOSX/")
        ]
        if "[Content_Types].xml" in names:
            raise OSError("it is a spreadsheet: save its table as CSV UTF-8")
        if len(names) != 1:
            shown = ", ".join(names[:_MEMBERS_SHOWN_MAX])
            raise OSError(f"it is a ZIP of {len(names)} files ({shown}): take out those that are recordings")
        try:
            with archive.open(names[0]) as member:
                yield member
        except (RuntimeError, NotImplementedError) as error:
            raise OSError(f"its ZIP cannot be unpacked ({error}): unpack it first") from error


def _open_plain(path: Path) -> BufferedReader:
    if str(path) == "-":
        return BufferedReader(FileIO(sys.stdin.fileno(), closefd=False))
    return path.open("rb")


def remedy_of_error(error: Exception) -> str:
    """Say how to mend a file that is no text, or not all of it."""
    if isinstance(error, EOFError | zlib.error | lzma.LZMAError | zipfile.BadZipFile):
        return "; it was cut off or damaged on its way: copy it again"
    if not isinstance(error, UnicodeDecodeError):
        return ""
    # What was being decoded when it failed begins with the file's first bytes only if nothing was read before.
    begin = bytes(error.object[:6])
    what = next((what for mark, what in _NO_TEXT.items() if begin.startswith(mark)), None)
    return f"; {what or 'save it as UTF-8 (in a spreadsheet: CSV UTF-8)'}"
