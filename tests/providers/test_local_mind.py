"""The local responder: what it says to what, by table."""

from __future__ import annotations

import pytest

from apps.providers.base import ServiceSettings
from apps.providers.local_answers import Knowledge
from apps.providers.local_mind import LocalResponder
from apps.providers.local_tools import arguments_filled, result_spoken
from apps.voice.ports import ChatMessage, TextDelta, Tool, ToolCall, Usage
from apps.voice.toolwords import BROKEN, NO_ANSWER, NOTE, NOTHING_SAID

DENTIST = (
    "You are the front desk of Harbor Dental. Keep answers short. We are open Monday to Friday "
    "from nine to five, and Saturday from ten to two. We are at 12 Quay Street, next to the ferry. "
    "A check-up costs 60 dollars. Parking is free behind the building. Dr. Silva and Dr. Chen see "
    "patients by appointment only."
)
PIZZERIA = """# Role
You are Maya, a receptionist at Bella Pizza.

## Style
- Be friendly and brief.
- Never talk about politics.

## Opening hours
- Monday to Thursday: 11 am to 10 pm
- Friday and Saturday: 11 am to midnight
- Sunday: closed

## Menu
- Margherita: 9 euros
- Vegan garden pizza: 12 euros

**Delivery**
We deliver within 5 kilometres. Delivery costs 3 euros. It takes about 40 minutes.

If the caller asks about allergens, say "Our kitchen uses nuts and gluten."
"""
ORDERS = "You are a helpful assistant. Keep your answers short. Never use lists. Be kind."
END = Tool("end_call", "End the call")
HUMAN = Tool("transfer_call", "Transfer the caller to a human")
BOOK = Tool(
    "book_appointment",
    "Book an appointment for a patient",
    {
        "properties": {
            "date": {"type": "string"},
            "time": {"type": "string"},
            "kind": {"type": "string", "enum": ["check-up", "cleaning"]},
            "people": {"type": "integer"},
        },
        "required": ["date", "time"],
    },
)
WEATHER = Tool(
    "get_weather",
    "Get the weather for a city",
    {"properties": {"city": {"type": "string"}}, "required": ["city"]},
)


class Caller:
    """Talks to a responder and keeps the history, as a conversation does."""

    def __init__(self, prompt: str, *tools: Tool) -> None:
        self.responder = LocalResponder(ServiceSettings("local"))
        self.history = [ChatMessage("system", prompt)]
        self.tools = tools
        self.called: list[ToolCall] = []

    async def hears(self) -> str:
        events = [event async for event in self.responder.reply(self.history, self.tools)]
        assert isinstance(events[-1], Usage)
        self.called = [event for event in events if isinstance(event, ToolCall)]
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        self.history.append(ChatMessage("assistant", text, tuple(self.called)))
        return text

    async def says(self, text: str) -> str:
        self.history.append(ChatMessage("user", text))
        return await self.hears()


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("What are your opening hours?", "nine to five"),
        ("When do you open?", "nine to five"),
        ("What time do you close?", "nine to five"),
        ("Are you open on Sunday?", "Monday to Friday"),
        ("How much is a check up?", "60 dollars"),
        ("How much of the checkup?", "60 dollars"),
        ("What does a check-up cost?", "60 dollars"),
        ("Where are you?", "12 Quay Street"),
        ("How do I get there?", "12 Quay Street"),
        ("What's your address?", "12 Quay Street"),
        ("Can I park my car?", "free behind"),
        ("Do I need an appointment?", "by appointment only"),
        ("Who are the doctors?", "Dr. Silva and Dr. Chen"),
        ("Thanks. And where are you?", "12 Quay Street"),
    ],
)
async def test_it_answers_with_the_prompts_own_sentence(question: str, fact: str) -> None:
    assert fact in await Caller(DENTIST).says(question)


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("When are you open?", "Friday and Saturday, 11 am to midnight"),
        ("Are you open on Sunday?", "Sunday: closed."),
        ("How much is a margherita?", "9 euros"),
        ("What's on the menu?", "Vegan garden pizza, 12 euros"),
        ("How much is delivery?", "3 euros"),
        ("How long does delivery take?", "40 minutes"),
        ("Are there any allergens in it?", "nuts and gluten"),
    ],
)
async def test_it_reads_prompts_written_as_lists(question: str, fact: str) -> None:
    assert fact in await Caller(PIZZERIA).says(question)


async def test_what_callers_may_do_is_a_fact_and_what_the_bot_shall_do_is_not() -> None:
    known = Knowledge("You are kind. You can cancel free of charge. You should ask for a name.")
    assert [fact.text for fact in known.facts] == ["You can cancel free of charge."]


