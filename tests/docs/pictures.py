"""The pictures of the documentation: `python -m tests.docs.pictures` draws those anew whose text has changed.

A page holds the text of a picture, which GitHub draws itself. The site shows the file that is drawn of it here, so that
it needs no program and no other host. Needs chromium and npm, from which the drawing program comes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

from tests.docs.site_pages import FENCE, picture_name

DOCS: Final = Path(__file__).parent.parent.parent / "docs"
IMAGES: Final = DOCS / "images"
_PROGRAM: Final = "mermaid@12.3.0"
_LINE: Final = "#6f8583"
_DIGITS: Final = re.compile(r"(\d+\.\d)\d+")
_SETTINGS: Final = {
    "startOnLoad": False,
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False, "useMaxWidth": False},
    "sequence": {"useMaxWidth": False, "mirrorActors": False},
    "theme": "base",
    "look": "classic",
    "themeCSS": ".edgeLabel rect, .labelBkg { opacity: 1; fill: #f4f6f6 }",
    "fontFamily": "system-ui, sans-serif",
    "deterministicIds": True,
    "themeVariables": {
        "fontSize": "14px",
        "primaryColor": "#e0f2f1",
        "primaryTextColor": "#12302d",
        "primaryBorderColor": "#00897b",
        "lineColor": _LINE,
        "edgeLabelBackground": "#f4f6f6",
        "clusterBkg": "#f4f8f8",
        "clusterBorder": "#7a8f8d",
        "textColor": "#12302d",
        "signalColor": _LINE,
        "signalTextColor": _LINE,
        "loopTextColor": _LINE,
        "labelTextColor": "#12302d",
        "labelBoxBkgColor": "#e0f2f1",
    },
}
"""Seen on white and on dark pages: lines of a middle grey, and dark words on light boxes."""


def texts() -> dict[str, str]:
    """Return the text of each picture of the documentation by the name of its file."""
    pages = [page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md"))]
    return {picture_name(text): text for page in pages for text in FENCE.findall(page)}


def main() -> None:
    """Draw what is missing, and remove what no page shows."""
    wanted = texts()
    for old in IMAGES.glob("picture-*.svg"):
        if old.name not in wanted:
            old.unlink()
    missing = {name: text for name, text in wanted.items() if not (IMAGES / name).exists()}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        subprocess.run(["npm", "pack", "--silent", _PROGRAM], cwd=folder, check=True)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            archive.extract("package/dist/mermaid.min.js", folder, filter="data")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.add_script_tag(path=Path(folder) / "package" / "dist" / "mermaid.min.js")
        page.evaluate("settings => mermaid.initialize(settings)", _SETTINGS)
        for name, text in missing.items():
            drawn = page.evaluate("async text => (await mermaid.render('picture', text)).svg", text)
            (IMAGES / name).write_text(_DIGITS.sub(r"\1", drawn) + "\n", encoding="utf-8")
            sys.stdout.write(f"docs/images/{name}\n")
        browser.close()


if __name__ == "__main__":
    main()
