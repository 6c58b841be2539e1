"""From windows of voice activity to the start and the end of speech."""

from __future__ import annotations

import enum

from apps.voice.ports import Window
from apps.voice.settings import TurnSettings

WINDOW_MS = 32.0

# Once somebody speaks, a weaker window still counts: Silero's own usage keeps the gate open down
# to 0.15 below the threshold that opened it.
HYSTERESIS = 0.15
# So much silence inside speech makes the recogniser get its text ready, most often for nothing.
PAUSE_MS = 96.0
# So much silence between two windows of speech still counts as one onset.
ONSET_GAP_MS = 64.0


class Edge(enum.Enum):
    """What changed."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"


class SpeechGate:
    """Hysteresis over one caller's windows. All times are ms of the call's caller audio.

    A sound shorter than ``start_secs`` opens nothing; silence shorter than ``stop_secs`` closes
    nothing. ``floor_db`` may be raised while the bot speaks, against its own echo.
    """

    def __init__(self, settings: TurnSettings) -> None:
        self._confidence = settings.confidence
        self._start_ms = settings.start_secs * 1_000
        self._stop_ms = settings.stop_secs * 1_000
        self.quiet_db = settings.min_volume * 100 - 100
        self.floor_db = self.quiet_db
        self.speaking = False
        self.speech_ended_ms = 0.0  # where the last speech ended, as far as windows tell
        self._paused = False
        self._run_ms = 0.0
        self._seen_ms = 0.0  # where the last window of any kind ended

    def window(self, window: Window) -> Edge | None:
        """Take the next window."""
        self._seen_ms = window.end_ms
        if self._is_speech(window):
            return self._speech(window)
        if self.speaking and not self._paused and self._silence_ms() >= PAUSE_MS:
            self._paused = True
            return Edge.PAUSED
        if not self.speaking and self._silence_ms() > ONSET_GAP_MS:
            self._run_ms = 0.0
        return self.reached(window.end_ms)

    def reached(self, audio_ms: float) -> Edge | None:
        """Say whether speech has ended, now that audio up to ``audio_ms`` has come in.

        Windows end every 32 ms, frames every 20: asking at each frame ends the turn up to a
        window earlier, with at most one unfinished window not looked at.
        """
        if not self.speaking or audio_ms - self.speech_ended_ms < self._stop_ms:
            return None
        if self._seen_ms + WINDOW_MS < self.speech_ended_ms + self._stop_ms:
            return None  # the detector is behind: those windows may hold speech
        self.speaking = False
        self._run_ms = 0.0
        return Edge.ENDED

    @property
    def paused(self) -> bool:
        """Whether the caller, in the midst of speech, has been silent for a moment."""
        return self.speaking and self._paused

    def end(self) -> None:
        """Speech is over before silence says so."""
        self.speaking = False
        self._run_ms = 0.0

    def _is_speech(self, window: Window) -> bool:
        needed = self._confidence - (HYSTERESIS if self.speaking else 0.0)
        floor = self.quiet_db if self.speaking else self.floor_db
        return window.probability >= needed and window.level_db >= floor

    def _speech(self, window: Window) -> Edge | None:
        # It ended somewhere within the window: the middle is right on average.
        self.speech_ended_ms = window.end_ms - WINDOW_MS / 2
        if self.speaking:
            resumed, self._paused = self._paused, False
            return Edge.RESUMED if resumed else None
        self._run_ms += WINDOW_MS
        if self._run_ms < self._start_ms:
            return None
        self.speaking = True
        self._paused = False
        return Edge.STARTED

    def _silence_ms(self) -> float:
        return self._seen_ms - self.speech_ended_ms
