"""OpenAI's realtime transcription session, as its stand-in.

Written from developers.openai.com/api, as stored copies showed it on 26 November 2026: the guide on
realtime transcription and the reference of the realtime client and server events; and the types of
OpenAI's Python SDK. A commit of less than 100 ms is refused, as users report. What these do not
say: whether every model takes G.711 (the reference has it for the session, the guide shows PCM).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from tests.vendors.listening import Ear, LiveStandIn, Seen, Socket
from tests.vendors.serving import KEY

_MODELS = frozenset(
    ("gpt-live-transcribe", "gpt-transcribe", "gpt-realtime-whisper", "gpt-4o-transcribe")
    + ("gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", "whisper-1")
)
_LIVE = frozenset(("gpt-live-transcribe", "gpt-realtime-whisper"))
_NEWER = frozenset(("gpt-live-transcribe", "gpt-transcribe"))
_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_LEAST_MS = 100.0


class OpenAiTranscriptionStandIn(LiveStandIn):
    """``/v1/realtime?intent=transcription``. Deltas come while audio arrives, for live models.

    swapped: transcripts of two commits come in the wrong order. fails: the next transcription
    fails at the vendor's.
    """

    cuts = False

    def __init__(self) -> None:
        super().__init__()
        self.swapped = False
        self.fails = False

    def refused(self, seen: Seen) -> int:
        if seen.headers.get("authorization") != f"Bearer {KEY}":
            self.refuse("the key")
            return 401
        if seen.path != "/v1/realtime" or dict(seen.query) != {"intent": "transcription"}:
            self.refuse(f"no such path: {seen.path} {dict(seen.query)}")
            return 404
        if "openai-beta" in seen.headers:
            self.refuse("the beta's protocol is gone")
            return 400
        return 0

    async def greet(self, socket: Socket, ear: Ear) -> bool:
        ear.state = {"model": "", "item": 0, "since_ms": 0.0, "told": "", "kept": []}
        await self._event(socket, "session.created", session={"type": "transcription"})
        return True

    async def _event(self, socket: Socket, kind: str, **more: Any) -> None:
        await socket.send({"type": kind, "event_id": "e", **more})

    async def _audio(self, socket: Socket, ear: Ear, audio: bytes) -> bool:
        await self.say_error(socket, ear, "binary messages are not taken")
        return False

    async def text(self, socket: Socket, ear: Ear, message: dict[str, Any]) -> bool:
        kind = message.get("type")
        if kind == "session.update":
            return await self._update(socket, ear, message)
        if not ear.state["model"]:
            return await self._refuse(socket, ear, "audio before the session is set up")
        if kind == "input_audio_buffer.append":
            return await self._append(socket, ear, message)
        if kind == "input_audio_buffer.commit" and message.keys() == {"type"}:
            return await self._commit(socket, ear)
        return await self._refuse(socket, ear, f"message {kind}")

    async def _refuse(self, socket: Socket, ear: Ear, why: str) -> bool:
        await self.say_error(socket, ear, why)
        return False

    async def _update(self, socket: Socket, ear: Ear, message: dict[str, Any]) -> bool:
        why = self._wrong(message.get("session", {}))
        if why or message.keys() != {"type", "session"}:
            return await self._refuse(socket, ear, why or "session.update")
        ear.state["model"] = message["session"]["audio"]["input"]["transcription"]["model"]
        await self._event(socket, "session.updated", session=message["session"])
        return True

    def _wrong(self, session: dict[str, Any]) -> str:
        sound = session.get("audio", {}).get("input", {})
        if session.get("type") != "transcription" or session.keys() - {"type", "audio", "include"}:
            return "session"
        if sound.keys() - {"format", "transcription", "turn_detection", "noise_reduction"}:
            return "audio.input"
        if sound.get("format") != {"type": "audio/pcmu"}:
            return "audio.input.format"
        if sound.get("turn_detection", "default") is not None:
            return "the test wants turn_detection null"
        return self._wrong_model(sound.get("transcription", {}))

    def _wrong_model(self, found: dict[str, Any]) -> str:
        model = found.get("model")
        if model not in _MODELS:
            return f"no such model: {model}"
        if found.keys() - {"model", "language", "languages", "keywords", "prompt"}:
            return "transcription"
        if model not in _NEWER and found.keys() & {"languages", "keywords"}:
            return f"{model} takes neither languages nor keywords"
        if "language" in found and "languages" in found:
            return "language and languages"
        if model == "gpt-realtime-whisper" and "prompt" in found:
            return "gpt-realtime-whisper takes no prompt"
        codes = [*found.get("languages", ["en"]), found.get("language", "en")]
        return "" if all(len(code) == 2 for code in codes) else "languages: ISO 639-1"

    async def _append(self, socket: Socket, ear: Ear, message: dict[str, Any]) -> bool:
        try:
            audio = base64.b64decode(message.get("audio", ""), validate=True)
        except (binascii.Error, TypeError):
            return await self._refuse(socket, ear, "audio is not base64")
        if not audio or message.keys() != {"type", "audio"}:
            return await self._refuse(socket, ear, "append")
        await self.hear(socket, ear, audio)
        return True

    async def sound(self, socket: Socket, ear: Ear, kind: str) -> None:
        if ear.state["model"] in _LIVE and ear.words() and ear.ms % 200 == 0:
            await self._deltas(socket, ear, " ".join(word["text"] for word in ear.words()))

    async def _deltas(self, socket: Socket, ear: Ear, text: str) -> None:
        more = text[len(ear.state["told"]) :]
        if more:
            ear.state["told"] = text
            await self._event(
                socket,
                _TRANSCRIPTION + "delta",
                item_id=f"item_{ear.state['item']}",
                content_index=0,
                delta=more,
            )

    async def _commit(self, socket: Socket, ear: Ear) -> bool:
        self.flushes += 1
        state = ear.state
        if ear.ms - state["since_ms"] < _LEAST_MS:
            error = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty"}
            await self._event(socket, "error", error=error)
            return True
        state["since_ms"] = ear.ms
        item = f"item_{state['item']}"
        await self._event(socket, "input_audio_buffer.committed", item_id=item)
        words = ear.finish()
        await self.after_first()
        text = " ".join(word["text"] for word in words)
        if text and state["model"] not in _LIVE:
            await self._deltas(socket, ear, text)
        state["item"] += 1
        state["told"] = ""
        state["kept"].append((item, text))
        await self._transcripts(socket, ear)
        return True

    async def _transcripts(self, socket: Socket, ear: Ear) -> None:
        kept = ear.state["kept"]
        if self.swapped and len(kept) < 2:
            return
        for item, text in reversed(kept):
            if self.fails:
                self.fails = False
                error = {"type": "server_error", "code": "transcription_failed"}
                await self._event(
                    socket, _TRANSCRIPTION + "failed", item_id=item, content_index=0, error=error
                )
                continue
            await self._event(
                socket,
                _TRANSCRIPTION + "completed",
                item_id=item,
                content_index=0,
                transcript=text,
                usage={"type": "duration", "seconds": 1},
            )
        kept.clear()

    async def say_error(self, socket: Socket, ear: Ear, why: str = "") -> None:
        kind = "invalid_request_error" if why else "server_error"
        if why:
            self.refuse(why)
        error = {"type": kind, "code": "invalid_value" if why else "internal_error"}
        await self._event(socket, "error", error=error)
        await socket.close(1000 if why else 1011)
