"""A key goes to the server that it was meant for, where the bot itself names the server."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put
from apps.accounts.models import Account, AuditEntry, Credential
from apps.bots.models import TwilioConfig
from apps.bots.selectors import secrets_used, slot_settings
from apps.providers.addresses import same_server
from tests.conftest import BODY, ApiFor

URL = "/twilio-config"
GOOD, EVIL = "https://models.example.com/v1", "https://evil.example/v1"
KEY, OWN = "sk-the-accounts-own-key", "sk-the-bots-own-key"


def body(base_url: str | None = GOOD, **more: Any) -> dict[str, Any]:
    address = {} if base_url is None else {"base_url": base_url}
    llm = {"provider": "custom_llm", "model": "m", "prompt": "Hello.", **address}
    return {**BODY, "config": {**BODY["config"], "llm": llm}, **more}


def made(api: APIClient, base_url: str | None = GOOD, **more: Any) -> dict[str, Any]:
    answer = api.post(URL, body(base_url, **more))
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def keys_sent(bot_id: str) -> list[tuple[str, str | None]]:
    """Return where each of a bot's models is asked, and with which key."""
    version = TwilioConfig.objects.get(pk=bot_id).current
    assert version is not None
    secrets = secrets_used(str(version.config.account_id), version)
    llm = version.document["llm"]
    slots = [llm, *llm.get("fallbacks", [])]
    found = [slot_settings(slot, secrets) for slot in slots]
    return [(one.options.get("base_url", ""), one.secrets.get("api_key")) for one in found]


@pytest.fixture
def bound(account: Account) -> Credential:
    """Our account's key for the good server."""
    return credential_put(
        account=account, provider="custom_llm", api_key=KEY, base_url=GOOD, actor=Actor()
    )


# --- the account's key ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        (GOOD, True),
        ("https://MODELS.example.com:443/v2/", True),
        (EVIL, False),
        ("http://models.example.com/v1", False),
        ("https://models.example.com:8443/v1", False),
        ("https://models.example.com.evil.example/v1", False),
        ("https://models.example.com@evil.example/v1", False),
        ("https://models.example.com\\@evil.example/v1", False),
        (None, False),
    ],
)
def test_the_accounts_key_goes_to_its_server_alone(
    api: APIClient, bound: Credential, address: str | None, sent: bool
) -> None:
    bot = made(api, address)
    assert keys_sent(bot["id"]) == [(address or "", KEY if sent else None)]


def test_of_two_that_take_over_each_gets_what_is_its_own(api: APIClient, bound: Credential) -> None:
    bot = made(api)
    other = {"provider": "custom_llm", "model": "n", "base_url": EVIL}
    api.patch(f"{URL}/{bot['id']}", {"config": {"llm": {"fallbacks": [other]}}})
    assert keys_sent(bot["id"]) == [(GOOD, KEY), (EVIL, None)]


def test_a_key_without_an_address_goes_nowhere_but_where_the_servers_operator_says(
    api: APIClient, account: Account, settings: Settings
) -> None:
    credential_put(account=account, provider="custom_llm", api_key=KEY, actor=Actor())
    assert keys_sent(made(api)["id"]) == [(GOOD, None)]
    settings.PROVIDER_API_URLS = {"custom_llm": GOOD}
    assert keys_sent(made(api, None)["id"]) == [("", KEY)]
    assert keys_sent(made(api, EVIL)["id"]) == [(EVIL, None)]


def test_a_provider_with_an_address_of_its_own_gets_the_accounts_key(
    api: APIClient, account: Account
) -> None:
    credential_put(account=account, provider="openai", api_key=KEY, actor=Actor())
    bot = made(api, None)
    api.patch(f"{URL}/{bot['id']}", {"config": {"llm": {"provider": "openai"}}})
    assert keys_sent(bot["id"]) == [("", KEY)]


def test_who_writes_a_bot_is_told_that_the_key_is_withheld(
    api: APIClient, bound: Credential
) -> None:
    for answer in (made(api, EVIL), api.put(f"{URL}/{made(api)['id']}", body(EVIL)).json()):
        (warning,) = (one for one in answer["warnings"] if "base_url" in one)
        assert f"key for custom_llm is for {GOOD}, and is not sent to {EVIL}" in warning
        shown = api.get(f"{URL}/{answer['id']}/render").json()
        assert warning in shown["warnings"]
        assert shown["providers"]["llm"]["key"] == "not needed"
    good = made(api)
    assert not [one for one in good["warnings"] if "base_url" in one]
    shown = api.get(f"{URL}/{good['id']}/render").json()
    assert shown["providers"]["llm"]["key"] == "account"


# --- storing it -----------------------------------------------------------------------------------


def test_a_key_is_stored_with_its_address_by_an_admin(
    api: APIClient, api_for: ApiFor, account: Account
) -> None:
    sent = {"api_key": KEY, "base_url": f" {GOOD}/ "}
    assert api.put("/credentials/custom_llm", sent).json()["base_url"] == GOOD
    assert AuditEntry.objects.latest("created_at").after["base_url"] == GOOD
    # A new key without a word of it is for the same server.
    assert api.put("/credentials/custom_llm", {"api_key": "another"}).json()["base_url"] == GOOD
    cleared = api.put("/credentials/custom_llm", {"api_key": KEY, "base_url": ""})
    assert cleared.json()["base_url"] == ""
    others = api_for(account, "configs:write")
    assert others.put("/credentials/custom_llm", sent).status_code == 403


