"""The pages of this release in headless Chromium: they render, log no error and ask nobody else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import User

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        # Playwright's loop runs in this thread, which Django takes for an async context.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


class Visitor:
    """A page that remembers what went wrong on it, and whom it asked."""

    def __init__(self, page: Page, server: LiveServer) -> None:
        self.page = page
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self._home = server.url
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._request)

    def open(self, path: str) -> None:
        self.page.goto(self._home + path, wait_until="networkidle")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._home, "data:", "blob:")):
            self.strangers.append(request.url)


@pytest.fixture(params=[(360, 740), (1280, 800)], ids=["phone", "desktop"])
def visitor(
    browser: Browser, live_server: LiveServer, request: pytest.FixtureRequest
) -> Iterator[Visitor]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    yield Visitor(context.new_page(), live_server)
    context.close()


def test_the_api_is_documented(visitor: Visitor) -> None:
    visitor.open("/docs")
    visitor.page.wait_for_selector("text=/twilio-config")
    assert visitor.errors == []
    assert visitor.strangers == []


def test_an_operator_logs_in_and_sees_bots_and_calls(visitor: Visitor) -> None:
    User.objects.create_superuser("ada", password="a long enough password")
    visitor.open("/admin/")
    visitor.page.fill("#id_username", "ada")
    visitor.page.fill("#id_password", "a long enough password")
    visitor.page.click("input[type=submit]")
    for name in ("Accounts", "Bots", "Calls"):
        assert visitor.page.get_by_role("link", name=name, exact=True).first.is_visible()
    assert visitor.errors == []
    assert visitor.strangers == []
