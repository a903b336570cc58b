#!/usr/bin/env python3
"""Makes the small random encoders that test/encoder_test.c compares against.

For each case: a folder as transformers saves it (test/data/encoders/<case>/config.json, model.safetensors), texts as
int32 rows of (text, token type, token) in <case>/inputs.npy, and what PyTorch computes for each text alone, in
<case>/expected.npy: hidden states of all tokens, or the logits of the head. For some cases the same weights as a GGUF
file too (<case>/model.gguf), names and layouts as llama.cpp's converter has them, written with the gguf package.
Weights are rounded to float16, which is how they are stored.

    pip install torch transformers gguf numpy
    python tools/reference/make_encoders.py test/data/encoders
"""

import os
import shutil
import sys

import gguf
import numpy as np
import torch
import transformers as tf

VOCABULARY = 37
LENGTHS = (5, 1, 17, 3, 12, 5)
SHAPE = dict(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
             attn_implementation="eager")
NAMES = {3: {0: "negative", 1: "neutral", 2: "positive"}, 5: {i: tag for i, tag in enumerate(
    ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])}, 2: {0: "LABEL_0", 1: "LABEL_1"}, 1: {0: "LABEL_0"}}


def bert(labels=0, **extra):
    names = {"id2label": NAMES[labels]} if labels else {}
    return tf.BertConfig(**{**SHAPE, "max_position_embeddings": 24, **names, **extra})


def roberta(kind=tf.RobertaConfig, labels=0, **extra):
    names = {"id2label": NAMES[labels]} if labels else {}
    return kind(**{**SHAPE, "max_position_embeddings": 26, "type_vocab_size": 1, "pad_token_id": 1, **names, **extra})


def distilbert(labels=0, **extra):
    names = {"id2label": NAMES[labels]} if labels else {}
    return tf.DistilBertConfig(**{"vocab_size": VOCABULARY, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 24,
                                  "max_position_embeddings": 24, "attn_implementation": "eager", **names, **extra})


def nomic(labels=0, **extra):
    names = {"id2label": NAMES[labels]} if labels else {}
    return tf.NomicBertConfig(**{**SHAPE, "max_position_embeddings": 24, **names, **extra})


CASES = {
    "bert": (tf.BertModel, bert(num_hidden_layers=2)),
    "bert_tanh": (tf.BertModel, bert(hidden_act="gelu_new")),
    "bert_classify": (tf.BertForSequenceClassification, bert(3)),
    "bert_tokens": (tf.BertForTokenClassification, bert(5)),
    "bert_answer": (tf.BertForQuestionAnswering, bert(2)),
    "bert_fill": (tf.BertForMaskedLM, bert()),
    "roberta": (tf.RobertaModel, roberta()),
    "roberta_classify": (tf.RobertaForSequenceClassification, roberta(labels=3)),
    "roberta_fill": (tf.RobertaForMaskedLM, roberta()),
    "xlm_roberta_rank": (tf.XLMRobertaForSequenceClassification, roberta(tf.XLMRobertaConfig, 1)),
    "xlm_roberta_tokens": (tf.XLMRobertaForTokenClassification, roberta(tf.XLMRobertaConfig, 5)),
    "distilbert": (tf.DistilBertModel, distilbert()),
    "distilbert_classify": (tf.DistilBertForSequenceClassification, distilbert(3)),
    "distilbert_answer": (tf.DistilBertForQuestionAnswering, distilbert(2)),
    "distilbert_fill": (tf.DistilBertForMaskedLM, distilbert()),
    "nomic": (tf.NomicBertModel, nomic(num_hidden_layers=2)),
    "nomic_classify": (tf.NomicBertForSequenceClassification, nomic(3)),
    "nomic_fill": (tf.NomicBertForMaskedLM, nomic()),
}
GGUF_CASES = ("bert", "bert_classify", "bert_fill", "roberta", "distilbert_classify", "nomic")


def randomise(model):
    torch.manual_seed(11)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                centre = 1.0 if "norm" in name.lower() and "weight" in name else 0.0
                parameter.copy_((centre + 0.2 * torch.randn_like(parameter)).half())
            else:
                parameter.copy_((torch.randn_like(parameter) * (1.2 / parameter.shape[-1] ** 0.5)).half())


