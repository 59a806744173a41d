"""Text that is told while it is written: without white space around it, the pieces together are the whole text."""

from __future__ import annotations

from collections.abc import Callable


class Spoken:
    """Collects pieces and hands them on. White space is held back until something follows it."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._parts: list[str] = []
        self._held = ""

    @property
    def text(self) -> str:
        """What was handed on so far."""
        return "".join(self._parts)

    @property
    def given(self) -> str:
        """What was handed on and what is held back."""
        return self.text + self._held

    def add(self, piece: str | None, held: bool = True) -> None:
        """``held`` False: what was held back is in ``piece`` again."""
        text = (self._held if held else "") + (piece or "")
        if not self._parts:
            text = text.lstrip()
        told = text.rstrip()
        self._held = text[len(told) :]
        if told:
            self._parts.append(told)
            self._on_text(told)


class Growing:
    """The same for a text that is given anew and longer each time, without white space before it. What looks like half
    of a character is not told: a character of several bytes is not there before its last byte is.
    """

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._spoken = Spoken(on_text)

    def show(self, text: str) -> None:
        """``text`` so far."""
        told, sure = self._spoken.given, text.lstrip().rstrip("\ufffd")
        if len(sure) > len(told) and sure.startswith(told):
            self._spoken.add(sure[len(told) :])

    def finish(self, text: str) -> None:
        """The whole text, stripped."""
        told = self._spoken.text
        if text.startswith(told):
            self._spoken.add(text[len(told) :], held=False)
