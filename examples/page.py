"""One HTML page of what the examples have found: their verdicts, their pictures and a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from fastem._table import Table

STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #222 }
img { max-width: 100%; display: block; margin: 1rem 0 }
section { border-top: 1px solid #ddd }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid #ddd }
"""


@dataclass(frozen=True)
class Story:
    """What an example tells."""

    title: str
    verdict: str
    pictures: Sequence[Path] = ()


def image(picture: Path, title: str) -> str:
    """A picture that lies in the folder of the page."""
    return f'<img src="{escape(quote(picture.name))}" alt="{escape(title)}">'


def section(story: Story) -> str:
    sentence = f"{story.verdict[:1].upper()}{story.verdict[1:]}."
    images = (image(picture, story.title) for picture in story.pictures)
    head = f"<h2>{escape(story.title)}</h2>", f"<p>{escape(sentence)}</p>"
    return "\n".join(["<section>", *head, *images, "</section>"])


def html(title: str, stories: Iterable[Story], table: Table) -> str:
    """The page: a section a story, then the table."""
    sections = "\n".join(section(story) for story in stories)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{sections}
<section>
<h2>Speed</h2>
{table.html()}
</section>
</body>
</html>
"""
