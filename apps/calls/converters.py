"""Path converters of phone numbers."""

from __future__ import annotations

from django.urls.converters import StringConverter


class SidConverter(StringConverter):
    """One of Twilio's SIDs: letters and digits. Nothing else is looked up."""

    regex = "[A-Za-z0-9]{1,34}"
