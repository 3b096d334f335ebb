"""Add generated pages and files outside docs/ to the site, and adapt their links.

MkDocs calls `on_files` and `on_page_markdown` (a hook in mkdocs.yml).
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

import tasks
from docs.figures import PICTURES, figure_picture
from docs.pages import PAGES, ROOT, picture

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

OUTSIDE = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "results/**/*.md",
    "results/**/*.png",
    "results/**/*.csv",
    "sweeps/*.yaml",
    "notebooks/README.md",
    "notebooks/*.ipynb",
)
"""Files outside docs/ that belong to the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add README as the first page, files outside docs/, and the generated pages and pictures."""
    from mkdocs.structure.files import File

    def add(uri: str, content: str | bytes) -> None:
        files.append(File.generated(config, uri, content=content))

    add("index.md", (ROOT / "README.md").read_text(encoding="utf-8"))
    for path in sorted(each for pattern in OUTSIDE for each in ROOT.glob(pattern)):
        add(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8") if path.suffix == ".md" else path.read_bytes())
    for uri, page in PAGES.items():
        add(uri, page())
    for name in tasks.TASKS:
        add(f"tasks/{name}.png", picture(name))
    for name in PICTURES:
        add(f"figures/{name}.png", figure_picture(name, ROOT))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    here = page.file.src_uri
    source = "README.md" if here == "index.md" else here if (ROOT / here).exists() else f"docs/{here}"

    def site_link(link: re.Match[str]) -> str:
        target = site_path(posixpath.join(posixpath.dirname(source), link[1]))
        return f"]({posixpath.relpath(target, posixpath.dirname(here) or '.')}"

    return re.sub(r"\]\(([^)#:\s]+)", site_link, markdown)


def site_path(path: str) -> str:
    """Return where a file of the repository is in the site."""
    path = posixpath.normpath(path)
    return "index.md" if path == "README.md" else path.removeprefix("docs/")
