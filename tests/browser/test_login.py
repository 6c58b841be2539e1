"""The way in, walked in a browser: password, authenticator app, recovery code, lock-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor, VisitorFor
from tests.support.login import PASSWORD, code, person

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
