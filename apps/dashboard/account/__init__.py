"""An account's own: settings, members, API keys, vendors' keys and the audit log."""

from apps.dashboard.account import admin, audit, credentials, keys, people  # noqa: F401 - they register their own
