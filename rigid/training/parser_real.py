"""Real faces for the face parser, labelled by the parser that ships, looking several times.

Generated faces are labelled by their features, real ones by nobody. What the parser is sure of in a real face, seen
clean, it is taught to see in it behind things that are pasted on, in bad light and noise: self-training with a noisy
student (Xie et al., 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.atomic_files import replacing
from rigid.face.landmark_net import LandmarkNet
from rigid.fields import from_pixels, planes
from rigid.models.build import build_face_parser
from rigid.models.contract import CLASSES
from rigid.training.faces import read_faces
from rigid.training.fast_inference import compile_network
from rigid.training.parser_faces import LabelledFaces
from rigid.training.parser_labels import LABEL_SIZE, UNKNOWN, draw_features

Parse = Callable[[Pixels], Array]
"""A picture (S, S, 3) RGB → probabilities (len(CLASSES), n, n)."""
CLIP_FRAMES = 12
SURE = 0.7
"""What is less likely than this is not taught."""
DOUBTFUL = tuple(CLASSES.index(name) for name in ("hat", "other"))
"""What is rare in real faces, and as a rule something else: shining hair, a shadow."""
SCALES = (0.92, 1.0, 1.08)
"""A face is looked at in these sizes, and mirrored in each."""


def load_or_label_real(kept: Path, data: Path, store: AssetStore) -> LabelledFaces:
    """The training faces of the folder `data`, labelled on the first call and then taken from the file `kept`.

    ValueError when `data` holds no `index.json`.
    """
    if not kept.exists():
        labelled = _label_real(data, store)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as part:
            np.savez_compressed(part, images=labelled.images, labels=labelled.labels)
    with np.load(kept) as stored:
        return LabelledFaces(stored["images"], stored["labels"])


def open_parser(size: int) -> Parse:
    """The parser that ships, for pictures of `size`."""
    run = compile_network(build_face_parser(), torch.zeros(1, 3, size, size))

    def parse(picture: Pixels) -> Array:
        found: Array = run(torch.from_numpy(np.stack(planes(from_pixels(picture))))[None])[0]
        return found

    return parse


def _label_real(data: Path, store: AssetStore) -> LabelledFaces:
    pictures = read_faces(data, "train", clip_frames=CLIP_FRAMES).images.transpose(0, 2, 3, 1)
    parse = open_parser(pictures.shape[1])
    landmarks = LandmarkNet(store.file("face-landmarks", "face_landmarker.task"))
    images, labels = [], []
    for picture in pictures:
        seen = landmarks.see_aligned(picture)
        if seen.steady:
            images.append(np.asarray(cv2.resize(picture, (LABEL_SIZE, LABEL_SIZE), interpolation=cv2.INTER_AREA)))
            labels.append(label_by_parser(picture, parse, seen.landmarks))
    return LabelledFaces(np.stack(images).astype(np.uint8), np.stack(labels))


def label_by_parser(picture: Pixels, parse: Parse, landmarks: Array) -> Pixels:
    """The labels (`LABEL_SIZE`, `LABEL_SIZE`) that `parse` is sure of, `UNKNOWN` elsewhere.

    `picture` (S, S, 3) RGB; `landmarks` (478, 2) in its sides: brows, eyes, nose and lips are theirs.
    """
    looks = [_look(picture, parse, scale, mirrored) for scale in SCALES for mirrored in (False, True)]
    likely = np.mean(looks, 0)
    labels: Pixels = likely.argmax(2).astype(np.uint8)
    labels[(likely.max(2) < SURE) | np.isin(labels, DOUBTFUL)] = UNKNOWN
    draw_features(labels, landmarks * LABEL_SIZE)
    return labels


def _look(picture: Pixels, parse: Parse, scale: float, mirrored: bool) -> Array:
    """What `parse` says of `picture` seen larger and mirrored, where it is in `picture`, (S, S, len(CLASSES))."""
    seen = cv2.warpAffine(picture, _zoom(len(picture), scale), picture.shape[:2], borderMode=cv2.BORDER_REPLICATE)
    found = parse(np.ascontiguousarray(seen[:, ::-1] if mirrored else seen, np.uint8)).transpose(1, 2, 0)
    grown = cv2.resize(np.ascontiguousarray(found[:, ::-1] if mirrored else found), (LABEL_SIZE, LABEL_SIZE))
    there, flags = _zoom(LABEL_SIZE, scale), cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    back = [
        cv2.warpAffine(part, there, (LABEL_SIZE, LABEL_SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for part in cv2.split(grown)
    ]
    return np.dstack(back).astype(np.float32)


def _zoom(side: int, scale: float) -> NDArray[np.float64]:
    """The transform (2, 3) that shows a square picture larger about its middle."""
    middle = side / 2 - 0.5
    return np.asarray(cv2.getRotationMatrix2D((middle, middle), 0.0, scale), np.float64)
