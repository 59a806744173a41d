"""Progress on stderr: one line that is rewritten on a terminal, now and then a plain line in a log."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from groundtune.measure.answering import Progress
from groundtune.messages import say
from groundtune.report.words import Words


class ProgressPrinter:
    """A listener for ``compare``. ``console`` should write to stderr. In a log a line comes when a stage starts, when
    it ends, and at most every ``every`` seconds between.
    """

    def __init__(
        self,
        console: Console,
        lang: str | None = None,
        *,
        every: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._words = console, Words.of(lang)
        self._every, self._clock = every, clock
        self._stage: tuple[str, str] | None = None
        self._last = 0.0
        self._open = False

    def __call__(self, progress: Progress) -> None:
        """Show where the comparison stands."""
        stage = (progress.stage, progress.approach)
        new, ended = stage != self._stage, 0 < progress.total <= progress.done
        line = self.line(progress)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            if new and self._open:
                self._console.print()
            self._rewrite(line)
            if ended:
                self.close()
        elif new or ended or self._clock() - self._last >= self._every:
            self._console.print(Text(line), soft_wrap=True)
            self._last = self._clock()
        self._stage = stage

    def line(self, progress: Progress) -> str:
        """One line: stage, how many of how many, time left."""
        words = self._words
        text = say(f"measure.stage_{progress.stage}", lang=words.lang, approach=words.approach(progress.approach))
        if progress.total:
            text += f"  {progress.done}/{progress.total}"
        if progress.seconds_left and progress.done < progress.total:
            text += f"  {words('left', time=words.duration(progress.seconds_left))}"
        return text

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._open:
            self._console.print()
        self._open = False

    def _rewrite(self, line: str) -> None:
        shown = Text(line)
        shown.truncate(max(1, self._console.width - 1), overflow="ellipsis", pad=True)
        self._console.control(Control(ControlType.CARRIAGE_RETURN))
        self._console.print(shown, end="", soft_wrap=True)
        self._open = True
