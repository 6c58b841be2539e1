"""What clients may tell OpenAI's Realtime API: every event, every field, as the reference has it.

Sources as in ``openai_realtime``. A field that is not listed is refused with ``unknown_parameter``,
as the API does; a value of another type with ``invalid_type``, one out of its range with
``invalid_value``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any, str], None]


class Refused(Exception):
    """The API answers with an ``error`` event."""

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(f"{code}: {message} ({param})")
        self.code, self.message, self.param = code, message, param


def bad_value(path: str, message: str = "Invalid value.") -> Refused:
    return Refused("invalid_value", message, path)


def a(kind: type) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise Refused("invalid_type", f"Expected {kind.__name__}.", path)

    return check


def one_of(*values: Any) -> Check:
    def check(value: Any, path: str) -> None:
        if value not in values:
            raise bad_value(path, f"Supported values are {values}.")

    return check


def between(low: float, high: float) -> Check:
    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused("invalid_type", "Expected a number.", path)
        if not low <= value <= high:
            raise bad_value(path)

    return check


def whole(low: int, high: int) -> Check:
    def check(value: Any, path: str) -> None:
        a(int)(value, path)
        between(low, high)(value, path)

    return check


def or_(*checks: Check) -> Check:
    def check(value: Any, path: str) -> None:
        refused: Refused | None = None
        for each in checks:
            try:
                return each(value, path)
            except Refused as exc:
                refused = exc
        raise refused or bad_value(path)

    return check


def matching(pattern: str) -> Check:
    def check(value: Any, path: str) -> None:
        a(str)(value, path)
        if not re.fullmatch(pattern, value):
            raise bad_value(path)

    return check


def each(item: Check, *, most: int = 10_000) -> Check:
    def check(value: Any, path: str) -> None:
        a(list)(value, path)
        if len(value) > most:
            raise bad_value(path)
        for place, found in enumerate(value):
            item(found, f"{path}[{place}]")

    return check


def fields(must: Mapping[str, Check], may: Mapping[str, Check] | None = None) -> Check:
    known = {**must, **(may or {})}

    def check(value: Any, path: str) -> None:
        a(dict)(value, path)
        for name in must.keys() - value.keys():
            raise Refused("missing_required_parameter", "Missing.", f"{path}.{name}".lstrip("."))
        for name, found in value.items():
            where = f"{path}.{name}".lstrip(".")
            if name not in known:
                raise Refused("unknown_parameter", f"Unknown parameter: '{where}'.", where)
            known[name](found, where)

    return check


def by(name: str, kinds: Mapping[str, Check]) -> Check:
    """Choose by a field of the object itself."""

    def check(value: Any, path: str) -> None:
        a(dict)(value, path)
        chosen = kinds.get(str(value.get(name)))
        if chosen is None:
            raise bad_value(f"{path}.{name}")
        chosen(value, path)

    return check


def nothing(value: Any, path: str) -> None:
    if value is not None:
        raise bad_value(path)


def base64_audio(value: Any, path: str) -> None:
    a(str)(value, path)
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise bad_value(path, "Invalid audio.") from None


def json_object(value: Any, path: str) -> None:
    a(str)(value, path)
    try:
        a(dict)(json.loads(value), path)
    except ValueError:
        raise bad_value(path) from None


def transcription(value: Any, path: str) -> None:
    fields(
        {"model": a(str)},
        {
            "language": matching("[a-z]{2}"),
            "languages": each(matching("[a-z]{2}")),
            "prompt": a(str),
            "keywords": each(a(str)),
            "delay": one_of("minimal", "low", "medium", "high", "xhigh"),
        },
    )(value, path)
    several = value["model"] in ("gpt-transcribe", "gpt-live-transcribe")
    for name in {"languages", "keywords"} & value.keys():
        if not several:
            raise bad_value(f"{path}.{name}", "This model does not support it.")


TEXT = a(str)
FLAG = a(bool)
OBJECT = a(dict)
ID = matching(r"[\x21-\x7e]{1,32}")
STATUS = one_of("completed", "incomplete", "in_progress")


def metadata(value: Any, path: str) -> None:
    a(dict)(value, path)
    if len(value) > 16:
        raise bad_value(path)
    for name, text in value.items():
        a(str)(text, f"{path}.{name}")
        if len(name) > 64 or len(text) > 512:
            raise bad_value(f"{path}.{name}")


FORMAT = by(
    "type",
    {
        "audio/pcmu": fields({"type": TEXT}),
        "audio/pcma": fields({"type": TEXT}),
        "audio/pcm": fields({"type": TEXT}, {"rate": one_of(24_000)}),
    },
)
VOICE = or_(
    one_of(
        *("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
    ),
    fields({"id": TEXT}),
)
TOKENS = or_(whole(1, 4_096), one_of("inf"))
TOOL = fields(
    {"type": one_of("function"), "name": matching("[a-zA-Z0-9_-]{1,64}")},
    {"description": TEXT, "parameters": OBJECT},
)
TOOL_CHOICE = or_(
    one_of("auto", "none", "required"), fields({"type": one_of("function"), "name": TEXT})
)
MODALITIES = or_(one_of(["audio"]), one_of(["text"]))
REASONING = fields({}, {"effort": one_of("minimal", "low", "medium", "high", "xhigh")})

SESSION = fields(
    {"type": one_of("realtime")},
    {
        "model": TEXT,
        "instructions": TEXT,
        "output_modalities": MODALITIES,
        "max_output_tokens": TOKENS,
        "tools": each(TOOL, most=128),
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": FLAG,
        "reasoning": REASONING,
        "include": each(one_of("item.input_audio_transcription.logprobs")),
        "prompt": or_(nothing, OBJECT),
        "tracing": or_(nothing, one_of("auto"), OBJECT),
        "truncation": or_(one_of("auto", "disabled"), OBJECT),
        "audio": fields(
            {},
            {
                "input": fields(
                    {},
                    {
                        "format": FORMAT,
                        "noise_reduction": or_(
                            nothing,
                            fields(
                                {"type": one_of("near_field", "far_field")},
                                {"strength": between(0, 1)},
                            ),
                        ),
                        "transcription": or_(nothing, transcription),
                        "turn_detection": or_(nothing, OBJECT),
                    },
                ),
                "output": fields(
                    {}, {"format": FORMAT, "voice": VOICE, "speed": between(0.25, 1.5)}
                ),
            },
        ),
    },
)


def _message(*contents: str) -> Check:
    spoken = {"audio": base64_audio, "transcript": TEXT}
    kinds = {
        "input_text": fields({"type": TEXT, "text": TEXT}),
        "output_text": fields({"type": TEXT, "text": TEXT}),
        "input_audio": fields({"type": TEXT, "audio": base64_audio}, spoken),
    }
    return fields(
        {
            "type": TEXT,
            "role": TEXT,
            "content": each(by("type", {kind: kinds[kind] for kind in contents})),
        },
        {"id": ID, "status": STATUS, "object": one_of("realtime.item")},
    )


_OF_ANY = {"id": ID, "status": STATUS, "object": one_of("realtime.item")}
ITEM = by(
    "type",
    {
        "message": by(
            "role",
            {
                "system": _message("input_text"),
                "user": _message("input_text", "input_audio"),
                # Sound of the assistant's cannot be put in, says the reference.
                "assistant": _message("output_text"),
            },
        ),
        "function_call": fields(
            {"type": TEXT, "name": TEXT, "arguments": json_object}, {**_OF_ANY, "call_id": TEXT}
        ),
        "function_call_output": fields({"type": TEXT, "call_id": TEXT, "output": TEXT}, _OF_ANY),
    },
)
RESPONSE = fields(
    {},
    {
        "conversation": one_of("auto", "none"),
        "input": each(ITEM),
        "instructions": TEXT,
        "max_output_tokens": TOKENS,
        "metadata": metadata,
        "output_modalities": MODALITIES,
        "tools": each(TOOL, most=128),
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": FLAG,
        "reasoning": REASONING,
        "prompt": or_(nothing, OBJECT),
        "audio": fields({}, {"output": fields({}, {"format": FORMAT, "voice": VOICE})}),
    },
)


def _event(must: Mapping[str, Check], may: Mapping[str, Check] | None = None) -> Check:
    return fields({"type": TEXT, **must}, {"event_id": TEXT, **(may or {})})


EVENTS: Mapping[str, Check] = {
    "session.update": _event({"session": SESSION}),
    "input_audio_buffer.append": _event({"audio": base64_audio}),
    "input_audio_buffer.commit": _event({}),
    "input_audio_buffer.clear": _event({}),
    "conversation.item.create": _event({"item": ITEM}, {"previous_item_id": TEXT}),
    "conversation.item.delete": _event({"item_id": TEXT}),
    "conversation.item.truncate": _event(
        {
            "item_id": TEXT,
            "content_index": whole(0, 1_000),
            "audio_end_ms": whole(0, 10**9),
        }
    ),
    "response.create": _event({}, {"response": RESPONSE}),
    "response.cancel": _event({}, {"response_id": TEXT}),
}


def check_event(event: Any) -> str:
    """Check a client event; return its type. Raises Refused."""
    if not isinstance(event, dict):
        raise Refused("invalid_event", "An event is an object.")
    kind = str(event.get("type"))
    if kind not in EVENTS:
        raise bad_value("type", f"Unknown event: {kind}.")
    EVENTS[kind](event, "")
    return kind
