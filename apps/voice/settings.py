"""What one conversation is told: the checked, vendor-neutral half of a bot's config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from apps.voice.ports import ChatMessage, Tool


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """When a turn starts and ends. Seconds, unless said otherwise.

    confidence: the probability from which a window counts as speech. min_volume: 0..1, mapped
    linearly to -100..0 dB below full scale; quieter windows are not speech. stop_secs: silence
    that ends an utterance. start_secs: speech that starts one. idle_secs: silence of both sides
    before the caller is asked whether they are there; 0 never asks. patience_secs: silence that
    ends an utterance when the recogniser, which listens to the words, says that more will come.
    filler_secs: silence, while tools run, after which the bot asks for patience; 0 never does.
    """

    confidence: float = 0.5
    start_secs: float = 0.12
    stop_secs: float = 0.3
    min_volume: float = 0.5
    interruptible: bool = True
    idle_secs: float = 12.0
    patience_secs: float = 1.2
    filler_secs: float = 1.0


@dataclass(frozen=True, slots=True)
class Lines:
    """Sentences the platform itself may have to say; the bot's words come from the model.

    consent: said before anything else, and never interrupted; empty where nobody has to be told.
    """

    consent: str = ""
    greeting: str = ""
    apology: str = "I'm sorry, I'm having a little trouble. Could you say that again?"
    failure: str = "I'm sorry, something went wrong on our side. Please call again later. Goodbye."
    filler: str = "One moment, please."
    idle: str = "Are you still there?"
    goodbye: str = "I'll let you go now. Thank you for calling. Goodbye."
    time_up: str = "I'm afraid our time is up. Thank you for calling. Goodbye."
    resume: str = "I'm sorry, we were cut off for a moment. Where were we?"


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """One call's orders.

    messages: the history that the model starts with, system first. past: what was said in an
    earlier stream of the call. opening: a fresh call is greeted; one that goes on after its line
    broke hears the line ``resume`` (``again``), or nothing of it (``quiet``). speaks_first: the
    model opens a fresh call (only where there is no greeting text). max_duration_s counts from the
    stream's start to the end of the goodbye.
    """

    messages: tuple[ChatMessage, ...]
    past: tuple[ChatMessage, ...] = ()
    opening: Literal["fresh", "again", "quiet"] = "fresh"
    tools: tuple[Tool, ...] = ()
    speaks_first: bool = False
    lines: Lines = field(default_factory=Lines)
    turns: TurnSettings = field(default_factory=TurnSettings)
    max_duration_s: float = 600.0
    provider_patience_s: float = 2.5


LineName = Literal[
    "consent",
    "greeting",
    "apology",
    "failure",
    "filler",
    "idle",
    "goodbye",
    "time_up",
    "resume",
]
