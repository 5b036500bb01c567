"""MONAI bundles that train: scanned, put together by our own code, and trained by the trainer of all templates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, load_file
from tests.federated_jobs import bundles
from tests.federated_jobs.test_templates import averaged
from tests.federated_jobs.training_sites import WINDOW, images, volumes

from fairbank.analysis.bundle_expressions import NotTaken, fault, worked_out
from fairbank.analysis.bundle_scan import TRAINING, scan_config
from fairbank.analysis.errors import BundleRefused, BundleUntrainable, ModelMissing
from fairbank.analysis.networks import file_name
from fairbank.errors import FairbankError
from fairbank.federated_jobs.algorithms.bundle_recipe import recipe_in
from fairbank.federated_jobs.algorithms.errors import AlgorithmParametersRefused, ModelUnfit
from fairbank.federated_jobs.algorithms.registry import algorithm_digest
from fairbank.federated_jobs.algorithms.weights import serialised
from fairbank.federated_jobs.node.sandbox_policy import JobFolder

session_module = pytest.importorskip(
    "fairbank.federated_jobs.algorithms.session", reason="needs the extra 'train'"
)
MOST = 1 << 24


def opened(
    folder: JobFolder, bundle: Path, parameters: dict[str, Any], *, site: str = "a", **training: Any
) -> Any:
    """Open a training of a bundle as a worker does, the bundle lying in its incoming folder."""
    digest = bundles.file_digest(bundle)
    (folder.incoming / file_name(digest)).write_bytes(bundle.read_bytes())
    return session_module.TrainingSession.open(
        name="monai-bundle",
        digest=algorithm_digest("monai-bundle"),
        parameters={"bundle": digest, **parameters},
        job_seed="42",
        site=site,
        inputs=folder.inputs,
        scratch=folder.scratch,
        training=training or None,
        rounds=2,
        models=folder.incoming,
    )


DRAW = {"structures": ["Lung"], "local_epochs": 3, "slices_per_series": 1}
TELL = {
    "task": "classification",
    "label": "clinical_finding",
    "classes": ["no", "yes"],
    "image_size": 16,
    "window": WINDOW,
    "local_epochs": 4,
}


def initial(bundle: Path, parameters: dict[str, Any], folder: JobFolder) -> bytes:
    session = opened(folder, bundle, parameters)
    return (folder.scratch / session.initial().file).read_bytes()


def test_two_sites_train_the_network_of_a_bundle_from_its_weights_to_the_same_bits(tmp_path: Path) -> None:
    folders = {site: volumes(tmp_path / site, 5, seed=seed) for seed, site in enumerate("ab")}
    seeded = tmp_path / "seeded.zip"
    bundles.written(seeded, bundles.segmenter())
    weights = {name: array * 0.5 for name, array in load(initial(seeded, DRAW, folders["a"])).items()}
    bundle = tmp_path / "pretrained.zip"
    bundles.written(bundle, bundles.segmenter(), weights=serialised(weights))
    runs = []
    for run in range(2):
        for old in (file for folder in folders.values() for file in folder.scratch.iterdir()):
            old.unlink()
        sessions = {site: opened(folder, bundle, DRAW, site=site) for site, folder in folders.items()}
        runs.append(averaged(sessions, folders, tmp_path / f"global-{run}", rounds=2))
    assert (tmp_path / "global-0").read_bytes() == (tmp_path / "global-1").read_bytes()
    for site in "ab":
        assert runs[0][1][site].after["loss"] < runs[0][0][site].before["loss"]
    assert initial(bundle, DRAW, folders["a"]) == serialised(weights)


def test_a_bundle_tells_classes_with_layers_frozen_by_globs(tmp_path: Path) -> None:
    bundle = tmp_path / "b.zip"
    bundles.written(bundle, bundles.classifier())
    folder = images(tmp_path / "a", ["yes", "no"] * 6)
    session = opened(folder, bundle, TELL, frozen=["net.layer_0.*"])
    base = load(initial(bundle, TELL, images(tmp_path / "b", ["yes", "no"] * 6)))
    first = session.train(1, None, previous=0)
    trained = load_file(folder.scratch / first.file)
    moved = {name for name, array in trained.items() if not np.array_equal(array, base[name])}
    assert moved and not any(name.startswith("net.layer_0.") for name in moved)
    assert any(name.startswith("net.layer_0.") for name in trained)
    assert first.after["loss"] < first.before["loss"]


def test_the_optimizer_of_a_bundle_is_kept_or_reset_as_the_job_says(tmp_path: Path) -> None:
    bundle = tmp_path / "b.zip"
    bundles.written(bundle, bundles.classifier())
    kept, reset = (
        opened(images(tmp_path / how, ["yes", "no"] * 6), bundle, {**TELL, "optimizer_state": how})
        for how in ("keep", "reset")
    )
    second = []
    for session in (kept, reset):
        session.train(1, None, previous=0)
        second.append(session.train(2, None, previous=1).digest)
    assert second[0] != second[1]


@pytest.mark.parametrize(
    ("config", "parameters", "error", "said"),
    [
        (bundles.classifier(), {**TELL, "classes": ["a", "b", "c"]}, BundleUntrainable, r"gives \(2,\)"),
        (bundles.classifier(), {**TELL, "image_size": 32}, BundleUntrainable, "does not take images"),
        (bundles.classifier(network_def={"_target_": "NoSuchNet"}), TELL, None, "no class"),
        (bundles.classifier(loss={"_target_": "DiceLoss"}), TELL, BundleUntrainable, "loss does not take"),
        (bundles.classifier(network_def={"_target_": "UNet"}), TELL, BundleUntrainable, "cannot be made"),
        (bundles.segmenter(side=300), DRAW, AlgorithmParametersRefused, "patch_size"),
    ],
    ids=["outputs", "size", "class", "loss", "arguments", "patch"],
)
def test_a_bundle_that_does_not_fit_the_job_says_why(
    tmp_path: Path, config: dict[str, Any], parameters: dict[str, Any], error: Any, said: str
) -> None:
    bundle = tmp_path / "b.zip"
    bundles.written(bundle, config)
    folder = volumes(tmp_path / "a", 4) if parameters is DRAW else images(tmp_path / "a", ["yes", "no"] * 4)
    with pytest.raises(error or FairbankError) as caught:
        opened(folder, bundle, parameters).train(1, None, previous=0)
    assert re.search(said, caught.value.why), caught.value.why


def test_weights_that_are_not_those_of_the_network_are_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "b.zip"
    bundles.written(bundle, bundles.classifier(), weights=serialised({"w": np.zeros(3, dtype=np.float32)}))
    with pytest.raises(ModelUnfit):
        opened(images(tmp_path / "a", ["yes", "no"] * 4), bundle, TELL)


def test_a_worker_looks_again_whatever_hub_and_node_let_pass(tmp_path: Path) -> None:
    bundle = tmp_path / "b.zip"
    bundles.written(bundle, bundles.classifier(a={"_target_": "subprocess.check_output", "args": ["id"]}))
    with pytest.raises(BundleRefused):
        opened(images(tmp_path / "a", ["yes", "no"] * 4), bundle, TELL)


def test_monai_reads_the_same_in_a_bundle(tmp_path: Path) -> None:
    """A bundle that is taken stays a bundle of MONAI, whose parser comes to the same values."""
    from monai.bundle.config_parser import ConfigParser

    bundle = tmp_path / "b.zip"
    bundles.written(bundle, bundles.segmenter())
    recipe = recipe_in(bundle, maximum_bytes=MOST)
    parser = ConfigParser(bundles.segmenter())
    ours = opened(volumes(tmp_path / "a", 4), bundle, DRAW)
    assert recipe.loss is not None
    assert set(parser.get_parsed_content("network").state_dict()) == set(ours._algorithm.initial_weights())
    assert parser.get_parsed_content("loss").lambda_dice == recipe.loss["lambda_dice"]
    assert str(parser.get_parsed_content("optimizer").defaults["lr"]) == recipe.said["learning_rate"]
    assert parser.get_parsed_content("train#inferer").roi_size == [recipe.said["patch_size"]] * 2
    made = parser.get_parsed_content("train#preprocessing").transforms
    assert [type(each).__name__ for each in made[-2:]] == [one["_target_"] for one in recipe.changes]


def test_a_bundle_that_did_not_come_or_has_other_bytes_is_missing(tmp_path: Path) -> None:
    bundle = tmp_path / "b.zip"
    digest = bundles.written(bundle, bundles.classifier())
    folder = images(tmp_path / "a", ["yes", "no"] * 4)
    with pytest.raises(ModelMissing):
        opened(folder, bundle, {**TELL, "bundle": "sha256:" + "0" * 64})
    (folder.incoming / file_name(digest)).write_bytes(b"other")
    with pytest.raises(ModelMissing):
        session_module.TrainingSession.open(
            name="monai-bundle", digest=algorithm_digest("monai-bundle"), parameters={"bundle": digest, **TELL},
            job_seed="1", site="a", inputs=folder.inputs, scratch=folder.scratch, models=folder.incoming,
        )  # fmt: skip


# -- what a bundle may say ---------------------------------------------------------------------------------------------

HOSTILE: dict[str, dict[str, Any]] = {
    "subprocess": {"run_it": {"_target_": "subprocess.check_output", "args": ["id"]}},
    "builtins": {"a": {"_target_": "builtins.eval", "source": "1"}},
    "bare builtin": {"a": {"_target_": "eval"}},
    "os through a module": {"a": {"_target_": "torch.nn.parallel.os.system", "command": "id"}},
    "pickle loader": {"a": {"_target_": "torch.load", "f": "x"}},
    "hub": {"a": {"_target_": "torch.hub.load", "repo": "x"}},
    "checkpoint loader": {"a": {"_target_": "CheckpointLoader", "load_path": "x.pt"}},
    "a loss that downloads": {"loss": {"_target_": "PerceptualLoss", "spatial_dims": 2}},
    "lambda transform": {"a": {"_target_": "Lambdad", "keys": "image", "func": "x"}},
    "nested workflow": {"a": {"_target_": "monai.bundle.ConfigWorkflow", "config_file": "x"}},
    "known name elsewhere": {"a": {"_target_": "evil.SlidingWindowInferer"}},
    "target by reference": {"x": "subprocess.run", "a": {"_target_": "@x"}},
    "target by expression": {"a": {"_target_": "$'subprocess.run'"}},
    "import statement": {"a": "$import os"},
    "imports": {"imports": ["$import glob"]},
    "dunder import": {"a": "$__import__('os').system('id')"},
    "getattr": {"a": "$getattr(@network_def, '__class__')"},
    "attribute of a part": {"a": "$@network_def.__class__.__mro__"},
    "call of a part": {"a": "$@network_def(1)"},
    "method of a part": {"a": "$@network_def.load_state_dict(@rate)"},
    "comprehension": {"a": "$[x for x in (1, 2)]"},
    "lambda": {"a": "$lambda: 1"},
    "walrus": {"a": "$(x := 1)"},
    "f-string": {"a": "$f'{@rate}'"},
    "starred": {"a": "$max(*[1, 2])"},
    "keywords": {"a": "$int(x='1')"},
    "power": {"a": "$9 ** 9 ** 9"},
    "other torch": {"a": "$torch.load('x')"},
    "open": {"a": "$open('/etc/passwd').read()"},
    "statement": {"a": "$1; 2"},
    "long": {"a": "$" + "1+" * 400 + "1"},
    "macro": {"a": "%configs/other.json#network_def"},
    "macro in a list": {"a": [1, "%train"]},
    "relative reference": {"a": "@##x"},
    "reference to nothing": {"a": "@nothing"},
    "reference to itself": {"a": {"b": "@a"}},
    "a circle": {"a": "@b", "b": "$@c + 1", "c": ["@a"]},
    "reference to a target": {"a": "@network_def::_target_"},
    "target in an object of an expression": {"a": "${'_target_': 'subprocess.run'}"},
    "key that is computed": {"x": "_target_", "a": "${@x: 'subprocess.run'}"},
    "many references": {"a": [f"@b#{n}" for n in range(500)], "b": [0] * 500},
    "key by expression": {"$1": 1},
    "mode": {"a": {"_target_": "UNet", "_mode_": "callable"}},
    "requires": {"a": {"_target_": "UNet", "_requires_": ["$1"]}},
    "disabled": {"a": {"_target_": "UNet", "_disabled_": "$1 == 1"}},
    "pretrained": {"a": {"_target_": "UNet", "pretrained": True}},
    "run": {"run": ["$@train.run()"]},
    "initialize": {"initialize": ["$1"]},
    "finalize": {"finalize": ["$1"]},
}


@pytest.mark.parametrize("config", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_a_training_may_not_say_is_refused_with_its_place(config: dict[str, Any]) -> None:
    found = scan_config({"network_def": bundles.network(), "rate": 1, **config}, allowed=TRAINING)
    assert found, "nothing was found"
    assert all(one.place.startswith("#") and one.why for one in found)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("models/best.pt", b"\x80\x04\x95cposix\nsystem\n", "'.pt'"),
        ("models/state.pkl", b"\x80\x04.", "'.pkl'"),
        ("configs/logging.conf", b"[handlers]\nargs=(__import__('os').system('id'),)", "'.conf'"),
        ("configs/train.yaml", b"!!python/object/apply:os.system ['id']", "YAML"),
        ("scripts/net.py", b"import os", "'.py'"),
        ("../../escape.json", b"{}", "unusable name"),
        ("configs/other.json", b'{"a": {"_target_": "subprocess.run"}}', "configs/other.json#a#_target_"),
        ("configs/huge.json", b'{"a": "' + b"x" * (1 << 20) + b'"}', "at most"),
        ("configs/deep.json", b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", "nested too deeply"),
        ("configs/twice.json", b'{"a": 1, "a": 2}', "read in one way only"),
    ],
)  # fmt: skip
def test_files_in_a_bundle_that_could_run_or_lead_elsewhere_are_refused(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    bundles.written(tmp_path / "b.zip", bundles.segmenter(), **{name: content})
    with pytest.raises(BundleRefused) as caught:
        recipe_in(tmp_path / "b.zip", maximum_bytes=MOST)
    assert said in caught.value.why


def test_long_chains_of_references_end_in_one_error(tmp_path: Path) -> None:
    chain: dict[str, Any] = {f"c{n}": f"$[@c{n + 1}]" for n in range(350)}
    config = bundles.segmenter(**chain, c350=1)
    config["network_def"]["act"] = "@c0"
    bundles.written(tmp_path / "b.zip", config)
    with pytest.raises(BundleUntrainable):
        recipe_in(tmp_path / "b.zip", maximum_bytes=MOST)


def test_values_that_grow_by_references_are_not_put_together(tmp_path: Path) -> None:
    laughs: dict[str, Any] = {"l0": [1] * 10}
    for level in range(1, 12):
        laughs[f"l{level}"] = [f"@l{level - 1}"] * 4
    config = bundles.segmenter(**laughs)
    config["network_def"]["act"] = "@l11"
    bundles.written(tmp_path / "b.zip", config)
    with pytest.raises(BundleUntrainable, match="cannot be trained") as caught:
        recipe_in(tmp_path / "b.zip", maximum_bytes=MOST)
    assert "more than" in caught.value.why


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$@a * 2 + 1", 7),
        ("$[@a] + [1, -2]", [3, 1, -2]),
        ("$@a if @a > 2 and not @a == 4 else 0", 3),
        ("$max(@a, 5) // 2", 2),
        ("$(1, 'x')[0]", 1),
        ("$int(2.5) / 4", 0.5),
    ],
)
def test_expressions_of_numbers_are_worked_out(text: str, value: Any) -> None:
    assert fault(text) is None
    assert worked_out(text, {"a": 3}.__getitem__) == value


@pytest.mark.parametrize(
    "text", ["$[0] * 10", "$'a' * 9", "$1 / 0", "$[1][4]", "$2147483648 * 2", "$1 + 'a'", "$'%s' % 1"]
)
def test_expressions_that_cannot_be_worked_out_raise_one_error(text: str) -> None:
    with pytest.raises(NotTaken):
        worked_out(text, {}.__getitem__)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer": {"_target_": "SGD", "lr": 0.1, "nesterov": True}}, "nesterov"),
        ({"optimizer": {"_target_": "UNet"}}, "optimizer is none of"),
        ({"loss": [1]}, "loss in made/configs"),
        ({"loss": {"_target_": "DiceLoss", "weight": "@device"}}, "names a device"),
        ({"network_def": {"spatial_dims": 2}}, "no _target_"),
        ({"train": {"preprocessing": [{"_target_": "UNet"}]}}, "is none"),
        (
            {"train": {"preprocessing": [{"_target_": "Spacingd", "keys": "image", "pixdim": [1, 2]}]}},
            "one length",
        ),
        ({"train": {"preprocessing": "@side"}}, "no list of objects"),
    ],
)
def test_a_bundle_that_cannot_be_trained_says_which_part(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    bundles.written(tmp_path / "b.zip", {**bundles.segmenter(), **changes})
    with pytest.raises(BundleUntrainable) as caught:
        recipe_in(tmp_path / "b.zip", maximum_bytes=MOST)
    assert said in caught.value.why


def test_what_a_bundle_says_of_reading_becomes_parameters(tmp_path: Path) -> None:
    bundles.written(tmp_path / "b.zip", bundles.segmenter())
    recipe = recipe_in(tmp_path / "b.zip", maximum_bytes=MOST)
    assert recipe.said == {
        "optimizer": "adam",
        "learning_rate": "0.02",
        "window": {"low": "-100", "high": "300"},
        "patch_size": 8,
        "patches_per_image": 2,
        "window_overlap": "0.25",
    }
    assert [one["_target_"] for one in recipe.changes] == ["RandFlipd", "RandScaleIntensityd"]
    assert recipe.loss is not None and recipe.loss["lambda_dice"] == 0.5
