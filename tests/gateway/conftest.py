"""A phone to call the gateway with, over the real application, and bots for it to reach."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import orjson
import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.gateway.runtime import Gateway, gateway, gateway_close
from apps.gateway.stock import stock_clips
from botsconfig.asgi import application
from tests.conftest import BODY

# asgiref publishes no types for it.
_UNTYPED: Any = ApplicationCommunicator

Params = ParamSpec("Params")
Result = TypeVar("Result")


def in_database_thread(work: Callable[Params, Result]) -> Callable[Params, Awaitable[Result]]:
    """Run queries of an async test in a thread whose connection is given back afterwards."""
    found: Callable[Params, Awaitable[Result]] = database_sync_to_async(work)
    return found


_numbers = itertools.count()
FRAME = 160
QUIET = b"\xff" * FRAME

BotWith = Callable[..., TwilioConfig]


@pytest.fixture
def bot_with(account: Account) -> BotWith:
    """Make a bot of ours; the arguments are parts of its config, merged into the scripted ones."""

    def make(*, owner: Account | None = None, **parts: Any) -> TwilioConfig:
        config = {slot: {**BODY["config"][slot]} for slot in ("llm", "stt", "tts")}
        for name, part in parts.items():
            config[name] = {**config.get(name, {}), **part}
        draft = draft_read({"name": "Bot", "config": config})
        return config_create(account=owner or account, draft=draft, actor=Actor())

    return make


@pytest.fixture
async def running(transactional_db: None) -> AsyncIterator[Gateway]:
    """The gateway of this test's loop, closed at its end."""
    yield gateway()
    await gateway_close()


def speech() -> bytes:
    """A sentence that a voice activity detector takes for one: mu-law 8 kHz."""
    return stock_clips()["idle"].audio


class Phone:
    """Twilio's side of one stream, as far as these tests need it."""

    def __init__(
        self, bot: TwilioConfig, *, call_sid: str = "CA1", headers: dict[bytes, bytes] | None = None
    ) -> None:
        self.stream_sid = f"MZ{call_sid}x{next(_numbers)}"
        self.call_sid = call_sid
        self.parameters = {
            "account": str(bot.account_id),
            "bot": str(bot.id),
            "token": bot.stream_token,
        }
        self.media_format: dict[str, Any] = {
            "encoding": "audio/x-mulaw",
            "sampleRate": 8000,
            "channels": 1,
        }
        self.heard = bytearray()
        # Channels' own communicator would need Daphne; what it adds is two messages.
        self.socket: Any = _UNTYPED(
            application,
            {
                "type": "websocket",
                "path": "/media/twilio",
                "headers": list((headers or {}).items()),
                "subprotocols": [],
            },
        )

    async def dial(self) -> None:
        await self.connect()
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "streamSid": self.stream_sid,
            "accountSid": "AC1",
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": self.media_format,
            "customParameters": self.parameters,
        }
        await self.send({"event": "start", "streamSid": self.stream_sid, "start": start})

    async def connect(self) -> None:
        await self.socket.send_input({"type": "websocket.connect"})
        assert (await self.socket.receive_output(3))["type"] == "websocket.accept"

    async def send(self, message: dict[str, Any]) -> None:
        await self.raw(orjson.dumps(message).decode())

    async def raw(self, text: str) -> None:
        await self.socket.send_input({"type": "websocket.receive", "text": text})

    async def say(self, audio: bytes, *, quiet_s: float = 0.5) -> None:
        """Send speech and silence after it, faster than real time."""
        audio += QUIET * int(quiet_s * 50)
        for at in range(0, len(audio), FRAME):
            payload = base64.b64encode(audio[at : at + FRAME]).decode()
            media = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": payload}
            await self.send({"event": "media", "streamSid": self.stream_sid, "media": media})
            if at % (FRAME * 16) == 0:
                await asyncio.sleep(0)

    async def message(self) -> dict[str, Any]:
        """Return the next thing from the server: a message, or what closes the socket."""
        event = await self.socket.receive_output(5)
        if event["type"] == "websocket.close":
            return {"event": "close", "code": event["code"]}
        message: dict[str, Any] = orjson.loads(event["text"])
        if message["event"] == "media":
            self.heard += base64.b64decode(message["media"]["payload"])
        if message["event"] == "mark":
            await self.send(
                {"event": "mark", "streamSid": self.stream_sid, "mark": message["mark"]}
            )
        return message

    async def until(self, event: str) -> dict[str, Any]:
        """Listen until a message of that event."""
        while True:
            message = await self.message()
            if message["event"] == event:
                return message
            assert message["event"] != "close", message

    async def hang_up(self) -> None:
        await self.send({"event": "stop", "stop": {"callSid": self.call_sid}})
        while (await self.message())["event"] != "close":
            pass
        await self.socket.wait()

    async def vanish(self) -> None:
        """The socket breaks without a stop."""
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1006})
        await self.socket.wait(3)


async def until(phone: Phone, holds: Callable[[], bool]) -> None:
    """Listen until something holds."""
    listening = asyncio.create_task(_listen(phone))
    async with asyncio.timeout(10):
        while not holds():
            assert not listening.done(), listening
            await asyncio.sleep(0)
    listening.cancel()
    await asyncio.wait([listening])


async def _listen(phone: Phone) -> None:
    while True:
        await phone.message()
