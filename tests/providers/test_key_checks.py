"""Is a vendor's key good? Asked over real HTTP, of a server as strict as the vendors."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest

from apps.providers.key_checks import KEY_CHECKS, Verdict, key_check
from apps.providers.registry import PROVIDERS
from tests.support.vendors import EXPECTED, GOOD, Vendors, vendors_serve

BAD = "bad-key-0123456789"


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with vendors_serve() as serving:
        yield serving


async def ask(vendors: Vendors, name: str = "openai", key: str = GOOD) -> Verdict:
    return await key_check(name, key, bases=vendors.bases(), patience_s=5)


def test_every_check_is_of_a_provider_that_takes_a_key() -> None:
    takers = {found.name for found in PROVIDERS.values() if found.needs_key}
    assert KEY_CHECKS.keys() <= takers
    assert KEY_CHECKS.keys() == EXPECTED.keys()
    assert takers - KEY_CHECKS.keys() == {"custom_llm", "playht", "azure_tts", "aws_tts", "rime"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_a_good_key_is_told_from_a_bad_one(vendors: Vendors, name: str) -> None:
    good, bad = await ask(vendors, name), await ask(vendors, name, BAD)
    assert (good.ok, good.reason) == (True, "accepted")
    assert (bad.ok, bad.reason) == (False, "auth")
    assert good.latency_ms is not None and good.latency_ms >= 0
    assert BAD not in bad.info


@pytest.mark.parametrize(
    ("status", "ok", "reason"),
    [
        (401, False, "auth"),
        (403, False, "auth"),
        (400, None, "unexpected"),
        (404, None, "unexpected"),
        (429, None, "rate-limited"),
        (500, None, "unavailable"),
        (503, None, "unavailable"),
    ],
)
async def test_a_status_has_its_meaning(
    vendors: Vendors, status: int, ok: bool | None, reason: str
) -> None:
    vendors.status = status
    found = await ask(vendors)
    assert (found.ok, found.reason) == (ok, reason)
    assert str(status) in found.info


async def test_a_redirect_is_not_followed(vendors: Vendors) -> None:
    vendors.status = 302
    vendors.headers = {"Location": f"{vendors.url}/openai/elsewhere"}
    found = await ask(vendors)
    assert (found.ok, found.reason) == (None, "unexpected")
    assert vendors.asked == ["/openai/v1/models"]


async def test_a_vendor_that_says_nothing_is_waited_for_once(vendors: Vendors) -> None:
    vendors.silent.set()
    found = await key_check("openai", GOOD, bases=vendors.bases(), patience_s=0.2)
    assert (found.ok, found.reason) == (None, "unavailable")
    assert "TimeoutError" in found.info  # rather than the server's giving up


async def test_nobody_there_is_no_judgement_of_the_key() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        found = await key_check("openai", GOOD, bases={"openai": url}, patience_s=5)
    assert (found.ok, found.reason) == (None, "unavailable")


@pytest.mark.parametrize("key", ["with space", "two\nlines", "ключ", ""])
async def test_what_fits_into_no_header_is_not_sent(vendors: Vendors, key: str) -> None:
    found = await ask(vendors, key=key)
    assert (found.ok, found.reason) == (False, "malformed")
    assert vendors.asked == []


@pytest.mark.parametrize("name", ["custom_llm", "rime", "nobody"])
async def test_who_cannot_be_asked_is_said_to_be_so(vendors: Vendors, name: str) -> None:
    found = await ask(vendors, name)
    assert (found.ok, found.reason, found.latency_ms) == (None, "untestable", None)


async def test_a_service_account_is_no_key_that_could_be_tried(vendors: Vendors) -> None:
    verdict = await ask(vendors, "google_tts", '{"type": "service_account", "private_key": "…"}')
    assert (verdict.ok, verdict.reason) == (None, "untestable")
    assert vendors.asked == []


async def test_no_log_holds_the_key(vendors: Vendors, caplog: pytest.LogCaptureFixture) -> None:
    # The server hears these two from WARNING on; here they tell all they know.
    with caplog.at_level(logging.DEBUG, "httpx"), caplog.at_level(logging.DEBUG, "httpcore"):
        for name in EXPECTED:
            await ask(vendors, name)
    assert caplog.records
    assert GOOD not in caplog.text
