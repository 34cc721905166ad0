"""Several faces of one video, each edited by a stream of its own, the nearer ones over those behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rigid.arrays import Array, Pixels, check_frame
from rigid.edits.edit_effect import EditLibrary
from rigid.edits.face_edits import edits_of_face
from rigid.face.alignment import FaceLandmarker, FaceTracker, TrackedFace
from rigid.face.group_tracker import FaceChoice, GroupTracker, open_group_tracker
from rigid.face.landmarks import N_LANDMARKS
from rigid.models.contract import Runtime
from rigid.stream.face_stream import FaceStream, StepResult, StreamCounts, StreamOptions
from rigid.stream.frame_record import FrameRecord, guard

VERSION = 1
"""Raised whenever the saved form changes; bytes of another version are refused."""
HEADER = "rigid_live_group"
BETWEEN = "/"
LANDMARKS = "landmarks"


@dataclass(frozen=True)
class Member:
    """One face on its way through a frame's stages."""

    number: int
    stream: FaceStream
    record: FrameRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupRecord(FrameRecord):
    """A frame on its way and the faces in it, the largest first; where it speaks of one face, that one is meant."""

    group: tuple[Member, ...] = ()

    @property
    def members(self) -> Mapping[int, FrameRecord]:
        return {one.number: one.record for one in self.group}


class HandedFace:
    """Hands a stream the face that the group's tracker has found for it."""

    def __init__(self) -> None:
        self.face: TrackedFace | None = None

    def track(self, frame: Pixels, timestamp: float) -> TrackedFace | None:
        """What was handed in last."""
        return self.face

    def close(self) -> None:
        """Nothing: the tracker is the group's."""


class GroupStream:
    """Edits up to as many faces of one video as `tracker` follows; a stream as `FaceStream` is, for many.

    Every face has a whole stream's state of its own. Their networks run at the same time, on threads, so that a runtime
    which batches calls takes them in one batch; another one must bear calls from several threads.
    """

    def __init__(
        self, runtime: Runtime, tracker: GroupTracker, library: EditLibrary, options: StreamOptions | None = None
    ) -> None:
        self.runtime = runtime
        self.options = options or StreamOptions()
        self.counts = StreamCounts()
        self._tracker = tracker
        self._library = library
        self.cadence = 1
        """The networks run for each so many frames, one less for the largest face. May be set from any thread."""
        self.inverted_after = self.options.inverted_after
        """As in its options; may be set from any thread."""
        self._streams: dict[int, tuple[FaceStream, HandedFace]] = {}
        self._threads = ThreadPoolExecutor(tracker.choice.most, "face")

    @property
    def choice(self) -> FaceChoice:
        """Which faces are edited."""
        return self._tracker.choice

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> StepResult:
        """Edit one frame as `FaceStream.step` does, every face with what of `edits` is its own or for all.

        `edits` {attribute: strength}, or {`NUMBER:ATTRIBUTE`: strength} for one face (`rigid.edits.face_edits`).
        """
        return self.blend(self.generate(self.locate(frame, timestamp), edits))

    def locate(self, frame: Pixels, timestamp: float) -> GroupRecord:
        """The first stage of `step`: find the faces. ValueError for a frame of another shape or type."""
        check_frame(frame)
        return guard(GroupRecord(frame=frame, timestamp=timestamp), self._locate)

    def generate(self, located: FrameRecord, edits: Mapping[str, float]) -> GroupRecord:
        """The second stage of `step`: every face that is edited through the networks."""
        assert isinstance(located, GroupRecord)

        def through(member: Member) -> Member:
            record = replace(member.record, hurried=located.hurried)
            return replace(member, record=member.stream.generate(record, edits_of_face(edits, member.number)))

        for place, member in enumerate(located.group):
            member.stream.cadence = self.cadence if place else max(1, self.cadence - 1)
            member.stream.inverted_after = self.inverted_after
        each = map if len(located.group) < 2 else self._threads.map
        return replace(located, group=tuple(each(through, located.group)))

    def blend(self, made: FrameRecord) -> StepResult:
        """The last stage of `step`: the edited faces into their frame, those furthest away first."""
        assert isinstance(made, GroupRecord)
        frame = made.frame
        results: list[StepResult] = []
        for place in reversed(range(len(made.group))):
            member = made.group[place]
            nearer = tuple(one.record.sighting for one in made.group[:place] if one.record.sighting is not None)
            result = member.stream.blend(replace(member.record, frame=frame, nearer=nearer))
            frame = result.frame
            results.insert(0, result)
        done = _join(made, frame, results)
        self.counts.add(done)
        return done

    def catch_up(self) -> None:
        """As `FaceStream.catch_up`, for every face."""
        for stream, _ in list(self._streams.values()):
            stream.catch_up()

    def reanchor(self) -> None:
        """As `FaceStream.reanchor`, for every face."""
        for stream, _ in list(self._streams.values()):
            stream.reanchor()

    def save(self) -> bytes:
        """The state of every face that is there or may come back, as `restore` takes it."""
        arrays: dict[str, np.ndarray] = {HEADER: np.array([VERSION, self._tracker.last_number], np.int64)}
        for number, landmarks in self._tracker.places.items():
            own = load(self._streams[number][0].save()) if number in self._streams else {}
            own[LANDMARKS] = landmarks
            arrays |= {f"{number}{BETWEEN}{name}": value for name, value in own.items()}
        return save(arrays)

    def restore(self, data: bytes) -> None:
        """Take over a state that `save` gave; ValueError, and nothing changed, when `data` is not one.

        Faces keep their numbers where they are seen again within three seconds of the video.
        """
        last_number, parts = _part_bytes(data)
        places: dict[int, Array] = {}
        streams: dict[int, tuple[FaceStream, HandedFace]] = {}
        for number, own in parts.items():
            places[number] = _check_landmarks(own.pop(LANDMARKS, None))
            streams[number] = self._make_stream()
            if own:
                streams[number][0].restore(save(own))
        self._tracker.restore(places, last_number)
        self._streams = streams

    def close(self) -> None:
        """Close the tracker and the threads; safe to call twice."""
        self._threads.shutdown()
        self._tracker.close()

    def _keep_streams(self) -> None:
        """One stream for every face that is followed or may come back, none for any other."""
        numbers = [member.number for member in self._tracker.members]
        # another stage may be at work on the frame before, with the streams of that time
        self._streams = {number: self._streams.get(number) or self._make_stream() for number in numbers}

    def _make_stream(self) -> tuple[FaceStream, HandedFace]:
        handed = HandedFace()
        return FaceStream(self.runtime, handed, self._library, self.options), handed

    def _locate(self, record: GroupRecord) -> GroupRecord:
        with record.watch("align"):
            found = self._tracker.track(record.frame, record.timestamp)
        self._keep_streams()
        group = []
        for number, (stream, handed) in self._streams.items():
            handed.face = found.get(number)
            group.append(Member(number, stream, stream.locate(record.frame, record.timestamp)))
        group.sort(key=lambda one: -_length(one.record))
        largest = group[0].record if group else record
        return replace(record, face=largest.face, sighting=largest.sighting, group=tuple(group))


