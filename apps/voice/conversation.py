"""One call: events in, through the turn table, actions out.

Everything here is synchronous and immediate; what takes time runs in the parts, which report back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from apps.voice.clips import Clip
from apps.voice.hearing import Failed, Hearing, Words
from apps.voice.history import History
from apps.voice.meter import Meter
from apps.voice.minutes import Minutes
from apps.voice.orders import ENDING, FULL, Order, Orders
from apps.voice.playout import Playout
from apps.voice.ports import Clock, Line, ProviderError, Relayed, Transferrer, Used
from apps.voice.production import Outcome
from apps.voice.sentences import has_words
from apps.voice.settings import ConversationSettings, LineName
from apps.voice.speaking import Speaker
from apps.voice.stages import Stopwatch
from apps.voice.toolwords import NOT_TRANSFERRED, STAYS
from apps.voice.turns import Do, Heard, Phase, advance

# Sounds that say "go on": they do not take the turn from a speaking bot.
BACKCHANNELS = frozenset({"uh huh", "uh-huh", "mm hmm", "mm-hmm", "mhm", "mm", "hmm", "hm", "uh"})

# Why a call ended, by the last thing that was said.
END_REASONS: Mapping[str, str] = {
    "time_up": "max_duration",
    "goodbye": "idle",
    "failure": "provider_failure",
    "message": "machine",
}

# Provider failures in a row after which the call is given up.
FAILURES = 3


@dataclass(frozen=True, slots=True)
class Parts:
    """What a conversation is made of, built by the gateway."""

    hearing: Hearing
    speaker: Speaker
    playout: Playout
    line: Line
    minutes: Minutes
    meter: Meter
    clips: Mapping[LineName, Clip]
    transferrer: Transferrer | None = None


class Conversation:
    """Moves one call from phase to phase."""

    def __init__(self, settings: ConversationSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.history = History(settings.messages)
        self.history.append(settings.past)
        self.phase = Phase.LISTENING
        self.phase_since = self.started_at = clock.now()
        self.parts: Parts
        self.failures = 0
        self.idle_asked = False
        self.orders = Orders()
        self.owes_consent = False  # the caller has not heard yet what they have to be told
        self.on_observed: Callable[[Heard], None] = _nothing  # whoever watches the call

    # --- what happens to it ---------------------------------------------------------------------

    def open(self) -> None:
        """The stream has started."""
        self.started_at = self.phase_since = self.clock.now()
        if self.settings.opening != "fresh":
            self._reopen()
        elif self.settings.lines.consent:
            self.owes_consent = True
            self.observe(Heard.OPENED_WITH_CONSENT)
        else:
            self._begin()

    def caller_reports(self, report: Heard | Words | Failed) -> None:
        """Take what the hearing side noticed."""
        match report:
            case Words():
                self._words(report)
            case Failed(error=error):
                self._failed(error, Heard.EARS_FAILED)
            case Heard.SPEECH_STARTED if self._must_not_interrupt():
                pass
            case _:
                self.observe(report)

    def speaker_reports(self, outcome: Outcome) -> None:
        """A production has ended."""
        talk = self.parts.playout.talk
        talk.leaves, talk.transfer_to = outcome.leaves, outcome.transfer_to
        talk.farewell = outcome.farewell
        if outcome.error is not None:
            self._failed(outcome.error, Heard.REPLY_FAILED)
        elif outcome.spoke:
            self.parts.playout.finish()
        elif outcome.transfer_to:
            self.observe(Heard.BOT_TRANSFERS)
        else:
            self.observe(Heard.BOT_LEFT if outcome.leaves else Heard.REPLY_EMPTY)

    def playout_started(self) -> None:
        """The first audio of a talk was handed to the line."""
        now = self.clock.now()
        self.parts.speaker.watch.stamp("line", now)
        self.parts.minutes.bot_starts(self.parts.speaker.watch)
        self.observe(Heard.REPLY_STARTED)

    def playout_ended(self) -> None:
        """Everything the bot had to say was heard."""
        talk = self.parts.playout.talk
        if self.phase is Phase.SPEAKING and talk.transfer_to:
            self.observe(Heard.BOT_TRANSFERS)
        elif self.phase is Phase.SPEAKING and talk.leaves:
            self.observe(Heard.BOT_LEFT)
        elif talk.source == "resume" and self.history.unanswered:
            self.observe(Heard.RESUMED)
        else:
            self.observe(Heard.PLAYBACK_ENDED)
            if talk.source == "consent" and self.phase is Phase.LISTENING:
                self.owes_consent = False
                self._begin()
                self._next_order()
        # Speech that began while the bot was not to be interrupted has been waiting for its turn.
        if self.phase is Phase.LISTENING and self.parts.hearing.gate.speaking:
            self.observe(Heard.SPEECH_STARTED)

    def order(self, order: Order) -> str:
        """Take an order from outside. Returns why not, or nothing."""
        if order.then != "stay":
            return self._leave(order)
        stoppable = self.phase is Phase.PARTING and order.interrupt
        if self.phase in _LEAVING and not stoppable:
            return ENDING
        if not self.orders.add(order):
            return FULL
        self._next_order()
        return ""

    def transfer_reports(self, worked: bool) -> None:
        """Twilio has the call for somebody else, or could not take it."""
        talk = self.parts.playout.talk
        if not worked:
            self.history.tool_answered(talk.farewell, NOT_TRANSFERRED)
            talk.transfer_to = ""
            self.parts.minutes.event("call.transfer_failed", {})
        self.observe(Heard.TRANSFERRED if worked else Heard.TRANSFER_FAILED)

    def observe(self, heard: Heard) -> None:
        """Take one event through the table and do what it says."""
        before = self.phase
        self.phase, actions = advance(before, heard)
        if self.phase is not before or actions:
            self.phase_since = self.clock.now()
            self.on_observed(heard)
        for action in actions:
            _ACTIONS[action](self)
        self._set_echo_floor()
        self._next_order()

    def used(self) -> Used:
        """Return all that the call has used so far, in turns or not."""
        return self.parts.meter.reading + self.parts.hearing.reading

    @property
    def taking_over(self) -> bool:
        """Whether a provider has been asked in the place of one that failed."""
        ears = self.parts.hearing.transcriber
        relayed = isinstance(ears, Relayed) and ears.taking_over
        return relayed or self.parts.speaker.taking_over

    # --- what it does ---------------------------------------------------------------------------

    def begin_utterance(self) -> None:
        self.parts.minutes.caller_starts(self.clock.now())
        self.parts.hearing.begin()

    def finish_utterance(self) -> None:
        now = self.clock.now()
        self.parts.minutes.watch = watch = Stopwatch(self.parts.hearing.speech_ended_at())
        watch.stamp("endpointing", now)
        self.parts.hearing.finish()

    def ask_model(self) -> None:
        now = self.clock.now()
        watch = self.parts.minutes.watch or Stopwatch(now)
        watch.stamp("transcription", now)
        self.parts.speaker.answer(self.history, watch=watch)

    def cancel_reply(self) -> None:
        self.parts.speaker.cancel()

    def clear_playback(self) -> None:
        self.parts.playout.cut()
        if farewell := self.parts.playout.talk.farewell:
            self.history.tool_answered(farewell, STAYS)
        self._keep(interrupted=True)

    def keep_turn(self) -> None:
        self._keep(interrupted=False)

    def resume_speech(self) -> None:
        """The interruption was no speech: say what was not heard, if anything."""
        talk = self.parts.playout.talk
        rest = talk.unheard(self.clock.now())
        if has_words(rest):
            self.parts.speaker.say(rest, source=talk.source)
        else:
            self.observe(Heard.PLAYBACK_ENDED)

    def say_line(self, name: LineName) -> None:
        """Say one of the platform's sentences: from the cache, or by the bot's voice."""
        if name == "idle":
            self.idle_asked = True
        clip = self.parts.clips.get(name)
        if clip is not None:
            self.parts.speaker.play(clip, source=name)
        else:
            self.parts.speaker.say(getattr(self.settings.lines, name), source=name)

    def say_ordered(self) -> None:
        self.idle_asked = False
        order = self.orders.current
        self.parts.speaker.say(order.text, source=order.source)

    def transfer(self) -> None:
        talk = self.parts.playout.talk
        if self.orders.current.then == "transfer":
            talk.transfer_to, self.orders.current = self.orders.current.target, Order("")
        target = talk.transfer_to
        if self.parts.transferrer is None:
            self.transfer_reports(worked=False)
        else:
            self.parts.minutes.event("call.transferring", {"target": target})
            self.parts.transferrer.transfer(target, self.transfer_reports)

    def hang_up(self) -> None:
        talk = self.parts.playout.talk
        reason = "transferred" if talk.transfer_to else END_REASONS.get(talk.source, "bot_ended")
        self.parts.line.hang_up(reason)

    # --- inside ---------------------------------------------------------------------------------

    def _leave(self, order: Order) -> str:
        """Say an order's text, and go; it waits for nobody."""
        heard = Heard.TOLD_TO_LEAVE
        if order.then == "transfer":
            heard = Heard.TOLD_TO_HAND_OVER if order.text else Heard.TOLD_TO_TRANSFER
        if advance(self.phase, heard)[0] is self.phase:
            return ENDING
        self.orders.current = order
        self.observe(heard)
        return ""

    def _next_order(self) -> None:
        """Let the next order that waits be said, if it is its turn."""
        if self.phase is Phase.ENDED and self.orders:
            self.parts.minutes.event("say.dropped", {"count": self.orders.clear()})
        if not self.orders or self.parts.hearing.gate.speaking or self._owes_notice():
            return
        heard = Heard.TOLD_TO_SAY if self.orders.interrupts else Heard.ASKED_TO_SAY
        if advance(self.phase, heard)[1]:
            self.orders.take()
            self.observe(heard)

    def _words(self, words: Words) -> None:
        if words.text and not self._is_backchannel(words.text):
            self.idle_asked = False
            self.history.caller_said(words.text)
            self.parts.speaker.tools.move_on()
            self.parts.minutes.caller_said(
                words.text,
                ended_at=self.parts.hearing.speech_ended_at(),
                reading=self.parts.hearing.reading,
            )
        if words.latest:
            answer = self.history.unanswered or self._must_open()
            self.observe(Heard.WORDS if answer else Heard.NO_WORDS)

    def _begin(self) -> None:
        if self.settings.lines.greeting:
            self.observe(Heard.OPENED_WITH_GREETING)
        elif self.settings.speaks_first:
            self.observe(Heard.OPENED_BY_MODEL)

    def _reopen(self) -> None:
        if self.settings.opening == "again":
            self.observe(Heard.OPENED_AGAIN)
        elif self.history.unanswered:
            self.observe(Heard.OPENED_BY_MODEL)

    def _is_backchannel(self, text: str) -> bool:
        return self.phase is Phase.CHECKING and text.lower().strip(" .,!?") in BACKCHANNELS

    def _must_open(self) -> bool:
        """Whether the model was to speak first and nobody has been heard yet."""
        return self.settings.speaks_first and not self.history.begun

    def _must_not_interrupt(self) -> bool:
        firm = self._owes_notice() or not self.settings.turns.interruptible
        return self.phase is Phase.SPEAKING and firm

    def _owes_notice(self) -> bool:
        """Whether the bot is saying what the caller has to be told."""
        return self.owes_consent and self.parts.playout.talk.source == "consent"

    def _failed(self, error: ProviderError, heard: Heard) -> None:
        self.parts.minutes.event(
            "provider.failed", {"provider": error.provider, "reason": error.reason}
        )
        self.failing(heard)

    def failing(self, heard: Heard) -> None:
        """Something a provider should have done was not done; too often ends the call."""
        self.failures += 1
        self.observe(Heard.GIVE_UP if self.failures >= FAILURES else heard)

    def _keep(self, *, interrupted: bool) -> None:
        talk = self.parts.playout.talk
        now = self.clock.now()
        self.parts.speaker.heard(talk, now)
        if talk.kept or talk.started_at is None:
            return
        talk.kept = True
        before_tools = interrupted and self.parts.speaker.owes
        # The notice is no word of the bot's, and a model may be asked next. And an excuse between a
        # question and its answer would look like the answer.
        excuse = talk.source == "resume" and self.history.unanswered
        if talk.source != "consent" and not excuse:
            self.history.bot_said(talk.heard(now), before_tools=before_tools)
        self.parts.minutes.bot_said(talk, now, interrupted=interrupted)
        self.parts.speaker.follow(self.history.messages())
        if talk.source == "model":
            self.failures = 0

    def _set_echo_floor(self) -> None:
        gate = self.parts.hearing.gate
        speaking = self.phase in (Phase.SPEAKING, Phase.PARTING)
        gate.floor_db = max(gate.quiet_db, ECHO_FLOOR_DB) if speaking else gate.quiet_db


