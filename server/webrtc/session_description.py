"""An SDP description as lines, read and mended before aiortc's own parser sees it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
SHARED = (
    "ice-ufrag",
    "ice-pwd",
    "ice-options",
    "fingerprint",
    "setup",
    "tls-id",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-rsize",
    "candidate",
    "end-of-candidates",
)
"""Attributes of a bundle's one transport: those of its first line hold for all (RFC 9143 section 7.1.3)."""


def attribute(line: str) -> str:
    """The name of an `a=` line, empty for another."""
    return re.split("[:\r\n]", line[2:], maxsplit=1)[0] if line.startswith("a=") else ""


@dataclass
class Section:
    """One media line and what follows it."""

    lines: list[str]

    def __post_init__(self) -> None:
        match = re.fullmatch(r"m=(\S+) (\d{1,5})(?:/\d+)? (\S+) (\S.*)", self.lines[0])
        if match is None:
            raise ValueError(f"{self.lines[0][:80]!r} is no media line")
        self.kind, self.port, self.profile, self.formats = match[1], int(match[2]), match[3], match[4]

    def values(self, name: str) -> list[str]:
        """What its attributes of that name say."""
        return [line[2:].partition(":")[2] for line in self.lines if attribute(line) == name]

    def has(self, name: str) -> bool:
        """Whether it has an attribute of that name."""
        return bool(self.values(name))

    @property
    def mid(self) -> str | None:
        """The name that the description gives it; None without one."""
        return next(iter(self.values("mid")), None)

    @property
    def direction(self) -> str | None:
        """The direction as the section's own lines have it."""
        return next((attribute(line) for line in self.lines if attribute(line) in DIRECTIONS), None)

    def drop(self, names: Iterable[str]) -> None:
        """Take out all attributes of those names."""
        unwanted = set(names)
        self.lines = [line for line in self.lines if attribute(line) not in unwanted]

    def make_rejection(self) -> list[str]:
        """Make its lines in an answer that does not take it (RFC 8829 section 5.3.1)."""
        mid = [] if self.mid is None else [f"a=mid:{self.mid}"]
        return [f"m={self.kind} 0 {self.profile} {self.formats}", "c=IN IP4 0.0.0.0", "a=inactive", *mid]


@dataclass
class Description:
    """The lines before the first media line, and the media sections."""

    session: list[str]
    sections: list[Section] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Description:
        """Read the description in an SDP; ValueError, half a sentence, where a media line is none."""
        read, lines = cls([]), [line.strip() for line in re.split(r"\r?\n", text)]
        blocks: list[list[str]] = []
        for line in filter(None, lines):
            if line.startswith("m="):
                blocks.append([line])
            else:
                (blocks[-1] if blocks else read.session).append(line)
        read.sections = [Section(block) for block in blocks]
        return read

    def __str__(self) -> str:
        lines = [*self.session, *(line for section in self.sections for line in section.lines)]
        return "".join(f"{line}\r\n" for line in lines)

    def bundles(self) -> Iterator[list[str]]:
        """The mids of each group of lines on one transport, the one it is named after first."""
        for line in self.session:
            if line.startswith("a=group:BUNDLE"):
                yield line.split()[1:]

    def set_bundle(self, mids: Iterable[str]) -> None:
        """Have one bundle of these, or none of nobody."""
        self.session = [line for line in self.session if not line.startswith("a=group:BUNDLE")]
        listed = list(mids)
        if listed:
            self.session.append(f"a=group:BUNDLE {' '.join(listed)}")

    def complete(self) -> None:
        """State what an offer leaves out: directions, mids, and the transport of bundled lines (RFC 9143)."""
        stated = next((attribute(line) for line in self.session if attribute(line) in DIRECTIONS), "sendrecv")
        taken = {section.mid for section in self.sections}
        free = (f"line{number}" for number in range(len(self.sections) * 2) if f"line{number}" not in taken)
        for section in self.sections:
            if section.direction is None:
                section.lines.append(f"a={stated}")
            if section.mid is None:
                section.lines.append(f"a=mid:{next(free)}")
        by_mid = {section.mid: section for section in self.sections}
        for mids in self.bundles():
            members = [by_mid[mid] for mid in mids if mid in by_mid]
            for member in members[1:]:
                member.drop(SHARED)
                member.lines += [line for line in members[0].lines if attribute(line) in SHARED]
