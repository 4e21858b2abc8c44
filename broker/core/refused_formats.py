"""Formats that are refused by their names, each with what its user can do instead.

Rules of this module
- A declared type that names one of these formats, or clearly another kind of file, is refused whatever the extension.
- Browsers play none of these formats, or only a few of them do.
"""

import re
from typing import Final, NamedTuple


class RefusedFormat(NamedTuple):
    """Formats with the same remedy, by media types and by extensions of file names."""

    remedy: str
    types: str
    extensions: str


REFUSED_FORMATS: Final = (
    RefusedFormat(
        "convert the file to JPEG",
        "image/heic image/heif image/heic-sequence image/heif-sequence image/x-heic image/x-heif image/hif",
        "heic heics heif heifs hif",
    ),
    RefusedFormat(
        "convert the file to PNG or JPEG",
        "image/bmp image/x-bmp image/x-ms-bmp image/tiff image/x-tiff image/svg+xml image/vnd.microsoft.icon "
        "image/x-icon image/jp2 image/jpx image/jpm image/jxl image/jxr image/vnd.adobe.photoshop image/x-adobe-dng "
        "image/x-canon-cr2 image/x-canon-cr3 image/x-nikon-nef image/x-sony-arw image/avci image/avcs",
        "bmp dib tif tiff svg svgz ico cur jp2 j2k jpx jxl jxr psd dng cr2 cr3 nef arw orf rw2 raw avci avcs",
    ),
    RefusedFormat(
        "record or convert it as M4A, MP3 or WAV",
        "audio/x-caf audio/caf audio/x-ms-wma audio/wma audio/x-wma audio/ape audio/x-ape audio/x-monkeys-audio "
        "audio/mp2 audio/x-mp2 audio/mp1 audio/x-mp1 audio/amr audio/amr-wb audio/amr-wb+ audio/x-amr "
        "audio/x-rn-3gpp-amr audio/x-rn-3gpp-amr-wb audio/x-rn-3gpp-amr-encrypted audio/x-rn-3gpp-amr-wb-encrypted "
        "audio/3gpp-encrypted audio/ac3 audio/x-ac3 audio/eac3 audio/vnd.dolby.dd-raw audio/vnd.dts "
        "audio/vnd.dts.hd audio/basic audio/x-au audio/x-wavpack audio/wavpack audio/x-musepack audio/musepack "
        "audio/x-tta audio/tta audio/x-dsf audio/dsf audio/x-dff audio/x-dsd audio/vnd.rn-realaudio audio/x-pn- "
        "realaudio audio/x-realaudio audio/x-matroska audio/matroska audio/vnd.audible audio/vnd.audible.aax "
        "audio/x-gsm audio/x-adpcm audio/x-voc audio/x-w64",
        "caf wma ape mp1 mp2 m2a amr awb ac3 eac3 dts au snd wv mpc mp+ tta dsf dff ra ram rm mka aa aax gsm voc "
        "w64 tak ofr shn",
    ),
    RefusedFormat(
        "record the song as MP3 or WAV",
        "audio/midi audio/x-midi audio/mid audio/x-mid audio/sp-midi application/midi application/x-midi music/midi "
        "audio/mod audio/x-mod audio/xm audio/x-xm audio/x-it audio/x-s3m",
        "mid midi kar rmi xmf mod xm it s3m",
    ),
    RefusedFormat(
        "record or convert it as MP4",
        "video/x-matroska video/matroska video/x-matroska-3d video/x-msvideo video/avi video/msvideo video/x-ms-wmv "
        "video/x-ms-asf video/x-flv video/flv video/mpeg video/mpg video/x-mpeg video/x-mpg video/mp2t video/mp1s "
        "video/mp2p video/3gpp-encrypted video/x-theora video/x-theora+ogg "
        "video/x-ogm video/x-ogm+ogg video/annodex video/x-mng video/mj2 "
        "application/vnd.ms-asf application/vnd.rn-realmedia application/vnd.apple.mpegurl application/x-mpegurl "
        "application/x-matroska audio/mpegurl audio/x-mpegurl",
        "mkv mk3d avi wmv asf flv f4p mpg mpeg mpe m1v m2v vob ts m2ts mts ogv ogm rmvb rv mj2 mxf m3u m3u8",
    ),
)

_REMEDY_BY_TYPE: Final = {name: row.remedy for row in REFUSED_FORMATS for name in row.types.split()}
_REMEDY_BY_EXTENSION: Final = {name: row.remedy for row in REFUSED_FORMATS for name in row.extensions.split()}

_OTHER_KIND: Final = re.compile(
    r"(?:text|font|model|multipart|message|chemical|x-world|x-conference)/.*"
    r"|.*(?:\+(?:xml|json|zip|cbor|yaml|gzip)|xml|html|javascript|ecmascript|json|zip|wasm|msword|executable|msdownload)"
    r"|application/(?:pdf|postscript|rtf|gzip|java-archive|sql|vnd\.(?:ms-|oasis|openxml|android|rar).*"
    r"|x-(?:tar|gzip|bzip2?|xz|7z-compressed|rar-compressed|msdos-program|sh|csh|php|httpd-php|perl|python(?:-code)?"
    r"|dosexec|elf|sharedlib|iso9660-image|shockwave-flash|www-form-urlencoded))"
)
"""Types of documents, programs and archives."""


def is_refused_type(name: str) -> bool:
    """Return whether a media type, in lower case and without parameters, names a format that is refused."""
    return name in _REMEDY_BY_TYPE or _OTHER_KIND.fullmatch(name) is not None


def remedy_for(name: str | None, extension: str) -> str:
    """Return what the user of a refused file can do, by its type, else its extension; an empty string if unknown."""
    by_type = _REMEDY_BY_TYPE.get(name, "") if name else ""
    return by_type or _REMEDY_BY_EXTENSION.get(extension, "")
