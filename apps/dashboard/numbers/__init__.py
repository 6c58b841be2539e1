"""Phone numbers: which bot answers which, and what Twilio holds for them."""

from apps.dashboard.numbers import admin  # noqa: F401 - they register their own
