"""What a model is told of its tools where they cannot say it themselves.

What begins with ``NOTE`` is an instruction, which no voice may read out.
"""

from __future__ import annotations

NOTE = "For you, not for the caller: "

NOTHING_SAID = "The tool has done its work. It answered nothing."
NO_ANSWER = NOTE + (
    "The tool did not answer in time. Whether it did its work is not known: do not say that it "
    "did. Apologise briefly and go on without it."
)
BROKEN = NOTE + (
    "The tool failed. Nothing is known of its work: do not say that it is done. Apologise briefly "
    "and go on without it."
)
STILL_RUNNING = NOTE + (
    "The tool was called and is still at work; its answer will stand here when it comes. Do not "
    "call it again for this, and do not say that it is done."
)
GIVEN_UP = NOTE + (
    "The caller spoke before the answer came, so it was not waited for. Call again if needed."
)
STAYS = NOTE + (
    "The caller spoke first, so the call goes on. Call this again if it is still wanted."
)
NO_MORE = NOTE + (
    "No more tools can be used before you have spoken. Tell the caller what you know now."
)
NOT_TRANSFERRED = NOTE + (
    "The call could not be put through; the caller is still on the line and has heard an apology. "
    "Say so, and offer to help otherwise."
)
