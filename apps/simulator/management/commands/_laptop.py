"""A Twilio for a laptop: its account, its numbers, the people in it, and how to use them."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from apps.simulator.twilio.people import Person
from apps.simulator.twilio.state import sid_new

# Reserved for fiction by the numbering plan, and valid to whoever checks them.
OURS = ("+12025550100", "+12025550101", "+12025550102")
STRANGER = "+14155550199"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Somebody who can be called. says: what they say, one turn after the other."""

    number: str
    what: str
    person: Person
    says: tuple[str, ...] = ()


_VOICEMAIL = "You have reached the voice mail of nobody. Please leave a message after the tone."
NEIGHBOURS = (
    Neighbour(
        "+14155550101",
        "answers and talks",
        Person(after_s=3),
        ("Hello, who is this?", "All right. Thank you, goodbye."),
    ),
    Neighbour("+14155550102", "is busy", Person("busy", after_s=1)),
    Neighbour("+14155550103", "lets it ring", Person("silent")),
    Neighbour("+14155550104", "is a voice mail box", Person("machine", 4), (_VOICEMAIL,)),
    Neighbour("+14155550105", "cannot be reached", Person("unreachable", after_s=1)),
    Neighbour("+14155550106", "declines", Person("rejects", after_s=3)),
    Neighbour("+14155550107", "hangs up after 5 seconds", Person(after_s=2, hang_up_after_s=5)),
    Neighbour("+14155550108", "answers and says nothing", Person(after_s=2)),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Kept in a file, so that a product told of them once goes on working."""

    account_sid: str
    auth_token: str = field(repr=False)
    key_sid: str
    key_secret: str = field(repr=False)


def credentials_kept(folder: Path) -> Credentials:
    """Read the credentials of the last run, or make new ones. Raises OSError, ValueError."""
    file = folder / "credentials.json"
    if file.exists():
        return Credentials(**json.loads(file.read_text()))
    made = Credentials(
        sid_new("AC"), secrets.token_hex(16), sid_new("SK"), secrets.token_urlsafe(24)
    )
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(asdict(made), opened)
    return made


_HOW = """\
Twilio's stand-in answers at {url}. Ctrl-C ends it.

  Account SID  {account_sid}
  Auth token   {auth_token}
  API key      {key_sid}
  Its secret   {key_secret}
  Our numbers  {ours}

Whom to call:
{people}

Point the product at it, and start it:
  TWILIO_API_URL={url} make run
Dial out without the product:
  curl -X POST {url}/2010-04-01/Accounts/{account_sid}/Calls.json -u {account_sid}:{auth_token} \\
    --data-urlencode 'To={callee}' --data-urlencode 'From={our}' \\
    --data-urlencode 'Twiml=<Response><Say>Hello</Say></Response>'
Call a number, and listen to what came of it:
  curl -X POST {url}/_simulator/calls -H 'Content-Type: application/json' \\
    -d '{{"to": "{our}", "from": "{stranger}", "say": ["Hello?"]}}'
  curl -o call.wav {url}/_simulator/calls/last/recording.wav
Press keys, speak, hang up: POST {url}/_simulator/calls/last/press, /say, /hangup
"""
_PROXY = """\
Commands that speak to api.twilio.com (twilio-cli, curl) work unchanged after:
  export HTTP_PROXY={proxy} HTTPS_PROXY={proxy} NO_PROXY=127.0.0.1,localhost
  export NODE_EXTRA_CA_CERTS={authority} CURL_CA_BUNDLE={authority}
  export TWILIO_ACCOUNT_SID={account_sid} TWILIO_AUTH_TOKEN={auth_token}
"""


def instructions(kept: Credentials, url: str, proxy: str, authority: Path) -> str:
    """Say what a person needs to know. proxy: empty if there is none."""
    facts = {
        **asdict(kept),
        "url": url,
        "proxy": proxy,
        "authority": authority,
        "ours": ", ".join(OURS),
        "our": OURS[0],
        "callee": NEIGHBOURS[0].number,
        "stranger": STRANGER,
        "people": "\n".join(f"  {one.number}  {one.what}" for one in NEIGHBOURS),
    }
    return (_HOW + (_PROXY if proxy else "")).format(**facts)
