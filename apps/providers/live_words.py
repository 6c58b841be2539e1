"""Whose words are these? From what a vendor says of a stream to one Final for each utterance.

A vendor cuts the stream as it likes: several final pieces for one utterance, one before the
utterance's end was marked, none where there were no words. What belongs together is decided by
where the words lie in the audio. All positions are bytes of the call's audio, 8 a millisecond.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from apps.voice.g711 import BYTES_PER_MS
from apps.voice.ports import (
    Final,
    Partial,
    ProviderError,
    TranscriptEvent,
    TranscriptionFailed,
    TurnEnded,
)

# Speech is marked late, by up to half a second; a word that ended so long before is another's.
LEAD = 1_500 * BYTES_PER_MS
# A recogniser that has heard up to so shortly before the caller's silence has heard it all: the
# silence is noticed 100 ms after its beginning.
_NEARLY = 80 * BYTES_PER_MS
# Vendors' times are rounded.
_ROUNDING = 20 * BYTES_PER_MS


@dataclass(frozen=True, slots=True)
class Said:
    """What one message of a vendor says, in our words.

    text: words; final if they will not change, else they replace the guess before them. start,
    end: where they lie, None if the vendor does not tell. through: up to where everything is final
    or silence, if this message tells. flushed: it answers a flush; ticket says which, where answers
    may come in any order. turn_over: by these words, the caller is done. error: there will be no
    words for this flush.
    """

    text: str = ""
    final: bool = False
    start: int | None = None
    end: int | None = None
    through: int | None = None
    flushed: bool = False
    ticket: int | None = None
    turn_over: bool = False
    error: ProviderError | None = None


@dataclass(slots=True, eq=False)
class Utterance:
    """One utterance of the caller.

    begun, finished: where it lies; finished is None while it is open. quiet: where the caller fell
    silent, None while they speak. guess: words that may still change. asked: a flush was asked for
    since the caller last spoke, and ``tickets`` of them are unanswered. settled: nothing of what
    was said is outstanding.
    """

    number: int
    begun: int
    finished: int | None = None
    quiet: int | None = None
    words: list[str] = field(default_factory=list)
    guess: str = ""
    shown: str = ""
    asked: bool = False
    tickets: int = 0
    settled: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.words)


class Utterances:
    """One call's utterances that are not concluded. Pure: no clock, no socket.

    tell: takes the events; it may call back into ``finish`` and ``begin``. concluded: is told of
    every utterance that is over.
    """

    def __init__(
        self,
        tell: Callable[[TranscriptEvent], None],
        concluded: Callable[[Utterance], None],
        *,
        endpoints: bool,
    ) -> None:
        self._tell = tell
        self._concluded = concluded
        self._endpoints = endpoints
        self.open: Utterance | None = None
        self.waiting: list[Utterance] = []
        self.known = 0  # up to here the words are final, or nobody's
        self._over = 0  # where the last finished utterance ended
        self._loose: deque[Said] = deque(maxlen=20)  # words before anybody said they were speech
        self._flushes: dict[int, tuple[int, Utterance]] = {}

    # --- the caller ---------------------------------------------------------------------------

    def begin(self, number: int, at: int) -> bool:
        """Open an utterance. Returns whether the vendor has said already that it is over."""
        if self.open is not None:  # the caller went on: the words of both are one utterance's
            self.open.number = number
            self.resume()
            return False
        opened = self.open = Utterance(number, max(self._over, at - LEAD))
        before = [said for said in self._loose if (said.end or at) > opened.begun]
        self._loose.clear()
        opened.words += [said.text for said in before]
        opened.settled = bool(before) and before[-1].turn_over
        return opened.settled

    def pause(self, at: int) -> None:
        """The caller fell silent."""
        if self.open is not None:
            self.open.quiet = at

    def resume(self) -> None:
        """The caller speaks again."""
        if self.open is not None:
            self.open.quiet = None
            self.open.asked = self.open.settled = False

    def finish(self, at: int) -> Utterance | None:
        """End the open utterance. Returns it if its words are outstanding."""
        done, self.open = self.open, None
        if done is None:
            return None
        done.finished = self._over = at
        done.quiet = at if done.quiet is None else done.quiet
        self.waiting.append(done)
        if done.settled and not done.guess:
            self.conclude(done)
            return None
        return done

    # --- the vendor -----------------------------------------------------------------------------

    def flushing(self, ticket: int, utterance: Utterance, at: int) -> None:
        """The vendor is asked to finish what it has of ``utterance``, which is up to ``at``."""
        self._flushes[ticket] = (at, utterance)
        utterance.tickets += 1
        utterance.asked = True

    def said(self, said: Said) -> None:
        """Take what the vendor says."""
        if said.final and said.end is not None:
            self.known = max(self.known, said.end)
        target = self._answered(said) if said.flushed else self._meant(said)
        if target is None:
            self._keep(said)
        elif said.error is not None:
            self.fail(target, said.error)
        else:
            self._words(target, said)
            self._follow(target, said)
        self._silence(said.through)

    def _keep(self, said: Said) -> None:
        """Keep words that nobody has claimed; a mark for them may come yet."""
        if said.text and said.final and said.ticket is None and not self._is_late(said):
            self._loose.append(said)

    def _meant(self, said: Said) -> Utterance | None:
        """Return the utterance that words belong to."""
        if said.ticket in self._flushes:
            return self._if_active(self._flushes[said.ticket][1])
        return self._at(said) if said.text else None

    def _answered(self, said: Said) -> Utterance | None:
        """Return the utterance whose flush this answers, or that its words belong to."""
        target = self._meant(said)
        found = target
        for ticket in self._tickets_of(said, target):
            utterance = self._flushes.pop(ticket)[1]
            utterance.tickets -= 1
            found = self._if_active(utterance) or found
        return target if said.text else found

    def _tickets_of(self, said: Said, target: Utterance | None) -> list[int]:
        """Return the flushes that an answer is to; a vendor may skip one it has nothing for."""
        if said.ticket is not None:
            return [said.ticket] if said.ticket in self._flushes else []
        if said.through is not None:
            reached = said.through + _ROUNDING
            return [n for n, (at, _) in self._flushes.items() if at <= reached] or self._oldest()
        active = [n for n, (_, one) in self._flushes.items() if self._if_active(one)]
        if target is None:
            return active[:1]
        return [n for n in active if self._flushes[n][1] is target]

    def _oldest(self) -> list[int]:
        return list(self._flushes)[:1]

    def _if_active(self, utterance: Utterance) -> Utterance | None:
        return utterance if utterance is self.open or utterance in self.waiting else None

    def _at(self, said: Said) -> Utterance | None:
        """Return the utterance that words lie in; words without a place are the oldest's."""
        if said.ticket is not None:
            return None  # they answer what is concluded
        for one in self.waiting:
            if said.start is None or one.finished is None or said.start < one.finished:
                return one
        return self.open if self.open is not None and not self._is_late(said) else None

    def _is_late(self, said: Said) -> bool:
        """Whether words lie before the end of an utterance that has had its Final."""
        return said.end is not None and said.end <= self._over

    def _words(self, target: Utterance, said: Said) -> None:
        if said.final or said.flushed:
            target.guess = ""
            if said.text:
                target.words.append(said.text)
        else:
            target.guess = said.text
            target.settled = False
        if self._settles(target, said):
            target.settled = True

    def _settles(self, target: Utterance, said: Said) -> bool:
        """Whether all that was said in ``target`` is final now."""
        if said.flushed:
            return target.tickets == 0 and target.asked
        if said.turn_over and target.finished is None:
            return True
        return _reaches(said.through, target)

    def _follow(self, target: Utterance, said: Said) -> None:
        """Tell what has become of an utterance with the vendor's last message."""
        if target.finished is not None and target.settled and not target.guess:
            self.conclude(target)
            return
        shown = f"{target.text} {target.guess}".strip()
        if shown and shown != target.shown:
            target.shown = shown
            self._tell(Partial(target.number, shown))
        if said.turn_over and target is self.open:
            self.tell_over(target)

    def tell_over(self, utterance: Utterance) -> None:
        """Tell that the caller is done, as far as the vendor can say."""
        if self._endpoints:
            self._tell(TurnEnded(utterance.number))

    def _silence(self, through: int | None) -> None:
        """Up to ``through`` no word is outstanding."""
        for one in self.active():
            if _reaches(through, one):
                one.guess = ""
                one.settled = True
        for one in list(self.waiting):
            if one.settled:
                self.conclude(one)

    # --- ends -----------------------------------------------------------------------------------

    def conclude(self, utterance: Utterance) -> None:
        """Give a finished utterance its Final, with the words there are."""
        if self._leave(utterance):
            self._tell(Final(utterance.number, utterance.text))

    def fail(self, utterance: Utterance, error: ProviderError) -> None:
        """Give a finished utterance its failure."""
        if self._leave(utterance):
            self._tell(TranscriptionFailed(utterance.number, error))

    def _leave(self, utterance: Utterance) -> bool:
        if utterance not in self.waiting:
            return False
        self.waiting.remove(utterance)
        self._concluded(utterance)
        return True

    def lost(self) -> None:
        """The connection is gone: what was not final will be heard again."""
        self._flushes.clear()
        for one in self.active():
            one.guess = ""
            one.tickets = 0
            one.asked = one.settled = False

    def active(self) -> list[Utterance]:
        return [*self.waiting, *([self.open] if self.open is not None else [])]

    def needed(self, end: int) -> int:
        """Return from where on the call's audio must be kept: what has no final words yet."""
        for one in self.active():
            return max(one.begun, self.known)
        return max(self._over, end - LEAD)


def _reaches(through: int | None, utterance: Utterance) -> bool:
    quiet = utterance.quiet
    return through is not None and quiet is not None and through >= quiet - _NEARLY
