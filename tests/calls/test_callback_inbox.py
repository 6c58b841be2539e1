"""POST /twilio/status and its like: signed, stored by one INSERT, answered 204, whatever comes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from prometheus_client import REGISTRY
from pytest_django import DjangoAssertNumQueries

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.accounts.services import account_create
from apps.calls.models import TwilioCallback, call_id
from tests.calls.twilio_side import SID, signs, tell

PATHS = {
    "/twilio/status": "status",
    "/twilio/stream-status": "stream",
    "/twilio/amd": "amd",
    "/twilio/recording": "recording",
}


@pytest.fixture
def signing(account: Account) -> Account:
    """Our account, whose Twilio signs."""
    return signs(account)


def refused(reason: str) -> float:
    name = "botsconfig_twilio_requests_refused_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", PATHS)
def test_a_callback_is_kept(client: Client, signing: Account, path: str, slash: str) -> None:
    answer = tell(client, signing, path + slash, CallSid="CA1", SequenceNumber="2")
    row = TwilioCallback.objects.get()
    assert (answer.status_code, answer.content) == (204, b"")
    assert (row.kind, row.sequence) == (PATHS[path], 2)
    assert row.call_id == call_id(account_id=signing.id, call_sid="CA1")
    assert row.fields == {"AccountSid": SID, "CallSid": "CA1", "SequenceNumber": "2"}


def test_it_is_one_insert_after_the_accounts_select(
    client: Client, signing: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2) as seen:
        tell(client, signing, "/twilio/status", CallSid="CA1")
    assert [query["sql"].split()[0] for query in seen.captured_queries] == ["SELECT", "INSERT"]


def test_the_url_names_the_row_of_a_call_that_we_dialled(client: Client, signing: Account) -> None:
    named = "5f2c5f0e-9d1f-4f0e-8d2c-3a9b6f7d1c12"
    tell(client, signing, "/twilio/status", call=named, CallSid="CA1")
    assert str(TwilioCallback.objects.get().call_id) == named


def test_a_delivery_that_comes_twice_is_kept_once(client: Client, signing: Account) -> None:
    codes = [
        tell(client, signing, "/twilio/status", CallSid="CA1", SequenceNumber="0").status_code
        for _ in range(3)
    ]
    assert codes == [204, 204, 204]
    assert TwilioCallback.objects.count() == 1


@pytest.mark.parametrize("path", ["/twilio/status", "/twilio/amd"])
def test_the_same_words_about_another_call_are_another_delivery(
    client: Client, signing: Account, path: str
) -> None:
    for call in ("5f2c5f0e-9d1f-4f0e-8d2c-3a9b6f7d1c12", "5f2c5f0e-9d1f-4f0e-8d2c-3a9b6f7d1c13"):
        tell(client, signing, path, call=call, CallSid="CA1")
    tell(client, signing, "/twilio/recording", CallSid="CA1")
    assert TwilioCallback.objects.count() == 3


@pytest.mark.parametrize("path", PATHS)
def test_what_is_not_signed_is_refused_and_counted(
    client: Client, signing: Account, path: str
) -> None:
    before = refused("signature_missing"), refused("signature_wrong")
    bare = client.post(f"{path}?account={signing.id}", {"CallSid": "CA1"})
    forged = client.post(
        f"{path}?account={signing.id}", {"CallSid": "CA1"}, headers={"X-Twilio-Signature": "x" * 28}
    )
    assert (bare.status_code, forged.status_code) == (403, 403)
    assert (refused("signature_missing"), refused("signature_wrong")) == (
        before[0] + 1,
        before[1] + 1,
    )
    assert not TwilioCallback.objects.exists()


@pytest.mark.parametrize("query", ["", "?account=", "?account=x", f"?account={'0' * 32}"])
def test_an_account_that_nobody_knows_is_refused(client: Client, db: None, query: str) -> None:
    assert client.post(f"/twilio/status{query}").status_code == 403


def test_a_stream_of_a_bin_that_names_no_account_is_passed_over(
    client: Client, db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert client.post("/twilio/stream-status", {"CallSid": "CA1"}).status_code == 204


def test_an_account_that_cannot_verify_is_passed_over_and_counted(client: Client, db: None) -> None:
    account = account_create(name="Bins alone", actor=Actor())
    before = refused("unverifiable")
    answer = client.post(f"/twilio/status?account={account.id}", {"CallSid": "CA1"})
    assert answer.status_code == 204
    assert refused("unverifiable") == before + 1
    assert not TwilioCallback.objects.exists()


def test_a_stranger_signs_for_itself_alone(
    client: Client, signing: Account, stranger: Account
) -> None:
    signs(stranger, "another")
    assert tell(client, stranger, "/twilio/status", CallSid="CA1").status_code == 403


@pytest.mark.parametrize("call", ["x", "5f2c5f0e-9d1f-4f0e-8d2c", "%00"])
def test_a_call_that_cannot_be_is_passed_over(client: Client, signing: Account, call: str) -> None:
    assert tell(client, signing, "/twilio/status", call=call, CallSid="CA1").status_code == 204
    assert not TwilioCallback.objects.exists()


def test_news_of_no_call_at_all_is_passed_over(client: Client, signing: Account) -> None:
    assert tell(client, signing, "/twilio/amd", AnsweredBy="human").status_code == 204
    assert not TwilioCallback.objects.exists()


@pytest.mark.parametrize("sequence", ["", "-1", "1e9", "99999999999999999999", "٣", "NaN", "\x00"])
def test_a_number_that_is_none_is_no_number(
    client: Client, signing: Account, sequence: str
) -> None:
    answer = tell(client, signing, "/twilio/status", CallSid="CA1", SequenceNumber=sequence)
    assert answer.status_code == 204
    assert TwilioCallback.objects.get().sequence is None


def test_what_a_database_refuses_is_left_out(client: Client, signing: Account) -> None:
    fields = {"From": "a\x00b", "Extra": "x" * 100_000, **{f"F{n}": "" for n in range(500)}}
    assert tell(client, signing, "/twilio/status", CallSid="CA1", **fields).status_code == 204
    kept = TwilioCallback.objects.get().fields
    assert kept["From"] == "ab"
    assert len(kept) == 100
    assert max(map(len, kept.values())) == 1_000


@pytest.mark.parametrize(
    "sent",
    [
        {"data": b"x" * 3_000_000, "content_type": "application/x-www-form-urlencoded"},
        {"data": b"a=1&" * 5_000, "content_type": "application/x-www-form-urlencoded"},
        {"data": b"\xff\xfe%00%ff=\x80", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"x", "content_type": "application/x-www-form-urlencoded; charset=utf-16"},
        {"data": b"x", "content_type": "multipart/form-data"},
        {"data": b"x", "content_type": "multipart/form-data; boundary=\xff"},
        {"data": b"\x00\xff", "content_type": "application/octet-stream"},
        {"data": b"{", "content_type": "application/json"},
        {"data": b"", "content_type": ""},
    ],
)
def test_nonsense_is_refused(client: Client, signing: Account, sent: dict[str, Any]) -> None:
    headers = {"X-Twilio-Signature": "ÿ"}
    answer = client.post(f"/twilio/status?account={signing.id}", headers=headers, **sent)
    assert answer.status_code in (400, 403, 413)


def test_of_a_field_that_is_repeated_the_last_one_counts(client: Client, signing: Account) -> None:
    statuses = ["ringing", "completed"]
    answer = tell(client, signing, "/twilio/status", CallSid="CA1", CallStatus=statuses)
    assert answer.status_code == 204
    assert TwilioCallback.objects.get().fields["CallStatus"] == "completed"


class Anything(TestCase):
    """Whatever is signed is taken, whatever it is."""

    @given(
        st.dictionaries(
            st.text(max_size=20).filter(lambda name: name not in ("", "AccountSid")),
            st.text(max_size=50),
            max_size=6,
        )
    )
    def test_a_signed_callback_never_fails(self, fields: dict[str, str]) -> None:
        account = account_create(name="Hotel", actor=Actor())
        signs(account)
        query_safe = {name: value for name, value in fields.items() if _travels(name + value)}
        for path in PATHS:
            answer = tell(Client(), account, path, **{"CallSid": "CA1", **query_safe})
            assert answer.status_code == 204


def _travels(text: str) -> bool:
    """A lone surrogate cannot be written as UTF-8 at all."""
    return text.encode("utf-8", "ignore").decode() == text
