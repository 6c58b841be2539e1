"""Deepgram's streaming speech-to-text, as its stand-in.

Written from developers.deepgram.com, as stored copies showed it on 26 November 2026: reference of
listen-streaming and listen-flux; finalize, audio-keep-alive, endpointing, errors; flux/state,
flux/configuration, flux/force-end-turn, flux/own-turn-detection; and the types of Deepgram's
Python SDK. What these do not say: whether an answer to Finalize comes when nothing is buffered
(``answers_empty_finalize``), and how a message of unknown type is refused on /v1/listen.
"""

from __future__ import annotations

from typing import Any

from tests.vendors.listening import Ear, LiveStandIn, Seen, Socket
from tests.vendors.serving import KEY

_V1 = frozenset(
    ("model", "encoding", "sample_rate", "channels", "interim_results", "punctuate")
    + ("endpointing", "language", "smart_format", "numerals", "keyterm", "keywords")
    + ("utterance_end_ms", "vad_events", "profanity_filter", "diarize", "mip_opt_out", "tag")
)
_V2 = frozenset(
    ("model", "encoding", "sample_rate", "eager_eot_threshold", "eot_threshold")
    + ("eot_timeout_ms", "keyterm", "language_hint", "numerals", "profanity_filter")
    + ("mip_opt_out", "tag")
)
_V1_ENCODINGS = frozenset(("linear16", "flac", "alaw", "mulaw", "opus", "ogg-opus", "speex"))
_V2_ENCODINGS = frozenset(("linear16", "linear32", "mulaw", "alaw", "opus", "ogg-opus"))
_V2_MODELS = frozenset(("flux-general-en", "flux-general-multi"))
_NOVA = ("nova", "enhanced", "base", "whisper")


