"""Tiny random encoders of every family, written offline as AutoModel and AutoTokenizer open them."""

import string
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PretrainedConfig, PreTrainedTokenizerFast

FAMILIES = ("bert", "roberta", "distilbert", "electra", "deberta-v2", "modernbert", "mpnet", "albert")

HIDDEN_SIZE = 32
NUM_LAYERS = 2
MAX_LENGTH = 64  # tokens that every tiny encoder can take

SENTENCES = (
    "My card was charged twice and I want a refund.",
    "The parcel to Berlin has not arrived yet.",
    "How do I change the password of my account?",
    "Great service, thank you very much!",
    "The app crashes when I open the settings on my phone.",
    "Please cancel the order that I placed on Monday.",
    "The quick brown fox jumps over the lazy dog in Zurich, New York and Quito.",
    "Ticket 12345 of 2026-11-30 is about order 67890: 14 boxes, 3 are broken!",
)

_BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_VOCABULARY_SIZE = 400
_ALPHABET = [*string.ascii_letters, *string.digits, *string.punctuation]


def tiny_encoder_dir(family: str, path: Path, *, dropout: float = 0.1, seed: int = 0) -> Path:
    """Write a random encoder (2 layers, hidden 32) with its tokenizer to a directory and return it."""
    tokenizer = tiny_tokenizer(family)
    config = tiny_config(family, tokenizer, dropout=dropout)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModel.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))  # no zero biases, no unit norms
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def tiny_config(family: str, tokenizer: PreTrainedTokenizerFast, *, dropout: float = 0.1) -> PretrainedConfig:
    """Return the configuration of a tiny encoder; dropout holds for every place that the family has."""
    common = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    sizes = {
        "hidden_size": HIDDEN_SIZE,
        "num_hidden_layers": NUM_LAYERS,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    table = {"max_position_embeddings": MAX_LENGTH}
    shifted = {"max_position_embeddings": MAX_LENGTH + 2}  # positions start behind the padding id
    extra: dict[str, dict[str, object]] = {
        "bert": {**sizes, **drops, **table},
        "roberta": {**sizes, **drops, **shifted, "type_vocab_size": 1},
        "distilbert": {
            **table,
            "dim": HIDDEN_SIZE,
            "n_layers": NUM_LAYERS,
            "n_heads": 4,
            "hidden_dim": 64,
            "dropout": dropout,
            "attention_dropout": dropout,
            "seq_classif_dropout": dropout,
        },
        "electra": {**sizes, **drops, **table, "embedding_size": 16},
        "deberta-v2": {
            **sizes,
            **drops,
            **table,
            "relative_attention": True,
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "pooler_hidden_size": HIDDEN_SIZE,
            "pooler_dropout": dropout,
        },
        "modernbert": {
            **sizes,
            **table,
            "attention_dropout": dropout,
            "embedding_dropout": dropout,
            "mlp_dropout": dropout,
            "classifier_dropout": dropout,
            "local_attention": 16,
            "global_attn_every_n_layers": 2,
            "bos_token_id": tokenizer.cls_token_id,
            "cls_token_id": tokenizer.cls_token_id,
            "eos_token_id": tokenizer.sep_token_id,
            "sep_token_id": tokenizer.sep_token_id,
        },
        "mpnet": {**sizes, **drops, **shifted},
        "albert": {**sizes, **drops, **table, "embedding_size": 16, "classifier_dropout_prob": dropout},
    }
    return transformers.AutoConfig.for_model(family, **common, **extra[family])


def tiny_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Train the family's kind of tokenizer on a few sentences."""
    build, specials = _TOKENIZERS[family]
    backend = build(specials)
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    order = specials if specials == _BERT_SPECIALS else ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    cls, sep = order[2], order[3]
    pair = f"{cls} $A {sep} $B:1 {sep}:1" if specials == _BERT_SPECIALS else f"{cls} $A {sep} {sep} $B {sep}"
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=pair,
        special_tokens=[(token, backend.token_to_id(token)) for token in (cls, sep)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=MAX_LENGTH, **dict(zip(names, order, strict=True))
    )


def _word_piece(specials: tuple[str, ...]) -> Tokenizer:
    normalizer, pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    starts, others = _pieces(normalizer, pre_tokenizer)
    pieces = [*specials, *_ALPHABET, *starts, *(f"##{piece}" for piece in (*_ALPHABET, *others))]
    unknown = next(token for token in specials if "unk" in token.lower())
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    backend.normalizer, backend.pre_tokenizer = normalizer, pre_tokenizer
    backend.decoder = decoders.WordPiece()
    return backend


def _byte_level(specials: tuple[str, ...]) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY_SIZE,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES, trainer)
    return backend


def _unigram(specials: tuple[str, ...]) -> Tokenizer:
    normalizer, pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    starts, others = _pieces(normalizer, pre_tokenizer)
    scores = dict.fromkeys(specials, 0.0) | dict.fromkeys(("\u2581", *_ALPHABET), -9.0)
    scores |= {piece: -5.0 for piece in (*starts, *others) if piece not in scores}
    backend = Tokenizer(models.Unigram(list(scores.items()), specials.index("[UNK]")))
    backend.normalizer, backend.pre_tokenizer = normalizer, pre_tokenizer
    backend.decoder = decoders.Metaspace()
    return backend


def _pieces(
    normalizer: normalizers.Normalizer, pre_tokenizer: pre_tokenizers.PreTokenizer
) -> tuple[list[str], list[str]]:
    """Cut the words of the sentences into a start of four characters and pieces of three.

    Not trained: the trainers of both models break ties by a hash that differs from process to process.
    """
    words = [
        word for sentence in SENTENCES for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(sentence))
    ]
    return [word[:4] for word in words], [word[at : at + 3] for word in words for at in range(4, len(word), 3)]


_TOKENIZERS: dict[str, tuple[Callable[[tuple[str, ...]], Tokenizer], tuple[str, ...]]] = {
    "bert": (_word_piece, _BERT_SPECIALS),
    "distilbert": (_word_piece, _BERT_SPECIALS),
    "electra": (_word_piece, _BERT_SPECIALS),
    "mpnet": (_word_piece, _ROBERTA_SPECIALS),
    "roberta": (_byte_level, _ROBERTA_SPECIALS),
    "modernbert": (_byte_level, _BERT_SPECIALS),
    "deberta-v2": (_unigram, _BERT_SPECIALS),
    "albert": (_unigram, _BERT_SPECIALS),
}
