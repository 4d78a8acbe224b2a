"""One platform after traffic for all tests that look at it, in the worker that runs the group `scene`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from posture.config import Project, load_project
from posture.progress import Console
from posture.scene import Scene, platform_scene
from posture.workspace import Workspace, open_workspace


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The platform of the demo, running until the tests end."""
    with platform_scene(tmp_path_factory.mktemp("scene"), Console(quiet=True)) as built:
        yield built


@pytest.fixture
def project(scene: Scene, tmp_path: Path) -> Project:
    """The scene's project with a ledger and state of this test's own."""
    return load_project(copied(scene.project_file, tmp_path))


@pytest.fixture
def workspace(project: Project) -> Workspace:
    """That project with its ledger opened for writing."""
    return open_workspace(project, writing=True)


def copied(project_file: Path, folder: Path) -> Path:
    """The project file in another folder, where its relative paths make a new ledger and state."""
    return Path(shutil.copy(project_file, folder / "posture.yaml"))
