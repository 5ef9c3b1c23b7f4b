"""Paragraphs, table cells and rows, as they open and close, to lines of text."""

from __future__ import annotations

from thresher.errors import UnreadableError

#: A document whose text is longer is refused: small files unfold to any length (one string in a million cells).
MAX_TEXT_CHARACTERS = 32 * 1024 * 1024
#: A longer run of empty cells in a row counts as one.
MAX_EMPTY_CELLS = 16
#: Tables in cells of tables, notes in notes: what nests deeper is no document.
MAX_NESTING = 200


def check_nesting(depth: int) -> None:
    """Refuse what nests too deeply: each level copies the text of those in it.

    Raises:
        UnreadableError: more than :data:`MAX_NESTING` levels.
    """
    if depth > MAX_NESTING:
        raise UnreadableError(f"its tables, text boxes or notes are nested more than {MAX_NESTING} deep")


class Lines:
    """Finished lines, counted."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._heading: str | None = None
        self._left = MAX_TEXT_CHARACTERS

    def __bool__(self) -> bool:
        return bool(self._lines)

    def heading(self, text: str) -> None:
        """An empty line, and ``text`` where it is not empty, before what comes next; nothing where nothing comes."""
        self._heading = text

    def add(self, text: str, repeated: int = 1) -> None:
        """Add ``text``, unless it is blank.

        Raises:
            UnreadableError: more than :data:`MAX_TEXT_CHARACTERS` by now.
        """
        if not text or text.isspace():
            return
        if self._heading is not None:
            if self._lines:
                self._lines.append("")
            heading, self._heading = self._heading, None
            self.add(heading)
        self._left -= (len(text) + 1) * repeated
        if self._left < 0:
            raise UnreadableError(f"its text has more than {MAX_TEXT_CHARACTERS:,} characters")
        if repeated == 1:
            self._lines.append(text)
        else:
            self._lines.extend([text] * repeated)

    def text(self) -> str:
        """All of it."""
        return "\n".join(self._lines)

    def clear(self) -> None:
        """Begin anew; the limit does not."""
        self._lines.clear()


class Flow:
    """Text in the order of reading: a line per paragraph; per table row a line, its cells parted by tabs.

    Text boxes nest paragraphs in paragraphs, tables nest in cells: what is inside comes out before what is around it,
    and a table in a cell becomes part of the cell.
    """

    def __init__(self) -> None:
        self.lines = Lines()
        self._paragraphs: list[list[str]] = [[]]
        self._behind: list[str] = []  # notes that follow the paragraph at work
        self._cells: list[list[str]] = []  # finished paragraphs of the cell at work, per open cell
        self._cell_notes: list[list[str]] = []  # those to stand at its end
        self._rows: list[Row] = []

    def text(self) -> str:
        """What is finished."""
        return self.lines.text()

    def take(self) -> str:
        """What is finished, which then starts anew."""
        text = self.text()
        self.lines.clear()
        return text

    @property
    def paragraph(self) -> list[str]:
        """The pieces of the paragraph at work."""
        return self._paragraphs[-1]

    @property
    def in_paragraph(self) -> bool:
        """Whether one is open."""
        return len(self._paragraphs) > 1

    def write(self, text: str) -> None:
        """Into the paragraph at work."""
        self._paragraphs[-1].append(text)

    def behind(self, text: str) -> None:
        """A note to stand behind the paragraph, or at the end of the cell, at work."""
        if self.in_paragraph:
            self._behind.append(text)
        elif self._cells:
            self._cell_notes[-1].append(text)
        else:
            self.add(text)

    def open_paragraph(self, mark: str = "") -> None:
        """Begin a paragraph; ``mark`` ("- ") leads it where it is not empty."""
        self._paragraphs.append([mark] if mark else [])
        check_nesting(len(self._paragraphs))

    def close_paragraph(self) -> None:
        """End the paragraph at work."""
        if self.in_paragraph:
            text = "".join(self._paragraphs.pop())
            if text.strip() not in ("", "-"):
                self.add(text)
            behind, self._behind = self._behind, []
            for note in behind:
                self.add(note)

    def open_row(self) -> None:
        """Begin a table row."""
        self._rows.append(Row())

    def close_row(self, repeated: int = 1) -> None:
        """End the table row."""
        if self._rows:
            self.add(self._rows.pop().text(), repeated)

    def open_cell(self) -> None:
        """Begin a cell."""
        check_nesting(len(self._cells))
        self._cells.append([])
        self._cell_notes.append([])

    def close_cell(self, repeated: int = 1, otherwise: str = "") -> None:
        """End the cell, whose text is ``otherwise`` where nothing came; a cell outside of rows is a paragraph."""
        if self._cells:
            text = " ".join(filter(None, [*(self._cells.pop() or [otherwise]), *self._cell_notes.pop()]))
            if self._rows:
                self._rows[-1].add(text, repeated)
            else:
                self.add(text)

    def skip_cells(self, cells: int) -> None:
        """Empty cells of the row at work."""
        if self._rows:
            self._rows[-1].add("", cells)

    def add(self, text: str, repeated: int = 1) -> None:
        """A finished line, to the cell at work or to the text."""
        if not self._cells:
            self.lines.add(text, repeated)
        elif text.strip():
            self._cells[-1].append(text)


class Row:
    """The cells of one table row; where rows are sparse, empty cells are counted and not built."""

    def __init__(self) -> None:
        self._cells: list[str] = []
        self._empty = 0  # cells since the last that is not empty
        self._left = MAX_TEXT_CHARACTERS

    def add(self, text: str, repeated: int = 1) -> None:
        """Add a cell, or the same several times.

        Raises:
            UnreadableError: the row is longer than a text may be.
        """
        text = text.strip().replace("\n", " ")
        if not text:
            self._empty += repeated
            return
        self._left -= (len(text) + 1) * repeated
        if self._left < 0:
            raise UnreadableError(f"its text has more than {MAX_TEXT_CHARACTERS:,} characters")
        if self._empty:
            self._cells.extend([""] * (self._empty if self._empty <= MAX_EMPTY_CELLS else 1))
            self._empty = 0
        if repeated == 1:
            self._cells.append(text)
        else:
            self._cells.extend([text] * repeated)

    def text(self) -> str:
        """The cells with tabs between; none behind the last that is not empty."""
        return "\t".join(self._cells)
