"""The confusion table of the corpus, and the targets that the broker must meet on it."""

from typing import Final

from broker.core.media import MEDIA_TYPES

from .measure import Findings

FILES_MIN: Final = 400
SHARE_MAX: Final = 0.003
"""Share of good files that may be refused at confirm, and of wrong pairs of file and type that may be accepted."""

SECOND_READS_MAX: Final = 0.03
MICROSECONDS_MAX: Final = 15.0


def targets(files: int, found: Findings, time: float) -> list[tuple[str, bool]]:
    """Return each target with its measured value, and whether it is met."""
    refused = len(found.refused_at_confirm) / found.confirms
    wrong = len(found.accepted_wrongly) / found.wrong_pairs
    twice = found.second_reads / found.confirms
    return [
        (f"files: {files}, of which {found.good} are good (at least {FILES_MIN})", files >= FILES_MIN),
        (f"good files refused at create: {len(found.refused_at_create)} (0)", not found.refused_at_create),
        (f"refused at confirm: {len(found.refused_at_confirm)} of {found.confirms} (0.3 %)", refused <= SHARE_MAX),
        (f"wrong pairs accepted: {len(found.accepted_wrongly)} of {found.wrong_pairs} (0.3 %)", wrong <= SHARE_MAX),
        (
            f"disguises accepted: {len(found.accepted_disguises)} of {found.disguise_pairs} (0)",
            not found.accepted_disguises,
        ),
        (f"second reads: {found.second_reads} of {found.confirms} (3 %)", twice <= SECOND_READS_MAX),
        (f"microseconds of a decision: {time:.1f} ({MICROSECONDS_MAX:.0f})", time <= MICROSECONDS_MAX),
    ]


def written(files: int, found: Findings, time: float) -> str:
    """Return the report in Markdown: the targets, the confusion table, and each wrong decision."""
    lines = [f"- {line}" for line, _ in targets(files, found, time)]
    names = [media.name for media in MEDIA_TYPES]
    lines += ["", "| true type | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for true in (*names, "other"):
        lines.append(f"| {true} | " + " | ".join(str(found.table[true, name] or "") for name in names) + " |")
    for title, cases in (
        ("refused at create", found.refused_at_create),
        ("refused at confirm", found.refused_at_confirm),
        ("accepted wrongly", found.accepted_wrongly),
        ("disguises accepted", found.accepted_disguises),
    ):
        lines += ["", f"{title}:", *(f"- {case}" for case in cases)]
    return "\n".join(lines) + "\n"
