"""Tries a tool: its webhook is asked as in a call, and all that came of it is shown."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import orjson
from rest_framework.exceptions import Throttled, ValidationError

from apps.accounts.audit import Actor, Target, audit_record
from apps.bots.arguments import arguments_check
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.toolruns import Webhook, WebhookRun, cut, webhook_run, webhooks_of
from apps.providers import connections
from apps.voice.ports import ChatMessage, ToolCall

# What is shown of an answer.
BODY_CHARACTERS = 8_000
MASK = "…"
# Each holds a thread of this process for as long as its webhook takes.
_TRIALS = threading.BoundedSemaphore(16)
# A shorter value may be anything, so that hiding it everywhere would hide the answer.
SECRET_FROM = 4


class UnknownTool(LookupError):
    """The bot has no webhook of this name; the message lists those that it has."""


class _Rehearsal:
    """Implements ``ports.Controls`` where no call is: everything is taken, nothing is heard."""

    async def say(self, text: str) -> bool:
        return True

    def append(self, messages: Sequence[ChatMessage]) -> None:
        pass

    def set_context(self, messages: Sequence[ChatMessage]) -> None:
        pass


def tool_try(
    config: TwilioConfig,
    version: TwilioConfigVersion,
    name: str,
    arguments: Mapping[str, Any],
    actor: Actor,
) -> dict[str, Any]:
    """Ask a tool's webhook, for real, and return request, answer, and what a model would be told.

    version: with its secrets. Takes as long as the tool may. Raises UnknownTool, ValidationError
    for arguments that do not fit the tool's parameters, or Throttled.
    """
    hooks = webhooks_of(version.document, version.secrets)
    if name not in hooks:
        raise UnknownTool(f"No webhook_tools of this name. There are: {', '.join(sorted(hooks))}.")
    parameters = next(
        tool["parameters"] for tool in version.document["llm"]["tools"] if tool["name"] == name
    )
    if wrong := arguments_check(parameters, arguments):
        raise ValidationError(wrong)
    hook = hooks[name]
    call = ToolCall(f"test_{uuid.uuid4().hex}", name, arguments)
    # No transaction is open here: a webhook's slowness must hold no connection's lock.
    if not _TRIALS.acquire(blocking=False):
        raise Throttled(wait=1, detail="Too many tools are being tried at once.")
    try:
        began = time.monotonic()
        run = asyncio.run(_run(hook, call))
        duration_ms = round((time.monotonic() - began) * 1_000)
    finally:
        _TRIALS.release()
    ok = run.result.outcome == "ok"
    audit_record(
        account=config.account,
        actor=actor,
        action="config.try_tool",
        target=Target("config", str(config.id)),
        after={"tool": name, "ok": ok},
    )
    return {**_shown(hook, run), "duration_ms": duration_ms, "ok": ok, "error": run.error}


async def _run(hook: Webhook, call: ToolCall) -> WebhookRun:
    async with connections.closing():
        return await webhook_run(hook, call, _Rehearsal())


def _shown(hook: Webhook, run: WebhookRun) -> dict[str, Any]:
    secrets = [value.strip() for value in hook.headers.values()]
    secrets = sorted((one for one in secrets if len(one) >= SECRET_FROM), key=len, reverse=True)

    def masked(text: str) -> str:
        # Some webhooks answer with what they were asked.
        for secret in secrets:
            text = text.replace(secret, MASK)
        return text

    return {
        "request": _request(hook, run.request),
        "response": None if run.response is None else _response(run, run.response, masked),
        "result": masked(run.result.content),
    }


def _request(hook: Webhook, request: httpx.Request | None) -> dict[str, Any]:
    if request is None:
        return {"method": hook.method, "url": hook.url, "headers": {}, "body": None}
    custom = {name.lower() for name in hook.headers}
    headers = {
        name: MASK if name in custom else value for name, value in sorted(request.headers.items())
    }
    body = orjson.loads(request.content) if request.content else None
    return {"method": request.method, "url": str(request.url), "headers": headers, "body": body}


def _response(
    run: WebhookRun, response: httpx.Response, masked: Callable[[str], str]
) -> dict[str, Any]:
    body = cut(run.response_body.decode("utf-8", "replace"), limit=BODY_CHARACTERS)
    return {
        "status": response.status_code,
        "headers": {
            name: masked(value)
            for name, value in sorted(response.headers.items())
            if name != "set-cookie"
        },
        "redirects": run.redirects,
        "body": masked(body),
        "actions": run.actions,
    }