@pytest.mark.parametrize(
    ("provider", "address"),
    [
        ("openai", GOOD),
        ("custom_llm", "models.example.com"),
        ("custom_llm", "https://user:password@models.example.com"),
        ("custom_llm", "ftp://models.example.com"),
        ("custom_llm", "https://models.example.com:99999"),
    ],
)
def test_an_address_that_a_key_cannot_be_for_is_refused_at_its_field(
    api: APIClient, provider: str, address: str
) -> None:
    answer = api.put(f"/credentials/{provider}", {"api_key": KEY, "base_url": address})
    assert answer.status_code == 400
    assert answer.json()["fields"].keys() == {"base_url"}
    assert not Credential.objects.exists()


# --- the bot's own key ----------------------------------------------------------------------------


def test_a_bots_own_key_stays_with_its_address(api: APIClient) -> None:
    bot = made(api, api_keys={"custom_llm": OWN, "openai": "sk-other"})
    path = f"{URL}/{bot['id']}"
    api.patch(path, {"config": {"llm": {"temperature": 0.5, "base_url": f"{GOOD}/"}}})
    assert keys_sent(bot["id"]) == [(f"{GOOD}/", OWN)]
    moved = api.patch(path, {"config": {"llm": {"base_url": EVIL}}}).json()
    assert keys_sent(bot["id"]) == [(EVIL, None)]
    assert [one for one in moved["warnings"] if one.startswith("api_keys.custom_llm:")]
    current = TwilioConfig.objects.get().current
    assert current is not None
    assert current.secrets["api_keys"] == {"openai": "sk-other"}


def test_a_whole_new_body_that_says_nothing_of_keys_moves_none(api: APIClient) -> None:
    bot = made(api, api_keys={"custom_llm": OWN})
    api.put(f"{URL}/{bot['id']}", body(GOOD))
    assert keys_sent(bot["id"]) == [(GOOD, OWN)]
    api.put(f"{URL}/{bot['id']}", body(EVIL))
    assert keys_sent(bot["id"]) == [(EVIL, None)]


def test_a_detour_moves_no_key(api: APIClient) -> None:
    bot = made(api, api_keys={"custom_llm": OWN})
    for llm in ({"provider": "scripted"}, {"provider": "custom_llm", "base_url": EVIL}):
        api.patch(f"{URL}/{bot['id']}", {"config": {"llm": llm}})
    assert keys_sent(bot["id"]) == [(EVIL, None)]


def test_one_who_takes_over_elsewhere_gets_no_key_of_the_first(api: APIClient) -> None:
    bot = made(api, api_keys={"custom_llm": OWN})
    other = {"provider": "custom_llm", "model": "n", "base_url": EVIL}
    api.patch(f"{URL}/{bot['id']}", {"config": {"llm": {"fallbacks": [other]}}})
    assert keys_sent(bot["id"]) == [(GOOD, None), (EVIL, None)]


def test_a_key_that_comes_with_the_new_address_is_for_it(api: APIClient) -> None:
    bot = made(api, api_keys={"custom_llm": OWN})
    path = f"{URL}/{bot['id']}"
    moving = {"config": {"llm": {"base_url": EVIL}}, "api_keys": {"custom_llm": "sk-new"}}
    api.patch(path, moving)
    assert keys_sent(bot["id"]) == [(EVIL, "sk-new")]
    api.put(path, body(GOOD, api_keys={"custom_llm": OWN}))
    assert keys_sent(bot["id"]) == [(GOOD, OWN)]


def test_a_daily_bots_body_moves_no_key(api: APIClient) -> None:
    def theirs(address: str, **more: Any) -> dict[str, Any]:
        return {
            "bot_profile": "voice_2024_10",
            "services": {"llm": "custom_llm", "tts": "local"},
            "service_options": {"custom_llm": {"base_url": address, "model": "m"}},
            "config": [
                {
                    "service": "llm",
                    "options": [
                        {
                            "name": "initial_messages",
                            "value": [{"role": "system", "content": "Hi."}],
                        }
                    ],
                }
            ],
            **more,
        }

    path = "/v1/twilio-config"
    bot = api.post(path, theirs(GOOD, api_keys={"custom_llm": OWN})).json()
    api.post(f"{path}/{bot['id']}", theirs(GOOD))
    assert keys_sent(bot["id"]) == [(GOOD, OWN)]
    api.post(f"{path}/{bot['id']}", theirs(EVIL))
    assert keys_sent(bot["id"]) == [(EVIL, None)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("", " ", True),
        (GOOD, "", False),
        ("https://[::1]:8000", "https://[::1]:8000/v1", True),
        ("http://a.test", "http://a.test:80", True),
        ("https://a.test:0", "https://a.test:0", True),
        ("nonsense", "nonsense", False),
        ("https://a.test\t.evil.example", "https://a.test.evil.example", False),
    ],
)
def test_a_server_is_its_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert same_server(one, other) is same
