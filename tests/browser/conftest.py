"""Pages in headless Chromium, served by the real ASGI application over a real port."""

from __future__ import annotations

import asyncio
import gc
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Route,
    sync_playwright,
)

from apps.accounts.audit import Actor
from apps.accounts.models import Account, User
from apps.accounts.services import membership_put
from tests.support.login import session_of

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"),
    *("--disable-quic", "--no-first-run", "--disable-component-update"),
    # Anybody's but the machine's own: asking for them would wait for a name server.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    # A page may ask for a microphone; the file of it is a test's own, see test_talk.
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
    "--autoplay-policy=no-user-gesture-required",
]
PHONE, DESKTOP = (360, 740), (1280, 800)
# What axe calls these keeps somebody out.
GRAVE = frozenset(("serious", "critical"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" not in str(item.path):
            continue
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.django_db(transaction=True))
        # A browser that goes on leaves answers half read; their files are closed when collected.
        item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
        item.add_marker(
            pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
        )
        if CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        # Playwright's loop runs in this thread, which Django takes for an async context.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


class Server(uvicorn.Server):
    """Says when it is there."""

    def __init__(self, config: uvicorn.Config, ready: Future[int]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._ready.set_result(self.servers[0].sockets[0].getsockname()[1])


@pytest.fixture
def site(transactional_db: None, settings: Any) -> Iterator[str]:
    """The whole application on a port of its own, media socket included; yields its origin."""
    from apps.gateway.runtime import gateway_close
    from botsconfig.asgi import application

    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    settings.SECURE_HSTS_SECONDS = 0
    ready: Future[int] = Future()
    config = uvicorn.Config(
        application, port=0, ws="websockets-sansio", lifespan="off", log_config=None
    )
    server = Server(config, ready)

    async def serve() -> None:
        await server.serve()
        await gateway_close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    origin = f"http://127.0.0.1:{ready.result(20)}"
    settings.PUBLIC_URL = origin
    settings.STREAM_URL = origin.replace("http", "ws", 1) + "/media/twilio"
    yield origin
    server.should_exit = True
    thread.join(20)
    gc.collect()  # here, where such warnings are let pass


# Notes how far what is shown moved by itself, and what the policy refused.
WATCH = """
window.bcShift = 0;
window.bcRefused = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.bcShift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
document.addEventListener("securitypolicyviolation", (event) => {
  window.bcRefused.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""
# Below 0.1 is "good" (web.dev, Cumulative Layout Shift); below this nobody sees it.
MOST_SHIFT = 0.02


class Visitor:
    """A page that remembers what went wrong on it, and whom it asked."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.context = context
        context.add_init_script(WATCH)
        self.page: Page = context.new_page()
        self.origin = origin
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._request)

    def open(self, path: str) -> None:
        self.page.goto(self.origin + path, wait_until="load")

    def clean(self, *, forgive: str = "") -> None:
        """Nothing went wrong so far, nobody else was asked, and axe finds nothing grave here.

        forgive: errors in the console that match this pattern are the test's own doing.
        """
        left = [text for text in self.errors if not forgive or not re.search(forgive, text)]
        assert left == []
        assert self.strangers == []
        assert self.page.evaluate("window.bcRefused") == []
        assert self.page.evaluate("window.bcShift") < MOST_SHIFT
        self.accessible()
        self.fits()

    def accessible(self) -> None:
        """Axe finds nothing serious on the page as it is now."""
        found = Axe().run(self.page).response["violations"]
        grave = [
            f"{rule['id']}: {rule['help']}: {node['html'][:300]}"
            for rule in found
            if rule["impact"] in GRAVE
            for node in rule["nodes"][:3]
        ]
        assert grave == []

    def fits(self) -> None:
        """The page is no wider than its window."""
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], f"{width[0]} px of content in a window of {width[1]}"

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.strangers.append(request.url)


def _login(context: BrowserContext, origin: str, user: User) -> None:
    """Give a context the session that the login page would give it."""
    session = session_of(user)
    cookie = {"name": django_settings.SESSION_COOKIE_NAME, "value": session.session_key}
    context.add_cookies([{**cookie, "url": origin}])  # type: ignore[typeddict-item]


def until(page: Page, truth: str) -> None:
    """Wait until an expression holds. Playwright's own way needs ``eval``, which pages forbid."""
    for _ in range(600):
        if page.evaluate(truth):
            return
        page.wait_for_timeout(25)
    raise AssertionError(truth)


VisitorFor = Callable[..., Visitor]


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Both widths; a test that parametrizes it itself looks at one."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def visitor_for(browser: Browser, site: str, size: tuple[int, int]) -> Iterator[VisitorFor]:
    """Make a visitor: ``visitor_for()`` nobody, ``visitor_for("superuser")``, or
    ``visitor_for("viewer", account)``; more goes to the browser's context (color_scheme=…)."""
    contexts: list[BrowserContext] = []

    def make(role: str = "", account: Account | None = None, **options: Any) -> Visitor:
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        if role:
            name = f"{role}-{User.objects.count()}"
            user = User.objects.create(
                username=name, is_staff=True, is_superuser=role == "superuser"
            )
            if account is not None and role != "superuser":
                membership_put(account=account, user=user, role=role, actor=Actor())
            _login(context, site, user)
        return Visitor(context, site)

    yield make
    for context in contexts:
        context.close()


__all__ = ("DESKTOP", "PHONE", "Route", "Visitor", "VisitorFor", "until")
