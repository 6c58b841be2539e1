"""Azure's text to speech over REST, as strict as the original.

Written from learn.microsoft.com ("Text to speech REST API", "SSML document structure and events",
"Customize voice and sound with SSML"), read in November 2026, and from what people report of it: an
empty 200 for SSML without a word in it (Azure-Samples/cognitive-services-speech-sdk#2111), a 400
without a body for an unknown voice (MicrosoftDocs/azure-docs#86612). Not documented: the content
type of raw mu-law (audio/basic here), and that the list of voices answers HEAD (which every
resource that answers GET should).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from xml.etree import ElementTree as ET

from tests.vendors.serving import KEY, Exchange
from tests.vendors.speech_over_http import HttpVoiceStandIn

VOICES = frozenset(
    ("en-US-AvaMultilingualNeural", "en-US-JennyNeural", "de-DE-KatjaNeural", "en-GB-SoniaNeural")
)
FORMATS = frozenset(
    ("raw-8khz-8bit-mono-mulaw", "raw-8khz-8bit-mono-alaw", "raw-8khz-16bit-mono-pcm")
    + ("raw-16khz-16bit-mono-pcm", "raw-24khz-16bit-mono-pcm", "riff-8khz-8bit-mono-mulaw")
)
_SSML = "http://www.w3.org/2001/10/synthesis"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_LOCALE = re.compile(r"[a-z]{2,3}-[A-Z]{2}")
_RATE = re.compile(r"(?P<times>\d+(?:\.\d+)?)|[+-]\d+(?:\.\d+)?%|x-slow|slow|medium|fast|x-fast")


class NotSsml(Exception):
    """A document that Azure refuses; says why."""


class AzureSpeechStandIn(HttpVoiceStandIn):
    async def http(self, exchange: Exchange) -> None:
        seen = exchange.seen
        fault = self.next_fault()
        if fault == "status":
            await self.goes_wrong(exchange, fault)
        elif seen.headers.get("ocp-apim-subscription-key") != KEY:
            await self.refuse_with(exchange, 401, "Access denied due to invalid subscription key")
        elif (seen.method, seen.path) == ("HEAD", "/cognitiveservices/voices/list"):
            await exchange.answer(200, b"", content_type="application/json")
        elif (seen.method, seen.path) != ("POST", "/cognitiveservices/v1"):
            await self.refuse_with(exchange, 404, f"Resource not found: {seen.path}")
        elif why := _wrong_headers(seen.headers):
            await self.refuse_with(exchange, 415 if "type" in why else 400, why)
        elif not await self.goes_wrong(exchange, fault):
            await self._speak(exchange, fault == "silence", fault == "cut")

    async def refuse_with(self, exchange: Exchange, status: int, why: str, code: str = "") -> None:
        self.refuse(why)
        if status == 401:
            await exchange.answer(401, {"error": {"code": "401", "message": why}})
        else:
            await exchange.answer(status, b"")

    async def _speak(self, exchange: Exchange, silent: bool, cut: bool) -> None:
        try:
            voice, text = read(exchange.seen.body)
        except NotSsml as exc:
            await self.refuse_with(exchange, 400, str(exc))
            return
        self.spoken.append(text)
        self.asked.append((voice, ""))
        if not any(map(str.isalnum, text)):
            await exchange.answer(200, b"", content_type=self.AUDIO_TYPE)
            return
        pieces = self.mulaw(text, "silence" if silent else "none")
        await self.play(exchange, pieces, "cut" if cut else "none")


def _wrong_headers(headers: Mapping[str, str]) -> str:
    if headers.get("content-type", "").partition(";")[0] != "application/ssml+xml":
        return "the content type must be application/ssml+xml"
    if headers.get("x-microsoft-outputformat") not in FORMATS:
        return "X-Microsoft-OutputFormat is none"
    if headers["x-microsoft-outputformat"] != "raw-8khz-8bit-mono-mulaw":
        return "this stand-in makes mu-law only"
    return "" if 0 < len(headers.get("user-agent", "")) < 255 else "User-Agent is required"


def read(body: bytes) -> tuple[str, str]:
    """Return the voice and the text of an SSML document. Raises NotSsml."""
    try:
        root = ET.fromstring(body.decode())
    except (ET.ParseError, UnicodeDecodeError) as exc:
        raise NotSsml(f"not XML: {exc}") from None
    _must(_name(root) == "speak", "the root must be speak")
    _must(root.get("version") == "1.0", "speak must be of version 1.0")
    _must(_LOCALE.fullmatch(root.get(_LANG, "")), "speak must have a language and region")
    _must(set(root.attrib) <= {"version", _LANG}, "speak has an attribute too many")
    _must(not (root.text or "").strip() and len(root) == 1, "speak must hold a voice, and no text")
    (voice,) = root
    name = voice.get("name", "")
    _must(_name(voice) == "voice" and name in VOICES, f"there is no voice {name}")
    _check(voice, name)
    return name, "".join(voice.itertext())


def _check(parent: ET.Element, voice: str) -> None:
    for element in parent:
        check = _ELEMENTS.get(_name(element))
        if check is None:
            raise NotSsml(f"{element.tag} is not supported")
        check(element, voice)
        _check(element, voice)


def _prosody(element: ET.Element, _: str) -> None:
    _must(set(element.attrib) <= {"rate", "pitch", "volume"}, "prosody has an unknown attribute")
    rate = _RATE.fullmatch(element.get("rate", "medium"))
    if rate is None:
        raise NotSsml("the rate is none")
    _must(0.5 <= float(rate["times"] or 1) <= 2, "the rate is out of bounds")


def _language(element: ET.Element, voice: str) -> None:
    _must(set(element.attrib) == {_LANG}, "lang must have xml:lang alone")
    _must(_LOCALE.fullmatch(element.get(_LANG, "")), "lang must have a language and region")
    _must("Multilingual" in voice, "the voice speaks one language")


_ELEMENTS: Mapping[str, Callable[[ET.Element, str], None]] = {
    "prosody": _prosody,
    "lang": _language,
}


def _name(element: ET.Element) -> str:
    """Return the element's name; its namespace is SSML's, or none."""
    return element.tag.removeprefix(f"{{{_SSML}}}")


def _must(right: object, why: str) -> None:
    if not right:
        raise NotSsml(why)
