"""The pages about bots: who sees and does what, and what stands there."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, User
from apps.accounts.services import membership_put
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.services import Write, config_create, config_delete, config_patch
from tests.calls.test_calls_api import make_call
from tests.conftest import BODY
from tests.dashboard.bots.conftest import SECRET, VENDOR_KEY, form_of, sent_by, version_of
from tests.dashboard.people import ROLES, WRITERS, Login, text, told

LIST = "/admin/bots/twilioconfig/"
ADD = f"{LIST}add/"


def at(config: TwilioConfig, page: str = "change") -> str:
    return f"{LIST}{config.pk}/{page}/"


def sent(config: TwilioConfig, **texts: str) -> dict[str, str]:
    """The editor's form as a browser sends it, with some texts changed."""
    form = sent_by(form_of(config)) | {"bot": str(config.pk), "do": "publish"}
    return form | {"version": str(version_of(config).number)} | texts


PAGES = ("change", "connect", "versions", "versions/1", "render")


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_and_writers_alone_save(as_: Login, full: TwilioConfig, role: str) -> None:
    client = as_(full.account, role)
    for page in PAGES:
        assert client.get(at(full, page)).status_code == 200, page
    answer = client.post(at(full), sent(full, name="New"))
    assert answer.status_code == (302 if role in WRITERS else 403)
    assert (version_of(full).number == 2) is (role in WRITERS)


WRITES = ("rotate", "versions/1/restore", "versions/2/publish", "delete", "tools/book/try")


def test_a_viewer_changes_nothing(as_: Login, full: TwilioConfig) -> None:
    config_patch(Write(full.account, full.pk, Actor(), publish=False), {"name": "Draft"})
    client = as_(full.account, "viewer")
    before = AuditEntry.objects.count()
    for page in WRITES:
        assert client.post(at(full, page), {"grace_seconds": "0"}).status_code == 403, page
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, {"config.llm.prompt": "x"}).status_code == 403
    assert client.post(f"{LIST}hear/", {"bot": str(full.pk)}).status_code == 403
    assert AuditEntry.objects.count() == before


def test_a_viewer_is_given_no_button_that_saves(as_: Login, full: TwilioConfig) -> None:
    page = as_(full.account, "viewer").get(at(full)).content.decode()
    assert 'fieldset class="bc-plain" disabled' in page
    assert 'name="do"' not in page
    assert "data-adds" not in page
    assert "data-hear" not in page


@pytest.mark.parametrize("page", [*PAGES, *WRITES, "undelete"])
def test_a_stranger_finds_nothing_of_ours(
    as_: Login, full: TwilioConfig, stranger: Account, page: str
) -> None:
    config_patch(Write(full.account, full.pk, Actor(), publish=False), {"name": "Draft"})
    client = as_(stranger, "owner")
    asked: Callable[..., Any] = client.get if page in PAGES else client.post
    assert asked(at(full, page)).status_code == 404
    assert client.post(f"{LIST}hear/", sent(full)).status_code == 404
    query = f"?bot={full.pk}&version=1&config.tts.provider=local"
    assert client.get(f"{LIST}slot/tts/{query}").status_code == 404
    assert client.get(f"{LIST}slot/tts/?account={full.account_id}").status_code == 404


def test_who_is_in_two_accounts_writes_where_they_may(
    as_: Login, full: TwilioConfig, stranger: Account
) -> None:
    client = as_(stranger, "owner")
    membership_put(account=full.account, user=User.objects.get(), role="viewer", actor=Actor())
    assert client.get(at(full)).status_code == 200
    assert 'id="new-account"' not in client.get(ADD).content.decode()  # theirs alone
    assert client.post(at(full), sent(full, name="New")).status_code == 403
    assert client.post(at(full, "delete")).status_code == 403
    answer = client.post(ADD, {"account": str(full.account_id), "config.llm.prompt": "x"})
    assert answer.status_code == 404


def test_no_page_holds_a_secret(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "owner")
    client.post(at(full), sent(full, **{"tools-1-header-0-value": "Bearer another-secret"}))
    refused = client.post(
        at(full),
        sent(full, **{"tools-1-header-0-value": "Bearer third-secret", "config.llm.prompt": ""}),
    )
    pages = [refused, *(client.get(at(full, page)) for page in (*PAGES, "versions/2"))]
    for page in pages:
        text = page.content.decode()
        for secret in (SECRET, VENDOR_KEY, "another-secret", "third-secret", "Ritz of old"):
            assert secret not in text


