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
from schemathesis.core.parameters import ParameterLocation
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


# Providers that are open to any model and voice, a slot each; and members that any of them takes,
# whatever the value.
OPEN = {"llm": "openai", "tts": "cartesia", "stt": "deepgram"}
KNOWN = {"model", "prompt", "messages", "tools", "enable_prompt_caching", "base_url", "seed"}
KNOWN |= {"extra", "voice", "language", "emotion", "use_speaker_boost", "text_filter", "region"}
PROFILE = "twilio_ws_voice_2024_09"


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
    """Make more requests arrive at what they are about; what is wrong with them stays wrong."""
    if OWN_KEY and str(case.path_parameters.get("id")) == OWN_KEY and case.method != "GET":
        case.path_parameters["id"] = str(uuid.uuid4())
    wrong = {
        place
        for place, found in (case.meta.components if case.meta else {}).items()
        if found.mode.is_negative
    }
    # A made-up tag names no version, so the body would never be looked at: a few do.
    tag = (case.headers or {}).get("If-Match")
    if tag is not None and len(tag) % 4 != 3 and ParameterLocation.HEADER not in wrong:
        case.headers["If-Match"] = "*"
    # Nearly all bodies would be refused for their made-up names: a few are.
    if isinstance(case.body, dict) and len(repr(case.body)) % 4:
        case.body = _named(case.body, whole=ParameterLocation.BODY not in wrong)


def _named(body: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Name what exists. whole: nothing in the body is wrong, so members may be left out."""
    config, services = body.get("config"), body.get("services")
    if whole:
        # Each needs a tool of its name in config.llm.tools, and a URL.
        body = {name: found for name, found in body.items() if name != "webhook_tools"}
    if isinstance(config, dict):
        slots = {
            name: _slot(slot, OPEN[name], whole) for name, slot in config.items() if name in OPEN
        }
        return {**body, "config": {**config, **slots}}
    if isinstance(services, dict):
        named = {slot: name for slot, name in OPEN.items() if _is_text(services.get(slot))}
        profile = body.get("bot_profile")
        profile = PROFILE if _is_text(profile) else profile
        return {**body, "services": {**services, **named}, "bot_profile": profile}
    return body


def _slot(slot: Any, provider: str, whole: bool) -> Any:
    if not isinstance(slot, dict) or not _is_text(slot.get("provider", provider)):
        return slot
    kept = {name: value for name, value in slot.items() if name in KNOWN or not whole}
    return {**kept, "provider": provider}


def _is_text(found: Any) -> bool:
    return isinstance(found, str) and bool(found)
