"""What a runtime feeds exported networks and reads of them, and whether TensorRT's library builds engines of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.backends.tensorrt_library import MOST_BATCH, USUAL_BATCH, Library
from engines.exports import HALF, WHOLE, gpu_graph_files
from rigid.models import inversion
from rigid.models.contract import CLASSES, Sizes

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Ports:
    """The shapes of what goes in and comes out by name, less the batch."""

    inputs: Shapes
    outputs: Shapes


def ports_of(sizes: Sizes, *, recurrent: bool = True) -> dict[str, Ports]:
    """By graph, as `GraphRuntime` has them."""
    picture = (3, sizes.image_size, sizes.image_size)
    codes, noise = (sizes.n_codes, sizes.code_size), sizes.noise_shape
    invert = Ports({"inputs": picture}, {"codes": codes})
    if recurrent:
        state = (sizes.hidden_shape, sizes.hidden_shape)
        inputs = zip(inversion.INPUTS, (*[picture] * 4, *state), strict=True)
        invert = Ports(dict(inputs), dict(zip(inversion.OUTPUTS, (codes, noise, *state), strict=True)))
    classes = (len(CLASSES), sizes.image_size // 4, sizes.image_size // 4)
    return {
        "invert": invert,
        "synthesize": Ports({"codes": codes, "noise": noise}, {"images": picture}),
        "parse": Ports({"pictures": picture}, {"probabilities": classes}),
    }


def check_builds(library: Library, folder: Path, expected: Mapping[str, Ports]) -> None:
    """Those networks in `folder`, in either precision: each is parsed, has its ports, and becomes an engine."""
    for kind in (WHOLE, HALF):
        paths = gpu_graph_files(folder, kind)
        for name, ports in expected.items():
            check_ports(library, paths[name], ports)
            plan, learnt = library.build(paths[name])
            assert len(plan) > library.trt.Runtime(library.log).engine_header_size and learnt == b""


def check_ports(library: Library, path: Path, expected: Ports) -> None:
    """Names, shapes and types of what goes in and comes out, and the batches that are allowed."""
    trt = library.trt
    builder = trt.Builder(library.log)
    network = library.read_network(builder, path)
    profile = library.make_profile(builder, network)
    given = [network.get_input(i) for i in range(network.num_inputs)]
    made = [network.get_output(i) for i in range(network.num_outputs)]
    for ports, shapes in ((given, expected.inputs), (made, expected.outputs)):
        assert {port.name: tuple(port.shape) for port in ports} == {n: (-1, *shape) for n, shape in shapes.items()}
        assert {port.dtype for port in ports} == {trt.float32}
    for name, shape in expected.inputs.items():
        batches = [tuple(allowed) for allowed in profile.get_shape(name)]
        assert batches == [(batch, *shape) for batch in (1, USUAL_BATCH, MOST_BATCH)]
