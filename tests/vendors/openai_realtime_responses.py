"""Responses of OpenAI's Realtime API, as its stand-in makes them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from apps.voice import g711
from tests.vendors.serving import Cut

if TYPE_CHECKING:
    from tests.vendors.openai_realtime import RealtimeSession

PIECE_MS = 100


@dataclass
class Said:
    """What the model comes up with: a text to speak, piece by piece, and functions to call.

    written: it writes the text instead of speaking it.
    """

    pieces: list[str]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    written: bool = False

    @classmethod
    def text(cls, text: str, *calls: tuple[str, dict[str, Any]]) -> Said:
        words = text.split(" ")
        return cls(
            [word + " " * (place < len(words) - 1) for place, word in enumerate(words)], [*calls]
        )


@dataclass
class Item:
    """One item of a conversation, as the server keeps it."""

    id: str
    type: str = "message"
    role: str = ""
    text: str = ""
    sound_ms: float = 0.0  # of the assistant's own speech
    spoken: bool = False
    status: str = "completed"
    call_id: str = ""
    name: str = ""

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"id": self.id, "object": "realtime.item", "type": self.type}
        body["status"] = self.status
        if self.type == "function_call":
            return body | {"call_id": self.call_id, "name": self.name, "arguments": self.text}
        if self.type == "function_call_output":
            return body | {"call_id": self.call_id, "output": self.text}
        kind = "output_text" if self.role == "assistant" else "input_text"
        content: dict[str, Any] = {"type": kind, "text": self.text}
        if self.spoken and self.role == "assistant":
            content = {"type": "output_audio", "transcript": self.text}
        elif self.spoken:
            content = {"type": "input_audio", "transcript": self.text or None}
        return body | {"role": self.role, "content": [content]}


@dataclass
class Response:
    """One response in the making."""

    id: str
    options: Mapping[str, Any]
    conversation_id: str | None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    output: list[Item] = field(default_factory=list)

    def body(self, status: str, **more: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": None,
            "output": [item.body() for item in self.output],
            "conversation_id": self.conversation_id,
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}},
            "usage": None,
            "metadata": self.options.get("metadata"),
            **more,
        }


class Speaking:
    """Makes one response, and tells about it as the API does."""

    def __init__(self, session: RealtimeSession, response: Response) -> None:
        self.session = session
        self.response = response
        self.beside = response.conversation_id is None
        self.pieces = 0

    async def run(self, fault: str) -> None:
        session, response = self.session, self.response
        await session.send("response.created", response=response.body("in_progress"))
        await session.vendor.before_first()
        if fault == "error_body":
            details = {"type": "failed", "error": session.vendor.failure}
            return await session.end(response, "failed", status_details=details)
        said = session.line_of(response) if self.beside else session.vendor.said()
        if said.written:
            await self._write(said)
        elif fault != "empty":
            await self._speak(said, fault)
        if fault != "empty":
            for name, arguments in said.calls:
                await self._call(name, arguments)
        if response.cancelled.is_set():
            details = {"type": "cancelled", "reason": "client_cancelled"}
            return await session.end(
                response, "cancelled", status_details=details, usage=self._usage()
            )
        return await session.end(response, "completed", usage=self._usage())

    async def _write(self, said: Said) -> None:
        item = Item(self.session._new_id("item"), role="assistant")
        about = await self._begin(item)
        for piece in said.pieces:
            item.text += piece
            await self._tell("response.output_text.delta", about, delta=piece)
        await self._tell("response.output_text.done", about, text=item.text)
        await self._finish(item)

    async def _speak(self, said: Said, fault: str) -> None:
        if not said.pieces or self.response.cancelled.is_set():
            return
        item = Item(self.session._new_id("item"), role="assistant", spoken=True)
        about = await self._begin(item)
        part = {"type": "audio", "transcript": ""}
        await self._tell("response.content_part.added", about, part=part)
        for piece in [*said.pieces[:-1], said.pieces[-1].rstrip()]:
            if self.response.cancelled.is_set():
                break
            item.text += piece
            await self._tell("response.output_audio_transcript.delta", about, delta=piece)
            await self._sound(item, about, piece, fault)
        await self._tell("response.output_audio.done", about)
        await self._tell("response.output_audio_transcript.done", about, transcript=item.text)
        part = {"type": "audio", "transcript": item.text}
        await self._tell("response.content_part.done", about, part=part)
        await self._finish(item)

    async def _sound(self, item: Item, about: dict[str, Any], text: str, fault: str) -> None:
        vendor = self.session.vendor
        sound = vendor.tone(text, silent=fault == "silence")
        step = PIECE_MS * g711.BYTES_PER_MS
        for start in range(0, len(sound), step):
            if self.response.cancelled.is_set():
                return
            audio = sound[start : start + step]
            item.sound_ms += len(audio) / g711.BYTES_PER_MS
            delta = base64.b64encode(audio).decode()
            await self._tell("response.output_audio.delta", about, delta=delta)
            await asyncio.sleep(vendor.pace_s)
            self.pieces += 1
            if self.pieces == 1:
                await self._after_first(fault)

    async def _after_first(self, fault: str) -> None:
        if fault == "cut":
            raise Cut
        if fault == "garbage":
            await self.session.socket._send({"type": "websocket.send", "text": "{[garbage"})
        hold = self.session.vendor.hold
        if hold is not None:
            waits = [asyncio.ensure_future(e.wait()) for e in (hold, self.response.cancelled)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _call(self, name: str, arguments: dict[str, Any]) -> None:
        if self.response.cancelled.is_set():
            return
        session = self.session
        item = Item(session._new_id("item"), "function_call", name=name)
        item.call_id = session._new_id("call")
        about = await self._begin(item)
        about = {n: about[n] for n in ("response_id", "item_id", "output_index")}
        item.text = json.dumps(arguments)
        told = {"call_id": item.call_id}
        for start in range(0, len(item.text), 8):
            delta = item.text[start : start + 8]
            await self._tell("response.function_call_arguments.delta", about, **told, delta=delta)
        told |= {"name": name, "arguments": item.text}
        await self._tell("response.function_call_arguments.done", about, **told)
        await self._finish(item)

    async def _begin(self, item: Item) -> dict[str, Any]:
        item.status = "in_progress"
        self.response.output.append(item)
        place = len(self.response.output) - 1
        about = {"response_id": self.response.id, "output_index": place}
        await self._tell("response.output_item.added", about, item=item.body())
        if not self.beside:
            await self.session._add(item)
        return about | {"item_id": item.id, "content_index": 0}

    async def _finish(self, item: Item) -> None:
        item.status = "incomplete" if self.response.cancelled.is_set() else "completed"
        place = self.response.output.index(item)
        about = {"response_id": self.response.id, "output_index": place}
        await self._tell("response.output_item.done", about, item=item.body())
        if not self.beside:
            await self.session.send("conversation.item.done", item=item.body())

    async def _tell(self, kind: str, about: dict[str, Any], **more: Any) -> None:
        await asyncio.sleep(0)
        await self.session.send(kind, **about, **more)

    def _usage(self) -> dict[str, Any]:
        vendor = self.session.vendor
        cached = {"text_tokens": vendor.cached_tokens - 5, "audio_tokens": 5, "image_tokens": 0}
        return {
            "total_tokens": vendor.prompt_tokens + vendor.completion_tokens,
            "input_tokens": vendor.prompt_tokens,
            "output_tokens": vendor.completion_tokens,
            "input_token_details": {
                "text_tokens": vendor.prompt_tokens - 30,
                "audio_tokens": 30,
                "image_tokens": 0,
                "cached_tokens": vendor.cached_tokens,
                "cached_tokens_details": cached,
            },
            "output_token_details": {
                "text_tokens": vendor.completion_tokens - 8,
                "audio_tokens": 8,
            },
        }
