"""The life of what the API keeps, by a Python client generated from the OpenAPI document.

Run by ``.ci/clients`` with ``botsconfig_client`` at hand: API_URL and API_KEY name a server that
has had a call, SCHEMA the document. Fails at an answer that the document does not describe, and at
an operation that no step has brought to succeed.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
from answers import Coverage, typed
from botsconfig_client import AuthenticatedClient
from botsconfig_client.api.api_keys import (
    api_key_create,
    api_key_get,
    api_key_list,
    api_key_revoke,
    api_key_rotate,
)
from botsconfig_client.api.audit_log import audit_log_list
from botsconfig_client.api.calls import (
    calls_dial,
    calls_dtmf,
    calls_get,
    calls_hang_up,
    calls_list,
    calls_say,
    calls_transfer,
)
from botsconfig_client.api.credentials import (
    credential_delete,
    credential_get,
    credential_list,
    credential_put,
    credential_test,
)
from botsconfig_client.api.daily_bots import (
    daily_bots_create,
    daily_bots_delete,
    daily_bots_get,
    daily_bots_list,
    daily_bots_update,
)
from botsconfig_client.api.providers import provider_list
from botsconfig_client.api.tools import twilio_config_tool_test
from botsconfig_client.api.twilio_config import (
    twilio_config_create,
    twilio_config_delete,
    twilio_config_get,
    twilio_config_list,
    twilio_config_patch,
    twilio_config_render,
    twilio_config_replace,
    twilio_config_rotate_token,
)
from botsconfig_client.api.versions import (
    twilio_config_version_get,
    twilio_config_version_list,
    twilio_config_version_publish,
    twilio_config_version_restore,
)
from botsconfig_client.models import (
    ApiKey,
    ApiKeyBodyRequest,
    BotProfileEnum,
    Call,
    CallDetail,
    ConfigRequest,
    ConfigRequestVariables,
    Credential,
    CredentialBodyRequest,
    Credentials,
    DailyBots,
    DailyBotsBodyRequest,
    DailyBotsDeleted,
    DailyBotsError,
    DailyBotsItemRequest,
    DailyBotsList,
    DailyBotsOptionRequest,
    DailyBotsServicesRequest,
    DialRequest,
    DtmfRequest,
    Error,
    LlmRequest,
    NewApiKey,
    PaginatedApiKeyList,
    PaginatedAuditEntryList,
    PaginatedCallList,
    PaginatedTwilioConfigList,
    PaginatedVersionList,
    PatchedConfigRequest,
    PatchedTurnsRequest,
    PatchedTwilioConfigBodyRequest,
    Providers,
    Rendered,
    RotateRequest,
    RotationRequest,
    SayRequest,
    ScopesEnum,
    ToolRequest,
    ToolTrialOutcome,
    ToolTrialRequest,
    ToolTrialRequestArguments,
    TransferModeEnum,
    TransferOrderRequest,
    TtsRequest,
    TwilioConfig,
    TwilioConfigBodyRequest,
    TwilioConfigBodyRequestWebhookTools,
    VariableRequest,
    Verdict,
    VersionDetail,
    WebhookToolRequest,
)
from botsconfig_client.types import UNSET, Unset
from endpoints import webhooks
from phones import account, phones

Client = AuthenticatedClient

# Operations that no client can bring to succeed here, each with the reason.
NOT_CALLED: dict[str, str] = {}


def configs(client: Client) -> None:
    """Create, list, read, patch, replace, delete; and what the API refuses on the way."""
    created = twilio_config_create.sync_detailed(client=client, body=body("Front desk"))
    config = typed(created, 201, TwilioConfig)
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
    assert first == created.headers["ETag"]

    patch = PatchedTwilioConfigBodyRequest(
        name=None, config=PatchedConfigRequest(turns=PatchedTurnsRequest(stop_secs=0.5))
    )
    patched = twilio_config_patch.sync_detailed(config.id, client=client, body=patch)
    changed = typed(patched, 200, TwilioConfig)
    assert (changed.name, changed.version, changed.twiml) == ("", 2, config.twiml)
    assert changed.config.turns
    assert changed.config.turns.stop_secs == 0.5

    replace = partial(
        twilio_config_replace.sync_detailed, config.id, client=client, body=body("Night desk")
    )
    replaced = replace(if_match=patched.headers["ETag"])
    assert typed(replaced, 200, TwilioConfig).name == "Night desk"
    stale = replace(if_match=first)
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

    denied = typed(twilio_config_list.sync_detailed(client=stranger("bc_no_key")), 401, Error)
    assert denied.error == "authentication-error"


def versions(client: Client) -> None:
    """A draft that is published, an older version that is restored, and the history of both."""
    id_ = made(client, body("Versions")).id
    patch = PatchedTwilioConfigBodyRequest(name="Draft")
    drafted = twilio_config_patch.sync_detailed(id_, client=client, body=patch, draft=True)
    draft = typed(drafted, 200, TwilioConfig)
    assert (draft.version, draft.status, draft.published_version) == (2, "draft", 1)
    standing = typed(twilio_config_get.sync_detailed(id_, client=client), 200, TwilioConfig)
    assert (standing.name, standing.version, standing.latest_version) == ("Versions", 1, 2)
    latest = twilio_config_get.sync_detailed(id_, client=client, draft=True)
    assert typed(latest, 200, TwilioConfig).name == "Draft"

    published = twilio_config_version_publish.sync_detailed(id_, 2, client=client)
    assert typed(published, 200, TwilioConfig).published_version == 2
    again = twilio_config_version_publish.sync_detailed(id_, 1, client=client)
    assert typed(again, 409, Error).error == "conflict-error"
    restored = twilio_config_version_restore.sync_detailed(id_, 1, client=client)
    config = typed(restored, 201, TwilioConfig)
    assert (config.name, config.version) == ("Versions", 3)

    history = twilio_config_version_list.sync_detailed(id_, client=client)
    found = typed(history, 200, PaginatedVersionList).results
    assert [(one.number, one.status) for one in found] == [
        (3, "published"),
        (2, "superseded"),
        (1, "superseded"),
    ]
    assert [change.path for change in found[0].changes] == ["name"]
    first = twilio_config_version_get.sync_detailed(id_, 1, client=client)
    assert typed(first, 200, VersionDetail).content.name == "Versions"


def tools(client: Client) -> None:
    """A tool's webhook, asked as in a call; at an address that this server does not ask."""
    whole = body("Tools")
    assert whole.config.llm
    whole.config.llm.tools = [ToolRequest(name="book")]
    whole.webhook_tools = TwilioConfigBodyRequestWebhookTools()
    whole.webhook_tools["book"] = WebhookToolRequest(url="http://127.0.0.1:9/book")
    id_ = made(client, whole).id
    arguments = ToolTrialRequestArguments()
    arguments["day"] = "Monday"
    trial = ToolTrialRequest(arguments=arguments)
    tried = twilio_config_tool_test.sync_detailed(id_, "book", client=client, body=trial)
    outcome = typed(tried, 200, ToolTrialOutcome)
    assert (outcome.ok, outcome.response) == (False, None)
    assert outcome.request.method == "POST"
    assert "PRIVATE_ADDRESSES" in outcome.error
    unknown = twilio_config_tool_test.sync_detailed(id_, "look", client=client, body=trial)
    assert "book" in typed(unknown, 404, Error).info


