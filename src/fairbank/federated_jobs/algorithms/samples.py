"""The samples of a site as a MONAI data set: read once, kept in memory as far as asked, changed at random by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from monai.data.dataset import Dataset
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import RandGaussianNoised, RandScaleIntensityd
from monai.transforms.spatial.dictionary import RandFlipd, RandRotated

from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.staged import StagedSeries
from fairbank.federated_jobs.algorithms.by_group import AGE, MAKER, SEX
from fairbank.federated_jobs.algorithms.errors import LabelsMissing, NothingToTrainOn
from fairbank.federated_jobs.algorithms.splits import held_out
from fairbank.federated_jobs.algorithms.training_parameters import Augmentation

IMAGE, TARGET = "image", "target"
Item = dict[str, Any]
# Takes an item and a source of chance, and returns what is trained on, such as a patch.
Draw = Callable[[Item, np.random.RandomState], Item]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with what is learnt of it.

    Args:
        subject: pseudonym.
        image: (1, …) float32 tensor.
        target: a class, a number, or a mask of the image's form.
        spacing_mm: of the image's axes.
        groups: what is known of the subject or the device, by group.
    """

    subject: str
    image: torch.Tensor
    target: torch.Tensor
    spacing_mm: tuple[float, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lazy:
    """A sample that is read anew each time: what is known without its pixels, and how to read it."""

    subject: str
    read: Callable[[], Sample]
    target: torch.Tensor
    spacing_mm: tuple[float, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteSamples:
    """The samples of a site, split by subject.

    Args:
        n_series: of how many series there are samples.
        subjects, heldout_subjects: how many different ones.
        unlabelled: how many subjects are left out because the site knows no usable label of them.
    """

    train: SampleSet
    heldout: SampleSet
    n_series: int
    subjects: int
    heldout_subjects: int
    unlabelled: int


class SampleSet:
    """The samples of one side of the split, in a fixed order.

    Args:
        samples: read, or to be read each time.
        changes: random changes of training images; None where there are none.
        draw: what is taken of an item by chance; None for all of it.
        draws: how often in each pass.
    """

    def __init__(
        self,
        samples: Sequence[Sample | Lazy],
        *,
        changes: Compose | None = None,
        draw: Draw | None = None,
        draws: int = 1,
    ) -> None:
        self.samples = samples
        self.draws = draws
        self._changes, self._draw = changes, draw
        self._items = Dataset([{"sample": sample} for sample in samples], _read)
        self._whole: tuple[torch.Tensor, torch.Tensor] | None = None
        if samples and changes is None and draw is None and all(isinstance(one, Sample) for one in samples):
            read = [one for one in samples if isinstance(one, Sample)]
            if len({one.image.shape for one in read}) == len({one.target.shape for one in read}) == 1:
                self._whole = (
                    torch.stack([one.image for one in read]),
                    torch.stack([one.target for one in read]),
                )

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def subjects(self) -> int:
        """Return how many different subjects there are."""
        return len({one.subject for one in self.samples})

    def changed_by(self, changes: Compose) -> SampleSet:
        """Return the same samples with other random changes."""
        return SampleSet(self.samples, changes=changes, draw=self._draw, draws=self.draws)

    def target(self, place: int) -> torch.Tensor:
        """Return what is learnt of one sample, without reading its image."""
        return self.samples[place].target

    def item(self, place: int) -> Item:
        """Return one sample as it is."""
        found: Item = self._items[place]
        return found

    def batch(self, places: Sequence[int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images and targets, (n, …) each; equal places and seeds give equal ones.

        Args:
            places: below `len(self) * self.draws`.
        """
        if self._whole is not None:
            chosen = torch.tensor(places)
            return self._whole[0][chosen], self._whole[1][chosen]
        chance = np.random.RandomState(seed % 2**32)
        drawn = [self._drawn(self.item(place // self.draws), chance) for place in places]
        return torch.stack([one[IMAGE] for one in drawn]), torch.stack([one[TARGET] for one in drawn])

    def _drawn(self, item: Item, chance: np.random.RandomState) -> Item:
        taken = self._draw(item, chance) if self._draw else item
        if self._changes is None:
            return taken
        self._changes.set_random_state(seed=int(chance.randint(2**31)))
        changed = self._changes({IMAGE: taken[IMAGE], TARGET: taken[TARGET]})
        return {name: _plain(changed[name]) for name in (IMAGE, TARGET)}


def changes_of(asked: Augmentation, dimensions: int, *, masks: bool) -> Compose | None:
    """Return MONAI's transforms for the random changes that are asked for, None for none.

    Args:
        masks: whether targets are masks, which are turned as their images are.
    """
    if not asked.any:
        return None
    keys = (IMAGE, TARGET) if masks else (IMAGE,)
    modes = ("bilinear", "nearest")[: len(keys)]
    steps: list[Any] = []
    if asked.flip:
        steps += [
            RandFlipd(keys=keys, prob=float(asked.flip), spatial_axis=axis) for axis in range(dimensions)
        ]
    if asked.rotate_degrees:
        angle = float(np.deg2rad(float(asked.rotate_degrees)))
        # The first axis of a volume are its slices, so turning around it stays in their plane.
        steps.append(RandRotated(keys=keys, range_x=angle, prob=1.0, mode=modes, padding_mode="zeros"))
    if asked.scale_intensity:
        steps.append(RandScaleIntensityd(keys=(IMAGE,), factors=float(asked.scale_intensity), prob=1.0))
    if asked.noise_sd:
        steps.append(RandGaussianNoised(keys=(IMAGE,), std=float(asked.noise_sd), prob=1.0))
    return Compose(steps)


def site_samples(
    series: Iterable[StagedSeries],
    of_series: Callable[[StagedSeries], Sequence[Sample | Lazy]],
    *,
    labelled: Callable[[StagedSeries], bool],
    held_out_percent: int,
    as_sets: Callable[[Sequence[Sample | Lazy], Sequence[Sample | Lazy]], tuple[SampleSet, SampleSet]],
) -> SiteSamples:
    """Return the samples of all series that can be used; the others are left out.

    Args:
        of_series: reads one series; raises `ItemImpossible` where it cannot be used.
        labelled: whether the site knows a usable label of a series.
        as_sets: makes the two sides of the split.

    Raises:
        NothingToTrainOn: if no image can be used.
        LabelsMissing: if images can be, and no label is known.
    """
    found: list[Sample | Lazy] = []
    used, impossible = 0, Counter[str]()
    known: set[str] = set()
    unknown: set[str] = set()
    for one in series:
        if not labelled(one):
            unknown.add(one.subject)
            continue
        try:
            samples = of_series(one)
        except ItemImpossible as fault:
            impossible[fault.reason] += 1
            continue
        known.add(one.subject)
        used += bool(samples)
        found += samples
    if not found and unknown and not impossible:
        raise LabelsMissing(
            "This site knows no usable label of any subject of the cohort.",
            why="The variable is not there, or none of its words is one that the job asks for.",
            todo="Import the variable, or set what its local words mean: fairbank node labels set.",
        )
    if not found:
        raise NothingToTrainOn(
            "No staged series can be used for training.",
            why=f"Reasons: {', '.join(sorted(impossible)) or 'there is no series'}.",
            todo="Choose series that fit the template, or other parameters.",
        )
    subjects = {one.subject for one in found}
    held = held_out(subjects, held_out_percent)
    train, heldout = as_sets(
        [one for one in found if one.subject not in held], [one for one in found if one.subject in held]
    )
    return SiteSamples(train, heldout, used, len(subjects), len(held), len(unknown - known))


def groups_of(series: StagedSeries, maker: str) -> dict[str, str]:
    """Return the groups that a series belongs to, as far as they are known."""
    found = {name: series.asked[name] for name in (SEX, AGE) if name in series.asked}
    return found | {MAKER: maker}


def number_in(series: StagedSeries) -> float | None:
    """Return the number that a series' label is, None if it is none or not known."""
    try:
        number = float(series.asked["number"])
    except (KeyError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _read(item: Item) -> Item:
    sample = item["sample"]
    read = sample.read() if isinstance(sample, Lazy) else sample
    return {IMAGE: read.image, TARGET: read.target, "spacing_mm": read.spacing_mm}


def _plain(value: Any) -> torch.Tensor:
    tensor: torch.Tensor = value.as_tensor() if hasattr(value, "as_tensor") else torch.as_tensor(value)
    return tensor
