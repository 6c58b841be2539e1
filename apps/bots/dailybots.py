"""Translates a body in Daily Bots' form to the native form; checks only what is its own.

Values are checked where native ones are. Rules, after their documentation:

- ``service_options`` (by service name) come first, then the ``config`` list in order.
- stt may be left out (Deepgram, as there); llm and tts must be named, tts not for OpenAI Realtime,
  which speaks itself.
- The first message is the prompt, if it is the system's; or the user's, as bodies for Anthropic
  have it.
- Members, slots and options that nobody knows are kept in the stored body and not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework import serializers

from apps.bots.slots import declaration
from apps.providers.base import Kind

PROFILES = (
    "voice_2024_10",
    "voice_2024_08",
    "openai_realtime_beta_2024_10",
    "natural_conversation_2024_11",
    "twilio_ws_voice_2024_09",
)
VISION_PROFILES = ("vision_2024_10", "vision_2024_08")
DEFAULT_STT = "deepgram"
SPEAKS_ITSELF = "openai_realtime"

SLOTS: tuple[Kind, ...] = ("llm", "tts", "stt")
_ROLES = {"system": "system", "developer": "system", "user": "user"}
_ROLES |= {"assistant": "assistant", "model": "assistant"}
_MEMBERS: Mapping[Kind, frozenset[str]] = {
    "llm": frozenset({"model", "initial_messages", "run_on_config", "tools"}),
    "tts": frozenset({"model", "voice", "language"}),
    "stt": frozenset({"model", "language"}),
}
_TURNS = frozenset({"confidence", "start_secs", "stop_secs", "min_volume"})

Body = Mapping[str, Any]
# Options by slot, and for each where in the body it stood.
Options = dict[str, dict[str, Any]]


def is_dailybots(body: Body) -> bool:
    """Their ``config`` is a list, ours an object; and only theirs has a profile."""
    return isinstance(body.get("config"), list) or "bot_profile" in body


def native_from(body: Body) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the native body, and what of this one is not used.

    Raises serializers.ValidationError, by path in this body.
    """
    _profile_check(body)
    services = _services(body)
    options, notes = _options(body, services)
    native: dict[str, Any] = {"config": _config(services, options, notes)}
    for name in ("max_duration", "api_keys", "webhook_tools", "name", "metadata"):
        if name in body:
            native[name] = body[name]
    return native, tuple(notes)


def path_of(path: str, body: Body) -> str:
    """Return the path in a Daily Bots body of what stands at ``path`` in the native one."""
    for slot in SLOTS:
        if path == f"config.{slot}.provider":
            return f"services.{slot}"
    if path == "config.llm.prompt":
        return "config.llm.initial_messages"
    if path.startswith("config.turns."):
        return path.replace("config.turns.", "config.vad.params.")
    return path


def _refuse(path: str, text: str) -> serializers.ValidationError:
    return serializers.ValidationError({path: [text]})


def _profile_check(body: Body) -> None:
    profile = body.get("bot_profile")
    if profile in VISION_PROFILES:
        raise _refuse("bot_profile", "A phone has no camera: vision profiles make no sense here.")
    if profile not in PROFILES:
        raise _refuse("bot_profile", f"Valid: {', '.join(PROFILES)}.")


def _services(body: Body) -> dict[Kind, str]:
    given = body.get("services")
    if not isinstance(given, Mapping):
        raise _refuse("services", "An object of service names: llm, tts, stt.")
    found: dict[Kind, str] = {}
    for slot in SLOTS:
        name = given.get(slot, DEFAULT_STT if slot == "stt" else None)
        if name is None and slot == "tts" and given.get("llm") == SPEAKS_ITSELF:
            continue
        if not isinstance(name, str) or not name:
            raise _refuse(f"services.{slot}", "Name a service.")
        found[slot] = name
    return found


def _options(body: Body, services: Mapping[Kind, str]) -> tuple[Options, list[str]]:
    options: Options = {"llm": {}, "tts": {}, "stt": {}, "vad": {}}
    notes: list[str] = []
    for service, given in _service_options(body):
        for slot in SLOTS:
            if services.get(slot) == service:
                options[slot].update(given)
    for path, slot_name, name, value in _listed(body):
        if slot_name in options:
            options[slot_name][name] = value
        else:
            notes.append(f"{path}: There is no slot {slot_name[:40]}; not used.")
    return options, notes


