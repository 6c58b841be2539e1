"""Tells what happens at the stand-in, line by line: for a person, or as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from apps.simulator.twilio.rest import Request
from apps.simulator.twilio.stand_in import StandIn
from apps.simulator.twilio.webhooks import Sent

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What a person wants to see of a request or a webhook; the rest is in --json.
_SHOWN = (
    "To",
    "From",
    "Url",
    "Twiml",
    "Status",
    "VoiceUrl",
    "CallStatus",
    "SequenceNumber",
    "AnsweredBy",
    "StreamEvent",
    "StreamError",
    "DialCallStatus",
    "ErrorCode",
)
_WIDEST = 60


class Journal:
    """Watches a stand-in and writes."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], datetime]) -> None:
        self.as_json = False
        self._write = write
        self._now = now
        self._warned = False

    def watch(self, stand_in: StandIn) -> None:
        stand_in.world.tell = self.note
        stand_in.rest.heard = self._request
        stand_in.webhooks.heard = self._webhook

    def note(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Write one line."""
        if self.as_json:
            line = {"at": self._now().isoformat(), **facts, "kind": kind}
            self._write(json.dumps(line))
        else:
            at = self._now().astimezone()
            self._write(f"{at:%H:%M:%S.%f}"[:-3] + f"  {_TEXTS.get(kind, _plain)(facts)}")

    def _request(self, request: Request) -> None:
        facts = {
            "method": request.method,
            "path": request.path,
            "status": request.status,
            "fields": dict(request.fields),
        }
        self.note("request", facts)

    def _webhook(self, sent: Sent) -> None:
        facts = {
            "method": sent.method,
            "url": sent.url,
            "status": sent.status,
            "fields": dict(sent.fields),
        }
        self.note("webhook", facts)
        if not self._warned and urlsplit(sent.url).hostname in _LOOPBACK:
            self._warned = True
            text = "Twilio itself could not reach this URL: it needs a public https address."
            self.note("warning", {"what": text})


def _fields(fields: Mapping[str, Any]) -> str:
    shown = []
    for name in _SHOWN:
        if name in fields:
            value = str(fields[name])
            shown.append(f"{name}={value if len(value) <= _WIDEST else value[:_WIDEST] + '...'}")
    return " ".join(shown)


def _request_text(facts: Mapping[str, Any]) -> str:
    answered = facts["status"] or "no answer"
    path = facts["path"].rpartition("/Accounts/")[2].partition("/")[2] or facts["path"]
    return f"-> {facts['method']} {path} {answered}  {_fields(facts['fields'])}"


def _webhook_text(facts: Mapping[str, Any]) -> str:
    answered = facts["status"] or "no answer"
    url = facts["url"].partition("?")[0]
    return f"<- {facts['method']} {url} {answered}  {_fields(facts['fields'])}"


def _plain(facts: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in facts.items())


_TEXTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "request": _request_text,
    "webhook": _webhook_text,
    "call": lambda f: f"   {f['sid'][:8]} {f['from']} -> {f['to']}: {f['status']}",
    "heard": lambda f: f"   {f['sid'][:8]} hears {f['sound']}: {f['what']}",
    "finding": lambda f: f"!! {f['operation']}: {f['what']}",
    "alert": lambda f: f"!! Twilio would log {f['code']}: {f['what']}",
    "warning": lambda f: f"!! {f['what']}",
}
