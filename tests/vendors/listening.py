"""What the stand-ins of speech-to-text vendors share: ears that hear sound, and where words lie.

A stand-in hears no words: any sound that is not mu-law silence is the next of its ``transcripts``,
whose words are spread over the sound. A ``|`` in a transcript is a place where the vendor cuts it
into two final pieces in the midst of the speech.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from apps.voice import g711
from tests.vendors.kinds import EarsStandIn
from tests.vendors.serving import Cut, Gone, Seen, Socket

FRAME = 160
# The noise of a quiet line is not speech to any vendor.
QUIET_DB = -50.0
_WORD_MS = 120.0
# Sound that was no word is forgotten after so much silence.
_COUGH_MS = 300.0


class Ear:
    """One connection's hearing. Times are ms of the audio that came over this connection.

    before: pieces of the transcript in hand that are final already. voice_from, voice_to: where
    the sound lies that has no final words yet; None for no sound.
    """

    def __init__(self, stand_in: LiveStandIn, fault: str) -> None:
        self._stand_in = stand_in
        self.fault = fault
        self._rest = b""
        self.audio = bytearray()
        stand_in.by_connection.append(self.audio)
        self.ms = 0.0
        self.voice_from: float | None = None
        self.voice_to = 0.0
        self.final_to = 0.0
        self.state: dict[str, Any] = {}  # the stand-in's own, of this connection

    def take(self, audio: bytes) -> list[str]:
        """Hear audio; returns the 20 ms frames' kinds, ``voice`` or ``silence``, in order."""
        kinds = []
        self._rest += audio
        while len(self._rest) >= FRAME:
            frame, self._rest = self._rest[:FRAME], self._rest[FRAME:]
            voiced = g711.level_db(frame) > QUIET_DB
            if voiced:
                if self.voice_from is None:
                    self.voice_from = self.ms
                self.voice_to = self.ms + 20
            self.ms += 20
            kinds.append("voice" if voiced else "silence")
        return kinds

    @property
    def silence_ms(self) -> float:
        """How long it has been silent after sound that has no final words yet."""
        return self.ms - self.voice_to if self.voice_from is not None else 0.0

    def words(self) -> list[dict[str, Any]]:
        """Return what was heard so far of the transcript's next piece, each word with its place."""
        if self.voice_from is None:
            return []
        said = self._stand_in.piece().split()
        length = max(20.0, self.voice_to - self.voice_from)
        heard = min(len(said), int(length // _WORD_MS))
        step = length / max(1, len(said))
        start = self.voice_from
        return [
            {"text": word, "start": start + n * step, "end": start + (n + 1) * step}
            for n, word in enumerate(said[:heard])
        ]

    def finish(self) -> list[dict[str, Any]]:
        """Take the next piece as said: return all its words, which lie in the sound so far."""
        if self.voice_from is None:
            return []
        said = self._stand_in.piece().split()
        self._stand_in.next_piece()
        step = max(20.0, self.voice_to - self.voice_from) / max(1, len(said))
        start = self.voice_from
        self.voice_from = None
        self.final_to = self.ms
        return [
            {"text": word, "start": start + n * step, "end": start + (n + 1) * step}
            for n, word in enumerate(said)
        ]

    def is_cut(self) -> bool:
        """Whether the vendor would cut here: enough was heard of a piece that is not the last."""
        if self.voice_from is None or not self._stand_in.pieces_follow():
            return False
        return self.voice_to - self.voice_from >= _WORD_MS * 3


class LiveStandIn(EarsStandIn):
    """A vendor's WebSocket. Subclasses check the handshake and say things in the vendor's words.

    breaks_after_ms: with the fault ``cut``, how much audio of a connection is heard before it
    breaks. idle_s: after so long without a message the vendor closes; 0 never. chunks: lengths of
    the audio messages. by_connection: the audio of each session.
    """

    breaks_after_ms = 400.0
    idle_s = 0.0
    cuts = True  # whether this vendor finds final pieces itself

    def __init__(self) -> None:
        super().__init__()
        self.deaf = False  # takes messages and says nothing
        self.told = 0  # transcripts that are final
        self._pieces_told = 0
        self.chunks: list[int] = []
        self.gate: asyncio.Event | None = None  # handshakes wait for it
        self.by_connection: list[bytearray] = []
        self.beats = 0
        self.flushes = 0

    # --- transcripts ----------------------------------------------------------------------------

    def _pieces(self) -> list[str]:
        now = self.transcripts[self.told] if self.told < len(self.transcripts) else ""
        pieces = [" ".join(piece.split()) for piece in now.split("|")]
        return pieces if self.cuts else [" ".join(pieces)]

    def piece(self) -> str:
        return self._pieces()[self._pieces_told]

    def pieces_follow(self) -> bool:
        return self._pieces_told + 1 < len(self._pieces())

    def next_piece(self) -> None:
        if self.pieces_follow():
            self._pieces_told += 1
        else:
            self.told, self._pieces_told = self.told + 1, 0

    # --- a connection -----------------------------------------------------------------------------

    def refused(self, seen: Seen) -> int:
        """Return the status with which a handshake is refused; 0 if it is fine."""
        raise NotImplementedError

    async def greet(self, socket: Socket, ear: Ear) -> bool:
        """Say what the vendor says first; returns whether the session goes on."""
        return True

    async def turn_away(self, socket: Socket, status: int) -> None:
        """Refuse an account, with what an HTTP API would call ``status``."""
        await socket.refuse(status, b'{"error": "refused"}')

    async def text(self, socket: Socket, ear: Ear, message: dict[str, Any]) -> bool:
        """Take a message; returns whether the session goes on."""
        raise NotImplementedError

    async def sound(self, socket: Socket, ear: Ear, kind: str) -> None:
        """20 ms were heard."""

    def misfit(self, audio: bytes) -> str:
        """Say why a message of audio is refused; empty if it is fine."""
        return "" if audio else "an empty message"

    async def socket(self, socket: Socket) -> None:
        fault = self.next_fault()
        if self.gate is not None:
            await self.gate.wait()
        if fault == "status":
            await self.turn_away(socket, self.fault.status)
            return
        status = self.refused(socket.seen)
        if status:
            await socket.refuse(status, b'{"error": "refused"}')
            return
        await socket.accept()
        await self.before_first()
        try:
            await self._serve(socket, fault)
        except Cut:
            await socket.close(1011, "NET-0000")

    async def _serve(self, socket: Socket, fault: str) -> None:
        while fault == "mute":
            await socket.receive()
        ear = Ear(self, fault)
        if not await self.greet(socket, ear):
            return
        if fault == "garbage":
            await socket.send(b"\x00\x01 no JSON")
        if fault == "error_body":
            await self.say_error(socket, ear)
            return
        while (message := await self._next(socket)) is not None:
            if self.deaf:
                continue
            if not await self._take(socket, ear, message):
                return

    async def _take(self, socket: Socket, ear: Ear, message: str | bytes) -> bool:
        if isinstance(message, bytes):
            return await self._audio(socket, ear, message)
        return await self.text(socket, ear, json.loads(message))

    async def _next(self, socket: Socket) -> str | bytes | None:
        """Return the client's next message; None if it has none for too long."""
        try:
            async with asyncio.timeout(self.idle_s or None):
                return await socket.receive()
        except TimeoutError:
            await socket.close(1011, "NET-0001")
            return None

    async def say_error(self, socket: Socket, ear: Ear, why: str = "") -> None:
        """Say in the vendor's words that something is wrong, and end the session.

        why: what the client did; empty if the vendor itself is in trouble.
        """
        raise NotImplementedError

    async def _audio(self, socket: Socket, ear: Ear, audio: bytes) -> bool:
        why = self.misfit(audio)
        if why:
            await self.say_error(socket, ear, why)
            return False
        await self.hear(socket, ear, audio)
        return True

    async def hear(self, socket: Socket, ear: Ear, audio: bytes) -> None:
        """Take audio that fits."""
        self.audio += audio
        ear.audio += audio
        self.chunks.append(len(audio))
        for n in range(0, len(audio), FRAME):
            for kind in ear.take(audio[n : n + FRAME]):
                if ear.silence_ms >= _COUGH_MS and not self.piece():
                    ear.finish()
                await self.sound(socket, ear, kind)
        if ear.fault == "cut" and ear.ms >= self.breaks_after_ms:
            raise Cut

    def ended(self) -> None:
        """The client has said in the vendor's own words that no more audio will come."""
        self.sessions_ended += 1


__all__ = ["FRAME", "Ear", "Gone", "LiveStandIn", "Seen", "Socket"]
