"""Reading, listing, changing and deleting bots."""

from __future__ import annotations

import threading
from copy import deepcopy
from typing import Any

import pytest
from django.db import close_old_connections, connection
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read, merge
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import stream_admit
from apps.bots.services import config_create
from tests.conftest import BODY, ApiFor

URL = "/twilio-config"


def _url(config: TwilioConfig) -> str:
    return f"{URL}/{config.id}"


def _several(account: Account, count: int) -> list[TwilioConfig]:
    draft = draft_read(BODY)
    return [config_create(account=account, draft=draft, actor=Actor()) for _ in range(count)]


# --- tenancy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_a_stranger_finds_nothing_of_ours(
    api_for: ApiFor, stranger: Account, config: TwilioConfig, method: str
) -> None:
    answer = getattr(api_for(stranger), method)(_url(config), BODY)
    assert answer.status_code == 404
    assert answer.json()["error"] == "not-found-error"
    assert TwilioConfig.objects.get().deleted_at is None
    assert TwilioConfigVersion.objects.count() == 1


def test_a_stranger_lists_nothing_of_ours(
    api_for: ApiFor, stranger: Account, config: TwilioConfig
) -> None:
    assert api_for(stranger).get(URL).json()["results"] == []


# --- lists --------------------------------------------------------------------------------------


def test_pages_follow_each_other_newest_first(api: APIClient, account: Account) -> None:
    made = [str(config.id) for config in _several(account, 5)]
    seen: list[str] = []
    url = f"{URL}?page_size=2"
    while url:
        page = api.get(url).json()
        assert page.keys() == {"next", "previous", "results"}
        seen += [found["id"] for found in page["results"]]
        url = page["next"]
    assert seen == made[::-1]


def test_a_list_costs_the_same_for_many(
    api: APIClient, account: Account, django_assert_num_queries: Any
) -> None:
    _several(account, 3)
    api.get(URL)
    with django_assert_num_queries(2):
        api.get(URL)
    _several(account, 30)
    with django_assert_num_queries(2):
        assert len(api.get(URL).json()["results"]) == 33


@pytest.mark.parametrize("size", ["0", "201", "-1", "x", "", "1.5", "²", "9" * 5000])
def test_a_page_size_out_of_range_is_refused(api: APIClient, size: str) -> None:
    answer = api.get(URL, {"page_size": size})
    assert answer.status_code == 400
    assert answer.json()["fields"].keys() == {"page_size"}


