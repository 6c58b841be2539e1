"""Calls a bot as Twilio would, and says what came of it."""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.simulator.audio import AudioFileError, stereo_write, wav_read
from apps.simulator.caller import Speech
from apps.simulator.far_end import CallOptions
from apps.simulator.management.commands import _platform
from apps.simulator.observer import Observer
from apps.simulator.progress import Progress
from apps.simulator.record import CallRecord
from apps.simulator.report import Report, as_json, as_text, failure, script_transcript
from apps.simulator.script import Script, conversation
from apps.simulator.stream import SimulatedCall
from apps.simulator.twiml import Document, TwimlRefused, interpret
from apps.simulator.wire import Dial, StreamRefused
from apps.telephony.inbound import Stream
from apps.voice.clock import LoopClock

_HINTS = {
    "31902": "Nothing is listening at {url}: start it with `make run`, or pass --url.",
    "31901": "{url} does not answer: start it with `make run`, or pass --url.",
    "31904": "The host of {url} has no address: correct PUBLIC_URL, or pass --url.",
    "31910": "TLS with {url} failed: for a server without a certificate pass --url ws://...",
    "31923": "{url} is no WebSocket URL: pass --url ws://127.0.0.1:8000/media/twilio.",
}
_STATUS_HINTS = {
    403: "{url} takes no stream (403): the path is /media/twilio, or the server is draining.",
    404: "{url} is no WebSocket (404): the path is /media/twilio.",
    503: "{url} takes no calls now (503): the server is starting, full or draining.",
}


class Command(BaseCommand):
    """Plays Twilio against a running gateway."""

    help = "Call a bot as Twilio would: speak to it, record it, measure it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("config_id", metavar="CONFIG_ID", help="the bot's ID")
        add("--url", help="stream there, not to the URL in the bot's TwiML")
        add("--wav", type=Path, action="append", default=[], help="play this file to the bot")
        add("--say", action="append", default=[], metavar="TEXT", help="a turn; repeat for more")
        add("--out", type=Path, help="write a stereo WAV: caller left, bot right")
        add("--json", action="store_true", help="print one JSON object and nothing else")
        add("--quiet", action="store_true", help="no progress on stderr")
        add("--timeout", type=_seconds, default=120.0, help="seconds for the whole call (120)")
        add("--hangup-after", type=_seconds, default=float("inf"), help="seconds; hang up then")
        add("--interrupt-after", type=_seconds, metavar="MS", help="talk over the bot after that")
        add("--auth-token", default="", help="sign the handshake with it (default: the account's)")

    def handle(self, *args: Any, **options: Any) -> None:
        bot = _platform.bot_find(options["config_id"])
        document = _document(bot.twiml)
        dial = _dial(document, options["url"], options["auth_token"] or bot.auth_token)
        try:
            record = asyncio.run(self._call(dial, options))
        except StreamRefused as refused:
            raise CommandError(self._refused(refused, dial, options["json"])) from refused
        transcript = _platform.transcript_of(
            account_id=bot.account_id, call_sid=dial.stream.call_sid
        )
        out: Path | None = options["out"]
        report = Report(
            url=dial.url,
            stream=dial.stream,
            record=record,
            transcript=script_transcript(record) if transcript is None else transcript,
            journaled=transcript is not None,
            twiml_warnings=document.warnings,
            recording=str(out or ""),
            recording_s=_write(out, record),
        )
        self._print(report, as_object=options["json"])
        if failure(record):
            raise CommandError(failure(record))

    async def _call(self, dial: Dial, options: dict[str, Any]) -> CallRecord:
        speeches = await _speeches(options["wav"], options["say"])
        over_ms = options["interrupt_after"]
        steps = conversation(
            speeches, interrupt_after_s=None if over_ms is None else over_ms / 1_000
        )
        limits = CallOptions(max_s=options["timeout"], hang_up_after_s=options["hangup_after"])
        call = SimulatedCall(
            dial,
            Script(steps),
            clock=LoopClock(asyncio.get_running_loop()),
            options=limits,
            observer=Observer() if options["quiet"] else Progress(self._progress),
        )
        return await call.run()

    def _progress(self, line: str) -> None:
        self.stderr.write(line, style_func=str)

    def _print(self, report: Report, *, as_object: bool) -> None:
        if as_object:
            self.stdout.write(json.dumps(as_json(report)))
            return
        for line in as_text(report):
            self.stdout.write(line)

    def _refused(self, refused: StreamRefused, dial: Dial, as_object: bool) -> str:
        hint = _STATUS_HINTS.get(refused.status or 0) or _HINTS.get(refused.code)
        text = (hint or "{url}: " + refused.message).format(url=dial.url)
        text = f"{text} (Twilio would log {refused.code}.)"
        if as_object:
            body = {"ok": False, "error": text, "url": dial.url, "code": refused.code}
            self.stdout.write(json.dumps(body))
        return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of zero or more")
    return value


def _document(twiml: str) -> Document:
    try:
        document = interpret(twiml)
    except TwimlRefused as refused:
        raise CommandError(f"Twilio would refuse the bot's TwiML. {refused}") from refused
    if document.connect() is None:
        raise CommandError("The bot's TwiML holds no <Connect><Stream>: there is nothing to call.")
    return document


def _dial(document: Document, url: str | None, auth_token: str) -> Dial:
    connect = document.connect()
    assert connect is not None  # _document has seen to it
    stream = Stream(
        stream_sid="MZ" + uuid.uuid4().hex,
        call_sid="CA" + uuid.uuid4().hex,
        account_sid="AC" + uuid.uuid4().hex,
        parameters=connect.stream.parameters,
    )
    # The server checks the signature over its public URL, wherever we reach it.
    signed = connect.stream.url
    return Dial(url or signed, stream, auth_token=auth_token, signed_url=signed)


async def _speeches(files: list[Path], texts: list[str]) -> list[Speech]:
    try:
        speeches = [Speech.of(wav_read(path), label=path.name) for path in files]
    except AudioFileError as error:
        raise CommandError(str(error), returncode=_platform.USAGE) from error
    if texts:
        voice = _platform.local_voice()
        try:
            for text in texts:
                speeches.append(Speech.of(await _platform.spoken(voice, text), label=text))
        finally:
            await voice.aclose()
    return speeches


def _write(path: Path | None, record: CallRecord) -> float:
    if path is None:
        return 0.0
    try:
        return stereo_write(path, caller=record.caller, bot=record.bot)
    except AudioFileError as error:
        raise CommandError(str(error)) from error
