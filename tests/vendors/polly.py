"""Amazon Polly, as strict as the original: it checks the signature too.

Written from docs.aws.amazon.com (Polly: SynthesizeSpeech, ListLexicons, common errors, supported
SSML tags, available voices; IAM: "Create a signed AWS API request"), read in November 2026. The
signature is computed here by hand. Which status throttling has is not said there: 400, as Polly's
own model of its errors has it. A 503 comes as XML, from what stands before the service.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from tests.vendors.serving import KEY, Exchange, Seen
from tests.vendors.speech_over_http import HttpVoiceStandIn

# The live run has a real one, with the secret that belongs to it.
ACCESS_KEY_ID = os.environ.get("AWS_ACCESS_KEY_ID", "AKIASTANDIN0EXAMPLE0")
REGION = "us-east-1"
# Some voices, and the engines each has.
ENGINES: Mapping[str, frozenset[str]] = {
    "Joanna": frozenset({"standard", "neural", "generative"}),
    "Ruth": frozenset({"neural", "long-form", "generative"}),
    "Ivy": frozenset({"standard", "neural"}),
}
_ENGINES = ("standard", "neural", "long-form", "generative")
_FORMATS = ("json", "mp3", "ogg_opus", "ogg_vorbis", "pcm", "mulaw", "alaw")
_FIELDS = frozenset(
    ("Engine", "LanguageCode", "LexiconNames", "OutputFormat", "SampleRate", "SpeechMarkTypes")
    + ("Text", "TextType", "VoiceId")
)
_LONGEST = 3_000
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>\w+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/polly/"
    r"aws4_request, SignedHeaders=(?P<headers>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


class Refused(Exception):
    """What Polly refuses: its own name for the error, a sentence, the status."""

    def __init__(self, name: str, why: str, status: int = 400) -> None:
        super().__init__(f"{name}: {why}")
        self.name, self.why, self.status = name, why, status


class PollyStandIn(HttpVoiceStandIn):
    AUDIO_TYPE = "audio/mulaw"

    async def http(self, exchange: Exchange) -> None:
        seen = exchange.seen
        fault = self.next_fault()
        try:
            if fault == "status":
                await self.goes_wrong(exchange, fault)
                return
            check_signature(seen)
            if (seen.method, seen.path) == ("GET", "/v1/lexicons"):
                await exchange.answer(200, {"Lexicons": []})
            elif (seen.method, seen.path) != ("POST", "/v1/speech"):
                raise Refused("UnknownOperationException", "there is no such operation", 404)
            elif not await self.goes_wrong(exchange, fault):
                body = read(seen)
                self.spoken.append(said(body))
                self.asked.append((body["VoiceId"], body.get("Engine", "standard")))
                await self.play(exchange, self.mulaw(self.spoken[-1], fault), fault)
        except Refused as exc:
            await self.refuse_with(exchange, exc.status, exc.why, exc.name)

    async def refuse_with(self, exchange: Exchange, status: int, why: str, code: str = "") -> None:
        self.refuse(f"{code}: {why}")
        if status == 503:
            page = b"<ServiceUnavailableException/>"
            await exchange.answer(503, page, content_type="application/xml")
            return
        name = code or ("ServiceFailureException" if status >= 500 else "ValidationException")
        await exchange.answer(
            status,
            {"message": why},
            x_amzn_errortype=name,
            content_type="application/x-amz-json-1.1",
        )


def check_signature(seen: Seen) -> None:
    """Check the request's signature, version 4. Raises Refused as AWS does."""
    given = seen.headers.get("authorization", "")
    if not given:
        raise Refused("MissingAuthenticationTokenException", "no authorization", 403)
    found = _AUTHORIZATION.fullmatch(given)
    if found is None:
        raise Refused("IncompleteSignatureException", "the authorization is incomplete", 403)
    if found["id"] != ACCESS_KEY_ID:
        raise Refused("UnrecognizedClientException", "the security token is invalid", 403)
    if found["region"] != REGION:
        raise Refused("InvalidSignatureException", f"scoped to {found['region']}", 403)
    when = seen.headers.get("x-amz-date", "")
    _check_date(when, found["day"])
    names = found["headers"].split(";")
    if names != sorted(names) or not {"host", "x-amz-date"} <= set(names):
        raise Refused("InvalidSignatureException", "host and date must be signed", 403)
    if not hmac.compare_digest(_signature(seen, names, when, found["region"]), found["signature"]):
        raise Refused("InvalidSignatureException", "the signature does not match", 403)


