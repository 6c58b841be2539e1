"""Puts one conversation together from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apps.voice.clips import Clip, line_clip
from apps.voice.conversation import Conversation, Parts
from apps.voice.gate import SpeechGate
from apps.voice.hearing import Hearing
from apps.voice.minutes import Minutes
from apps.voice.patience import Asides
from apps.voice.playout import Playout
from apps.voice.ports import ActivityDetector, Clock, Journal, Line, Transcriber, Transferrer
from apps.voice.production import Services
from apps.voice.settings import ConversationSettings, LineName
from apps.voice.speaking import Speaker


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a call meets: the process's clock and detector, its own line and journal.

    transferrer: None where calls cannot be put through.
    """

    clock: Clock
    detector: ActivityDetector
    line: Line
    journal: Journal
    transferrer: Transferrer | None = None


def assemble(
    settings: ConversationSettings,
    *,
    around: Surroundings,
    services: Services,
    transcriber: Transcriber,
    clips: Mapping[LineName, Clip],
) -> Conversation:
    """Build a conversation. ``open`` starts it; whoever built it closes its parts."""
    conversation = Conversation(settings, around.clock)
    playout = Playout(around.line, around.clock, on_started=conversation.playout_started)
    playout.on_played = conversation.playout_ended
    minutes = Minutes(around.journal, started_at=around.clock.now(), meter=services.meter)
    playout.on_underrun = lambda gap_s: minutes.event(
        "playout.underrun", {"gap_ms": round(gap_s * 1_000)}
    )
    conversation.parts = Parts(
        hearing=Hearing(
            detector=around.detector,
            transcriber=transcriber,
            gate=SpeechGate(settings.turns),
            clock=around.clock,
            report=conversation.caller_reports,
            patience_secs=settings.turns.patience_secs,
        ),
        speaker=Speaker(
            services=services,
            playout=playout,
            clock=around.clock,
            report=conversation.speaker_reports,
            asides=_asides(settings, clips),
            note=minutes.event,
        ),
        playout=playout,
        line=around.line,
        minutes=minutes,
        meter=services.meter,
        clips=clips,
        transferrer=around.transferrer,
    )
    conversation.parts.speaker.brief((*settings.messages, *settings.past))
    return conversation


def _asides(settings: ConversationSettings, clips: Mapping[LineName, Clip]) -> Asides:
    return Asides(
        filler=line_clip("filler", settings.lines, clips),
        goodbye=line_clip("goodbye", settings.lines, clips),
        filler_s=settings.turns.filler_secs,
    )
