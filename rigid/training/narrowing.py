"""A narrower end of the generator in closed form: fewer features, of which the others are told by least squares."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from rigid.models.mobile_stylegan import (
    DeepWaveletHead,
    Level,
    MobileStyleGAN,
    StyledConv,
    WaveletHead,
    inverse_haar,
    split_bands,
)

Reader = StyledConv | WaveletHead
"""What features go to: a 1×1 convolution behind a modulation and, in some, a depthwise convolution."""
PLACES = 700
"""Places of a picture whose features are looked at."""
RIDGE = 1e-4
"""Added to a covariance's diagonal, as a share of its mean."""


class End(nn.Module):
    """The last level of a generator and its deep head: features (B, C, H, W) → RGB (B, 3, 4H, 4W)."""

    def __init__(self, generator: MobileStyleGAN):
        super().__init__()
        assert isinstance(generator.head, DeepWaveletHead)
        self.level: Level = generator.level(-1)
        self.head: DeepWaveletHead = generator.head

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """`codes` (B, n_codes, 512), all of the picture's."""
        return self.head(self.level(x, codes[:, -3], codes[:, -2]), codes[:, -1])  # type: ignore[no-any-return]

    @property
    def hidden(self) -> list[StyledConv]:
        """The head's hidden convolutions."""
        return [module for module in self.head.hidden if isinstance(module, StyledConv)]

    @property
    def readers(self) -> tuple[tuple[Reader, ...], ...]:
        """Who reads the features after the level's first convolution, after its second, after the head's first."""
        first, second, *_ = self.hidden
        return (self.level.conv2,), (first, self.head), (second, self.head.middle)


@torch.no_grad()
def narrow(wide: End, ours: End, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Fill `ours`, which has fewer features in the level and after the head's first convolution, from `wide`.

    Those go that cost least; what the others tell of them is folded into the convolutions that read them.
    `batches`: features (B, C, H, W) that enter the end and their codes (B, n_codes, 512).
    """
    rows = _look(wide, batches)
    level, head = ours.level, ours.head
    widths = [r[0].pointwise.in_channels for r in ours.readers]
    kept = [
        choose(width, [(r, reader.pointwise.weight.flatten(1).cpu()) for r, reader in zip(seen, readers, strict=True)])
        for width, seen, readers in zip(widths, rows, wide.readers, strict=True)
    ]
    level.up.load_state_dict(wide.level.up.state_dict())
    _copy(level.conv1, wide.level.conv1, outputs=kept[0])
    outputs = ((kept[1],), (kept[2], None), (None, None))
    for place, (ours_there, theirs_there) in enumerate(zip(ours.readers, wide.readers, strict=True)):
        for r, mine, theirs, out in zip(rows[place], ours_there, theirs_there, outputs[place], strict=True):
            _copy(mine, theirs, r, kept[place], out)
    for convolution, whole in zip(ours.hidden[2:], wide.hidden[2:], strict=True):
        convolution.load_state_dict(whole.state_dict())
    head.last.load_state_dict(wide.head.last.state_dict())


def choose(count: int, read: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The `count` features to keep, their numbers in order.

    One after another that feature goes which costs least once least squares tells it from those that stay: what is
    left of it unexplained, times the energy of the weights that read it. `read`: for each reader the features as it
    has them (N, C) and its weights (K, C).
    """
    covariance = sum(torch.cov(rows.T) / rows.var(0).mean() for rows, _ in read)
    energy = sum(weight.square().sum(0) / weight.square().sum() for _, weight in read)
    assert isinstance(covariance, Tensor) and isinstance(energy, Tensor)
    inverse = torch.linalg.inv(_with_ridge(covariance.double()))
    kept = torch.arange(len(inverse))
    while len(kept) > count:
        # Of a Gaussian, the inverse's diagonal is one over the variance that the other features leave.
        gone = int((energy.double()[kept] / inverse.diagonal()).argmin())
        others = torch.arange(len(kept)) != gone
        column = inverse[others, gone]
        inverse = inverse[others][:, others] - torch.outer(column, column) / inverse[gone, gone]
        kept = kept[others]
    return kept


def fold(rows: Tensor, weight: Tensor, bias: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """A convolution's `weight` (K, C) and `bias` (K,) for the features `kept` of `rows` (N, C) alone."""
    gone = torch.ones(rows.shape[1], dtype=torch.bool)
    gone[kept] = False
    known = torch.cat((rows[:, kept], torch.ones_like(rows[:, :1])), 1).double()
    told = torch.linalg.solve(_with_ridge(known.T @ known), known.T @ rows[:, gone].double()).float()
    return weight[:, kept] + weight[:, gone] @ told[:-1].T, bias + weight[:, gone] @ told[-1]


def _look(wide: End, batches: Iterable[tuple[Tensor, Tensor]]) -> list[list[Tensor]]:
    """The features as each of `wide.readers` has them before its 1×1 convolution, (N, C), at some of their places."""
    random = torch.Generator().manual_seed(0)
    seen: list[list[list[Tensor]]] = [[[] for _ in readers] for readers in wide.readers]
    for x, codes in batches:
        upper, lower, w = codes[:, -3], codes[:, -2], codes[:, -1]
        first = wide.level.conv1(inverse_haar(*split_bands(wide.level.up.modulate(x, upper))), upper)
        second = wide.level.conv2(first, lower)
        features = (first, second, wide.hidden[0](second, w))
        for kinds, readers, values, code in zip(seen, wide.readers, features, (lower, w, w), strict=True):
            chosen = torch.randperm(values.shape[2] * values.shape[3], generator=random)[:PLACES]
            for rows, reader in zip(kinds, readers, strict=True):
                rows.append(_as_read(reader, values, code)[..., chosen].movedim(1, -1).flatten(0, 1))
    return [[torch.cat(rows).float().cpu() for rows in kinds] for kinds in seen]


def _as_read(reader: Reader, x: Tensor, w: Tensor) -> Tensor:
    """`x` (B, C, H, W) as the 1×1 convolution of `reader` has it, (B, C, H·W)."""
    x = reader.modulation.modulate(x, w)
    if isinstance(reader, StyledConv) and reader.depthwise is not None:
        x = reader.depthwise(x)
    return x.flatten(2)


def _copy(
    ours: Reader, theirs: Reader, rows: Tensor | None = None, kept: Tensor | None = None, outputs: Tensor | None = None
) -> None:
    """`theirs` for the features `kept` of `rows` (None: all) that it reads, and the features `outputs` it makes."""
    state = {name: value.cpu() for name, value in theirs.state_dict().items()}
    weight, bias = state["pointwise.weight"].flatten(1), state["pointwise.bias"]
    if rows is not None and kept is not None:
        weight, bias = fold(rows, weight, bias, kept)
        read = ("modulation.weight", "modulation.bias", "depthwise.weight")
        state |= {name: state[name][kept] for name in read if name in state}
    made = slice(None) if outputs is None else outputs
    state |= {"pointwise.weight": weight[made][:, :, None, None], "pointwise.bias": bias[made]}
    # a deep head's state has its hidden parts' too, which are copied by themselves
    own = {
        name for name, _ in (*ours.named_parameters(), *ours.named_buffers()) if name.count(".") == 1 or name == "noise"
    }
    ours.load_state_dict({name: value for name, value in state.items() if name in own}, strict=False)


def _with_ridge(square: Tensor) -> Tensor:
    return square + RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
