"""How much room recordings may take."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from server.errors import ApiError

MB = 2**20
ROOM_HINT = "Take old recordings away."


@dataclass(frozen=True)
class DiskSpace:
    """What must stay free on the disk, and what all files of the folder may take together; bytes."""

    least_free: int
    quota: int | None

    def has_free(self, folder: Path) -> bool:
        """Whether the disk has more than must stay free."""
        return shutil.disk_usage(folder).free >= self.least_free

    def check(self, folder: Path, size: int, going_on: int) -> None:
        """ApiError 507 where no file of up to `size` can be begun beside those `going_on`, of as much each."""
        free = shutil.disk_usage(folder).free
        if free < self.least_free:
            message = f"The disk of the recordings has only {free // MB} MB left."
            raise ApiError(507, "disk_full", message, ROOM_HINT)
        if self.quota is None:
            return
        done = sum(path.stat().st_size for path in folder.glob("[!.]*") if path.is_file())
        taken = done + going_on * size
        if taken + size > self.quota:
            message = f"The recordings may take {self.quota // MB} MB, and {taken // MB} are taken."
            raise ApiError(507, "quota_full", message, ROOM_HINT)


UNBOUNDED = DiskSpace(0, None)
