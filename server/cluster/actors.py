"""Calls of named actors, with a time limit and with Ray's ways to fail told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from server.cluster.names import FLEET, NAMESPACE

CALL_SECONDS = 15.0
"""A session opens within these, or not at all: ICE servers that are dead are waited for, trackers loaded."""


class Gone(Exception):
    """There is no such actor, or it has ended."""


class Unreachable(Exception):
    """It does not answer now."""


class Actors:
    """The actors of a cluster by name; on one event loop."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    async def call(self, name: str, method: str, *arguments: object, seconds: float = CALL_SECONDS) -> Any:
        """What the method gives; Gone or Unreachable where there is nobody to give it."""
        handle = await self._handle(name)
        try:
            return await asyncio.wait_for(getattr(handle, method).remote(*arguments), seconds)
        except TimeoutError:
            raise Unreachable(f"{name} did not answer within {seconds:g} s.") from None
        except ActorDiedError as error:
            self._handles.pop(name, None)
            raise Gone(str(error)) from None
        except RayError as error:
            raise Unreachable(str(error)) from error

    async def fleet(self, method: str, *arguments: object, seconds: float = CALL_SECONDS) -> Any:
        """Call a method of the actor that knows the workers; see `call`."""
        return await self.call(FLEET, method, *arguments, seconds=seconds)

    async def ask_all(self, names: Iterable[str], method: str, *arguments: object, seconds: float) -> list[Any]:
        """Call a method of several at once; what those gave that answered."""
        calls = (self.call(name, method, *arguments, seconds=seconds) for name in names)
        found = await asyncio.gather(*calls, return_exceptions=True)
        return [one for one in found if not isinstance(one, BaseException)]

    def forget(self, name: str) -> None:
        """Look the actor up anew the next time."""
        self._handles.pop(name, None)

    async def _handle(self, name: str) -> Any:
        if name not in self._handles:
            try:
                self._handles[name] = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
            except ValueError:
                raise Gone(f"There is no {name}.") from None
        return self._handles[name]