@pytest.mark.parametrize("cursor", ["x", "cD1ub3BlCg==", "cD0lMDA=", "cD0yMDI2LTAxLTAx"])
def test_a_made_up_cursor_is_refused(api: APIClient, config: TwilioConfig, cursor: str) -> None:
    answer = api.get(URL, {"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["fields"].keys() == {"cursor"}


# --- PUT and PATCH ------------------------------------------------------------------------------


def test_a_put_replaces_as_a_new_version(api: APIClient, config: TwilioConfig) -> None:
    answer = api.put(_url(config), {"config": {"llm": {"prompt": "New."}}})
    assert answer.status_code == 200
    assert answer["ETag"] == '"2"'
    assert answer.json()["name"] == ""
    assert answer.json()["config"]["tts"]["provider"] == "local"
    assert [version.number for version in config.versions.all()] == [2, 1]


def test_the_twiml_outlives_a_change(api: APIClient, config: TwilioConfig) -> None:
    before = api.get(_url(config)).json()["twiml"]
    assert api.put(_url(config), BODY).json()["twiml"] == before


def test_a_patch_changes_what_it_names(api: APIClient, config: TwilioConfig) -> None:
    patch = {"config": {"turns": {"stop_secs": 0.8}}, "metadata": {"team": "ops"}}
    changed = api.patch(_url(config), patch).json()
    assert changed["config"]["turns"]["stop_secs"] == 0.8
    assert changed["config"]["llm"]["prompt"] == "You are the front desk."
    assert changed["name"] == "Front desk"
    assert changed["version"] == 2


def test_a_patch_removes_by_null(api: APIClient, config: TwilioConfig) -> None:
    api.patch(_url(config), {"metadata": {"a": 1, "b": 2}, "config": {"lines": {"idle": "Hey?"}}})
    patch = {"metadata": {"a": None}, "config": {"lines": {"idle": None}}, "name": None}
    changed = api.patch(_url(config), patch).json()
    assert changed["metadata"] == {"b": 2}
    assert changed["config"]["lines"] == {}
    assert changed["name"] == ""


def test_a_patch_to_another_provider_leaves_the_old_ones_words(
    api: APIClient, config: TwilioConfig
) -> None:
    patch = {"config": {"tts": {"provider": "local"}, "llm": {"provider": "openai"}}}
    changed = api.patch(_url(config), patch)
    assert changed.status_code == 200, changed.content
    assert changed.json()["config"]["tts"]["voice"] == "heart"
    assert changed.json()["config"]["llm"]["prompt"] == "You are the front desk."


def test_a_patch_takes_its_own_media_type(api: APIClient, config: TwilioConfig) -> None:
    kind = "application/merge-patch+json"
    answer = api.patch(_url(config), '{"name": "New"}', content_type=kind)
    assert answer.json()["name"] == "New"


@pytest.mark.parametrize("body", ["[]", "5", '"x"', "null"])
def test_a_patch_must_be_an_object(api: APIClient, config: TwilioConfig, body: str) -> None:
    answer = api.patch(_url(config), body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["fields"].keys() == {"body"}


def test_a_patch_without_a_body_is_refused(api: APIClient, config: TwilioConfig) -> None:
    answer = api.patch(_url(config))
    assert answer.status_code == 400
    assert answer.json()["error"] == "json-parsing-error"
    assert TwilioConfigVersion.objects.count() == 1


def test_a_patch_may_not_remove_the_prompt(api: APIClient, config: TwilioConfig) -> None:
    answer = api.patch(_url(config), {"config": {"llm": {"prompt": None}}})
    assert answer.status_code == 400
    assert config.versions.count() == 1


def test_merging_is_rfc_7396() -> None:
    target = {"a": "b", "c": {"d": "e", "f": "g"}, "h": [1]}
    patch = {"a": "z", "c": {"f": None}, "h": {"i": {"j": None}}}
    assert merge(target, patch) == {"a": "z", "c": {"d": "e"}, "h": {"i": {}}}


# --- secrets ------------------------------------------------------------------------------------

TOOL = {"url": "https://t.example.com", "custom_headers": {"X-Key": "abc"}}
SECRETIVE: dict[str, Any] = deepcopy(BODY) | {
    "api_keys": {"openai": "key"},
    "webhook_tools": {"w": TOOL},
}
SECRETIVE["config"]["llm"]["tools"] = [{"name": "w"}]
STORED = {"api_keys": {"openai": "key"}, "tool_headers": {"w": {"X-Key": "abc"}}}


def _secrets() -> Any:
    version = TwilioConfig.objects.get().current
    assert version is not None
    return version.secrets


def test_what_was_answered_can_be_put_back_without_losing_secrets(api: APIClient) -> None:
    made = api.post(URL, SECRETIVE).json()
    api.put(f"{URL}/{made['id']}", made)
    assert _secrets() == STORED


def test_a_header_is_not_sent_to_another_address(api: APIClient) -> None:
    made = api.post(URL, SECRETIVE).json()
    made["webhook_tools"]["w"]["url"] = "https://elsewhere.example.com"
    api.put(f"{URL}/{made['id']}", made)
    assert _secrets()["tool_headers"] == {}


def test_a_patch_keeps_and_removes_secrets(api: APIClient) -> None:
    made = api.post(URL, SECRETIVE).json()
    api.patch(f"{URL}/{made['id']}", {"name": "x"})
    assert _secrets() == STORED
    api.patch(f"{URL}/{made['id']}", {"api_keys": None, "webhook_tools": {"w": None}})
    assert _secrets() == {"api_keys": {}, "tool_headers": {}}


# --- If-Match -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("tag", ['"2"', 'W/"1"', '"x"', "nonsense", ""])
def test_a_stale_if_match_changes_nothing(
    api: APIClient, config: TwilioConfig, method: str, tag: str
) -> None:
    answer = getattr(api, method)(_url(config), BODY, headers={"if-match": tag})
    assert answer.status_code == 412
    assert answer.json()["error"] == "precondition-failed-error"
    assert config.versions.count() == 1
    assert api.get(_url(config)).status_code == 200


@pytest.mark.parametrize("tag", ['"1"', "*", '"7", "1"'])
def test_a_current_if_match_changes(api: APIClient, config: TwilioConfig, tag: str) -> None:
    assert api.patch(_url(config), {"name": "x"}, headers={"if-match": tag}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_patches_at_once_one_is_stale(api_for: ApiFor) -> None:
    account = Account.objects.create(name="Hotel")
    (config,) = _several(account, 1)
    clients, start, codes = [api_for(account), api_for(account)], threading.Barrier(2), []

    def patch(client: APIClient) -> None:
        start.wait(5)
        answer = client.patch(_url(config), {"name": "x"}, headers={"if-match": '"1"'})
        codes.append(answer.status_code)
        connection.close()

    threads = [threading.Thread(target=patch, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(codes) == [200, 412]
    assert config.versions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_patches_at_once_neither_is_lost(api_for: ApiFor) -> None:
    account = Account.objects.create(name="Hotel")
    (config,) = _several(account, 1)
    start = threading.Barrier(2)

    def patch(client: APIClient, member: str) -> None:
        start.wait(5)
        client.patch(_url(config), {"metadata": {member: 1}})
        connection.close()

    names = ("a", "b")
    threads = [threading.Thread(target=patch, args=(api_for(account), name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    close_old_connections()
    found = TwilioConfig.objects.select_related("current").get().current
    assert found is not None
    assert (found.number, found.document["metadata"]) == (3, {"a": 1, "b": 1})


# --- DELETE -------------------------------------------------------------------------------------


def test_a_deleted_bot_is_gone_for_everyone_but_history(
    api: APIClient, config: TwilioConfig
) -> None:
    assert api.delete(_url(config)).status_code == 204
    assert api.get(_url(config)).status_code == 404
    assert api.delete(_url(config)).status_code == 404
    assert api.patch(_url(config), {"name": "x"}).status_code == 404
    assert api.get(URL).json()["results"] == []
    assert config.versions.count() == 1


def test_a_deleted_bots_token_admits_nobody(api: APIClient, config: TwilioConfig) -> None:
    api.delete(_url(config))
    assert (
        stream_admit(
            account_id=str(config.account_id), config_id=str(config.id), token=config.stream_token
        )
        is None
    )


HEADED: dict[str, Any] = {
    **BODY,
    "config": {**BODY["config"], "llm": {**BODY["config"]["llm"], "tools": [{"name": "hours"}]}},
    "webhook_tools": {
        "hours": {"url": "https://a.example.com", "custom_headers": {"X-Key": "secret", "X-B": "b"}}
    },
}


@pytest.mark.parametrize(
    ("tool", "headers"),
    [
        ({"method": "GET"}, {"X-Key": "secret", "X-B": "b"}),
        ({"url": "https://a.example.com"}, {"X-Key": "secret", "X-B": "b"}),
        ({"custom_headers": {"X-B": None}}, {"X-Key": "secret"}),
        ({"url": "https://evil.example.com"}, {}),
        ({"url": "https://b.example.com", "custom_headers": {"X-New": "n"}}, {"X-New": "n"}),
        ({"url": "https://b.example.com", "custom_headers": {"X-B": None}}, {}),
    ],
)
def test_a_patch_sends_no_header_to_another_address(
    api: APIClient, tool: dict[str, Any], headers: dict[str, str]
) -> None:
    bot = api.post(URL, HEADED).json()["id"]
    assert api.patch(f"{URL}/{bot}", {"webhook_tools": {"hours": tool}}).status_code == 200
    secrets = TwilioConfigVersion.objects.get(number=2).secrets
    assert secrets["tool_headers"].get("hours", {}) == headers
