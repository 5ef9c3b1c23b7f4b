"""Which encoding bytes are in, and whether they are text at all.

Order: byte order mark, UTF-8, UTF-16/32 by where the NULs stand, ISO-2022-JP by its escapes, and last the
legacy code pages, guessed from a sample. Everything is a pure function of the bytes.
"""

from __future__ import annotations

import codecs
import re

from thresher.errors import UnreadableError

#: How much of a document is looked at to guess a legacy code page.
SAMPLE_BYTES = 64 * 1024
#: More control characters than this share of the sample: not text.
_LARGEST_CONTROL_SHARE = 0.02
#: NULs are more common than other controls in what is text otherwise: fillers, separators.
_LARGEST_NUL_SHARE = 0.1
#: A UTF-8 text may have this share of broken sequences and still be UTF-8 with a few bad bytes.
_LARGEST_BROKEN_SHARE = 0.1

_MARKS = (  # UTF-32 first: its little-endian mark starts with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LATIN = ("cp1252", "cp1250", "iso8859_2")
_EAST_ASIAN = ("cp932", "euc_jp", "gb18030", "big5", "cp949")
_OTHERS = ("cp1251", "koi8_r", "cp866", "iso8859_5", "cp1253", "cp1254", "cp1255", "cp1256", "cp850")
_ISO_2022_JP = re.compile(rb"\x1b(?:\$[@B]|\([BJI])")
#: Not DEL: JSON may hold it unescaped.
_CONTROLS = bytes(set(range(1, 0x20)) - set(b"\t\n\v\f\r\x1b"))
#: In cp1252: accented letters; and quotes, dashes, currency, degree and the like.
_CP1252_LETTERS = bytes(range(0xC0, 0x100))
_CP1252_MARKS = "€…‘’“”•–—™£§©«®°²³µ·»½".encode("cp1252")
_NOT_LATIN = bytes(range(0x80))
#: Letters of Central European languages that Western texts in cp1252 hardly ever hold (there they are marks).
_CENTRAL_CP1250 = b"\x9a\x9c\x9d\x9e\x9f\xb3\xb9\xba\xbe\xfe"
_CENTRAL_ISO8859_2 = b"\xb1\xb3\xb6\xb9\xbc\xbe"


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


#: Error handler: a byte that is not UTF-8 is read as cp1252 (mixed files exist).
CP1252_FALLBACK = "thresher-cp1252"
codecs.register_error(CP1252_FALLBACK, _as_cp1252)


def decode(data: bytes) -> str:
    """The text in ``data``.

    Raises:
        UnreadableError: the bytes are no text in any encoding known here.
    """
    encoding = detect(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode(encoding, CP1252_FALLBACK if encoding == "utf-8" else "replace")


def detect(data: bytes) -> str:
    """The name of the Python codec for ``data`` (the whole of it, or a sample from its start).

    The codec may still fail on single bytes: decode with ``CP1252_FALLBACK`` (UTF-8) or ``"replace"``.

    Raises:
        UnreadableError: binary data.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    if b"\0" in data and not _stray_nuls(data) and (wide := _wide_encoding(data)):
        return wide
    _refuse_binary(data)
    if b"\x1b" in data and _ISO_2022_JP.search(data):
        return "iso2022_jp_2"
    return "utf-8" if _is_utf_8(data) else _code_page(data)


def _stray_nuls(data: bytes) -> bool:
    """Whether the NULs are a few in what is UTF-8 without them."""
    sample = data[:SAMPLE_BYTES]
    rest = sample.translate(None, b"\0")
    return len(sample) - len(rest) <= _LARGEST_NUL_SHARE * len(sample) and not _has_controls(rest) and _is_utf_8(rest)


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: line ends, spaces and Latin letters have NULs on one side."""
    sample = data[: SAMPLE_BYTES - SAMPLE_BYTES % 4]
    nulls = [sample[phase::4].count(0) for phase in range(4)]
    quarter = len(sample) // 4 or 1
    if nulls[3] > 0.9 * quarter and nulls[2] > 0.5 * quarter and nulls[0] < 0.5 * quarter:
        candidates = ["utf-32-le"]
    elif nulls[0] > 0.9 * quarter and nulls[1] > 0.5 * quarter and nulls[3] < 0.5 * quarter:
        candidates = ["utf-32-be"]
    else:
        even, odd = nulls[0] + nulls[2], nulls[1] + nulls[3]
        candidates = ["utf-16-le"] if odd > 10 * even else ["utf-16-be"] if even > 10 * odd else []
    return next((encoding for encoding in candidates if _reads_well(sample, encoding)), None)


def _reads_well(sample: bytes, encoding: str) -> bool:
    """Whether the sample decodes (up to a cut end) to mostly letters, digits, spaces and everyday marks."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    odd = sum(not (character.isprintable() or character in "\t\n\v\f\r\ufeff") for character in text)
    return bool(text) and odd <= _LARGEST_CONTROL_SHARE * len(text)


def _refuse_binary(data: bytes) -> None:
    sample = data[:SAMPLE_BYTES]
    if _has_controls(sample) or sample.count(0) > _LARGEST_NUL_SHARE * len(sample):
        raise UnreadableError("binary data, not text")


def _has_controls(sample: bytes) -> bool:
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls > max(1, _LARGEST_CONTROL_SHARE * len(sample))


def _is_utf_8(data: bytes) -> bool:
    """Whether UTF-8 is the encoding, allowing for a cut end and for a few broken bytes among many good ones."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return True
        sample = data[:SAMPLE_BYTES].decode("utf-8", "replace")
        broken = sample.count("\N{REPLACEMENT CHARACTER}")
        above_ascii = sum(character > "\x7f" for character in sample)
        return broken <= _LARGEST_BROKEN_SHARE * above_ascii
    return True


def _code_page(data: bytes) -> str:
    from charset_normalizer import from_bytes  # only documents in legacy encodings pay for it

    start = max(0, _first_high_byte(data) - 1024)
    sample = data[start : start + SAMPLE_BYTES]
    best = from_bytes(sample, cp_isolation=[*_LATIN, *_EAST_ASIAN, *_OTHERS], preemptive_behaviour=False).best()
    encoding = best.encoding if best else "cp1252"
    western = _CP1252_MARKS if encoding in _OTHERS else _CP1252_MARKS + _CP1252_LETTERS
    return _western_or_central(sample) if encoding in _LATIN or _sprinkled(sample, western) else encoding


def _sprinkled(sample: bytes, expected: bytes) -> bool:
    """Whether high bytes stand mostly alone between ASCII and are those expected: Western, whatever was guessed."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    alone = sum(len(run) == 1 for run in runs)
    unexpected = sum(len(run.translate(None, expected)) for run in runs)
    return 2 * alone > len(runs) and unexpected <= 0.1 * sum(map(len, runs))


def _first_high_byte(data: bytes) -> int:
    found = re.search(rb"[\x80-\xff]", data)
    return found.start() if found else 0


def _western_or_central(sample: bytes) -> str:
    """These three differ in few letters and statistics confuse them; the few letters decide."""
    high = sample.translate(None, _NOT_LATIN)
    cp1250 = len(high) - len(high.translate(None, _CENTRAL_CP1250))
    iso8859_2 = len(high) - len(high.translate(None, _CENTRAL_ISO8859_2))
    if max(cp1250, iso8859_2) <= 0.1 * len(high) and not _czech(high):
        return "cp1252"
    return "cp1250" if cp1250 >= iso8859_2 else "iso8859_2"


def _czech(high: bytes) -> bool:
    """Read as cp1252, Czech has the o of Danish (for r-caron) without its other letters, and beside Italian ones."""
    others = sum(map(high.count, (b"\xe8", b"\xec", b"\xf9")))
    return high.count(b"\xf8") >= 1 and others >= 2 and not high.count(b"\xe5") + high.count(b"\xe6")
