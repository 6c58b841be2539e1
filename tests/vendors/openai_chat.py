"""Stand-in of Chat Completions, and of the vendors that speak it, each with what it refuses.

Written on 26 November 2026 from: OpenAI's API reference (Chat Completions: create, streaming) as
its Python SDK 3.57 holds it, and its pages on reasoning, errors and deprecations;
console.groq.com/docs (API reference, reasoning); docs.x.ai (chat completions, reasoning);
ai.google.dev/gemini-api/docs (OpenAI compatibility, thinking, thought signatures);
openrouter.ai/docs (streaming, errors); api-docs.deepseek.com (thinking mode, chat completion);
Together's guide to reasoning as models.dev cites it. Not found as documentation, and taken from
reports: which of OpenAI's models refuse tools with or without ``reasoning_effort`` (issues of
livekit/agents, litellm and pipecat, 2026); Mistral's rules for the order of messages (pipecat's
adapter); the wording of xAI's and Google's refusals of a key.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.vendors.chat_rules import Refused, check_messages, check_tools, check_turns
from tests.vendors.kinds import ModelStandIn
from tests.vendors.serving import KEY, Cut, Exchange, FaultKind, Gone

Body = dict[str, Any]

_COMMON = frozenset(
    ("model", "messages", "stream", "tools", "tool_choice", "temperature", "top_p", "stop")
)
_NUMBERS: dict[str, tuple[type, float, float]] = {
    "temperature": (float, 0, 2),
    "top_p": (float, 0, 1),
    "top_k": (int, -1, 1e6),
    "max_tokens": (int, 1, 1e6),
    "max_completion_tokens": (int, 1, 1e6),
    "frequency_penalty": (float, -2, 2),
    "presence_penalty": (float, -2, 2),
    "seed": (int, -(2**63), 2**63),
    "random_seed": (int, 0, 2**63),
}


def _plain_error(status: int, why: str, code: str | None) -> Any:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": why, "type": kind, "param": None, "code": code}}


@dataclass(frozen=True)
class Vendor:
    """What is a vendor's own. fields: what it knows beside the common ones. usage: whether it tells
    the usage only if it is ``asked``, or ``always``. rules: refuses more. error: its form.
    bad_key: the status for one. comments: lines that it sends to keep the connection.
    """

    prefix: str = "/v1"
    fields: frozenset[str] = frozenset()
    usage: str = "asked"
    turns: bool = False
    rules: Callable[[Body], None] = lambda body: None
    error: Callable[[int, str, str | None], Any] = _plain_error
    bad_key: int = 401
    bad_key_says: str = "Incorrect API key provided"
    comments: str = ""
    keyless: bool = False
    thinks: Callable[[Body], bool] = lambda body: False
    tool_index: Callable[[int], int] = lambda n: n
    call_id: Callable[[int], str] = lambda n: f"call_{n:024d}"
    warm_path: str = "/models"
    signs: Callable[[Body], bool] = lambda body: False
    total_has_reasoning: int = 0
    cached_as: str = "details"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass
class Said:
    """What a chunk is about; the stand-in's next words."""

    delta: Body = field(default_factory=dict)
    finish: str | None = None


