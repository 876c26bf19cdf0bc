import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import se_viz
from tests import ROOT

FILES = sorted([ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "se_viz").rglob("*.py")])

HOMES = {
    "captum": ("se_viz/attribution/",),
    "huggingface_hub": ("se_viz/networks/hubs.py",),
    "plotly": ("se_viz/charts/",),
    "safetensors": ("se_viz/networks/weights.py",),
    "onnx": ("se_viz/networks/onnx/",),
    "onnx2torch": ("se_viz/networks/onnx/conversion.py",),
    "onnxruntime": ("se_viz/networks/onnx/child.py",),
    "onnxscript": ("se_viz/networks/onnx/rewriting.py",),
    # The command that starts the server, and nothing else of the command line.
    "streamlit": ("app.py", "pages/", "se_viz/ui/", "se_viz/commands/app.py"),
    "timm": ("se_viz/networks/",),
}
"""The only places that may import a dependency."""

LAYERS = (
    {"errors"},
    {"confined", "drawing", "files", "lazy", "names"},
    {"terminal"},
    {"devices"},
    {"gates", "images"},
    {"inputs", "insertion", "monitor", "readings"},
    {"networks"},
    {"experiments"},
    {"attribution", "charts", "train"},
    {"notebooks", "replay"},
    {"engine"},
    {"commands", "ui"},
    {"pages", "app.py", "__main__"},
)
"""Parts from the bottom up: each may import those below it, and itself. A new part needs its place
here."""
ROOMS = {
    "attribution": (
        {"catalogue"},
        {"question"},
        {"passes"},
        {"layers", "paths", "pixels"},
        {"gates", "scores"},
    ),
    "ui": (
        {"glossary", "words"},
        {"session"},
        {"navigation"},
        {"asking"},
        {"widgets"},
        {"frame"},
        {
            "bench",
            "benefit",
            "by_stage",
            "counterfactuals",
            "explore",
            "guide",
            "microscope",
            "networks",
            "side_by_side",
            "surgery",
        }
        | {"through_gates", "two_networks"},
    ),
}
"""The rooms of two parts from the bottom up, by the same rule: those of one row do not know each
other."""
OPEN = ("gates", "networks", "train")
"""Parts without a front door: each of their modules may be imported from elsewhere."""


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports_of(file: Path) -> Iterator[str]:
    """Yield every module or name that a file imports, wherever the import stands, in full."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import: write it in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def part_of(file: Path) -> str:
    first, *rest = file.relative_to(ROOT).parts
    return rest[0].removesuffix(".py") if first == "se_viz" else first


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT).with_suffix(""))


@pytest.mark.parametrize(("package", "homes"), HOMES.items(), ids=HOMES)
def test_a_dependency_has_one_home(package: str, homes: tuple[str, ...]):
    """Replacing a library, or its next major version, then touches one place."""
    users = [
        str(file.relative_to(ROOT))
        for file in FILES
        if package in {name.split(".")[0] for name in imports_of(file)}
    ]
    assert users
    assert [user for user in users if not user.startswith(homes)] == []


BEHIND_THE_SEAM = (
    *("torch", "torchvision", "captum"),
    *(
        f"se_viz.devices.{name}"
        for name in ("line", "Line", "Turn", "Residents", "residents", "teams", "line_of")
    ),
    *("se_viz.networks.load_network", "se_viz.networks.loading", "se_viz.networks.making"),
    *("se_viz.networks.callables",),
)
"""What no page may import: pages ask the engine, and know of a network what its view tells."""


@pytest.mark.parametrize(
    "file", [file for file in FILES if part_of(file) in ("ui", "pages", "app.py")], ids=str
)
def test_pages_hold_no_network_and_know_no_line(file: Path):
    """An engine may then run in another process or on another machine, and a page is read without
    knowing passes.
    """
    imports = [
        name
        for name in imports_of(file)
        if f"{name}.".startswith(tuple(f"{part}." for part in BEHIND_THE_SEAM))
    ]
    assert imports == []
    nodes = ast.walk(tree_of(file))
    reached = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    assert {"model", "borrow", "residents"}.isdisjoint(reached)


UI = [file for file in FILES if part_of(file) in ("ui", "pages", "app.py")]
KEYS = ROOT / "se_viz/ui/session/keys.py"


@pytest.mark.parametrize("file", [file for file in UI if file != KEYS], ids=str)
def test_what_a_session_remembers_has_one_home(file: Path):
    """Two pages that write under one name overwrite each other; where all names are in one module,
    that is seen.
    """
    tree = tree_of(file)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert [node.lineno for node in nodes if node.attr == "session_state"] == []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [ast.unparse(key) for call in calls for key in keys_of(call) if is_written(key)] == []


def keys_of(call: ast.Call) -> Iterator[ast.expr]:
    """Yield what a call gives a widget or a figure as its key."""
    yield from (word.value for word in call.keywords if word.arg in ("key", "picker"))
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name in ("show_figure", "show_panel", "show_gate_map"):
        yield call.args[1]
    elif name == "show_channel_maps":
        yield call.args[2]


def is_written(key: ast.expr) -> bool:
    """Tell whether a key is written out, or begins with what is."""
    if isinstance(key, ast.IfExp):
        return is_written(key.body) or is_written(key.orelse)
    start = key.values[0] if isinstance(key, ast.JoinedStr) else key
    return isinstance(start, ast.Constant)


@pytest.mark.parametrize("file", [file for file in UI if file.name != "address.py"], ids=str)
def test_the_address_follows_every_part_that_runs_by_itself(file: Path):
    """A bare fragment changes what is shown, and the address goes on with what was."""
    names = [node.attr for node in ast.walk(tree_of(file)) if isinstance(node, ast.Attribute)]
    assert "fragment" not in names


def test_keys_of_a_session_differ():
    """Two widgets of one key on a page end it; two memories of one key mix."""
    tree = tree_of(KEYS)
    names = [
        node.value
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and statement.value is not None
        and isinstance(statement.value, ast.Constant | ast.Call)
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value
    ]
    assert len(names) > 100
    assert sorted(names) == sorted(set(names))


def test_hooks_have_one_home():
    """Hooks outlive the line that sets them; where all are in one module, one test can count
    them.
    """
    calls = [
        (str(file.relative_to(ROOT)), node.attr)
        for file in FILES
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("register_")
        and node.attr.endswith("hook")
    ]
    assert {file for file, _ in calls} == {"se_viz/gates/hooks.py"}


def heights_of(floors: tuple[set[str], ...]) -> dict[str, int]:
    return {part: height for height, parts in enumerate(floors) for part in parts}


@pytest.mark.parametrize(
    "file", [file for file in FILES if file != ROOT / "se_viz/__init__.py"], ids=name_of
)
def test_imports_run_downwards(file: Path):
    """What lies below can be used, tested and understood without what lies above."""
    part = part_of(file)
    heights = heights_of(LAYERS)
    parts = {name.split(".")[1] for name in imports_of(file) if name.startswith("se_viz.")} - {
        part,
        "__version__",
    }
    assert [name for name in parts if heights[name] >= heights[part]] == []


@pytest.mark.parametrize("part", ROOMS)
def test_imports_run_downwards_inside(part: str):
    """Inside a part too: whoever follows a trip walks down one room after the other, and not up
    again.
    """
    heights = heights_of(ROOMS[part])
    folder = ROOT / "se_viz" / part
    files = [file for file in FILES if folder in file.parents and file != folder / "__init__.py"]
    assert {
        file.relative_to(folder).parts[0].removesuffix(".py") for file in files
    } == heights.keys()
    climbs = []
    for file in files:
        room = file.relative_to(folder).parts[0].removesuffix(".py")
        names = [name for name in imports_of(file) if name.startswith(f"se_viz.{part}.")]
        for name in names:
            entered = name.split(".")[2]
            if entered != room and heights[entered] >= heights[room]:
                climbs.append(f"{name_of(file)} -> {name}")
    assert climbs == []


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_folders_are_entered_by_their_public_names(file: Path):
    """What a folder's `__init__` does not name may be renamed or moved without a look at any other
    folder.
    """
    strangers = []
    for node in ast.walk(tree_of(file)):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("se_viz."):
            continue
        target = ROOT / Path(*str(node.module).split("."))
        folder = target if target.is_dir() else target.parent
        home = file.parent if file.name != "__init__.py" else file.parent.parent
        if (
            folder in (home, *file.parents)
            or part_of(folder / "x") in OPEN
            or folder == ROOT / "se_viz"
        ):
            continue
        public = public_names(folder)
        if target == folder:
            strangers += [
                f"{node.module}.{alias.name}" for alias in node.names if alias.name not in public
            ]
        elif target.name not in public:
            strangers.append(str(node.module))
    assert strangers == []


def public_names(folder: Path) -> set[str]:
    """Return the names in the `__all__` of a folder, or what lies in it where it has none:
    rooms.
    """
    tree = tree_of(folder / "__init__.py")
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        ):
            return set(ast.literal_eval(node.value))
    return {file.stem for file in folder.iterdir()}


@pytest.mark.parametrize(
    "folder", sorted({file.parent for file in FILES if "se_viz" in file.parts}), ids=name_of
)
def test_a_folder_says_in_a_sentence_what_is_in_it(folder: Path):
    """Whoever opens a folder for the first time begins with its `__init__`."""
    tree = tree_of(folder / "__init__.py")
    first = (ast.get_docstring(tree) or "").partition("\n\n")[0]
    assert first.endswith(".")
    assert len(first) < 150


def modules_of_pages() -> list[str]:
    """Return every module that pages import, and those that explain."""
    pages = [file for file in FILES if file.parent == ROOT / "pages" or file.name == "app.py"]
    names = {name for page in pages for name in imports_of(page) if name.startswith("se_viz.")}
    files = [file for file in FILES if {"attribution", "answers"} & {*file.parts}]
    names |= {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in FILES}
    # Subclasses of Captum's: `calls` imports them when a method runs.
    return sorted(
        {name if name in modules else name.rpartition(".")[0] for name in names}
        - {"se_viz.attribution.pixels.shap"}
    )


HEAVY = """
import importlib, sys

