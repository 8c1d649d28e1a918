"""Rows of Hugging Face datasets, where that library is installed."""

from collections.abc import Iterator
from typing import Any

from mmkd_jax.data._records import Row


def hugging_face_rows(
    path: str, name: str | None = None, *, split: str, **options: Any
) -> Iterator[Row]:
    """The rows of a split, with classes by their names.

    What becomes of the rows is for `pairs_of_rows` and the other functions of that kind:
    ``pairs_of_rows(hugging_face_rows("opus100", "de-en", split="train"), "translation.en",
    "translation.de")``.

    Args:
      path: of the data set on the hub, or of a folder.
      name: of its configuration.
      split: which one.
      **options: for ``datasets.load_dataset``, for example ``streaming=True``.

    Raises:
      ImportError: the library is not installed.
      ValueError: there is no such configuration or split.
    """
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            "hugging_face_rows needs the package datasets: pip install 'mmkd_jax[data]'"
        ) from error
    if "trust_remote_code" in options:
        raise ValueError("trust_remote_code must not be given: no code of a data set is ever run")
    origin = "/".join(filter(None, ["datasets:" + path, name, split]))
    try:
        loaded = datasets.load_dataset(path, name, split=split, **options)
    except ValueError as error:
        raise ValueError(f"{origin} is not there: {error}") from error
    features = loaded.features or {}
    for number, values in enumerate(loaded, 1):
        named = {key: _named(value, features.get(key), datasets) for key, value in values.items()}
        yield Row(origin, number, named)


def _named(value: Any, feature: Any, datasets: Any) -> Any:
    if isinstance(feature, datasets.ClassLabel) and isinstance(value, int):
        return None if value < 0 else feature.int2str(value)
    if isinstance(value, list):
        inner = getattr(feature, "feature", None)
        return [_named(each, inner, datasets) for each in value]
    return value