def _service_options(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    given = body.get("service_options")
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise _refuse("service_options", "An object of options by service name.")
    for service, options in given.items():
        for part in options if isinstance(options, list) else [options]:
            if not isinstance(part, Mapping):
                raise _refuse(f"service_options.{service}", "An object, or a list of objects.")
            yield service, part


def _listed(body: Body) -> Iterator[tuple[str, str, str, Any]]:
    items = body.get("config")
    if not isinstance(items, list):
        raise _refuse("config", 'A list of {"service", "options"}.')
    for number, item in enumerate(items):
        path = f"config.{number}"
        if not isinstance(item, Mapping) or not isinstance(item.get("service"), str):
            raise _refuse(f"{path}.service", "Name a slot: llm, tts, stt or vad.")
        options = item.get("options", [])
        if not isinstance(options, list):
            raise _refuse(f"{path}.options", 'A list of {"name", "value"}.')
        for position, option in enumerate(options):
            if not isinstance(option, Mapping) or not isinstance(option.get("name"), str):
                raise _refuse(f"{path}.options.{position}", "An object with a name and a value.")
            yield path, item["service"], option["name"], option.get("value")


def _config(
    services: Mapping[Kind, str], options: Options, notes: list[str]
) -> dict[str, dict[str, Any]]:
    config: dict[str, dict[str, Any]] = {}
    for slot, service in services.items():
        config[slot] = {"provider": service, **_known(slot, service, options[slot], notes)}
    llm = config["llm"]
    llm.update(_messages(llm.pop("initial_messages", None)))
    if "tools" in llm:
        llm["tools"] = _tools(llm["tools"])
    speaks_first = _flag(llm.pop("run_on_config", False))
    config["greeting"] = {"mode": "model" if speaks_first else "none"}
    config["turns"] = _turns(options["vad"], notes)
    return config


def _known(
    slot: Kind, service: str, options: Mapping[str, Any], notes: list[str]
) -> dict[str, Any]:
    found = declaration(slot, service)
    kept = {}
    for name, value in options.items():
        if name in _MEMBERS[slot] or (found is not None and found.option(name) is not None):
            kept[name] = value
        else:
            notes.append(f"config.{slot}.{name[:60]}: {service[:60]} has no such option; not used.")
    return kept


def _turns(vad: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    params = vad.get("params", {})
    if not isinstance(params, Mapping):
        raise _refuse("config.vad.params", 'An object, such as {"stop_secs": 0.3}.')
    notes += [f"config.vad.params.{name[:60]}: not used." for name in params if name not in _TURNS]
    return {name: value for name, value in params.items() if name in _TURNS}


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower())
    if not isinstance(value, bool):
        raise _refuse("config.llm.run_on_config", "true or false.")
    return value


# --- messages and tools, in every vendor's form -------------------------------------------------

_MESSAGES = "config.llm.initial_messages"
_TOOLS = "config.llm.tools"


def _list(value: Any, path: str) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _refuse(path, "A list, or a list as JSON text.") from None
    if not isinstance(value, list):
        raise _refuse(path, "A list, or a list as JSON text.")
    return value


def _messages(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    messages = [
        {"role": _role(message, path), "content": _content(message, path)}
        for path, message in _objects(_list(value, _MESSAGES), _MESSAGES)
    ]
    if not messages:
        return {}
    first = messages.pop(0)
    if first["role"] == "assistant":
        raise _refuse(f"{_MESSAGES}.0.role", "The first message is the prompt: system or user.")
    return {"prompt": first["content"], "messages": messages}


def _objects(values: list[Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise _refuse(f"{path}.{number}", "An object.")
        yield f"{path}.{number}", value


def _role(message: Mapping[str, Any], path: str) -> str:
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise _refuse(f"{path}.role", f"Valid: {', '.join(_ROLES)}.")
    return _ROLES[role]


def _content(message: Mapping[str, Any], path: str) -> str:
    # Gemini calls its parts "parts", the others put theirs into "content".
    content = message.get("content", message.get("parts"))
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _refuse(f"{path}.content", "A text, or a list of text parts.")
    texts = [part.get("text") for _, part in _objects(content, f"{path}.content")]
    if not all(isinstance(text, str) for text in texts):
        raise _refuse(f"{path}.content", "Only text parts: a phone carries no pictures.")
    return "\n".join(str(text) for text in texts)


def _tools(value: Any) -> list[dict[str, Any]]:
    return [_tool(tool, path) for path, tool in _objects(_list(value, _TOOLS), _TOOLS)]


def _tool(tool: Mapping[str, Any], path: str) -> dict[str, Any]:
    read = _openai_tool if "function" in tool else _anthropic_tool
    return {name: part for name, part in read(tool, path).items() if part is not None}


def _openai_tool(tool: Mapping[str, Any], path: str) -> dict[str, Any]:
    function = tool["function"]
    if not isinstance(function, Mapping):
        raise _refuse(f"{path}.function", "An object with name, description and parameters.")
    return {name: function.get(name) for name in ("name", "description", "parameters")}


def _anthropic_tool(tool: Mapping[str, Any], path: str) -> dict[str, Any]:
    schema = tool.get("input_schema", tool.get("parameters"))
    return {
        "name": tool.get("name"),
        "description": tool.get("description"),
        "parameters": schema,
    }
