"""The way in, walked in a browser: password, authenticator app, recovery code, lock-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from apps.accounts.models import User
from tests.browser.conftest import DESKTOP, Visitor, VisitorFor
from tests.support.login import PASSWORD, code, person, second_factor

# The browser says so itself of an answer 429.
FORGIVEN = "429"


@pytest.fixture(autouse=True)
def _nothing_counted(settings: Any) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    yield
    cache.clear()


def log_in(visitor: Visitor, password: str = PASSWORD, name: str = "ada") -> Page:
    """Fill in the login's form."""
    visitor.open("/admin/login/")
    page = visitor.page
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    return page


def enter_code(page: Page, text: str) -> None:
    page.get_by_label("Code").fill(text)
    page.get_by_role("button", name="Log in").click()


def set_up(visitor: Visitor) -> tuple[str, str]:
    """Set up an app, from the page that offers it. Returns its key and a recovery code."""
    page = visitor.page
    page.get_by_role("link", name="Set up an app").click()
    visitor.clean()
    assert page.get_by_alt_text("QR code").evaluate("image => image.naturalWidth") > 100
    page.get_by_text("Or type in this key").click()
    key = page.locator("#totp-key").inner_text()
    page.get_by_label("Code", exact=True).fill(code(key))
    page.get_by_role("button", name="Turn it on").click()
    recovery = page.locator("#recovery-codes li").first.inner_text()
    visitor.clean()
    page.get_by_role("link", name="Done").click()
    return key, recovery


def test_from_a_password_to_an_app_and_in_again(visitor_for: VisitorFor) -> None:
    person(is_superuser=True)
    visitor = visitor_for()
    page = log_in(visitor)
    page.wait_for_url("**/admin/")
    visitor.open("/admin/security/")
    visitor.clean()
    key, recovery = set_up(visitor)
    expect(page.get_by_text("asked for at every login")).to_be_visible()
    visitor.clean()
    page.context.clear_cookies()
    log_in(visitor)
    visitor.clean()
    enter_code(page, "000000")
    expect(page.get_by_text("This code is wrong")).to_be_visible()
    visitor.clean()
    enter_code(page, code(key, steps=1))
    page.wait_for_url("**/admin/")
    page.context.clear_cookies()
    log_in(visitor)
    enter_code(page, recovery)
    page.wait_for_url("**/admin/")
    visitor.clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_fails_too_often_is_told_how_long_to_wait(visitor_for: VisitorFor, scheme: str) -> None:
    person()
    visitor = visitor_for(color_scheme=scheme)
    visitor.open("/admin/login/")
    visitor.clean()
    for _ in range(5):
        page = log_in(visitor, "wrong")
    expect(page.get_by_text("again in 15 minutes")).to_be_visible()
    visitor.clean(forgive=FORGIVEN)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_of_security_is_in_order(visitor_for: VisitorFor, scheme: str) -> None:
    person(is_superuser=True)
    bob = person("bob")
    second_factor(bob)
    visitor = visitor_for(color_scheme=scheme)
    log_in(visitor).wait_for_url("**/admin/")
    second_factor(User.objects.get(username="ada"))
    paths = ["", "recovery-codes/", "recovery-codes/new/", "app/remove/", "sessions/"]
    paths = [f"security/{path}" for path in paths]
    paths += ["password_change/", "confirm/", "confirm/code/"]
    for path in (*paths, f"accounts/user/{bob.pk}/second-factor/"):
        visitor.open(f"/admin/{path}")
        visitor.clean()


def test_a_session_elsewhere_is_ended(visitor_for: VisitorFor) -> None:
    person()
    here, there = visitor_for(), visitor_for()
    for visitor in (here, there):
        log_in(visitor).wait_for_url("**/admin/")
    here.open("/admin/security/sessions/")
    here.page.get_by_role("button", name="End Chrome").click()
    expect(here.page.get_by_text("The session is ended.")).to_be_visible()
    here.clean()
    there.open("/admin/")
    expect(there.page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_menu_leads_to_security_and_out(visitor_for: VisitorFor) -> None:
    person()
    visitor = visitor_for()
    page = log_in(visitor)
    page.wait_for_url("**/admin/")
    if page.viewport_size and page.viewport_size["width"] < 1000:
        page.get_by_role("button", name="Show the menu").click()
    page.get_by_role("button", name="ada").click()
    page.get_by_role("link", name="Security").click()
    page.wait_for_url("**/admin/security/")
    visitor.clean()
    visitor.open("/admin/logout/")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()
    visitor.clean()


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_a_required_second_factor_comes_first(visitor_for: VisitorFor, settings: Any) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    person(is_superuser=True)
    visitor = visitor_for()
    page = log_in(visitor)
    page.wait_for_url("**/admin/security/app/")
    visitor.clean()
    page.get_by_text("Or type in this key").click()
    page.get_by_label("Code", exact=True).fill(code(page.locator("#totp-key").inner_text()))
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_role("link", name="Done").click()
    visitor.open("/admin/")
    page.wait_for_url("**/admin/")
    visitor.clean()


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_the_login_is_light(visitor_for: VisitorFor) -> None:
    visitor = visitor_for()
    sizes: list[int] = []
    visitor.page.on("requestfinished", lambda r: sizes.append(r.sizes()["responseBodySize"]))
    visitor.open("/admin/login/")
    visitor.page.wait_for_load_state("networkidle")
    assert len(sizes) <= 8
    assert sum(sizes) < 20_000


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_a_key_is_added_asked_for_and_removed(visitor_for: VisitorFor) -> None:
    person(is_superuser=True)
    visitor = visitor_for()
    # Browsers have no keys for addresses of numbers.
    visitor.origin = visitor.origin.replace("127.0.0.1", "localhost")
    _plug_in_a_key(visitor.page)
    page = log_in(visitor)
    page.wait_for_url("**/admin/")
    visitor.open("/admin/security/keys/add/")
    visitor.clean()
    page.get_by_label("Name of the key").fill("Blue key")
    page.get_by_role("button", name="Add it").click()
    page.wait_for_url("**/recovery-codes/")
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("Blue key")).to_be_visible()
    visitor.clean()
    page.context.clear_cookies()
    log_in(visitor)
    visitor.clean()
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url("**/admin/")
    visitor.open("/admin/security/")
    page.get_by_role("link", name="Remove Blue key").click()
    visitor.clean()
    page.get_by_role("button", name="Remove the key").click()
    expect(page.get_by_text("The key is removed.")).to_be_visible()
    page.context.clear_cookies()
    log_in(visitor).wait_for_url("**/admin/")


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_who_uses_no_key_is_told_so(visitor_for: VisitorFor) -> None:
    person()
    visitor = visitor_for()
    log_in(visitor).wait_for_url("**/admin/")
    visitor.open("/admin/security/keys/add/")
    # Over plain http, at an address of numbers, there is none.
    visitor.page.get_by_role("button", name="Add it").click()
    expect(visitor.page.get_by_text("No key was used.")).to_be_visible()
    visitor.clean()


def _plug_in_a_key(page: Page) -> None:
    """Chromium's own make-believe security key, which is touched at once."""
    tools = page.context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
    checked = {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": {**kind, **checked}})
