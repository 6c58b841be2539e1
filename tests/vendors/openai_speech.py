"""OpenAI's speech endpoint, as strict as the original.

Written from developers.openai.com (API reference: "Create speech", "Retrieve model"; guides: "Text
to speech", "Error codes"), read in November 2026. That pcm is 24 kHz, 16 bits, little-endian
and without a header stands in the guide. Its content type does not: audio/pcm is what is known of
it. Other formats than pcm are not made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.vendors.serving import KEY, Exchange
from tests.vendors.speech_over_http import HttpVoiceStandIn

MODELS = ("gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15", "tts-1", "tts-1-hd")
VOICES = frozenset(
    ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer")
    + ("verse", "marin", "cedar")
)
_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
_LONGEST = 4_096
_NEEDED = ("input", "model", "voice")


class OpenAISpeechStandIn(HttpVoiceStandIn):
    AUDIO_TYPE = "audio/pcm"

    async def http(self, exchange: Exchange) -> None:
        seen = exchange.seen
        fault = self.next_fault()
        if fault == "status":
            await self.goes_wrong(exchange, fault)
        elif seen.headers.get("authorization") != f"Bearer {KEY}":
            await self.refuse_with(exchange, 401, "Incorrect API key provided", "invalid_api_key")
        elif seen.method == "GET" and seen.path.startswith("/v1/models/"):
            await self._model(exchange, seen.path.removeprefix("/v1/models/"))
        elif (seen.method, seen.path) == ("POST", "/v1/audio/speech"):
            if not await self.goes_wrong(exchange, fault):
                await self._speak(exchange, fault)
        else:
            await self.refuse_with(exchange, 404, f"Invalid URL ({seen.method} {seen.path})")

    async def refuse_with(self, exchange: Exchange, status: int, why: str, code: str = "") -> None:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        error = {"message": self.refuse(why), "type": kind, "param": None, "code": code or None}
        await exchange.answer(status, {"error": error})

    async def _model(self, exchange: Exchange, model: str) -> None:
        if model not in MODELS:
            await self.refuse_with(exchange, 404, f"No model {model}", "model_not_found")
            return
        found = {"id": model, "object": "model", "created": 1_699_046_015, "owned_by": "system"}
        await exchange.answer(200, found)

    async def _speak(self, exchange: Exchange, fault: Any) -> None:
        try:
            body = exchange.seen.json()
        except ValueError:
            await self.refuse_with(exchange, 400, "We could not parse the JSON body")
            return
        if why := self._wrong(exchange, body):
            status = 404 if why == "model_not_found" else 400
            await self.refuse_with(exchange, status, why, why if status == 404 else "")
            return
        self.spoken.append(body["input"])
        self.asked.append((body["voice"], body["model"]))
        await self.play(exchange, self.pcm(body["input"], 24_000, fault), fault)

    def _wrong(self, exchange: Exchange, body: Any) -> str:
        if not exchange.seen.headers.get("content-type", "").startswith("application/json"):
            return "unsupported content type"
        if not isinstance(body, dict) or not all(isinstance(body.get(n), str) for n in _NEEDED):
            return f"{_NEEDED} are required texts"
        if body["model"] not in MODELS:
            return "model_not_found"
        return _wrong_values(body)


def _wrong_values(body: Mapping[str, Any]) -> str:
    told = body.get("instructions", "")
    speed = body.get("speed", 1)
    checks = {
        "input must have 1 to 4096 characters": 0 < len(body["input"]) <= _LONGEST,
        "voice is none": body["voice"] in VOICES,
        "response_format is none": body.get("response_format", "mp3") in _FORMATS,
        "this stand-in makes pcm only": body.get("response_format") == "pcm",
        "speed must be a number": isinstance(speed, int | float) and not isinstance(speed, bool),
        "instructions must be a text": isinstance(told, str) and len(told) <= _LONGEST,
        "stream_format is none": body.get("stream_format", "audio") == "audio",
    }
    if wrong := [why for why, right in checks.items() if not right]:
        return wrong[0]
    if not 0.25 <= speed <= 4:
        return "speed must be from 0.25 to 4"
    unknown = set(body) - {*_NEEDED, "response_format", "speed", "instructions", "stream_format"}
    return f"Unrecognized request argument supplied: {sorted(unknown)}" if unknown else ""
