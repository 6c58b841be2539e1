"""Sentences, history, mu-law and resampling: the small pure parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.voice import g711
from apps.voice.history import LONGEST, History
from apps.voice.ports import ChatMessage, ToolCall
from apps.voice.resampling import MulawResampler
from apps.voice.sentences import LONGEST_CHARACTERS, SentenceSplitter
from apps.voice.stages import Stopwatch


def sentences(text: str, size: int = 3) -> list[str]:
    splitter = SentenceSplitter()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [*(found for piece in pieces for found in splitter.push(piece)), *splitter.flush()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
        ("It costs 3.50 dollars. Yes.", ["It costs 3.50 dollars.", "Yes."]),
        ("Dr. Silva is in. Wait.", ["Dr. Silva is in.", "Wait."]),
        ("Open at 9 a.m. on Monday. Bye.", ["Open at 9 a.m. on Monday.", "Bye."]),
        ("First line\nsecond line", ["First line", "second line"]),
        ('She said "Stop!" Then left.', ['She said "Stop!"', "Then left."]),
        ("**Bold** and `code`. # No", ["Bold and code.", "# No"]),
        ("- one\n- two", ["one", "two"]),
        ("See [the site](https://x.example). Now.", ["See the site.", "Now."]),
        ("", []),
        ("...", []),
        ("All done! 😊", ["All done!"]),
        ("Well... 😊 Done.", ["Well...", "😊 Done."]),
        ("Five.\n€\n%\nSix.", ["Five.", "€ % Six."]),
        ("½. ٣. ก็.", ["½.", "٣.", "ก็."]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_text_is_cut_into_sentences_however_it_streams(
    text: str, expected: list[str], size: int
) -> None:
    assert sentences(text, size) == expected


def test_a_text_without_punctuation_is_cut_all_the_same() -> None:
    found = sentences("word " * 200)
    assert all(len(sentence) <= LONGEST_CHARACTERS for sentence in found)
    assert " ".join(found) == " ".join(["word"] * 200)


@given(st.text(alphabet="abc .!?\n", max_size=400), st.integers(1, 50))
def test_nothing_is_lost_up_to_the_last_word(text: str, size: int) -> None:
    found, whole = "".join("".join(sentences(text, size)).split()), "".join(text.split())
    assert found.rstrip(".!?") == whole.rstrip(".!?")
    assert whole.startswith(found)


@given(st.text(max_size=100), st.integers(1, 50))
def test_every_sentence_has_words(text: str, size: int) -> None:
    assert all(any(map(str.isalnum, sentence)) for sentence in sentences(text, size))


def test_mulaw_survives_there_and_back() -> None:
    every = bytes(range(256))
    assert g711.encode(g711.decode(every)) == every.replace(b"\x7f", b"\xff")


@given(st.lists(st.integers(-32_768, 32_767), max_size=200))
def test_mulaw_is_within_its_step(samples: list[int]) -> None:
    pcm = np.array(samples, "<i2").tobytes()
    back = np.frombuffer(g711.decode(g711.encode(pcm)), "<i2").astype(int)
    for before, after in zip(samples, back, strict=True):
        assert abs(max(-32_635, min(32_635, before)) - after) <= max(8, abs(before) // 16)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        g711.encode(b"abc")


def test_the_level_of_a_tone_is_right() -> None:
    tone = 0.1 * np.sqrt(2) * np.sin(np.arange(8_000))
    assert g711.level_db(g711.encode_float(tone)) == pytest.approx(-20, abs=0.1)
    assert g711.level_db(b"") == -100
    assert g711.level_db(g711.SILENCE * 100) == -100


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_a_stream_in_pieces_sounds_like_the_whole(rate: int) -> None:
    sound = (0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)
    whole = MulawResampler(rate).push(sound, last=True)
    pieces = MulawResampler(rate)
    cut = [sound[at : at + 333] for at in range(0, len(sound), 333)]
    joined = b"".join([pieces.push(piece) for piece in cut]) + pieces.push(sound[:0], last=True)
    assert abs(len(whole) - 8_000) <= 1
    difference = g711.decode_float(whole) - g711.decode_float(joined)
    assert np.abs(difference).max() < 0.02


def off_tone_db(mulaw: bytes, hertz: float) -> float:
    """Return how much sound there is beside the tone, against the tone: clicks and images."""
    samples = g711.decode_float(mulaw)[200:-200]
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    at = np.fft.rfftfreq(len(samples), 1 / g711.SAMPLE_RATE)
    near = np.abs(at - hertz) < 30
    return float(10 * np.log10(power[~near].sum() / power[near].sum()))


@pytest.mark.parametrize("size", [1, 160, 333, 960])
@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
def test_the_spectrum_of_a_stream_in_pieces_is_that_of_the_whole(rate: int, size: int) -> None:
    hertz = 1_010.0  # no divisor of any rate: a seam falls anywhere in its period
    sound = (0.3 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)).astype(np.float32)
    pieces = MulawResampler(rate)
    joined = b"".join([pieces.push(sound[at : at + size]) for at in range(0, len(sound), size)])
    whole = MulawResampler(rate).push(sound, last=True)
    assert off_tone_db(whole, hertz) < -35  # mu-law's own noise
    assert off_tone_db(joined, hertz) < off_tone_db(whole, hertz) + 1


def test_the_rest_of_a_question_joins_its_beginning() -> None:
    history = History([ChatMessage("system", "s")])
    history.caller_said("I want")
    history.caller_said("a table")
    assert history.messages()[-1] == ChatMessage("user", "I want a table")
    history.bot_said("Yes.")
    assert not history.unanswered


def test_a_bot_that_was_not_heard_said_nothing() -> None:
    history = History([])
    history.caller_said("Hello")
    history.bot_said("")
    assert history.unanswered


def test_a_day_long_call_does_not_grow_without_end() -> None:
    history = History([ChatMessage("system", "s")])
    for turn in range(LONGEST * 2):
        history.caller_said(f"q{turn}")
        call = ToolCall(f"t{turn}", "look", {})
        exchange = [
            ChatMessage("assistant", "", tool_calls=(call,)),
            ChatMessage("tool", "found", tool_call_id=call.id),
        ]
        history.tools_ran(exchange)
        history.bot_said("a")
    messages = history.messages()
    assert len(messages) <= LONGEST + 1
    assert messages[0].role == "system"
    assert messages[1].role == "user"


def test_stages_add_up_and_keep_their_first_stamp() -> None:
    watch = Stopwatch(10.0)
    watch.stamp("endpointing", 10.3)
    watch.stamp("model", 10.5)
    watch.stamp("model", 99.0)
    watch.stamp("line", 10.6)
    assert watch.stages_ms() == {"endpointing": 300.0, "model": 200.0, "line": 100.0}
