"""What a server offers about its attributes besides the library itself."""

from __future__ import annotations

from dataclasses import dataclass

from server.recording.recordings import Recordings
from server.uploads.attribute_previews import AttributePreviews
from server.uploads.uploads import Uploads


@dataclass(frozen=True)
class OptionalFeatures:
    """What a server may offer besides edits; each None where it does without."""

    previews: AttributePreviews | None = None
    """Pictures of the attributes."""
    uploads: Uploads | None = None
    """Takes attributes from clients."""
    recordings: Recordings | None = None
    """Keeps films of what sessions send."""


NO_FEATURES = OptionalFeatures()
