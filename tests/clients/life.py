"""The life of what the API keeps, by a Python client generated from the OpenAPI document.

Run by ``.ci/clients`` with ``botsconfig_client`` at hand: API_URL and API_KEY name a server that
has had a call, SCHEMA the document. Fails at an answer that the document does not describe, and at
an operation that no step has brought to succeed.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from botsconfig_client import AuthenticatedClient
from botsconfig_client.api.calls import calls_get, calls_list
from botsconfig_client.api.providers import provider_list
from botsconfig_client.api.twilio_config import (
    twilio_config_create,
    twilio_config_delete,
    twilio_config_get,
    twilio_config_list,
    twilio_config_patch,
    twilio_config_replace,
)
from botsconfig_client.models import (
    CallDetail,
    ConfigRequest,
    Error,
    LlmRequest,
    PaginatedCallList,
    PaginatedTwilioConfigList,
    PatchedConfigRequest,
    PatchedTurnsRequest,
    PatchedTwilioConfigBodyRequest,
    Providers,
    TtsRequest,
    TwilioConfig,
    TwilioConfigBodyRequest,
)
from botsconfig_client.types import Response

Client = AuthenticatedClient
Kind = TypeVar("Kind")

# Operations that no client can bring to succeed here, each with the reason.
NOT_CALLED: dict[str, str] = {}


def configs(client: Client) -> None:
    """Create, list, read, patch, replace, delete; and what the API refuses on the way."""
    made = twilio_config_create.sync_detailed(client=client, body=body("Front desk"))
    config = typed(made, 201, TwilioConfig)
    assert config.version == 1
    assert "<Connect " in config.twiml

    page = typed(
        twilio_config_list.sync_detailed(client=client, page_size=5),
        200,
        PaginatedTwilioConfigList,
    )
    assert config.id in [found.id for found in page.results]

    read = twilio_config_get.sync_detailed(config.id, client=client)
    assert typed(read, 200, TwilioConfig) == config
    first = read.headers["ETag"]
    assert first == made.headers["ETag"]

    patch = PatchedTwilioConfigBodyRequest(
        name=None, config=PatchedConfigRequest(turns=PatchedTurnsRequest(stop_secs=0.5))
    )
    patched = twilio_config_patch.sync_detailed(config.id, client=client, body=patch)
    changed = typed(patched, 200, TwilioConfig)
    assert (changed.name, changed.version, changed.twiml) == ("", 2, config.twiml)
    assert changed.config.turns
    assert changed.config.turns.stop_secs == 0.5

    whole = body("Night desk")
    replaced = twilio_config_replace.sync_detailed(
        config.id, client=client, body=whole, if_match=patched.headers["ETag"]
    )
    assert typed(replaced, 200, TwilioConfig).name == "Night desk"
    stale = twilio_config_replace.sync_detailed(
        config.id, client=client, body=whole, if_match=first
    )
    assert typed(stale, 412, Error).error == "precondition-failed-error"

    deleted = twilio_config_delete.sync_detailed(config.id, client=client)
    assert deleted.status_code == 204
    gone = twilio_config_get.sync_detailed(config.id, client=client)
    assert typed(gone, 404, Error).error == "not-found-error"


def refusals(client: Client) -> None:
    """A body that the types let through, but not the rules; a key that is none."""
    bad = body("Bad", voice="nobody")
    refused = typed(twilio_config_create.sync_detailed(client=client, body=bad), 400, Error)
    assert refused.error == "invalid-request-error"
    assert refused.fields["config.tts.voice"][0].startswith("Unknown voice")
    assert refused.request_id

    stranger = AuthenticatedClient(base_url=os.environ["API_URL"], token="bc_no_key")
    denied = typed(twilio_config_list.sync_detailed(client=stranger), 401, Error)
    assert denied.error == "authentication-error"


def calls(client: Client) -> None:
    """The call that was made before this ran, with its words."""
    page = typed(calls_list.sync_detailed(client=client), 200, PaginatedCallList)
    call = typed(calls_get.sync_detailed(page.results[0].id, client=client), 200, CallDetail)
    assert call.turns[0].text_heard == "Hello."


def providers(client: Client) -> None:
    """The catalogue."""
    found = typed(provider_list.sync_detailed(client=client), 200, Providers)
    assert ("tts", "local") in [(provider.kind, provider.name) for provider in found.results]


STEPS: tuple[Callable[[Client], None], ...] = (configs, refusals, calls, providers)


def body(name: str, *, voice: str = "heart") -> TwilioConfigBodyRequest:
    return TwilioConfigBodyRequest(
        name=name,
        config=ConfigRequest(
            llm=LlmRequest(prompt="You are the front desk."),
            tts=TtsRequest(provider="local", voice=voice),
        ),
    )


def typed(answer: Response[Any], status: int, kind: type[Kind]) -> Kind:
    """Return what the client made of the answer; it must have this status and type."""
    assert answer.status_code == status, (answer.status_code, answer.content)
    assert isinstance(answer.parsed, kind), answer.parsed
    return answer.parsed


class Coverage:
    """Which operations of the document have succeeded."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._routes = [
            (method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operation["operationId"])
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        self._missing = {name for _, _, name in self._routes}

    def note(self, answer: httpx.Response) -> None:
        if answer.is_success:
            asked = answer.request
            self._missing -= {
                name
                for method, path, name in self._routes
                if method == asked.method.lower() and path.fullmatch(asked.url.path)
            }

    def complaints(self) -> list[str]:
        missing = sorted(self._missing - NOT_CALLED.keys())
        needless = sorted(NOT_CALLED.keys() - self._missing)
        return [
            *(f"No step brings {name} to succeed." for name in missing),
            *(f"NOT_CALLED excuses {name} for nothing." for name in needless),
        ]


def main() -> int:
    coverage = Coverage(json.loads(Path(os.environ["SCHEMA"]).read_text()))
    client = AuthenticatedClient(
        base_url=os.environ["API_URL"],
        token=os.environ["API_KEY"],
        raise_on_unexpected_status=True,
        httpx_args={"event_hooks": {"response": [coverage.note]}},
    )
    for step in STEPS:
        step(client)
        print(f"{step.__name__}: as described")
    complaints = coverage.complaints()
    print("\n".join(complaints) or "every operation has succeeded")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
