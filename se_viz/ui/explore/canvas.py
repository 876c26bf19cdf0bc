"""What the canvases of the page share: a script, a style and a camera."""

from pathlib import Path

_HERE = Path(__file__).parent
_OUTLINE = (
    "M4 7h3l2-2h6l2 2h3a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1zm8 2a4 4 0 "
    "1 0 0 8 4 4 0 0 0 0-8z"
)

CAMERA = (
    '<button class="camera" aria-label="Download plot as a PNG" title="Download plot as a PNG">'
    f'<svg viewBox="0 0 24 24"><path d="{_OUTLINE}"/></svg></button>'
)
"""The button that saves a picture, in the script as ``.camera``."""


def read_asset(name: str) -> str:
    """Return the script or style of a component, after what all share.

    Without comments and indentation: Streamlit sends it again with every run of the page.
    """
    shared = Path("canvas").with_suffix(Path(name).suffix)
    lines = "\n".join((_HERE / file).read_text(encoding="utf-8") for file in (shared, name))
    return "\n".join(
        line.strip() for line in lines.splitlines() if line.strip() and not _is_comment(line)
    )


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("//", "/*"))
