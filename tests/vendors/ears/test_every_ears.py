"""Every speech-to-text adapter, against a stand-in of its vendor: the same cases for all."""

from __future__ import annotations

import asyncio
from functools import partial

from apps.voice.ports import (
    Endpointing,
    Partial,
    TurnEnded,
)
from tests.vendors.caller import Caller, calling, heard
from tests.vendors.kinds import Subject
from tests.vendors.listening import LiveStandIn

WHOLE = frozenset(("deepgram", "assemblyai", "gladia"))  # these are sent all audio


# --- words ----------------------------------------------------------------------------------------


async def test_what_is_said_becomes_words(caller: Caller) -> None:
    caller.say(1)
    assert await caller.words(1) == "book a table"


async def test_each_utterance_gets_its_own_words_and_one_final(caller: Caller) -> None:
    for number, words in enumerate(("book a table", "for two people", "at seven thirty"), 1):
        caller.say(number)
        assert await caller.words(number) == words
        caller.silence(600)
    assert caller.ends() == [1, 2, 3]


async def test_utterances_in_a_row_without_waiting_do_not_mix(caller: Caller) -> None:
    for number in (1, 2, 3):
        caller.say(number)
        caller.silence(500)
    assert await caller.words(3) == "at seven thirty"
    assert await caller.words(1) == "book a table"
    assert await caller.words(2) == "for two people"
    assert caller.ends() == [1, 2, 3]


async def test_words_that_are_final_before_the_end_are_kept(
    caller: Caller, vendor: LiveStandIn
) -> None:
    caller.speak(1)
    caller.silence(100)
    caller.ears.pause()
    caller.silence(1_400)  # the vendor takes it for a turn's end long before we do
    await vendor.until(lambda: len(heard(vendor.audio)) == len(caller.spoken))
    await caller.until(Partial, 1)
    caller.ears.finish()
    assert await caller.words(1) == "book a table"
    assert caller.ends() == [1]


async def test_pieces_that_the_vendor_cuts_are_joined(caller: Caller, vendor: LiveStandIn) -> None:
    vendor.transcripts = ["my number is | five five five", "thank you"]
    caller.say(1, ms=2_000)
    assert await caller.words(1) == "my number is five five five"
    caller.silence(500)
    caller.say(2)
    assert await caller.words(2) == "thank you"


async def test_an_end_without_a_pause_before_it_is_an_end(caller: Caller) -> None:
    caller.speak(1)
    caller.ears.finish()
    caller.silence(600)
    assert await caller.words(1) == "book a table"


async def test_a_pause_in_the_midst_loses_nothing(caller: Caller, vendor: LiveStandIn) -> None:
    vendor.transcripts = ["yes please"]
    caller.speak(1)
    caller.silence(100)
    caller.ears.pause()
    caller.silence(60)
    caller.ears.resume()
    caller.sound(400)
    caller.stop()
    assert await caller.words(1) == "yes please"
    assert caller.ends() == [1]


async def test_words_before_the_mark_belong_to_the_utterance(
    caller: Caller, vendor: LiveStandIn
) -> None:
    caller.silence(400)
    caller.sound(600)
    caller.silence(200)
    caller.ears.begin(1)
    caller.ears.pause()
    caller.silence(200)
    caller.ears.finish()
    assert await caller.words(1) == "book a table"
    assert heard(vendor.audio) == bytes(caller.spoken)


async def test_a_caller_who_goes_on_at_once_gets_all_words_in_one_final(
    caller: Caller, vendor: LiveStandIn
) -> None:
    caller.speak(1)
    caller.ears.begin(2)
    caller.sound(400)
    caller.stop()
    assert await caller.words(2) == "book a table"
    assert caller.ends() == [2]


async def test_a_caller_who_goes_on_before_the_words_are_there_mixes_nothing(
    caller: Caller, vendor: LiveStandIn
) -> None:
    vendor.hold = asyncio.Event()
    caller.say(1)
    caller.silence(200)
    await vendor.until(lambda: len(heard(vendor.audio)) == len(caller.spoken))
    caller.speak(2)
    assert caller.ends() == []
    vendor.hold.set()
    assert await caller.words(1) == "book a table"
    caller.stop()
    assert await caller.words(2) == "for two people"
    assert caller.ends() == [1, 2]


