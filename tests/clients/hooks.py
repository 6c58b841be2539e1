"""What schemathesis must know of this API that no JSON Schema says. Named in schemathesis.toml.

Nothing is switched off: a refusal of a request that fits the schema passes only if each of its
complaints is one of RULES.
"""

from __future__ import annotations

import os
import re
import uuid
from typing import Any

import httpx
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

# (path of the field, complaint): why the schema cannot say it.
RULES = {
    # Only this server makes cursors.
    (r"cursor", r"Take it from next or previous\."),
    # PostgreSQL stores no NUL; a pattern at each text would say it a hundred times.
    (r".*", r"Null characters are not allowed\."),
    # Of spaces alone.
    (r".*", r"This field may not be blank\."),
    # The catalogue decides, by provider: GET /providers.
    (r"config\.\w+\.provider|services\.\w+", r"Unknown provider\. .*"),
    (r"config\.\w+\.(model|voice)", r"Unknown (model|voice) of .*"),
    (r"config\.\w+\..*", r"(Unknown option of|Not valid:|Too small:|Too large:) .*"),
    # One member depends on another.
    (r"config\.llm\.(prompt|initial_messages)", r"Say what the bot is to do\."),
    (r"config\.llm\.tools", r"Named twice: .*"),
    (r"config\.greeting\.text", r"Say how to greet\."),
    (r"webhook_tools\..*", r"config\.llm\.tools has no tool of this name\."),
    # A patch may bring a part of a tool that stands, but only the whole of a new one.
    (r"webhook_tools\..*\.url", r"This field is required\."),
    # More than a pattern should say.
    (r"webhook_tools\..*\.url", r"A whole http or https URL\."),
    (r"webhook_tools\..*\.custom_headers", r"Header names are tokens, values single lines\."),
    (r"metadata", r"More than \d+ bytes of JSON\."),
    # Daily Bots' form: an open set of options, whose values the slot decides.
    (r"bot_profile", r"(Valid:|A phone has no camera:) .*"),
    (r"services\.tts", r"Name a service\."),
    (r"service_options\..*", r"An object, or a list of objects\."),
}
# Members of a slot that any provider of OPEN takes.
KNOWN = {"model", "prompt", "messages", "tools", "voice", "language", "seed", "region", "extra"}
COMPLAINTS = [(re.compile(path, re.DOTALL), re.compile(text, re.DOTALL)) for path, text in RULES]


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Drop what is no failure: a rule that no schema says, and a stale If-Match."""
    refused = isinstance(failure, RejectedPositiveData)
    if response.status_code == 412 and (refused or isinstance(failure, AcceptedNegativeData)):
        # What If-Match is for; and it is looked at before the body is (RFC 9110, 13.2.1).
        return "If-Match" not in (case.headers or {})
    if not refused or response.status_code != 400:
        return True
    answer = response.json()
    if answer["error"] == "json-parsing-error":
        # Deeper than 64 levels, or a number beyond a double.
        return False
    complaints = [(path, text) for path, texts in answer["fields"].items() for text in texts]
    return not complaints or not all(_is_a_rule(path, text) for path, text in complaints)


def _is_a_rule(path: str, text: str) -> bool:
    return any(p.fullmatch(path) and t.fullmatch(text) for p, t in COMPLAINTS)


# Providers that are open to any model and voice.
OPEN = {"llm": "openai", "tts": "cartesia", "stt": "deepgram"}
PROFILE = "twilio_ws_voice_2024_09"


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Give every other body names that exist: of made-up ones nearly all are refused for those.

    Only what has its proper type is replaced, so that what is wrong stays wrong.
    """
    if not isinstance(body, dict) or len(repr(body)) % 2:
        return body
    config, services = body.get("config"), body.get("services")
    if isinstance(config, dict):
        slots = {name: _named(slot, OPEN[name]) for name, slot in config.items() if name in OPEN}
        return {**body, "config": {**config, **slots}}
    if isinstance(services, dict):
        named = {name: OPEN[name] for name, found in services.items() if _is_name(found, name)}
        profile = PROFILE if _is_name(body.get("bot_profile"), "llm") else body.get("bot_profile")
        return {**body, "services": {**services, **named}, "bot_profile": profile}
    return body


def _is_name(found: Any, slot: str) -> bool:
    return slot in OPEN and isinstance(found, str) and bool(found)


def _named(slot: Any, provider: str) -> Any:
    if not isinstance(slot, dict) or not _is_name(slot.get("provider", provider), "llm"):
        return slot
    kept = {name: value for name, value in slot.items() if name in KNOWN}
    return {**kept, "provider": provider}


def _own_key() -> str:
    """Return the id of the key in use, if the API tells: without it every answer would be a 401."""
    key = os.environ["API_KEY"]
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.get(f"{os.environ['API_URL']}/api-keys", headers=headers)
    found = answer.json()["results"] if answer.is_success else []
    return next((row["id"] for row in found if key.startswith(row["prefix"])), "")


OWN_KEY = _own_key()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Turn requests that would end the key in use to a key that does not exist."""
    if OWN_KEY and str(case.path_parameters.get("id")) == OWN_KEY and case.method != "GET":
        case.path_parameters["id"] = str(uuid.uuid4())
