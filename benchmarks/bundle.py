"""The part of Plotly's script that saved pages carry: scatters, bars and heat maps, minified and
packed.

python -m benchmarks.bundle [--out FILE.js.gz]

Needs npm and its registry. The version is that of the installed Plotly; so is the result.
"""

import argparse
import gzip
import subprocess
import tempfile
from pathlib import Path

from plotly.offline import get_plotlyjs_version

from se_viz.charts.export import LIBRARY

TRACES = ("bar", "heatmap")
"""Kinds of traces beside scatter, which is always there."""
_ESBUILD = "esbuild@0.28.2"
_BANNER = """\
/**
* plotly.js (scatter, {traces}) v{version}
* Copyright 2012-2026, Plotly, Inc.
* All rights reserved.
* Licensed under the MIT license
*/"""


def main(words: list[str] | None = None) -> None:
    """Build the script, and say how large it is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bundle")
    parser.add_argument("--out", type=Path, default=LIBRARY)
    out = parser.parse_args(words).out
    version = get_plotlyjs_version()
    with tempfile.TemporaryDirectory() as folder:
        script = build(Path(folder), version)
    content = gzip.compress(script, 9, mtime=0)
    out.write_bytes(content)
    print(f"plotly.js {version}: {len(script)} bytes, {len(content)} packed -> {out}")


def build(folder: Path, version: str) -> bytes:
    """Return Plotly's core with the traces, as one script that sets ``Plotly``."""
    parts = ", ".join(f'require("plotly.js/lib/{trace}")' for trace in TRACES)
    (folder / "index.js").write_text(
        f'const Plotly = require("plotly.js/lib/core");\nPlotly.register([{parts}]);\n'
        "module.exports = Plotly;\n"
    )
    run = {"cwd": folder, "check": True}
    install = ["npm", "install", "--no-audit", "--no-fund", f"plotly.js@{version}", _ESBUILD]
    subprocess.run(install, **run)
    options = ["--bundle", "--minify", "--format=iife", "--global-name=Plotly", "--target=es2016"]
    options += ["--define:global=window", "--legal-comments=inline", "--outfile=out.js"]
    banner = _BANNER.format(traces=", ".join(TRACES), version=version)
    subprocess.run(["npx", "esbuild", "index.js", *options, f"--banner:js={banner}"], **run)
    return (folder / "out.js").read_bytes()


if __name__ == "__main__":
    main()