def row_of(page: Any, control: str) -> str:
    """The header's row in a page, by the name of a control in it."""
    text: str = page.content.decode()
    return next(row for row in text.split("<li ") if f'name="{control}"' in row)


@pytest.mark.parametrize("stale", [False, True])
def test_a_typed_header_is_asked_for_again_before_anything_is_saved(
    as_: Login, full: TwilioConfig, stale: bool
) -> None:
    client = as_(full.account, "operator")
    typed = {"tools-1-header-0-value": "Bearer typed"}
    wrong = {} if stale else {"config.turns.stop_secs": "99"}
    mine = sent(full, name="Mine")
    if stale:
        config_patch(Write(full.account, full.pk, Actor()), {"max_duration": 700})
        mine["onto"] = "1"
    page = client.post(at(full), mine | typed | wrong)
    row = row_of(page, "tools-1-header-0-value")
    assert "Type it again" in row
    assert 'name="tools-1-header-0-again"' in row
    assert "empty keeps it" not in row
    assert "empty keeps it" in row_of(page, "tools-1-header-1-value")
    number = version_of(full).number
    again = mine | {"tools-1-header-0-again": "true", "onto": str(number)}
    page = client.post(at(full), again)
    assert "Type it again" in row_of(page, "tools-1-header-0-value")
    assert version_of(full).number == number
    assert client.post(at(full), again | typed).status_code == 302
    assert version_of(full).secrets["tool_headers"]["book"]["Authorization"] == "Bearer typed"


@pytest.mark.parametrize("given_up", ["keep", "gone"])
def test_a_typed_header_is_given_up(as_: Login, full: TwilioConfig, given_up: str) -> None:
    client = as_(full.account, "operator")
    asked = {"tools-1-header-0-again": "true", f"tools-1-header-0-{given_up}": "true"}
    assert client.post(at(full), sent(full, name="New", **asked)).status_code == 302
    found = version_of(full).secrets["tool_headers"]["book"]
    assert found.get("Authorization") == (SECRET if given_up == "keep" else None)


