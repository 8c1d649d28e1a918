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
tn Tswana|tr Turkish|tt Tatar|udm Udmurt|ug Uyghur|uk Ukrainian|ur Urdu|uz Uzbek
vi Vietnamese|wa Walloon|wo Wolof
xh Xhosa|yi Yiddish|yo Yoruba|yue Cantonese|zh Chinese|zu Zulu
"""
_BY_CODE = dict(
    entry.split(" ", 1) for line in _NAMES.split("\n") for entry in line.split("|") if entry
)
# Codes of three letters, as some corpora have them, where there is one of two.
_SHORT_CODES = """
afr:af amh:am ara:ar arb:ar aze:az azj:az bel:be ben:bn bos:bs bul:bg cat:ca ces:cs cmn:zh
cym:cy dan:da deu:de ell:el eng:en epo:eo est:et eus:eu fas:fa fao:fo fin:fi fra:fr fry:fy
gla:gd gle:ga glg:gl guj:gu hau:ha heb:he hin:hi hrv:hr hun:hu hye:hy ibo:ig ind:id isl:is
ita:it jav:jv jpn:ja kan:kn kat:ka kaz:kk khm:km kir:ky kor:ko lao:lo lat:la lav:lv lit:lt
ltz:lb mal:ml mar:mr mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nep:ne nld:nl nno:nn
nob:nb nor:no oci:oc ori:or pan:pa pes:fa pol:pl por:pt pus:ps ron:ro rus:ru san:sa sin:si
slk:sk slv:sl sna:sn snd:sd som:so spa:es sqi:sq srp:sr sun:su swa:sw swe:sv swh:sw tam:ta
tat:tt tel:te tgk:tg tgl:tl tha:th tir:ti tuk:tk tur:tr uig:ug ukr:uk urd:ur uzb:uz vie:vi
wol:wo xho:xh yid:yi yor:yo zho:zh zul:zu
"""
_SHORT = dict(pair.split(":") for pair in _SHORT_CODES.split())
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
      >>> print(language_name("deu"), language_name("klingon"))
      German klingon
    """
    _, *more = code.replace("_", "-").split("-")
    name = _BY_CODE.get(short_code(code))
    if name is None:
        return code
    parts = [_SCRIPTS.get(part.lower(), part) for part in more if part]
    return f"{name} ({', '.join(parts)})" if parts else name


def short_code(code: str) -> str:
    """The language alone, without script and region, in two letters where it has such a code.

    Example:
      >>> from mmkd_jax.evaluation._languages import short_code
      >>> print(*map(short_code, ("zh-Hans", "deu", "pt_BR", "ceb")))
      zh de pt ceb
    """
    base = code.replace("_", "-").split("-")[0].lower()
    return _SHORT.get(base, base)
