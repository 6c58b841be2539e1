"""TwiML documents, built by Twilio's own library: it escapes what hand-made XML forgets."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from twilio.twiml.voice_response import Connect, Dial, Stream, VoiceResponse

# Twilio's limit on one <Parameter>: name and value together stay below it.
PARAMETER_CHARACTERS = 500

# XML 1.0, section 2.2: what is no character, not even escaped.
_NO_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class TwimlError(ValueError):
    """A document that Twilio would refuse or misread."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence."""

    seconds: int

    def add_to(self, response: VoiceResponse) -> None:
        response.pause(length=self.seconds)


@dataclass(frozen=True, slots=True)
class Digits:
    """Keys pressed for the other side: 0-9, *, #, and w for half a second of silence."""

    digits: str

    def add_to(self, response: VoiceResponse) -> None:
        response.play(digits=self.digits)


Before = tuple[Pause | Digits, ...]


def stream_document(
    *,
    stream_url: str,
    action_url: str,
    status_url: str,
    parameters: Mapping[str, str],
    before: Before = (),
) -> str:
    """Connect the call to a bidirectional stream, and hang up when that is over.

    before: what happens first, as verbs.

    stream_url: ws(s) and without a query, which Twilio strips from the handshake. action_url is
    asked what to do when the stream has ended; should it not answer, ``<Hangup/>`` follows, so no
    path leaves the caller on a silent line.
    Raises TwimlError for a query in the stream's URL, or for a parameter of 500 characters or more
    or with a character that XML cannot carry.
    """
    if "?" in stream_url or "#" in stream_url:
        raise TwimlError("A stream URL carries no query: Twilio strips it. Use parameters.")
    for name, value in parameters.items():
        if len(name) + len(value) >= PARAMETER_CHARACTERS:
            raise TwimlError(
                f"Parameter {name}: name and value together have {PARAMETER_CHARACTERS} or more."
            )
        if _NO_XML.search(name + value):
            raise TwimlError(f"Parameter {name}: a control character cannot stand in TwiML.")
    return _stream_document(stream_url, action_url, status_url, tuple(parameters.items()), before)


# A list of fifty bots holds fifty documents, and each is asked for again and again.
@functools.lru_cache(maxsize=2_048)
def _stream_document(
    stream_url: str,
    action_url: str,
    status_url: str,
    parameters: tuple[tuple[str, str], ...],
    before: Before,
) -> str:
    stream = Stream(url=stream_url, status_callback=status_url, status_callback_method="POST")
    for name, value in parameters:
        stream.parameter(name=name, value=value)
    connect = Connect(action=action_url, method="POST")
    connect.append(stream)
    response = VoiceResponse()
    for verb in before:
        verb.add_to(response)
    response.append(connect)
    response.hangup()
    return str(response)


def hang_up_document() -> str:
    """End the call."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


@dataclass(frozen=True, slots=True)
class Dialled:
    """Whom a caller is put through to, and who asks and tells about it.

    to: E.164, or a SIP address. timeout_s: how long it rings; limit_s: how long both may talk.
    action_url: is asked what comes when it is over. status_url: is told of the callee's leg.
    whisper_url: what the callee hears before both are connected; empty: nothing.
    """

    to: str
    caller_id: str
    timeout_s: int
    limit_s: int
    action_url: str
    status_url: str
    whisper_url: str = ""


# Of the callee's leg, each in a callback of its own.
_LEG_EVENTS = "initiated ringing answered completed"


def transfer_document(dialled: Dialled) -> str:
    """Put the call through, and ask what comes next when that is over, whatever became of it."""
    # With answer_on_bridge the caller hears it ring.
    dial = Dial(
        answer_on_bridge=True,
        timeout=dialled.timeout_s,
        time_limit=dialled.limit_s,
        action=dialled.action_url,
        method="POST",
        **({"caller_id": dialled.caller_id} if dialled.caller_id else {}),
    )
    leg = {
        "status_callback": dialled.status_url,
        "status_callback_event": _LEG_EVENTS,
        "status_callback_method": "POST",
        **({"url": dialled.whisper_url, "method": "POST"} if dialled.whisper_url else {}),
    }
    if dialled.to.startswith(("sip:", "sips:")):
        dial.sip(dialled.to, **leg)
    else:
        dial.number(dialled.to, **leg)
    response = VoiceResponse()
    response.append(dial)
    response.hangup()
    return str(response)


def whisper_document(text: str, *, language: str, then_url: str) -> str:
    """Say something to the callee alone. then_url: is told when that was said, and answers what
    comes before both are connected: nothing."""
    response = VoiceResponse()
    response.say(text, language=language)
    response.redirect(then_url, method="POST")
    return str(response)


def empty_document() -> str:
    """Nothing is left to do: what comes next, comes."""
    return str(VoiceResponse())


def spoken_document(text: str, *, language: str = "en-US") -> str:
    """Say a sentence with Twilio's own voice and end the call."""
    response = VoiceResponse()
    response.say(text, language=language)
    response.hangup()
    return str(response)
