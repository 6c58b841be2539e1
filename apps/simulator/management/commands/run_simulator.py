"""Runs Twilio on a laptop: dial-out, numbers and callbacks without an account."""

from __future__ import annotations

import argparse
import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.simulator.management.commands import _laptop, _platform
from apps.simulator.twilio.bins import ORIGIN
from apps.simulator.twilio.control import Control, Speak
from apps.simulator.twilio.front import Front
from apps.simulator.twilio.journal import Journal
from apps.simulator.twilio.serving import serving
from apps.simulator.twilio.stand_in import StandIn
from apps.simulator.twilio.state import Account
from apps.simulator.twilio.tempo import FastClock
from apps.simulator.twilio.tunnel import certificates_make, tunnelling
from apps.voice.clock import LoopClock

_EPILOG = (
    "It keeps its account in --state, so that a product told of it once goes on working; settings "
    "of numbers and calls are forgotten when it ends. docs/simulator.md has what it does, its "
    "control API at /_simulator, and the drills."
)


class Command(BaseCommand):
    """Serves until it is interrupted."""

    help = "Run a stand-in for Twilio: REST API, phone numbers, people to call, TwiML, streams."
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=_EPILOG, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--port", type=int, default=8080, help="where to listen on 127.0.0.1 (8080)")
        add(
            "--proxy-port",
            type=int,
            default=8081,
            help="where the way to https://api.twilio.com begins (8081); -1 for none",
        )
        add("--app-url", help="where the product really is, if PUBLIC_URL does not lead there")
        add("--state", type=Path, help="folder of its account and certificates (var/simulator)")
        add("--json", action="store_true", help="print one JSON object a line")
        add("--mute", action="store_true", help="people say nothing: do not load the local voice")
        add("--speed", type=_positive, default=1.0, help="how fast its seconds pass (1)")
        add("--trial", action="store_true", help="a trial account, with its limits")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(self._serve(options))
        except OSError as error:
            raise CommandError(
                f"{error.strerror or error}. Is it running already? --port and --proxy-port name "
                "other ports.",
                returncode=_platform.USAGE,
            ) from error

    async def _serve(self, options: dict[str, Any]) -> None:
        folder: Path = (options["state"] or settings.BASE_DIR / "var" / "simulator").resolve()
        try:
            kept = _laptop.credentials_kept(folder)
        except (ValueError, TypeError) as error:
            raise CommandError(f"{folder}/credentials.json is broken: remove it.") from error
        over = _interruption()
        stand_in = StandIn()
        account = _account(stand_in, kept, options)
        network = stand_in.go_live(
            FastClock(LoopClock(asyncio.get_running_loop()), options["speed"])
        )
        control = Control(
            network, account, stand_in.drills, stand_in.callbacks, _speaker(options["mute"])
        )
        front = Front(stand_in, control)
        journal = Journal(self._line, stand_in.world.now)
        journal.as_json = options["json"]
        async with AsyncExitStack() as stack:
            stack.push_async_callback(stand_in.aclose)
            url = await stack.enter_async_context(serving(front, port=options["port"]))
            stand_in.world.routes[ORIGIN] = url
            proxy, authority = await self._proxy(stack, front, folder, options["proxy_port"])
            journal.watch(stand_in)
            if options["json"]:
                facts = {"url": url, "proxy": proxy, "authority": str(authority)}
                journal.note("ready", {**facts, **asdict(kept)})
            else:
                self._line(_laptop.instructions(kept, url, proxy, authority))
            await _move_in(control)
            await over.wait()

    async def _proxy(
        self, stack: AsyncExitStack, front: Front, folder: Path, port: int
    ) -> tuple[str, Path]:
        files = certificates_make(folder)
        if port < 0:
            return "", files.authority
        https = await stack.enter_async_context(serving(front, tls=(files.chain, files.key)))
        leads_to = urlsplit(https).port
        assert leads_to is not None
        proxy = await stack.enter_async_context(tunnelling(port, leads_to))
        return proxy, files.authority

    def _line(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _account(stand_in: StandIn, kept: _laptop.Credentials, options: dict[str, Any]) -> Account:
    world = stand_in.world
    kind = "Trial" if options["trial"] else "Full"
    account = world.account_add(sid=kept.account_sid, auth_token=kept.auth_token, kind=kind)
    world.key_add(account, sid=kept.key_sid, secret=kept.key_secret)
    for number in _laptop.OURS:
        world.number_add(account, number)
    if options["app_url"]:
        world.routes[settings.PUBLIC_URL] = options["app_url"].rstrip("/")
    return account


def _speaker(mute: bool) -> Speak | None:
    """Return the local voice, loaded when somebody first speaks; None if it is not installed."""
    if mute:
        return None
    try:
        voice = _platform.local_voice()
    except CommandError:
        return None
    return lambda text: _platform.spoken(voice, text)


async def _move_in(control: Control) -> None:
    """Put people behind the numbers, and let them learn what to say."""
    people = control.network.people
    for one in _laptop.NEIGHBOURS:
        people[one.number] = one.person
    if control.speaks:
        for one in _laptop.NEIGHBOURS:
            if one.says:
                people[one.number] = replace(one.person, script=await control.script(one.says))


def _interruption() -> asyncio.Event:
    """Return what is set when the process is told to end."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    return over


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1_000:
        raise argparse.ArgumentTypeError(f"{text} is not a number above zero")
    return value