async def test_it_answers_both_halves_of_a_double_question() -> None:
    answer = await Caller(DENTIST).says("When do you open and where are you?")
    assert "nine to five" in answer
    assert "Quay Street" in answer


async def test_it_never_speaks_its_instructions() -> None:
    texts = [
        fact.text for prompt in (DENTIST, PIZZERIA, ORDERS) for fact in Knowledge(prompt).facts
    ]
    assert not [
        t for t in texts if "You are" in t or "Keep" in t or "Never" in t or "friendly" in t
    ]


async def test_it_asks_back_with_what_it_knows_when_nothing_fits() -> None:
    answer = await Caller(DENTIST).says("Do you sell bicycles?")
    assert "opening hours" in answer
    assert "bicycle" not in answer


async def test_it_asks_back_when_the_prompt_is_all_instructions() -> None:
    answer = await Caller(ORDERS).says("What are your opening hours?")
    assert answer.endswith("Could you tell me a little more?")


@pytest.mark.parametrize(
    ("prompt", "greeting"),
    [
        (DENTIST, "Hello, this is the front desk of Harbor Dental. How can I help you?"),
        (PIZZERIA, "Hello, this is Maya from Bella Pizza. How can I help you?"),
        (ORDERS, "Hello! How can I help you?"),
        ('Greet callers with "Welcome to Acme." Be brief.', "Welcome to Acme."),
    ],
)
async def test_it_speaks_first_with_a_greeting_from_the_prompt(prompt: str, greeting: str) -> None:
    assert await Caller(prompt).hears() == greeting


@pytest.mark.parametrize("plea", ["Can you say that again?", "Pardon?", "Repeat that please."])
async def test_it_says_again_what_it_said_last(plea: str) -> None:
    caller = Caller(DENTIST)
    said = await caller.says("Where are you?")
    assert await caller.says(plea) == said


async def test_it_understands_a_question_that_points_back() -> None:
    caller = Caller(DENTIST)
    await caller.says("What are your opening hours?")
    assert "Saturday" in await caller.says("And on Saturday?")


@pytest.mark.parametrize(
    "plea", ["I want to talk to a human", "Human please.", "Can you put me through to someone?"]
)
async def test_it_puts_through_to_a_person_where_it_can(plea: str) -> None:
    caller = Caller(DENTIST, END, HUMAN)
    assert "put you through" in await caller.says(plea)
    assert [call.name for call in caller.called] == ["transfer_call"]


async def test_it_says_so_when_it_cannot_put_through() -> None:
    caller = Caller(DENTIST, END)
    assert "can't put you through" in await caller.says("I want to talk to a human")
    assert caller.called == []


@pytest.mark.parametrize("words", ["Bye.", "Thank you, good-by.", "No, that's all.", "Goodbye!"])
async def test_it_says_goodbye_and_ends_the_call(words: str) -> None:
    caller = Caller(DENTIST, HUMAN, END)
    assert await caller.says(words) == "Thank you for calling Harbor Dental. Goodbye!"
    assert [call.name for call in caller.called] == ["end_call"]


async def test_it_says_goodbye_without_a_tool_to_end_the_call() -> None:
    caller = Caller(DENTIST)
    assert "Goodbye" in await caller.says("Bye")
    assert caller.called == []


async def test_no_more_questions_ends_the_call_politely() -> None:
    caller = Caller(DENTIST, END)
    await caller.says("Thanks.")
    assert "Goodbye" in await caller.says("No, thanks.")


async def test_needing_someone_for_a_question_is_not_asking_for_a_person() -> None:
    assert "free behind" in await Caller(DENTIST, HUMAN).says("I need parking for someone")


async def test_it_calls_a_tool_with_what_was_said() -> None:
    caller = Caller(DENTIST, END, HUMAN, BOOK, WEATHER)
    await caller.says("I'd like to book a cleaning appointment next Tuesday at three thirty")
    wanted = {"date": "next Tuesday", "time": "three thirty", "kind": "cleaning"}
    assert [(c.name, c.arguments) for c in caller.called] == [("book_appointment", wanted)]


async def test_it_asks_for_the_arguments_that_a_tool_still_needs() -> None:
    caller = Caller(DENTIST, BOOK)
    assert "date" in await caller.says("Book an appointment please")
    assert "time" in await caller.says("On Friday")
    assert caller.called == []
    await caller.says("ten a.m.")
    assert caller.called[0].arguments["date"] == "Friday"


