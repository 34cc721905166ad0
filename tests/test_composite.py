from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.blend import eyes_mask, forehead_mask, oval_mask, spread, warp
from rigid.composite import (
    COMPOSITES,
    CompositeKind,
    Compositor,
    TransferState,
    paper_composite,
    transfer_composite,
)
from rigid.geometry import Points
from rigid.landmarks import LEFT_EYE, RIGHT_EYE
from rigid.reach import Reach
from rigid.trust import Anew
from tests.worlds import landmarks_in_crop

SIZE = 256
Crop = NDArray[np.float32]
LANDMARKS = landmarks_in_crop(SIZE)
MASK = oval_mask(LANDMARKS, SIZE)
CENTRE = (slice(100, 156), slice(100, 156))


def texture(seed: int, coarse: int = 16) -> Crop:
    """Smooth random colour in about [-0.6, 0.6]."""
    noise = np.random.default_rng(seed).uniform(-1, 1, (SIZE // coarse, SIZE // coarse, 3)).astype(np.float32)
    return 0.6 * cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).clip(-1, 1).astype(np.float32)


def details(seed: int = 9) -> Crop:
    """What a real face has and the generator leaves out: fine grain."""
    grain = np.random.default_rng(seed).normal(0, 0.05, (SIZE, SIZE, 3)).astype(np.float32)
    return cv2.GaussianBlur(grain, (0, 0), 1.0) * 2  # type: ignore[return-value]


def bulge(strength: float) -> Crop:
    """A smooth motion in the middle of the face, at most `strength` pixels."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    weight = np.exp(-((x - 128) ** 2 + (y - 128) ** 2) / (2 * 30**2))
    return np.dstack((strength * weight, -0.5 * strength * weight)).astype(np.float32)


def painted_mouth(picture: Crop, value: float) -> Crop:
    """`picture` with a bright or dark mouth."""
    changed = picture.copy()
    cv2.ellipse(changed, (128, 166), (20, 8), 0, 0, 360, (value, value, value), -1, cv2.LINE_AA)
    return changed


def transferred(inputs: Crop, inverted: Crop, edited: Crop, mouth: Crop | None = None) -> Crop:
    composite, _ = transfer_composite(inputs, inverted, edited, MASK, TransferState(), Anew(mouth))
    return composite.over(inputs)


def test_transfer_without_an_edit_is_the_input_itself() -> None:
    inputs, inverted = texture(0) + details(), texture(1)
    np.testing.assert_array_equal(transferred(inputs, inverted, inverted.copy()), inputs)


def test_a_vanishing_edit_vanishes_without_a_jump() -> None:
    inputs, inverted = texture(0) + details(), texture(1)
    edited = inverted + np.float32(0.004) * texture(2)
    assert np.abs(transferred(inputs, inverted, edited) - inputs).max() < 0.03


def test_a_change_of_colour_is_added_and_details_stay() -> None:
    inverted = texture(0)
    inputs = inverted + details()
    result = transferred(inputs, inverted, inverted + np.float32(0.1))
    np.testing.assert_allclose(result[CENTRE] - inputs[CENTRE], 0.1, atol=0.03)


def test_a_motion_carries_the_real_details_along() -> None:
    inverted = texture(3)
    inputs = inverted + details()
    flow = bulge(6.0)
    result = transferred(inputs, inverted, warp(inverted, flow))
    moved, pasted = warp(inputs, flow), warp(inverted, flow)
    assert np.abs(result - moved)[CENTRE].mean() < 0.5 * np.abs(pasted - moved)[CENTRE].mean()
    assert np.abs(result - moved)[CENTRE].mean() < 0.3 * np.abs(inputs - moved)[CENTRE].mean()


def test_a_mouth_that_was_inverted_wrongly_is_taken_from_the_edited_face() -> None:
    """I closed and dark, O open and bright, E wider: adding the change would leave neither mouth."""
    skin = texture(4, 64) * 0.3
    inputs, inverted, edited = (painted_mouth(skin, value) for value in (-0.6, 0.2, 0.6))
    mouth = np.zeros((SIZE, SIZE), np.float32)
    cv2.ellipse(mouth, (128, 166), (24, 12), 0, 0, 360, 1.0, -1)
    teeth = (slice(163, 170), slice(120, 136))
    trusting = transferred(inputs, inverted, edited)
    careful = transferred(inputs, inverted, edited, mouth)
    assert np.abs(careful[teeth] - edited[teeth]).mean() < 0.15
    assert np.abs(careful[teeth] - edited[teeth]).mean() < 0.5 * np.abs(trusting[teeth] - edited[teeth]).mean()


def test_a_mouth_that_was_inverted_well_keeps_its_real_pixels() -> None:
    inverted = painted_mouth(texture(4, 64) * 0.3, 0.3)
    inputs = inverted + 0.4 * details()
    mouth = np.zeros((SIZE, SIZE), np.float32)
    cv2.ellipse(mouth, (128, 166), (24, 12), 0, 0, 360, 1.0, -1)
    composite, _ = transfer_composite(inputs, inverted, inverted + np.float32(0.15), MASK, TransferState(), Anew(mouth))
    assert composite.kept is not None
    assert composite.kept[160:172, 118:138].mean() > 0.9


def test_what_no_motion_explains_is_pasted_with_the_colours_matched() -> None:
    """A beard appears where the real face has a bright scarf: the scarf must not shine through."""
    inverted = texture(5, 64) * 0.2
    inputs, edited = inverted + np.float32(0.1), inverted.copy()
    for row in range(112, 160, 16):
        inputs[row : row + 8, 90:166] += 0.6
    edited[115:155, 95:160] -= 0.8
    place = (slice(122, 148), slice(108, 148))
    result = transferred(inputs, inverted, edited)
    assert result[place].std() < 0.5 * inputs[place].std()
    assert (result - edited)[place].mean() == pytest.approx(0.2, abs=0.12)


def test_outside_the_mask_nothing_changes() -> None:
    inputs, inverted = texture(0), texture(1)
    edited = inverted + np.float32(0.3)
    for composite in (
        paper_composite(inputs, inverted, edited, MASK),
        transfer_composite(inputs, inverted, edited, MASK, TransferState())[0],
    ):
        outside = composite.mask == 0
        assert outside.mean() > 0.4
        np.testing.assert_array_equal(composite.over(inputs)[outside], inputs[outside])


def test_what_covers_the_forehead_is_the_edited_face() -> None:
    inputs, inverted = texture(0) + details(), texture(0)
    forehead = forehead_mask(LANDMARKS, SIZE)
    edited = inverted - np.float32(0.5) * spread(forehead) + details(seed=3)
    rows, columns = np.nonzero(forehead * MASK > 0.99)
    middle = slice(len(rows) // 2 - 200, len(rows) // 2 + 200)
    place = rows[middle], columns[middle]
    shown = [
        transfer_composite(inputs, inverted, edited, MASK, TransferState(), Anew(forehead=one))[0].over(inputs)[place]
        for one in (forehead, None)
    ]
    apart = [np.abs(one - edited[place]).mean() for one in shown]
    assert apart[0] < 0.03 < apart[1], "its strands, not those of the change"
    same, _ = transfer_composite(inputs, inverted, inverted.copy(), MASK, TransferState(), Anew(forehead=forehead))
    np.testing.assert_array_equal(same.over(inputs), inputs)


def with_eyes(picture: Crop, value: float) -> Crop:
    """`picture` with both eyes dark or bright."""
    changed = picture.copy()
    for eye in (LEFT_EYE, RIGHT_EYE):
        x, y = LANDMARKS[eye].mean(0).round().astype(int).tolist()
        cv2.ellipse(changed, (x, y), (11, 4), 0, 0, 360, (value, value, value), -1, cv2.LINE_AA)
    return changed


def test_nothing_of_the_open_eyes_shows_through_shut_ones() -> None:
    skin = texture(0)
    tint = np.array([0.1, 0.0, -0.1], np.float32)
    inputs, inverted, edited = with_eyes(skin + tint, 0.9), with_eyes(skin, -0.9), skin
    shown = [
        transfer_composite(inputs, inverted, edited, MASK, TransferState(), Anew(eyes=eyes))[0].over(inputs)
        for eyes in (eyes_mask(LANDMARKS, SIZE), None)
    ]
    opening = np.abs(with_eyes(skin, 5.0) - skin).max(2) > 1
    left = [np.abs(one - (skin + tint))[opening].mean() for one in shown]
    assert left[0] < 0.05 < 0.2 < left[1], "skin in the real one's colour"


def test_paper_pastes_the_edited_face() -> None:
    inputs, inverted, edited = texture(0), texture(1), texture(2)
    composite = paper_composite(inputs, inverted, edited, MASK)
    np.testing.assert_allclose(composite.over(inputs)[CENTRE], edited[CENTRE], atol=1e-6)


def test_the_mask_follows_a_chin_that_drops() -> None:
    """Eq. 7's union: the edited face's mask is the input's moved by the flow from E to O."""
    flow = np.tile(np.array([0, -8], np.float32), (SIZE, SIZE, 1))
    picture = texture(0)
    still = paper_composite(picture, picture, picture, MASK).mask
    dropped = paper_composite(picture, picture, picture, MASK, flow).mask
    assert (dropped >= still - 1e-6).all()
    chin = int(LANDMARKS[152, 1])
    assert dropped[chin + 2, 128] > 0.3 > still[chin + 2, 128]


def test_hair_drawn_beside_a_jaw_drags_no_skin_out() -> None:
    """The flow would explain dark hair before a light wall by dark skin from far inside."""
    inverted = 0.2 * texture(4) + np.float32(0.6)
    inverted += spread(MASK) * (0.4 * texture(5, 8) - np.float32(0.3) - inverted)
    hair = np.zeros((SIZE, SIZE), np.float32)
    for column in (int(LANDMARKS[:, 0].min()) - 16, int(LANDMARKS[:, 0].max())):
        hair[100:230, column : column + 16] = 1
    edited = inverted + spread(cv2.GaussianBlur(hair, (0, 0), 1.0)) * (np.float32(-0.3) - inverted)  # type: ignore[arg-type]
    composite, _ = transfer_composite(inverted, inverted, edited, MASK, TransferState())
    grown = composite.mask > paper_composite(inverted, inverted, edited, MASK).mask + 0.1
    assert grown.mean() < 0.005


def test_where_the_whole_face_turns_it_may_go_far_to_the_side() -> None:
    inverted = texture(6)
    flow = np.tile(np.array([12, 0], np.float32), (SIZE, SIZE, 1))
    composite, _ = transfer_composite(inverted, inverted, warp(inverted, flow), MASK, TransferState())
    assert composite.flow is not None
    np.testing.assert_allclose(composite.flow[100:156, 40:216, 0], 12, atol=1.5)


def test_the_flow_is_steadied_from_frame_to_frame() -> None:
    """Noise of the generated pair makes the flow tremble less with a state than without."""
    inverted = texture(3)
    rng = np.random.default_rng(0)
    state = TransferState()
    alone, steadied = [], []
    for _ in range(8):
        noisy = inverted + cv2.GaussianBlur(rng.normal(0, 0.25, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 2.0)
        edited = warp(inverted, bulge(4.0)) + np.float32(0.02)
        composite, _ = transfer_composite(inverted, noisy, edited, MASK, TransferState())
        alone.append(composite.flow)
        composite, state = transfer_composite(inverted, noisy, edited, MASK, state)
        steadied.append(composite.flow)
    trembling = [np.abs(np.diff(np.array(flows[2:]), axis=0)).mean() for flows in (alone, steadied)]
    assert trembling[1] < 0.7 * trembling[0]


class ShiftedLandmarks:
    """Finds the same landmarks in every crop, those of each second one moved by `shift` pixels."""

    def __init__(self, shift: float):
        self.shift = shift
        self.asked = 0
        self.closed = False

    def __call__(self, crop: NDArray[np.uint8]) -> Points | None:
        assert crop.dtype == np.uint8
        self.asked += 1
        return landmarks_in_crop(crop.shape[0]) + (self.shift if self.asked % 2 == 0 else 0.0)

    def close(self) -> None:
        self.closed = True


class Blind(ShiftedLandmarks):
    """Finds nothing."""

    def __call__(self, crop: NDArray[np.uint8]) -> Points | None:
        return None


def keep_half(pictures: Crop) -> tuple[Crop, Crop]:
    """Half of the real details, and a little red."""
    half = pictures.shape[0] // 2
    residual = np.zeros((half, half, 3), np.float32)
    residual[..., 0] = 0.1
    return np.full((half, half), 0.5, np.float32), residual


def open_kind(kind: CompositeKind) -> Compositor:
    finder = ShiftedLandmarks(2.0) if kind == "transfer-landmarks" else None
    return Compositor(kind, finder=finder, net=keep_half if kind == "learned" else None)


def test_the_learned_composite_keeps_and_adds_what_the_net_says() -> None:
    inverted = texture(0)
    inputs, edited = inverted + details(), inverted + np.float32(0.2)
    composite = open_kind("learned")(inputs, inverted, edited, LANDMARKS)
    expected = edited + 0.5 * (inputs - inverted) + np.array([0.1, 0, 0], np.float32)
    # the optical flow between them is not quite nothing
    assert np.abs(composite.over(inputs) - expected)[CENTRE].mean() < 0.02
    unedited = open_kind("learned")(inputs, inverted, inverted, LANDMARKS)
    np.testing.assert_array_equal(unedited.over(inputs), inputs)


def test_landmarks_tell_the_motion_and_optical_flow_stands_in_for_them() -> None:
    inverted = texture(3)
    edited = warp(inverted, bulge(6.0))
    by_landmarks = open_kind("transfer-landmarks")(inverted, inverted, edited, LANDMARKS)
    assert by_landmarks.flow is not None
    np.testing.assert_allclose(by_landmarks.flow[165:168, 125:131], 2.0, atol=0.3)
    blind = Compositor("transfer-landmarks", finder=Blind(0))(inverted, inverted, edited, LANDMARKS)
    optical = Compositor("transfer")(inverted, inverted, edited, LANDMARKS)
    assert blind.flow is not None and optical.flow is not None
    np.testing.assert_array_equal(blind.flow, optical.flow)


def test_what_finds_landmarks_is_closed_with_the_compositor() -> None:
    finder = ShiftedLandmarks(0)
    Compositor("transfer-landmarks", finder=finder).close()
    assert finder.closed
    Compositor("transfer").close()


@pytest.mark.parametrize("kind", ["transfer-landmarks", "learned"])
def test_a_composite_without_its_tools_is_refused(kind: CompositeKind) -> None:
    with pytest.raises(ValueError, match=f"{kind} needs"):
        Compositor(kind)


@pytest.mark.parametrize("kind", COMPOSITES)
@pytest.mark.parametrize("size", [64, 256])
def test_a_compositor_masks_and_composes(kind: CompositeKind, size: int) -> None:
    landmarks: Points = landmarks_in_crop(size)
    pictures = [cv2.resize(texture(i), (size, size)) for i in range(2)]
    inputs, inverted = (picture.astype(np.float32) for picture in pictures)
    compositor = open_kind(kind)
    composite = compositor(inputs, inverted, inverted + np.float32(0.2), landmarks)
    assert composite.mask.shape == (size, size) and composite.mask.max() == 1
    assert composite.generated.dtype == np.float32 and np.isfinite(composite.over(inputs)).all()
    assert compositor.state.flow is not None
    compositor.reset()
    assert compositor.state.flow is None


def test_a_mouth_that_is_not_drawn_anew_stays_the_real_one() -> None:
    inputs, inverted = painted_mouth(texture(0), -0.8), texture(0)
    edited = inverted + (painted_mouth(inverted, 0.8) - inverted) * np.float32(0.15)
    shown = [open_kind("transfer")(inputs, inverted, edited, LANDMARKS, Reach(mouth)).kept for mouth in (0.0, 1.0)]
    kept, taken = (float(np.asarray(mask)[166, 128]) for mask in shown)
    assert taken < 0.3 and kept > taken + 0.3


def test_an_unknown_composite_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'blend'; choose one of: transfer, transfer-landmarks, learned, paper"):
        Compositor("blend")  # type: ignore[arg-type]