AnyStream: TypeAlias = FaceStream | GroupStream


def open_stream(
    runtime: Runtime, landmarks: Path, library: EditLibrary, choice: FaceChoice, options: StreamOptions | None = None
) -> AnyStream:
    """A stream for a video of which `choice` says whom to edit. `landmarks`: face_landmarker.task.

    Where that is more than one face, `runtime` is called from several threads at a time.
    """
    size = runtime.sizes.image_size
    if choice.most > 1:
        return GroupStream(runtime, open_group_tracker(landmarks, size, choice), library, options)
    return FaceStream(runtime, FaceTracker(FaceLandmarker(landmarks), size), library, options)


def _length(record: FrameRecord) -> float:
    """How large a face is in its frame, pixels; 0 for one that is not there."""
    if record.sighting is None:
        return 0.0
    left, top, right, bottom = record.sighting.box
    return float(np.sqrt((right - left) * (bottom - top)))


def _join(made: GroupRecord, frame: Pixels, results: Sequence[StepResult]) -> StepResult:
    """What became of a frame, of its faces' `results`, the largest first."""
    if not results:
        error = None if made.fault is None else f"{type(made.fault).__name__}: {made.fault}"
        return StepResult(frame, False, False, made.watch.stage_ms, error=error)
    # the networks of all faces run at the same time
    stage_ms = dict(made.watch.stage_ms)
    for stage in {name for one in results for name in one.stage_ms}:
        took = [one.stage_ms.get(stage, 0.0) for one in results]
        stage_ms[stage] = stage_ms.get(stage, 0.0) + (sum(took) if stage in ("align", "blend") else max(took))
    return StepResult(
        frame,
        any(one.face for one in results),
        any(one.edited for one in results),
        stage_ms,
        results[0].faces,
        max(one.covered for one in results),
        next((one.error for one in results if one.error is not None), None),
        numbers=tuple(sorted(number for number, one in made.members.items() if one.face)),
    )


def _part_bytes(data: bytes) -> tuple[int, dict[int, dict[str, np.ndarray]]]:
    """The last number that was given, and the arrays of every face, by its number."""
    try:
        arrays = load(data)
        version, last_number = (int(value) for value in arrays.pop(HEADER))
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("The saved state of several faces is damaged or not one; start a new stream.") from error
    if version != VERSION:
        raise ValueError(f"The saved state has version {version}, expected {VERSION}; start a new stream.")
    parts: dict[int, dict[str, np.ndarray]] = {}
    for name, value in arrays.items():
        number, between, rest = name.partition(BETWEEN)
        if not between or not number.isdecimal() or not 0 < int(number) <= last_number:
            raise ValueError(f"The saved state has a part {name!r}, which is no face's; start a new stream.")
        parts.setdefault(int(number), {})[rest] = value
    return last_number, parts


def _check_landmarks(landmarks: np.ndarray | None) -> Array:
    if landmarks is None or landmarks.shape != (N_LANDMARKS, 2) or not np.isfinite(landmarks).all():
        raise ValueError("The saved state does not say where a face was; start a new stream.")
    return landmarks.astype(np.float32)