def make_texts(config):
    rng = np.random.default_rng(5)
    rows = []
    for text, length in enumerate(LENGTHS):
        types = np.zeros(length, dtype=int)
        if getattr(config, "type_vocab_size", 1) > 1:
            types[length // 2:] = text % 2
        tokens = rng.integers(3, VOCABULARY, length)  # no padding token inside a text
        rows += [(text, kind, token) for kind, token in zip(types, tokens)]
    return np.array(rows, dtype=np.int32)


def expected(model, texts):
    parts = []
    for text in range(len(LENGTHS)):
        rows = torch.from_numpy(texts[texts[:, 0] == text].astype(np.int64))
        inputs = {"input_ids": rows[None, :, 2]}
        if model.config.model_type != "distilbert":
            inputs["token_type_ids"] = rows[None, :, 1]
        with torch.no_grad():
            out = model(**inputs)
        if "start_logits" in out:
            value = torch.stack([out["start_logits"], out["end_logits"]], -1)
        else:
            value = out["logits"] if "logits" in out else out["last_hidden_state"]
        parts.append(value.reshape(-1, value.shape[-1]).float().numpy())
    return np.concatenate(parts)


# ---- GGUF ----------------------------------------------------------------------------------------------------------

LAYER = {
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
    "attention.q_lin": "attn_q", "attention.k_lin": "attn_k", "attention.v_lin": "attn_v",
    "attention.out_lin": "attn_output", "sa_layer_norm": "attn_output_norm", "ffn.lin1": "ffn_up",
    "ffn.lin2": "ffn_down", "output_layer_norm": "layer_output_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "attn_output_norm", "mlp.up_proj": "ffn_up",
    "mlp.gate_proj": "ffn_gate", "mlp.down_proj": "ffn_down", "post_mlp_layernorm": "layer_output_norm",
}
PLAIN = {
    "embeddings.word_embeddings": "token_embd", "embeddings.token_type_embeddings": "token_types",
    "embeddings.position_embeddings": "position_embd", "embeddings.LayerNorm": "token_embd_norm",
    "pooler.dense": "cls", "pre_classifier": "cls", "classifier.dense": "cls", "classifier": "cls.output",
    "classifier.out_proj": "cls.output", "qa_outputs": "cls.output",
    "cls.predictions.transform.dense": "mlm.dense", "cls.predictions.transform.LayerNorm": "mlm.norm",
    "cls.predictions": "mlm.output", "lm_head.dense": "mlm.dense", "lm_head.layer_norm": "mlm.norm",
    "lm_head": "mlm.output",
}


def gguf_name(name):
    for prefix in ("bert.", "roberta.", "distilbert.", "nomic_bert."):
        name = name.removeprefix(prefix)
    stem, kind = name.rsplit(".", 1)
    for middle in ("encoder.layer.", "transformer.layer.", "layers."):
        if stem.startswith(middle):
            number, rest = stem[len(middle):].split(".", 1)
            return f"blk.{number}.{LAYER[rest]}.{kind}"
    return f"{PLAIN[stem]}.{kind}" if stem in PLAIN else None


def write_gguf(path, model):
    config = model.config
    arch = "nomic-bert" if config.model_type == "nomic_bert" else "bert"
    offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config.max_position_embeddings - offset)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or config.hidden_dim)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(getattr(config, "layer_norm_eps", 1e-12))
    writer.add_causal_attention(False)
    if arch == "nomic-bert":
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    kind = type(model).__name__
    for ending, head in (("SequenceClassification", "sequence_classification"), ("MaskedLM", "fill_mask")):
        if kind.endswith(ending):
            writer.add_string(f"{arch}.head", head)
    if kind.endswith("SequenceClassification"):
        writer.add_array(f"{arch}.classifier.output_labels", [v for _, v in sorted(config.id2label.items())])
    if kind.startswith("DistilBertForSeq"):
        writer.add_string(f"{arch}.head_activation", "relu")
    for name, value in model.state_dict().items():
        target = gguf_name(name)
        if target is None or ("pooler" in name and "Classification" not in kind):
            continue
        value = value.float().numpy()
        if target.startswith("position_embd"):
            value = value[offset:]
        writer.add_tensor(target, np.ascontiguousarray(value, dtype=np.float32 if value.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    root = sys.argv[1]
    os.makedirs(root, exist_ok=True)
    for case, (kind, config) in CASES.items():
        folder = os.path.join(root, case)
        shutil.rmtree(folder, ignore_errors=True)
        model = kind(config).eval()
        randomise(model)
        texts = make_texts(config)
        os.makedirs(folder)
        np.save(os.path.join(folder, "inputs.npy"), texts)
        np.save(os.path.join(folder, "expected.npy"), expected(model, texts))
        if case in GGUF_CASES:
            write_gguf(os.path.join(folder, "model.gguf"), model)
        model.half().save_pretrained(folder)


if __name__ == "__main__":
    main()
