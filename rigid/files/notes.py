"""What of a file could not be kept as it was."""

from __future__ import annotations


class Notes(list[str]):
    """One sentence each, each once."""

    def add(self, sentence: str) -> None:
        """Note `sentence`, unless it is there."""
        if sentence not in self:
            self.append(sentence)
