"""Versions, drafts, publishing, restoring, rotating: over REST."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import Account, AuditEntry
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import stream_admit
from tests.conftest import BODY, ApiFor

URL = "/twilio-config"


def made(api: APIClient, query: str = "", **changes: Any) -> dict[str, Any]:
    answer = api.post(URL + query, {**BODY, **changes})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def patched(api: APIClient, id: str, patch: Any, query: str = "", **headers: str) -> dict[str, Any]:
    answer = api.patch(f"{URL}/{id}{query}", patch, headers=headers)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def admitted(id: str) -> str | None:
    """The name of the version that a call would get."""
    config = TwilioConfig.objects.get(pk=id)
    found = stream_admit(account_id=str(config.account_id), config_id=id, token=config.stream_token)
    return None if found is None else str(found.document["name"])


# --- history ------------------------------------------------------------------------------------


def test_every_write_is_a_version_with_its_author_and_what_changed(api: APIClient) -> None:
    bot = made(api)
    patched(api, bot["id"], {"name": "New", "config": {"llm": {"prompt": "Be kind."}}})
    first, second = api.get(f"{URL}/{bot['id']}/versions").json()["results"][::-1]
    assert (first["number"], first["status"]) == (1, "superseded")
    assert (second["number"], second["status"]) == (2, "published")
    assert second["author"]["kind"] == "key"
    assert second["changes"] == [
        {
            "path": "config.llm.prompt",
            "before": "You are the front desk.",
            "after": "Be kind.",
        },
        {"path": "name", "before": "Front desk", "after": "New"},
    ]
    assert {"path": "name", "before": None, "after": "Front desk"} in first["changes"]


def test_a_change_of_a_secret_is_said_and_not_shown(api: APIClient) -> None:
    bot = made(api, api_keys={"openai": "plain-key"})
    patched(api, bot["id"], {"api_keys": {"openai": "other-key"}})
    answer = api.get(f"{URL}/{bot['id']}/versions")
    assert answer.json()["results"][0]["changes"] == [
        {"path": "api_keys.openai", "before": None, "after": None}
    ]
    assert b"-key" not in answer.content


@pytest.mark.parametrize(
    ("keys", "said"), [({}, []), ({"openai": "plain-key"}, ["api_keys.openai"])]
)
def test_a_first_version_says_which_secrets_it_brings_and_no_others(
    api: APIClient, keys: dict[str, str], said: list[str]
) -> None:
    bot = made(api, api_keys=keys)
    first = api.get(f"{URL}/{bot['id']}/versions/1").json()
    paths = [change["path"] for change in first["changes"]]
    assert [path for path in paths if path.startswith(("api_keys", "tool_headers"))] == said


def test_history_comes_in_pages_at_a_constant_cost(
    api: APIClient, django_assert_num_queries: Any
) -> None:
    bot = made(api)
    for number in range(5):
        patched(api, bot["id"], {"name": f"Name {number}"})
    with django_assert_num_queries(4):
        page = api.get(f"{URL}/{bot['id']}/versions?page_size=2").json()
    assert [found["number"] for found in page["results"]] == [6, 5]
    assert page["results"][1]["changes"][0]["before"] == "Name 2"
    page = api.get(page["next"]).json()
    assert [found["number"] for found in page["results"]] == [4, 3]


def test_a_version_shows_its_whole_content(api: APIClient) -> None:
    bot = made(api)
    patched(api, bot["id"], {"name": "New"})
    old = api.get(f"{URL}/{bot['id']}/versions/1").json()
    assert old["content"]["name"] == "Front desk"
    assert old["content"]["status"] == "superseded"
    assert api.get(f"{URL}/{bot['id']}/versions/3").status_code == 404
    assert api.get(f"{URL}/{bot['id']}/versions/0").status_code == 404


def test_restoring_makes_a_new_version_with_the_old_content_and_secrets(api: APIClient) -> None:
    bot = made(api, api_keys={"openai": "plain-key"})
    patched(api, bot["id"], {"name": "New", "api_keys": {}})
    answer = api.post(f"{URL}/{bot['id']}/versions/1/restore")
    assert answer.status_code == 201
    assert answer.json()["version"] == 3
    assert answer.json()["name"] == "Front desk"
    assert answer["ETag"] == '"3"'
    version = TwilioConfigVersion.objects.get(number=3)
    assert version.secrets["api_keys"] == {"openai": "plain-key"}
    assert admitted(bot["id"]) == "Front desk"


# --- drafts -------------------------------------------------------------------------------------


def test_a_bot_made_as_a_draft_takes_no_calls_until_it_is_published(api: APIClient) -> None:
    bot = made(api, "?draft=true")
    assert (bot["status"], bot["published_version"]) == ("draft", None)
    assert "<Stream" in bot["twiml"]
    assert admitted(bot["id"]) is None
    answer = api.post(f"{URL}/{bot['id']}/versions/1/publish")
    assert answer.status_code == 200
    assert answer.json()["status"] == "published"
    assert answer.json()["twiml"] == bot["twiml"]
    assert admitted(bot["id"]) == "Front desk"


def test_drafts_build_on_each_other_and_leave_calls_alone(api: APIClient) -> None:
    bot = made(api)
    patched(api, bot["id"], {"name": "Draft"}, "?draft=true")
    draft = patched(api, bot["id"], {"max_duration": 120}, "?draft=true")
    assert (draft["name"], draft["max_duration"], draft["version"]) == ("Draft", 120, 3)
    assert admitted(bot["id"]) == "Front desk"
    shown = api.get(f"{URL}/{bot['id']}").json()
    assert (shown["version"], shown["latest_version"], shown["name"]) == (1, 3, "Front desk")
    assert api.get(f"{URL}/{bot['id']}?draft=true").json()["name"] == "Draft"
    assert api.get(URL).json()["results"][0]["name"] == "Front desk"
    api.post(f"{URL}/{bot['id']}/versions/3/publish")
    assert admitted(bot["id"]) == "Draft"
    assert api.get(URL).json()["results"][0]["name"] == "Draft"


def test_a_draft_that_a_published_version_overtook_cannot_be_published(api: APIClient) -> None:
    bot = made(api)
    patched(api, bot["id"], {"name": "Draft"}, "?draft=true")
    patched(api, bot["id"], {"name": "Urgent"})
    answer = api.post(f"{URL}/{bot['id']}/versions/2/publish")
    assert answer.status_code == 409
    assert "restore" in answer.json()["info"]
    assert admitted(bot["id"]) == "Urgent"


def test_publishing_twice_changes_nothing(api: APIClient) -> None:
    bot = made(api)
    count = AuditEntry.objects.count()
    assert api.post(f"{URL}/{bot['id']}/versions/1/publish").status_code == 200
    assert AuditEntry.objects.count() == count


def test_a_published_write_builds_on_what_takes_calls_not_on_the_draft(api: APIClient) -> None:
    bot = made(api)
    patched(api, bot["id"], {"name": "Draft"}, "?draft=true")
    now = patched(api, bot["id"], {"max_duration": 120}, **{"If-Match": '"1"'})
    assert (now["name"], now["version"]) == ("Front desk", 3)


def test_if_match_names_the_version_that_would_be_replaced(api: APIClient) -> None:
    bot = made(api)
    patched(api, bot["id"], {"name": "Draft"}, "?draft=true")
    stale = api.patch(f"{URL}/{bot['id']}?draft=true", {"name": "x"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412


@pytest.mark.parametrize("draft", ["yes", "", "1"])
def test_a_draft_is_true_or_false(api: APIClient, draft: str) -> None:
    answer = api.post(f"{URL}?draft={draft}", BODY)
    assert answer.status_code == 400
    assert "draft" in answer.json()["fields"]


# --- tokens -------------------------------------------------------------------------------------


def test_a_rotated_token_changes_the_twiml_and_the_old_one_works_for_a_while(
    api: APIClient, account: Account
) -> None:
    bot = made(api)
    old = TwilioConfig.objects.get().stream_token
    answer = api.post(f"{URL}/{bot['id']}/rotate-token", {"grace_seconds": 60})
    assert answer.status_code == 200
    config = TwilioConfig.objects.get()
    assert config.stream_token in answer.json()["twiml"]
    assert old not in answer.json()["twiml"]

    def opens(token: str) -> bool:
        asked = {"account_id": str(account.id), "config_id": bot["id"], "token": token}
        return stream_admit(**asked) is not None

    assert opens(config.stream_token)
    assert opens(old)
    config.previous_token_until = timezone.now() - timedelta(seconds=1)
    config.save()
    assert not opens(old)


def test_a_rotation_without_grace_ends_the_old_token_at_once(
    api: APIClient, account: Account
) -> None:
    bot = made(api)
    old = TwilioConfig.objects.get().stream_token
    api.post(f"{URL}/{bot['id']}/rotate-token", {"grace_seconds": 0})
    assert stream_admit(account_id=str(account.id), config_id=bot["id"], token=old) is None


@pytest.mark.parametrize("grace", [-1, 10**9, "soon", True, None])
def test_a_grace_out_of_range_is_named(api: APIClient, grace: Any) -> None:
    bot = made(api)
    answer = api.post(f"{URL}/{bot['id']}/rotate-token", {"grace_seconds": grace})
    assert answer.status_code == 400
    assert "grace_seconds" in answer.json()["fields"]


@pytest.mark.parametrize("body", ["null", "[]", "0", "false", '""'])
def test_a_rotation_takes_an_object_or_nothing(api: APIClient, body: str) -> None:
    url = f"{URL}/{made(api)['id']}/rotate-token"
    assert api.post(url, body, content_type="application/json").status_code == 400
    assert api.post(url).status_code == 200


# --- who did it ---------------------------------------------------------------------------------


def test_every_write_stands_in_the_audit_log(api: APIClient) -> None:
    bot = made(api, api_keys={"openai": "plain-key"})
    url = f"{URL}/{bot['id']}"
    api.patch(url, {"name": "Patched"})
    api.patch(f"{url}?draft=true", {"name": "Draft"})
    api.post(f"{url}/versions/3/publish")
    api.post(f"{url}/versions/1/restore")
    api.post(f"{url}/rotate-token", {})
    api.put(url, BODY)
    api.delete(url)
    entries = AuditEntry.objects.filter(target_kind="config").order_by("created_at")
    assert [entry.action for entry in entries] == [
        f"config.{verb}"
        for verb in (
            ("create", "patch", "draft", "publish", "restore", "rotate_token", "replace", "delete")
        )
    ]
    assert entries[1].before == {"name": "Front desk"}
    assert entries[1].after == {"name": "Patched"}
    assert {entry.target_id for entry in entries} == {bot["id"]}
    assert "plain-key" not in str([(entry.before, entry.after) for entry in entries])


def test_a_create_takes_few_queries(api: APIClient, django_assert_max_num_queries: Any) -> None:
    made(api)
    with django_assert_max_num_queries(9) as seen:
        made(api)
    assert any("auditentry" in query["sql"] for query in seen.captured_queries)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "versions"),
        ("get", "versions/1"),
        ("post", "versions/1/publish"),
        ("post", "versions/1/restore"),
        ("post", "rotate-token"),
        ("get", "render"),
    ],
)
def test_a_stranger_finds_nothing(
    api: APIClient, api_for: ApiFor, stranger: Account, method: str, path: str
) -> None:
    bot = made(api)
    answer = getattr(api_for(stranger), method)(f"{URL}/{bot['id']}/{path}")
    assert answer.status_code == 404
    assert TwilioConfigVersion.objects.count() == 1
