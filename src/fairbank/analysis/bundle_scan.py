"""What a MONAI bundle may say, looked at before anything of it is used: default deny, nothing is imported or run.

A bundle's configuration is a program: `_target_` calls what it names, and a text that begins with `$` is run as Python
(MONAI, "Bundle specification" and `monai.bundle.config_item`). Here a configuration may only put together networks of
a list of names; everything else is refused with the place where it stands. A bundle that is to train may also name
losses, optimizers, transforms and inferers of a list, refer to parts of itself, and hold the few forms of expressions
of `bundle_expressions`. Weights are safetensors, never pickles.

The scan reads JSON and a list of names in an archive. It loads neither MONAI nor torch, so a hub can do it too.
"""

from __future__ import annotations

import json
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fairbank.analysis.bundle_expressions import fault, is_reference
from fairbank.analysis.bundle_parts import reference_faults, texts
from fairbank.analysis.errors import BundleRefused

TARGET: Final = "_target_"
WEIGHTS: Final = ".safetensors"
CONFIG: Final = ".json"
# Read by people only; nothing here opens them.
_TEXTS: Final = frozenset({".md", ".txt", ""})
_MOST_MEMBERS: Final = 200
_LONGEST_CONFIG: Final = 1 << 20
_DEEPEST: Final = 40
# A zip of zeros grows a thousandfold; weights hardly shrink at all.
_MOST_GROWTH: Final = 20
# How classes of MONAI are called that are no networks; of those that train, the ones that are taken are listed.
_NO_NETWORK: Final = re.compile(
    r"(Dataset|Evaluator|Handler|Inferer|Loader|Loss|Metric|Reader|Saver|Trainer|Transform|Writer|Workflow|[a-z]d)$"
)
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Keys of MONAI's own: what they do is not wanted (`_requires_` and `_mode_` run other things).
_PLAIN_KEYS: Final = frozenset({TARGET, "_desc_", "_meta_"})


@dataclass(frozen=True, slots=True)
class Allowed:
    """What `_target_` may name.

    Args:
        full: pattern of a dotted name, matched whole.
        bare: the package in which a name without dots is looked up, as bundles write names of networks.
        classes: further classes, each with the package that is asked for it; it may be named with its package, with
            the module in that package which defines it, or alone.
        expressions: whether references, and expressions of the forms that are taken, may stand in it.
        weights: whether it must hold weights.
    """

    full: re.Pattern[str]
    bare: str | None = None
    classes: Mapping[str, str] = field(default_factory=dict)
    expressions: bool = False
    weights: bool = True

    def resolve(self, name: object) -> str | None:
        """Return the dotted name that is meant, None if it is not allowed.

        >>> NETWORKS.resolve("UNet"), NETWORKS.resolve("torch.nn.Linear"), NETWORKS.resolve("torch.nn.os.system")
        ('monai.networks.nets.UNet', 'torch.nn.Linear', None)
        """
        if not isinstance(name, str):
            return None
        package, _, last = name.rpartition(".")
        known = self.classes.get(last)
        if known is not None and (not package or package == known or _within(package, known)):
            return f"{known}.{last}"
        if self.bare is not None and re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
            if self.expressions and _NO_NETWORK.search(name):
                return None
            name = f"{self.bare}.{name}"
        return name if self.full.fullmatch(name) else None


# A class directly in one of these packages, or in one module of it: a longer way could lead through what a module has
# imported, such as `torch.nn.parallel.os.system`. Who makes the object also checks that it is a network.
NETWORKS: Final = Allowed(
    re.compile(
        r"(monai\.networks\.(nets|blocks|layers)(\.[a-z][a-z0-9_]*)?|torch\.nn(\.modules\.[a-z][a-z0-9_]*)?)"
        r"\.[A-Z][A-Za-z0-9]*"
    ),
    bare="monai.networks.nets",
)

