"""What MkDocs does besides its plugins: documents of the root, figures, notebooks, formulas, commands' help.

The root's documents stand where people look for them in a repository, and in the site, too; links between
both are mended. Figures are drawn anew at each build. A page of the tutorial is a notebook, too. Formulas
become MathML, which browsers show without a script or a font of ours.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import nbformat
from latex2mathml.converter import convert
from mkdocs.structure.files import File

from sunhwan.cli import group

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import figures  # noqa: E402

DOCUMENTS = {
    "README.md": "index.md",
    "README.ko.md": "ko/index.md",
    "ARCHITECTURE.md": "explanation/architecture.md",
    "CONTRIBUTING.md": "explanation/contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Where documents of the root stand in the site."""


def on_files(files, config):
    """Add the root's documents, the figures and the notebooks."""
    for document, page in DOCUMENTS.items():
        path = ROOT / document
        if path.exists() and files.get_file_from_path(page) is None:
            files.append(File.generated(config, page, content=moved(path.read_text("utf-8"), page)))
    for name, picture in figures.draw().items():
        files.append(File.generated(config, f"figures/{name}.svg", content=picture))
    for file in list(files):
        if "tutorial/" in file.src_uri and file.src_uri.endswith(".md") and file.name != "index":
            there = file.src_uri.replace(".md", ".ipynb")
            files.append(
                File.generated(config, there, content=nbformat.writes(notebook(file.content_string)))
            )
    return files


def notebook(page: str) -> nbformat.NotebookNode:
    """A page as a notebook: its blocks of Python are cells, and what they print is left to be printed."""
    page = re.sub(r"```text\n.*?```\n|<!--.*?-->\n", "", page, flags=re.DOTALL)
    page = re.sub(r"(\]\([\w./-]+)\.md", r"\1.html", page)
    cells = []
    for place, part in enumerate(re.split(r"```python\n(.*?)```", page, flags=re.DOTALL)):
        new = nbformat.v4.new_code_cell if place % 2 else nbformat.v4.new_markdown_cell
        if part.strip():
            cells.append(new(part.strip()) | {"id": f"cell-{place}"})
    return nbformat.v4.new_notebook(
        cells=[nbformat.from_dict(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


def moved(text: str, page: str) -> str:
    """A document of the root with its links as they must be at `page`."""
    up = "../" * page.count("/")

    def mend(link):
        target = link[1]
        if target in DOCUMENTS:
            return f"]({up}{DOCUMENTS[target]}"
        return f"]({up}{target.removeprefix('docs/')}" if target.startswith("docs/") else link[0]

    return re.sub(r"\]\(([\w./-]+)", mend, text)


def on_page_markdown(markdown, page, config, files):
    """Mend links to the root's documents, and fill in the commands' help."""
    path = page.file.src_uri
    for document, there in DOCUMENTS.items():
        up = "../" * path.count("/")
        markdown = markdown.replace(f"]({up}../{document}", f"]({up}{there}")
    return markdown.replace("{{ commands }}", "\n\n".join(helps(group, "sunhwan")))


def on_page_context(context, page, config, nav):
    """Pages in Korean have the theme's words, and the language that a screen reader is told, in Korean."""
    config.theme["language"] = "ko" if page.file.src_uri.startswith("ko/") else "en"


def helps(command, path):
    """The help of a command and of those below it, as Markdown."""
    with click.Context(command, info_name=path, max_content_width=100) as context:
        yield f"## {path} {{ #{path.replace(' ', '-')} }}\n\n```text\n{command.get_help(context)}\n```"
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                yield from helps(command.get_command(context, name), f"{path} {name}")


def on_page_content(html, page, config, files):
    """Formulas as MathML, and tables that the keyboard can scroll where they are wider than the screen."""
    for tag, opened, closed, display in (
        ("span", r"\\\(", r"\\\)", "inline"),
        ("div", r"\\\[", r"\\\]", "block"),
    ):
        html = re.sub(
            rf'<{tag} class="arithmatex">{opened}(.*?){closed}</{tag}>',
            # A long formula is scrolled on a narrow screen, and so must be reached by the keyboard.
            lambda formula, display=display: convert(unescaped(formula[1]), display=display).replace(
                'display="block"', 'display="block" tabindex="0"'
            ),
            html,
            flags=re.DOTALL,
        )
    opened = '<div class="wide" tabindex="0" role="group" aria-label="table"><table>'
    return re.sub(r"<table>(.*?)</table>", rf"{opened}\1</table></div>", html, flags=re.DOTALL)


def unescaped(text):
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def on_post_page(output: str, **_) -> str:
    """Names the dialog of search, which Material leaves without a name where search works from the disk."""
    dialog = 'data-md-component="search" role="dialog"'
    return output.replace(dialog, f'{dialog} aria-label="search"')
