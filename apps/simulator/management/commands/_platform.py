"""What the command asks the platform for: a bot's TwiML, the local voice, the call's journal."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from django.core.management.base import CommandError

from apps.accounts.models import Account
from apps.accounts.signing import secrets_of
from apps.bots.selectors import twilio_config_by_id
from apps.bots.twiml import config_twiml
from apps.calls.models import Call, Turn, call_id
from apps.providers import registry
from apps.providers.base import ServiceSettings
from apps.simulator.report import Line
from apps.voice.ports import ProviderError, TextToSpeech, sound_of

USAGE = 2
_JOURNAL_S = 5.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class CalledBot:
    """Whom to call. auth_token: its account's, from Twilio; empty if none is stored."""

    account_id: uuid.UUID
    twiml: str = field(repr=False)
    auth_token: str = field(repr=False)


def bot_find(config_id: str) -> CalledBot:
    """Look a bot up. Raises CommandError if there is none of that ID."""
    config = twilio_config_by_id(config_id)
    if config is None:
        raise CommandError(
            f"There is no bot {config_id}. `GET /twilio-config` lists them; the ID stands in `id`.",
            returncode=USAGE,
        )
    return CalledBot(config.account_id, config_twiml(config), _token(config.account))


def _token(account: Account) -> str:
    """Return a token that the account's streams may be signed with, as Twilio would sign them."""
    for secrets in secrets_of(account):
        if secrets.auth_token:
            return secrets.auth_token
    return ""


def local_voice() -> TextToSpeech:
    """Build the voice that speaks for the caller. Raises CommandError if it is not installed."""
    declaration = registry.find("tts", "local", test_providers=False)
    missing = "There is no local voice." if declaration is None else declaration.missing()
    if declaration is None or missing:
        raise CommandError(
            f"--say needs the local voice. {missing} Or use --wav.", returncode=USAGE
        )
    voice: TextToSpeech = declaration.build(ServiceSettings("local", voice="heart"))
    return voice


async def spoken(voice: TextToSpeech, text: str) -> bytes:
    """Speak a text as mu-law, 8,000 Hz. Raises CommandError if there is no sound in it."""
    try:
        audio = b"".join([piece async for piece in sound_of(voice, text)])
    except ProviderError as error:
        raise CommandError(f"The local voice failed: {error.message}") from error
    if not audio:
        raise CommandError("--say: the local voice found nothing to say in it.", returncode=USAGE)
    return audio


def transcript_of(*, account_id: uuid.UUID, call_sid: str) -> list[Line] | None:
    """Read what the gateway wrote down of a call; None if it wrote nothing within 5 s.

    The journal is written behind the call, so the row is waited for until it says it has ended.
    """
    until_s = time.monotonic() + _JOURNAL_S
    while True:
        call = Call.objects.filter(pk=call_id(account_id=account_id, call_sid=call_sid)).first()
        late = time.monotonic() >= until_s
        if call is not None and (call.ended_at is not None or late):
            return [_line(turn) for turn in call.turns.all()]
        if late:
            return None
        time.sleep(_POLL_S)


def _line(turn: Turn) -> Line:
    return Line(
        role=turn.role,
        said=turn.text_said,
        heard=turn.text_heard,
        interrupted=turn.interrupted,
        stages_ms=turn.stages,
    )
