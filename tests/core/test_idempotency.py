"""A POST that is sent again is answered again, and done once."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Account
from apps.bots import services, viewsets
from apps.bots.models import TwilioConfig
from apps.core import idempotency
from apps.core.idempotency import Answered, attempt_close, attempt_open
from apps.core.models import IdempotentAnswer
from tests.conftest import BODY, ApiFor

URL = "/twilio-config"
OTHER = {**BODY, "name": "Back desk"}


def _post(api: APIClient, body: Any = BODY, *, key: str = "order-1", url: str = URL) -> Any:
    return api.post(url, body, headers={"idempotency-key": key})


def _age(**of: Any) -> None:
    IdempotentAnswer.objects.update(**{name: timezone.now() - age for name, age in of.items()})


def test_the_same_request_gets_the_same_answer_to_the_byte(api: APIClient) -> None:
    first, second = _post(api), _post(api)
    assert first.status_code == second.status_code == 201
    assert second.content == first.content
    for name in ("Location", "ETag", "Content-Type"):
        assert second[name] == first[name]
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert second["X-Request-Id"] != first["X-Request-Id"]
    assert TwilioConfig.objects.count() == 1


@pytest.mark.parametrize(("body", "url"), [(OTHER, URL), (BODY, URL + "/"), (BODY, URL + "?x=1")])
def test_the_key_of_another_request_is_a_422(api: APIClient, body: Any, url: str) -> None:
    _post(api)
    answer = _post(api, body, url=url)
    assert answer.status_code == 422
    assert answer.json()["error"] == "unprocessable-error"
    assert TwilioConfig.objects.count() == 1


def test_one_that_is_still_in_flight_is_a_409(api: APIClient) -> None:
    _post(api)
    IdempotentAnswer.objects.update(state="in-flight", status=None)
    answer = _post(api)
    assert answer.status_code == 409
    assert answer.json()["error"] == "conflict-error"
    assert answer["Retry-After"] == "1"


def test_one_that_crashed_is_taken_over(api: APIClient) -> None:
    _post(api)
    IdempotentAnswer.objects.update(state="in-flight", status=None)
    _age(leased_until=timedelta(seconds=1))
    assert _post(api, OTHER).status_code == 422
    answer = _post(api)
    assert (answer.status_code, TwilioConfig.objects.count()) == (201, 2)
    assert _post(api).content == answer.content


def test_whoever_was_taken_over_keeps_nothing(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = services.config_create

    def slow(**kwargs: Any) -> Any:
        # Its lease runs out while it works, and a retry comes.
        monkeypatch.setattr(viewsets, "config_create", made)
        _age(leased_until=timedelta(seconds=1))
        answers.append(_post(api))
        return made(**kwargs)

    answers: list[Any] = []
    monkeypatch.setattr(viewsets, "config_create", slow)
    late = _post(api)
    assert late.json()["id"] != answers[0].json()["id"]
    assert _post(api).content == answers[0].content


def test_one_that_was_answered_just_before_it_was_taken_over_stays(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _post(api)
    IdempotentAnswer.objects.update(state="in-flight", status=None)
    judge = idempotency._is_void

    def too_late(*args: Any) -> bool:
        found = judge(*args)
        IdempotentAnswer.objects.update(state="done", status=201)
        return found

    _age(leased_until=timedelta(seconds=1))
    monkeypatch.setattr(idempotency, "_is_void", too_late)
    assert _post(api).content == first.content
    assert TwilioConfig.objects.count() == 1


def test_bytes_that_are_no_text_come_back_as_they_were(db: None) -> None:
    every = bytes(range(256))
    scope = {"scope": "a", "key": "k", "fingerprint": "f"}
    attempt_close(attempt=attempt_open(**scope), response=HttpResponse(every))
    with pytest.raises(Answered) as found:
        attempt_open(**scope)
    assert found.value.response.content == every


def test_a_key_lives_for_a_day(api: APIClient) -> None:
    _post(api)
    _age(created_at=timedelta(hours=23, minutes=59))
    assert _post(api)["Idempotency-Replayed"] == "true"
    _age(created_at=timedelta(hours=24))
    assert "Idempotency-Replayed" not in _post(api, OTHER)
    assert TwilioConfig.objects.count() == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "café", "tab\t"])
def test_a_malformed_key_is_a_400_that_names_the_header(api: APIClient, key: str) -> None:
    answer = _post(api, key=key)
    assert answer.status_code == 400
    assert answer.json()["fields"].keys() == {"Idempotency-Key"}
    assert not TwilioConfig.objects.exists()


def test_the_longest_key_is_taken(api: APIClient) -> None:
    assert _post(api, key="~" * 255).status_code == 201


def test_a_refused_body_is_refused_again(api: APIClient) -> None:
    first = _post(api, {"config": {}})
    again = _post(api, {"config": {}})
    assert (first.status_code, again.content) == (400, first.content)
    assert again["Idempotency-Replayed"] == "true"
    assert _post(api).status_code == 422


def test_after_an_error_of_ours_a_retry_runs(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("a bug")

    api.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(viewsets, "config_create", broken)
        assert _post(api).status_code == 500
    assert _post(api).status_code == 201


def test_what_was_not_allowed_leaves_nothing_behind(db: None) -> None:
    assert _post(APIClient()).status_code == 401
    assert not IdempotentAnswer.objects.exists()


def test_a_wrong_method_leaves_nothing_behind(api: APIClient) -> None:
    assert _post(api, url=f"{URL}/{uuid.uuid4()}").status_code == 405
    assert not IdempotentAnswer.objects.exists()


def test_a_stranger_has_keys_of_its_own(
    api: APIClient, api_for: ApiFor, account: Account, stranger: Account
) -> None:
    first = _post(api)
    assert _post(api_for(stranger)).json()["id"] != first.json()["id"]
    assert _post(api_for(account)).content == first.content


def test_other_methods_and_posts_without_a_key_keep_nothing(api: APIClient) -> None:
    api.get(URL, headers={"idempotency-key": "order-1"})
    api.post(URL, BODY)
    assert not IdempotentAnswer.objects.exists()


def test_a_kept_answer_is_not_readable_in_the_database(api: APIClient) -> None:
    _post(api)
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM core_idempotentanswer")
        (stored,) = cursor.fetchone()
    assert stored.startswith("gAAAA")


def test_an_answer_under_a_lost_encryption_key_is_a_409(api: APIClient, settings: Settings) -> None:
    _post(api)
    settings.ENCRYPTION_KEYS = ["b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q="]
    assert _post(api).status_code == 409


def test_text_of_any_script_comes_back_as_it_was(api: APIClient) -> None:
    body = {**BODY, "name": "Zimmer 4 – 東京 🛎"}
    assert _post(api, body).content == _post(api, body).content
    assert json.loads(_post(api, body).content)["name"] == body["name"]


def test_it_costs_three_queries(api: APIClient, django_assert_num_queries: Any) -> None:
    scope = {"scope": "a", "key": "k", "fingerprint": "f"}
    with django_assert_num_queries(2):
        attempt_open(**scope)
    with pytest.raises(Exception, match="still being worked on"), django_assert_num_queries(2):
        attempt_open(**scope)


def test_old_answers_are_purged(api: APIClient, capsys: pytest.CaptureFixture[str]) -> None:
    _post(api)
    _age(created_at=timedelta(hours=25))
    _post(api, key="order-2")
    call_command("purge_idempotency")
    assert capsys.readouterr().out == "1 removed\n"
    assert IdempotentAnswer.objects.get().key == "order-2"
