"""PPTX: the text of a PowerPoint presentation, slide by slide.

Each slide begins with a line ``Slide 3: its title``; then its text, tables (cells parted by tabs), diagrams and
charts in the order of the file, which is the order in which screen readers read them; then comments and the
speaker's notes. Hidden slides, slide numbers and dates are left out; footers stand once, at the end.
"""

from __future__ import annotations

from thresher.documents.parsers.flow import Lines
from thresher.documents.parsers.package import Package, Relation
from thresher.documents.parsers.pptx_xml import ChartReader, ShapesReader
from thresher.documents.parsers.xml_stream import Names
from thresher.errors import UnreadableError

_NAMES = Names(
    {
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships": "r",
        "http://purl.oclc.org/ooxml/officeDocument/relationships": "r",
        "http://schemas.openxmlformats.org/presentationml/2006/main": "p",
        "http://purl.oclc.org/ooxml/presentationml/main": "p",
    }
)


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The presentation's text.

    Raises:
        UnreadableError: a broken, encrypted or bomb-like container, or all slides are hidden.
    """
    package = Package(data, "PPTX")
    main = package.main_part("ppt/presentation.xml")
    targets = {link.id: link.target for link in package.relations(main) if link.kind == "slide"}
    text, footers, hidden = Lines(), dict[str, None](), 0
    for number, id_ in enumerate(_slide_ids(package, main), 1):
        if id_ not in targets:
            raise UnreadableError(f"broken PPTX: slide {number} is missing")
        slide = _read(package, targets[id_])
        hidden += slide.hidden
        if not slide.hidden:
            _add_slide(text, package, targets[id_], number, slide)
            footers |= dict.fromkeys(slide.footers)
    if hidden and not text:
        raise UnreadableError(f"no text: {hidden} slides of this PPTX are hidden and the others empty")
    text.heading("")
    for footer in footers:
        text.add(footer)
    return text.text()


def _slide_ids(package: Package, main: str) -> list[str]:
    """The relations of the slides, in the order of showing; each once."""
    found: dict[str, None] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if _NAMES[tag] == "p:sldId":
            found.update({value: None for key, value in attributes.items() if _NAMES[key] == "r:id"})

    package.feed(main, start)
    return list(found)


def _read(package: Package, part: str) -> ShapesReader:
    reader = ShapesReader()
    package.feed(part, reader.start, reader.end, reader.characters)
    return reader


def _add_slide(text: Lines, package: Package, part: str, number: int, slide: ShapesReader) -> None:
    if slide.title:
        text.heading("")
        text.add(f"Slide {number}: {slide.title}")
    else:
        text.heading(f"Slide {number}")
    text.add(slide.text())
    relations = package.relations(part)
    for kind in ("diagramData", "chart", "comments", "notesSlide"):
        for link in relations:
            if link.kind == kind:
                text.add(_linked(package, link))


def _linked(package: Package, link: Relation) -> str:
    if link.kind == "chart":
        chart = ChartReader()
        package.feed(link.target, chart.start, chart.end, chart.characters)
        return chart.text()
    text = _read(package, link.target).text()
    prefix = {"comments": "Comment: ", "notesSlide": "Notes: "}.get(link.kind, "")
    return prefix + text if text else ""
