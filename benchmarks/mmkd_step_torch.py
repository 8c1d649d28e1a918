"""The peers of `mmkd_step.py`: a training step of MMKD in PyTorch, with models of transformers.

`Released` follows the authors' schedule: the student runs four times, the teacher three times,
every row has 128 tokens, and the masked-LM head scores the whole vocabulary at all of them. In
three places it is milder than what they shipped: the teacher is in evaluation mode, labels stand
at the chosen positions only, and one flag a word says what is masked.

`Equal` does what our step does: the pair's two views side by side, each model as often as needed,
positions gathered before the head.
"""

import pathlib

import torch
import torch.nn.functional as F
import transformers
from losses_torch import sentence_alignment, structure_alignment, word_alignment
from torch import nn

from mmkd_jax.methods import LevelWeights

WEIGHTS = vars(LevelWeights())


def projector(width: int, hidden: int, to: int, last_norm: bool = True) -> nn.Sequential:
    parts = [nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
    parts.append(nn.Linear(hidden, to, bias=False))
    return nn.Sequential(*parts, *[nn.BatchNorm1d(to, affine=False)] * last_norm)


class Released(nn.Module):
    """Losses by level, and a step.

    Args:
      folder: holds "teacher" and "student" as transformers loads them.
      projected: whether sentence vectors go through projectors; if not, they meet as they are.
      rate: the learning rate.
      device: where everything is.
    """

    def __init__(self, folder: pathlib.Path, projected: bool, rate: float, device: str = "cpu"):
        super().__init__()
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.student = transformers.BertForMaskedLM.from_pretrained(folder / "student")
        teacher = transformers.BertModel.from_pretrained(
            folder / "teacher", add_pooling_layer=False
        )
        self.teacher = teacher.requires_grad_(False)
        self.heads = self.new_heads() if projected else None
        self.to(device).train_with_dropout(True)
        kept = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in kept if p.ndim > 1]},
            {"params": [p for p in kept if p.ndim <= 1], "weight_decay": 0.0},
        ]
        # The fused one is the fastest that PyTorch has.
        self.optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.01, fused=True)

    def new_heads(self) -> nn.ModuleDict:
        width = self.student.config.hidden_size
        heads = {}
        for level in ("sentence", "structure"):
            heads[level] = nn.Sequential(
                projector(width, 768, 128), projector(128, 768, 128, last_norm=False)
            )
            fixed = projector(self.teacher.config.hidden_size, 768, 128)
            heads[f"{level}_teacher"] = fixed.requires_grad_(False)
        return nn.ModuleDict(heads)

    def train_with_dropout(self, dropout: bool) -> None:
        self.train(dropout)
        self.teacher.eval()

    def step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.total(batch)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def total(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return sum(WEIGHTS[level] * loss for level, loss in self.losses(batch).items())

    def losses(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        pair = (batch["pair_mask"], batch["pair_segments"])
        logits = self.student(batch["tlm_ids"], *pair).logits
        read = self.student.bert
        return {
            "token": F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten()),
            "word": self.word(read(batch["word_ids"], *pair)[0], self.taught(batch), batch),
            **{
                level: self.vectors(
                    level,
                    read(batch["student_ids"], batch["student_mask"])[0][:, 0],
                    self.taught(batch)[:, 0],
                )
                for level in ("sentence", "structure")
            },
        }

    def taught(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            return self.teacher(batch["teacher_ids"], batch["teacher_mask"])[0]

    def word(self, student, teacher, batch) -> torch.Tensor:
        """The mean over the sentences that have masked words."""
        masked = batch["words_masked"] & batch["words_valid"]
        words = (
            states.gather(1, places[..., None].expand(-1, -1, states.shape[-1]))
            for states, places in (
                (student, batch["student_words"]),
                (teacher, batch["teacher_words"]),
            )
        )
        each = word_alignment(*words, masked, batch["words_valid"])
        # Padding has no column to choose, -inf everywhere; its gradient is not asked for.
        return each.sum() / masked.any(1).sum().clamp(min=1)

    def vectors(self, level: str, student, teacher) -> torch.Tensor:
        if self.heads is not None:
            student = self.heads[level](student)
            teacher = self.heads[f"{level}_teacher"](teacher)
        if level == "sentence":
            return sentence_alignment(student, teacher).mean()
        return structure_alignment(student, teacher, 1.0).mean()


class Equal(Released):
    """Our schedule: the student reads three views, the teacher its own once."""

    def losses(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        views = torch.cat([batch["tlm_ids"], batch["word_ids"]])
        twice = (batch[name].repeat(2, 1) for name in ("pair_mask", "pair_segments"))
        token, word = self.student.bert(views, *twice)[0].chunk(2)
        rows, columns = batch["tlm_where"].nonzero(as_tuple=True)
        chosen = token[rows, batch["tlm_positions"][rows, columns]]
        logits = self.student.cls(chosen)
        alone = self.student.bert(batch["student_ids"], batch["student_mask"])[0][:, 0]
        taught = self.taught(batch)
        return {
            "token": F.cross_entropy(logits, batch["tlm_targets"][rows, columns]),
            "word": self.word(word, taught, batch),
            "sentence": self.vectors("sentence", alone, taught[:, 0]),
            "structure": self.vectors("structure", alone, taught[:, 0]),
        }


def tensors(batch: dict, device: str = "cpu") -> dict[str, torch.Tensor]:
    """Numbers as PyTorch indexes by them; booleans stay."""
    return {
        name: (torch.from_numpy(array) if array.dtype == bool else torch.from_numpy(array).long())
        .contiguous()
        .to(device)
        for name, array in batch.items()
    }
