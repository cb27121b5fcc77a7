# SPDX-License-Identifier: MIT
"""Files of options: what is printed is what runs, and what does not belong there is named."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from pyvae.models import from_pretrained

from .conftest import SMALL, Cli, Result

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def printed(result: Result) -> dict[str, object]:
    assert result.code == 0, result
    assert result.err == ""
    return tomllib.loads(result.out)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return from_pretrained(folder / "model").state_dict()


def assert_same_run(first: Path, second: Path) -> None:
    one, other = weights(first), weights(second)
    assert all(torch.equal(one[name], other[name]) for name in one)
    runs = [json.loads((folder / "run.json").read_text()) for folder in (first, second)]
    assert runs[0]["options"] == runs[1]["options"]


def test_a_printed_file_is_the_run(cli: Cli, tmp_path: Path, digits_file: Path, trained: Path):
    result = cli("train", "--data", digits_file, *SMALL, "--print-config")
    values = printed(result)
    assert values["hidden"] == [16]
    assert (values["data"], values["lr"], values["learn-weights"]) == (
        str(digits_file),
        1e-3,
        False,
    )
    # Of another model, without what they need, or left out: said, and commented out.
    commented = (
        "# pseudo-inputs = 0",
        "# capacity-epochs = 50",
        "# prior-lr = 0.02",
        "# labels = ",
    )
    for line in (*commented, "# batch-size = N", "# channels = [32, 64]"):
        assert f"\n{line}" in result.out
    assert "# Of the learning rate.\nschedule = " in result.out
    file = written(tmp_path / "run.toml", result.out)
    assert printed(cli("train", "--config", file, "--print-config")) == values
    arguments = ("--output", tmp_path / "run", "--no-baselines", "--no-pictures")
    assert cli("train", "--config", file, *arguments).code == 0
    assert_same_run(trained, tmp_path / "run")
    assert cli("train", "--config", file, *arguments, "--resume").code == 0


def test_a_run_becomes_a_file(cli: Cli, tmp_path: Path, trained: Path):
    """By its folder or its run.json, with what was settled when it began."""
    values = [
        printed(cli("train", "--config", path, "--print-config"))
        for path in (trained, trained / "run.json")
    ]
    assert values[0] == values[1]
    assert (values[0]["initialization"], values[0]["batch-size"]) == ("em", 128)
    arguments = ("--output", tmp_path / "again", "--no-baselines", "--no-pictures")
    assert cli("train", "--config", trained, *arguments).code == 0
    assert_same_run(trained, tmp_path / "again")


def test_a_resumed_run_is_printed_as_it_is(cli: Cli, tmp_path: Path, trained: Path):
    folder = shutil.copytree(trained, tmp_path / "run")
    values = printed(cli("train", "--output", folder, "--resume", "--print-config"))
    assert (values["epochs"], values["components"], values["resume"]) == (2, 3, True)
    file = written(tmp_path / "x.toml", "components = 4\n")
    result = cli("train", "--config", file, "--output", folder, "--resume")
    assert result.code == 2
    assert "--components 4" in result.err


def test_a_vae_of_a_run_becomes_a_file(cli: Cli, tmp_path: Path, digits_file: Path):
    """Which has options of the other model in its run.json."""
    folder = tmp_path / "vae"
    arguments = ("--epochs", "1", "--latent-dim", "2", "--hidden", "16", "--no-baselines")
    made = cli(
        "train", "--model", "vae", "--data", digits_file, *arguments, "--no-pictures",
        "--output", folder,
    )  # fmt: skip
    assert made.code == 0
    values = printed(cli("train", "--config", folder, "--print-config"))
    assert values["model"] == "vae"
    assert not {"components", "pretrain-epochs", "initialization"} & values.keys()


def test_the_command_line_goes_before_the_file(cli: Cli, tmp_path: Path):
    text = 'epochs = 7\nlr = 1\nmodel = "vae"\nlabel-column = "kind"\npictures = false\n'
    file = written(tmp_path / "run.toml", text)
    values = printed(
        cli(
            "train", "--config", file, "--epochs", "3", "--no-label-column", "--pictures",
            "--print-config",
        )
    )  # fmt: skip
    assert (values["epochs"], values["lr"], values["model"]) == (3, 1.0, "vae")
    assert values["no-label-column"] is True
    assert values["pictures"] is True
    assert "label-column" not in values


def test_texts_come_back_as_they_were(cli: Cli, tmp_path: Path):
    name = 'a "b" \\ ü 😀 \t\x7f'
    first = cli("train", "--data", name, "--print-config")
    assert printed(first)["data"] == name
    file = written(tmp_path / "run.toml", first.out)
    assert printed(cli("train", "--config", file, "--print-config"))["data"] == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 3", ["epoch is no option", "did you mean epochs?"]),
        ("pretrain_epochs = 3", ["pretrain_epochs is no option", "did you mean pretrain-epochs?"]),
        ("qqqq = 3", ["qqqq is no option of pyvae train; see"]),
        ("[train]\nepochs = 3", ["train is no option"]),
        ('config = "x"', ["config is no option"]),
        ('epochs = "3"', ["epochs is '3'; expected an integer"]),
        ("epochs = 3.0", ["epochs is 3.0; expected an integer"]),
        ("epochs = true", ["epochs is True; expected an integer"]),
        ("epochs = 0", ["epochs: expected 1 or more, got 0"]),
        ("lr = '1e-3'", ["lr is '1e-3'; expected a number"]),
        ("lr = nan", ["lr: lr is nan; expected a number > 0"]),
        ("validation = 0.95", ["validation: expected 0 to 0.9, got 0.95"]),
        ("quiet = 1", ["quiet is 1; expected true or false"]),
        ("data = 1979-05-27", ["data is a date; expected a text"]),
        ("schedule = 'cosin'", ["schedule is 'cosin'; expected one of constant, cosine"]),
        ("schedule = 3", ["schedule is 3; expected one of constant, cosine, linear"]),
        (
            "hidden = '256,256'",
            ["hidden is '256,256'; expected a list of integers like [256, 256]"],
        ),
        ("hidden = [256, 1.5]", ["hidden is a list of 2; expected a list of integers"]),
        ("hidden = []", ["hidden is a list of 0; expected a list of integers"]),
        ("hidden = [0]", ["hidden: hidden[0] must be at least 1, got 0"]),
        ("epochs = 3\nepochs = 4", ["is no TOML"]),
        ("epochs", ["is no TOML"]),
        ("x = " + "[" * 2000, ["run.toml"]),
        ("capacity-epochs = 3", ["--capacity-epochs has no use without --capacity"]),
        ("model = 'vae'\ncomponents = 3", ["--components belongs to --model gmvae"]),
        ("missing = 'marginalize'", ["--missing marginalize"]),
    ],
)
def test_mistakes_in_a_file(cli: Cli, tmp_path: Path, text: str, words: list[str]):
    file = written(tmp_path / "run.toml", text)
    for how in (["--print-config"], ["--output", tmp_path / "run"]):
        result = cli("train", "--config", file, *how)
        assert result.code == 2, result
        assert result.out == ""
        assert result.err.startswith("pyvae: error: ")
        assert result.err.count("\n") == 1
        for word in words:
            assert word in result.err
        assert str(file) in result.err or "--" in words[0]
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]


def test_a_damaged_run_is_told(cli: Cli, tmp_path: Path, trained: Path):
    run = json.loads((trained / "run.json").read_text())
    for name in ("model", "lr"):
        options = {n: value for n, value in run["options"].items() if n != name}
        written(tmp_path / "run.json", json.dumps({**run, "options": options}))
        result = cli("train", "--config", tmp_path, "--print-config")
        assert result.code == 2
        assert f"{tmp_path / 'run.json'}: damaged, it lacks {name}" in result.err


def test_files_that_are_none(cli: Cli, tmp_path: Path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "large.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    for name in ("run.json", "other.json"):
        (tmp_path / name).write_text("{}")
    for name, words in {
        "bytes.toml": "is no TOML", "other.json": "is no TOML", "large.toml": "goes beyond",
        "none.toml": "no such file", "run.json": "describes no run", ".": "describes no run",
    }.items():  # fmt: skip
        result = cli("train", "--config", tmp_path / name)
        assert result.code == 2
        assert words in result.err
        assert str(tmp_path) in result.err
