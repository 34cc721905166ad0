"""Whether the server can take sessions yet."""

from __future__ import annotations

from collections.abc import Callable

from server.errors import ApiError


class Readiness:
    """Says "warming", then "ready" or "failed"; it is set on the inference thread and read on the event loop."""

    def __init__(self) -> None:
        self.state = "warming"
        self.problem = ""

    def watch(self, warm_up: Callable[[], None]) -> Callable[[], None]:
        """Return `warm_up` as a call that notes how it ends."""

        def run_warm_up() -> None:
            try:
                warm_up()
            except Exception as error:
                self.state, self.problem = "failed", str(error) or type(error).__name__
                raise
            self.state = "ready"

        return run_warm_up

    def check(self) -> None:
        """Raise ApiError 503 unless ready."""
        if self.state == "warming":
            message = "The networks are being loaded."
            raise ApiError(503, "not_ready", message, "Try again in a moment.", {"Retry-After": "2"})
        if self.state == "failed":
            raise ApiError(503, "engine_failed", f"The engine did not start: {self.problem}.", "Restart the server.")