def tell():
    print(*sorted({"captum", "plotly", "streamlit", "torch"} & sys.modules.keys()))

import se_viz
se_viz.capture_gates, se_viz.load_network, se_viz.open_image
tell()
for name in sys.argv[1:]:
    module = importlib.import_module(name.removesuffix(".__init__"))
    # Names of packages are imported on first use.
    names = [getattr(module, public) for public in getattr(module, "__all__", ())]
    assert "captum" not in sys.modules, name
tell()
"""
"""Prints which heavy packages a fresh interpreter has loaded, after the library's names and after
all pages."""


@pytest.mark.slow
def test_captum_is_loaded_neither_by_the_library_nor_by_a_page():
    """It takes more than a second, and most visits run no method; nor may a script pay for the
    start of an app.
    """
    command = [sys.executable, "-c", HEAVY, *modules_of_pages()]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.stdout.splitlines() == ["torch", "plotly streamlit torch"], process.stderr


def test_the_first_page_loads_no_pytorch():
    """A newcomer sees it before PyTorch is there: `app.py` imports the rest afterwards.

    Why: docs/decisions/029-the-first-page-loads-no-pytorch.md
    """
    body = tree_of(ROOT / "app.py").body
    imports = [ast.unparse(row) for row in body if isinstance(row, ast.Import | ast.ImportFrom)]
    # The names are imported on first use, which these are.
    code = "\n".join([*imports, "import sys; print(*{'torch', 'captum'} & sys.modules.keys())"])
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert len(imports) > 2
    assert process.stdout.split() == [], process.stderr


def test_importing_the_package_loads_nothing_heavy():
    """`--help` and `--version` answer at once: every name is imported on first use."""
    code = (
        "import sys, se_viz; print(*{'torch', 'numpy', 'PIL', 'captum', 'plotly', 'streamlit'} & "
        "sys.modules.keys())"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == []


def test_every_public_name_exists():
    """Public names are looked up in a table, and a table can be wrong."""
    assert all(getattr(se_viz, name).__module__.startswith("se_viz.") for name in se_viz.__all__)


def test_an_unknown_public_name_is_an_attribute_error():
    """The lazy lookup must fail as a module does, or `hasattr` and `copy` break."""
    with pytest.raises(AttributeError, match="module 'se_viz' has no attribute 'capture_gate'"):
        _ = se_viz.capture_gate
