"""What a program prints, up to a limit."""

from __future__ import annotations

import contextlib
import io


class _Sink(io.RawIOBase):
    """Keeps the first bytes of what is written."""

    def __init__(self, limit: int) -> None:
        self.kept = bytearray()
        self.cut = False
        self._limit = max(limit, 0)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # it says if not
        room = self._limit - len(self.kept)
        self.kept += view[:room]
        self.cut = self.cut or len(view) > room
        return len(view)


class Output:
    """A stream for a program to print to, which may close it, and what came of it."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes of UTF-8."""
        self._sink = _Sink(limit)
        self.text = io.TextIOWrapper(
            io.BufferedWriter(self._sink), "utf-8", "backslashreplace", newline=""
        )

    def write_text(self, text: str) -> None:
        """Writes, also when the program has closed the stream."""
        self._flush()
        self._sink.write(text.encode("utf-8", "backslashreplace"))

    def finish(self) -> tuple[str, bool]:
        """What was kept, and whether something was cut off. Never cuts within a character."""
        self._flush()
        errors = "ignore" if self._sink.cut else "replace"
        return self._sink.kept.decode("utf-8", errors), self._sink.cut

    def _flush(self) -> None:
        with contextlib.suppress(ValueError, OSError):  # closed, or detached
            self.text.flush()
