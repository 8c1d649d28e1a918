"""Rows of TensorFlow Datasets, without TensorFlow."""

import importlib
from collections.abc import Iterator
from typing import Any

from mmkd_jax.data._readers._report import Path
from mmkd_jax.data._records import Row

# Builders that register themselves only when their module is imported; TFDS imports these modules
# itself only where TensorFlow is installed.
BUILDER_MODULES = {
    "conll2002": "text.conll2002.conll2002",
    "conll2003": "text.conll2003.conll2003",
    "flores": "translate.flores",
    "multi_nli": "text.multi_nli",
    "multi_nli_mismatch": "text.multi_nli_mismatch",
    "tydi_qa": "question_answering.tydi_qa",
    "wikiann": "text.wikiann.wikiann",
    "wmt14_translate": "translate.wmt14",
    "wmt16_translate": "translate.wmt16",
    "wmt19_translate": "translate.wmt19",
    "xnli": "text.xnli",
    "xquad": "question_answering.xquad",
    "xtreme_pawsx": "text.xtreme_pawsx.xtreme_pawsx",
    "xtreme_xnli": "text.xtreme_xnli.xtreme_xnli",
}


def tfds_rows(name: str, split: str, *, data_dir: Path | None = None) -> Iterator[Row]:
    """The rows of a split of a prepared data set, through array_record.

    Text is decoded, classes have their names, translations are ``{language: text}``. What
    becomes of the rows is for `pairs_of_rows` and the other functions of that kind.

    The data set must have been prepared as array_record files, as by
    ``tfds build xnli --file_format=array_record``.

    Args:
      name: as TFDS spells it: ``xnli``, ``opus/medical``, ``wikiann/de:1.0.1``.
      split: ``train``, ``test[:100]``.
      data_dir: where prepared data sets lie; by default where TFDS looks for them.

    Raises:
      ValueError: there is no such data set or split, or it has not been prepared.
    """
    import tensorflow_datasets as tfds

    module = BUILDER_MODULES.get(name.partition("/")[0].partition(":")[0])
    if module:
        importlib.import_module(f"tensorflow_datasets.{module}")
    try:
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        source = builder.as_data_source(split=split)
    except (tfds.core.DatasetNotFoundError, KeyError, ValueError) as error:
        # What follows the first line is a list of all data sets there are.
        why = str(error.args[0]).strip().partition("\n")[0].rstrip(".")
        raise ValueError(
            f"tfds:{name}/{split} is not there: {why}. What there is, is prepared with tfds build "
            f"--file_format=array_record {name}"
        ) from error
    features = builder.info.features
    for index in range(len(source)):
        yield Row(f"tfds:{name}/{split}", index + 1, _plain(source[index], features, tfds.features))


def _plain(value: Any, feature: Any, kinds: Any) -> Any:
    """Python's own types in place of bytes, of numpy's numbers and of the numbers of classes."""
    if isinstance(feature, kinds.TranslationVariableLanguages):
        return _by_language(value["language"], value["translation"])
    if isinstance(feature, kinds.FeaturesDict):
        return {key: _plain(value[key], feature[key], kinds) for key in feature}
    if isinstance(feature, kinds.Sequence):
        inner = feature.feature
        if isinstance(inner, kinds.FeaturesDict):
            return {key: [_plain(v, inner[key], kinds) for v in value[key]] for key in inner}
        return [_plain(each, inner, kinds) for each in value]
    if isinstance(feature, kinds.ClassLabel):
        return None if int(value) < 0 else feature.int2str(int(value))
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _by_language(languages: list[bytes], texts: list[bytes]) -> dict[str, str | list[str]]:
    """The text in each language, or a list of them where there are several."""
    found: dict[str, list[str]] = {}
    for language, text in zip(languages, texts, strict=True):
        found.setdefault(language.decode(), []).append(text.decode())
    return {language: each[0] if len(each) == 1 else each for language, each in found.items()}
