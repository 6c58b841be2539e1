"""From the stream's start to the first word of a greeting that nobody has recorded.

    python -m tests.benchmarks.first_word                # every voice
    python -m tests.benchmarks.first_word tts-cartesia --calls 30

The greeting holds the caller's number, so the voice has to speak it during the call. The vendor is
a stand-in in another process: its connections take 60 ms to open, its first sound 100 ms to come.
*warm*: Twilio asked for our TwiML 300 ms before, as it does while the phone rings, so the gateway
has connected. *cold*: the stream comes unannounced, as from a TwiML Bin. Times are the caller's,
over a real socket, in ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import urllib.parse
import urllib.request
import uuid
from collections.abc import Sequence

import uvloop
from twilio.request_validator import RequestValidator

from apps.simulator.far_end import CallOptions
from apps.simulator.script import AwaitBot, HangUp, Script
from apps.simulator.stream import SimulatedCall
from apps.simulator.wire import Dial
from apps.telephony.inbound import Stream
from apps.voice.clock import LoopClock
from tests.benchmarks.adapters import DELAY_S, percentile, subjects, vendor
from tests.benchmarks.servers import LOAD_CORE, Server, gateway_server, pin, request
from tests.vendors.kinds import Subject, VoiceStandIn
from tests.vendors.pairs import slot_of
from tests.vendors.serving import KEY

HANDSHAKE_S = 0.06
RINGS_S = 0.3
GOAL_MS = DELAY_S * 1_000 + 30
TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://voice.example.com"
CALLS = 20
CALLER = "+14158675309"
GREETING = "Hello {}."


def body(subject: Subject) -> dict[str, object]:
    """Return a bot that greets in the vendor's voice, with words that no recording has."""
    greeting = {"mode": "text", "text": GREETING.format("{{from}}")}
    config = {
        "llm": {"provider": "scripted", "prompt": "You are the front desk."},
        "stt": {"provider": "scripted"},
        "tts": slot_of(subject),
        "greeting": greeting,
    }
    return {"name": subject.id, "config": config, "api_keys": {subject.provider: KEY}}


def rings(server: Server, bot_id: str, call_sid: str) -> None:
    """Ask for TwiML as Twilio does."""
    form = {"CallSid": call_sid, "From": CALLER, "To": "+14155550100"}
    path = f"/twilio/voice/{bot_id}"
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)
    asked = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        data=urllib.parse.urlencode(form).encode(),
        headers={"X-Twilio-Signature": signature},
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        answer.read()


async def call(server: Server, bot: dict[str, str], account_id: str, *, announced: bool) -> float:
    """Hold a call until the greeting is over; return when its first sound came, in ms."""
    call_sid = "CA" + uuid.uuid4().hex
    if announced:
        await asyncio.to_thread(rings, server, bot["id"], call_sid)
        await asyncio.sleep(RINGS_S)
    token = bot["twiml"].split('name="token" value="')[1].split('"')[0]
    parameters = {"account": account_id, "bot": bot["id"], "token": token, "from": CALLER}
    stream = Stream("MZ" + uuid.uuid4().hex, call_sid, "AC" + "1" * 32, parameters)
    dial = Dial(
        f"ws://127.0.0.1:{server.port}/media/twilio",
        stream,
        auth_token=TOKEN,
        signed_url="wss://voice.example.com/media/twilio",
    )
    phone = SimulatedCall(
        dial,
        Script((AwaitBot(start_within_s=5), HangUp())),
        clock=LoopClock(asyncio.get_running_loop()),
        options=CallOptions(max_s=15),
    )
    record = await phone.run()
    spoken_s = len(GREETING.format(CALLER)) * VoiceStandIn.MS_PER_CHARACTER / 1_000
    if not record.spurts or abs(record.spurts[0].end_s - record.spurts[0].start_s - spoken_s) > 0.1:
        raise RuntimeError("the greeting was not heard whole")
    return record.spurts[0].start_s * 1_000


async def measure(subject: Subject, calls: int) -> tuple[list[float], list[float]]:
    """Return first words of unannounced and of announced calls, in ms, taken in turns."""
    async with vendor(subject, HANDSHAKE_S) as running:
        more = {
            "PROVIDER_API_URLS": json.dumps({subject.provider: running.url}),
            **subject.environment,
        }
        serving = gateway_server(more=more, auth_token=TOKEN)
        server, account = await asyncio.to_thread(serving.__enter__)
        try:
            key, ours = account["api_key"], account["account_id"]
            made = body(subject)
            bot = await asyncio.to_thread(
                request, server, "POST", "/twilio-config", key=key, body=made
            )
            await call(server, bot, ours, announced=True)  # imports what is imported once
            cold, warm = [], []
            for _ in range(calls):
                cold.append(await call(server, bot, ours, announced=False))
                warm.append(await call(server, bot, ours, announced=True))
            return cold, warm
        finally:
            await asyncio.to_thread(serving.__exit__, None, None, None)


async def main(names: Sequence[str], calls: int) -> int:
    pin(LOAD_CORE)
    voices = {name: found for name, found in subjects().items() if found.kind == "tts"}
    if unknown := [name for name in names if name not in voices]:
        print(f"Unknown: {', '.join(unknown)}. Known: {', '.join(voices)}.", file=sys.stderr)
        return 2
    print(f"vendor: {DELAY_S * 1_000:g} ms to its first sound, {HANDSHAKE_S * 1_000:g} to connect")
    print(f"{'voice':20}{'cold p50':>10}{'warm p50':>10}{'warm p95':>10}{f'of {GOAL_MS:g}':>10}")
    for name in names or list(voices):
        cold, warm = await measure(voices[name], calls)
        p95 = percentile(warm, 0.95)
        print(
            f"{name:20}{percentile(cold, 0.5):10.0f}{percentile(warm, 0.5):10.0f}{p95:10.0f}"
            f"{p95 / GOAL_MS:8.2f} x",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", nargs="*", help="as in the table; all of them without")
    parser.add_argument("--calls", type=int, default=CALLS, help="of each kind")
    given = parser.parse_args()
    sys.exit(uvloop.run(main(given.voices, given.calls)))
