"""How much text and labelled data a language has in the world, in six classes.

The classes are those of Joshi, Santy, Budhiraja, Bali and Choudhury, `The State and Fate of
Linguistic Diversity and Inclusion in the NLP World <https://aclanthology.org/2020.acl-main.560>`_,
2020, from the list that accompanies the paper (``lang2tax.txt`` of its site). That list goes by
names: a language that stands there under several has the highest of its classes here, and Filipino
that of Tagalog. Of class 0, two thousand languages with hardly any data, none is listed.
"""

from mmkd_jax.evaluation._languages import short_code

_CLASSES = {
    5: "ar de en es fr ja zh",
    4: "ca cs eu fa fi hi hr hu it ko nl pl pt ru sr sv tr vi",
    3: "af arz be bg bn bs ceb da el et fil gl he id ka kk la lt lv ms ro sk sl ta th tl uk ur uz",
    2: "am ga ha ht is kok lo mr mt pa sa sw ti tn wo xh yo zu",
    1: """
       ab ak an as ast az ba bho bo br chr ckb crh csb cv cy dsb ee eo fj fo fur fy gag gd gn gsw gu
       gv haw hsb hy ia ie ig ilo io iu jv kaa kab kl km kn ks ku kv kw ky lad lb lg lij lmo ln ltg
       mai mg mi min mk ml mn mwl my myv nah nap nb ne nn no nso nv ny oc om or os pam pap ps qu rm
       rn rw sah sat sc scn sco sd se si sm sn so sq ss st su szl te tet tg tk to tpi ts tt tum tw
       ty udm ug ve vec vo wa war wuu yi yue
       """,
}
_BY_CODE = {code: number for number, codes in _CLASSES.items() for code in codes.split()}


def resource_class(code: str) -> int | None:
    """A language's class, from 5 (much data) to 1 (some unlabelled text); None if it has none here.

    Scripts and regions do not matter: "zh-Hans", "pt_BR" and "deu" are known too.

    Example:
      >>> from mmkd_jax import evaluation
      >>> [evaluation.resource_class(code) for code in ("de", "zh-Hant", "cy", "swa", "tlh")]
      [5, 5, 1, 2, None]
    """
    return _BY_CODE.get(short_code(code))