def _check_date(when: str, day: str) -> None:
    try:
        signed = dt.datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        raise Refused("IncompleteSignatureException", "x-amz-date is none", 403) from None
    if abs(dt.datetime.now(dt.UTC) - signed) > dt.timedelta(minutes=5) or when[:8] != day:
        raise Refused("InvalidSignatureException", "the signature has expired", 403)


def _signature(seen: Seen, names: list[str], when: str, region: str) -> str:
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(seen.query.items())
    )
    headers = "".join(f"{name}:{' '.join(seen.headers[name].split())}\n" for name in names)
    payload = hashlib.sha256(seen.body).hexdigest()
    request = "\n".join(
        (seen.method, quote(seen.path, safe="/-_.~"), query, headers, ";".join(names), payload)
    )
    scope = f"{when[:8]}/{region}/polly/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = b"AWS4" + KEY.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{when}\n{scope}\n{digest}"
    return hmac.digest(key, text.encode(), "sha256").hex()


def read(seen: Seen) -> dict[str, Any]:
    """Return the request for speech. Raises Refused."""
    try:
        body = seen.json()
    except ValueError:
        raise Refused("SerializationException", "the body is no JSON") from None
    if not isinstance(body, dict) or set(body) - _FIELDS:
        raise Refused("SerializationException", "the body has unknown members")
    for name in ("OutputFormat", "Text", "VoiceId"):
        if not isinstance(body.get(name), str):
            raise Refused("ValidationException", f"{name} must be given")
    _check_values(body)
    return body


def _check_values(body: Mapping[str, Any]) -> None:
    engine = body.get("Engine", "standard")
    rates = {"mulaw": ("8000",), "alaw": ("8000",), "pcm": ("8000", "16000")}
    if body["OutputFormat"] not in _FORMATS or engine not in _ENGINES:
        raise Refused("ValidationException", "OutputFormat or Engine is none")
    if body["OutputFormat"] != "mulaw":
        raise Refused("ValidationException", "this stand-in makes mu-law only")
    if body["VoiceId"] not in ENGINES:
        raise Refused("ValidationException", "VoiceId is none")
    if body.get("SampleRate", "8000") not in rates[body["OutputFormat"]]:
        raise Refused("InvalidSampleRateException", "mu-law has 8000")
    if engine not in ENGINES[body["VoiceId"]]:
        raise Refused("EngineNotSupportedException", "this voice does not support the engine")
    if not 0 < len(body["Text"]) <= 2 * _LONGEST or len(said(body)) > _LONGEST:
        raise Refused("TextLengthExceededException", "the text is too long")


def said(body: Mapping[str, Any]) -> str:
    """Return the words of a request. Raises Refused for SSML that is none."""
    kind = body.get("TextType", "text")
    if kind == "text":
        return str(body["Text"])
    if kind != "ssml":
        raise Refused("ValidationException", "TextType is none")
    try:
        root = ET.fromstring(body["Text"])
    except ET.ParseError:
        raise Refused("InvalidSsmlException", "Invalid SSML request") from None
    if root.tag != "speak" or any(element.tag != "prosody" for element in root.iterfind(".//*")):
        raise Refused("InvalidSsmlException", "Unsupported feature")
    for prosody in root.iter("prosody"):
        rate = re.fullmatch(r"(\d+)%", prosody.get("rate", ""))
        if rate is None or not 20 <= int(rate[1]) <= 200 or set(prosody.attrib) != {"rate"}:
            raise Refused("InvalidSsmlException", "the rate is none")
    return "".join(root.itertext())