class DeepgramStandIn(LiveStandIn):
    """Both endpoints; the path tells which."""

    idle_s = 10.0
    interim_ms = 500.0
    answers_empty_finalize = True
    ends_turns_after_ms = 400.0

    def refused(self, seen: Seen) -> int:
        if seen.headers.get("authorization") != f"Token {KEY}":
            self.refuse("the key")
            return 401
        check = {"/v1/listen": self._v1, "/v2/listen": self._v2}.get(seen.path)
        if check is None:
            self.refuse(f"no such path: {seen.path}")
            return 404
        why = check(dict(seen.query))
        return 400 if why and self.refuse(why) else 0

    def _v1(self, query: dict[str, str]) -> str:
        model = query.get("model", "")
        return (
            _unknown(query, _V1)
            or _audio(query, _V1_ENCODINGS)
            or ("" if model.startswith(_NOVA) else f"no such model: {model}")
            or ("keyterm needs nova-3" if "keyterm" in query and "nova-3" not in model else "")
            or ("nova-3 has keyterm" if "keywords" in query and "nova-3" in model else "")
            or _booleans(query, ("interim_results", "punctuate", "smart_format", "numerals"))
            or _whole(query, "endpointing", 0, 10_000, or_else=("true", "false"))
            or _whole(query, "channels", 1, 20)
        )

    def _v2(self, query: dict[str, str]) -> str:
        model = query.get("model", "")
        hint = "language_hint" in query and model != "flux-general-multi"
        return (
            _unknown(query, _V2)
            or _audio(query, _V2_ENCODINGS)
            or ("" if model in _V2_MODELS else f"no such model: {model}")
            or ("language_hint needs flux-general-multi" if hint else "")
            or _booleans(query, ("numerals",))
            or _number(query, "eot_threshold", 0.5, 1.0)
            or _number(query, "eager_eot_threshold", 0.3, 0.9)
            or _whole(query, "eot_timeout_ms", 500, 60_000)
        )

    # --- one connection ---------------------------------------------------------------------------

    async def greet(self, socket: Socket, ear: Ear) -> bool:
        ear.state = {"n": 0, "turn": 0, "speaking": False}
        if socket.seen.path == "/v2/listen":
            await self._send(socket, ear, {"type": "Connected", "request_id": "r"})
        return True

    async def text(self, socket: Socket, ear: Ear, message: dict[str, Any]) -> bool:
        kind = message.get("type")
        v2 = socket.seen.path == "/v2/listen"
        allowed = (
            {"CloseStream", "ForceEndTurn"} if v2 else {"CloseStream", "Finalize", "KeepAlive"}
        )
        if kind not in allowed or message.keys() - {"type"}:
            await self.say_error(socket, ear, f"message {message}")
            return False
        if kind == "KeepAlive":
            self.beats += 1
        elif kind == "CloseStream":
            self.ended()
            await self._send(
                socket, ear, {"type": "Metadata", "request_id": "r", "duration": ear.ms}
            )
            await socket.close(1000)
            return False
        else:
            self.flushes += 1
            await self.after_first()
            await (self._end_turn(socket, ear, "manual") if v2 else self._finalize(socket, ear))
        return True

    async def sound(self, socket: Socket, ear: Ear, kind: str) -> None:
        v2 = socket.seen.path == "/v2/listen"
        if ear.is_cut():
            await (self._end_turn(socket, ear, "model") if v2 else self._piece(socket, ear))
        elif v2:
            await self._turn(socket, ear)
        elif ear.ms % self.interim_ms == 0:
            await self._results(socket, ear, ear.words(), ear.final_to)

    async def say_error(self, socket: Socket, ear: Ear, why: str = "") -> None:
        if why:
            self.refuse(why)
        code = "UNPARSABLE_CLIENT_MESSAGE" if why else "INTERNAL_SERVER_ERROR"
        await self._send(socket, ear, {"type": "Error", "code": code, "description": "prose"})
        await socket.close(1008 if why else 1011)

    async def _send(self, socket: Socket, ear: Ear, message: dict[str, Any]) -> None:
        if socket.seen.path == "/v2/listen":
            message = {"request_id": "r", "sequence_id": ear.state["n"], **message}
            ear.state["n"] += 1
        await socket.send(message)

    # --- nova -------------------------------------------------------------------------------------

    async def _piece(self, socket: Socket, ear: Ear) -> None:
        since = ear.final_to
        await self._results(socket, ear, ear.finish(), since, final=True)

    async def _finalize(self, socket: Socket, ear: Ear) -> None:
        since = ear.final_to
        if ear.voice_from is None and not self.answers_empty_finalize:
            return
        words = ear.finish()
        ear.final_to = ear.ms
        await self._results(socket, ear, words, since, final=True, asked=True)

    async def _results(
        self,
        socket: Socket,
        ear: Ear,
        words: list[dict[str, Any]],
        since: float,
        *,
        final: bool = False,
        asked: bool = False,
    ) -> None:
        found = [
            {
                "word": word["text"],
                "start": word["start"] / 1_000,
                "end": word["end"] / 1_000,
                "confidence": 0.9,
                "punctuated_word": word["text"],
            }
            for word in words
        ]
        best = {"transcript": _joined(words), "confidence": 0.9, "words": found}
        await socket.send(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": since / 1_000,
                "duration": (ear.ms - since) / 1_000,
                "is_final": final,
                "speech_final": False,
                "from_finalize": asked,
                "channel": {"alternatives": [best]},
                "metadata": {"request_id": "r", "model_uuid": "m", "model_info": {}},
            }
        )

    # --- Flux -------------------------------------------------------------------------------------

    async def _turn(self, socket: Socket, ear: Ear) -> None:
        state = ear.state
        if not state["speaking"] and ear.words():
            state["speaking"] = True
            await self._info(socket, ear, "StartOfTurn", ear.words())
        elif state["speaking"] and ear.silence_ms >= self.ends_turns_after_ms:
            threshold = float(socket.seen.query.get("eot_threshold", "0.7"))
            if threshold < 1.0:
                await self._end_turn(socket, ear, "model")
        elif ear.ms % 240 == 0:
            await self._info(socket, ear, "Update", ear.words())

    async def _end_turn(self, socket: Socket, ear: Ear, trigger: str) -> None:
        state = ear.state
        if trigger == "manual" and not state["speaking"]:
            return  # no turn in progress: the message is ignored
        state["speaking"] = False
        words = ear.finish()
        await self._info(socket, ear, "EndOfTurn", words, trigger=trigger)
        state["turn"] += 1

    async def _info(
        self,
        socket: Socket,
        ear: Ear,
        event: str,
        words: list[dict[str, Any]],
        **more: Any,
    ) -> None:
        found = [
            {
                "word": word["text"],
                "confidence": 0.9,
                "start": word["start"] / 1_000,
                "end": word["end"] / 1_000,
            }
            for word in words
        ]
        await self._send(
            socket,
            ear,
            {
                "type": "TurnInfo",
                "event": event,
                "turn_index": ear.state["turn"],
                "audio_window_start": ear.final_to / 1_000,
                "audio_window_end": ear.ms / 1_000,
                "transcript": _joined(words),
                "words": found,
                "end_of_turn_confidence": 0.8,
                **more,
            },
        )


def _joined(words: list[dict[str, Any]]) -> str:
    return " ".join(word["text"] for word in words)


def _unknown(query: dict[str, str], known: frozenset[str]) -> str:
    more = query.keys() - known
    return f"unknown parameters: {sorted(more)}" if more else ""


def _audio(query: dict[str, str], encodings: frozenset[str]) -> str:
    if query.get("encoding") not in encodings:
        return f"encoding {query.get('encoding')}"
    return "" if query.get("sample_rate") == "8000" else "sample_rate"


def _booleans(query: dict[str, str], names: tuple[str, ...]) -> str:
    wrong = [name for name in names if query.get(name, "true") not in ("true", "false")]
    return f"not booleans: {wrong}" if wrong else ""


def _number(query: dict[str, str], name: str, least: float, most: float) -> str:
    if name not in query:
        return ""
    try:
        fits = least <= float(query[name]) <= most
    except ValueError:
        fits = False
    return "" if fits else f"{name} is not from {least} to {most}"


def _whole(
    query: dict[str, str], name: str, least: int, most: int, or_else: tuple[str, ...] = ()
) -> str:
    value = query.get(name, str(least))
    if value in or_else:
        return ""
    return "" if value.isdigit() and least <= int(value) <= most else f"{name}={value}"
