"""Tiny text models with weights drawn at random, written as `transformers` writes them."""

import json

import torch
import transformers

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CAPTIONS = [
    "oblique view of the uterus",
    "ovary",
    "a longitudinal view of the embryo from the magnified view of the gestational sac",
]
ALPHABETS = ["λοξή τομή της μήτρας", "子宫纵切面", "منظر طولي للرحم", "матка", "", "🫄"]


def bert_config(**settings):
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return transformers.BertConfig(vocab_size=57, max_position_embeddings=128, **small | settings)


def write_bert(folder, kind=transformers.BertModel, seed=0):
    """BERT with the Latin letters as its words."""
    torch.manual_seed(seed)
    kind(bert_config()).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    transformers.BertTokenizer(vocab={word: at for at, word in enumerate(words)}).save_pretrained(folder)
    return folder


def write_clip(folder, kind="whole"):
    """CLIP with the Latin letters as its words: "whole", or its text side "projected" or "plain"."""
    torch.manual_seed(0)
    words = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    text = {"vocab_size": len(words), "max_position_embeddings": 77, "projection_dim": 8} | small | ends
    vision = {"image_size": 8, "patch_size": 4, "projection_dim": 8} | small
    if kind == "whole":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
        model = transformers.CLIPModel(config)
    else:
        form = transformers.CLIPTextModelWithProjection if kind == "projected" else transformers.CLIPTextModel
        model = form(transformers.CLIPTextConfig(**text))
    model.save_pretrained(folder)
    vocabulary = {word: at for at, word in enumerate(words)}
    transformers.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    return folder


def change_config(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
