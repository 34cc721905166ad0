"""What new weights of the encoders are held to, measure by measure, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Measures = dict[str, float]


@dataclass(frozen=True)
class Rule:
    """What one measure is held to."""

    measure: str
    says: str
    slack: float
    """The share of what ships by which it may be worse and still count as equally good."""
    goal: float
    more: bool = False
    """Whether more is better."""
    counts: bool = False
    """Whether new weights may be taken for this measure's sake."""

    def gain(self, before: float, after: float) -> float:
        """Tell by what share of `before` it became better."""
        return (after - before if self.more else before - after) / max(abs(before), 1e-6)


RULES = (
    Rule("codes_mse", "codes alone, MSE", 0.0, 0.030, counts=True),
    Rule("codes_lpips", "codes alone, LPIPS", 0.01, 0.200),
    Rule("noise_mse", "with noise map, MSE", 0.02, 0.0045, counts=True),
    Rule("noise_lpips", "with noise map, LPIPS", 0.02, 0.085, counts=True),
    Rule("jaw_error", "jaw of codes alone, off by", 0.05, 0.1),
    Rule("smile_error", "smile of codes alone, off by", 0.05, 0.1),
    Rule("flicker", "flicker with noise map", 0.02, 0.0208),
    Rule("coherence", "warp error with noise map, over the source's", 0.02, 1.0),
    # edit_gain and the attributes' gains in video, which are fitted to new weights, make up for some
    Rule("edit_share", "of an edit, shown", 0.15, 0.6, more=True),
)
LEAST_BETTER = 0.01
"""The share by which one of the measures that count must be better."""


@dataclass(frozen=True)
class Verdict:
    """What became of each measure, and what follows."""

    before: Measures
    after: Measures

    @property
    def worse(self) -> list[str]:
        """The measures that became worse by more than their slack."""
        return [rule.measure for rule in RULES if self._gain(rule) < -rule.slack]

    @property
    def better(self) -> list[str]:
        """The measures that count and became better."""
        return [rule.measure for rule in RULES if rule.counts and self._gain(rule) >= LEAST_BETTER]

    @property
    def yes(self) -> bool:
        """Whether the new weights are to replace the old ones."""
        return bool(self.better) and not self.worse

    def table(self) -> str:
        """Write every measure before and after beside its goal, as Markdown."""
        rows = ["| measure | ships | new | goal | |", "|---|---|---|---|---|"]
        for rule in RULES:
            before, after = self.before[rule.measure], self.after[rule.measure]
            mark = (
                "worse" if rule.measure in self.worse else "better" if self._gain(rule) >= LEAST_BETTER else "as good"
            )
            goal = f"{'≥' if rule.more else '≤'} {rule.goal:g}"
            rows.append(f"| {rule.says} | {before:.4f} | {after:.4f} | {goal} | {mark} |")
        return "\n".join(rows)

    def _gain(self, rule: Rule) -> float:
        gain = rule.gain(self.before[rule.measure], self.after[rule.measure])
        return gain if np.isfinite(gain) else -np.inf
