"""Lets a stream in: what it shows is its token, what it becomes is a call, new or going on."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import Admission, admission_of, stream_admit
from apps.calls.browser_sids import is_browsers
from apps.calls.models import Call, StreamPass, Turn, call_id
from apps.calls.tokens import StreamToken, token_read
from apps.calls.transfer_ends import transfer_note
from apps.calls.webhook_requests import REFUSED
from apps.voice.ports import ChatMessage

# What a call brings besides its bot's declared variables.
NUMBERS = ("from", "to")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stream that wants in: all of this comes from the socket and may be anything."""

    call_sid: str
    account_sid: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Past:
    """What came before in a call that goes on. since_s: how long ago it began.

    silent: nothing of the interruption is to be mentioned.
    """

    said: tuple[ChatMessage, ...] = field(repr=False)
    since_s: float
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Entrance:
    """What an arrival may be. attempt: which of the call's streams by a token of ours; 0: by a Bin.

    given: what the call brings, kept so that it can go on later. record: the dialler's wish, if
    there is one. outbound: we dialled. browser: Twilio has no part in it.
    """

    admission: Admission
    call_id: uuid.UUID
    attempt: int = 0
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    past: Past | None = None
    record: bool | None = None
    outbound: bool = False
    browser: bool = False


class StreamRefused(Exception):
    """The stream is not let in. reason: one word, for the counter; the peer is not told."""

    def __init__(self, reason: str) -> None:
        REFUSED.labels(reason).inc()
        super().__init__(reason)


def stream_look(
    arrival: Arrival, *, now: datetime | None = None
) -> tuple[Entrance, StreamToken | None]:
    """Return what the stream may be, and the token that it will use up if it came by one.

    Two or three queries, and one more where a provider's key is the account's. Raises
    StreamRefused. Nothing is used up yet: whoever asked checks the handshake's signature first.
    """
    token = token_read(arrival.parameters.get("token", ""))
    if token is None:
        return _by_bin(arrival), None
    return _by_token(arrival, token, now or timezone.now()), token


def token_use(token: StreamToken) -> None:
    """Use a token up. Raises StreamRefused if it was used before."""
    try:
        with transaction.atomic():
            StreamPass.objects.create(call_id=token.call_id, attempt=token.attempt)
    except IntegrityError:
        raise StreamRefused("token_used") from None


def _by_bin(arrival: Arrival) -> Entrance:
    if is_browsers(arrival.call_sid):  # such calls come by tokens of ours alone
        raise StreamRefused("token_wrong")
    given = {**arrival.parameters, "call_sid": arrival.call_sid}
    admission = stream_admit(
        account_id=given.get("account", ""),
        config_id=given.get("bot", ""),
        token=given.get("token", ""),
        given=given,
    )
    if admission is None:
        raise StreamRefused("token_wrong")
    identifier = call_id(account_id=admission.account_id, call_sid=arrival.call_sid)
    return Entrance(admission, identifier, given=_kept(given, admission))


def _by_token(arrival: Arrival, token: StreamToken, now: datetime) -> Entrance:
    if token.call_sid and token.call_sid != arrival.call_sid:
        raise StreamRefused("token_of_another_call")
    call = Call.objects.filter(pk=token.call_id).select_related("version").first()
    _call_check(call, token, arrival)
    # A bot that was deleted meanwhile holds its calls to their end.
    account_id = _account(arrival)
    if account_id is None:
        raise StreamRefused("account_unknown")
    configs = TwilioConfig.objects.filter(pk=token.config_id, account_id=account_id)
    if call is None:
        configs = configs.filter(deleted_at=None)
    config = configs.select_related("account", "current").first()
    if config is None:
        raise StreamRefused("bot_gone")
    version = config.current if call is None else call.version
    if version is None:
        raise StreamRefused("bot_gone")
    return _entrance(arrival, token, _Found(config, version, call), now)


def _call_check(call: Call | None, token: StreamToken, arrival: Arrival) -> None:
    if call is not None and call.is_over:
        raise StreamRefused("call_over")
    if call is not None and call.call_sid not in ("", arrival.call_sid):
        raise StreamRefused("token_of_another_call")
    # Each kind of token is for its own kind of call: only a browser's comes unsigned.
    if token.browser != (call is not None and call.is_browsers):
        raise StreamRefused("token_of_another_call")


@dataclass(frozen=True, slots=True)
class _Found:
    config: TwilioConfig
    version: TwilioConfigVersion
    call: Call | None


def _entrance(arrival: Arrival, token: StreamToken, found: _Found, now: datetime) -> Entrance:
    call = found.call
    known = {} if call is None else _known(call)
    given = {**arrival.parameters, **known, "call_sid": arrival.call_sid}
    admission = admission_of(found.config, found.version, given)
    dialled = call is not None and call.direction == Call.Direction.OUTBOUND
    return Entrance(
        admission,
        token.call_id,
        attempt=token.attempt,
        given=_kept(given, admission),
        past=_past(call, token, now) if call is not None and token.attempt > 1 else None,
        record=None if call is None else call.asked.get("record"),
        outbound=dialled,
        browser=token.browser,
    )


def _known(call: Call) -> dict[str, str]:
    numbers = {"from": call.from_number, "to": call.to_number}
    told = {name: text for name, text in numbers.items() if text}
    return {**call.variables, **told}


def _kept(given: Mapping[str, str], admission: Admission) -> dict[str, str]:
    return {**admission.values, **{name: given[name] for name in NUMBERS if given.get(name)}}


def _past(call: Call, token: StreamToken, now: datetime) -> Past:
    began = call.answered_at or call.started_at
    note = transfer_note(call)
    said = (*said_in(call), *([ChatMessage("system", note)] if note else ()))
    return Past(said, max(0.0, (now - began).total_seconds()), silent=token.silent)


def said_in(call: Call) -> tuple[ChatMessage, ...]:
    """Return what was said in a call so far: the caller's words, and the bot's as they were heard.

    What the bot said in between only to say something (that it was cut off, that it needs a
    moment) is left out: no model should take it for an answer.
    """
    turns = (
        Turn.objects.filter(call=call).order_by("id").values_list("role", "source", "text_heard")
    )
    said: list[ChatMessage] = []
    for role, source, text in turns:
        if not text or source in _ASIDES:
            continue
        spoken: Any = "user" if role == Turn.Role.CALLER else "assistant"
        said.append(ChatMessage(spoken, text))
    return tuple(said)


_ASIDES = frozenset(("resume", "apology", "filler", "idle"))


def _account(arrival: Arrival) -> uuid.UUID | None:
    try:
        return uuid.UUID(arrival.parameters.get("account", ""))
    except ValueError:
        return None
