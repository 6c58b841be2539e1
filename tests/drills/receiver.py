"""Takes outgoing events, checks their signatures by other code, and fails now and then."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """An endpoint in a thread of its own.

    ids: how often each event came. kinds: of each event. faulty: of this share of requests, half
    are refused after they were taken, so that they come again. forged: requests with a signature
    that is not right.
    """

    def __init__(self, *, faulty: float = 0.0, seed: int = 0) -> None:
        self.secret = ""
        self.ids: Counter[str] = Counter()
        self.bodies: dict[str, dict[str, Any]] = {}
        self.forged = 0
        self._faulty = faulty
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # its sender was killed
                self.send_response(receiver.take(dict(self.headers.items()), body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/events"
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver")
        self._thread.start()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Take a request; returns the status to answer with."""
        told = {name.lower(): value for name, value in headers.items()}
        with self._lock:
            if not self._is_signed(told, body):
                self.forged += 1
                return 401
            fails = self._random.random() < self._faulty
            if fails and self._random.random() < 0.5:
                return 503
            self.ids[told["webhook-id"]] += 1
            self.bodies[told["webhook-id"]] = json.loads(body)
            return 500 if fails else 204

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _is_signed(self, told: dict[str, str], body: bytes) -> bool:
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = f"{told['webhook-id']}.{told['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{right}" in told["webhook-signature"].split()
