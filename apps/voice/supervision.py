"""Watches every call from outside its pipeline, on a wall clock.

What notices a failure must not live inside what fails: a model that never answers, a voice that
dribbles, a mark that never comes back and a caller who has left all look like silence from within.
"""

from __future__ import annotations

from apps.voice.conversation import Conversation
from apps.voice.turns import Heard, Phase

# How often to look. With the patience of 2.5 s this keeps an apology within 3 s of the failure.
EVERY_S = 0.2

# What whoever takes over for one that failed gets besides: the apology still comes within 3 s.
TAKEOVER_S = 0.25

# Kept free behind the last words, for the network and the carrier to deliver them.
FAREWELL_MARGIN_S = 1.0

_AWAITING = frozenset({Phase.TRANSCRIBING, Phase.THINKING, Phase.CHECKING})
_TALKING = frozenset({Phase.SPEAKING, Phase.PARTING, Phase.CLOSING, Phase.HANDING_OVER})
_LEAVING = frozenset({Phase.PARTING, Phase.CLOSING, Phase.HANDING_OVER, Phase.ENDED})


def look_after(conversation: Conversation) -> None:
    """Look at one call now and tell it what it cannot notice itself."""
    now = conversation.clock.now()
    phase = conversation.phase
    if phase not in _LEAVING and now >= ends_at(conversation):
        conversation.observe(Heard.TIME_UP)
    elif conversation.parts.playout.mark_lost():
        conversation.parts.minutes.event("mark.lost", {})
        conversation.playout_ended()
    elif _is_mute(conversation, now):
        conversation.parts.minutes.event("provider.mute", {"phase": phase.value})
        _give_up_waiting(conversation)
    elif phase is Phase.LISTENING and _is_idle(conversation, now):
        conversation.observe(Heard.IDLE_AGAIN if conversation.idle_asked else Heard.IDLE)


def ends_at(conversation: Conversation) -> float:
    """Return when the last words must begin for the call to end in time."""
    clip = conversation.parts.clips.get("time_up")
    farewell = clip.seconds if clip is not None else 3.0
    limit = conversation.settings.max_duration_s
    return conversation.started_at + max(0.0, limit - farewell - FAREWELL_MARGIN_S)


def _is_mute(conversation: Conversation, now: float) -> bool:
    over_s = now - _silent_since(conversation, now) - conversation.settings.provider_patience_s
    return over_s > 0 and not (over_s <= TAKEOVER_S and conversation.taking_over)


def _silent_since(conversation: Conversation, now: float) -> float:
    """Return since when somebody owes the caller audio, or now.

    Tools have their own time: while they run nobody else can deliver.
    """
    since = _owed_since(conversation, now)
    return max(since, min(now, conversation.parts.speaker.tools.waited_until(now)))


def _owed_since(conversation: Conversation, now: float) -> float:
    if conversation.phase in _AWAITING:
        return conversation.phase_since
    talk = conversation.parts.playout.talk
    if conversation.phase not in _TALKING or talk.finished:
        return now
    if talk.started_at is None:
        return conversation.phase_since
    dry = conversation.parts.playout.dry_since()
    return now if dry is None else dry


def _give_up_waiting(conversation: Conversation) -> None:
    conversation.parts.speaker.stalled()
    if conversation.phase in _LEAVING:
        conversation.observe(Heard.MUTE)
    else:
        conversation.failing(Heard.MUTE)


def _is_idle(conversation: Conversation, now: float) -> bool:
    limit = conversation.settings.turns.idle_secs
    return limit > 0 and now - conversation.phase_since > limit
