"""The yardstick: uvicorn as the gateway is served, and an application that only sends frames back.

Whatever carries Twilio's frames over WebSockets in Python pays at least this.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import orjson
import uvicorn

LAGS: list[float] = []


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _echo(receive, send)
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": orjson.dumps(LAGS)})
        LAGS.clear()


async def _echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    measuring = asyncio.create_task(_measure())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    measuring.cancel()
    await send({"type": "lifespan.shutdown.complete"})


async def _measure() -> None:
    while True:
        due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
        LAGS.append(max(0.0, time.monotonic() - due))


if __name__ == "__main__":
    uvicorn.run(
        application,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
    )