async def test_it_speaks_what_a_tool_answered() -> None:
    caller = Caller(DENTIST, WEATHER)
    await caller.says("What's the weather in Lisbon?")
    call = caller.called[0]
    assert call.arguments == {"city": "Lisbon"}
    answer = '{"temperature": 21, "sky": "clear"}'
    caller.history.append(ChatMessage("tool", answer, tool_call_id=call.id))
    assert await caller.hears() == "Temperature is 21, sky is clear."


@pytest.mark.parametrize("told", [NO_ANSWER, BROKEN, f"It said: One.\n{NO_ANSWER}"])
async def test_it_reads_out_nothing_that_is_meant_for_a_model(told: str) -> None:
    caller = Caller(DENTIST, WEATHER)
    await caller.says("What's the weather in Lisbon?")
    caller.history.append(ChatMessage("tool", told, tool_call_id=caller.called[0].id))
    assert await caller.hears() == (
        "I'm sorry, that did not work just now. Is there anything else I can do for you?"
    )


async def test_it_says_that_it_could_not_put_through_after_all() -> None:
    caller = Caller(DENTIST, END, HUMAN)
    await caller.says("I want to talk to a human")
    answer = f"{NOTE}This server cannot."
    caller.history.append(ChatMessage("tool", answer, tool_call_id=caller.called[0].id))
    assert "not possible from here" in await caller.hears()


async def test_it_adds_nothing_after_the_tool_that_ends_the_call() -> None:
    caller = Caller(DENTIST, END)
    await caller.says("Bye")
    caller.history.append(ChatMessage("tool", "ok", tool_call_id=caller.called[0].id))
    assert await caller.hears() == ""


async def test_a_question_that_the_prompt_answers_calls_no_tool() -> None:
    caller = Caller(DENTIST, BOOK, WEATHER)
    assert "60 dollars" in await caller.says("How much is a check-up?")
    assert caller.called == []


@pytest.mark.parametrize(
    ("said", "schema", "value"),
    [
        ("for four people", {"type": "integer"}, 4),
        ("twenty two of them", {"type": "integer"}, 22),
        ("on Friday at three", {"type": "integer"}, None),
        ("a large one", {"type": "string", "enum": ["small", "large"]}, "large"),
        ("yes please", {"type": "boolean"}, True),
    ],
)
def test_it_reads_values_by_their_type(said: str, schema: dict[str, object], value: object) -> None:
    found, _ = arguments_filled(said, Tool("t", "", {"properties": {"size": schema}}))
    assert found.get("size") == value


@pytest.mark.parametrize(
    ("result", "spoken"),
    [
        ("All good.", "All good."),
        ('{"message": "Booked for nine.", "id": 7}', "Booked for nine."),
        ('{"ok": true}', "That's done."),
        ('["Monday", "Tuesday"]', "Monday, Tuesday"),
        (NOTHING_SAID, "That's done."),
    ],
)
def test_it_says_results_as_people_would(result: str, spoken: str) -> None:
    assert result_spoken(result) == spoken


async def test_it_streams_word_by_word_and_counts_words() -> None:
    responder = LocalResponder(ServiceSettings("local"))
    history = [ChatMessage("system", DENTIST), ChatMessage("user", "How much is a check-up?")]
    events = [event async for event in responder.reply(history, ())]
    told = [*map(TextDelta, ["A ", "check-up ", "costs ", "60 ", "dollars."])]
    asked = len((DENTIST + " How much is a check-up?").split())
    assert events == [*told, Usage(prompt_tokens=asked, completion_tokens=5)]


async def test_a_prompt_sent_as_the_users_first_message_is_no_question() -> None:
    responder = LocalResponder(ServiceSettings("local"))
    events = [event async for event in responder.reply([ChatMessage("user", DENTIST)], ())]
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text.startswith("Hello, this is the front desk")


@pytest.mark.parametrize("history", [[], [ChatMessage("user", "")], [ChatMessage("system", "")]])
async def test_it_greets_when_it_knows_nothing(history: list[ChatMessage]) -> None:
    responder = LocalResponder(ServiceSettings("local"))
    events = [event async for event in responder.reply(history, ())]
    assert events[0] == TextDelta("Hello! ")


async def test_a_transfer_that_came_to_nothing_is_told_and_the_prompt_still_known() -> None:
    call = Caller(DENTIST)
    await call.says("Can I speak to somebody?")
    call.history.append(ChatMessage("system", NOTE + "The caller is back: nobody answered."))
    assert "nobody could be reached" in await call.hears()
    assert "60" in await call.says("How much is a check-up?")
