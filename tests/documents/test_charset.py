from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.documents.parsers.charset import decode, detect
from thresher.documents.parsers.normalise import normalise
from thresher.errors import UnreadableError

GERMAN = "Sehr geehrte Damen und Herren, anbei die Rechnung für März. Mit freundlichen Grüßen, Jürgen Müller"
ENGLISH = "It’s a “simple” test — the price is £20 and the café is open."
SPANISH = "El año pasado, señor Muñoz, firmó usted la factura. ¿Está todo bien?"
FRENCH = "Le contrat est conclu entre les parties ; le loyer est payé à la fin du mois, où l’on reçoit une quittance."
POLISH = (
    "Umowa najmu została zawarta pomiędzy stronami. Czynsz płatny jest z góry, do dziesiątego dnia każdego miesiąca."
)
CZECH = "Smlouva o nájmu bytu. Smluvní strany se dohodly, že nájemné se platí každý měsíc předem, nejpozději šestý den."
RUSSIAN = "Это договор аренды квартиры. Арендная плата вносится ежемесячно."
GREEK = "Αυτό είναι ένα συμβόλαιο ενοικίασης. Τα μέρη συμφώνησαν τα ακόλουθα."
HEBREW = "זהו חוזה שכירות. הצדדים הסכימו על התנאים הבאים."
JAPANESE = "これは日本語の文章です。請求書を添付いたしますのでご確認ください。"
CHINESE = "这是一份关于房屋租赁的合同，双方同意以下条款。租金每月支付一次。"
KOREAN = "이것은 한국어 문서입니다. 청구서를 첨부하오니 확인하여 주시기 바랍니다."

printable = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        (GERMAN, "cp850"),
        (ENGLISH, "cp1252"),
        (SPANISH, "cp1252"),
        (FRENCH, "cp1252"),
        (POLISH, "cp1250"),
        (POLISH, "iso8859_2"),
        (CZECH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (RUSSIAN, "cp866"),
        (GREEK, "cp1253"),
        (HEBREW, "cp1255"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (CHINESE, "gb18030"),
        (CHINESE, "big5hkscs"),
        (KOREAN, "cp949"),
    ],
)
@pytest.mark.parametrize("times", [1, 50])
def test_legacy_encodings(text: str, encoding: str, times: int) -> None:
    if encoding == "big5hkscs":
        text = "這是一份關於房屋租賃的合約，雙方同意以下條款。租金每月支付一次。"
        encoding = "big5"
    assert decode((text * times).encode(encoding)) == text * times


@pytest.mark.parametrize(
    "word",
    ["café", "Müller", "naïve", "£5", "Ærø", "São Paulo", "10 €", "5 µm", "20 °C", "“hi”", "c’est", "ça va"],
)
def test_one_word_of_latin_letters(word: str) -> None:
    assert decode(word.encode("cp1252")) == word


@given(printable)
def test_utf_8_round_trip(text: str) -> None:
    assert decode(text.encode()) == text.removeprefix("\ufeff")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@given(text=printable)
def test_marked_round_trip(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [ENGLISH, GERMAN + "\r\n", JAPANESE + "\n" + JAPANESE + "\n", RUSSIAN, "ab"])
def test_wide_encodings_without_a_mark(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_a_few_bad_bytes_in_utf_8_do_not_spoil_the_rest() -> None:
    data = (JAPANESE * 20).encode() + b"caf\xe9 \x93quoted\x94 " + (JAPANESE * 20).encode()
    assert decode(data) == JAPANESE * 20 + "café “quoted” " + JAPANESE * 20


def test_utf_8_cut_within_a_letter() -> None:
    assert decode("größe ü".encode()[:-1]).startswith("größe ")


def test_stray_nuls_are_text_still() -> None:
    assert normalise(decode(b"one\0 two three " * 20 + b"\0")) == "one two three " * 20


@pytest.mark.parametrize("size", [300, 5_000, 200_000])
def test_random_bytes_are_binary(size: int) -> None:
    with pytest.raises(UnreadableError, match="binary data"):
        decode(random.Random(1).randbytes(size))


def test_a_program_is_binary() -> None:
    with pytest.raises(UnreadableError, match="binary data"):
        decode(bytes(range(32)) * 10 + b"\0\0\0\0some words")


def test_control_characters_alone_are_binary() -> None:
    with pytest.raises(UnreadableError, match="binary data"):
        decode(b"\x01\x02\x03\x04 words")


def test_detection_looks_at_a_sample_only() -> None:
    assert detect(b"plain ascii " * 100_000 + b"\xe9") == "utf-8"


@given(st.binary())
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        normalise(decode(data)).encode()
    except UnreadableError:
        return


@given(st.text(st.characters(), max_size=200))
def test_normalising_is_done_after_one_pass(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    once.encode()
    assert not set(once) & set(map(chr, [*range(9), *range(11, 32)]))


def test_what_normalising_does() -> None:
    assert normalise("a\r\nb\rc\fd\ve\tf") == "a\nb\nc\nd\ne\tf"
    assert normalise("a\0b\x1bc\x08") == "abc"
    assert normalise("a\ud800b") == "a\ufffdb"
    assert normalise("\x7f\x85\u2028é\ufeff") == "\x7f\x85\u2028é\ufeff"
