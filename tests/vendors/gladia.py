"""Gladia's live speech-to-text (v2), as its stand-in.

Written from docs.gladia.io, as stored copies showed it on 26 November 2026: POST /v2/live, the live
WebSocket's AsyncAPI document, stop_recording, the quickstart, the help centre's article on the
WebSocket; and the types of Gladia's SDK. What these do not say: how long an idle session lives, and
what becomes of a session whose connection is lost.
"""

from __future__ import annotations

import json
from typing import Any

from tests.vendors.listening import Ear, LiveStandIn, Seen, Socket
from tests.vendors.serving import KEY, Exchange

_REQUEST = frozenset(
    ("encoding", "bit_depth", "sample_rate", "channels", "custom_metadata", "model")
    + ("endpointing", "maximum_duration_without_endpointing", "language_config")
    + ("pre_processing", "realtime_processing", "post_processing", "messages_config")
    + ("callback", "callback_config")
)
_RECEIVE = frozenset(
    f"receive_{name}"
    for name in (
        ("partial_transcripts", "final_transcripts", "speech_events", "pre_processing_events")
        + ("realtime_processing_events", "post_processing_events", "acknowledgments", "errors")
        + ("lifecycle_events",)
    )
)
_MODELS = frozenset(("solaria-1", "solaria-2"))


class GladiaStandIn(LiveStandIn):
    """``POST /v2/live``, and the WebSocket with the token that it hands out."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, dict[str, Any]] = {}
        self.slow_finals_ms = 0.0

    async def http(self, exchange: Exchange) -> None:
        fault = self.fault.kind if self.fault.times > 0 else "none"
        if fault == "mute":
            await exchange.until_gone()
            return
        if fault in ("status", "error_body"):
            self.next_fault()
            if fault == "error_body":
                await exchange.answer(200, {"message": "Something is wrong", "statusCode": 500})
            else:
                await exchange.answer(self.fault.status, {"message": "refused", "statusCode": 1})
            return
        seen = exchange.seen
        if seen.headers.get("x-gladia-key") != KEY:
            await exchange.answer(401, {"message": self.refuse("the key"), "statusCode": 401})
            return
        why = self._wrong(seen)
        if why:
            body = {"message": "Bad Request", "statusCode": 400, "validation_errors": [why]}
            await exchange.answer(400, body)
            self.refuse(why)
            return
        token = f"t{len(self.sessions)}"
        self.sessions[token] = seen.json()
        url = f"{self.url.replace('http', 'ws', 1)}/v2/live?token={token}"
        await exchange.answer(201, {"id": token, "created_at": "2026-11-26", "url": url})

    def _wrong(self, seen: Seen) -> str:
        body = seen.json()
        if (seen.method, seen.path) != ("POST", "/v2/live"):
            return f"no such path: {seen.path}"
        if body.keys() - _REQUEST:
            return f"unknown fields: {sorted(body.keys() - _REQUEST)}"
        audio = (body.get("encoding"), body.get("bit_depth"), body.get("sample_rate"))
        if audio != ("wav/ulaw", 8, 8_000) or body.get("channels") != 1:
            return f"audio: {audio}"
        if body.get("model", "solaria-1") not in _MODELS:
            return "model"
        if not 0.01 <= body.get("endpointing", 0.05) <= 10:
            return "endpointing is not from 0.01 to 10"
        return self._parts(body)

    def _parts(self, body: dict[str, Any]) -> str:
        languages = body.get("language_config", {})
        if languages.keys() - {"languages", "code_switching"}:
            return "language_config"
        if any(len(code) not in (2, 3) for code in languages.get("languages", ())):
            return "languages: ISO 639"
        messages = body.get("messages_config", {})
        if messages.keys() - _RECEIVE or not all(isinstance(v, bool) for v in messages.values()):
            return "messages_config"
        realtime = body.get("realtime_processing", {})
        wanted, given = realtime.get("custom_vocabulary"), "custom_vocabulary_config" in realtime
        return "" if bool(wanted) == given else "custom_vocabulary_config"

    # --- the WebSocket ----------------------------------------------------------------------------

    def refused(self, seen: Seen) -> int:
        if seen.query.get("token") in self.sessions and seen.path == "/v2/live":
            return 0
        self.refuse("no such session")
        return 403

    async def text(self, socket: Socket, ear: Ear, message: dict[str, Any]) -> bool:
        if message.get("type") == "audio_chunk":
            await self.say_error(socket, ear, "the test sends audio as it is")
            return False
        if message != {"type": "stop_recording"}:
            await self.say_error(socket, ear, f"message {json.dumps(message)}")
            return False
        self.ended()
        if ear.words():
            await self._transcript(socket, ear, ear.finish(), final=True)
        await socket.close(1000)
        return False

    async def sound(self, socket: Socket, ear: Ear, kind: str) -> None:
        session = self.sessions[socket.seen.query["token"]]
        silence_ms = session.get("endpointing", 0.05) * 1_000 + self.slow_finals_ms
        if ear.is_cut() or (ear.words() and ear.silence_ms >= silence_ms):
            await self.after_first()
            await self._transcript(socket, ear, ear.finish(), final=True)
        elif ear.words() and ear.ms % 200 == 0:
            await self._transcript(socket, ear, ear.words(), final=False)

    async def _transcript(
        self, socket: Socket, ear: Ear, words: list[dict[str, Any]], *, final: bool
    ) -> None:
        receive = self.sessions[socket.seen.query["token"]].get("messages_config", {})
        name = "receive_final_transcripts" if final else "receive_partial_transcripts"
        if not receive.get(name, final):
            return
        found = [
            {
                "word": " " + word["text"],
                "start": word["start"] / 1_000,
                "end": word["end"] / 1_000,
                "confidence": 0.9,
            }
            for word in words
        ]
        utterance = {
            "start": found[0]["start"],
            "end": found[-1]["end"],
            "confidence": 0.9,
            "channel": 0,
            "language": "en",
            "words": found,
            "text": " " + " ".join(word["text"] for word in words),
        }
        await socket.send(
            {
                "type": "transcript",
                "session_id": socket.seen.query["token"],
                "created_at": "2026-11-26T00:00:00Z",
                "data": {"id": "00_00000000", "is_final": final, "utterance": utterance},
            }
        )

    async def say_error(self, socket: Socket, ear: Ear, why: str = "") -> None:
        if why:
            self.refuse(why)
        await socket.close(4400 if why else 4500, "error")
