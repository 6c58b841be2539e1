"""/account: what an account sets for its bots and its dialling."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import Account, AuditEntry
from apps.calls.account_serializers import OPERATORS
from tests.conftest import ApiFor

URL = "/account"
HOURS = {"from": "09:00", "until": "20:00", "days": ["mon"], "timezone": "callee"}


def test_an_account_reads_its_settings(api: APIClient, account: Account) -> None:
    assert api.get(URL).json() | {"created_at": 0, "updated_at": 0} == {
        "id": str(account.id),
        "name": "Hotel",
        "max_live_calls": 100,
        "calls_per_second": 1,
        "allowed_countries": [],
        "calling_hours": {},
        "defaults": {},
        "created_at": 0,
        "updated_at": 0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "Hotel Seeblick"),
        ("calls_per_second", 30),
        ("allowed_countries", ["DE", "AT"]),
        ("calling_hours", HOURS),
        ("defaults", {"llm": {"provider": "openai", "model": "gpt-5-mini"}}),
    ],
)
def test_what_is_named_changes_and_nothing_else(api: APIClient, name: str, value: Any) -> None:
    before = api.get(URL).json()
    answer = api.patch(URL, {name: value})
    assert answer.status_code == 200
    after = api.get(URL).json()
    assert after == answer.json()
    assert {one for one in after if after[one] != before[one]} == {name, "updated_at"}
    assert after[name] == value


def test_a_patch_without_a_body_is_refused(api: APIClient) -> None:
    answer = api.patch(URL)
    assert (answer.status_code, answer.json()["error"]) == (400, "json-parsing-error")
    assert api.patch(URL, {}).status_code == 200


def test_hours_are_merged_and_null_takes_them_back(api: APIClient) -> None:
    api.patch(URL, {"calling_hours": HOURS})
    later = api.patch(URL, {"calling_hours": {"until": "18:00", "days": None}}).json()
    assert later["calling_hours"] == {"from": "09:00", "until": "18:00", "timezone": "callee"}
    taken = api.patch(URL, {"calling_hours": None, "allowed_countries": None, "defaults": None})
    assert taken.json()["calling_hours"] == taken.json()["defaults"] == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"calls_per_second": 0}, "calls_per_second"),
        ({"calls_per_second": 101}, "calls_per_second"),
        ({"allowed_countries": ["XX"]}, "allowed_countries.0"),
        ({"allowed_countries": ["de"]}, "allowed_countries.0"),
        ({"allowed_countries": "DE"}, "allowed_countries"),
        ({"calling_hours": {"from": "9"}}, "calling_hours.from"),
        ({"calling_hours": {**HOURS, "until": "08:00"}}, "calling_hours.until"),
        ({"calling_hours": {**HOURS, "timezone": "Mars"}}, "calling_hours.timezone"),
        ({"calling_hours": {**HOURS, "holidays": True}}, "calling_hours.holidays"),
        ({"calling_hours": "always"}, "calling_hours"),
        ({"defaults": {"llm": {"provider": "nobody"}}}, "defaults.llm.provider"),
        ({"defaults": {"llm": {"model": "x"}}}, "defaults.llm.provider"),
        ({"defaults": ["llm"]}, "defaults"),
        ({"twilio_auth_token": "x"}, "twilio_auth_token"),
    ],
)
def test_a_wrong_body_is_named(
    api: APIClient, account: Account, body: dict[str, Any], field: str
) -> None:
    answer = api.patch(URL, body)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]


def test_how_much_of_the_server_is_used_is_not_the_accounts_to_say(api: APIClient) -> None:
    answer = api.patch(URL, {"max_live_calls": 1_000})
    assert answer.json()["fields"] == {"max_live_calls": [OPERATORS]}


def test_no_secret_is_answered(api: APIClient, account: Account) -> None:
    account.twilio_auth_token = "a-token-of-ours"
    account.save()
    assert b"a-token-of-ours" not in api.get(URL).content


def test_a_strangers_account_is_their_own(
    api: APIClient, api_for: ApiFor, account: Account, stranger: Account
) -> None:
    api_for(stranger).patch(URL, {"name": "Changed"})
    assert api.get(URL).json()["name"] == account.name


def test_a_change_is_in_the_log_and_no_change_is_not(api: APIClient, account: Account) -> None:
    api.patch(URL, {"calls_per_second": 2})
    api.patch(URL, {"calls_per_second": 2})
    (entry,) = AuditEntry.objects.filter(action="account.update")
    assert (entry.before, entry.after) == ({"calls_per_second": 1}, {"calls_per_second": 2})
