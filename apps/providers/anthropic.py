"""Anthropic's Claude, by its Messages API."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from apps.providers import connections, failures
from apps.providers.anthropic_messages import Answer, Blocks, conversation, tool
from apps.providers.base import Declaration, Option, ServiceSettings
from apps.providers.chat_completions import NO_EFFECT, options
from apps.providers.dialogue import ToolNames
from apps.providers.event_stream import EventStream, taken
from apps.providers.sdk_clients import Sdk, bare
from apps.voice.ports import ChatMessage, ModelEvent, Tool

_TO_NEWER = "Not sent to Claude 4.7 and later, which refuse it."
_LONGEST_ANSWER = 4096

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="anthropic",
        title="Anthropic",
        description="Claude, by the Messages API. Thinking is switched off where the model allows "
        "it, else kept low: extra.thinking and extra.output_config say otherwise.",
        models=(
            ("claude-haiku-4-5", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-sonnet-5")
            + ("claude-sonnet-4-6", "claude-sonnet-4-5", "claude-opus-5-5", "claude-opus-5")
            + ("claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-opus-4-5")
        ),
        open_models=True,
        default_model="claude-haiku-4-5",
        options=(
            Option(
                "temperature",
                "number",
                f"Randomness of the answer. {_TO_NEWER}",
                minimum=0,
                maximum=1,
            ),
            Option(
                "top_p",
                "number",
                f"Nucleus sampling; not beside temperature. {_TO_NEWER}",
                minimum=0,
                maximum=1,
            ),
            Option(
                "max_tokens",
                "integer",
                "Longest answer, in tokens; thinking counts.",
                default=_LONGEST_ANSWER,
                minimum=1,
            ),
            Option(
                "enable_prompt_caching",
                "boolean",
                "Let Anthropic keep what was said so far for five minutes: later answers come "
                "sooner and cost less.",
                default=True,
            ),
            *options(
                without="temperature top_p max_tokens enable_prompt_caching base_url",
                top_k=_TO_NEWER,
                frequency_penalty=NO_EFFECT,
                presence_penalty=NO_EFFECT,
                seed=NO_EFFECT,
            ),
        ),
        needs_key=True,
        extra="anthropic",
        modules=("anthropic",),
        factory="apps.providers.anthropic:Claude",
        billing="tokens",
        base_url="https://api.anthropic.com",
        source="platform.claude.com/docs: messages, streaming, thinking (troubleshooting), prompt "
        "caching, errors; Anthropic's Python SDK 2.14; November 2026.",
        limits=(
            "Claude opus-5-5, fable and mythos always think, which delays the first word.",
            "A system message in mid-call is spoken by the user.",
        ),
    ),
)

Fields = dict[str, Any]

_SAMPLING = ("temperature", "top_p", "top_k")
# How thinking is switched off, by the beginning of the name; the first that fits. A model that is
# in no row does not think unless it is asked to (up to 4.6), or is not known here.
_THINKING: tuple[tuple[str, Fields], ...] = (
    ("claude-sonnet-5-5", {"thinking": {"type": "between_tools"}}),
    ("claude-opus-5-5", {"output_config": {"effort": "low"}}),
    ("claude-fable", {"output_config": {"effort": "low"}}),
    ("claude-mythos", {"output_config": {"effort": "low"}}),
    ("claude-haiku-5", {"thinking": {"type": "disabled"}}),
    ("claude-sonnet-5", {"thinking": {"type": "disabled"}}),
    ("claude-opus-5", {"thinking": {"type": "disabled"}}),
    ("claude-opus-4-7", {"thinking": {"type": "disabled"}}),
    ("claude-opus-4-8", {"thinking": {"type": "disabled"}}),
)
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:-(\d{1,2})(?!\d))?")


def _samples(model: str) -> bool:
    """Whether a model takes sampling options: up to 4.6."""
    found = _VERSION.match(model)
    return found is not None and (int(found[1]), int(found[2] or 0)) < (4, 7)


def _fields(model: str, given: Mapping[str, Any], extra: Fields) -> Fields:
    found = {"max_tokens": given.get("max_tokens") or _LONGEST_ANSWER}
    if _samples(model):
        found |= {name: given[name] for name in _SAMPLING if name in given}
        if "temperature" in found:  # from 4.1 on, both at once are refused
            found.pop("top_p", None)
    if "thinking" not in extra and "output_config" not in extra:
        found |= next((off for name, off in _THINKING if model.startswith(name)), {})
    return found


class Claude:
    """Implements ``voice.ports.LanguageModel`` over the Messages API.

    Prompt caching is on unless it is switched off: every answer of a call begins with all that was
    said before, seconds ago, which read from the cache costs a tenth and comes sooner; writing it
    costs a quarter more, once. Prompts too short to be cached cost nothing extra.

    Unreadable tool calls and empty answers are errors, as with ``ChatCompletions``.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._name = settings.provider
        given = dict(settings.options)
        extra = given.pop("extra", None) or {}
        merged = {**_fields(settings.model, given, extra), **extra}
        ours = ("messages", "stream", "system", "tools")
        self._fields = {name: value for name, value in merged.items() if name not in ours}
        self._caches = given.get("enable_prompt_caching", True)
        self._thoughts: Blocks = {}
        self._sdk: Sdk | None = None

    async def warm(self) -> None:
        """Import the SDK and open a connection; see ``Warmable``."""
        with contextlib.suppress(Exception):
            await (await self._ready()).warm("/v1/models?limit=1")

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        names = ToolNames(tools)
        after_tool = bool(messages) and messages[-1].role == "tool"
        if not after_tool:  # a new turn: what was thought before is of no more use
            self._thoughts = {}
        stream = await self._opened(messages, tools, names)
        answer = Answer(self._name, names, after_tool=after_tool)
        try:
            while not answer.ended and (data := await stream.next()) is not None:
                for event in taken(answer, self._name, data):
                    yield event
            for event in answer.finished():
                yield event
            self._thoughts |= answer.thoughts
            await stream.drain()
        finally:
            await stream.aclose()

    async def aclose(self) -> None:
        """The connections are everybody's; nothing else is held."""

    async def _opened(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool], names: ToolNames
    ) -> EventStream:
        said = conversation(messages, names, thoughts=self._thoughts, caches=self._caches)
        body: Fields = {"model": self._settings.model, **said, **self._fields, "stream": True}
        if tools:
            body["tools"] = [tool(found, names) for found in tools]
        sdk = await self._ready()
        return await sdk.stream("/v1/messages", body)

    async def _ready(self) -> Sdk:
        if self._sdk is None:
            key = failures.key_of(self._name, self._settings.secrets)
            sdk = await connections.sdk(self._name, "anthropic", "anthropic")
            kind = bare(sdk.AsyncAnthropic)
            kind.fixed = {"anthropic-version": "2023-06-01"}
            http = connections.http2()
            client = kind(
                api_key=key,
                base_url=self._settings.url(DECLARATIONS[0].base_url),
                http_client=http,
                timeout=http.timeout,
                max_retries=0,
                open_telemetry=False,
            )
            httpx2 = await connections.sdk(self._name, "httpx2", "anthropic")
            patience_s = self._settings.patience_s
            self._sdk = Sdk(self._name, sdk, client, httpx=httpx2, patience_s=patience_s)
        return self._sdk