_OF_TRAINING: Final = {
    "monai.losses": (
        "DiceLoss DiceCELoss DiceFocalLoss FocalLoss GeneralizedDiceFocalLoss GeneralizedDiceLoss TverskyLoss"
    ),
    "monai.inferers": "SimpleInferer SlidingWindowInferer",
    "torch.optim": "Adam AdamW SGD",
    "monai.transforms": (
        "Compose EnsureChannelFirstd EnsureTyped LoadImaged Orientationd RandAdjustContrastd RandAffined "
        "RandCropByPosNegLabeld RandFlipd RandGaussianNoised RandGaussianSmoothd RandRotate90d RandRotated "
        "RandScaleIntensityd RandShiftIntensityd RandSpatialCropd RandZoomd Resized ScaleIntensityRanged "
        "ScaleIntensityd Spacingd SpatialPadd ToTensord"
    ),
    # Never made: samples, rounds and records are the site's, so that a bundle may keep what it trains with elsewhere.
    "monai.data": "CacheDataset DataLoader Dataset",
    "monai.engines": "SupervisedEvaluator SupervisedTrainer",
    "monai.handlers": "MeanDice StatsHandler ValidationHandler",
}
TRAINING: Final = Allowed(
    NETWORKS.full,
    bare=NETWORKS.bare,
    classes={name: package for package, names in _OF_TRAINING.items() for name in names.split()},
    expressions=True,
    weights=False,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a bundle that is not allowed.

    Args:
        place: the file, and the way to the value in it.
        why: what is wrong with it, in words; nothing of the value is repeated but names of code.
    """

    place: str
    why: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.place}: {self.why}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds, scanned.

    Args:
        configs: parsed configurations by their path in the archive.
        weights: paths of the files of weights in it.
        root: the folder that all of it lies in, empty if none.
    """

    configs: dict[str, dict[str, Any]]
    weights: tuple[str, ...]
    root: str = ""


def scan_config(config: object, *, place: str = "", allowed: Allowed = NETWORKS) -> list[Finding]:
    """Return all that a configuration says and may not, in order; an empty list means that it only names networks."""
    found = list(_findings(config, place, allowed, 0))
    if found or not allowed.expressions or not isinstance(config, dict):
        return found
    return [Finding(f"{place}#{where}", why) for where, why in reference_faults(config)]


def read_config(text: bytes, *, place: str) -> dict[str, Any]:
    """Return a configuration, read strictly: no key twice, no NaN, an object at the top.

    Raises:
        BundleRefused: if it is not such JSON.
    """
    try:
        read = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError as err:
        raise _refused([Finding(place, "it is nested too deeply")]) from err
    except ValueError as err:
        raise _refused([Finding(place, "it is no JSON that can be read in one way only")]) from err
    if not isinstance(read, dict):
        raise _refused([Finding(place, "it is no JSON object")])
    return read


def scan_bundle(path: Path, *, maximum_bytes: int, allowed: Allowed = NETWORKS) -> Bundle:
    """Return what a zipped bundle holds, if all of it is allowed.

    Args:
        path: the archive.
        maximum_bytes: of all its content, unpacked.

    Raises:
        BundleRefused: naming everything that is not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _scanned(archive, maximum_bytes, allowed)
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, RuntimeError) as err:
        raise _refused([Finding("the archive", "it is no zip file that can be read")]) from err


@dataclass(frozen=True, slots=True)
class BundleSays:
    """What the configurations of a bundle name, for people who decide over it.

    Args:
        targets: what it would make, each as it is looked up, sorted.
        expressions: its expressions and references as they stand, sorted.
    """

    targets: tuple[str, ...]
    expressions: tuple[str, ...]


def says(bundle: Bundle, allowed: Allowed = NETWORKS) -> BundleSays:
    """Return what a scanned bundle names."""
    named = {
        allowed.resolve(name) or str(name) for config in bundle.configs.values() for name in _targets(config)
    }
    written = {text for config in bundle.configs.values() for _, text in texts(config)}
    return BundleSays(tuple(sorted(named)), tuple(sorted(written)))


def member(path: Path, name: str) -> bytes:
    """Return the content of a file in a bundle that was scanned."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _scanned(archive: zipfile.ZipFile, maximum_bytes: int, allowed: Allowed) -> Bundle:
    members = [one for one in archive.infolist() if not one.is_dir()]
    findings = list(_member_findings(members, maximum_bytes))
    if findings:
        raise _refused(findings)
    configs: dict[str, dict[str, Any]] = {}
    for one in members:
        if PurePosixPath(one.filename).suffix == CONFIG:
            configs[one.filename] = read_config(archive.read(one), place=one.filename)
            findings += scan_config(configs[one.filename], place=one.filename, allowed=allowed)
    weights = tuple(one.filename for one in members if PurePosixPath(one.filename).suffix == WEIGHTS)
    if not configs:
        findings.append(Finding("the archive", "it holds no configuration in JSON"))
    if not weights and allowed.weights:
        findings.append(Finding("the archive", "it holds no weights as safetensors"))
    if findings:
        raise _refused(findings)
    return Bundle(configs, weights, _root(members))


def _member_findings(members: list[zipfile.ZipInfo], maximum_bytes: int) -> Iterator[Finding]:
    if len(members) > _MOST_MEMBERS:
        yield Finding("the archive", f"it holds more than {_MOST_MEMBERS} files")
        return
    if sum(one.file_size for one in members) > maximum_bytes:
        yield Finding("the archive", f"it holds more than {maximum_bytes} bytes")
    seen: set[str] = set()
    for one in members:
        parts = one.filename.split("/")
        if not all(_SAFE_NAME.fullmatch(part) for part in parts):
            yield Finding(one.filename[:80].encode("ascii", "replace").decode(), "it has an unusable name")
            continue
        if one.filename.lower() in seen:
            yield Finding(one.filename, "it is there twice")
        seen.add(one.filename.lower())
        yield from _file_findings(one)


def _file_findings(one: zipfile.ZipInfo) -> Iterator[Finding]:
    mode = one.external_attr >> 16
    if one.flag_bits & 0x1:
        yield Finding(one.filename, "it is encrypted")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        yield Finding(one.filename, "it is no plain file")
    if one.file_size > _LONGEST_CONFIG and one.file_size > _MOST_GROWTH * max(1, one.compress_size):
        yield Finding(one.filename, "it grows too much when it is unpacked")
    suffix = PurePosixPath(one.filename).suffix.lower()
    if suffix in (".yaml", ".yml"):
        yield Finding(one.filename, "configurations are JSON; YAML can make objects of any kind")
    elif suffix == CONFIG:
        if one.file_size > _LONGEST_CONFIG:
            yield Finding(one.filename, f"a configuration has at most {_LONGEST_CONFIG} bytes")
    elif suffix not in (WEIGHTS, *_TEXTS):
        yield Finding(one.filename, f"files that end with {suffix[:12]!r} are not taken")


def _findings(value: object, place: str, allowed: Allowed, depth: int) -> Iterator[Finding]:
    if depth > _DEEPEST:
        yield Finding(place, "it is nested too deeply")
    elif isinstance(value, dict):
        yield from _of_object(value, place, allowed, depth)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _findings(one, f"{place}#{number}", allowed, depth + 1)
    elif isinstance(value, str):
        yield from _of_text(value, place, allowed)


def _of_object(value: dict[Any, Any], place: str, allowed: Allowed, depth: int) -> Iterator[Finding]:
    for key, inner in value.items():
        where = f"{place}#{str(key)[:60]}"
        if not isinstance(key, str) or _runs(key):
            yield Finding(where, "a name that is an expression or a reference is not taken")
        elif key == TARGET:
            if allowed.resolve(inner) is None:
                name = inner if isinstance(inner, str) else type(inner).__name__
                yield Finding(where, f"{name[:100]!r} is not on the list of what a bundle may make")
        elif key.startswith("_") and key not in _PLAIN_KEYS:
            yield Finding(where, "keys of MONAI's own other than _target_ are not taken")
        elif key.startswith("pretrained") and inner not in (None, False):
            yield Finding(where, "weights from elsewhere are not taken")
        elif key in ("import", "imports", "run", "initialize", "finalize"):
            yield Finding(where, "programs to run are not taken")
        else:
            yield from _findings(inner, where, allowed, depth + 1)


def _of_text(value: str, place: str, allowed: Allowed) -> Iterator[Finding]:
    if allowed.expressions and value.lstrip().startswith("$"):
        if (why := fault(value)) is not None:
            yield Finding(place, f"this expression is not taken: {why}")
    elif allowed.expressions and is_reference(value):
        return
    elif value.lstrip().startswith("$"):
        yield Finding(place, "expressions ($…) are Python, and are not run")
    elif _runs(value):
        yield Finding(place, "references (@…) and macros (%…) to other parts are not taken")


def _runs(text: str) -> bool:
    return text.lstrip()[:1] in ("$", "@", "%")


def _within(package: str, known: str) -> bool:
    """Tell whether a module is one of a package, at most two below it: `monai.losses.dice` of `monai.losses`."""
    return re.fullmatch(re.escape(known) + r"(\.[a-z][a-z0-9_]*){1,2}", package) is not None


def _targets(value: Any) -> Iterator[object]:
    if isinstance(value, dict):
        if TARGET in value:
            yield value[TARGET]
        for inner in value.values():
            yield from _targets(inner)
    elif isinstance(value, list):
        for one in value:
            yield from _targets(one)


def _root(members: list[zipfile.ZipInfo]) -> str:
    tops = {one.filename.split("/")[0] for one in members}
    nested = all("/" in one.filename for one in members)
    top = tops.pop() if len(tops) == 1 and nested else ""
    return "" if top in ("configs", "models") else top


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _refused(findings: list[Finding]) -> BundleRefused:
    shown = "; ".join(str(one) for one in findings[:5])
    more = f"; and {len(findings) - 5} more" if len(findings) > 5 else ""
    return BundleRefused(
        "This bundle says more than a bundle may.",
        why=f"{shown}{more}.",
        todo="Keep one configuration with 'network_def' made of networks of MONAI and torch.nn, and the weights as "
        "safetensors; what a model needs besides goes into the parameters of the tool. The page of this error tells "
        "what else a bundle may say that is to train.",
    )
