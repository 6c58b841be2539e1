"""OpenAI's Realtime API on loopback, GA protocol, WebSocket.

Written from developers.openai.com: /api/reference/resources/realtime (client and server events),
/api/docs/guides/realtime-conversations, /realtime-websocket and /realtime-transcription, and from
the types of OpenAI's Python SDK 3.57 (``openai.types.realtime``), read on 26 November 2026. Error
codes, which the reference does not list, from public reports: openai-agents-python #1466 and #2374,
pipecat #931 and #3960, livekit/agents #2358, #6157 and #6818, reachy_mini_conversation_app #134.

Not documented, and strict here: an item in the making can neither be cut nor deleted; after
``response.cancel`` the conversation is busy until ``response.done`` was sent; ids of items have 32
characters at the most.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import numpy as np

from apps.voice import g711
from tests.vendors.kinds import ModelStandIn
from tests.vendors.openai_realtime_responses import Item, Response, Said, Speaking
from tests.vendors.openai_realtime_rules import Refused, bad_value, check_event
from tests.vendors.serving import KEY, Cut, Gone, Socket

SHORTEST_MS = 100


class OpenAIRealtimeStandIn(ModelStandIn):
    """The vendor.

    script: what the next responses to the conversation say; without one, ``answer`` and ``calls``.
    transcripts: what the utterances of a session turn out to be, in order; None fails. hold_words:
    holds transcripts back. sessions: all there were. contexts: what the conversation was when each
    response to it was asked for. lines: texts that were read out beside it. refuse_next: the code
    with which the next ``response.create`` is refused. failure: what ``error_body`` says.
    """

    def __init__(self) -> None:
        super().__init__()
        self.script: deque[Said] = deque()
        self.transcripts: list[str | None] = ["book a table", "for two people", "at seven thirty"]
        self.hold_words: asyncio.Event | None = None
        self.ms_per_character = 60
        self.sessions: list[RealtimeSession] = []
        self.contexts: list[list[tuple[str, str]]] = []
        self.lines: list[str] = []
        self.refuse_next = ""
        self.failure = {"type": "server_error", "code": None}

    @property
    def session(self) -> RealtimeSession:
        return self.sessions[-1]

    async def socket(self, socket: Socket) -> None:
        status = self._handshake(socket)
        if status:
            await socket.refuse(status, b'{"error":{"code":"invalid_api_key"}}')
            return
        await socket.accept()
        socket.pace_s = 0  # only speech is paced, not what is told about it
        session = RealtimeSession(self, socket)
        if not socket.seen.query["model"].startswith("gpt-"):
            await session.fail(Refused("model_not_found", self.refuse("no such model")))
            await socket.close(4000)
            return
        self.sessions.append(session)
        await session.serve()

    def _handshake(self, socket: Socket) -> int:
        seen = socket.seen
        if self.fault.kind == "status" and self.next_fault() == "status":
            return self.fault.status
        if seen.path != "/v1/realtime" or set(seen.query) != {"model"}:
            self.refuse(f"{seen.path}?{','.join(seen.query)}")
            return 404
        if seen.headers.get("authorization") != f"Bearer {KEY}":
            return 401
        if "openai-beta" in seen.headers:
            self.refuse("beta_api_shape_disabled")
            return 400
        return 0

    def said(self) -> Said:
        return self.script.popleft() if self.script else Said(list(self.answer), list(self.calls))

    def tone(self, text: str, *, silent: bool = False) -> bytes:
        """Return the sound of a text: -20 dB below full scale."""
        size = int(len(text) * self.ms_per_character * g711.BYTES_PER_MS)
        if silent:
            return g711.SILENCE * size
        phase = 2 * np.pi * 250 * np.arange(size, dtype=np.float32) / g711.SAMPLE_RATE
        return g711.encode_float(0.1 * np.sqrt(2) * np.sin(phase))


class RealtimeSession:
    """One connection: a conversation, an input buffer, responses."""

    def __init__(self, vendor: OpenAIRealtimeStandIn, socket: Socket) -> None:
        self.vendor = vendor
        self.socket = socket
        self.items: list[Item] = []
        self.events: list[dict[str, Any]] = []  # the client's, without audio
        self.config: dict[str, Any] = {}
        self.heard = bytearray()  # all audio of the caller's
        self._buffer = bytearray()
        self._utterances = 0
        self._made = 0
        self._active: Response | None = None
        self._running: dict[str, Response] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._mute = False

    # --- for tests ------------------------------------------------------------------------------

    def believes(self) -> list[tuple[str, str]]:
        """Return the conversation as the server has it: who, and what."""
        return [(item.role or item.type, self._words(item)) for item in self.items]

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    async def expire(self) -> None:
        """An hour is over."""
        message = "Your session hit the maximum duration of 60 minutes."
        await self.fail(Refused("session_expired", message))
        await self.socket.close(1001, message)

    def _words(self, item: Item) -> str:
        if not (item.spoken and item.role == "assistant"):
            return item.text
        return item.text[: int(item.sound_ms / self.vendor.ms_per_character)].strip()

    # --- the protocol ---------------------------------------------------------------------------

    async def serve(self) -> None:
        cut = False
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._listen())
        except* Cut:
            cut = True
        except* Gone:
            pass
        if cut:
            raise Cut

    async def _listen(self) -> None:
        await self.send(
            "session.created", session={"type": "realtime", "object": "realtime.session"}
        )
        try:
            while True:
                await self._take(await self.socket.receive())
        except Gone:
            raise Gone from None

    async def _take(self, message: str | bytes) -> None:
        event: Any = {}
        try:
            if isinstance(message, bytes):
                raise Refused("invalid_event", "Text only.")
            event = json.loads(message)
            kind = check_event(event)
            if kind == "input_audio_buffer.append":
                return self._append(event)
            self.events.append(event)
            await _HANDLERS[kind](self, event)
        except Refused as refused:
            self.vendor.refuse(str(refused))
            await self.fail(refused, event.get("event_id") if isinstance(event, dict) else None)
        except json.JSONDecodeError:
            await self.fail(Refused("invalid_json", self.vendor.refuse("not JSON")))

    async def send(self, kind: str, **more: Any) -> None:
        self._made += 1
        if not self._mute or kind == "session.created":
            await self.socket.send({"type": kind, "event_id": f"event_{self._made}", **more})

    async def fail(self, refused: Refused, event_id: str | None = None) -> None:
        error = {"type": "invalid_request_error", "code": refused.code}
        error |= {"message": refused.message, "param": refused.param, "event_id": event_id}
        await self.send("error", error=error)

    def _new_id(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._made:04}"

    def _item(self, item_id: str) -> Item | None:
        return next((item for item in self.items if item.id == item_id), None)

    async def _update(self, event: dict[str, Any]) -> None:
        session = event["session"]
        voice = session.get("audio", {}).get("output", {}).get("voice")
        before = self.config.get("audio", {}).get("output", {}).get("voice")
        if any(item.spoken and item.role == "assistant" for item in self.items) and (
            voice not in (None, before)
        ):
            raise Refused("cannot_update_voice", "Assistant audio is present.")
        self.config = _merged(self.config, session)
        await self.send("session.updated", session=self.config)

    def _append(self, event: dict[str, Any]) -> None:
        sound = self.config.get("audio", {}).get("input", {})
        if sound.get("format") != {"type": "audio/pcmu"}:
            raise bad_value("audio", "The session's input is no mu-law.")
        if sound.get("turn_detection", "server_vad") is not None:
            raise bad_value("audio", "The vendor would take the turns.")
        audio = base64.b64decode(event["audio"])
        self._buffer += audio
        self.heard += audio

    async def _clear(self, _event: dict[str, Any]) -> None:
        self._buffer.clear()
        await self.send("input_audio_buffer.cleared")

    async def _commit(self, _event: dict[str, Any]) -> None:
        length = len(self._buffer) / g711.BYTES_PER_MS
        if length < SHORTEST_MS:
            raise Refused(
                "input_audio_buffer_commit_empty",
                f"Expected at least 100ms of audio, but buffer only has {length:.2f}ms.",
            )
        self._buffer.clear()
        item = Item(self._new_id("item"), role="user", spoken=True)
        before = self.items[-1].id if self.items else None
        await self.send("input_audio_buffer.committed", item_id=item.id, previous_item_id=before)
        await self._add(item)
        words = self.vendor.transcripts[self._utterances % len(self.vendor.transcripts)]
        self._utterances += 1
        if self.config["audio"]["input"].get("transcription"):
            self._spawn(self._transcribe(item, words, self.vendor.hold_words))

    async def _transcribe(self, item: Item, words: str | None, hold: asyncio.Event | None) -> None:
        await self.vendor.before_first()
        if hold is not None:
            await hold.wait()
        kind = "conversation.item.input_audio_transcription"
        about = {"item_id": item.id, "content_index": 0}
        if words is None:
            error = {"type": "server_error", "code": "audio_unintelligible", "message": "?"}
            return await self.send(f"{kind}.failed", **about, error=error)
        item.text = words
        for word in words.split(" ") if words else []:
            await self.send(f"{kind}.delta", **about, delta=f"{word} ")
        usage = {"type": "duration", "seconds": 1}
        return await self.send(f"{kind}.completed", **about, transcript=words, usage=usage)

    async def _create(self, event: dict[str, Any]) -> None:
        body, behind = event["item"], event.get("previous_item_id")
        if "id" in body and self._item(body["id"]) is not None:
            raise bad_value("item.id", "An item has this id already.")
        if behind not in (None, "root") and self._item(behind) is None:
            raise Refused("item_not_found", "No such item.", "previous_item_id")
        item = Item(body.get("id") or self._new_id("item"), body["type"], body.get("role", ""))
        if item.type == "message":
            item.text = "".join(part.get("text", "") for part in body["content"])
        else:
            self._function(item, body)
        await self._add(item, behind)
        await self.send("conversation.item.done", item=item.body())

    def _function(self, item: Item, body: dict[str, Any]) -> None:
        item.call_id, item.name = body.get("call_id", self._new_id("call")), body.get("name", "")
        item.text = body.get("arguments", body.get("output", ""))
        kinds = [found.type for found in self.items if found.call_id == item.call_id]
        if item.type == "function_call_output" and kinds != ["function_call"]:
            raise Refused("invalid_tool_call_id", "No call waits for it.", "item.call_id")
        if item.type == "function_call" and kinds:
            raise bad_value("item.call_id", "There is such a call already.")

    async def _add(self, item: Item, behind: str | None = None) -> None:
        place = len(self.items)
        if behind is not None:
            found = self._item(behind)
            place = self.items.index(found) + 1 if found is not None else 0
        self.items.insert(place, item)
        before = self.items[place - 1].id if place else None
        await self.send("conversation.item.added", previous_item_id=before, item=item.body())

    def _finished_item(self, event: dict[str, Any], code: str) -> Item:
        item = self._item(event["item_id"])
        if item is None:
            raise Refused(code, "Item with item_id not found.", "item_id")
        if item.status == "in_progress":
            raise bad_value("item_id", "The item is being made.")
        return item

    async def _delete(self, event: dict[str, Any]) -> None:
        self.items.remove(self._finished_item(event, "item_delete_invalid_item_id"))
        await self.send("conversation.item.deleted", item_id=event["item_id"])

    async def _truncate(self, event: dict[str, Any]) -> None:
        item = self._finished_item(event, "item_truncate_invalid_item_id")
        if not (item.spoken and item.role == "assistant") or event["content_index"] != 0:
            raise Refused(None, "Only model output audio messages can be truncated")
        end = event["audio_end_ms"]
        if end > item.sound_ms:
            message = f"Audio content of {item.sound_ms:.0f}ms is already shorter than {end}ms"
            raise bad_value("audio_end_ms", message)
        item.sound_ms = end
        event = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        await self.send("conversation.item.truncated", **event)

    # --- responses ------------------------------------------------------------------------------

    async def _respond(self, event: dict[str, Any]) -> None:
        options = event.get("response", {})
        code, self.vendor.refuse_next = self.vendor.refuse_next, ""
        if code:
            raise Refused(code, "As the test wants.")
        beside = options.get("conversation") == "none"
        if not beside and self._active is not None:
            raise Refused(
                "conversation_already_has_active_response",
                f"Conversation already has an active response: {self._active.id}.",
            )
        response = Response(self._new_id("resp"), options, None if beside else "conv_1")
        self._running[response.id] = response
        if not beside:
            self._active = response
            self.vendor.contexts.append(self.believes())
        fault = self.vendor.next_fault()
        if fault == "mute":
            self._mute = True
            return
        self._spawn(Speaking(self, response).run(fault))

    async def _cancel(self, event: dict[str, Any]) -> None:
        wanted = event.get("response_id")
        response = self._running.get(wanted) if wanted else self._active
        if response is None:
            raise Refused("response_cancel_not_active", "Cancellation failed: no active response")
        self.vendor.broken_off += 1
        response.cancelled.set()

    async def end(self, response: Response, status: str, **more: Any) -> None:
        self._running.pop(response.id, None)
        if response is self._active:
            self._active = None
        await self.send("response.done", response=response.body(status, **more))

    def line_of(self, response: Response) -> Said:
        """Return what a response beside the conversation has to read out."""
        text = response.options["input"][0]["content"][0]["text"]
        self.vendor.lines.append(text)
        return Said.text(text)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None
        self._tasks.create_task(work)


Handler = Callable[[RealtimeSession, dict[str, Any]], Coroutine[Any, Any, None]]
_HANDLERS: Mapping[str, Handler] = {
    "session.update": RealtimeSession._update,
    "input_audio_buffer.clear": RealtimeSession._clear,
    "input_audio_buffer.commit": RealtimeSession._commit,
    "conversation.item.create": RealtimeSession._create,
    "conversation.item.delete": RealtimeSession._delete,
    "conversation.item.truncate": RealtimeSession._truncate,
    "response.create": RealtimeSession._respond,
    "response.cancel": RealtimeSession._cancel,
}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for name, value in over.items():
        both = isinstance(found.get(name), Mapping) and isinstance(value, Mapping)
        found[name] = _merged(found[name], value) if both else value
    return found
