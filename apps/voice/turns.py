"""Who may speak: the turn policy, whole, as a table.

Everything that moves a conversation from one phase to the next stands here and nowhere else.
A pair that is missing changes nothing: networks deliver late and twice.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Phase(enum.Enum):
    """Whose turn it is."""

    LISTENING = "listening"  # nobody speaks
    HEARING = "hearing"  # the caller speaks
    TRANSCRIBING = "transcribing"  # the caller is done; the words are on their way
    THINKING = "thinking"  # an answer is being made; nothing of it has been sent
    SPEAKING = "speaking"  # the bot speaks
    OVERTAKEN = "overtaken"  # the caller spoke over the bot, which fell silent
    CHECKING = "checking"  # the caller is done; were those words, or a cough?
    HANDING_OVER = "handing over"  # the bot says that it puts the call through; nothing stops it
    TRANSFERRING = "transferring"  # the call is on its way to somebody else
    PARTING = "parting"  # the bot says goodbye; the caller may still stop it
    CLOSING = "closing"  # the bot's last words; nothing stops them
    ENDED = "ended"


class Heard(enum.Enum):
    """What happened."""

    OPENED_WITH_CONSENT = "opened with consent"
    OPENED_WITH_GREETING = "opened with greeting"
    OPENED_BY_MODEL = "opened by model"
    OPENED_AGAIN = "opened again"  # the call's line broke, and is there again
    SPEECH_STARTED = "speech started"
    SPEECH_ENDED = "speech ended"
    WORDS = "words"
    NO_WORDS = "no words"
    EARS_FAILED = "ears failed"
    REPLY_STARTED = "reply started"  # its first audio was sent
    REPLY_EMPTY = "reply empty"
    REPLY_FAILED = "reply failed"
    RESUMED = "resumed"  # that was said, and the caller still waits for an answer
    PLAYBACK_ENDED = "playback ended"  # everything the bot had to say was heard
    BOT_LEFT = "bot left"  # the same, and the model had asked to end the call
    BOT_TRANSFERS = "bot transfers"  # the same, and the model had asked to put the call through
    ASKED_TO_SAY = "asked to say"  # somebody outside has words for the caller
    TOLD_TO_SAY = "told to say"  # the same, and the bot's own do not matter
    TOLD_TO_LEAVE = "told to leave"  # say this, and hang up
    TOLD_TO_HAND_OVER = "told to hand over"  # say this, and put the call through
    TOLD_TO_TRANSFER = "told to transfer"  # put the call through
    TRANSFERRED = "transferred"
    TRANSFER_FAILED = "transfer failed"
    MUTE = "mute"  # somebody should have delivered by now
    IDLE = "idle"
    IDLE_AGAIN = "idle again"
    TIME_UP = "time up"
    GIVE_UP = "give up"  # failing again and again
    GONE = "gone"  # the stream is over


class Do(enum.Enum):
    """What to do about it, in order."""

    BEGIN_UTTERANCE = "begin utterance"
    FINISH_UTTERANCE = "finish utterance"
    ASK_MODEL = "ask model"
    CANCEL_REPLY = "cancel reply"  # stop producing: model and voice
    CLEAR_PLAYBACK = "clear playback"  # drop what was not heard, here and at Twilio
    KEEP_TURN = "keep turn"  # the bot's turn is complete: into the history
    RESUME_SPEECH = "resume speech"  # say what was not heard
    SAY_CONSENT = "say consent"
    SAY_GREETING = "say greeting"
    SAY_APOLOGY = "say apology"
    SAY_IDLE = "say idle"
    SAY_GOODBYE = "say goodbye"
    SAY_TIME_UP = "say time up"
    SAY_RESUME = "say resume"
    SAY_FAILURE = "say failure"
    SAY_ORDERED = "say ordered"  # what somebody outside wants said
    TRANSFER = "transfer"
    HANG_UP = "hang up"


Rule = tuple[Phase, tuple[Do, ...]]
P, H, D = Phase, Heard, Do

# In these the bot is still there for the caller.
_TALKS = (
    *(P.LISTENING, P.HEARING, P.TRANSCRIBING, P.THINKING),
    *(P.SPEAKING, P.OVERTAKEN, P.CHECKING),
)
_OPEN = (*_TALKS, P.PARTING)

TRANSITIONS: Mapping[tuple[Phase, Heard], Rule] = {
    # The call opens.
    (P.LISTENING, H.OPENED_WITH_CONSENT): (P.SPEAKING, (D.SAY_CONSENT,)),
    (P.LISTENING, H.OPENED_WITH_GREETING): (P.SPEAKING, (D.SAY_GREETING,)),
    (P.LISTENING, H.OPENED_BY_MODEL): (P.THINKING, (D.ASK_MODEL,)),
    (P.LISTENING, H.OPENED_AGAIN): (P.SPEAKING, (D.SAY_RESUME,)),
    (P.SPEAKING, H.RESUMED): (P.THINKING, (D.KEEP_TURN, D.ASK_MODEL)),
    # The caller's turn.
    (P.LISTENING, H.SPEECH_STARTED): (P.HEARING, (D.BEGIN_UTTERANCE,)),
    (P.HEARING, H.SPEECH_ENDED): (P.TRANSCRIBING, (D.FINISH_UTTERANCE,)),
    (P.TRANSCRIBING, H.SPEECH_STARTED): (P.HEARING, (D.BEGIN_UTTERANCE,)),
    (P.TRANSCRIBING, H.WORDS): (P.THINKING, (D.ASK_MODEL,)),
    (P.TRANSCRIBING, H.NO_WORDS): (P.LISTENING, ()),
    (P.TRANSCRIBING, H.EARS_FAILED): (P.SPEAKING, (D.SAY_APOLOGY,)),
    (P.TRANSCRIBING, H.MUTE): (P.SPEAKING, (D.SAY_APOLOGY,)),
    # The bot's turn. A caller who goes on before the answer is heard has not finished asking.
    (P.THINKING, H.SPEECH_STARTED): (
        P.HEARING,
        (D.CANCEL_REPLY, D.CLEAR_PLAYBACK, D.BEGIN_UTTERANCE),
    ),
    (P.THINKING, H.REPLY_STARTED): (P.SPEAKING, ()),
    **{
        (P.THINKING, heard): (P.SPEAKING, (D.CANCEL_REPLY, D.CLEAR_PLAYBACK, D.SAY_APOLOGY))
        for heard in (H.REPLY_EMPTY, H.REPLY_FAILED, H.MUTE)
    },
    (P.THINKING, H.BOT_LEFT): (P.ENDED, (D.HANG_UP,)),
    (P.SPEAKING, H.PLAYBACK_ENDED): (P.LISTENING, (D.KEEP_TURN,)),
    (P.SPEAKING, H.BOT_LEFT): (P.ENDED, (D.KEEP_TURN, D.HANG_UP)),
    # (An empty reply while it speaks: it has asked for patience, and then nothing came of it.)
    **{
        (P.SPEAKING, heard): (P.SPEAKING, (D.CANCEL_REPLY, D.SAY_APOLOGY))
        for heard in (H.REPLY_EMPTY, H.REPLY_FAILED, H.MUTE)
    },
    # The call goes on to somebody else.
    (P.SPEAKING, H.BOT_TRANSFERS): (P.TRANSFERRING, (D.KEEP_TURN, D.TRANSFER)),
    (P.THINKING, H.BOT_TRANSFERS): (P.TRANSFERRING, (D.TRANSFER,)),
    (P.TRANSFERRING, H.TRANSFERRED): (P.ENDED, (D.HANG_UP,)),
    (P.TRANSFERRING, H.TRANSFER_FAILED): (P.SPEAKING, (D.SAY_APOLOGY,)),
    # Somebody outside has words for the caller. They wait for both sides, or for the caller alone:
    # in phases that do not stand here they wait.
    (P.LISTENING, H.ASKED_TO_SAY): (P.SPEAKING, (D.SAY_ORDERED,)),
    **{
        (phase, H.TOLD_TO_SAY): (P.SPEAKING, (D.CANCEL_REPLY, D.CLEAR_PLAYBACK, D.SAY_ORDERED))
        for phase in (P.LISTENING, P.THINKING, P.SPEAKING, P.PARTING)
    },
    # Or takes the call away from the bot, whoever speaks.
    **{
        (phase, heard): (after, (D.CANCEL_REPLY, D.CLEAR_PLAYBACK, do))
        for phase in _OPEN
        for heard, after, do in (
            (H.TOLD_TO_LEAVE, P.CLOSING, D.SAY_ORDERED),
            (H.TOLD_TO_HAND_OVER, P.HANDING_OVER, D.SAY_ORDERED),
            (H.TOLD_TO_TRANSFER, P.TRANSFERRING, D.TRANSFER),
        )
    },
    (P.HANDING_OVER, H.PLAYBACK_ENDED): (P.TRANSFERRING, (D.KEEP_TURN, D.TRANSFER)),
    **{
        (P.HANDING_OVER, heard): (P.TRANSFERRING, (D.CANCEL_REPLY, D.CLEAR_PLAYBACK, D.TRANSFER))
        for heard in (H.REPLY_EMPTY, H.REPLY_FAILED, H.MUTE)
    },
    # The caller speaks over the bot: silence first, questions later.
    (P.SPEAKING, H.SPEECH_STARTED): (
        P.OVERTAKEN,
        (D.CANCEL_REPLY, D.CLEAR_PLAYBACK, D.BEGIN_UTTERANCE),
    ),
    (P.OVERTAKEN, H.SPEECH_ENDED): (P.CHECKING, (D.FINISH_UTTERANCE,)),
    (P.CHECKING, H.SPEECH_STARTED): (P.OVERTAKEN, (D.BEGIN_UTTERANCE,)),
    (P.CHECKING, H.WORDS): (P.THINKING, (D.ASK_MODEL,)),
    (P.CHECKING, H.NO_WORDS): (P.SPEAKING, (D.RESUME_SPEECH,)),
    (P.CHECKING, H.EARS_FAILED): (P.SPEAKING, (D.SAY_APOLOGY,)),
    (P.CHECKING, H.MUTE): (P.SPEAKING, (D.SAY_APOLOGY,)),
    # Nobody says anything.
    (P.LISTENING, H.IDLE): (P.SPEAKING, (D.SAY_IDLE,)),
    (P.LISTENING, H.IDLE_AGAIN): (P.PARTING, (D.SAY_GOODBYE,)),
    (P.PARTING, H.SPEECH_STARTED): (
        P.HEARING,
        (D.CANCEL_REPLY, D.CLEAR_PLAYBACK, D.BEGIN_UTTERANCE),
    ),
    (P.PARTING, H.PLAYBACK_ENDED): (P.ENDED, (D.KEEP_TURN, D.HANG_UP)),
    **{
        (phase, heard): (P.ENDED, (D.HANG_UP,))
        for phase in (P.PARTING, P.CLOSING)
        for heard in (H.REPLY_EMPTY, H.REPLY_FAILED, H.MUTE)
    },
    # The last words.
    (P.CLOSING, H.PLAYBACK_ENDED): (P.ENDED, (D.KEEP_TURN, D.HANG_UP)),
    **{
        (phase, heard): (P.CLOSING, (D.CANCEL_REPLY, D.CLEAR_PLAYBACK, say))
        for phase in _TALKS
        for heard, say in ((H.TIME_UP, D.SAY_TIME_UP), (H.GIVE_UP, D.SAY_FAILURE))
    },
    # Whatever happens, the stream may be over.
    **{
        (phase, H.GONE): (P.ENDED, (D.CANCEL_REPLY, D.CLEAR_PLAYBACK))
        for phase in Phase
        if phase is not P.ENDED
    },
}


def advance(phase: Phase, heard: Heard) -> Rule:
    """Return the next phase and what to do, in order."""
    return TRANSITIONS.get((phase, heard), (phase, ()))
