"""The container files, which a machine without a container runtime cannot run: their parts agree
with each other.
"""

import re
import shutil
from pathlib import Path
from zipfile import ZipFile

import yaml

from se_viz.commands.arguments import parse
from tests import ROOT
from tests.support.containers import DOCKERFILE, words_of
from tests.support.wheel import build_wheel

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_the_container_starts_a_command_that_se_viz_takes():
    """A word that the command line refuses would end every container at its start."""
    assert words_of("ENTRYPOINT") == ["se_viz"]
    arguments = parse(words_of("CMD"))
    assert arguments.command == "app"
    # An address inside a container is reached from outside of it only where the app listens on all.
    assert arguments.address is None


def test_every_part_means_the_same_port():
    """The port that is served, said to be served, looked at and published is one number in four
    places.
    """
    port = parse(words_of("CMD")).port
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE) == [str(port)]
    assert f"HTTPConnection('localhost', {port}," in " ".join(words_of("HEALTHCHECK"))
    assert {place.rpartition(":")[2] for service in _services() for place in service["ports"]} == {
        str(port)
    }


def test_the_app_runs_as_no_administrator():
    """Who breaks out of the app is then a user without rights; a number is what orchestrators can
    check.
    """
    (user,) = re.findall(r"^USER (.+)$", DOCKERFILE.rpartition("FROM ")[2], re.MULTILINE)
    assert int(user) > 0
    assert f"useradd --uid {user} " in DOCKERFILE


def test_a_cpu_is_the_default_and_cuda_a_choice():
    """Most machines have no GPU, and a build with CUDA takes gigabytes more."""
    (name, default), *rest = re.findall(r"^ARG (TORCH\w+)=(.+)$", DOCKERFILE, re.MULTILINE)
    assert (default, rest) == ("cpu", [])
    assert DOCKERFILE.count(f'--torch-backend "${{{name}}}"') == 2
    builds = {service: COMPOSE["services"][service]["build"]["args"] for service in ("app", "cuda")}
    assert builds["app"] == {name: default}
    assert builds["cuda"].keys() == {name}
    assert re.fullmatch(r"cu\d+", builds["cuda"][name])


def test_gpu_is_reserved_for_the_service_that_can_use_it():
    """Compose refuses to start a service whose device is not there: the default one asks for
    none.
    """
    (device,) = COMPOSE["services"]["cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "deploy" not in COMPOSE["services"]["app"]
    # Both publish one port, so that no more than one of them starts unnamed.
    assert "profiles" not in COMPOSE["services"]["app"]
    assert COMPOSE["services"]["cuda"]["profiles"]


def test_downloads_outlive_the_container_and_are_the_users():
    """A named volume takes its owner from the folder in the image, which therefore has to be
    there.
    """
    for service in _services():
        (mount,) = service["volumes"]
        volume, _, folder = mount.partition(":")
        assert volume in COMPOSE["volumes"]
        assert re.search(
            rf"install --directory --owner \d+ --group \d+ {folder}$", DOCKERFILE, re.MULTILINE
        )


def test_container_files_name_no_address():
    """An image has to be built behind a mirror too: which registry and index are used is the
    builder's setting.
    """
    assert "://" not in DOCKERFILE
    assert "://" not in (ROOT / "compose.yaml").read_text(encoding="utf-8")


def test_what_the_container_is_built_from_makes_the_whole_wheel(tmp_path: Path):
    """`.dockerignore` lets through what the package is made of; a file that it misses is missed in
    front of a class.
    """
    source = tmp_path / "source"
    source.mkdir()
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [rule for rule in rules if not rule.startswith(("#", "!"))] == ["*", "**/__pycache__"]
    for rule in rules:
        if rule.startswith("!"):
            path = ROOT / rule.removeprefix("!")
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, source / path.name)
    wheels = [
        ZipFile(build_wheel(tmp_path / name, root))
        for name, root in (("all", ROOT), ("some", source))
    ]
    assert wheels[1].namelist() == wheels[0].namelist()


def _services() -> list[dict]:
    return list(COMPOSE["services"].values())
