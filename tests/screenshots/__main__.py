"""``python -m tests.screenshots [--out FOLDER] [NAME …]``: pictures of the dashboard's pages."""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.benchmarks.servers import Server, free_port, gateway_server
from tests.screenshots.pages import PAGES, Shot

ROOT = Path(__file__).resolve().parents[2]
# As the documentation wants them, in WebP; in another folder, to look at, they are PNG.
FOLDER = ROOT / "docs" / "screenshots"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
THEMES = ("light", "dark")
FLAGS = ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream"]
FLAGS += ["--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required"]


@contextlib.contextmanager
def twilio_served(folder: Path) -> Iterator[dict[str, str]]:
    """Twilio's stand-in, mute; yields its URL and the account at it."""
    port, state = free_port(), folder / "simulator"
    command = [sys.executable, str(ROOT / "manage.py"), "run_simulator", "--port", str(port)]
    command += ["--proxy-port", "-1", "--state", str(state), "--mute", "--json"]
    environment = {**os.environ, "ENV_FILE": os.devnull, "DEBUG": "1", "SECRET_KEY": "x" * 60}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"ready"' in line:
                break
        found = json.loads((state / "credentials.json").read_text())
        try:
            yield {"url": f"http://127.0.0.1:{port}", **found}
        finally:
            process.terminate()


def seeded(server: Server, account_id: str, twilio: dict[str, str], more: dict[str, str]) -> Any:
    """Fill the server's database; returns what was made."""
    arguments = [account_id, twilio["account_sid"], twilio["auth_token"]]
    made = subprocess.run(
        [sys.executable, "-m", "tests.screenshots.seed", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=_environment(server, more),
    )
    return json.loads(made.stdout.splitlines()[-1])


def call_hold(server: Server, bot: str, more: dict[str, str]) -> None:
    """Hold one call for real, so that its page has sound to show."""
    command = [sys.executable, str(ROOT / "manage.py"), "simulate_call", bot, "--quiet"]
    command += ["--url", f"ws://127.0.0.1:{server.port}/media/twilio"]
    for words in ("What are your opening hours?", "How much is a check-up?"):
        command += ["--say", words]
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, stdout=quiet, env=_environment(server, more))


def _environment(server: Server, more: dict[str, str]) -> dict[str, str]:
    ours = server.process.environ()
    return {**ours, "DATABASE_URL": server.database, **more}


def numbers_fetch(server: Server, key: str, bot: str) -> None:
    """Assign a number to the bot once the worker has listed them."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    base = f"http://127.0.0.1:{server.port}"
    for _ in range(60):
        request = urllib.request.Request(f"{base}/phone-numbers", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)["results"]
        if found:
            break
        time.sleep(0.5)
    else:
        return
    path = f"{base}/phone-numbers/{found[0]['sid']}"
    body = json.dumps({"config_id": bot}).encode()
    request = urllib.request.Request(path, data=body, headers=headers, method="PUT")
    urllib.request.urlopen(request, timeout=20).close()


def picture(page: Page, kind: str, *, whole: bool) -> bytes:
    """Return a page's picture. WebP has a quarter of a PNG's size; Playwright alone cannot."""
    if kind == "png":
        return page.screenshot(full_page=whole)
    session = page.context.new_cdp_session(page)
    asked: dict[str, Any] = {"format": "webp", "quality": 84}
    if whole:
        found = session.send("Page.getLayoutMetrics")["cssContentSize"]
        asked |= {"captureBeyondViewport": True, "clip": {**found, "x": 0, "y": 0, "scale": 1}}
    return base64.b64decode(session.send("Page.captureScreenshot", asked)["data"])


def taken(browser: Browser, base: str, made: Any, shots: list[Shot], out: Path) -> Iterator[Path]:
    """Take every picture; yields the files."""
    kind = "webp" if out == FOLDER else "png"
    for size, (width, height) in SIZES.items():
        for theme in THEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=theme,  # type: ignore[arg-type]
                timezone_id="America/Los_Angeles",
                permissions=["microphone"],
            )
            page = context.new_page()
            page.goto(f"{base}/admin/")
            page.fill("input[autocomplete=username]", made["user"])
            page.fill("input[type=password]", made["password"])
            page.keyboard.press("Enter")
            page.wait_for_selector("#nav-sidebar", state="attached")
            for shot in shots:
                shot.go(page, base, made)
                file = out / f"{shot.name}-{size}-{theme}.{kind}"
                file.write_bytes(picture(page, kind, whole=shot.whole))
                yield file
            context.close()


def main() -> None:
    """Make the pictures, and say how large they are."""
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    names = ", ".join(shot.name for shot in PAGES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {names}")
    parser.add_argument("--out", type=Path, default=FOLDER, help="docs/screenshots")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - {shot.name for shot in PAGES}):
        parser.error(f"unknown: {', '.join(unknown)}; valid: {names}")
    shots = [shot for shot in PAGES if not options.names or shot.name in options.names]
    chromium = shutil.which("chromium")
    if chromium is None:
        parser.error("chromium is not installed")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, twilio_served(Path(folder)) as twilio:
        # Cookies over http, and the local models ready before the first call.
        more = {"DEBUG": "1", "WARM_UP": "1", "TWILIO_API_URL": twilio["url"]}
        more |= {"TASKS_IMMEDIATE": "0"}
        with gateway_server(more=more) as (server, account), worker(server, more):
            made = seeded(server, account["account_id"], twilio, more)
            call_hold(server, made["bot"], more)
            numbers_fetch(server, account["api_key"], made["bot"])
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                base = f"http://127.0.0.1:{server.port}"
                for file in taken(browser, base, made, shots, options.out):
                    print(f"{file.stat().st_size:>9,}  {file.name}", flush=True)
                browser.close()


@contextlib.contextmanager
def worker(server: Server, more: dict[str, str]) -> Iterator[None]:
    """The background work: recordings are put together, numbers listed."""
    command = [sys.executable, str(ROOT / "manage.py"), "worker"]
    with subprocess.Popen(command, env=_environment(server, more)) as process:
        try:
            yield
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
