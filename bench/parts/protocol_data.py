"""The published image sets of the training protocols, and how they are split over sites.

The sets are read from the folder that FAIRBANK_DATA names; none of them is part of this repository.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parts.labelled_images import idx, thirds

SITES = ("east", "north", "west")
DIRICHLET = 0.5
# A split is drawn again until each site has so many images, and so many of each class.
LEAST_IMAGES, LEAST_OF_CLASS = 60, 12
_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images with one label each.

    Attributes:
        images: (n, rows, columns) uint8.
        labels: (n,) int64, places in `words`.
        words: the classes.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, places: NDArray[np.int64]) -> Labelled:
        """Return some of them."""
        return Labelled(self.images[places], self.labels[places], self.words)

    def told(self) -> list[str]:
        """Return the word of each image."""
        return [self.words[label] for label in self.labels]

    def counts(self) -> dict[str, int]:
        """Return how many images each class has."""
        found = np.bincount(self.labels, minlength=len(self.words))
        return {word: int(count) for word, count in zip(self.words, found, strict=True)}


Split = Mapping[str, Labelled]


def data_folder() -> Path:
    """Return the folder of the published sets.

    Raises:
        SystemExit: if FAIRBANK_DATA does not name one.
    """
    folder = Path(os.environ.get("FAIRBANK_DATA", ""))
    if not (folder / "mnist").is_dir():
        raise SystemExit("FAIRBANK_DATA has to name the folder with mnist, pneumoniamnist and hippocampus.")
    return folder


def mnist(folder: Path) -> tuple[Labelled, Labelled]:
    """Return the 60,000 training images and the 10,000 of the test.

    Source: LeCun, Cortes & Burges, the MNIST database.
    """

    def part(name: str) -> Labelled:
        images = idx(folder / "mnist" / f"{name}-images-idx3-ubyte.gz")
        labels = idx(folder / "mnist" / f"{name}-labels-idx1-ubyte.gz")
        return Labelled(images, labels.astype(np.int64), tuple(str(digit) for digit in range(10)))

    return part("train"), part("t10k")


def pneumonia(folder: Path) -> tuple[Labelled, Labelled]:
    """Return PneumoniaMNIST's training images, and for the test those of its validation part that are not among them.

    The published test part is not at hand. Images of the validation part that are equal to a training image, byte by
    byte, are left out of the test.

    Source: Yang et al. 2023, MedMNIST v2; Kermany et al. 2018.
    """
    words = ("normal", "pneumonia")
    with np.load(folder / "pneumoniamnist" / "pneumoniamnist_train_val.npz") as stored:

        def part(name: str) -> Labelled:
            labels = stored[f"{name}_labels"].reshape(-1).astype(np.int64)
            return Labelled(np.asarray(stored[f"{name}_images"], np.uint8), labels, words)

        train, validation = part("train"), part("val")
    known = {image.tobytes() for image in train.images}
    new = [place for place, image in enumerate(validation.images) if image.tobytes() not in known]
    return train, validation.at(np.array(new, dtype=np.int64))


def stratified(whole: Labelled, sites: Sequence[str] = SITES) -> dict[str, Labelled]:
    """Return parts of equal size with the same share of each class."""
    labels = whole.labels.astype(np.uint8)
    return {site: whole.at(thirds(labels, place, len(sites))) for place, site in enumerate(sites)}


def dirichlet(
    whole: Labelled, *, seed: int, alpha: float = DIRICHLET, sites: Sequence[str] = SITES
) -> dict[str, Labelled]:
    """Return parts whose share of each class is drawn from a Dirichlet distribution.

    Source: Hsu, Qi & Brown 2019, Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification, section 3.

    Raises:
        ValueError: if no split is drawn in which each site has enough.
    """
    chance = np.random.default_rng(seed)
    for _ in range(_DRAWS):
        parts: list[list[int]] = [[] for _ in sites]
        for label in range(len(whole.words)):
            places = chance.permutation(np.flatnonzero(whole.labels == label))
            shares = chance.dirichlet([alpha] * len(sites))
            cuts = np.round(np.cumsum(shares)[:-1] * len(places)).astype(int)
            for part, taken in zip(parts, np.split(places, cuts), strict=True):
                part.extend(taken.tolist())
        found = {
            site: whole.at(np.sort(np.array(part, dtype=np.int64)))
            for site, part in zip(sites, parts, strict=True)
        }
        if all(_enough(part) for part in found.values()):
            return found
    raise ValueError("no split with enough images at each site was drawn")


def _enough(part: Labelled) -> bool:
    return len(part) >= LEAST_IMAGES and min(part.counts().values()) >= LEAST_OF_CLASS


def held_back(part: Labelled, share: int) -> tuple[Labelled, Labelled]:
    """Return what a site trains on, and each `share`-th image of each class, which it holds out."""
    order = np.concatenate([np.flatnonzero(part.labels == label) for label in range(len(part.words))])
    held = np.zeros(len(part), dtype=bool)
    held[order[::share]] = True
    return part.at(np.flatnonzero(~held)), part.at(np.flatnonzero(held))


def pooled(parts: Split) -> Labelled:
    """Return all sites' images together, in the order of the sites' names."""
    chosen = [parts[site] for site in sorted(parts)]
    return Labelled(
        np.concatenate([part.images for part in chosen]),
        np.concatenate([part.labels for part in chosen]),
        chosen[0].words,
    )
