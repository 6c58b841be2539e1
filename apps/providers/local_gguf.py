"""Language models on this server: the GGUF files in the operator's folder, run by llama.cpp.

GGUF_FOLDER names the folder, and a config names a file in it: what is loaded, and how much memory
that takes (GGUF_CONTEXT tokens a call), is the operator's to say, never an API client's.

xllamacpp starts llama.cpp's server inside the process; it batches the calls that speak at once and
keeps a prompt's evaluated beginning between turns. Its HTTP side cannot be left out, so it gets a
random key that nobody knows.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from apps.providers.base import ServiceSettings
from apps.providers.workers import GGUF, LaneFull
from apps.voice.ports import (
    ChatMessage,
    ModelEvent,
    ProviderError,
    TextDelta,
    Tool,
    ToolCall,
    Usage,
)

logger = logging.getLogger(__name__)

Chunk = Mapping[str, Any]

_NAME = "local_gguf"
_MOST_MODELS = 2
_CALLS_PER_MODEL = 4
_CONTEXT = 4096
_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "frequency_penalty",
    "presence_penalty",
    "seed",
)

_servers: dict[Path, Any] = {}
_loading = threading.Lock()


async def warm_up(model: str) -> None:
    """Load a model before its first call. model: as in a config. Raises ProviderError.

    Loading holds Python's lock (0.3 s for 0.1 GB, more for more), so it belongs before the calls.
    """
    _require()
    await _settled(asyncio.ensure_future(GGUF.run(_server, _file_name(model))))


class LocalGguf:
    """Implements ``voice.ports.LanguageModel`` over a file in the operator's folder.

    The slot's model is the file's name. Raises ProviderError (bad_request) if it is none.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._model = _file_name(settings.model)
        self._sampling = {
            name: value for name in _SAMPLING if (value := settings.options.get(name)) is not None
        }

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        _require()
        request = {
            "messages": [_message(message) for message in messages],
            "max_tokens": 300,
            **self._sampling,
            "stream": True,
            "stream_options": {"include_usage": True},
            "cache_prompt": True,
        }
        if tools:
            request["tools"] = [_tool(tool) for tool in tools]
        calls = _Calls()
        async with aclosing(self._chunks(request)) as chunks:
            async for chunk in chunks:
                for event in calls.events(chunk):
                    yield event
        for event in calls.finished():
            yield event

    async def aclose(self) -> None:
        """Nothing is held per call; the model stays for the next."""

    async def _chunks(self, request: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Stream the server's chunks from its thread. Leaving early stops it at its next word."""
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[Chunk | None] = asyncio.Queue()  # bounded by max_tokens
        stop = threading.Event()

        def emit(chunk: Chunk) -> bool:
            if not stop.is_set():
                loop.call_soon_threadsafe(inbox.put_nowait, chunk)
            return stop.is_set()

        job = asyncio.ensure_future(GGUF.run(_generate, self._model, request, emit))
        job.add_done_callback(lambda _: inbox.put_nowait(None))
        try:
            while (chunk := await inbox.get()) is not None:
                yield chunk
            await _settled(job)
        finally:
            stop.set()
            job.cancel()


class _Calls:
    """Turns chunks into events. Tool calls arrive in splinters and are whole only at the end."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, str]] = {}

    def events(self, chunk: Chunk) -> list[ModelEvent]:
        if "error" in chunk or "choices" not in chunk:
            message = "the model refused the request; is the prompt longer than its context?"
            raise ProviderError(_NAME, message, reason="bad_request")
        found: list[ModelEvent] = []
        for choice in chunk["choices"]:
            delta = choice.get("delta") or {}
            if delta.get("content"):
                found.append(TextDelta(delta["content"]))
            for part in delta.get("tool_calls") or ():
                self._collect(part)
        usage = chunk.get("usage")
        if usage:
            found.append(Usage(usage["prompt_tokens"], usage["completion_tokens"]))
        return found

    def finished(self) -> list[ModelEvent]:
        return [
            ToolCall(part["id"] or f"local-{n}", part["name"], _arguments(part["arguments"]))
            for n, part in sorted(self._parts.items())
            if part["name"]
        ]

    def _collect(self, part: Mapping[str, Any]) -> None:
        kept = self._parts.setdefault(part.get("index", 0), {"id": "", "name": "", "arguments": ""})
        function = part.get("function") or {}
        kept["id"] = part.get("id") or kept["id"]
        kept["name"] += function.get("name") or ""
        kept["arguments"] += function.get("arguments") or ""


def _require() -> None:
    if find_spec("xllamacpp") is None:
        message = "xllamacpp is not installed: pip install 'botsconfig[gguf]'"
        raise ProviderError(_NAME, message, reason="missing_extra")
    if not os.environ.get("GGUF_FOLDER"):
        raise ProviderError(_NAME, "GGUF_FOLDER is not set on this server", reason="unavailable")


def _file_name(model: str) -> str:
    """Return ``model`` if it is the bare name of a GGUF file. Raises ProviderError."""
    wrong = ""
    if not model:
        wrong = "model is missing: the name of a .gguf file in the server's folder of models"
    elif any(character in model for character in "/\\\0"):
        wrong = "model must be the name of a file, without folders"
    elif model.startswith(".") or not model.endswith(".gguf"):
        wrong = "model must end in .gguf and not begin with a dot"
    if wrong:
        raise ProviderError(_NAME, wrong, reason="bad_request")
    return model


def _file(model: str) -> Path:
    """Return where a model's file really lies. Asks the disk, so it runs in the lane.

    Raises ProviderError if that is not in the operator's folder: a link may lead anywhere.
    """
    folder = Path(os.environ["GGUF_FOLDER"]).resolve()
    found = (folder / model).resolve()
    if not found.is_relative_to(folder):
        message = "model is a link that leads out of the server's folder of models"
        raise ProviderError(_NAME, message, reason="bad_request")
    if not found.is_file():
        message = "model names no file in the server's folder of models"
        raise ProviderError(_NAME, message, reason="bad_request")
    return found


async def _settled(job: asyncio.Future[Any]) -> None:
    """Wait for the job's end; what went wrong in it becomes a ProviderError."""
    try:
        await job
    except ProviderError:
        raise
    except LaneFull as exc:
        message = "this server has more to think about than it can"
        raise ProviderError(_NAME, message, reason="unavailable", retryable=True) from exc
    except ValueError as exc:
        raise ProviderError(_NAME, "the model refused the request", reason="bad_request") from exc
    except Exception as exc:
        logger.exception("The GGUF model failed")
        raise ProviderError(_NAME, "the model cannot be run", reason="unavailable") from exc


def _generate(model: str, request: Mapping[str, Any], emit: Callable[[Chunk], bool]) -> None:
    """Run one request to its end, in a thread of the lane."""
    _server(model).handle_chat_completions(dict(request), emit)


def _server(model: str) -> Any:
    """Return the server of a model, loading it on first use: its size in memory, once.

    None is ever unloaded, for loading holds up every call: a model too many is refused.
    """
    path = _file(model)
    with _loading:
        if path not in _servers:
            if len(_servers) >= _MOST_MODELS:
                message = f"this server holds {_MOST_MODELS} models already, and no more"
                raise ProviderError(_NAME, message, reason="unavailable")
            _servers[path] = _load(path)
        return _servers[path]


def _load(path: Path) -> Any:
    import xllamacpp

    _read_ahead(path)
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(path)
    wanted.n_ctx = int(os.environ.get("GGUF_CONTEXT") or _CONTEXT) * _CALLS_PER_MODEL
    wanted.n_parallel = _CALLS_PER_MODEL
    # One core stays with the calls' audio.
    wanted.cpuparams.n_threads = max(1, (os.cpu_count() or 2) - 1)
    wanted.use_jinja = True
    wanted.verbosity = 0
    wanted.api_keys = [secrets.token_urlsafe(32)]
    wanted.ui = wanted.endpoint_slots = wanted.endpoint_props = False
    wanted.offline = True
    wanted.warmup = False  # it would hold up the event loop too; the first request pays instead
    return xllamacpp.Server(wanted)


def _read_ahead(path: Path) -> None:
    """Bring the file into memory first: loading holds up the event loop, reading does not."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def _message(message: ChatMessage) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        found["tool_call_id"] = message.tool_call_id
    return found


def _tool(tool: Tool) -> dict[str, Any]:
    described = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters) or {"type": "object", "properties": {}},
    }
    return {"type": "function", "function": described}


def _arguments(text: str) -> Mapping[str, Any]:
    """Read a tool call's arguments. What is no JSON object becomes none: the tool will say so."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
