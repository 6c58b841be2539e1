"""``python -m tests.drills.first_call``: from ``make run`` to talking with one's bot, in clicks.

Starts what ``make run`` starts, on an empty database, and does in Chromium what docs/dashboard.md
tells a newcomer to do; its microphone hears a spoken question. Fails if the bot does not answer, if
it takes more clicks than the page says, or longer than two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from apps.voice import g711
from tests.benchmarks.servers import ROOT, free_port
from tests.providers.local_speech import spoken

CLICKS = re.compile(r"\*\*(\d+) clicks\*\*")
LONGEST_S = 120.0
PROMPT = (
    "You are the front desk of a bakery. We open at seven and close at six. "
    "A loaf of rye costs four dollars."
)


def microphone(path: Path, question: str) -> Path:
    """Write what Chromium's microphone hears, over and over: silence, the question, silence."""
    silence = g711.SILENCE * 8_000
    sound = silence * 6 + asyncio.run(spoken(question)) + silence * 20
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(g711.decode(sound))
    return path


class Newcomer:
    """Counts what they click and type."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0
        self.began = time.monotonic()

    def click(self, name: str, role: str = "button") -> None:
        self.page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]
        self.clicks += 1
        self.say(f"click {name!r}")

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {what}", flush=True)


@contextlib.contextmanager
def started() -> Iterator[tuple[str, str]]:
    """Start what ``make run`` starts; yields the origin and the password that it prints."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = {
            **os.environ,
            **{"ENV_FILE": os.devnull, "DEBUG": "1", "SECRET_KEY": "x" * 60, "PORT": str(port)},
            "ENCRYPTION_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGU=",
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "REDIS_URL": "",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        command = [sys.executable, str(ROOT / "manage.py"), "start", "--port", str(port)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    found = re.search(r"Dashboard\s+\S+\s+admin / (\S+)", line)
                    if found:
                        break
                else:
                    raise SystemExit("it did not start")
                yield f"http://127.0.0.1:{port}", found[1]
            finally:
                process.terminate()


def walk(page: Page, origin: str, password: str) -> Newcomer:
    """Do what the page says; returns with the bot's answer on the screen."""
    one = Newcomer(page)
    page.goto(f"{origin}/admin/")
    page.fill("input[autocomplete=username]", "admin")
    page.fill("input[type=password]", password)
    one.click("Log in")
    one.click("Make a bot", "link")
    page.get_by_label("Name", exact=True).first.fill("Bakery")
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    one.click("Make the bot")
    one.click("Talk to it", "link")
    one.click("Call")
    transcript = page.locator("[data-talk=transcript]")
    expect(transcript).to_contain_text("seven", timeout=60_000)
    one.say("the bot has answered the question")
    return one


def main() -> None:
    """Walk, and compare with what the page promises."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.first_call", description=__doc__)
    parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        parser.error("chromium is not installed")
    promised = CLICKS.search((ROOT / "docs" / "dashboard.md").read_text())
    assert promised is not None, "docs/dashboard.md promises no number of clicks"
    with tempfile.TemporaryDirectory() as folder, started() as (origin, password):
        wav = microphone(Path(folder) / "microphone.wav", "When do you open?")
        flags = ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream"]
        flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={wav}"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=flags)
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            one = walk(page, origin, password)
            browser.close()
    took = time.monotonic() - one.began
    print(f"{one.clicks} clicks, {took:.0f} s from the login page to the bot's answer")
    if one.clicks > int(promised[1]) or took > LONGEST_S:
        raise SystemExit(f"promised: {promised[1]} clicks, {LONGEST_S:.0f} s")


if __name__ == "__main__":
    main()
