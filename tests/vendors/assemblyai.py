"""AssemblyAI's streaming speech-to-text (v3), as its stand-in.

Written from assemblyai.com/docs, as stored copies showed it on 26 November 2026: streaming API
reference, message sequence, turn detection, model selection, common session errors and closures;
and the types of AssemblyAI's Python SDK. What these do not say: what ForceEndpoint does when
nothing was said (here: nothing; with ``answers_empty_force``, an empty turn).
"""

from __future__ import annotations

import json
from typing import Any

from tests.vendors.listening import Ear, LiveStandIn, Seen, Socket
from tests.vendors.serving import KEY

_QUERY = frozenset(
    ("speech_model", "sample_rate", "encoding", "format_turns", "keyterms_prompt")
    + ("language_codes", "language_detection", "min_turn_silence", "max_turn_silence")
    + ("end_of_turn_confidence_threshold", "vad_threshold", "inactivity_timeout", "mode")
)
_MODELS = frozenset(
    ("universal-3-6-pro", "universal-3-5-pro", "u3-rt-pro", "whisper-rt")
    + ("universal-streaming-english", "universal-streaming-multilingual")
)
_MESSAGES = frozenset(("ForceEndpoint", "Terminate", "KeepAlive", "UpdateConfiguration"))
_REASONS = {401: 1008, 402: 1008, 403: 1008, 429: 3009}
_TOLD = {402: "Insufficient account balance", 429: "Too many concurrent sessions"}


class AssemblyAiStandIn(LiveStandIn):
    """``/v3/ws``. A wrong key is told on a socket that opened well, as the vendor does."""

    ends_turns_after_ms = 400.0
    answers_empty_force = False

    def refused(self, seen: Seen) -> int:
        if seen.path != "/v3/ws":
            self.refuse(f"no such path: {seen.path}")
            return 404
        return 0

    async def greet(self, socket: Socket, ear: Ear) -> bool:
        why = self._wrong(socket.seen)
        if why:
            code = 1008 if why == "the key" else 3006
            await self._error(socket, code, "Unauthorized Connection: " + self.refuse(why))
            return False
        ear.state = {"turn": 0}
        await socket.send({"type": "Begin", "id": "b", "expires_at": 1_900_000_000})
        return True

    def _wrong(self, seen: Seen) -> str:
        query = seen.query
        model = query.get("speech_model", "universal-3-6-pro")
        if seen.headers.get("authorization") != KEY:
            return "the key"
        if query.keys() - _QUERY:
            return f"unknown parameters: {sorted(query.keys() - _QUERY)}"
        if (query.get("encoding"), query.get("sample_rate")) != ("pcm_mulaw", "8000"):
            return "the audio is not what the test sends"
        if model not in _MODELS or query.get("format_turns", "false") not in ("true", "false"):
            return f"no such model: {model}"
        return self._lists(query, model)

    def _lists(self, query: Any, model: str) -> str:
        terms = json.loads(query.get("keyterms_prompt", "[]"))
        codes = json.loads(query.get("language_codes", "[]"))
        if len(terms) > 100 or any(not 0 < len(term) <= 50 for term in terms):
            return "keyterms_prompt: at most 100 terms of 50 characters"
        if codes and not model.startswith(("universal-3", "u3-")):
            return "language_codes are for the Universal-3 models"
        return "" if all(len(code) == 2 for code in codes) else "language_codes: ISO 639-1"

    def misfit(self, audio: bytes) -> str:
        ms = len(audio) / 8
        if not 50 <= ms <= 1_000:
            return f"3007 Input Duration Violation: {ms} ms. Expected between 50 and 1000 ms"
        return ""

    async def text(self, socket: Socket, ear: Ear, message: dict[str, Any]) -> bool:
        kind = message.get("type")
        if kind not in _MESSAGES or message.keys() - {"type"}:
            await self.say_error(socket, ear, f"Invalid Message Type: {message}")
            return False
        if kind == "Terminate":
            self.ended()
            seconds = int(ear.ms / 1_000)
            await socket.send({"type": "Termination", "audio_duration_seconds": seconds})
            await socket.close(1000)
            return False
        if kind == "KeepAlive":
            self.beats += 1
        else:
            self.flushes += 1
            await self.after_first()
            await self._force(socket, ear)
        return True

    async def _force(self, socket: Socket, ear: Ear) -> None:
        words = ear.finish()
        if words or self.answers_empty_force:
            await self._turn(socket, ear, words, over=True)

    async def sound(self, socket: Socket, ear: Ear, kind: str) -> None:
        if ear.is_cut() or (ear.words() and ear.silence_ms >= self.ends_turns_after_ms):
            await self._turn(socket, ear, ear.finish(), over=True)
        elif ear.words() and ear.ms % 200 == 0:
            await self._turn(socket, ear, ear.words(), over=False)

    async def _turn(
        self, socket: Socket, ear: Ear, words: list[dict[str, Any]], *, over: bool
    ) -> None:
        steady = words if over else words[:-1]
        found = [
            {
                "text": word["text"],
                "start": int(word["start"]),
                "end": int(word["end"]),
                "confidence": 0.9,
                "word_is_final": word in steady,
            }
            for word in words
        ]
        await socket.send(
            {
                "type": "Turn",
                "turn_order": ear.state["turn"],
                "turn_is_formatted": False,
                "end_of_turn": over,
                "end_of_turn_confidence": 0.9 if over else 0.1,
                "transcript": " ".join(word["text"] for word in steady),
                "utterance": "",
                "words": found,
            }
        )
        ear.state["turn"] += over

    async def say_error(self, socket: Socket, ear: Ear, why: str = "") -> None:
        if not why:
            await self._error(socket, 3005, "Session Cancelled: An error occurred")
            return
        code = 3007 if why.startswith("3007") else 3006
        await self._error(socket, code, self.refuse(why))

    async def turn_away(self, socket: Socket, status: int) -> None:
        if status not in _REASONS:
            await socket.refuse(status)
            return
        await socket.accept()
        told = _TOLD.get(status, "Missing Authorization header")
        await self._error(socket, _REASONS[status], f"Unauthorized Connection: {told}")

    async def _error(self, socket: Socket, code: int, told: str) -> None:
        await socket.send({"type": "Error", "error_code": code, "error": told})
        await socket.close(code, told[:100])
