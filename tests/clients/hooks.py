"""What schemathesis must know of this API that no JSON Schema says. Named in schemathesis.toml.

Nothing is switched off: a refusal of a request that fits the schema passes only if each of its
complaints is one of RULES.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import (
    IgnoredAuth,
    MissingHeaderNotRejected,
    RejectedPositiveData,
    UseAfterFree,
)

IDEMPOTENCY_KEY = "Idempotency-Key"

# (path of the field, complaint): why the schema cannot say it.
RULES = {
    # Only this server makes cursors.
    (r"cursor", r"Take it from next or previous\."),
    # PostgreSQL stores no NUL; a pattern at each text would say it a hundred times.
    (r".*", r"Null characters are not allowed\."),
    (r"(metadata|name|search).*", r"Up to \d+ characters, none of them null\."),
    # Of spaces alone.
    (r".*", r"This field may not be blank\."),
    # The catalogue decides, by provider: GET /providers.
    (r"provider|config\.\w+(\.fallbacks\.\d+)?\.provider|services\.\w+", r"Unknown provider\. .*"),
    (r"config\.\w+(\.fallbacks\.\d+)?\.(model|voice)", r"Unknown (model|voice) of .*"),
    (r"config\.\w+\..*", r"(Unknown option of|Not valid:|Too small:|Too large:) .*"),
    # One member depends on another.
    (r"config\.llm\.(prompt|initial_messages)", r"Say what the bot is to do\."),
    (r"config\.llm\.tools", r"Named twice: .*"),
    (r"config\.llm\.fallbacks", r".* hears and speaks itself: nobody can take over for it\."),
    (r"config\.llm\.fallbacks\.\d+\.provider", r"It hears and speaks itself: .*"),
    (r"config\.\w+\.fallbacks\.\d+\.(model|provider)", r"It stands before in this chain: .*"),
    (r"config\.greeting\.text", r"Say how to greet\."),
    (r"webhook_tools\..*", r"config\.llm\.tools has no tool of this name\."),
    # A patch may bring a part of a tool or target that stands, but only the whole of a new one.
    (r"webhook_tools\..*\.url|config\.transfers\..*\.to", r"This field is required\."),
    # More than a pattern should say.
    (r"webhook_tools\..*\.url", r"A whole http or https URL\."),
    (r"webhook_tools\..*\.custom_headers", r"Header names are tokens, values single lines\."),
    (r"webhook_tools\..*\.custom_headers", r"Host, and what frames the request, are ours\."),
    # A tool's parameters are a JSON Schema, which the document does not go into.
    (r"config\.llm\.tools\.\d+\.parameters\.type", r"Arguments are an object\."),
    (r"config\.llm\.tools", r"transfer_call is built in .*"),
    (r"metadata|variables", r"More than \d+ bytes of JSON\."),
    # Numbering plans of the world, and SIP addresses.
    (
        r"to|from|caller_id",
        r"(Write it as|No country has|Too short or|No such number|No SIP|Numbers of) .*",
    ),
    # What the account allows, and has.
    (r"to", r".* not allowed for this account\. Allowed: .*"),
    (r"schedule_at", r"Outside the account's calling hours .*"),
    (r"config_id", r"No bot of this account; .*"),
    (r"connection_id", r"No connection of this account\. .*"),
    (r"target", r"The bot has no such target\. .*"),
    (r"caller_id", r"Neither the caller's number nor .*"),
    (r"variables\..*", r"The bot has no such variable\. .*"),
    (r"variables\..*", r"Not of the type \w+\."),
    (r"variables\..*", r"This parameter is ours\."),
    (r"send_digits", r"Twilio detects no machine where digits are sent: .*"),
    (r"schedule_at", r"In the future, and no more than \d+ days ahead\."),
    # A leap second, say: it stands in RFC 3339, but Python knows none.
    (r"started_(after|before)", r"ISO 8601 with an offset, .*"),
    (r"config\.variables\..*\.default", r"Not of the type \w+\."),
    # Where events may be sent is more than a pattern says; so is what signs them.
    (r"url", r"A whole https URL, .*"),
    (r"url", r"http only to addresses .*"),
    (r"url", r".* leads to a private address\. .*"),
    (r"secret", r"whsec_ and base64 of .*"),
    (r"until", r"Not after since\."),
    # One of two; and what one member makes of another.
    (r"to", r"Either to or target\."),
    (r"summary", r"Nobody hears it in a cold transfer: .*"),
    (r"machine_detection\.message", r"Say what message is left\."),
    (r"machine_detection\.message_end", r"Needed for leave_message: .*"),
    # Letters of every script.
    (r"text|say", r"Nothing of this can be spoken\."),
    # JSON inside a query parameter.
    (r"variables", r"A JSON object of names and values\."),
    (r"expires_at", r"This time has passed\."),
    # Twilio knows: the simulator, which takes the credentials of one account.
    (r"auth_token|api_key_secret|account_sid|parent_id", r"The SID and the auth token .*"),
    (r"parent_id", r"No connection of this account has this id\."),
    # A connection signs in by a token, by a key, or by its parent; a region needs its edge.
    (r"auth_token|api_key_secret|api_key_sid", r"(Give the auth token|Say the API key's).*"),
    (r"edge|region", r"Say the (edge|region) too.*"),
    (r"account_sid", r"(Make another connection|There is a connection) .*"),
    (r"signing_keys", r"(Names have|Up to) .*"),
    (r"config_id", r"No bot of this account has this id\."),
    # The clock, and the zones that there are.
    (r"calling_hours\.(from|until)", r"(A time of the day|Later than from), .*"),
    (r"calling_hours\.timezone", r"callee, or a name .*"),
    (r"calling_hours\.\w+", r"A list of .*"),
    (r"allowed_countries\.\d+", r"Two-letter countries .*"),
    (r"defaults.*", r"(Name a provider|Every bot has|An object with|Unknown|Not valid|Too ).*"),
    # What a vendor's key is sent to, where the vendor has no address of its own.
    (r"base_url", r"\w+ has one address, which is known: .*"),
    (r"base_url", r"The http\(s\) address of a server, .*"),
    # Daily Bots' form: needed, but for a service that itself speaks.
    (r"services\.tts", r"Name a service\."),
}
COMPLAINTS = [(re.compile(path, re.DOTALL), re.compile(text, re.DOTALL)) for path, text in RULES]


# What each status is for, if the request has the header: both are looked at before the body is.
CONDITIONS = {412: "If-Match", 422: IDEMPOTENCY_KEY}


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Drop what is no failure: a rule that no schema says, a stale If-Match, a key used again."""
    refused = isinstance(failure, RejectedPositiveData)
    header = CONDITIONS.get(response.status_code)
    if header and (refused or isinstance(failure, AcceptedNegativeData)):
        return header not in (case.headers or {})
    if isinstance(failure, IgnoredAuth | MissingHeaderNotRejected):
        return not _is_their_refusal(failure, case)
    if isinstance(failure, UseAfterFree):
        # An ended API key opens nothing and stays readable, for the list of who had access.
        return not response.json().get("revoked_at")
    if not refused or response.status_code != 400:
        return True
    return not _is_beyond_the_schema(response.json())


