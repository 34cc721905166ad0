"""`python -m server.healthcheck`: whether the server of this machine answers, for a container's HEALTHCHECK.

Reads RIGID_LIVE_SERVE_PORT and RIGID_LIVE_SERVE_HTTPS, as `rigid-live serve` does. Imports nothing heavy: it runs every
few seconds.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection

ANSWER_SECONDS = 4
"""Less than the time a HEALTHCHECK is given."""
YES = {"1", "true", "t", "yes", "y", "on"}
"""What counts as set, as for the program's own options."""


def problem(settings: Mapping[str, str]) -> str | None:
    """What is wrong, in one sentence; None where /healthz answers with 200."""
    port = settings.get("RIGID_LIVE_SERVE_PORT") or "8080"
    if not port.isdigit():
        return f"RIGID_LIVE_SERVE_PORT is {port!r}, which is no port; give a number from 1 to 65535."
    secure = settings.get("RIGID_LIVE_SERVE_HTTPS", "").lower() in YES
    try:
        status = _status(int(port), secure)
    except (OSError, HTTPException) as error:
        return f"Nothing answers on port {port} ({error})."
    return None if status == 200 else f"/healthz answered with {status}, not with 200."


def _status(port: int, secure: bool) -> int:
    # This machine's own certificate is self-signed, and there is nobody in between.
    connection = (
        HTTPSConnection("127.0.0.1", port, timeout=ANSWER_SECONDS, context=ssl._create_unverified_context())
        if secure
        else HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    )
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


def main() -> None:
    """Exit with 0 where the server answers, else say why and exit with 1."""
    found = problem(os.environ)
    if found is not None:
        print(found, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
