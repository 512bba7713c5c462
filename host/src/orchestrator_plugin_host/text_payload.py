"""What guests are given as text, of which it is known that it is UTF-8.

wasmtime's C API ends the process when a string that it is passed is not UTF-8. To look costs a call
of 100 kB up to a tenth of its time; so the type of a payload says that its text was made as UTF-8,
or was looked at. Imports nothing: worker processes have it, too.
"""

from __future__ import annotations


class TextPayload(tuple[str, bytes]):
    """A text form, and the text's UTF-8. Made by whoever has just made its text, and by
    `text_payload`."""

    __slots__ = ()


def text_payload(payload: tuple[str, bytes]) -> TextPayload:
    """A payload whose text is UTF-8. One that does not say so is looked at.

    Raises `ValueError`, or `TypeError` for what is no bytes.
    """
    if type(payload) is TextPayload:
        return payload
    form, data = payload
    if type(data) is not bytes:
        raise TypeError(f"the text of a payload is {type(data).__name__}, not its UTF-8 as bytes")
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            # Not as it is: that would be a fault of the guest's.
            raise ValueError(
                f"the text of a payload is not UTF-8 (byte {error.start}): it can't be passed to a "
                "guest"
            ) from None
    return TextPayload((form, data))
