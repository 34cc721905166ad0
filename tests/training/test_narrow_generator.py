"""A narrower end of the generator: what it is before any training, and that training brings it nearer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rigid.assets.store import AssetStore
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.models.mobile_stylegan import MobileStyleGAN
from rigid.reporting import say_nothing
from rigid.training.narrow_generator import NarrowOptions, NarrowParts, NarrowStage
from rigid.training.narrowing import End, choose, fold, narrow
from rigid.training.shipping import read_part
from rigid.training.stages import plan, train
from rigid.training.stream_pictures import StreamPictures, draw_edit
from tests.networks import randomise
from tests.patience import LONG
from tests.training.parts import Distance

CODE_SIZE = 6


def tiny_generator(channels: int, widths: tuple[int, ...], seed: int) -> MobileStyleGAN:
    """One level, 4² to 8², and a deep head for pictures of 16²."""
    torch.manual_seed(seed)
    network = MobileStyleGAN((16, channels), code_size=CODE_SIZE, noise_resolution=8, head_widths=widths)
    for module in network.modules():
        randomise(module)
    return network.eval().requires_grad_(False)


def given(generator: MobileStyleGAN, count: int) -> StreamPictures:
    """Random features before the end of `generator`, and its pictures of them."""
    random = torch.Generator().manual_seed(1)
    features = [torch.randn(1, 16, 4, 4, generator=random).bfloat16() for _ in range(count)]
    codes = [torch.randn(1, 4, CODE_SIZE, generator=random) for _ in range(count)]
    end = End(generator)
    pictures = [end(x.float(), w).half() for x, w in zip(features, codes, strict=True)]
    return StreamPictures(features, codes, pictures)


def batches(pictures: StreamPictures) -> list[tuple[Tensor, Tensor]]:
    return [pictures.whole(number)[:2] for number in range(len(pictures))]


def repeat_features(generator: MobileStyleGAN) -> None:
    """Let the second half of the features that are read be the first half once more, wherever they are read."""
    end = End(generator)
    for maker in (end.level.conv1, end.level.conv2, end.hidden[0]):
        for value in maker.pointwise.parameters():
            half = len(value) // 2
            value[half:] = value[:half]
    for readers in end.readers:
        for reader in readers:
            depthwise = getattr(reader, "depthwise", None)
            for value in (*reader.modulation.parameters(), *(depthwise.parameters() if depthwise is not None else ())):
                half = len(value) // 2
                value[half:] = value[:half]


def test_features_that_say_nothing_new_are_left_out_without_loss() -> None:
    wide, ours = tiny_generator(8, (8, 4, 4, 4), 2), tiny_generator(4, (4, 4, 4, 4), 3)
    repeat_features(wide)
    shown, unseen = given(wide, 12), given(wide, 14)
    narrow(End(wide), End(ours), batches(shown))
    features, codes, picture = unseen.whole(13)
    made = End(ours)(features, codes)
    assert (made - picture).abs().max() < 0.02 * picture.std()


def test_the_feature_that_others_tell_and_nobody_weighs_goes_first() -> None:
    torch.manual_seed(0)
    own = torch.randn(500, 3)
    rows = torch.cat((own, own[:, :1] + own[:, 1:2]), 1)
    weight = torch.tensor([[1.0, 1.0, 1.0, 0.2]])
    assert choose(3, [(rows, weight)]).tolist() == [0, 1, 2]
    kept = torch.tensor([0, 1, 2])
    folded, bias = fold(rows, weight, torch.zeros(1), kept)
    torch.testing.assert_close(rows[:, :3] @ folded.T + bias, rows @ weight.T, rtol=0, atol=0.01)


def test_training_brings_the_narrower_end_nearer(tmp_path: Path) -> None:
    wide, ours = tiny_generator(8, (8, 4, 4, 4), 2), tiny_generator(5, (5, 4, 4, 4), 3)
    pictures = given(wide, 6)
    options = NarrowOptions(
        Path("."), Path("."), closed_form=4, batch=2, patch=3, margin=2, learning_rate=0.01, steps=120
    )
    stage = NarrowStage(options, lambda: NarrowParts(End(wide), ours, pictures, pictures, Distance()))
    before = stage.validate(tmp_path)
    state = {name: value.clone() for name, value in ours.state_dict().items()}
    for index in range(options.steps):
        stage.step(index)
    assert stage.validate(tmp_path)["mse"] < 0.8 * before["mse"]
    stage.export(tmp_path)
    assert (tmp_path / "narrow_generator.png").stat().st_size > 0
    assert not torch.equal(ours.state_dict()["head.pointwise.weight"], state["head.pointwise.weight"])
    assert set(stage.state_dict()) == {"end", "optimizer", "schedule"}


def test_an_end_that_is_given_is_gone_on_from() -> None:
    wide, ours = tiny_generator(8, (8, 4, 4, 4), 2), tiny_generator(5, (5, 4, 4, 4), 3)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    pictures = given(wide, 2)
    options = NarrowOptions(Path("."), Path("."), initial="shipped")
    NarrowStage(options, lambda: NarrowParts(End(wide), ours, pictures, pictures, Distance()))
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())


def test_as_many_pictures_have_dyed_hair_as_asked() -> None:
    hair, face = (
        Attribute(name, name, group, 0, 1, 0, "", "", np.full((4, CODE_SIZE), value, np.float32), region=group)
        for name, group, value in (("blond", "hair", 1.0), ("smile", "face", -1.0))
    )
    library = AttributeLibrary([hair, face], n_codes=4, code_size=CODE_SIZE)
    random = np.random.default_rng(0)
    assert all(draw_edit(library, 1.0, 1.0, random).max() > 0 for _ in range(20))
    drawn = [bool(draw_edit(library, 1.0, 0.5, random).max() > 0) for _ in range(200)]
    # half of them, and by chance half of the others
    assert 0.65 < np.mean(drawn) < 0.85


def test_weights_of_another_width_are_refused_by_name(tmp_path: Path) -> None:
    wide, ours = tiny_generator(8, (8, 4, 4, 4), 2), tiny_generator(5, (5, 4, 4, 4), 3)
    path = tmp_path / "wide_generator.safetensors"
    save_file({name: value for name, value in wide.state_dict().items() if name.startswith("head.")}, path)
    read_part(wide, path, ("head.",))
    with pytest.raises(ValueError, match=r"has \(8,\) for head.hidden.0.modulation.bias, not \(5,\)"):
        read_part(ours, path, ("head.",))
    with pytest.raises(ValueError, match="cannot be read as weights"):
        read_part(ours, tmp_path / "none.safetensors", ("head.",))


def test_the_stage_is_planned_with_the_wide_end(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--wide must name"):
        plan("narrow-generator", "mobile-256", tmp_path)
    with pytest.raises(ValueError, match="--data must name"):
        plan("narrow-generator", "mobile-256", None, wide=tmp_path)
    described = json.loads(plan("narrow-generator", "mobile-256", tmp_path, wide=tmp_path / "wide").describe())
    assert described["wide"] == str(tmp_path / "wide")


@LONG
def test_the_stage_writes_what_ships(tmp_path: Path, store: AssetStore, footage: Path) -> None:
    train(plan("generator", "smoke", None), store, tmp_path / "wide", resume=False, say=say_nothing)
    todo = plan("narrow-generator", "smoke", footage, wide=tmp_path / "wide" / "wide_generator.safetensors")
    measures = train(todo, store, tmp_path, resume=False, say=say_nothing)
    assert 0 < measures["mse"] < 0.2
    assert load_file(tmp_path / "generator.safetensors")["levels.4.conv1.pointwise.bias"].shape == (160,)
