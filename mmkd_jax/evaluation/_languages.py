"""English names of languages, for people who do not know their codes by heart."""

_NAMES = """
af Afrikaans|am Amharic|an Aragonese|ar Arabic|as Assamese|ast Asturian|az Azerbaijani|ba Bashkir
be Belarusian|bg Bulgarian|bn Bengali|bo Tibetan|br Breton|bs Bosnian|ca Catalan|ceb Cebuano
ckb Central Kurdish|cs Czech|cv Chuvash|cy Welsh|da Danish|de German|dsb Lower Sorbian|el Greek
en English|eo Esperanto|es Spanish|et Estonian|eu Basque|fa Persian|fi Finnish|fil Filipino
fo Faroese|fr French|fy West Frisian|ga Irish|gd Scottish Gaelic|gl Galician|gn Guarani|gu Gujarati
ha Hausa|he Hebrew|hi Hindi|hr Croatian|hsb Upper Sorbian|ht Haitian Creole|hu Hungarian
hy Armenian|ia Interlingua|id Indonesian|ig Igbo|io Ido|is Icelandic|it Italian|ja Japanese
jv Javanese|ka Georgian|kab Kabyle|kk Kazakh|km Khmer|kn Kannada|ko Korean|ku Kurdish|ky Kyrgyz
la Latin|lb Luxembourgish|lo Lao|lt Lithuanian|lv Latvian|mg Malagasy|mi Maori|mk Macedonian
ml Malayalam|mn Mongolian|mr Marathi|ms Malay|mt Maltese|my Burmese|nb Norwegian Bokmål|ne Nepali
nl Dutch|nn Norwegian Nynorsk|no Norwegian|oc Occitan|or Odia|os Ossetian|pa Punjabi|pl Polish
ps Pashto|pt Portuguese|qu Quechua|ro Romanian|ru Russian|rw Kinyarwanda|sa Sanskrit|sc Sardinian
sd Sindhi|si Sinhala|sk Slovak|sl Slovenian|sn Shona|so Somali|sq Albanian|sr Serbian|su Sundanese
sv Swedish|sw Swahili|ta Tamil|te Telugu|tg Tajik|th Thai|ti Tigrinya|tk Turkmen|tl Tagalog
tr Turkish|tt Tatar|udm Udmurt|ug Uyghur|uk Ukrainian|ur Urdu|uz Uzbek|vi Vietnamese|wa Walloon
xh Xhosa|yi Yiddish|yo Yoruba|yue Cantonese|zh Chinese|zu Zulu
"""
_BY_CODE = dict(
    entry.split(" ", 1) for line in _NAMES.split("\n") for entry in line.split("|") if entry
)
_SCRIPTS = {
    "arab": "Arabic script",
    "cyrl": "Cyrillic",
    "hans": "simplified",
    "hant": "traditional",
    "latn": "Latin script",
}


def language_name(code: str) -> str:
    """What a language is called in English; the code itself where that is not known.

    Example:
      >>> from mmkd_jax.evaluation._languages import language_name
      >>> print(language_name("cy"), "|", language_name("zh-Hant"), "|", language_name("pt_BR"))
      Welsh | Chinese (traditional) | Portuguese (BR)
      >>> language_name("klingon")
      'klingon'
    """
    base, *more = code.replace("_", "-").split("-")
    name = _BY_CODE.get(base.lower())
    if name is None:
        return code
    parts = [_SCRIPTS.get(part.lower(), part) for part in more if part]
    return f"{name} ({', '.join(parts)})" if parts else name
