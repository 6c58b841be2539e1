"""Translates a body in Daily Bots' form to the native form; checks only what is its own.

Values are checked where native ones are. Rules, after their documentation:

- ``service_options`` (by service name) come first, then the ``config`` list in order.
- stt may be left out (Deepgram, as there); llm and tts must be named, tts not for OpenAI Realtime,
  which speaks itself.
- The first message is the prompt, if it is the system's; or the user's, as bodies for Anthropic
  have it.
- Members, slots and options that nobody knows are kept and not used.
- ``botsconfig`` is ours: what the native form has and theirs has no word for, so that a bot goes
  from one face to the other and back. ``apps.bots.dailybots_form`` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from rest_framework import serializers

from apps.bots.slots import declaration, fallbacks_complain, model_default, slot_flat
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
_OUR_TURNS = ("interruptible", "idle_secs", "patience_secs", "filler_secs")

Body = Mapping[str, Any]
# Options by slot, and for each where in the body it stood.
Options = dict[str, dict[str, Any]]


def is_dailybots(body: Body) -> bool:
    """Their ``config`` is a list, ours an object; and only theirs has a profile."""
    return isinstance(body.get("config"), list) or "bot_profile" in body


# Members that both forms have; and those of the native config that only ours has.
SHARED = ("max_duration", "webhook_tools", "name", "metadata")
OURS = ("greeting", "lines", "recording", "variables", "transfers", "turns", "fallbacks")


@dataclass(slots=True)
class Kept:
    """What a body says that the native form has no word for.

    members: the body's own, such as the profile, a room, or what nobody knows. options: by slot.
    slots: items of ``config`` for slots that do not exist. notes: sentences on what is not used.
    """

    members: dict[str, Any] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    slots: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def stored(self) -> dict[str, Any]:
        """Return it as a version keeps it."""
        found = {"members": self.members, "options": self.options, "slots": self.slots}
        return {name: value for name, value in found.items() if value}


def native_from(body: Body, before: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], Kept]:
    """Return the native body, and what it has no word for.

    before: the document that this one replaces. What their form cannot say stays as it was there:
    name, metadata, a greeting's text, lines, variables, and when to interrupt or to ask.
    Raises serializers.ValidationError, by path in this body.
    """
    _profile_check(body)
    services = _services(body)
    kept = Kept()
    options = _options(body, services, kept)
    native: dict[str, Any] = {"config": _config(services, options, kept)}
    for name in ("api_keys", *SHARED):
        if name in body:
            native[name] = body[name]
    _ours(native, body, before or {})
    known = {"services", "config", "service_options", "api_keys", "botsconfig", *SHARED}
    kept.members = {name: value for name, value in body.items() if name not in known}
    return native, kept


def _ours(native: dict[str, Any], body: Body, before: Mapping[str, Any]) -> None:
    given = _ours_given(body)
    for name in ("name", "metadata"):
        if name in before:
            native.setdefault(name, before[name])
    config = native["config"]
    for name in ("lines", "recording", "variables", "transfers"):
        if (found := given.get(name, before.get(name))) is not None:
            config[name] = found
    turns_before = before.get("turns", {})
    old_turns = {name: turns_before[name] for name in _OUR_TURNS if name in turns_before}
    config["turns"] = {**old_turns, **_object(given, "turns"), **config["turns"]}
    _greeting(config, given.get("greeting", before.get("greeting")))
    for slot, chain in _fallbacks(given, before, config).items():
        config[slot]["fallbacks"] = chain


def _fallbacks(
    given: Mapping[str, Any], before: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return who takes over, by slot: as the body says, else as it was, where that still fits."""
    if "fallbacks" in given:
        named = _object(given, "fallbacks")
        if strangers := sorted(set(named) - set(config)):
            raise _refuse(f"botsconfig.fallbacks.{strangers[0]}", "No slot of this bot.")
        return dict(named)
    return {
        slot: chain
        for slot in SLOTS
        if slot in before and slot in config and (chain := _still(slot, before[slot], config[slot]))
    }


def _still(slot: Kind, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Any]:
    chain = list(before.get("fallbacks") or ())
    found = declaration(slot, now["provider"])
    model = now.get("model") or (model_default(found) if found is not None else "")
    wrong = fallbacks_complain(slot, {"provider": now["provider"], "model": model}, chain)
    if isinstance(wrong, list):  # about all of them
        return []
    return [slot_flat(one) for place, one in enumerate(chain) if place not in wrong]


def _ours_given(body: Body) -> Mapping[str, Any]:
    given = body.get("botsconfig", {})
    if not isinstance(given, Mapping):
        raise _refuse("botsconfig", f"An object with {', '.join(OURS)}.")
    if strangers := sorted(set(given) - set(OURS)):
        raise _refuse(f"botsconfig.{strangers[0]}", f"Unknown field. Valid: {', '.join(OURS)}.")
    return given


