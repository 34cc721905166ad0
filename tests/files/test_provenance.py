"""Manifests in what is written, and what is read from them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import c2pa
import cv2
import numpy as np
import pytest
from PIL import Image

from cli.main import run
from rigid.files.credentials import Credentials, load_credentials, own_credentials
from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.image_reading import read_images
from rigid.files.image_writing import write_image
from rigid.files.provenance import Signing, carrier, choose_credentials, sign, sign_file
from rigid.files.provenance_reading import read
from tests.clips import frames_of, write_clip
from tests.worlds import FixedTracker, make_stream, textured_frame


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    """Made once; what follows only signs with them."""
    return own_credentials(tmp_path_factory.mktemp("signing"))


def jpeg() -> bytes:
    picture = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    done, data = cv2.imencode(".jpg", picture)
    assert done
    return data.tobytes()


def film(path: Path) -> bytes:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * level, np.uint8), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path.read_bytes()


def test_a_picture_says_that_ai_edited_it_and_still_shows(credentials: Credentials, tmp_path: Path) -> None:
    plain = jpeg()
    path = tmp_path / "signed.jpg"
    path.write_bytes(sign(plain, "image/jpeg", credentials, {"smile": 0.8, "age": 0.0}))
    told = read(path)
    assert told is not None
    assert told.intact and told.edited_with_ai and not told.trusted
    assert told.program.startswith("RIGID Live") and "self-signed" in told.signer
    assert told.edits == {"smile": 0.8} and told.signed_at is not None
    before = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR)
    after = cv2.imread(str(path))
    assert before is not None and after is not None and np.array_equal(before, after)


def test_a_film_says_so_too(credentials: Credentials, tmp_path: Path) -> None:
    path = tmp_path / "signed.mp4"
    path.write_bytes(sign(film(tmp_path / "plain.mp4"), "video/mp4", credentials))
    told = read(path)
    assert told is not None and told.intact and told.edited_with_ai
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_a_change_shows(credentials: Credentials, tmp_path: Path) -> None:
    data = bytearray(sign(jpeg(), "image/jpeg", credentials))
    data[-20] ^= 0xFF
    path = tmp_path / "changed.jpg"
    path.write_bytes(data)
    told = read(path)
    assert told is not None and not told.intact and told.problems


def test_credentials_are_kept_private_and_renewed_when_damaged(tmp_path: Path) -> None:
    first = own_credentials(tmp_path)
    assert own_credentials(tmp_path) == first
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    (tmp_path / "key.pem").write_text("nonsense")
    renewed = own_credentials(tmp_path)
    assert renewed.key != first.key
    assert load_credentials(tmp_path / "chain.pem", tmp_path / "key.pem") == renewed


def test_given_credentials_are_used_or_the_reason_is_said(credentials: Credentials, tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert choose_credentials(None, None, own) == own_credentials(own)
    chain, key, other = tmp_path / "chain.pem", tmp_path / "key.pem", own / "key.pem"
    chain.write_bytes(credentials.chain)
    key.write_bytes(credentials.key)
    assert choose_credentials(chain, key, own) == credentials
    with pytest.raises(ValueError, match="certificate alone cannot sign"):
        choose_credentials(chain, None, own)
    with pytest.raises(ValueError, match="key alone cannot sign"):
        choose_credentials(None, key, own)
    with pytest.raises(ValueError, match="is not the key of"):
        choose_credentials(chain, other, own)
    chain.write_bytes(credentials.chain[credentials.chain.rindex(b"-----BEGIN") :])
    with pytest.raises(ValueError, match="is not the key of"):
        choose_credentials(chain, key, own)


def test_what_cannot_be_signed_or_read_is_said(credentials: Credentials, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="text/plain"):
        sign(b"words", "text/plain", credentials)
    with pytest.raises(ValueError, match="cannot be used to sign"):
        load_credentials(tmp_path / "none.pem", tmp_path / "none.pem")
    (tmp_path / "note.txt").write_text("words")
    for name, words in (("note.txt", "no type"), ("missing.jpg", "cannot be read")):
        with pytest.raises(ValueError, match=words):
            read(tmp_path / name)


KINDS = [".jpg", ".jfif", ".png", ".webp", ".gif", ".avif", ".heic", ".tif", ".mp4", ".mov", ".avi"]


@pytest.mark.parametrize("suffix", KINDS)
def test_an_edited_file_says_so_and_names_what_it_was_made_from(suffix: str, tmp_path: Path) -> None:
    signing = Signing(None, None, tmp_path / "signing")
    moving = suffix in (".mp4", ".mov", ".avi")
    source, middle, target = (
        tmp_path / ("in.mp4" if moving else "in.png"),
        tmp_path / f"a{suffix}",
        tmp_path / f"b{suffix}",
    )
    if moving:
        write_clip(source, tuple(range(0, 160, 40)), size=(128, 96), picture=lambda number, size: textured_frame())
    else:
        write_image(source, textured_frame())
    for start, end, edits in ((source, middle, {"light": 0.5}), (middle, target, {"light": 1.0})):
        report = edit_file(EditJob(start, end, edits, signing=signing), make_stream, "tiny")
        assert not [note for note in report.notes if "sign" in note]
    told = read(target)
    assert told is not None and told.intact and told.edited_with_ai and told.edits == {"light": 1.0}
    data = target.read_bytes()
    with c2pa.Reader(carrier(target), io.BytesIO(data)) as reader:
        store = json.loads(reader.json())
    assert len(store["manifests"]) == 2, "the input's own manifest is kept"
    newest = store["manifests"][store["active_manifest"]]
    (ingredient,) = newest["ingredients"]
    assert ingredient["title"] == middle.name and ingredient["relationship"] == "parentOf"
    assert "thumbnail" not in ingredient and "thumbnail" not in newest, "nothing shows the face unedited"
    said = next(one for one in newest["assertions"] if one["label"].startswith("c2pa.actions"))
    actions = [action["action"] for action in said["data"]["actions"]]
    assert actions == ["c2pa.opened", "c2pa.edited"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["signing", source.name, middle.name, target.name]
    )


def test_what_cannot_be_signed_is_told_and_written_all_the_same(tmp_path: Path) -> None:
    write_image(tmp_path / "in.png", textured_frame())
    job = EditJob(
        tmp_path / "in.png", tmp_path / "out.bmp", {"light": 1.0}, signing=Signing(None, None, tmp_path / "s")
    )
    report = edit_file(job, make_stream, "tiny")
    assert [note for note in report.notes if "no C2PA manifest" in note] and job.target.is_file()


def test_a_picture_under_a_wrong_name_is_signed_with_what_it_was_made_from(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", textured_frame())
    (tmp_path / "a.jpg").rename(tmp_path / "in.png")
    job = EditJob(tmp_path / "in.png", tmp_path / "b.png", {"light": 1.0}, signing=Signing(None, None, tmp_path / "s"))
    assert edit_file(job, make_stream, "tiny").notes == []
    with c2pa.Reader("png", io.BytesIO(job.target.read_bytes())) as reader:
        store = json.loads(reader.json())
    assert store["manifests"][store["active_manifest"]]["ingredients"][0]["title"] == "in.png"


def write_pages(path: Path, count: int) -> None:
    first, *others = [Image.fromarray(textured_frame(number)) for number in range(count)]
    first.save(path, save_all=True, append_images=others)


def test_a_tiff_of_several_pages_stays_one_that_every_program_reads(tmp_path: Path) -> None:
    write_pages(tmp_path / "in.tif", 3)
    job = EditJob(tmp_path / "in.tif", tmp_path / "b.tif", {"light": 1.0}, signing=Signing(None, None, tmp_path / "s"))
    report = edit_file(job, make_stream, "tiny")
    assert report.edited_frames == 3 and [note for note in report.notes if "several pages cannot be signed" in note]
    with Image.open(job.target) as image:
        assert getattr(image, "n_frames", 1) == 3


def test_a_page_that_holds_a_manifest_alone_is_no_picture(credentials: Credentials, tmp_path: Path) -> None:
    write_pages(tmp_path / "in.tif", 3)
    sign_file(tmp_path / "in.tif", tmp_path / "signed.tif", "tif", credentials)
    with Image.open(tmp_path / "signed.tif") as image, pytest.raises(TypeError):
        getattr(image, "n_frames", 1)
    file = read_images(tmp_path / "signed.tif")
    assert len(file.stills) == 3 and not file.notes
    for number, still in enumerate(file.stills):
        np.testing.assert_array_equal(still.colours, textured_frame(number))


def test_a_file_that_was_not_edited_says_nothing(tmp_path: Path) -> None:
    write_image(tmp_path / "in.png", textured_frame())
    job = EditJob(tmp_path / "in.png", tmp_path / "out.png", {}, signing=Signing(None, None, tmp_path / "s"))
    edit_file(job, make_stream, "tiny")
    assert read(job.target) is None


@pytest.mark.parametrize("suffix", [".png", ".mp4"])
def test_a_badge_is_written_into_what_is_edited_alone(suffix: str, tmp_path: Path) -> None:
    plain = textured_frame(shape=(96 * 4, 128 * 4, 3))
    source, marked, bare = (tmp_path / f"{name}{suffix}" for name in ("in", "marked", "bare"))
    if suffix == ".png":
        write_image(source, plain)
    else:
        write_clip(source, (0, 40, 80), size=(512, 384), picture=lambda number, size: plain)
    tracker = FixedTracker(centre=(256, 192), side=240)
    edits = {"light": 1.0}
    edit_file(EditJob(source, marked, edits, badge=True), lambda: make_stream(tracker=tracker), "tiny")
    edit_file(EditJob(source, bare, edits), lambda: make_stream(tracker=FixedTracker((256, 192), 240)), "tiny")
    first, second = (frames_of(path)[-1][1].astype(int) for path in (marked, bare))
    difference = np.abs(first - second)
    assert difference[-40:, :200].mean() > 10
    assert difference[:-60].mean() < 2


def test_the_command_tells(credentials: Credentials, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed, plain, missing = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "c.jpg"
    signed.write_bytes(sign(jpeg(), "image/jpeg", credentials, {"smile": 0.8}))
    plain.write_bytes(jpeg())
    assert run(["verify", str(signed)]) == 0
    said = capsys.readouterr().out
    assert "edited with AI" in said and "smile" in said and "unchanged" in said
    assert run(["verify", str(plain)]) == 1
    assert "says nothing" in capsys.readouterr().err
    assert run(["verify", str(missing)]) == 2