def rendered(client: Client) -> None:
    """What a caller would get, before and after the stream's token is another one."""
    whole = body("Rendered", prompt="You speak to {{guest}}.")
    assert whole.config.llm
    whole.config.variables = ConfigRequestVariables()
    whole.config.variables["guest"] = VariableRequest(default="a guest")
    config = made(client, whole)
    asked = twilio_config_render.sync_detailed(
        config.id, client=client, from_="+4930123456", variables=json.dumps({"guest": "Ann"})
    )
    shown = typed(asked, 200, Rendered)
    assert shown.config.llm.prompt == "You speak to Ann."
    assert shown.variables["guest"].source == "given"

    body_ = RotateRequest(grace_seconds=0)
    rotated = twilio_config_rotate_token.sync_detailed(config.id, client=client, body=body_)
    assert typed(rotated, 200, TwilioConfig).twiml != config.twiml


def once(client: Client) -> None:
    """A POST that is sent again with its Idempotency-Key makes nothing more."""
    key, whole = secrets.token_hex(8), body(f"Once {secrets.token_hex(8)}")
    create = partial(twilio_config_create.sync_detailed, client=client, idempotency_key=key)
    first, second = create(body=whole), create(body=whole)
    assert typed(first, 201, TwilioConfig) == typed(second, 201, TwilioConfig)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    named = twilio_config_list.sync_detailed(client=client, name=whole.name)
    assert len(typed(named, 200, PaginatedTwilioConfigList).results) == 1
    other = create(body=body("Another"))
    assert typed(other, 422, Error).error == "unprocessable-error"