def _greeting(config: dict[str, Any], greeting: Any) -> None:
    """A greeting's text counts unless the body lets the model begin."""
    waits = config["greeting"]["mode"] == "none"
    if not isinstance(greeting, Mapping | None):
        config["greeting"] = greeting  # refused where native ones are
    elif waits and greeting is not None and greeting.get("mode") != "model":
        config["greeting"] = greeting


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = given.get(name, {})
    if not isinstance(found, Mapping):
        raise _refuse(f"botsconfig.{name}", "An object.")
    return found


def path_of(path: str, body: Body) -> str:
    """Return the path in a Daily Bots body of what stands at ``path`` in the native one."""
    for slot in SLOTS:
        if path == f"config.{slot}.provider":
            return f"services.{slot}"
        if path.startswith(f"config.{slot}.fallbacks"):
            return path.replace(f"config.{slot}.fallbacks", f"botsconfig.fallbacks.{slot}", 1)
    if path == "config.llm.prompt":
        return "config.llm.initial_messages"
    if path.startswith("config.turns."):
        ours = path.rpartition(".")[2] in _OUR_TURNS
        return path.replace("config.turns.", "botsconfig.turns." if ours else "config.vad.params.")
    for name in ("greeting", "lines", "recording", "variables", "transfers"):
        if path.startswith(f"config.{name}"):
            return path.replace("config.", "botsconfig.", 1)
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


def _options(body: Body, services: Mapping[Kind, str], kept: Kept) -> Options:
    options: Options = {"llm": {}, "tts": {}, "stt": {}, "vad": {}}
    for service, given in _service_options(body):
        for slot in SLOTS:
            if services.get(slot) == service:
                options[slot].update(given)
    for path, slot_name, name, value in _listed(body):
        if slot_name in options:
            options[slot_name][name] = value
        else:
            kept.notes.append(f"{path}: There is no slot {slot_name[:40]}; not used.")
            kept.slots.append({"service": slot_name, "options": [{"name": name, "value": value}]})
    return options


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
    services: Mapping[Kind, str], options: Options, kept: Kept
) -> dict[str, dict[str, Any]]:
    config: dict[str, dict[str, Any]] = {}
    for slot, service in services.items():
        config[slot] = {"provider": service, **_known(slot, service, options[slot], kept)}
    llm = config["llm"]
    llm.update(_messages(llm.pop("initial_messages", None)))
    if "tools" in llm:
        llm["tools"] = _tools(llm["tools"])
    speaks_first = _flag(llm.pop("run_on_config", False))
    config["greeting"] = {"mode": "model" if speaks_first else "none"}
    config["turns"] = _turns(options["vad"], kept)
    return config


def _known(slot: Kind, service: str, options: Mapping[str, Any], kept: Kept) -> dict[str, Any]:
    found = declaration(slot, service)
    known = {}
    for name, value in options.items():
        if name in _MEMBERS[slot] or (found is not None and found.option(name) is not None):
            known[name] = value
        else:
            _set_aside(slot, name, value, kept)
            kept.notes.append(
                f"config.{slot}.{name[:60]}: {service[:60]} has no such option; not used."
            )
    return known


def _set_aside(slot: str, name: str, value: Any, kept: Kept) -> None:
    kept.options.setdefault(slot, {})[name] = value


def _turns(vad: Mapping[str, Any], kept: Kept) -> dict[str, Any]:
    params = vad.get("params", {})
    if not isinstance(params, Mapping):
        raise _refuse("config.vad.params", 'An object, such as {"stop_secs": 0.3}.')
    for name in vad.keys() - {"params"}:
        _set_aside("vad", name, vad[name], kept)
        kept.notes.append(f"config.vad.{name[:60]}: not used.")
    if unknown := {name: value for name, value in params.items() if name not in _TURNS}:
        _set_aside("vad", "params", unknown, kept)
        kept.notes += [f"config.vad.params.{name[:60]}: not used." for name in unknown]
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
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise _refuse(path, "A list, or a list as JSON text.") from None
    if not isinstance(value, list):
        raise _refuse(path, "A list, or a list as JSON text.")
    return value


def _messages(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    messages = messages_read(value)
    if not messages:
        return {}
    first = messages.pop(0)
    if first["role"] == "assistant":
        raise _refuse(f"{_MESSAGES}.0.role", "The first message is the prompt: system or user.")
    return {"prompt": first["content"], "messages": messages}


def messages_read(value: Any) -> list[dict[str, str]]:
    """Return messages of any vendor's form as ``{"role", "content"}``.

    Raises serializers.ValidationError, by path in ``config.llm.initial_messages``.
    """
    return [
        {"role": _role(message, path), "content": _content(message, path)}
        for path, message in _objects(_list(value, _MESSAGES), _MESSAGES)
    ]


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
