"""What a model may be told: the plain case, and what calls make of it."""

from __future__ import annotations

from apps.voice.ports import ChatMessage, Tool, ToolCall

PROMPT = ChatMessage("system", "You are the front desk of SECRET-PROMPT Dental.")
ASKED = ChatMessage("user", "A table for two, please. SECRET-WORDS")
BOOK = Tool(
    "book_table",
    "Book a table.",
    {"type": "object", "properties": {"guests": {"type": "integer"}}, "required": ["guests"]},
)

HISTORIES = {
    "bot first": (PROMPT,),
    "nothing at all": (),
    "greeted": (PROMPT, ChatMessage("assistant", "Hello."), ASKED),
    "silent caller": (PROMPT, ASKED, ChatMessage("assistant", "Two, right?")),
    "twice the same role": (PROMPT, ASKED, ASKED, ChatMessage("assistant", "A"), ASKED),
    "two prompts": (PROMPT, PROMPT, ASKED),
    "instructed late": (PROMPT, ASKED, ChatMessage("system", "Be brief.")),
    "empty words": (PROMPT, ASKED, ChatMessage("assistant", " "), ASKED),
    "answer without call": (PROMPT, ChatMessage("tool", "ok", tool_call_id="gone"), ASKED),
    "call without answer": (
        PROMPT,
        ASKED,
        ChatMessage("assistant", "", tool_calls=(ToolCall("an id!", "gone tool", {"a": 1}),)),
        ASKED,
    ),
    "interrupted after a tool": (
        PROMPT,
        ASKED,
        ChatMessage("assistant", "", tool_calls=(ToolCall("c1", "book_table", {}),)),
        ChatMessage("tool", "", tool_call_id="c1"),
        ASKED,
    ),
}
