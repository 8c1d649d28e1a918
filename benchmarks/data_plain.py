"""The peer of `data.py`: MMKD's views made one pair at a time, as a user would write them first.

Each sentence is tokenised when its pair comes up, masked in Python loops, and every row is padded
to the same length. It makes what training needs and nothing twice: the teacher's English, the
translation alone, the pair with masked tokens, the pair with masked English words.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

RATE = 0.15
IGNORED = -100  # the label of a token that is not to be predicted


class Text(NamedTuple):
    """A tokenised sentence without special tokens."""

    ids: list[int]
    words: list[int]  # the number of each subword's word


class PlainPairs:
    """Makes batches of pairs.

    Args:
      teacher: tokenises a sentence.
      student: likewise, in the student's vocabulary.
      specials: numbers of the special tokens, of both: "cls", "sep", "pad", "mask".
      vocabulary_size: of the student; random tokens are drawn from it.
      length: of every row.
      seed: of the masks.
    """

    def __init__(
        self,
        teacher: Callable[[str], Text],
        student: Callable[[str], Text],
        specials: dict[str, dict[str, int]],
        vocabulary_size: int,
        length: int = 128,
        seed: int = 0,
    ):
        self.teacher, self.student = teacher, student
        self.specials = specials
        self.vocabulary_size = vocabulary_size
        self.length = length
        self.random = random.Random(seed)

    def batch(self, pairs: Sequence[tuple]) -> dict[str, np.ndarray]:
        """The views of some pairs, ``[B, length]`` each."""
        examples = [self.example(pair[0], pair[1]) for pair in pairs]
        return {name: np.array([e[name] for e in examples], np.int32) for name in examples[0]}

    def example(self, english: str, translation: str) -> dict[str, list[int]]:
        """The views of one pair, each a list of `length` numbers."""
        of_teacher = self.teacher(english)
        e, x = self.student(english), self.student(translation)
        alone_e, mask_e = self.alone(of_teacher.ids, self.specials["teacher"])
        alone_x, mask_x = self.alone(x.ids, self.specials["student"])
        kept_e, kept_x = self.shortened(e.ids, x.ids)
        pair, segments = self.together(kept_e, kept_x)
        tlm, labels = self.masked_tokens(pair)
        masked, student_words, teacher_words, flags = self.masked_words(
            pair, e.words[: len(kept_e)], of_teacher.words[: self.length - 2]
        )
        pad = self.specials["student"]["pad"]
        return {
            "teacher_ids": alone_e,
            "teacher_mask": mask_e,
            "student_ids": alone_x,
            "student_mask": mask_x,
            "pair_mask": self.padded([1] * len(pair), 0),
            "pair_segments": self.padded(segments, 0),
            "tlm_ids": self.padded(tlm, pad),
            "tlm_labels": self.padded(labels, IGNORED),
            "word_ids": self.padded(masked, pad),
            "student_words": self.padded(student_words, 0),
            "teacher_words": self.padded(teacher_words, 0),
            "words_masked": self.padded(flags, 0),
            "words_valid": self.padded([1] * len(flags), 0),
        }

    def padded(self, row: list[int], value: int) -> list[int]:
        return row + [value] * (self.length - len(row))

    def alone(self, ids: list[int], specials: dict[str, int]) -> tuple[list[int], list[int]]:
        row = [specials["cls"], *ids[: self.length - 2], specials["sep"]]
        return self.padded(row, specials["pad"]), self.padded([1] * len(row), 0)

    def shortened(self, english: list[int], translation: list[int]) -> tuple[list, list]:
        """Cuts the longer side until both fit into a row."""
        over = len(english) + len(translation) - (self.length - 3)
        e, x = len(english), len(translation)
        while over > 0:
            if e > x:
                e -= 1
            else:
                x -= 1
            over -= 1
        return english[:e], translation[:x]

    def together(self, english: list[int], translation: list[int]) -> tuple[list, list]:
        cls, sep = self.specials["student"]["cls"], self.specials["student"]["sep"]
        row = [cls, *english, sep, *translation, sep]
        return row, [0] * (len(english) + 2) + [1] * (len(translation) + 1)

    def masked_tokens(self, pair: list[int]) -> tuple[list[int], list[int]]:
        """15 % of the tokens on both sides, 80/10/10."""
        sep, cls = self.specials["student"]["sep"], self.specials["student"]["cls"]
        row, labels = list(pair), []
        for place, token in enumerate(pair):
            if token in (cls, sep) or self.random.random() >= RATE:
                labels.append(IGNORED)
                continue
            labels.append(token)
            row[place] = self.replacement(token)
        return row, labels

    def masked_words(
        self, pair: list[int], of_student: list[int], of_teacher: list[int]
    ) -> tuple[list[int], list[int], list[int], list[int]]:
        """15 % of the English words, whole; where each word begins on both sides; which."""
        starts = first_places(of_teacher)
        groups: dict[int, list[int]] = {}
        for place, word in enumerate(of_student):
            groups.setdefault(word, []).append(place + 1)
        words = [word for word in groups if word in starts]
        count = max(1, min(round(RATE * len(words)), len(words) // 4))
        chosen = set(self.random.sample(words, min(count, len(words))))
        row, student_words, teacher_words, flags = list(pair), [0], [0], [0]
        for word in words:
            student_words.append(groups[word][0])
            teacher_words.append(starts[word] + 1)
            flags.append(int(word in chosen))
            if word in chosen:
                for place in groups[word]:
                    row[place] = self.replacement(row[place])
        student_words.append(len(of_student) + 1)
        teacher_words.append(len(of_teacher) + 1)
        return row, student_words, teacher_words, [*flags, 0]

    def replacement(self, token: int) -> int:
        draw = self.random.random()
        if draw < 0.8:
            return self.specials["student"]["mask"]
        return self.random.randrange(self.vocabulary_size) if draw < 0.9 else token


def first_places(words: list[int]) -> dict[int, int]:
    """Where each word begins."""
    places: dict[int, int] = {}
    for place, word in enumerate(words):
        places.setdefault(word, place)
    return places


def with_tokenizers(tokenizer: Any) -> Callable[[str], Text]:
    """Tokenises with a bare `tokenizers.Tokenizer`."""

    def tokenise(text: str) -> Text:
        code = tokenizer.encode(text, add_special_tokens=False)
        return Text(code.ids, code.word_ids)

    return tokenise


def with_transformers(tokenizer: Any) -> Callable[[str], Text]:
    """Tokenises with a fast tokenizer of `transformers`, which most users hold in their hands."""

    def tokenise(text: str) -> Text:
        code = tokenizer(text, add_special_tokens=False)
        return Text(code["input_ids"], code.word_ids())

    return tokenise
