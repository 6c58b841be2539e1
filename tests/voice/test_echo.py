"""A speakerphone sends the bot's voice back: real speech, the real detector, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from apps.gateway.stock import stock_clips
from apps.providers.silero import BatchedSilero
from apps.voice import g711
from apps.voice.conversation import ECHO_FLOOR_DB
from apps.voice.ports import ChatMessage, Window
from apps.voice.settings import ConversationSettings, Lines
from apps.voice.turns import Phase
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import FRAME, QUIET, Call

GREETING = stock_clips()["failure"]  # four and a half seconds of speech
SPEECH = stock_clips()["idle"].audio
DELAY_S = 0.15  # there and back through two networks


class Speakerphone:
    """Sends back what it plays, so many dB quieter, and with it what the caller says."""

    def __init__(self, call: Call, *, loss_db: float) -> None:
        self._call = call
        self._gain = 10 ** (-loss_db / 20)
        self._said = b""

    def say(self, audio: bytes) -> None:
        self._said = audio

    async def stay(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            await asyncio.sleep(0.02)
            mixed = g711.decode_float(self._echo()) * self._gain + g711.decode_float(self._next())
            self._call.talk.parts.hearing.frame(g711.encode_float(mixed))

    def _echo(self) -> bytes:
        at = round((self._call.since_start() - DELAY_S - 0.02) * g711.SAMPLE_RATE)
        return bytes(self._call.ear.heard[at : at + FRAME] if at >= 0 else b"").ljust(
            FRAME, QUIET[:1]
        )

    def _next(self) -> bytes:
        frame, self._said = self._said[:FRAME], self._said[FRAME:]
        return frame.ljust(FRAME, QUIET[:1])


def greets() -> Call:
    """A bot that talks for four and a half seconds."""
    settings = ConversationSettings(
        (ChatMessage("system", "Be brief."),), lines=Lines(greeting=GREETING.text)
    )
    return Call(
        settings=settings,
        clips={"greeting": GREETING},
        detector=BatchedSilero(),
        stt={"lines": ["Are you still there?"]},
    )


@pytest.mark.parametrize("loss_db", [20.0, 26.0])
@in_virtual_time
async def test_the_bots_own_echo_neither_interrupts_it_nor_is_answered(loss_db: float) -> None:
    async with greets() as call:
        await Speakerphone(call, loss_db=loss_db).stay(GREETING.seconds + 2)
        assert call.talk.phase is Phase.LISTENING
    assert call.ear.cleared_at == []
    assert [(turn.role, turn.heard) for turn in call.notebook.turns] == [("bot", GREETING.text)]


@in_virtual_time
async def test_a_caller_is_heard_over_the_echo() -> None:
    async with greets() as call:
        phone = Speakerphone(call, loss_db=20)
        await phone.stay(1)
        phone.say(SPEECH)
        await phone.stay(3)
    assert len(call.ear.cleared_at) == 1
    greeting, caller = call.notebook.turns[:2]
    assert greeting.interrupted
    assert caller.said == "Are you still there?"


@in_virtual_time
async def test_the_echo_of_these_tests_is_speech_to_the_detector() -> None:
    """Else they would prove nothing: only its level tells it from a caller's."""
    detector, windows = BatchedSilero(), list[Window]()
    stream = detector.open(windows.append, silence_db=-56)
    stream.push(g711.encode_float(g711.decode_float(GREETING.audio[:8_000]) * 0.1))
    await asyncio.sleep(1)
    await detector.aclose()
    speech = [window for window in windows if window.probability > 0.9]
    assert len(speech) > 10
    assert sum(window.level_db < ECHO_FLOOR_DB for window in speech) > len(speech) / 2
