"""The caller's side: audio in, speech edges and words out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apps.voice.g711 import BYTES_PER_MS
from apps.voice.gate import Edge, SpeechGate
from apps.voice.ports import (
    ActivityDetector,
    Clock,
    Endpointing,
    Final,
    Partial,
    ProviderError,
    Transcriber,
    TranscriptEvent,
    TranscriptionFailed,
    TurnEnded,
    Used,
    Window,
)
from apps.voice.turns import Heard

# The gate takes no window below its quiet level for speech; what is this far below it is not even
# shown to the detector's network. The margin keeps the onsets of weak words in what it hears.
SILENCE_MARGIN_DB = 6.0
# A recogniser that endpoints may be so much ahead of the silence that confirms it.
AHEAD_MS = 600.0


@dataclass(frozen=True, slots=True)
class Words:
    """The transcript of one utterance, empty if there were no words."""

    text: str
    latest: bool  # no later utterance has begun


@dataclass(frozen=True, slots=True)
class Failed:
    """The recogniser broke on the latest utterance."""

    error: ProviderError


Report = Callable[[Heard | Words | Failed], None]


class Hearing:
    """Runs one caller's audio through the detector, the gate and the recogniser.

    Times are seconds of the clock. Where a moment lies in the audio is computed from the frames'
    lengths; the earliest arrival of any frame fixes when that audio was spoken.
    """

    def __init__(
        self,
        *,
        detector: ActivityDetector,
        transcriber: Transcriber,
        gate: SpeechGate,
        clock: Clock,
        report: Report,
        patience_secs: float = 0.0,
    ) -> None:
        self.gate = gate
        self.transcriber = transcriber
        self._patience_ms = patience_secs * 1_000
        self._clock = clock
        self._report = report
        self._stream = detector.open(self._window, silence_db=gate.quiet_db - SILENCE_MARGIN_DB)
        self._audio_ms = 0.0
        self._speech_ms = 0.0  # between the marks of utterances that are over
        self._begun_ms: float | None = None  # where the utterance that is open begins
        self._epoch = float("inf")  # when the audio's first byte was spoken, by the clock
        self.utterance = 0
        self._awaiting = False
        self._held = False  # silence has ended the utterance, the recogniser has not
        self._done_ms = -float("inf")  # where the recogniser took the utterance to be over

    def frame(self, audio: bytes) -> None:
        """Take caller audio, any length."""
        self._audio_ms += len(audio) / BYTES_PER_MS
        self._epoch = min(self._epoch, self._clock.now() - self._audio_ms / 1_000)
        self.transcriber.hear(audio)
        self._stream.push(audio)
        if self.gate.speaking:
            self._edge(self.gate.reached(self._audio_ms))
        elif self._held and self._audio_ms - self.gate.speech_ended_ms >= self._patience_ms:
            self._ended()

    def begin(self) -> None:
        """The caller's speech counts: recognise it."""
        self._close_utterance()
        self._begun_ms = self._audio_ms
        self.utterance += 1
        self._awaiting = self._held = False
        self._done_ms = -float("inf")
        self.transcriber.begin(self.utterance)

    def finish(self) -> None:
        """The utterance is over; Words or Failed will follow."""
        self._close_utterance()
        self._awaiting = True
        self.transcriber.finish()

    @property
    def reading(self) -> Used:
        """What the recogniser was given so far."""
        open_ms = 0.0 if self._begun_ms is None else self._audio_ms - self._begun_ms
        return Used(stream_s=self._audio_ms / 1_000, speech_s=(self._speech_ms + open_ms) / 1_000)

    def speech_ended_at(self) -> float:
        """Return when the caller's last speech ended, by the clock."""
        return self._epoch + self.gate.speech_ended_ms / 1_000

    def take(self, event: TranscriptEvent) -> None:
        """Take what the recogniser delivers. Late finals still count; nobody waits for them."""
        latest = self._awaiting and event.utterance == self.utterance
        match event:
            case Final(text=text):
                self._awaiting = self._awaiting and not latest
                self._report(Words(text.strip(), latest))
            case TranscriptionFailed(error=error) if latest:
                self._awaiting = False
                self._report(Failed(error))
            case TurnEnded(utterance=utterance) if utterance == self.utterance:
                self._turn_ended()
            case Partial() | TranscriptionFailed() | TurnEnded():
                pass

    def close(self) -> None:
        self._stream.close()

    def _close_utterance(self) -> None:
        if self._begun_ms is not None:
            self._speech_ms += self._audio_ms - self._begun_ms
            self._begun_ms = None

    def _window(self, window: Window) -> None:
        self._edge(self.gate.window(window))

    def _edge(self, edge: Edge | None) -> None:
        if edge is Edge.STARTED:
            self._held = False
            self._report(Heard.SPEECH_STARTED)
        elif edge is Edge.ENDED:
            self._silent()
        elif edge is Edge.PAUSED:
            self.transcriber.pause()
            if self._audio_ms - self._done_ms <= AHEAD_MS:
                self._ended()
        elif edge is Edge.RESUMED:
            self.transcriber.resume()

    def _silent(self) -> None:
        """Silence says that the utterance is over; a recogniser that endpoints has to agree."""
        transcriber = self.transcriber
        agreed = self._done_ms >= self.gate.speech_ended_ms - AHEAD_MS
        if agreed or not (isinstance(transcriber, Endpointing) and transcriber.endpoints):
            self._ended()
        else:
            self._held = True

    def _turn_ended(self) -> None:
        """The recogniser says so; a caller who can still be heard speaking has the last word."""
        self._done_ms = self._audio_ms
        if self._held or self.gate.paused:
            self._ended()

    def _ended(self) -> None:
        self._held = False
        self.gate.end()
        self._report(Heard.SPEECH_ENDED)
