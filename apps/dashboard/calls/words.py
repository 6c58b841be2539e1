"""What happens to calls, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from apps.voice.stages import LAST_STAGES, STAGES

_LIVE: Final = "good bc-badge-live"
# A status in words, and how its badge looks: classes behind ``bc-badge-``.
STATUSES: Final[Mapping[str, tuple[str, str]]] = {
    Call.Status.SCHEDULED: ("Scheduled", ""),
    Call.Status.QUEUED: ("Waiting", ""),
    Call.Status.DIALING: ("Dialling", _LIVE),
    Call.Status.UNKNOWN: ("Not known", "warn"),
    Call.Status.RINGING: ("Ringing", _LIVE),
    Call.Status.IN_PROGRESS: ("Live", _LIVE),
    Call.Status.COMPLETED: ("Completed", "good"),
    Call.Status.BUSY: ("Busy", "warn"),
    Call.Status.FAILED: ("Failed", "bad"),
    Call.Status.NO_ANSWER: ("No answer", "warn"),
    Call.Status.CANCELED: ("Canceled", ""),
}

END_REASONS: Final[Mapping[str, str]] = {
    "caller_hung_up": "The caller hung up",
    "bot_ended": "The bot said goodbye",
    "idle": "The caller said nothing any more",
    "max_duration": "The bot's time limit",
    "provider_failure": "Its vendors failed three times",
    "hung_up": "Hung up by us",
    "transferred": "Put through to somebody",
    "machine": "A machine answered",
    "line_lost": "The line broke for good",
    "connection_lost": "The line broke",
    "shutdown": "The server was stopped",
    "line_stuck": "The line stood still",
    "internal_error": "An error of ours",
    "paused": "Did not come back from pressing keys",
    "gateway_lost": "The gateway process died",
    "reaped_no_stream": "Answered, but never reached the bot",
    "reaped_cap": "Longer than it may be",
    "twilio_completed": "Ended at Twilio's",
    "busy": "Busy",
    "no_answer": "Nobody answered",
    "twilio_failed": "Twilio could not place it",
    "canceled": "Canceled",
    "never_placed": "Never placed",
    "never_settled": "Nobody knows what became of it",
    "no_connection": "No connection to Twilio",
}

EVENTS: Final[Mapping[str, str]] = {
    "tool.ran": "A tool ran",
    "provider.failed": "A vendor failed",
    "provider.missing": "A vendor could not be used",
    "provider.switched": "Another vendor took over",
    "provider.mute": "A vendor did not answer in time",
    "mark.lost": "Twilio did not tell that a sentence was played",
    "audio.lost": "Audio of the caller was lost on the way",
    "recording.lost": "A part was not recorded",
    "dtmf": "The caller pressed a key",
    "say.dropped": "Something to say came too late",
    "reaped": "Nobody looked after the call any more",
    "call.transferring": "The caller is being put through",
    "call.transferred": "The caller was put through",
    "call.transfer_failed": "The caller could not be put through",
    "stream.error": "Twilio told of an error of the stream",
    "machine_detection": "Twilio told who answered",
}


@dataclass(frozen=True, slots=True)
class StageWords:
    """A stage of the gap before an answer: a short name, and what happens in it."""

    name: str
    does: str


STAGE_WORDS: Final[Mapping[str, StageWords]] = {
    "endpointing": StageWords("End of turn", "Waiting until it is sure that the caller is done"),
    "transcription": StageWords("Transcript", "Waiting for the caller's words"),
    "tools": StageWords("Tools", "Waiting for tools before a word was said"),
    "model": StageWords("Model", "Waiting for the language model's first words"),
    "sentence": StageWords("Sentence", "Waiting for a whole sentence that can be spoken"),
    "voice": StageWords("Voice", "Waiting for the voice's first audio"),
    "line": StageWords("Sending", "Waiting until it could be sent"),
    "lead_in": StageWords("Silence", "The voice's audio begins with silence"),
    "network": StageWords("Network", "The way to the caller's ear and back, by Twilio's marks"),
}
assert tuple(STAGE_WORDS) == (*STAGES, *LAST_STAGES)

# Why the bot spoke, where it was not to answer.
SOURCES: Final[Mapping[str, str]] = {
    "greeting": "greeting",
    "consent": "says that it records",
    "apology": "apologises for a failure",
    "idle": "asks whether anybody is there",
    "goodbye": "says goodbye",
    "time_up": "time is up",
    "failure": "cannot go on",
    "resume": "is back after a break",
    "operator": "told to say so",
    "message": "leaves a message",
}


def status_words(status: str) -> tuple[str, str]:
    """Return a status in words, and its badge."""
    return STATUSES.get(status, (status, ""))


def reason_words(reason: str) -> str:
    """Return why a call ended, in words; empty for one that has not."""
    return END_REASONS.get(reason) or spaced(reason)


def event_words(kind: str) -> str:
    return EVENTS.get(kind) or spaced(kind.replace(".", " "))


def spaced(name: str) -> str:
    """Return a name of programs as a person would write it."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def data_words(data: Mapping[str, Any]) -> str:
    """Return what an event says of itself."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in data.items())


def bot_words(config: TwilioConfig) -> str:
    return config.name or f"Bot {str(config.pk)[:8]}"


def other_side(call: Call) -> str:
    """Return the number of the person that a call is with, or what they called by."""
    if call.is_browsers:
        return "a browser"
    outbound = call.direction == Call.Direction.OUTBOUND
    return (call.to_number if outbound else call.from_number) or "an unknown number"
