"""Who sees and hears what a session sends, beside its client: watchers, a recording, whoever asks for a snapshot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from aiortc import RTCSessionDescription
from av import AudioFrame, VideoFrame

from server.errors import ApiError
from server.recording.recording import Recording
from server.recording.soundtrack import Alignment
from server.session.shared_services import SharedServices
from server.webrtc.offers import Offer
from server.webrtc.whep_peer import WhepPeer

FINISH_SECONDS = 10.0
"""How long the end waits for the recording to be complete."""


class SessionOutputs:
    """Serves whoever gets one session's edited video besides its client; it is used on the event loop only."""

    def __init__(self, shared: SharedServices, video_delay: Callable[[float], float | None]) -> None:
        """`video_delay(now)`: seconds a picture takes through the server, None while unknown."""
        self.watchers: dict[str, WhepPeer] = {}
        """By the secret that names their WHEP resource."""
        self.recording: Recording | None = None
        """The last one of what the session sends."""
        self.last_frame: VideoFrame | None = None
        """The newest picture out, for a snapshot."""
        self._shared = shared
        self._video_delay = video_delay
        self._alignment = Alignment()
        self._ending = False

    async def watch(self, offer: Offer) -> tuple[WhepPeer, RTCSessionDescription]:
        """Let somebody watch; the answer to an offer that passed `take_watch_offer`. ApiError 410 at the end."""
        if self._ending:
            raise ApiError(410, "session_closed", "The session is ending.", "Watch another one.")
        watcher = WhepPeer(self._shared.config, self._shared.encoding, self._video_delay, self._on_watcher_closed)
        self.watchers[watcher.resource.secret] = watcher
        try:
            return watcher, await watcher.answer(offer)
        except BaseException:
            await watcher.close()
            raise

    def _on_watcher_closed(self, watcher: WhepPeer) -> None:
        self.watchers.pop(watcher.resource.secret, None)

    def note_picture(self, frame: VideoFrame, now: float) -> None:
        """Note when a picture came from the client, edited or not: sound is put in step by that."""
        if frame.time is not None:
            self._alignment.picture(frame.time, now)

    def show(self, frame: VideoFrame, arrived: float, edits: Mapping[str, float]) -> None:
        """Send out a picture with these strengths; it came at `arrived`."""
        self.last_frame = frame
        if self.recording is not None:
            self.recording.offer(frame, edits)
        for watcher in self.watchers.values():
            watcher.show(frame, arrived)

    def hear(self, frame: AudioFrame, now: float) -> None:
        """Send out a sound that came at `now`."""
        for watcher in self.watchers.values():
            watcher.hear(frame, now)
        ahead = None if frame.time is None else self._alignment.sound(frame.time, now)
        if self.recording is not None and ahead is not None:
            self.recording.hear(frame, ahead, now)

    def tick(self) -> None:
        """End, once a second, with watchers that are gone."""
        for watcher in list(self.watchers.values()):
            watcher.tick()

    def describe_recording(self) -> dict[str, object] | None:
        """The recording, ready for JSON; None without one."""
        return None if self.recording is None else self.recording.describe()

    def end_recording(self) -> None:
        """Let the recording end with what it has."""
        if self.recording is not None:
            self.recording.stop("session_ended")

    def end_watchers(self) -> list[asyncio.Task[None]]:
        """Take no more watchers, and begin to close their connections; the tasks end when that is done."""
        self._ending = True
        return [watcher.close() for watcher in self.watchers.values()]

    async def close(self) -> None:
        """Wait for the recording to be complete, and let go of the last picture."""
        self.last_frame = None
        if self.recording is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.recording.wait(), FINISH_SECONDS)
