"""The Chat Completions protocol: what OpenAI began and most vendors of language models speak.

What differs between them is a ``Dialect``; each vendor's module holds its own. Source: OpenAI's API
reference (Chat Completions, streaming), and its Python SDK 3.57, read in November 2026.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from apps.providers import connections, failures
from apps.providers.base import Option, ServiceSettings
from apps.providers.chat_answers import Answer
from apps.providers.dialogue import ToolNames, alternating, as_json, parameters, repaired
from apps.providers.event_stream import EventStream, taken
from apps.providers.guard import AddressRefused
from apps.providers.sdk_clients import Sdk, bare
from apps.voice.ports import ChatMessage, ModelEvent, ProviderError, Tool, ToolCall

Fields = dict[str, Any]

# What a request's form depends on is not for ``extra`` to change.
_OURS = frozenset(("messages", "stream", "n"))
_END = b"[DONE]"

NO_EFFECT = "Accepted, without effect here."


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a vendor's Chat Completions differ from OpenAI's.

    origin / prefix: together the base URL. fields: from the model, the options that were given and
    ``extra``, the request's settings in the vendor's names. usage_asked: whether it knows
    ``stream_options.include_usage``; others tell the usage unasked. turns: whether its models know
    strict turns alone, and want a user to have spoken. call_id: makes a tool call's id one that
    the vendor takes. signs: whether tool calls carry a signature that must come back (Gemini);
    unsigned: what stands for one that is not known. keyless: whether it does without a key.
    guarded: whether its URL is a user's, and must not lead into private networks. warm_path: a GET
    that costs nothing.
    """

    origin: str
    prefix: str = "/v1"
    fields: Callable[[str, Fields, Fields], Fields] = lambda model, options, extra: options
    usage_asked: bool = True
    turns: bool = True
    call_id: Callable[[str], str] = lambda call_id: call_id
    signs: bool = False
    unsigned: Callable[[str], Any] = lambda model: None
    keyless: bool = False
    guarded: bool = False
    warm_path: str = "/models"


class ChatCompletions:
    """Implements ``voice.ports.LanguageModel`` over a vendor's Chat Completions.

    A tool call whose arguments are no JSON object is an error (``unavailable``, retryable), and so
    are the others of its answer: an empty object would book the wrong table, and half of the calls
    is worse than none. An answer without a word or a call is one too, unless it follows a tool's
    result: there a model may have said everything before.
    """

    def __init__(self, settings: ServiceSettings, dialect: Dialect) -> None:
        self._settings = settings
        self._dialect = dialect
        self._name = settings.provider
        options = dict(settings.options)
        for ours in ("base_url", "enable_prompt_caching"):
            options.pop(ours, None)
        extra = options.pop("extra", None) or {}
        fields = dialect.fields(settings.model, options, extra)
        merged = {**fields, **extra}
        self._fields = {name: v for name, v in merged.items() if name not in _OURS}
        self._sdk: Sdk | None = None
        self._signatures: dict[str, Any] = {}
        self._calls = 0

    async def warm(self) -> None:
        """Import the SDK and open a connection; see ``Warmable``."""
        with contextlib.suppress(Exception):
            sdk = await self._ready()
            await sdk.warm(self._dialect.warm_path, **self._request_options())

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        names = ToolNames(tools)
        stream = await self._opened(self._body(messages, tools, names))
        answer = Answer(self._name, names, after_tool=_ends_with_tool(messages))
        try:
            while (data := await stream.next()) is not None and data != _END:
                for event in taken(answer, self._name, data):
                    yield event
            for event in answer.finished(complete=data == _END, calls_before=self._calls):
                self._calls += isinstance(event, ToolCall)
                yield event
            self._signatures.update(answer.signatures)
            await stream.drain()
        finally:
            await stream.aclose()

    async def aclose(self) -> None:
        """The connections are everybody's; nothing else is held."""

    async def _opened(self, body: Fields) -> EventStream:
        sdk = await self._ready()
        try:
            return await sdk.stream("/chat/completions", body, **self._request_options())
        except AddressRefused as refused:
            raise ProviderError(self._name, str(refused), reason="bad_request") from None

    async def _ready(self) -> Sdk:
        if self._sdk is not None:
            return self._sdk
        key = self._key()
        url = self._url()
        sdk = await connections.sdk(self._name, "openai", "openai")
        http = connections.http(guarded=self._dialect.guarded)
        client = bare(sdk.AsyncOpenAI)(
            api_key=key or "none",
            admin_api_key="",
            base_url=url,
            http_client=http,
            timeout=http.timeout,
            max_retries=0,
        )
        patience_s = self._settings.patience_s
        self._sdk = Sdk(self._name, sdk, client, httpx=httpx, patience_s=patience_s)
        return self._sdk

    def _key(self) -> str:
        if self._dialect.keyless and not self._settings.secrets.get("api_key"):
            return ""
        return failures.key_of(self._name, self._settings.secrets)

    def _url(self) -> str:
        return self._settings.url(self._dialect.origin) + self._dialect.prefix

    def _request_options(self) -> Fields:
        """What every request says to the SDK: which of its keys to send, if any."""
        if self._key():
            return {"security": {"bearer_auth": True}}
        import openai  # the SDK is loaded: _ready has built its client

        return {"security": {}, "headers": {"Authorization": openai.Omit()}}

    def _body(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool], names: ToolNames
    ) -> Fields:
        history = [] if self._dialect.turns else repaired(messages)
        history = history or alternating(messages)
        known = {call.id for message in history for call in message.tool_calls}
        self._signatures = {k: v for k, v in self._signatures.items() if k in known}
        body: Fields = {}
        if self._settings.model:
            body["model"] = self._settings.model
        body |= {"messages": [self._message(m, names) for m in history], "stream": True}
        if self._dialect.usage_asked:
            body["stream_options"] = {"include_usage": True}
        body |= self._fields
        if tools:
            body["tools"] = [_tool(tool, names) for tool in tools]
        return body

    def _message(self, message: ChatMessage, names: ToolNames) -> Fields:
        if message.role == "tool":
            call_id = self._dialect.call_id(message.tool_call_id)
            return {"role": "tool", "tool_call_id": call_id, "content": message.content}
        found: Fields = {"role": message.role, "content": message.content}
        if message.tool_calls:
            found["content"] = message.content or None
            found["tool_calls"] = [self._call(call, names) for call in message.tool_calls]
            self._sign(found["tool_calls"], message.tool_calls)
        return found

    def _call(self, call: ToolCall, names: ToolNames) -> Fields:
        arguments = as_json(dict(call.arguments)).decode()
        return {
            "id": self._dialect.call_id(call.id),
            "type": "function",
            "function": {"name": names.safe(call.name), "arguments": arguments},
        }

    def _sign(self, made: list[Fields], calls: Sequence[ToolCall]) -> None:
        """Give back the signatures. Of calls made at once, the first alone must have one."""
        if not self._dialect.signs:
            return
        for field, call in zip(made, calls, strict=True):
            if call.id in self._signatures:
                field["extra_content"] = self._signatures[call.id]
        unsigned = self._dialect.unsigned(self._settings.model)
        if unsigned is not None:
            made[0].setdefault("extra_content", unsigned)