def _is_their_refusal(failure: Failure, case: Any) -> bool:
    """Whether it is how Daily Bots refuses a missing header; its clients know it so."""
    said = f"{failure.title} {failure.message}"
    return str(case.path).startswith("/v1/") and re.search(r"[Gg]ot `?400\b", said) is not None


def _is_beyond_the_schema(answer: dict[str, Any]) -> bool:
    if answer["error"] == "json-parsing-error":
        # Deeper than 64 levels, or a number beyond a double.
        return True
    complaints = list(_complaints(answer))
    return bool(complaints) and all(_is_a_rule(path, text) for path, text in complaints)


def _complaints(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "fields" in answer:
        for path, texts in answer["fields"].items():
            yield from ((path, text) for text in texts)
    else:
        # Daily Bots' form: "2 fields are invalid: path: text; path: text".
        for complaint in answer["info"].partition(": ")[2].split("; "):
            path, _, text = complaint.partition(": ")
            yield path, text


def _is_a_rule(path: str, text: str) -> bool:
    return any(p.fullmatch(path) and t.fullmatch(text) for p, t in COMPLAINTS)


# A provider that takes a key, and that nobody can be asked about for free.
UNTESTABLE = "rime"
# Providers that are open to any model and voice, a slot each; and members that any of them takes,
# whatever the value.
OPEN = {"llm": "openai", "tts": "cartesia", "stt": "deepgram"}
KNOWN = {"model", "prompt", "messages", "tools", "enable_prompt_caching", "base_url", "seed"}
KNOWN |= {"extra", "voice", "language", "emotion", "use_speaker_boost", "text_filter", "region"}
# What the bot is to do, in both forms.
PROMPT = "Answer."
MESSAGES = {
    "service": "llm",
    "options": [{"name": "initial_messages", "value": [{"role": "system", "content": PROMPT}]}],
}


API = httpx.Client(
    base_url=os.environ["API_URL"], headers={"Authorization": f"Bearer {os.environ['API_KEY']}"}
)


def _results(path: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = API.get(path, params=query).raise_for_status().json()["results"]
    return found


def _own_key() -> str:
    """Return the id of the key in use. If a request ended it, every answer would be a 401."""
    key = os.environ["API_KEY"]
    rows = _results("/api-keys", page_size=200)
    (own,) = (str(row["id"]) for row in rows if key.startswith(row["prefix"] + "_"))
    return own


def _own_connection() -> str:
    """Return the id of a connection to the simulator; without it there would be no numbers."""
    body = {
        "account_sid": os.environ["TWILIO_ACCOUNT_SID"],
        "auth_token": os.environ["TWILIO_AUTH_TOKEN"],
    }
    made = API.post("/twilio-connections", json=body).raise_for_status()
    return str(made.json()["id"])


OWN = {_own_key(), _own_connection()}
# What no request makes, so that no link leads there: (path, its parameter) and the one there is.
CALL = _results("/calls")[-1]
GIVEN = {
    ("/calls/", "id"): CALL["id"],
    ("/phone-numbers/", "sid"): _results("/phone-numbers", refresh=True)[0]["sid"],
}
# The same in every run, since the order of requests is.
NUMBERS = count(1)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Make more requests arrive at what they are about; what is wrong with them stays wrong."""
    if str(case.path_parameters.get("id")) in OWN and case.method != "GET":
        case.path_parameters["id"] = str(uuid.uuid4())
    _spare_vendors(case)
    wrong = {
        place
        for place, found in (case.meta.components if case.meta else {}).items()
        if found.mode.is_negative
    }
    if ParameterLocation.PATH not in wrong:
        _lead_there(case)
    # A key that is used again gets the first answer, or none: a few are.
    key = (case.headers or {}).get(IDEMPOTENCY_KEY)
    if key is not None and len(key) % 4 != 3 and ParameterLocation.HEADER not in wrong:
        case.headers[IDEMPOTENCY_KEY] = f"made-up-{next(NUMBERS)}"
    # A made-up tag names no version, so the body would never be looked at: a few do.
    tag = (case.headers or {}).get("If-Match")
    if tag is not None and len(tag) % 4 != 3 and ParameterLocation.HEADER not in wrong:
        case.headers["If-Match"] = "*"
    # Nearly all bodies would be refused for their made-up names: a few are.
    if isinstance(case.body, dict) and len(repr(case.body)) % 4:
        case.body = _named(case.body, whole=ParameterLocation.BODY not in wrong)


def _spare_vendors(case: Any) -> None:
    """Never have a vendor asked: whatever could be a provider's name becomes UNTESTABLE.

    So that more requests find a credential, all other operations on one get the same name.
    """
    if re.fullmatch(r"\w+", str(case.path_parameters.get("provider", ""))):
        case.path_parameters["provider"] = UNTESTABLE


def _lead_there(case: Any) -> None:
    """Make most requests about a call or a number be about the one there is."""
    for (path, name), there in GIVEN.items():
        made_up = case.path_parameters.get(name)
        if made_up is not None and case.path.startswith(path) and len(repr(case.body)) % 4:
            case.path_parameters[name] = there


def _named(body: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Name what exists. whole: nothing in the body is wrong, so members may be left out."""
    config, services = body.get("config"), body.get("services")
    if whole and body.get("config_id"):
        body = {**body, "config_id": CALL["config_id"]}
    if whole:
        # Each needs a tool of its name in config.llm.tools, and a URL.
        body = {name: found for name, found in body.items() if name != "webhook_tools"}
    if isinstance(config, dict):
        slots = {
            name: _slot(slot, OPEN[name], whole) for name, slot in config.items() if name in OPEN
        }
        return {**body, "config": {**config, **slots}}
    if isinstance(services, dict):
        named = {slot: name for slot, name in OPEN.items() if whole or _is_text(services.get(slot))}
        items = [*config, MESSAGES] if whole and isinstance(config, list) else config
        return {**body, "services": {**services, **named}, "config": items}
    return body


def _slot(slot: Any, provider: str, whole: bool) -> Any:
    if not isinstance(slot, dict) or not _is_text(slot.get("provider", provider)):
        return slot
    kept = {name: value for name, value in slot.items() if name in KNOWN or not whole}
    prompt = {"prompt": PROMPT} if whole and provider == OPEN["llm"] else {}
    return {**prompt, **kept, "provider": provider}


def _is_text(found: Any) -> bool:
    return isinstance(found, str) and bool(found)
