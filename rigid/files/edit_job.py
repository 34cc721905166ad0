"""What is asked for when a file is edited, and whether it can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rigid.atomic_files import check_folder
from rigid.files.film_formats import FORMATS, VIDEO_SUFFIXES
from rigid.files.image_formats import IMAGE_FORMATS, IMAGE_SUFFIXES, check_size, is_image
from rigid.files.image_reading import look_at_image
from rigid.files.provenance import Signing
from rigid.files.timeline import ScheduledEdit


@dataclass(frozen=True)
class EditJob:
    """What is asked for. `check` it before anything slow is loaded."""

    source: Path
    target: Path
    edits: Mapping[str, float]
    """Strengths from the first frame on."""
    schedule: Sequence[ScheduledEdit] = ()
    compare: bool = False
    """Show the input on the left of the output."""
    strip_metadata: bool = False
    """Leave out what the file says of itself: place, time, camera, title; colours and orientation stay right."""
    badge: bool = False
    """Write “Edited with AI” into every picture that is edited."""
    signing: Signing | None = None
    """What an edited result is signed with; None leaves it without a word of where it comes from."""

    @property
    def as_image(self) -> bool:
        """Whether the output is a still image or an animation, not a video."""
        return self._from_image and not self._to_film

    @property
    def _to_film(self) -> bool:
        return self.target.suffix.lower() in FORMATS

    @property
    def _from_image(self) -> bool:
        """Whether the input is an image, by its name; where that says nothing, it is what the output is to be."""
        unknown = self.source.suffix.lower() not in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
        return is_image(self.source) or (unknown and self.target.suffix.lower() in IMAGE_FORMATS)

    def check(self) -> None:
        """ValueError, one sentence, when input and output cannot be as they are given."""
        if self.source.is_dir():
            raise ValueError(f"{self.source} is a folder; give a video or image file.")
        if not self.source.exists():
            raise ValueError(f"There is no file {self.source}; check the name.")
        if self.target.exists() and self.target.samefile(self.source):
            raise ValueError(f"The output {self.target} is the input itself; give another name.")
        # an animation may become a video
        if self._from_image and not self._to_film:
            self._check_extension("an image", IMAGE_FORMATS)
        else:
            self._check_extension("a video", FORMATS)
        check_folder(self.target)
        if self._from_image:
            self._check_image()

    def _check_extension(self, kind: str, known: Iterable[str]) -> None:
        if self.target.suffix.lower() not in known:
            raise ValueError(
                f"The output {self.target.name} must have an extension for {kind}; choose one of: {', '.join(known)}."
            )

    def _check_image(self) -> None:
        width, height, moving = look_at_image(self.source)
        if not moving:
            self._check_extension("an image", IMAGE_FORMATS)
            if self.schedule:
                raise ValueError(f"{self.source} is a still image, where no edit can start later; use --set alone.")
        if self.as_image:
            check_size(self.target, width * (1 + self.compare), height)