def _tool(tool: Tool, names: ToolNames) -> Fields:
    described = {
        "name": names.safe(tool.name),
        "description": tool.description,
        "parameters": parameters(tool),
    }
    return {"type": "function", "function": described}


def _ends_with_tool(messages: Sequence[ChatMessage]) -> bool:
    return bool(messages) and messages[-1].role == "tool"


_OPTIONS = (
    Option("temperature", "number", "Randomness of the answer.", minimum=0, maximum=2),
    Option("top_p", "number", "Nucleus sampling.", minimum=0, maximum=1),
    Option("top_k", "integer", "Sample from the k likeliest tokens.", minimum=0),
    Option("max_tokens", "integer", "Longest answer, in tokens.", minimum=1),
    Option("frequency_penalty", "number", "Against repetition.", minimum=-2, maximum=2),
    Option("presence_penalty", "number", "Towards new subjects.", minimum=-2, maximum=2),
    Option("seed", "integer", "For repeatable answers."),
    Option("enable_prompt_caching", "boolean", "Let the vendor cache the prompt."),
    Option("base_url", "string", "The endpoint of an OpenAI-compatible server."),
    Option("extra", "object", "Passed to the vendor as it stands."),
)
CACHES_UNASKED = "The vendor caches prompts unasked; this has no effect."


def options(*, without: str = "", **notes: str) -> tuple[Option, ...]:
    """Return a vendor's options. notes: what to add to an option's description.

    without: names that it does not have, apart by spaces.
    """
    absent = without.split()
    return tuple(
        Option(
            o.name,
            o.type,
            f"{o.description} {notes[o.name]}" if o.name in notes else o.description,
            minimum=o.minimum,
            maximum=o.maximum,
        )
        for o in _OPTIONS
        if o.name not in absent
    )


def renamed(given: Fields, *, dropped: Sequence[str] = (), **names: str) -> Fields:
    """Return fields under the vendor's names (``ours="theirs"``), without those it lacks."""
    return {names.get(name, name): v for name, v in given.items() if name not in dropped}
