"""Which pages are shown, and how to get to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from playwright.sync_api import Page

Made = Mapping[str, str]


def _nothing(page: Page, made: Made) -> None:
    """The page is shown as it opens."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture. path: with ``{bot}``. then: what is done before it is taken. whole: all of the
    page, and not only what the window shows."""

    name: str
    path: str
    then: Callable[[Page, Made], None] = _nothing
    whole: bool = False

    def go(self, page: Page, base: str, made: Made) -> None:
        page.goto(base + self.path.format(**made))
        page.wait_for_load_state("load")
        self.then(page, made)
        page.wait_for_timeout(400)  # what fades in has done so


def _first_recorded(page: Page, made: Made) -> None:
    """From the list to the newest call, which was recorded."""
    page.locator(".bc-calls tbody a").first.click()
    page.wait_for_load_state("load")
    page.wait_for_timeout(1_500)


def _first_row(page: Page, made: Made) -> None:
    """From a list to the page of its first row."""
    page.locator("#result_list tbody a").first.click()
    page.wait_for_load_state("load")


PAGES = (
    Shot("home", "/admin/"),
    Shot("bots", "/admin/bots/twilioconfig/"),
    Shot("bot", "/admin/bots/twilioconfig/{bot}/change/"),
    Shot("versions", "/admin/bots/twilioconfig/{bot}/versions/"),
    Shot("connect", "/admin/bots/twilioconfig/{bot}/connect/"),
    Shot("talk", "/admin/bots/twilioconfig/{bot}/talk/"),
    Shot("calls", "/admin/calls/call/"),
    Shot("call", "/admin/calls/call/", _first_recorded, whole=True),
    Shot("numbers", "/admin/calls/phonenumber/"),
    Shot("webhooks", "/admin/webhooks/endpoint/", _first_row),
    Shot("keys", "/admin/accounts/apikey/"),
    Shot("settings", "/admin/accounts/account/", _first_row),
    Shot("security", "/admin/security/"),
    Shot("audit", "/admin/accounts/auditentry/"),
)
