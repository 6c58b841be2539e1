"""What a running simulator serves: Twilio's API, its Bins, and the control API beside them."""

from __future__ import annotations

import json
from typing import Any

from apps.simulator.twilio.control import PATH, Control, NotPossible, body_read
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.stand_in import StandIn


class Front:
    """An ASGI application over a stand-in and its control."""

    def __init__(self, stand_in: StandIn, control: Control) -> None:
        self._stand_in = stand_in
        self._control = control

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == PATH or path.startswith(f"{PATH}/"):
            await self._steer(scope, await _body(receive), send)
        elif path.startswith("/twiml/"):
            await self._bin(scope, await _body(receive), send)
        else:
            await self._stand_in(scope, receive, send)

    async def _steer(self, scope: dict[str, Any], body: bytes, send: Any) -> None:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        try:
            read = body_read(headers.get("content-type", ""), body)
            status, answer = await self._control.perform(scope["method"], scope["path"], read)
        except NotPossible as error:
            status, answer = error.status, {"error": str(error)}
        if isinstance(answer, bytes):
            await _send(send, status, "audio/wav", answer)
        else:
            await _send(send, status, "application/json", json.dumps(answer, indent=1).encode())

    async def _bin(self, scope: dict[str, Any], body: bytes, send: Any) -> None:
        query = Form.parse(scope["query_string"])
        form = Form((*query.pairs, *Form.parse(body).pairs))
        document = self._control.bins.render(scope["path"], form)
        if document is None:
            await _send(send, 404, "text/plain", b"There is no such Bin.\n")
        else:
            await _send(send, 200, "text/xml", document.encode())


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        event = await receive()
        body += bytes(event.get("body", b""))
        if not event.get("more_body"):
            return body


async def _send(send: Any, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
