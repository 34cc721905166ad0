"""How well the face parser that ships labels faces: `python -m scripts.measure_parser --data DATA --faces FOLDER`.

Prints, as JSON: IoU on generated faces that were held out (labelled by the generator's features), on generated faces
and on real stills labelled by hand, the share of pasted occluders that is found on the validation clips, and the share
of places that change from frame to frame.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.face.landmark_net import LandmarkNet
from rigid.files.clips import find_clips
from rigid.models.contract import CLASSES
from rigid.training.faces import read_stills, read_video
from rigid.training.framing import jitter, render_crop
from rigid.training.occluders.layer import Layer
from rigid.training.occluders.occlude import OCCLUDERS, OTHER, paste
from rigid.training.parser_faces import FaceMaker, LabelledFaces, load_or_make_blocks
from rigid.training.parser_hand import read_hand_labels
from rigid.training.parser_labels import LABEL_SIZE
from rigid.training.parser_measures import iou, majority
from rigid.training.parser_real import open_parser

Parse = Callable[[Pixels], Pixels]
"""A picture (256, 256, 3) RGB → the most likely class of each place (64, 64)."""
HELD_OUT = range(1_000_000, 1_000_008)
THINGS = ("hand", "cup", "microphone")
EVERY = 6
"""Of the clips' frames every so many are looked at."""
FRAMES = 12


def main() -> None:
    """See the module."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder with an index.json")
    arguments.add_argument(
        "--faces", type=Path, required=True, help="folder of faces kept by `rigid-live train parser`"
    )
    arguments.add_argument("--blocks", type=int, default=len(HELD_OUT), help="of 64 held-out faces")
    given = arguments.parse_args()
    store, parse = AssetStore(), load_shipped_parser()
    maker = FaceMaker(store, "mobile-256")
    faces = load_or_make_blocks(given.faces, HELD_OUT[: given.blocks], maker)
    stills, landmarks = dict(read_stills(given.data, "val")), maker.landmarks
    report: dict[str, object] = {"generated": on_generated(faces, parse)}
    drawn = {f"generated-{HELD_OUT[0]}-{i}": picture for i, (picture, _) in enumerate(maker.draw_block(HELD_OUT[0]))}
    report["generated_by_hand"] = by_hand(drawn, landmarks, parse)
    report["stills_by_hand"] = by_hand(stills, landmarks, parse)
    clips = {clip.name: read_video(clip.path)[::EVERY][:FRAMES] for clip in find_clips(given.data / "aligned", "val")}
    report["occluders"] = {thing: measure_found_occluders(clips, thing, parse) for thing in THINGS}
    report["other_without_occluder"] = float(np.mean([(parse(f) == OTHER).mean() for c in clips.values() for f in c]))
    report["flicker_noise"] = flicker(stills, parse, moved=False)
    report["flicker_noise_and_jitter"] = flicker(stills, parse, moved=True)
    print(json.dumps(report, indent=1))


def load_shipped_parser() -> Parse:
    """The parser as it runs in a stream."""
    parse = open_parser(256)
    return lambda picture: np.asarray(parse(picture).argmax(0), np.uint8)


def on_generated(faces: LabelledFaces, parse: Parse) -> dict[str, float]:
    """IoU with the labels that the generator's features give."""
    found = [
        parse(cv2.resize(image, (256, 256), interpolation=cv2.INTER_LINEAR).astype(np.uint8)) for image in faces.images
    ]
    return round_all(iou(np.stack(found), majority(faces.labels, 2)))


def by_hand(pictures: dict[str, Pixels], landmarks: LandmarkNet, parse: Parse) -> dict[str, float]:
    """IoU with labels drawn by hand; what the landmarks draw best, brows to mouth, is theirs."""
    found, truth = [], []
    for name, picture in pictures.items():
        labels = read_hand_labels(name, landmarks.see_aligned(picture).landmarks)
        if labels is not None:
            found.append(parse(picture))
            truth.append(labels)
    return {"faces": float(len(truth))} | round_all(iou(np.stack(found), majority(np.stack(truth), LABEL_SIZE // 64)))


def measure_found_occluders(clips: dict[str, list[Pixels]], thing: str, parse: Parse) -> float:
    """The share of a moving thing's places that is found to be before the face."""
    found = covered = 0
    for seed, frames in enumerate(clips.values()):
        for picture, alpha in moving(frames, thing, seed):
            whole = cv2.resize(alpha, (64, 64), interpolation=cv2.INTER_AREA) > 0.75
            found += int((parse(picture)[whole] == OTHER).sum())
            covered += int(whole.sum())
    return round(found / max(covered, 1), 4)


def moving(frames: list[Pixels], thing: str, seed: int) -> Iterator[tuple[Pixels, NDArray[np.float32]]]:
    """`frames` with a thing that crosses them, and where it covers them."""
    random = np.random.default_rng((seed, THINGS.index(thing)))
    flat = np.zeros((256, 256), np.uint8)
    flat[90:200, 80:176] = CLASSES.index("skin")
    layer = OCCLUDERS[thing].draw(frames[0], flat, random)
    start, end = random.uniform(-60, 60, (2, 2))
    for index, frame in enumerate(frames):
        x, y = start + (end - start) * index / max(1, len(frames) - 1)
        moved = [cv2.warpAffine(a, np.array([[1, 0, x], [0, 1, y]]), (256, 256)) for a in (layer.colours, layer.alpha)]
        here = Layer(moved[0].astype(np.float32), moved[1].astype(np.float32))
        yield paste(frame, flat, here, np.random.default_rng(seed))[0], here.alpha


def flicker(pictures: dict[str, Pixels], parse: Parse, *, moved: bool) -> float:
    """The share of places that change class from one frame to the next in a still head, seen by a camera with noise.

    `moved`: the alignment jitters besides, by about half a pixel.
    """
    changed = []
    for seed, picture in enumerate(pictures.values()):
        random = np.random.default_rng(seed)
        frames = [render_crop(picture, jitter(random), 256) if moved else picture for _ in range(4)]
        noisy = [np.clip(frame + random.normal(0, 3, frame.shape), 0, 255).astype(np.uint8) for frame in frames]
        found = [parse(frame) for frame in noisy]
        changed += [(a != b).mean() for a, b in pairwise(found)]
    return round(float(np.mean(changed)), 4)


def round_all(values: dict[str, float]) -> dict[str, float]:
    """Three places are enough."""
    return {name: round(value, 3) for name, value in values.items()}


if __name__ == "__main__":
    main()
