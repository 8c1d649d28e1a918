"""Stand-in."""
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
S=["[PAD]","[UNK]","[CLS]","[SEP]","[MASK]"]
def train_vocabulary(texts, size, lowercase=False):
    t=Tokenizer(models.BPE(unk_token="[UNK]")); t.normalizer=normalizers.BertNormalizer(lowercase=lowercase,strip_accents=lowercase); t.pre_tokenizer=pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, special_tokens=S, show_progress=False))
    t.post_processor=processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]",2),("[SEP]",3)])
    return t
def save_vocabulary(t, folder):
    from transformers import PreTrainedTokenizerFast
    PreTrainedTokenizerFast(tokenizer_object=t,pad_token="[PAD]",unk_token="[UNK]",cls_token="[CLS]",sep_token="[SEP]",mask_token="[MASK]").save_pretrained(folder)
