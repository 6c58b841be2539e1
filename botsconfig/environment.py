"""Prints a fresh environment for a laptop: ``python -m botsconfig.environment > .env``.

Standard library alone: it runs before anything can be configured.
"""

from __future__ import annotations

import base64
import secrets


def development() -> str:
    """Return the text of a .env file with secrets of its own."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return "\n".join(
        (
            "# Made by `make run` for this checkout alone. See .env.example for every name.",
            "DEBUG=1",
            f"SECRET_KEY={secrets.token_urlsafe(48)}",
            f"ENCRYPTION_KEYS={key}",
            "",
        )
    )


if __name__ == "__main__":
    print(development(), end="")  # noqa: T201