class ChatStandIn(ModelStandIn):
    """A vendor of Chat Completions. finish: the finish_reason; empty for what fits the answer.

    arguments: splinters to send instead of a call's good JSON. breaks_with: an error to tell in
    mid-answer, after the first piece.
    """

    def __init__(self, vendor: Vendor) -> None:
        super().__init__()
        self.vendor = vendor
        self.finish = ""
        self.arguments: list[str] | None = None
        self.breaks_with: Body | None = None

    async def http(self, exchange: Exchange) -> None:
        seen, vendor = exchange.seen, self.vendor
        await self.break_if_asked(exchange)
        try:
            self._check_key(seen.headers.get("authorization", ""))
            if (seen.method, seen.path) == ("GET", vendor.prefix + vendor.warm_path):
                await exchange.answer(200, {"object": "list", "data": []})
                return
            if (seen.method, seen.path) != ("POST", f"{vendor.prefix}/chat/completions"):
                raise Refused(f"no such path: {seen.path}", 404, None)
            body = self._checked(exchange)
        except Refused as refused:
            why = self.refuse(str(refused))
            error = vendor.error(refused.status, why, refused.code)
            await exchange.answer(refused.status, error)
        else:
            await self._answer(exchange, body, self.next_fault())

    def _check_key(self, authorization: str) -> None:
        vendor = self.vendor
        if authorization != f"Bearer {KEY}" and not (vendor.keyless and not authorization):
            raise Refused(vendor.bad_key_says, vendor.bad_key, "invalid_api_key")

    def _checked(self, exchange: Exchange) -> Body:
        """Refuse what the vendor refuses; a test's model is believed to exist."""
        if exchange.seen.headers.get("content-type") != "application/json":
            raise Refused("the content type must be application/json")
        body = exchange.seen.json()
        unknown = body.keys() - _COMMON - self.vendor.fields
        if unknown:
            raise Refused(f"unknown fields: {sorted(unknown)}")
        if not isinstance(body.get("model"), str) or not body["model"]:
            raise Refused("you must provide a model parameter")
        if body.get("stream") is not True:
            raise Refused("this stand-in streams")
        for name in body.keys() & _NUMBERS.keys():
            _check_number(name, body[name], *_NUMBERS[name])
        if body.get("stream_options", {"include_usage": True}).keys() != {"include_usage"}:
            raise Refused("stream_options")
        self._check_talk(body)
        self.vendor.rules(body)
        return dict(body)

    def _check_talk(self, body: Body) -> None:
        check_messages(body["messages"])
        if self.vendor.turns:
            check_turns(body["messages"])
        if "tools" in body:
            check_tools(body["tools"])

    async def _answer(self, exchange: Exchange, body: Body, fault: FaultKind) -> None:
        error = self.vendor.error
        if fault == "status":
            code = "insufficient_quota" if self.fault.status == 402 else None
            told = error(self.fault.status, "You exceeded …", code)
            await exchange.answer(self.fault.status, told)
        elif fault == "mute":
            await exchange.until_gone()
            raise Gone
        elif fault == "error_body":
            await exchange.answer(200, error(502, "Provider returned error", None))
        else:
            await self.before_first()
            await exchange.start(200, content_type="text/event-stream; charset=utf-8")
            if fault == "garbage":
                await exchange.piece(b"data: <html>not json</html>\n\n")
            else:
                await self._stream(exchange, body, fault)
            await exchange.end()

    async def _stream(self, exchange: Exchange, body: Body, fault: FaultKind) -> None:
        if self.vendor.comments:
            await exchange.piece(f": {self.vendor.comments}\n\n".encode())
        await self._chunk(exchange, body, Said({"role": "assistant", "content": ""}))
        first = True
        for said in self._said(body) if fault != "empty" else [Said({}, "stop")]:
            await self._chunk(exchange, body, said)
            if first and said.delta.get("content"):
                first = False
                if fault == "cut":
                    raise Cut
                await held_or_gone(self, exchange)
                if self.ends_early:
                    return
                if self.breaks_with is not None:
                    await exchange.piece(_event({"error": self.breaks_with}))
                    return
        if self.vendor.usage == "always" or "stream_options" in body:
            await exchange.piece(_event(self._frame(body) | {"usage": self._used()}))
        await exchange.piece(b"data: [DONE]\n\n")

    async def _chunk(self, exchange: Exchange, body: Body, said: Said) -> None:
        choice = {"index": 0, "delta": said.delta, "finish_reason": said.finish, "logprobs": None}
        await exchange.piece(_event(self._frame(body) | {"choices": [choice], "usage": None}))

    def _frame(self, body: Body) -> Body:
        made = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_764_000_000}
        return {**made, "model": body["model"], "choices": []}

    def _said(self, body: Body) -> Iterator[Said]:
        if self.vendor.thinks(body):
            yield Said({"reasoning_content": "The user wants a table. SECRET-THOUGHT."})
            yield Said({"reasoning": "More SECRET-THOUGHT."})
        for piece in self.answer:
            yield Said({"content": piece})
        for n, (name, arguments) in enumerate(self.calls):
            yield from self._call(n, name, arguments, signed=self.vendor.signs(body) and n == 0)
        yield Said({}, self.finish or ("tool_calls" if self.calls else "stop"))

    def _call(self, n: int, name: str, arguments: Body, *, signed: bool) -> Iterator[Said]:
        """Send a call in splinters: its name first, then its arguments, torn anywhere."""
        index = self.vendor.tool_index(n)
        function = {"name": name, "arguments": ""}
        whole = {"index": index, "id": self.vendor.call_id(n), "type": "function"}
        if signed:
            whole["extra_content"] = {"google": {"thought_signature": f"signature-{n}"}}
        text = json.dumps(arguments)
        splinters = self.arguments or [text[:3], text[3:7], text[7:]]
        if self.vendor.tool_index(1) == 0:  # Google sends a call in one piece
            function["arguments"], splinters = text, []
        yield Said({"tool_calls": [{**whole, "function": function}]})
        for splinter in splinters:
            part = {"index": index, "function": {"arguments": splinter}}
            yield Said({"tool_calls": [part]})

    def _used(self) -> Body:
        hidden = self.vendor.total_has_reasoning
        told: Body = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens - hidden,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }
        if self.vendor.cached_as == "details":
            return {**told, "prompt_tokens_details": {"cached_tokens": self.cached_tokens}}
        return {**told, self.vendor.cached_as: self.cached_tokens}


