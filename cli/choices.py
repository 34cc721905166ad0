"""Choices that several commands offer, spelt out so that --help needs none of what stands behind them."""

from __future__ import annotations

from typing import Literal

Composite = Literal["transfer", "transfer-landmarks", "learned", "paper"]
"""`rigid.composite.COMPOSITES`."""