def test_a_new_header_is_not_stored_without_its_value(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    new = {"tools-2-header-1000-name": "X-Key"}
    page = client.post(at(full), sent(full, **new, **{"tools-2-header-1000-value": ""}))
    assert "Give its value." in row_of(page, "tools-2-header-1000-value")
    page = client.post(
        at(full), sent(full, name="x" * 201, **new, **{"tools-2-header-1000-value": "hush"})
    )
    assert "Type it again" in row_of(page, "tools-2-header-1000-value")
    assert version_of(full).number == 1
    given_up = sent(full, name="New")
    assert client.post(at(full), given_up).status_code == 302


def test_a_header_without_an_address_is_not_dropped_without_a_word(
    as_: Login, full: TwilioConfig
) -> None:
    client = as_(full.account, "operator")
    new = {"tools-0-header-1000-name": "X-Key", "tools-0-header-1000-value": "hush"}
    page = client.post(at(full), sent(full, **new)).content.decode()
    assert "Where are its headers to be sent?" in page
    assert version_of(full).number == 1


def test_saving_makes_a_version_and_says_so(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    answer = client.post(at(full), sent(full, **{"config.llm.prompt": "Be new."}))
    assert answer.status_code == 302
    assert "takes calls as version 2" in told(answer)
    version = version_of(full)
    assert version.author is not None
    assert version.author.username.startswith("operator")
    assert version.document["llm"]["prompt"] == "Be new."


def test_a_draft_takes_no_calls(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    client.post(at(full), sent(full, name="Draft", do="draft"))
    full.refresh_from_db()
    assert full.current is not None
    assert (full.current.number, full.latest_number) == (1, 2)
    assert "draft" in client.get(at(full)).content.decode()


def test_a_refused_save_keeps_every_text_and_marks_the_field(
    as_: Login, full: TwilioConfig
) -> None:
    client = as_(full.account, "operator")
    wrong = {"config.turns.stop_secs": "99", "config.llm.prompt": "My <new> prompt"}
    page = client.post(at(full), sent(full, **wrong)).content.decode()
    assert "My &lt;new&gt; prompt" in page
    control = page[page.index('name="config.turns.stop_secs"') :].partition(">")[0]
    assert 'aria-invalid="true"' in control
    assert 'value="99"' in control
    assert "less than or equal to 3" in page
    assert version_of(full).number == 1


def test_a_draft_that_is_put_back_is_shown_and_not_saved(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    mine = {"name": "Mine", "do": "show", "tools-1-header-0-again": "true"}
    page = client.post(at(full), sent(full, **mine))
    assert 'value="Mine"' in text(page)
    assert "data-unsaved" in text(page)
    assert "Type it again" in row_of(page, "tools-1-header-0-value")
    assert version_of(full).number == 1
    made = {"account": str(full.account_id), "name": "New one", "do": "show"}
    assert 'value="New one"' in text(client.post(ADD, made))
    assert not TwilioConfig.objects.filter(name="New one").exists()
    viewer = as_(full.account, "viewer")
    assert viewer.post(at(full), sent(full, **mine)).status_code == 403


def test_a_stale_save_keeps_the_text_and_shows_what_changed(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    mine = sent(full, **{"config.llm.prompt": "Mine."})
    config_patch(Write(full.account, full.pk, Actor()), {"name": "Theirs"})
    page = client.post(at(full), mine).content.decode()
    assert "Version 2 was saved while you were editing version 1" in page
    assert "Mine." in page
    assert "Theirs" in page
    assert version_of(full).number == 2
    answer = client.post(at(full), {**mine, "onto": "2"})
    assert answer.status_code == 302
    document = version_of(full).document
    assert (document["name"], document["llm"]["prompt"]) == ("Theirs", "Mine.")


def test_what_json_cannot_say_is_refused_and_the_editor_stays(
    as_: Login, full: TwilioConfig
) -> None:
    client = as_(full.account, "operator")
    half = r'{"type": "object", "description": "\ud83d"}'
    page = client.post(at(full), sent(full, **{"tools-1-parameters": half})).content.decode()
    assert "low surrogate" in page
    assert version_of(full).number == 1
    assert client.get(at(full)).status_code == 200


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL stores no such text")
def test_a_bot_that_holds_half_a_character_can_be_mended(as_: Login, account: Account) -> None:
    draft = draft_read(BODY)
    draft.document["metadata"] = {"mood": "\ud83d"}
    config = config_create(account=account, draft=draft, actor=Actor())
    client = as_(account, "operator")
    assert r"\ud83d" in client.get(at(config)).content.decode()
    assert client.post(at(config), sent(config, metadata="{}")).status_code == 302
    assert version_of(config).document["metadata"] == {}
    assert client.get(at(config, "versions/2")).status_code == 200
    entry = AuditEntry.objects.filter(target_id=str(config.pk)).latest("created_at")
    log = as_(account, "owner").get(f"/admin/accounts/auditentry/{entry.pk}/change/")
    assert r"\ud83d" in log.content.decode()


def test_a_version_that_never_was_is_not_saved_over(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    for number in ("99", "x", "-1", "9" * 40):
        assert client.post(at(full), sent(full, version=number)).status_code == 404


def test_a_new_bot_is_made_and_leads_to_its_twiml(as_: Login, account: Account) -> None:
    client = as_(account, "operator")
    assert client.get(ADD).status_code == 200
    form = {
        "account": str(account.pk),
        "name": "Helper",
        "config.llm.prompt": "Help.",
        "do": "publish",
    }
    answer = client.post(ADD, form)
    config = TwilioConfig.objects.get(name="Helper")
    assert answer["Location"] == at(config, "connect") + "#saved"
    page = client.get(at(config, "connect")).content.decode()
    assert "&lt;Stream" in page
    assert str(config.pk) in page
    assert config.stream_token in page


def test_who_writes_in_two_accounts_says_whose_bot_it_is(
    as_: Login, account: Account, stranger: Account
) -> None:
    client = as_(account, "operator")
    membership_put(account=stranger, user=User.objects.get(), role="operator", actor=Actor())
    assert 'id="new-account"' in client.get(ADD).content.decode()
    form = {"account": str(stranger.pk), "name": "Theirs", "config.llm.prompt": "Help."}
    client.post(ADD, form)
    assert TwilioConfig.objects.get(name="Theirs").account == stranger


def test_a_bot_with_all_that_it_may_have_is_saved(as_: Login, account: Account) -> None:
    variables = {f"v{n}": {"default": str(n)} for n in range(200)}
    tools = [{"name": f"t{n}"} for n in range(64)]
    headers = {"X-A": "first", "X-B": "second"}
    hooks = {f"t{n}": {"url": "https://a.example", "custom_headers": headers} for n in range(64)}
    transfers = {f"p{n}": {"to": "+4930123456"} for n in range(50)}
    llm = {**BODY["config"]["llm"], "tools": tools}
    more = {"llm": llm, "variables": variables, "transfers": transfers}
    body = {**BODY, "config": {**BODY["config"], **more}, "webhook_tools": hooks}
    config = config_create(account=account, draft=draft_read(body), actor=Actor())
    before = version_of(config)
    client = as_(account, "operator")
    assert client.post(at(config), sent(config, name="New")).status_code == 302
    assert version_of(config).document == {**before.document, "name": "New"}
    assert version_of(config).secrets == before.secrets


def test_another_provider_brings_its_own_fields(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    query = {"bot": str(full.pk), "version": "1", "config.tts.provider": "elevenlabs"}
    part = client.get(f"{LIST}slot/tts/", query).content.decode()
    assert 'name="config.tts.stability"' in part
    assert "needs a key, and none is stored" in part
    assert 'name="for.tts" value="elevenlabs"' in part
    own = client.get(f"{LIST}slot/llm/", query | {"config.llm.provider": "openai"})
    assert "brings its own key" in own.content.decode()
    assert VENDOR_KEY not in own.content.decode()


def _wav(answer: Any) -> np.ndarray[Any, Any]:
    with wave.open(io.BytesIO(answer.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def test_a_voice_that_is_not_saved_is_heard(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    slow, quick = (
        _wav(client.post(f"{LIST}hear/", sent(full, **{"config.tts.character_ms": pace})))
        for pace in ("60", "20")
    )
    assert np.abs(slow.astype(int)).max() > 1_000
    assert len(slow) > 2 * len(quick)
    assert version_of(full).number == 1


def test_why_a_voice_is_not_heard_is_said_in_words(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    other = {"config.tts.provider": "elevenlabs", "for.tts": "elevenlabs"}
    answer = client.post(f"{LIST}hear/", sent(full, **other))
    assert "no key is stored" in answer.json()["error"]
    wrong = sent(full, **{"config.tts.character_ms": "slow"})
    assert "config.tts.character_ms" in client.post(f"{LIST}hear/", wrong).json()["error"]


def test_versions_are_published_and_restored(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    client.post(at(full), sent(full, name="Second", do="draft"))
    assert "Publish" in client.get(at(full, "versions")).content.decode()
    answer = client.post(at(full, "versions/2/publish"))
    assert "To undo it, restore version 1." in told(answer)
    full.refresh_from_db()
    assert full.name == "Second"
    client.post(at(full, "versions/1/restore"))
    full.refresh_from_db()
    assert (full.name, full.latest_number) == ("Front desk", 3)
    assert version_of(full).secrets["tool_headers"]["book"]["Authorization"] == SECRET
    assert "newer version" in told(client.post(at(full, "versions/2/publish")))


def test_a_version_shows_its_diff_by_words(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    prompt = "You are {{hotel}}'s back desk.\n\nBe brief."
    changed = {"config.llm.prompt": prompt, "max_duration": "901", "tools-1-header-0-value": "x"}
    client.post(at(full), sent(full, **changed))
    page = client.get(at(full, "versions/2")).content.decode()
    assert "<del>front</del>" in page
    assert "<ins>back</ins>" in page
    assert "<del>900</del>" in page
    assert "<ins>901</ins>" in page
    assert page.count("A secret changed; it is not shown.") == 1
    assert "Compared with version" in page
    assert "Nothing differs" in client.get(at(full, "versions/2") + "?to=2").content.decode()
    assert client.get(at(full, "versions/3")).status_code == 404


def test_a_token_is_rotated_with_its_grace(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    old = full.stream_token
    client.post(at(full, "rotate"), {"grace_seconds": "3600"})
    full.refresh_from_db()
    assert full.previous_stream_token == old
    assert full.stream_token != old
    assert (
        "The token before this one works until" in client.get(at(full, "connect")).content.decode()
    )
    client.post(at(full, "rotate"), {"grace_seconds": "many"})
    token = full.stream_token
    full.refresh_from_db()
    assert full.stream_token == token


def test_a_deleted_bot_is_put_back(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    page = client.get(at(full, "delete")).content.decode()
    assert "not in service" in page
    assert "It can be undone" in page
    assert client.post(at(full, "delete")).status_code == 302
    assert "is deleted" in client.get(LIST).content.decode()
    assert "Front desk" not in client.get(LIST).content.decode()
    assert client.get(at(full, "connect")).status_code == 404
    assert client.post(at(full), sent(full)).status_code in (200, 404)
    assert "Front desk" in client.get(f"{LIST}?deleted=yes").content.decode()
    assert "Put it back into service" in client.get(at(full)).content.decode()
    client.post(at(full, "undelete"))
    assert client.get(at(full, "connect")).status_code == 200
    assert client.post(at(full, "undelete")).status_code == 404


def test_the_preview_fills_in_what_a_call_brings(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "viewer")
    query = {"from": "+4930123456", "variables": json.dumps({"hotel": "the Savoy"})}
    page = client.get(at(full, "render"), query).content.decode()
    assert "Welcome to the Savoy." in page
    page = client.get(at(full, "render"), {"from": "me", "variables": "[]"}).content.decode()
    assert "E.164" in page
    assert "A JSON object of names and values." in page


def test_a_tool_is_tried(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    path = at(full, "tools/look_up/try")
    for wrong in ("{", '{"a": 1e999}', '{"a": "\\ud83d"}', f'{{"a": {"9" * 5_000}}}'):
        assert "no JSON" in client.post(path, {"arguments": wrong}).content.decode()
    page = client.post(path, {"arguments": "{}"}).content.decode()
    assert "https://hotel.example/look" in page  # a name that leads nowhere: failed, and said so
    assert "failed" in page
    missing = client.post(at(full, "tools/nothing/try"), {"arguments": "{}"})
    assert "No webhook_tools of this name" in missing.content.decode()


# --- the list ---


def test_the_list_says_what_is_wrong(as_: Login, full: TwilioConfig, config: TwilioConfig) -> None:
    client = as_(full.account, "viewer")
    full.name = "Elevens"
    full.save()
    now = timezone.now()
    make_call(config, started_at=now, ended_at=now, status="completed", end_reason="bot_ended")
    page = client.get(LIST).content.decode()
    assert "No key for Deepgram." in page  # openai's is the bot's own
    assert "OpenAI" not in page
    assert "bot_ended" in page


def test_calls_that_failed_make_a_bot_fail(as_: Login, config: TwilioConfig) -> None:
    client = as_(config.account, "viewer")
    now = timezone.now()
    for minutes in range(3):
        then = now - timedelta(minutes=minutes)
        ended = {"started_at": then, "ended_at": then, "status": "completed"}
        make_call(config, f"CA{minutes}", end_reason="provider_failure", **ended)
    page = client.get(LIST).content.decode()
    assert "The last 3 calls failed." in page
    make_call(config, "CA9", started_at=now + timedelta(minutes=1), status="in-progress")
    assert "failing" in client.get(LIST).content.decode()


def test_a_bot_without_a_published_version_is_a_draft(as_: Login, account: Account) -> None:
    config_create(account=account, draft=draft_read(BODY), actor=Actor(), publish=False)
    assert "draft only" in as_(account, "viewer").get(LIST).content.decode()


def test_the_list_finds_a_bot_by_name_and_by_id(
    as_: Login, config: TwilioConfig, full: TwilioConfig
) -> None:
    full.name = "Night desk"
    full.save()
    client = as_(config.account, "viewer")
    for asked in (str(full.pk), "night"):
        page = client.get(LIST, {"q": asked}).content.decode()
        assert at(full) in page
        assert at(config) not in page


def test_an_empty_list_says_what_to_do(as_: Login, account: Account) -> None:
    assert "Make your first bot" in as_(account, "operator").get(LIST).content.decode()
    assert "Make your first bot" not in as_(account, "viewer").get(LIST).content.decode()


def test_the_list_costs_the_same_for_many(
    as_: Login, account: Account, django_assert_max_num_queries: Any
) -> None:
    client = as_(account, "viewer")
    for number in range(20):
        config = config_create(account=account, draft=draft_read(BODY), actor=Actor())
        make_call(config, f"CA{number}")
    with django_assert_max_num_queries(15):
        assert client.get(LIST).status_code == 200


def test_the_editor_costs_few_queries(
    as_: Login, full: TwilioConfig, django_assert_max_num_queries: Any
) -> None:
    client = as_(full.account, "operator")
    with django_assert_max_num_queries(9):
        client.get(at(full))


def test_deleting_what_somebody_else_deleted_is_a_404(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    config_delete(Write(full.account, full.pk, Actor()))
    assert client.post(at(full, "delete")).status_code == 404
    assert TwilioConfigVersion.objects.filter(config=full).count() == 1