async def test_partials_come_while_the_caller_speaks(
    caller: Caller, subject: Subject, vendor: LiveStandIn
) -> None:
    caller.speak(1)
    await vendor.until(lambda: len(vendor.audio) > 0)
    guess = await caller.until(Partial, 1)
    assert guess.text and "book a table".startswith(guess.text)


async def test_no_words_are_an_empty_final_and_soon(caller: Caller, vendor: LiveStandIn) -> None:
    vendor.transcripts = ["", "book a table"]
    caller.say(1, ms=400)
    async with asyncio.timeout(2.0):
        assert await caller.words(1) == ""
    caller.silence(600)
    caller.say(2)
    assert await caller.words(2) == "book a table"
    assert caller.ends() == [1, 2]


async def test_a_mark_without_any_sound_is_an_empty_final(caller: Caller) -> None:
    caller.silence(600)
    caller.ears.begin(1)
    caller.silence(400)
    caller.ears.finish()
    caller.silence(1_000)
    async with asyncio.timeout(2.0):
        assert await caller.words(1) == ""


async def test_a_finish_without_a_begin_is_nothing(caller: Caller) -> None:
    caller.ears.finish()
    caller.ears.pause()
    caller.ears.resume()
    caller.say(1)
    assert await caller.words(1) == "book a table"
    assert caller.ends() == [1]


# --- audio ----------------------------------------------------------------------------------------


async def test_audio_arrives_whole_and_in_order(
    caller: Caller, vendor: LiveStandIn, subject: Subject
) -> None:
    for number in (1, 2):
        caller.say(number, ms=1_500)
        await caller.words(number)
        caller.silence(400)
    assert heard(vendor.audio) == bytes(caller.spoken)


def _has(vendor: LiveStandIn, ms: float) -> bool:
    return len(vendor.audio) / 8 > ms


async def test_what_is_between_utterances_is_sent_where_it_helps(
    caller: Caller, vendor: LiveStandIn, subject: Subject
) -> None:
    for sent_ms in (1_000, 2_000, 3_000):
        caller.silence(1_000)
        if subject.provider in WHOLE:
            await vendor.until(partial(_has, vendor, sent_ms - 100))
    caller.say(1)
    await caller.words(1)
    everything_ms = 3_000 + 1_000
    assert (len(vendor.audio) / 8 >= everything_ms) == (subject.provider in WHOLE)


async def test_frames_of_any_length_are_taken(caller: Caller, vendor: LiveStandIn) -> None:
    caller.ears.hear(b"")
    for length in (1, 7, 160, 333, 4_000):
        caller.ears.hear(b"\x21" * length)
    caller.ears.begin(1)
    caller.ears.hear(b"\x21" * 1_000)
    caller.stop()
    await caller.words(1)
    assert len(heard(vendor.audio)) == 1 + 7 + 160 + 333 + 4_000 + 1_000


async def test_audio_before_the_connection_stands_is_not_lost(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.gate = asyncio.Event()
    async with calling(subject, vendor, opens=False) as caller:
        opening = asyncio.create_task(caller.ears.open(caller))
        await vendor.until(lambda: bool(vendor.seen))
        caller.say(1)
        vendor.gate.set()
        await opening
        assert await caller.words(1) == "book a table"
        assert heard(vendor.audio) == bytes(caller.spoken)


async def test_of_endless_speech_without_a_connection_the_last_half_minute_is_kept(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.gate = asyncio.Event()
    async with calling(subject, vendor, opens=False) as caller:
        opening = asyncio.create_task(caller.ears.open(caller))
        await vendor.until(lambda: bool(vendor.seen))
        caller.speak(1, ms=40_000)
        vendor.gate.set()
        await opening
        caller.stop()
        assert await caller.words(1) == "book a table"
        kept = heard(vendor.audio)
        assert 29_000 * 8 <= len(kept) <= 30_000 * 8
        assert bytes(caller.spoken).endswith(kept)


async def test_it_says_whether_it_endpoints(caller: Caller, vendor: LiveStandIn) -> None:
    ears = caller.ears
    assert isinstance(ears, Endpointing)
    caller.speak(1)
    caller.silence(1_000)
    if not ears.endpoints:
        caller.stop()
        await caller.words(1)
        assert caller.turns_over() == []
        return
    await caller.until(TurnEnded, 1)
    caller.ears.finish()
    assert await caller.words(1) == "book a table"
    assert caller.turns_over() == [1]