async def held_or_gone(stand_in: ModelStandIn, exchange: Exchange) -> None:
    """Hold the answer where a test asks for it. Raises Gone if the client leaves meanwhile."""
    held = asyncio.ensure_future(stand_in.after_first())
    gone = asyncio.ensure_future(exchange.until_gone())
    try:
        await asyncio.wait((held, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        held.cancel()
    if exchange.gone:
        raise Gone


def _event(chunk: Body) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _check_number(name: str, value: Any, kind: type, least: float, most: float) -> None:
    fits = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not fits or not least <= value <= most:
        raise Refused(f"invalid value for {name}: {value!r}")


# --- OpenAI ---------------------------------------------------------------------------------------


def _openai_rules(body: Body) -> None:
    model, effort = body["model"], body.get("reasoning_effort")
    version = tuple(int(n) for n in re.findall(r"\d+", model)[:2]) if "gpt" in model else ()
    if not version or version[0] < 5:
        if effort is not None:
            raise Refused("unrecognized request argument: reasoning_effort")
        return
    if "max_tokens" in body:
        raise Refused("max_tokens is not supported with this model; use max_completion_tokens")
    first = version[0] == 5 and not model.startswith("gpt-5.")
    offered = {"low", "medium", "high", "minimal" if first else "none"}
    if effort is not None and effort not in offered:
        raise Refused(f"reasoning_effort does not support {effort!r}")
    _openai_tools(body, version if not first else (5, 0), effort)
    default = "medium" if first or version >= (5, 5) else "none"
    if (effort or default) != "none":
        for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty"):
            if name in body:
                raise Refused(f"unsupported parameter with this model: {name}")


def _openai_tools(body: Body, version: tuple[int, ...], effort: str | None) -> None:
    if "tools" not in body:
        return
    if version >= (5, 5) and effort != "none":
        raise Refused("to use function tools, set reasoning_effort to 'none'")
    if (5, 2) <= version <= (5, 4) and effort is not None:
        raise Refused("function tools with reasoning_effort are not supported")


OPENAI = Vendor(
    fields=_names(
        "stream_options max_tokens max_completion_tokens frequency_penalty presence_penalty seed "
        "reasoning_effort n user logit_bias response_format parallel_tool_calls metadata store "
        "service_tier prompt_cache_key verbosity"
    ),
    rules=_openai_rules,
)

# --- Groq -----------------------------------------------------------------------------------------


def _groq_rules(body: Body) -> None:
    effort = body.get("reasoning_effort")
    offered = {"low", "medium", "high"} if "gpt-oss" in body["model"] else {"none", "default"}
    if effort is not None and effort not in offered:
        raise Refused("reasoning_effort")
    if "include_reasoning" in body and "reasoning_format" in body:
        raise Refused("include_reasoning and reasoning_format exclude each other")


GROQ = Vendor(
    prefix="/openai/v1",
    fields=_names(
        "stream_options max_completion_tokens seed reasoning_effort include_reasoning user "
        "reasoning_format service_tier parallel_tool_calls response_format"
    ),
    rules=_groq_rules,
)

# --- xAI ------------------------------------------------------------------------------------------


def _grok_rules(body: Body) -> None:
    model = body["model"]
    if "non-reasoning" not in model:
        for name in ("frequency_penalty", "presence_penalty", "stop"):
            if name in body:
                raise Refused(f"Argument not supported on this model: {name}")
    offered = {"none", "low", "medium", "high"} if model.startswith("grok-4.3") else {None}
    if body.get("reasoning_effort", next(iter(offered))) not in offered:
        raise Refused("Argument not supported on this model: reasoning_effort")


GROK = Vendor(
    fields=_names(
        "stream_options max_completion_tokens frequency_penalty presence_penalty seed "
        "reasoning_effort user response_format parallel_tool_calls"
    ),
    rules=_grok_rules,
    error=lambda status, why, code: {"code": "Client specified an invalid argument", "error": why},
    bad_key=400,
    bad_key_says="Incorrect API key provided: sk-st***. You can obtain a key from the console.",
    total_has_reasoning=4,
)

# --- Google ---------------------------------------------------------------------------------------


def _gemini_rules(body: Body) -> None:
    model, effort = body["model"], body.get("reasoning_effort")
    can_stop = model.startswith("gemini-2.5-flash")
    can_little = "flash" in model and not model.startswith("gemini-4")
    if (effort == "none" and not can_stop) or (effort == "minimal" and not can_little):
        raise Refused(f"reasoning_effort {effort!r} is not supported by this model")
    if not _is_gemini_3(body):
        return
    for message in body["messages"]:
        for call in message.get("tool_calls", ())[:1]:
            signed = call.get("extra_content", {}).get("google", {}).get("thought_signature")
            if signed not in ("signature-0", "skip_thought_signature_validator"):
                raise Refused("Function call is missing a thought_signature in functionCall parts.")


def _is_gemini_3(body: Body) -> bool:
    return re.match(r"gemini-[3-9]", body["model"]) is not None


def _google_error(status: int, why: str, code: str | None) -> Any:
    named = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
    named |= {404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    return [{"error": {"code": status, "message": why, "status": named.get(status, "INTERNAL")}}]


GEMINI = Vendor(
    prefix="/v1beta/openai",
    fields=_names("stream_options max_tokens max_completion_tokens reasoning_effort extra_body n"),
    turns=True,
    rules=_gemini_rules,
    error=_google_error,
    bad_key=400,
    bad_key_says="API key not valid. Please pass a valid API key.",
    tool_index=lambda n: 0,
    call_id=lambda n: f"function-call-{n}",
    signs=_is_gemini_3,
    total_has_reasoning=4,
)

# --- the rest -------------------------------------------------------------------------------------


def _mistral_rules(body: Body) -> None:
    ids = [c["id"] for m in body["messages"] for c in m.get("tool_calls", ())]
    ids += [m["tool_call_id"] for m in body["messages"] if m["role"] == "tool"]
    if any(not re.fullmatch(r"[a-zA-Z0-9]{9}", call_id) for call_id in ids):
        raise Refused("Tool call id must be a-z, A-Z, 0-9, with a length of 9.")


def _number_error(status: int, why: str, code: str | None) -> Any:
    return {"error": {"code": status, "message": why}}


def _thinks(body: Body) -> bool:
    return bool(body.get("thinking", {}).get("type") != "disabled")


TOGETHER = Vendor(
    fields=_names(
        "stream_options max_tokens top_k frequency_penalty presence_penalty repetition_penalty "
        "seed min_p reasoning reasoning_effort chat_template_kwargs response_format n"
    ),
    turns=True,
    cached_as="cached_tokens",
)
OPENROUTER = Vendor(
    prefix="/api/v1",
    fields=_names(
        "max_tokens top_k frequency_penalty presence_penalty repetition_penalty seed min_p "
        "reasoning provider models transforms usage user"
    ),
    usage="always",
    error=_number_error,
    comments="OPENROUTER PROCESSING",
    warm_path="/key",
)
MISTRAL = Vendor(
    fields=_names(
        "max_tokens random_seed frequency_penalty presence_penalty response_format n "
        "parallel_tool_calls prompt_mode safe_prompt prediction reasoning_effort"
    ),
    usage="always",
    turns=True,
    rules=_mistral_rules,
    call_id=lambda n: f"a1B2c3D{n:02d}",
)
DEEPSEEK = Vendor(
    prefix="",
    fields=_names(
        "stream_options max_tokens frequency_penalty presence_penalty thinking reasoning_effort "
        "response_format logprobs"
    ),
    thinks=_thinks,
    comments="keep-alive",
    cached_as="prompt_cache_hit_tokens",
)
CUSTOM = Vendor(
    fields=_names(
        "stream_options max_tokens top_k frequency_penalty presence_penalty seed "
        "chat_template_kwargs repetition_penalty"
    ),
    turns=True,
    keyless=True,
)
