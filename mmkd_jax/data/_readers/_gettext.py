"""Gettext catalogues, so that any program's own translations become a corpus."""

import gettext
import importlib.util
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path as Folder
from typing import NamedTuple

from mmkd_jax.data._readers._mo import mo_entries
from mmkd_jax.data._readers._po import po_entries
from mmkd_jax.data._readers._report import Path, Reading, Report, Unreadable
from mmkd_jax.data._records import Pair

# What gettext itself assumes of a catalogue that says nothing about plurals.
_DEFAULT_PLURALS = "nplurals=2; plural=(n != 1);"
# Enough numbers for the rules of any language to show which form most numbers have.
_NUMBERS = range(2, 200)


class Catalogue(NamedTuple):
    """A catalogue that was found: its file, the language of its folder, its domain."""

    path: Folder
    language: str
    domain: str


class Entry(NamedTuple):
    """A message of a catalogue: `forms` has one text, or one a plural form of the language."""

    line: int
    source: str
    plural: str | None
    forms: Mapping[int, str]
    flaw: str = ""  # why the catalogue itself does not count it as translated


def read_catalogue(
    path: Path,
    *,
    source_language: str = "en",
    target_language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    r"""Pairs from a gettext catalogue, ``.po`` or ``.mo``.

    Placeholders, markup and line breaks stay as they are. Contexts (``msgctxt``) tell messages
    apart, and are no part of the text. Fuzzy, obsolete and untranslated entries are left out and
    counted, and so are plural forms that an entry lacks.

    A message with plural forms is two pairs: the singular with the form that the language has for
    1, and the plural with the form it has for most other numbers, by the rule in the catalogue's
    header. In a language that has one form for both, it is one pair, with the plural.

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import read_catalogue
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "app.po")
    >>> _ = file.write_text('msgid "%d day"\nmsgid_plural "%d days"\n'
    ...                     'msgstr[0] "%d Tag"\nmsgstr[1] "%d Tage"\n')
    >>> [(pair.source, pair.target) for pair in read_catalogue(file)]
    [('%d day', '%d Tag'), ('%d days', '%d Tage')]
    >>> folder.cleanup()

    Args:
      path: the file; the ending of its name says of which kind it is.
      source_language: of the messages; written into each record, as is `target_language`.
      target_language: see `source_language`.
      on_error: "raise", or "skip" to leave out what cannot be read and count it.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: the file breaks the format. (Places in ``.mo`` files are numbers of entries.)
    """
    entries = mo_entries if Folder(path).suffix == ".mo" else po_entries
    with Reading(on_error, report) as reading:
        single, most = 0, 1
        for entry in (Entry(*each) for each in entries(path, reading)):
            if entry.source == "":
                try:
                    single, most = plural_forms(_header(entry.forms.get(0, "")))
                except Unreadable as error:
                    reading.unreadable(path, entry.line, error)
                continue
            if entry.flaw or not any(entry.forms.values()):
                reading.leave_out(path, entry.line, entry.flaw or "untranslated")
                continue
            for source, target in _texts(entry, single, most):
                if not target:
                    reading.leave_out(path, entry.line, "a plural form that is missing")
                elif target.isspace() or source.isspace():
                    reading.leave_out(path, entry.line, "blank side")
                else:
                    reading.report.read += 1
                    yield Pair(source, target, source_language, target_language)


def find_catalogues(
    folder: Path | None = None,
    *,
    package: str | None = None,
    languages: Collection[str] | None = None,
) -> list[Catalogue]:
    """The catalogues below a folder, or in an installed package, in the order of their paths.

    They lie in ``LANGUAGE/LC_MESSAGES/DOMAIN.po`` (or ``.mo``, which counts where there is no
    ``.po`` beside it). The language is the folder's name with - for _.

    Args:
      folder: where to look, however deep.
      package: the name of an installed package, ``django``, to look there instead.
      languages: which to keep; None for all.
    """
    if (folder is None) == (package is None):
        raise ValueError("find_catalogues needs either a folder or a package")
    wanted = None if languages is None else {each.replace("_", "-") for each in languages}
    found: dict[Folder, Catalogue] = {}
    for root in [folder] if package is None else _package_folders(package):
        for ending in (".po", ".mo"):
            for path in Folder(root).rglob(f"*/LC_MESSAGES/*{ending}"):
                language = path.parent.parent.name.replace("_", "-")
                if wanted is None or language in wanted:
                    found.setdefault(path.with_suffix(""), Catalogue(path, language, path.stem))
    return [found[key] for key in sorted(found)]


def read_catalogues(
    catalogues: Iterable[Catalogue],
    *,
    source_language: str = "en",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    """The pairs of all the catalogues that `find_catalogues` found, each with its language."""
    with Reading(on_error, report) as reading:
        for path, language, _ in catalogues:
            yield from read_catalogue(
                path,
                source_language=source_language,
                target_language=language,
                on_error=on_error,
                report=reading.report,
            )


def plural_forms(header: Mapping[str, str]) -> tuple[int, int]:
    """Which form a language has for 1, and which for most other numbers.

    Not always the first and the last: Arabic has its first form for 0, Latvian its last one.
    """
    rule = header.get("plural-forms") or _DEFAULT_PLURALS
    parts = {
        name.strip(): value.strip()
        for name, _, value in (part.partition("=") for part in rule.split(";"))
    }
    try:
        number, form = int(parts["nplurals"]), gettext.c2py(parts["plural"])
        forms = Counter(form(n) for n in _NUMBERS)
        single, most = form(1), forms.most_common(1)[0][0]
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise Unreadable("a rule for plurals that cannot be read", f"{rule!r}: {error}") from None
    if not 0 <= min(single, most) <= max(single, most) < number:
        raise Unreadable("a rule for plurals that asks for forms there are not", repr(rule))
    return single, most


def _texts(entry: Entry, single: int, most: int) -> list[tuple[str, str]]:
    if entry.plural is None:
        return [(entry.source, entry.forms.get(0, ""))]
    plural = (entry.plural, entry.forms.get(most, ""))
    return [plural] if single == most else [(entry.source, entry.forms.get(single, "")), plural]


def _header(text: str) -> dict[str, str]:
    fields = (line.partition(":") for line in text.split("\n"))
    return {name.strip().lower(): value.strip() for name, _, value in fields}


def _package_folders(package: str) -> list[str]:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no installed package is named {package!r}", name=package)
    return list(spec.submodule_search_locations)