def pages(client: Client) -> None:
    """A list from end to end, by the cursor of each page's next."""
    name = f"Page {secrets.token_hex(8)}"
    ids = [made(client, body(name)).id for _ in range(3)]
    found: list[UUID] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        answer = twilio_config_list.sync_detailed(
            client=client, name=name, page_size=2, cursor=cursor
        )
        page = typed(answer, 200, PaginatedTwilioConfigList)
        found += [config.id for config in page.results]
        cursor = httpx.URL(page.next_).params["cursor"] if page.next_ else None
    assert found == ids[::-1]
    bad = twilio_config_list.sync_detailed(client=client, cursor="none")
    assert "cursor" in typed(bad, 400, Error).fields


def keys(client: Client) -> None:
    """A key of one scope; its successor, which works beside it; and the end of both."""
    wanted = ApiKeyBodyRequest(name="reports", scopes=[ScopesEnum.CALLSREAD])
    key = typed(api_key_create.sync_detailed(client=client, body=wanted), 201, NewApiKey)
    page = typed(api_key_list.sync_detailed(client=client), 200, PaginatedApiKeyList)
    assert key.id in [found.id for found in page.results]

    reports = stranger(key.key)
    lacking = typed(twilio_config_list.sync_detailed(client=reports), 403, Error)
    assert lacking.error == "forbidden-error"
    assert "configs:read" in lacking.info

    grace = RotationRequest(grace_seconds=3600)
    rotated = api_key_rotate.sync_detailed(key.id, client=client, body=grace)
    successor = typed(rotated, 201, NewApiKey)
    for either in (reports, stranger(successor.key)):
        typed(calls_list.sync_detailed(client=either), 200, PaginatedCallList)
    old = typed(api_key_get.sync_detailed(key.id, client=client), 200, ApiKey)
    assert old.expires_at
    assert not old.revoked_at

    for id_ in (key.id, successor.id):
        assert api_key_revoke.sync_detailed(id_, client=client).status_code == 204
    assert typed(calls_list.sync_detailed(client=reports), 401, Error).error
    told = audit_log_list.sync_detailed(
        client=client, action="api_key.rotate", target_id=str(key.id), since=key.created_at
    )
    (entry,) = typed(told, 200, PaginatedAuditEntryList).results
    assert entry.after["successor"] == str(successor.id)


def credentials(client: Client) -> None:
    """A vendor's key, written and forgotten. Nobody can be asked about this vendor's for free."""
    vendor = "rime"
    secret = CredentialBodyRequest(api_key="not-a-key-of-abcd")
    put = credential_put.sync_detailed(vendor, client=client, body=secret)
    assert typed(put, 200, Credential).last4 == "…abcd"
    listed = typed(credential_list.sync_detailed(client=client), 200, Credentials)
    assert vendor in [found.provider for found in listed.results]
    read = credential_get.sync_detailed(vendor, client=client)
    assert typed(read, 200, Credential).provider == vendor
    tested = typed(credential_test.sync_detailed(vendor, client=client), 200, Verdict)
    assert (tested.ok, tested.reason) == (None, "untestable")
    assert credential_delete.sync_detailed(vendor, client=client).status_code == 204
    gone = credential_get.sync_detailed(vendor, client=client)
    assert typed(gone, 404, Error).error == "not-found-error"


