"""Whether audio of the caller's is missing: Twilio drops it when we read too slowly (31930).

Every media message has a number. Reading it costs more than taking the audio, so one in fifty is
looked at: each second, how many numbers went by against how many messages came.
"""

from __future__ import annotations

from collections.abc import Callable

from apps.telephony.streams import media_chunk

EVERY = 50


class Gaps:
    """Counts what is missing from one stream. on_missing: how many messages are, since last told.

    What comes before the first number that was read is not missed.
    """

    def __init__(self, on_missing: Callable[[int], None]) -> None:
        self._on_missing = on_missing
        self._taken = 0
        self._last = ""
        self._ahead: int | None = None  # of the numbers, over what was taken

    def frame(self, text: str) -> None:
        """Take a media message as it came."""
        self._last = text
        self._taken += 1
        if self._taken % EVERY == 1:
            self._look(media_chunk(text))

    def numbered(self, chunk: int) -> None:
        """Take a media message of which the number is known; 0: it had none."""
        self._last = ""
        self._taken += 1
        self._look(chunk or None)

    def close(self) -> None:
        """No more comes: look at the last one."""
        self._look(media_chunk(self._last))

    def _look(self, chunk: int | None) -> None:
        if chunk is None:
            return
        ahead = chunk - self._taken
        if self._ahead is None:
            self._ahead = ahead
        elif ahead > self._ahead:
            self._on_missing(ahead - self._ahead)
            self._ahead = ahead
