"""Puts the four pages that ``kinetamine validate`` writes together as docs/validation.md (``make docs``)."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent
TARGET = DOCS / "validation.md"
PARTS = ("pk", "effects", "interactions", "course")
TITLE = re.compile(r"^# (?:Validation: )?(.+)$", re.MULTILINE)


def text() -> str:
    """The page: a list of the parts, then each with its headings one level down."""
    pages = {part: (DOCS / f"validation_{part}.md").read_text("utf-8") for part in PARTS}
    titles = {part: TITLE.search(page)[1] for part, page in pages.items()}
    links = [f"- [{title[0].upper()}{title[1:]}](validation_{part}.md)" for part, title in titles.items()]
    head = [
        "# Validation",
        "<!-- Put together by docs/make_validation.py. Do not edit. -->",
        "What published models and our own fits predict, against what was observed. Published models stand as "
        "published; what a fit has used is marked. Each part is also a page of its own:",
        "\n".join(links),
    ]
    bodies = [
        re.sub(
            r"^(#+ )",
            r"#\1",
            TITLE.sub(f"# {titles[part][0].upper()}{titles[part][1:]}", page, count=1),
            flags=re.M,
        )
        for part, page in pages.items()
    ]
    return "\n\n".join([*head, *(body.strip() for body in bodies)]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
    print(f"wrote {TARGET}")
