"""A server that keeps to the API's contract and to nothing else: unknown paths, queries and members
are refused, so that a command which invents one fails here.

It stands in for what is awkward to bring about on the real server: lost answers, rate limits, a
write between a plan and its application. No Django, no code of ours.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "stand-in-key-0123456789"
NOW = "2026-01-02T03:04:05Z"
SCOPES = {"configs:read", "configs:write", "calls:read", "calls:write", "admin"}
_BODY = {"name", "config", "max_duration", "metadata", "webhook_tools", "api_keys"}
_ANSWERED = {"id", "version", "status", "twiml", "stream_url", "voice_url", "warnings"}
_PARTS = {"llm", "tts", "stt", "turns", "greeting", "lines", "variables"}
_LIST = {"cursor", "page_size"}

Json = dict[str, Any]


class Refused(Exception):
    """An answer in the error envelope."""

    def __init__(self, status: int, error: str, info: str, **fields: list[str]) -> None:
        super().__init__(info)
        self.status = status
        self.body = {"error": error, "info": info, "fields": fields, "request_id": "req-1"}


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Fault:
    """What happens to the next request instead of an answer, or after it was carried out.

    status: answered in place of the work. lose: the work is done, the connection is closed.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    lose: bool = False
    raw: bytes = b""


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


class StandIn:
    """The state, and what every path does.

    asked: all requests, in order. before_write, after_read: what others do in between, one each.
    """

    def __init__(self) -> None:
        self.configs: dict[str, list[Json]] = {}
        self.keys: dict[str, Json] = {}
        self.credentials: dict[str, Json] = {}
        self.audit: list[Json] = []
        self.secrets: dict[str, Any] = {}
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self.before_write: list[Callable[[], None]] = []
        self.after_read: list[Callable[[], None]] = []
        self.remembered: dict[str, tuple[Any, int, Any]] = {}
        self.url = ""
        self.lock = threading.RLock()

    # --- what a test asks ---------------------------------------------------------------------

    def add(self, name: str = "Front desk", **metadata: Any) -> str:
        """Put a bot there without a request."""
        body = {"name": name, "config": {"llm": {"prompt": "Hi."}}, "metadata": metadata}
        return str(self._create(body)["id"])

    def current(self, id: str) -> Json:
        return self.configs[id][-1]

    def touch(self, id: str) -> None:
        """Somebody else's write."""
        self._write(id, deepcopy(self._body(self.current(id))))

    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]

    # --- routes -------------------------------------------------------------------------------

    ROUTES = (
        ("GET", r"/twilio-config", "list_configs"),
        ("POST", r"/twilio-config", "create_config"),
        ("(?:GET|PUT|PATCH|DELETE)", r"/twilio-config/(?P<id>[^/]+)", "one_config"),
        ("GET", r"/twilio-config/(?P<id>[^/]+)/versions", "list_versions"),
        ("GET", r"/twilio-config/(?P<id>[^/]+)/versions/(?P<n>\d+)", "one_version"),
        (
            "POST",
            r"/twilio-config/(?P<id>[^/]+)/versions/(?P<n>\d+)/(?P<verb>restore|publish)",
            "version_do",
        ),
        ("GET", r"/twilio-config/(?P<id>[^/]+)/render", "render"),
        ("POST", r"/twilio-config/(?P<id>[^/]+)/rotate-token", "rotate_token"),
        ("GET", r"/api-keys", "list_keys"),
        ("POST", r"/api-keys", "create_key"),
        ("(?:GET|DELETE)", r"/api-keys/(?P<id>[^/]+)", "one_key"),
        ("POST", r"/api-keys/(?P<id>[^/]+)/rotate", "rotate_key"),
        ("GET", r"/credentials", "list_credentials"),
        ("(?:GET|PUT|DELETE)", r"/credentials/(?P<provider>[^/]+)", "one_credential"),
        ("POST", r"/credentials/(?P<provider>[^/]+)/test", "test_credential"),
        ("GET", r"/audit-log", "list_audit"),
    )

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Carry a request out. Raises Refused."""
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refused(401, "authentication-error", "The key is missing or unknown.")
        for method, path, name in self.ROUTES:
            found = re.fullmatch(path, asked.path)
            if found and re.fullmatch(method, asked.method):
                return self._once(asked, name, found.groupdict())
        raise Refused(404, "not-found-error", "There is no such thing here.")

    def _once(self, asked: Asked, name: str, parts: dict[str, str]) -> tuple[int, Any]:
        key = asked.headers.get("Idempotency-Key")
        if asked.method == "POST" and key is None:
            raise AssertionError("Every POST of the command line has an Idempotency-Key.")
        if key is None:
            return self._run(asked, name, parts)
        if key in self.remembered:
            before, status, answer = self.remembered[key]
            if before != (asked.path, asked.body):
                raise Refused(422, "unprocessable-error", "The key came with another body.")
            return status, answer
        status, answer = self._run(asked, name, parts)
        self.remembered[key] = ((asked.path, asked.body), status, deepcopy(answer))
        return status, answer

    def _run(self, asked: Asked, name: str, parts: dict[str, str]) -> tuple[int, Any]:
        if asked.method != "GET" and self.before_write:
            self.before_write.pop(0)()
        found: tuple[int, Any] = getattr(self, f"_{name}")(asked, **parts)
        if asked.method == "GET" and self.after_read:
            self.after_read.pop(0)()
        return found

    # --- bots ---------------------------------------------------------------------------------

    def _list_configs(self, asked: Asked) -> tuple[int, Any]:
        metadata = {name for name in asked.query if name.startswith("metadata.")}
        self._known(asked.query, _LIST | metadata | {"name", "search", "provider", "order"})
        found = [self.configs[id][-1] for id in reversed(self.configs)]
        for name in metadata:
            found = [
                config
                for config in found
                if str(config["metadata"].get(name.partition(".")[2])) == asked.query[name]
            ]
        if "name" in asked.query:
            found = [config for config in found if config["name"] == asked.query["name"]]
        return 200, self._page(asked, found)

    def _page(self, asked: Asked, found: list[Any]) -> Json:
        size, start = int(asked.query["page_size"]), int(asked.query.get("cursor", "0"))
        if not 1 <= size <= 200:
            raise Refused(400, "invalid-request-error", "1 field is invalid", page_size=["1-200"])
        more = start + size < len(found)
        # As behind a proxy that does not tell its own name: nobody is to follow this blindly.
        following = f"http://elsewhere.invalid{asked.path}?cursor={start + size}"
        return {
            "next": following if more else None,
            "previous": None,
            "results": found[start : start + size],
        }

    def _create_config(self, asked: Asked) -> tuple[int, Any]:
        self._known(asked.query, {"draft"})
        return 201, self._create(asked.body)

    def _create(self, body: Json) -> Json:
        id = f"00000000-0000-4000-8000-{len(self.remembered) + len(self.configs):012d}"
        while id in self.configs:
            id = id[:-1] + chr(ord(id[-1]) + 1)
        self.configs[id] = []
        return self._write(id, body)

    def _write(self, id: str, body: Json) -> Json:
        self._check(body)
        self.secrets[id] = {**self.secrets.get(id, {}), **(body.get("api_keys") or {})}
        config = deepcopy(body["config"])
        slots = {slot: {"provider": "local", **config.get(slot, {})} for slot in ("tts", "stt")}
        llm = {"provider": "local", "tools": [], **config["llm"]}
        llm["tools"] = [{"description": "", **tool} for tool in llm["tools"]]
        turns = {"stop_secs": 0.3, "idle_secs": 20.0, **config.get("turns", {})}
        full = {"greeting": {"mode": "none", "text": ""}, "lines": {}, **config}
        made = {
            "id": id,
            "name": body.get("name", ""),
            "version": len(self.configs[id]) + 1,
            "status": "published",
            "config": {**full, **slots, "llm": llm, "turns": turns},
            "max_duration": body.get("max_duration", 600),
            "metadata": body.get("metadata", {}),
            "webhook_tools": {
                name: {key: value for key, value in tool.items() if key != "custom_headers"}
                for name, tool in body.get("webhook_tools", {}).items()
            },
            "twiml": f"<Response><!-- {id} --></Response>",
            "stream_url": "wss://voice.example.com/media/twilio",
            "voice_url": f"https://voice.example.com/twilio/voice/{id}",
            "warnings": [],
            "created_at": NOW,
            "updated_at": NOW,
        }
        self.configs[id].append(made)
        return made

    def _check(self, body: Any) -> None:
        if not isinstance(body, dict):
            raise Refused(400, "invalid-request-error", "1 field is invalid", body=["An object."])
        wrong = {name: ["Unknown field."] for name in body.keys() - _BODY - _ANSWERED}
        config = body.get("config")
        if not isinstance(config, dict) or "prompt" not in config.get("llm", {}):
            wrong["config.llm.prompt"] = ["Say what the bot is to do."]
        else:
            wrong |= {f"config.{name}": ["Unknown field."] for name in config.keys() - _PARTS}
        if wrong:
            raise Refused(400, "invalid-request-error", f"{len(wrong)} fields are invalid", **wrong)

    def _body(self, config: Json) -> Json:
        return {name: config[name] for name in _BODY if name in config}

    def _one_config(self, asked: Asked, id: str) -> tuple[int, Any]:
        self._known(asked.query, {"draft"})
        config = self._found(id)[-1]
        tag = asked.headers.get("If-Match")
        if tag is not None and tag != f'"{config["version"]}"':
            raise Refused(412, "precondition-failed-error", "If-Match does not name the version.")
        match asked.method:
            case "DELETE":
                del self.configs[id]
                return 204, None
            case "PUT":
                return 200, self._write(id, asked.body)
            case "PATCH":
                if asked.headers["Content-Type"] != "application/merge-patch+json":
                    raise Refused(415, "unsupported-media-type-error", "Not a merge patch.")
                return 200, self._write(id, merge(self._body(config), asked.body))
        return 200, config

    def _found(self, id: str) -> list[Json]:
        if id not in self.configs:
            raise Refused(404, "not-found-error", "There is no such thing here.")
        return self.configs[id]

    def _list_versions(self, asked: Asked, id: str) -> tuple[int, Any]:
        self._known(asked.query, _LIST)
        numbers = range(len(self._found(id)), 0, -1)
        versions = [self._version(id, number) for number in numbers]
        for version in versions:
            del version["content"]
        return 200, self._page(asked, versions)

    def _version(self, id: str, number: int) -> Json:
        if number > len(self._found(id)):
            raise Refused(404, "not-found-error", "There is no such thing here.")
        after = self.configs[id][number - 1]
        before = self.configs[id][number - 2] if number > 1 else {}
        changes = [
            {"path": name, "before": before.get(name), "after": after[name]}
            for name in sorted(_BODY & after.keys())
            if before.get(name) != after[name]
        ]
        author = {"kind": "key", "id": "k1", "name": "CI"}
        about = {"number": number, "status": "published", "author": author, "created_at": NOW}
        return {**about, "changes": changes, "content": after}

    def _one_version(self, asked: Asked, id: str, n: str) -> tuple[int, Any]:
        self._known(asked.query, set())
        return 200, self._version(id, int(n))

    def _version_do(self, asked: Asked, id: str, n: str, verb: str) -> tuple[int, Any]:
        self._version(id, int(n))
        if verb == "publish":
            return 200, self.configs[id][-1]
        return 201, self._write(id, deepcopy(self._body(self.configs[id][int(n) - 1])))

    def _render(self, asked: Asked, id: str) -> tuple[int, Any]:
        self._known(asked.query, {"from", "to", "variables", "version"})
        variables = json.loads(asked.query.get("variables", "{}"))
        return 200, {"version": self._found(id)[-1]["version"], "variables": variables}

    def _rotate_token(self, asked: Asked, id: str) -> tuple[int, Any]:
        self._known(asked.body or {}, {"grace_seconds"})
        return 200, self._found(id)[-1]

    # --- keys, credentials, audit -------------------------------------------------------------

    def _list_keys(self, asked: Asked) -> tuple[int, Any]:
        self._known(asked.query, _LIST)
        return 200, self._page(asked, list(self.keys.values()))

    def _create_key(self, asked: Asked) -> tuple[int, Any]:
        self._known(asked.body, {"name", "scopes", "expires_at"})
        if strangers := set(asked.body.get("scopes", [])) - SCOPES:
            raise Refused(
                400, "invalid-request-error", "1 field is invalid", scopes=sorted(strangers)
            )
        return 201, self._key_made(asked.body)

    def _key_made(self, body: Json) -> Json:
        id = f"key-{len(self.keys) + 1}"
        made = {"id": id, "scopes": ["admin"], "expires_at": None, "created_at": NOW, **body}
        self.keys[id] = {name: value for name, value in made.items() if name != "key"}
        return {**made, "key": f"secret-of-{id}"}

    def _one_key(self, asked: Asked, id: str) -> tuple[int, Any]:
        if id not in self.keys:
            raise Refused(404, "not-found-error", "There is no such thing here.")
        if asked.method == "DELETE":
            del self.keys[id]
            return 204, None
        return 200, self.keys[id]

    def _rotate_key(self, asked: Asked, id: str) -> tuple[int, Any]:
        self._known(asked.body, {"grace_seconds"})
        return 201, self._key_made({"name": self.keys[id]["name"]})

    def _list_credentials(self, asked: Asked) -> tuple[int, Any]:
        self._known(asked.query, set())
        return 200, {"results": list(self.credentials.values())}

    def _one_credential(self, asked: Asked, provider: str) -> tuple[int, Any]:
        if asked.method == "PUT":
            self._known(asked.body, {"api_key", "base_url"})
            key = asked.body["api_key"]
            self.secrets[provider] = key
            about = {"last4": f"…{key[-4:]}", "created_at": NOW, "updated_at": NOW}
            address = asked.body.get("base_url", "")
            self.credentials[provider] = {"provider": provider, "base_url": address, **about}
        elif provider not in self.credentials:
            raise Refused(404, "not-found-error", "There is no such thing here.")
        elif asked.method == "DELETE":
            del self.credentials[provider]
            return 204, None
        return 200, self.credentials[provider]

    def _test_credential(self, asked: Asked, provider: str) -> tuple[int, Any]:
        fits = not self.secrets[provider].startswith("wrong")
        info = "" if fits else "The vendor refused it."
        return 200, {"ok": fits, "reason": "", "info": info, "latency_ms": 12.0}

    def _list_audit(self, asked: Asked) -> tuple[int, Any]:
        filters = {"action", "target_kind", "target_id", "actor_id", "since", "until"}
        self._known(asked.query, _LIST | filters)
        return 200, self._page(asked, self.audit)

    def _known(self, given: Any, known: set[str]) -> None:
        if strangers := set(given) - known:
            fields = {name: ["Unknown."] for name in strangers}
            raise Refused(400, "invalid-request-error", "unknown members", **fields)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: StandIn

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        parts = urlsplit(self.path)
        body = json.loads(raw) if raw else None
        asked = Asked(
            self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body
        )
        titled = {name.title(): value for name, value in asked.headers.items()}
        asked.headers = titled
        with self.stand_in.lock:
            self.stand_in.asked.append(asked)
            fault = self.stand_in.faults.pop(0) if self.stand_in.faults else Fault()
            if fault.status:
                self._send(fault.status, _fault_body(fault), fault.headers)
                return
            try:
                status, answer = self.stand_in.answer(asked)
            except Refused as exc:
                status, answer = exc.status, exc.body
        if fault.lose:
            self.close_connection = True
            return
        self._send(status, b"" if answer is None else json.dumps(answer).encode(), {})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"X-Request-Id": "req-1", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _fault_body(fault: Fault) -> bytes:
    if fault.raw:
        return fault.raw
    envelope = {"error": "some-error", "info": "Not now.", "fields": {}, "request_id": "req-1"}
    return json.dumps(envelope).encode()


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """Serve on a port of the loopback."""
    found = StandIn()
    handler = type("Handler", (_Handler,), {"stand_in": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