def daily_bots(client: Client) -> None:
    """The same bots in Daily Bots' form, with its own error."""
    created = daily_bots_create.sync_detailed(client=client, body=their_body("Answer."))
    bot = typed(created, 200, DailyBots)
    assert "<Connect " in bot.twiml
    read = typed(daily_bots_get.sync_detailed(bot.id, client=client), 200, DailyBots)
    assert read == bot
    every = typed(daily_bots_list.sync_detailed(client=client), 200, DailyBotsList)
    assert bot.id in [found.id for found in every.data]
    updated = daily_bots_update.sync_detailed(bot.id, client=client, body=their_body("Ask."))
    assert typed(updated, 200, DailyBots).config != bot.config

    nothing = their_body("Answer.")
    nothing.services.tts = UNSET
    refused = daily_bots_create.sync_detailed(client=client, body=nothing)
    assert "services.tts" in typed(refused, 400, DailyBotsError).info
    gone = daily_bots_delete.sync_detailed(bot.id, client=client)
    assert typed(gone, 200, DailyBotsDeleted).deleted is True
    missing = daily_bots_get.sync_detailed(bot.id, client=client)
    assert typed(missing, 404, DailyBotsError).error == "not-found-error"


def calls(client: Client) -> None:
    """The call that was made before this ran, with its words."""
    page = typed(calls_list.sync_detailed(client=client), 200, PaginatedCallList)
    call = typed(calls_get.sync_detailed(page.results[-1].id, client=client), 200, CallDetail)
    assert call.turns[0].text_heard == "Hello."
    assert call.error is None
    ended = calls_hang_up.sync_detailed(call.id, client=client)
    assert typed(ended, 200, Call).status == call.status

    words = SayRequest(text="Hello.", interrupt=True)
    said = calls_say.sync_detailed(call.id, client=client, body=words)
    assert typed(said, 409, Error).info == "The call is over."
    whom = TransferOrderRequest(to="+14158675309", mode=TransferModeEnum.WARM)
    through = calls_transfer.sync_detailed(call.id, client=client, body=whom)
    assert typed(through, 409, Error).info == "The call is over."
    pressed = calls_dtmf.sync_detailed(call.id, client=client, body=DtmfRequest(digits="1#"))
    assert typed(pressed, 409, Error).info == "The call is over."

    wish = DialRequest(config_id=call.config_id, to="+14158675309", from_="+14155550100")
    refused = calls_dial.sync_detailed(client=client, body=wish)
    assert "connection" in typed(refused, 409, Error).info
    wish.to = "030123456"
    wrong = calls_dial.sync_detailed(client=client, body=wish)
    assert "+4930123456" in typed(wrong, 400, Error).fields["to"][0]


def providers(client: Client) -> None:
    """The catalogue."""
    found = typed(provider_list.sync_detailed(client=client), 200, Providers)
    assert ("tts", "local") in [(provider.kind, provider.name) for provider in found.results]


STEPS: tuple[Callable[[Client], None], ...] = (
    *(configs, refusals, versions, rendered, tools, once, pages),
    *(keys, credentials, daily_bots, calls, webhooks, providers),
    *(account, phones),
)


def body(
    name: str, *, prompt: str = "You are the front desk.", voice: str = "heart"
) -> TwilioConfigBodyRequest:
    return TwilioConfigBodyRequest(
        name=name,
        config=ConfigRequest(
            llm=LlmRequest(prompt=prompt), tts=TtsRequest(provider="local", voice=voice)
        ),
    )


def their_body(prompt: str) -> DailyBotsBodyRequest:
    messages = [{"role": "system", "content": prompt}]
    option = DailyBotsOptionRequest(name="initial_messages", value=messages)
    return DailyBotsBodyRequest(
        bot_profile=BotProfileEnum.TWILIO_WS_VOICE_2024_09,
        services=DailyBotsServicesRequest(llm="openai", tts="cartesia"),
        config=[DailyBotsItemRequest(service="llm", options=[option])],
    )


def made(client: Client, whole: TwilioConfigBodyRequest) -> TwilioConfig:
    created = twilio_config_create.sync_detailed(client=client, body=whole)
    return typed(created, 201, TwilioConfig)


def stranger(key: str) -> Client:
    return AuthenticatedClient(base_url=os.environ["API_URL"], token=key)


def main() -> int:
    document = json.loads(Path(os.environ["SCHEMA"]).read_text())
    coverage = Coverage(document, NOT_CALLED)
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
