"""A server that asks for keys as the vendors do, on loopback, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = "good-key-0123456789"
BEARER = ("authorization", f"Bearer {GOOD}")
OPENAI = ("/v1/models", [BEARER])
DEEPGRAM = ("/v1/projects", [("authorization", f"Token {GOOD}")])

# By provider: the path and headers of the vendor's own reference. Written down a second time, and
# not taken from apps.providers, so that a slip there is seen.
EXPECTED: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "openai": OPENAI,
    "openai_realtime": OPENAI,
    "openai_tts": OPENAI,
    "openai_stt": OPENAI,
    "together": OPENAI,
    "grok": OPENAI,
    "groq": ("/openai/v1/models", [BEARER]),
    "mistral": OPENAI,
    "deepseek": ("/models", [BEARER]),
    "openrouter": ("/api/v1/key", [BEARER]),
    "anthropic": ("/v1/models", [("x-api-key", GOOD), ("anthropic-version", "2023-06-01")]),
    "gemini": ("/v1beta/models?pageSize=1", [("x-goog-api-key", GOOD)]),
    "google_tts": ("/v1/voices", [("x-goog-api-key", GOOD)]),
    "deepgram": DEEPGRAM,
    "deepgram_tts": DEEPGRAM,
    "assemblyai": ("/v2/transcript?limit=1", [("authorization", GOOD)]),
    "gladia": ("/v2/pre-recorded?limit=1", [("x-gladia-key", GOOD)]),
    "elevenlabs": ("/v1/user", [("xi-api-key", GOOD)]),
    "cartesia": ("/voices?limit=1", [("x-api-key", GOOD), ("cartesia-version", "2024-11-13")]),
}
# These say 400 to a wrong key.
SAYS_400 = {"grok", "gemini", "google_tts"}


class Vendors:
    """All vendors at one address. status: what to answer instead of a judgement."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 0
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.silent = threading.Event()

    def bases(self) -> dict[str, str]:
        return {name: f"{self.url}/{name}" for name in EXPECTED}

    def judge(self, path: str, headers: dict[str, str]) -> int:
        _, name, rest = path.split("/", 2)
        expected, needed = EXPECTED[name]
        if f"/{rest}" != expected:
            return 404
        if all(headers.get(header) == value for header, value in needed):
            return 200
        return 400 if name in SAYS_400 else 401


@contextmanager
def vendors_serve() -> Iterator[Vendors]:
    """Serve until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            vendors.asked.append(self.path)
            if vendors.silent.is_set():
                over.wait(30)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(vendors.status or vendors.judge(self.path, headers))
            for name, value in {"Content-Length": "0", **vendors.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    over = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vendors = Vendors(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield vendors
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
