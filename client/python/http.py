"""The HTTP half of the Python client: requests, and what the server objects to."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
from aiortc import RTCIceServer

TIMEOUT_SECONDS = 20.0


class LiveError(Exception):
    """The server declined, or the connection to it ended; one sentence."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """Of the server's answer; None where none came."""

    @property
    def is_final(self) -> bool:
        """Whether asking again would bring the same answer."""
        return self.status is not None and 400 <= self.status < 500 and self.status not in (408, 425, 429)


class Api:
    """One server's interface. `key`: what it was given as --api-key; `verify` as `AsyncClient` takes it."""

    def __init__(self, server: str, key: str | None, verify: bool | str) -> None:
        trust: bool | ssl.SSLContext = verify if isinstance(verify, bool) else ssl.create_default_context(cafile=verify)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        base = server if "://" in server else f"http://{server}"
        self._http = httpx.AsyncClient(
            base_url=base.rstrip("/") + "/", headers=headers, verify=trust, timeout=TIMEOUT_SECONDS
        )

    async def ice_servers(self) -> list[RTCIceServer]:
        """STUN and TURN servers; none on a local network."""
        answer = await self.request("GET", "api/v1/ice-servers")
        return [RTCIceServer(one["urls"], one.get("username"), one.get("credential")) for one in answer["ice_servers"]]

    async def request(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON; LiveError where it is no success."""
        try:
            response = await self._http.request(method, path, json=body)
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise LiveError(f"{self._http.base_url} cannot be reached: {error or type(error).__name__}.") from error
        if response.is_success:
            return response.json() if response.content else None
        raise LiveError(_objection(response), response.status_code)

    async def close(self) -> None:
        """Let go of the connections; safe to call twice."""
        await self._http.aclose()


def _objection(response: httpx.Response) -> str:
    try:
        said = response.json()["error"]
        return " ".join(filter(None, (said["message"], said.get("hint"))))
    except (ValueError, KeyError, TypeError):
        return f"The server answered {response.status_code}; is it a RIGID Live server?"
