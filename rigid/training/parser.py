"""Stage `parser`: the face parser, taught by faces that the generator draws and labels itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.models.build import new_face_parser
from rigid.models.contract import CLASSES, SHRINK
from rigid.models.profiles import existing_parser
from rigid.training.device import DEVICE, half_precision, place
from rigid.training.loop import Losses, Stage, check_finite
from rigid.training.parser_faces import BLOCK, FaceMaker, LabelledFaces, load_or_make_blocks
from rigid.training.parser_labels import UNKNOWN
from rigid.training.parser_measures import iou, majority, paint
from rigid.training.parser_real import load_or_label_real
from rigid.training.parser_views import view
from rigid.training.pictures import from_bytes, write_grid
from rigid.training.rates import cosine, set_rate
from rigid.training.shipping import Initial, load_initial, write_weights

FACE_PARSER_FILE = "face_parser.safetensors"
FIRST_HELD_OUT = 1_000_000
"""The number of the first block that is not trained on."""
RARE = 0.2
"""A class is weighted by its share of all places to minus this power."""
WARM_UP = 100


@dataclass(frozen=True)
class ParserOptions:
    """What the stage is trained on and how."""

    profile: str = "mobile-256"
    """Whose generator draws the faces; the parser serves all profiles."""
    seed: int = 0
    initial: Initial = "new"
    data: Path | None = None
    """A folder of real faces to learn from, too, as the parser that ships labels them; None for none."""
    real_share: float = 0.25
    """How many of a batch are real where there are real ones."""
    faces: int = 20_000
    """Generated faces to train on, in whole blocks; a few of each are left out as no landmarks are found."""
    held_out: int = 512
    """Further ones to validate on."""
    steps: int = 6000
    batch: int = 24
    learning_rate: float = 2e-3
    weight_decay: float = 0.01


@dataclass(frozen=True)
class Parts:
    """What the stage is put together from."""

    train: LabelledFaces
    held_out: LabelledFaces
    real: LabelledFaces | None = None


def build_parts(options: ParserOptions, store: AssetStore, folder: Path) -> Parts:
    """The faces of the run folder, made now unless they are kept there."""
    makers: list[FaceMaker] = []

    def make(number: int) -> LabelledFaces:
        if not makers:
            makers.append(FaceMaker(store, options.profile))
        return makers[0](number)

    blocks, held_out = -(-options.faces // BLOCK), -(-options.held_out // BLOCK)
    return Parts(
        load_or_make_blocks(folder / "faces", range(blocks), make),
        load_or_make_blocks(folder / "faces", range(FIRST_HELD_OUT, FIRST_HELD_OUT + held_out), make),
        None if options.data is None else load_or_label_real(folder / "real.npz", options.data, store),
    )


class ParserStage(Stage):
    """Trains the parser; see `Stage`."""

    def __init__(self, options: ParserOptions, make_parts: Callable[[], Parts]):
        self.options = options
        self.faces = make_parts()
        torch.manual_seed(options.seed)
        initial = existing_parser() if options.initial == "shipped" else options.initial
        self.network = place(load_initial(new_face_parser(), initial, options.profile, FACE_PARSER_FILE))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), options.learning_rate, weight_decay=options.weight_decay
        )
        self.weights = _class_weights(self.faces.train.labels).to(DEVICE)
        # the next batch is drawn while this one is learned
        self._pool = ThreadPoolExecutor(1)
        self._next: tuple[int, Future[tuple[Pixels, Pixels]]] | None = None

    def step(self, index: int) -> Losses:
        """Take one step; a loss that is not finite stops it before anything changes."""
        pictures, labels = self._batch(index)
        self.network.train()
        with half_precision():
            logits = self.network.logits(from_bytes(pictures.transpose(0, 3, 1, 2)))
        loss = self._loss(logits.float(), torch.from_numpy(labels).to(DEVICE))
        check_finite({"loss": loss.item()}, f"of step {index}")
        done = index / self.options.steps
        set_rate(self.optimizer, self.options.learning_rate * min(1.0, (index + 1) / WARM_UP) * cosine(done, 0.01))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return {"loss": loss.item()}

    @torch.no_grad()
    def validate(self, folder: Path) -> Losses:
        """IoU of each class on held-out faces, as they are (`iou_*`) and as cameras show them (`seen_*`); a grid."""
        faces, random = self.faces.held_out, np.random.default_rng(self.options.seed)
        order = np.roll(np.arange(len(faces)), 1)
        views = [
            view(picture, labels, faces.images[other], random)
            for picture, labels, other in zip(faces.images, faces.labels, order, strict=True)
        ]
        seen = LabelledFaces(*(np.stack(arrays) for arrays in zip(*views, strict=True)))
        measures: Losses = {}
        for name, part in (("iou", faces), ("seen", seen)):
            found = iou(self._parse(part.images), majority(part.labels, SHRINK // 2))
            measures |= {f"{name}_{kind}": value for kind, value in found.items()}
        self._write_grid(folder / "parser.png", faces, seen)
        return measures

    def export(self, folder: Path) -> None:
        write_weights(folder / FACE_PARSER_FILE, self.network.state_dict())

    @property
    def parts(self) -> dict[str, Any]:
        return {"network": self.network, "optimizer": self.optimizer}

    def _batch(self, index: int) -> tuple[Pixels, Pixels]:
        waiting, self._next = self._next, (index + 1, self._pool.submit(self.draw_batch, index + 1))
        return waiting[1].result() if waiting is not None and waiting[0] == index else self.draw_batch(index)

    def draw_batch(self, index: int) -> tuple[Pixels, Pixels]:
        """The pictures (B, S, S, 3) and labels (B, S, S) that step `index` learns from, the same at every call."""
        random = np.random.default_rng((self.options.seed, index))
        views = [self._draw_one(random) for _ in range(self.options.batch)]
        pictures, labels = zip(*views, strict=True)
        return np.stack(pictures), np.stack(labels)

    def _draw_one(self, random: np.random.Generator) -> tuple[Pixels, Pixels]:
        real = self.faces.real if random.random() < self.options.real_share else None
        faces = real or self.faces.train
        one, other = random.integers(len(faces), size=2)
        return view(faces.images[one], faces.labels[one], faces.images[other], random)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy to the shares of the classes in each place, rare classes weighing more."""
        shares = _shares(labels, logits.shape[-1]) * self.weights[:, None, None]
        return -(shares * logits.log_softmax(1)).sum() / shares.sum()

    @torch.no_grad()
    def _parse(self, images: Pixels) -> Pixels:
        """The most likely class of each place of pictures (N, S, S, 3)."""
        self.network.eval()
        found = []
        for start in range(0, len(images), 32):
            with half_precision():
                logits = self.network.logits(from_bytes(images[start : start + 32].transpose(0, 3, 1, 2)))
            found.append(logits.argmax(1).byte().cpu().numpy())
        return np.concatenate(found)

    def _write_grid(self, path: Path, faces: LabelledFaces, seen: LabelledFaces) -> None:
        """Faces, their labels and what was found in them; the same as cameras show them."""
        rows = []
        for part in (faces, seen):
            some = slice(None, None, max(1, len(part) // 12))
            images, labels = part.images[some], part.labels[some]
            found = self._parse(images).repeat(SHRINK // 2, 1).repeat(SHRINK // 2, 2)
            rows += [from_bytes(row.transpose(0, 3, 1, 2)) for row in (images, paint(labels), paint(found))]
        write_grid(path, rows)


def _shares(labels: Tensor, side: int) -> Tensor:
    """`labels` (B, S, S) → the share of each class in each place (B, len(CLASSES), side, side); none where unknown."""
    known = labels != UNKNOWN
    drawn = F.one_hot(torch.where(known, labels, 0).long(), len(CLASSES)) * known[..., None]
    return F.avg_pool2d(drawn.permute(0, 3, 1, 2).float(), labels.shape[-1] // side)


def _class_weights(labels: Pixels) -> Tensor:
    """(len(CLASSES),), 1 on average over the classes; what is pasted on is as rare as hats."""
    counts = np.bincount(labels[:: max(1, len(labels) // 512)].ravel(), minlength=len(CLASSES))[: len(CLASSES)]
    shares = torch.from_numpy(counts / counts.sum()).float().clamp_min(0.003)
    shares[CLASSES.index("other")] = 0.12
    weights = shares**-RARE
    return weights / weights.mean()
