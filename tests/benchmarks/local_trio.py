"""Measures the local trio on telephone audio: ``python -m tests.benchmarks.local_trio``.

Speech is made by the local voice, so error rates compare recognisers with each other; they do not
say what real callers will see. Candidates that are not installed are left out of the tables.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
import re
import resource
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from apps.providers import local_ears, local_voice
from apps.providers.base import ServiceSettings
from apps.providers.local_answers import Knowledge
from apps.providers.local_ears import LocalTranscriber, recognise
from apps.providers.local_voice import LocalVoice
from apps.voice import g711
from apps.voice.ports import Final, TranscriptEvent

SETTINGS = ServiceSettings("local")
Sound = npt.NDArray[np.float32]
Recogniser = Callable[[bytes], str]

SENTENCES = (
    "What are your opening hours?",
    "How much is a check up?",
    "Where are you?",
    "Can I park my car?",
    "Do I need an appointment?",
    "Are you open on Sunday?",
    "I would like to book an appointment for next Tuesday in the afternoon.",
    "Can you say that again, please?",
    "I want to talk to a human.",
    "My name is Peter Miller and I need to cancel my reservation.",
    "Yes.",
    "No, thank you, goodbye.",
)
DENTIST = (
    "You are the front desk of Harbor Dental. Keep answers short. We are open Monday to Friday "
    "from nine to five, and Saturday from ten to two. We are at 12 Quay Street, next to the ferry. "
    "A check-up costs 60 dollars. Parking is free behind the building. Dr. Silva and Dr. Chen see "
    "patients by appointment only."
)
HOTEL = (
    "You are the reception of Hotel Aurora. Be polite. Check-in is from three in the afternoon and "
    "check-out is until eleven. Breakfast is served from seven to ten in the garden room. A double "
    "room is 120 euros a night. Dogs are welcome for 15 euros. The pool is on the roof and heated "
    "all year. We have free wifi in all rooms. The airport shuttle leaves every hour. You can "
    "cancel without charge up to two days before arrival."
)
# Written before the responder was run on them; "" means that it should ask back.
QUESTIONS = (
    (DENTIST, "When can I come by?", "nine to five"),
    (DENTIST, "What time do you open tomorrow?", "nine to five"),
    (DENTIST, "Are you there on weekends?", "nine to five"),
    (DENTIST, "What do you charge for an examination?", "60 dollars"),
    (DENTIST, "Is a checkup expensive?", "60 dollars"),
    (DENTIST, "Which street are you on?", "Quay Street"),
    (DENTIST, "How do I find you?", "Quay Street"),
    (DENTIST, "Is there somewhere to leave my car?", "Parking"),
    (DENTIST, "Who will treat me?", "Silva"),
    (DENTIST, "Can I just walk in?", "by appointment"),
    (DENTIST, "Do you sell bicycles?", ""),
    (DENTIST, "What is the capital of France?", ""),
    (HOTEL, "When can I check in?", "three in the afternoon"),
    (HOTEL, "What time do I have to leave the room?", "until eleven"),
    (HOTEL, "When is breakfast?", "seven to ten"),
    (HOTEL, "How much is a room?", "120 euros"),
    (HOTEL, "What does a night cost?", "120 euros"),
    (HOTEL, "Can I bring my dog?", "Dogs"),
    (HOTEL, "Are pets allowed?", "Dogs"),
    (HOTEL, "Is there a swimming pool?", "roof"),
    (HOTEL, "Do you have internet?", "wifi"),
    (HOTEL, "How do I get from the airport to you?", "shuttle"),
    (HOTEL, "Can I cancel my booking?", "without charge"),
    (HOTEL, "Do you fix bicycles?", ""),
    (HOTEL, "Who won the election?", ""),
)


def words(text: str) -> list[str]:
    text = re.sub(r"\bgood by\b", "goodbye", text.lower().replace("-", " "))
    return re.findall(
        r"[a-z0-9']+", text.replace("checkup", "check up").replace("goodbye", "good bye")
    )


def errors(said: str, heard: str) -> int:
    """Word errors: substitutions, insertions and deletions."""
    blocks = difflib.SequenceMatcher(None, words(said), words(heard), autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for tag, a, b, c, d in blocks if tag != "equal")


def in_noise(audio: bytes, snr_db: float) -> bytes:
    sound = g711.decode_float(g711.SILENCE * 4000 + audio + g711.SILENCE * 2400)
    noise = np.random.default_rng(0).standard_normal(len(sound)) * 0.1 * 10 ** (-snr_db / 20)
    return g711.encode_float(sound + noise)


def noises() -> list[bytes]:
    """Sounds without a word: silence, hiss, coughs, clicks, hum, ringing, keypad."""
    rng, n = np.random.default_rng(1), np.arange(12_000)
    decay = np.where(n < 4000, 0, np.exp(-np.maximum(0, n - 4000) / 500))
    clicks = (rng.random(12_000) > 0.998) * 0.5
    tones = [0.2 * np.sin(2 * np.pi * hz * n / 8000) for hz in (60, 440, 480, 697, 1209)]
    hiss = [rng.standard_normal(12_000) * level for level in (0.001, 0.01, 0.05, 0.2)]
    cough = rng.standard_normal(12_000) * decay * 0.4
    sounds = [0.0 * n, *hiss, cough, clicks, tones[0], tones[1] + tones[2], tones[3] + tones[4]]
    return [g711.encode_float(sound) for sound in sounds]


def recognisers() -> dict[str, Recogniser]:
    found: dict[str, Recogniser] = {"moonshine-voice, as we use it": recognise}
    from moonshine_voice import ModelArch, get_assets_path
    from moonshine_voice.transcriber import Transcriber

    for name, options in (("its defaults", {}), ("its VAD off", {"vad_threshold": "0.0"})):
        model = Transcriber(get_assets_path() / "tiny-en", ModelArch.TINY, options=options)
        found[f"moonshine-voice, {name}"] = _moonshine(model)
    if find_spec("pocketsphinx"):
        found["pocketsphinx"] = _pocketsphinx()
    return found


def _moonshine(model: Any) -> Recogniser:
    def hear(audio: bytes) -> str:
        sound = soxr.resample(g711.decode_float(audio), 8000, 16_000)
        lines = model.transcribe_without_streaming(sound.tolist(), 16_000).lines
        return " ".join(line.text for line in lines)

    return hear


def _pocketsphinx() -> Recogniser:
    decoder = importlib.import_module("pocketsphinx").Decoder(samprate=16_000, loglevel="FATAL")

    def hear(audio: bytes) -> str:
        sound = soxr.resample(g711.decode_float(audio), 8000, 16_000)
        decoder.start_utt()
        decoder.process_raw((sound * 32_767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        return decoder.hyp().hypstr if decoder.hyp() else ""

    return hear


def recognisers_table(speech: dict[str, bytes]) -> None:
    total = sum(len(words(text)) for text in speech)
    print(
        f"\n{'recogniser':36} {'clean':>6} {'20 dB':>6} {'10 dB':>6} {'in noise':>9} {'x real':>7}"
    )
    for name, hear in recognisers().items():
        rates = []
        hear(next(iter(speech.values())))
        started, heard_s = time.perf_counter(), 0.0
        for snr in (60, 20, 10):
            noisy = {text: in_noise(audio, snr) for text, audio in speech.items()}
            heard_s += sum(map(len, noisy.values())) / 8000
            rates.append(sum(errors(text, hear(audio)) for text, audio in noisy.items()) / total)
        pace = heard_s / (time.perf_counter() - started)
        imagined = sum(bool(words(hear(audio))) for audio in noises())
        shown = " ".join(f"{rate:6.2f}" for rate in rates)
        print(f"{name:36} {shown} {imagined:>5}/{len(noises())} {pace:7.1f}")


async def voice_table(speech: dict[str, bytes]) -> None:
    firsts: list[float] = []
    made_s, started = 0.0, time.perf_counter()
    for text in SENTENCES:
        asked = time.perf_counter()
        async for piece in LocalVoice(SETTINGS).speak(text):
            if len(firsts) <= SENTENCES.index(text):
                firsts.append(time.perf_counter() - asked)
            made_s += len(piece) / 8000
    pace = made_s / (time.perf_counter() - started)
    shown = f"{_ms(firsts, 50)} ms (median), {_ms(firsts, 95)} ms (p95)"
    print(f"\nvoice: first audio {shown}, {pace:.0f} x real")
    levels = [g711.level_db(audio) for audio in speech.values()]
    print(
        f"voice: level {min(levels):.1f} to {max(levels):.1f} dB below full scale, whole sentences"
    )


def _ms(seconds: list[float], percentile: float) -> int:
    return round(1000 * float(np.percentile(seconds, percentile)))


async def loop_lag(work: Callable[[], Any]) -> tuple[float, Any]:
    """Run ``work`` and return the worst delay of a 5 ms tick meanwhile, in ms, and its result."""
    worst, done = 0.0, False

    async def tick() -> None:
        nonlocal worst
        while not done:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            worst = max(worst, time.perf_counter() - before - 0.005)

    ticking = asyncio.create_task(tick())
    result = await work()
    done = True
    await ticking
    return worst * 1000, result


async def one_call(audio: bytes) -> float:
    """Speak ``audio`` in real time to a transcriber; return s from ``finish`` to the Final."""
    final = asyncio.get_running_loop().create_future()

    def deliver(event: TranscriptEvent) -> None:
        if isinstance(event, Final):
            final.set_result(time.perf_counter())

    ears = LocalTranscriber(SETTINGS)
    await ears.open(deliver)
    frames = [audio[n : n + 160] for n in range(0, len(audio), 160)]
    start = time.perf_counter()
    for n, frame in enumerate([*frames, *[g711.SILENCE * 160] * 15]):
        ears.hear(frame)
        if n == 8:
            ears.begin(1)
        if n == len(frames):
            ears.pause()
        await asyncio.sleep(max(0.0, start + (n + 1) * 0.02 - time.perf_counter()))
    ears.finish()
    finished = time.perf_counter()
    heard = await final
    await ears.aclose()
    return float(heard - finished)


async def calls_table(speech: dict[str, bytes]) -> None:
    print(f"\n{'calls at once':14} {'final after finish, median / worst':36} worst loop lag")
    audio = list(speech.values())
    for calls in (1, 4, 8):

        async def all_calls(calls: int = calls) -> list[float]:
            return await asyncio.gather(*(one_call(audio[n % len(audio)]) for n in range(calls)))

        lag, waits = await loop_lag(all_calls)
        shown = f"{_ms(waits, 50)} ms / {_ms(waits, 100)} ms"
        print(f"{calls:<14} {shown:36} {lag:.0f} ms")


def responder_table() -> None:
    choosers: dict[str, Callable[[Knowledge, str], tuple[str, float]]] = {
        "words and ideas": _lexical
    }
    limits = {"words and ideas": 0.34}
    if find_spec("wordllama"):
        for limit in (0.1, 0.2, 0.3):
            choosers[f"wordllama from {limit}"] = _wordllama()
            limits[f"wordllama from {limit}"] = limit
    print(f"\n{'responder':20} {'right':>7} {'asked back rightly':>20} {'ms':>7}")
    for name, choose in choosers.items():
        right = asked_back = 0
        started = time.perf_counter()
        for prompt, question, wanted in QUESTIONS:
            text, score = choose(Knowledge(prompt), question)
            told = text if score >= limits[name] else ""
            right += bool(wanted and wanted in told)
            asked_back += not wanted and not told
        each = (time.perf_counter() - started) / len(QUESTIONS) * 1000
        answerable = sum(bool(wanted) for _, _, wanted in QUESTIONS)
        absent = len(QUESTIONS) - answerable
        print(f"{name:20} {right:>4}/{answerable} {asked_back:>18}/{absent} {each:7.2f}")


def _lexical(known: Knowledge, question: str) -> tuple[str, float]:
    found = known.answer(question)
    return found.text, found.score


def _wordllama() -> Callable[[Knowledge, str], tuple[str, float]]:
    # Its wheel carries the tokenizer in a folder (tokenizers) that it does not look in (tokenizer).
    model = importlib.import_module("wordllama").WordLlama.load(disable_download=True)

    def choose(known: Knowledge, question: str) -> tuple[str, float]:
        scored = [(float(model.similarity(question, fact.text)), fact.text) for fact in known.facts]
        score, text = max(scored)
        return text, score

    return choose


async def main() -> None:
    for module in (local_voice, local_ears):
        started = time.perf_counter()
        await module.warm_up()
        print(f"{module.__name__}: warm in {time.perf_counter() - started:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"memory with both models: {peak} MB")
    voice = LocalVoice(SETTINGS)
    speech = {t: b"".join([piece async for piece in voice.speak(t)]) for t in SENTENCES}
    await voice_table(speech)
    await calls_table(speech)
    recognisers_table(speech)
    responder_table()


if __name__ == "__main__":
    asyncio.run(main())