def _nothing(_heard: Heard) -> None:
    """Nobody watches."""


# In these the bot has nothing more to say of its own; a goodbye may still be stopped.
_LEAVING = frozenset(
    (Phase.HANDING_OVER, Phase.TRANSFERRING, Phase.PARTING, Phase.CLOSING, Phase.ENDED)
)

# While the bot speaks, its echo comes back from a speakerphone some 20 dB quieter than it was
# sent, and voices are sent at about -20 dB: what is quieter than this is not an interruption.
ECHO_FLOOR_DB = -36.0


def _line(name: LineName) -> Callable[[Conversation], None]:
    return lambda conversation: conversation.say_line(name)


_ACTIONS: Mapping[Do, Callable[[Conversation], None]] = {
    Do.BEGIN_UTTERANCE: Conversation.begin_utterance,
    Do.FINISH_UTTERANCE: Conversation.finish_utterance,
    Do.ASK_MODEL: Conversation.ask_model,
    Do.CANCEL_REPLY: Conversation.cancel_reply,
    Do.CLEAR_PLAYBACK: Conversation.clear_playback,
    Do.KEEP_TURN: Conversation.keep_turn,
    Do.RESUME_SPEECH: Conversation.resume_speech,
    Do.SAY_CONSENT: _line("consent"),
    Do.SAY_GREETING: _line("greeting"),
    Do.SAY_APOLOGY: _line("apology"),
    Do.SAY_IDLE: _line("idle"),
    Do.SAY_GOODBYE: _line("goodbye"),
    Do.SAY_TIME_UP: _line("time_up"),
    Do.SAY_FAILURE: _line("failure"),
    Do.SAY_RESUME: _line("resume"),
    Do.SAY_ORDERED: Conversation.say_ordered,
    Do.TRANSFER: Conversation.transfer,
    Do.HANG_UP: Conversation.hang_up,
}
