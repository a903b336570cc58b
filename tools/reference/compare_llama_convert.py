#!/usr/bin/env python3
"""Compares `quern convert` with llama.cpp, for every architecture that both know.

For each case: a small random model and a tokenizer of the kind that its family is published with, made with
transformers; the folder is converted by Quern and by llama.cpp's convert_hf_to_gguf.py. Then
- metadata, tensor names, shapes, types and bytes of the two files are compared, in f32, f16, bf16 and q8_0;
- llama.cpp loads Quern's file, and its logits (encoders: hidden states) are compared with PyTorch's and with Quern's;
- Quern goes back to a folder, and transformers runs that: its logits are compared, and its tensors to the last bit.

    pip install torch transformers sentencepiece tokenizers gguf numpy
    LLAMA_CPP_SOURCE=llama.cpp LLAMA_CPP_PYTHON=llama-cpp-python LLAMA_CPP_LIB_PATH=folder-of-libllama \\
        python tools/reference/compare_llama_convert.py build/quern [case ...]

LLAMA_CPP_SOURCE is a checkout of llama.cpp, LLAMA_CPP_PYTHON one of its Python binding (left out where it is
installed). Without them, or without a package, it says so and ends with 77.
"""

import ctypes
import json
import logging
import os
import subprocess
import sys
import tempfile

try:
    for path in ("", "gguf-py"):
        sys.path.insert(1, os.path.join(os.environ["LLAMA_CPP_SOURCE"], path))
    if os.environ.get("LLAMA_CPP_PYTHON"):
        sys.path.insert(1, os.environ["LLAMA_CPP_PYTHON"])
    import convert_hf_to_gguf as converter
    import gguf
    import llama_cpp as lc
    import numpy as np
    import sentencepiece
    import tokenizers as tk
    import torch
    import transformers as tf
    from conversion import base as converter_base
    from sentencepiece import sentencepiece_model_pb2
except (ImportError, KeyError, OSError, RuntimeError) as error:
    print(f"skipped: {error!r} (see the head of {os.path.basename(__file__)})")
    sys.exit(77)

VOCABULARY = 384
TOKENS = 24
TYPES = ("f32", "f16", "bf16", "q8_0")

# ---- models -----------------------------------------------------------------------------------------------------------


def decoder(kind, **extra):
    base = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, head_dim=16, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1,
                eos_token_id=2, pad_token_id=0, tie_word_embeddings=False, attn_implementation="eager")
    base.update(extra)
    return kind(**base)


def encoder(kind, **extra):
    base = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                max_position_embeddings=64, pad_token_id=0, attn_implementation="eager")
    base.update(extra)
    return kind(**base)


def rope(kind, **values):
    return {"rope_type": kind, "rope_theta": 10000.0, **values}


YARN = rope("yarn", factor=4.0, original_max_position_embeddings=16)
DEEPSEEK = dict(qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, kv_lora_rank=32, head_dim=16,
                n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, n_shared_experts=1,
                first_k_dense_replace=1, num_key_value_heads=4, topk_method="greedy", n_group=1, topk_group=1,
                norm_topk_prob=False, routed_scaling_factor=1.0)
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32)
PLAIN_YARN = {**YARN, "mscale": 0.707, "mscale_all_dim": 0.707}

# case: model class, configuration, tokenizer, keys that config.json has in the published models
converter_load = converter_base.ModelBase.load_hparams
CASES = {
    "llama": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig), "spm"),
    "llama3": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, rope_parameters=rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
        "bpe llama-bpe"),
    "llama_tied": (tf.LlamaForCausalLM, decoder(tf.LlamaConfig, tie_word_embeddings=True), "bpe gpt-2"),
    "mistral": (tf.MistralForCausalLM, decoder(tf.MistralConfig, sliding_window=None), "spm"),
    "mixtral": (tf.MixtralForCausalLM, decoder(tf.MixtralConfig, num_local_experts=4, num_experts_per_tok=2,
                                               sliding_window=None), "spm"),
    "qwen2": (tf.Qwen2ForCausalLM, decoder(tf.Qwen2Config), "bpe qwen2"),
    "qwen2_yarn": (tf.Qwen2ForCausalLM, decoder(tf.Qwen2Config, rope_parameters=YARN), "bpe qwen2"),
    "qwen2_moe": (tf.Qwen2MoeForCausalLM, decoder(tf.Qwen2MoeConfig, shared_expert_intermediate_size=64, **MOE),
                  "bpe qwen2"),
    "qwen3": (tf.Qwen3ForCausalLM, decoder(tf.Qwen3Config, head_dim=32, tie_word_embeddings=True), "bpe qwen2"),
    "qwen3_moe": (tf.Qwen3MoeForCausalLM, decoder(tf.Qwen3MoeConfig, norm_topk_prob=True, **MOE), "bpe qwen2"),
    "gemma": (tf.GemmaForCausalLM, decoder(tf.GemmaConfig, tie_word_embeddings=True), "spm plain"),
    "gemma2": (tf.Gemma2ForCausalLM, decoder(tf.Gemma2Config, sliding_window=7, query_pre_attn_scalar=16,
                                             tie_word_embeddings=True), "spm plain"),
    "gemma3": (tf.Gemma3ForCausalLM, decoder(tf.Gemma3TextConfig, num_hidden_layers=7, sliding_window=5,
                                             query_pre_attn_scalar=16, tie_word_embeddings=True), "spm plain"),
    "phi3": (tf.Phi3ForCausalLM, decoder(tf.Phi3Config, sliding_window=64), "spm"),
    "phi2": (tf.PhiForCausalLM, decoder(tf.PhiConfig, intermediate_size=256, num_key_value_heads=4, rope_parameters={
        **rope("default"), "partial_rotary_factor": 0.5}), "bpe gpt-2"),
    "gpt2": (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_ctx=64, n_embd=64, n_layer=2,
                                               n_head=4, bos_token_id=2, eos_token_id=2,
                                               attn_implementation="eager"), "bpe gpt-2"),
    "gpt_neox": (tf.GPTNeoXForCausalLM, decoder(tf.GPTNeoXConfig, rope_parameters={
        **rope("default"), "partial_rotary_factor": 0.5}), "bpe gpt-2"),
    "deepseek_v2": (tf.DeepseekV2ForCausalLM, decoder(tf.DeepseekV2Config, q_lora_rank=32, rope_parameters=PLAIN_YARN,
                                                      **DEEPSEEK), "bpe gpt-2"),
    "deepseek_v2_lite": (tf.DeepseekV2ForCausalLM, decoder(tf.DeepseekV2Config, q_lora_rank=None, num_hidden_layers=27, **DEEPSEEK),
                         "bpe gpt-2"),
    "gpt_oss": (tf.GptOssForCausalLM, decoder(tf.GptOssConfig, intermediate_size=64, num_local_experts=4,
                                              num_experts_per_tok=2, sliding_window=9, rope_parameters={
                                                  **YARN, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False}),
                "bpe gpt-4o"),
    "mamba": (tf.MambaForCausalLM, tf.MambaConfig(vocab_size=VOCABULARY, hidden_size=64, state_size=16,
                                                  num_hidden_layers=2, tie_word_embeddings=True), "bpe gpt-2"),
    "bert": (tf.BertModel, encoder(tf.BertConfig), "wordpiece bert-bge"),
    "bert_classify": (tf.BertForSequenceClassification, encoder(tf.BertConfig, id2label={
        0: "bad", 1: "fair", 2: "good"}), "wordpiece bert-bge"),
    "distilbert": (tf.DistilBertModel, tf.DistilBertConfig(vocab_size=VOCABULARY, dim=64, n_layers=2, n_heads=4,
                                                           hidden_dim=96, max_position_embeddings=64,
                                                           attn_implementation="eager"), "wordpiece bert-bge"),
    "roberta": (tf.RobertaModel, encoder(tf.RobertaConfig, max_position_embeddings=66, type_vocab_size=1,
                                         pad_token_id=1, bos_token_id=0, eos_token_id=2), "bpe gpt-2"),
    "xlm_roberta": (tf.XLMRobertaModel, encoder(tf.XLMRobertaConfig, max_position_embeddings=66, type_vocab_size=1,
                                                pad_token_id=1, bos_token_id=0, eos_token_id=2), "unigram"),
    "nomic_bert": (tf.NomicBertModel, encoder(tf.NomicBertConfig, max_position_embeddings=2048), "wordpiece bert-bge"),
    # tokenizers in files that are older than tokenizer.json
    "gpt2_old": (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_ctx=64, n_embd=64, n_layer=2,
                                                   n_head=4, bos_token_id=2, eos_token_id=2,
                                                   attn_implementation="eager"), "bpe gpt-2 old"),
    "qwen2_old": (tf.Qwen2ForCausalLM, decoder(tf.Qwen2Config), "bpe qwen2 old"),
    "bert_old": (tf.BertModel, encoder(tf.BertConfig), "wordpiece bert-bge old"),
    "xlm_roberta_old": (tf.XLMRobertaModel, encoder(tf.XLMRobertaConfig, max_position_embeddings=66, type_vocab_size=1,
                                                    pad_token_id=1, bos_token_id=0, eos_token_id=2), "unigram old"),
}


def randomise(model):
    torch.manual_seed(7)
    gemma = model.config.model_type.startswith("gemma")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "A_log" in name:
                continue
            if parameter.dim() == 1:
                centre = 1.0 if ("norm" in name.lower() or "ln_" in name) and "weight" in name and not gemma else 0.0
                parameter.copy_(centre + 0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_(torch.randn_like(parameter) * (1.2 / parameter.shape[-1] ** 0.5))


# ---- tokenizers -------------------------------------------------------------------------------------------------------

WORDS = ("the a quern grinds grain stone mill meal flour wind water old new turns slow fast hand day night who what "
         "They're I'll we've 12 345 2024 café naïve 東京 город").split()


def corpus():
    random = np.random.default_rng(2)
    for _ in range(3000):
        yield " ".join(random.choice(WORDS, 9)) + str(random.integers(10 ** 4)) + random.choice([".", "!\n", "?\n\n"])


PATTERNS = {
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                 r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
             r"|\s+(?!\S)|\s+",
    "gpt-4o": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll"
              r"|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m"
              r"|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def byte_level(kind, special):
    tokenizer = tk.Tokenizer(tk.models.BPE(ignore_merges=kind == "llama-bpe"))
    pre = tk.pre_tokenizers
    if kind in PATTERNS:
        tokenizer.pre_tokenizer = pre.Sequence([pre.Split(tk.Regex(PATTERNS[kind]), "isolated"),
                                                pre.ByteLevel(False, use_regex=False)])
    else:
        tokenizer.pre_tokenizer = pre.ByteLevel(False)
    tokenizer.decoder = tk.decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), tk.trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2, special_tokens=special, initial_alphabet=pre.ByteLevel.alphabet()))
    tokenizer.add_tokens([tk.AddedToken("<think>", normalized=False)])
    tokenizer.add_special_tokens(["<|im_end|>"])
    return tokenizer


def kind_of(kind):
    """Which model, the pre-tokeniser's name, whether it is in files older than tokenizer.json."""
    words = kind.split()
    old = words[-1] == "old"
    words = words[:-1] if old else words
    return words[0], words[1] if len(words) > 1 else "", old


def save_old_bpe(folder, kind, fields):
    """vocab.json and merges.txt; what transformers' class has by itself needs no file."""
    tokenizer = byte_level(kind, [])
    tokenizer.model.save(folder)
    gpt2 = kind == "gpt-2"
    fields.update(tokenizer_class="GPT2Tokenizer" if gpt2 else "Qwen2Tokenizer", eos_token="<|endoftext|>",
                  pad_token="<|endoftext|>", unk_token="<|endoftext|>", bos_token="<|endoftext|>" if gpt2 else None,
                  added_tokens_decoder={str(VOCABULARY - 2): {"content": "<|endoftext|>", "special": True,
                                                              "normalized": False}})


def save_tokenizer(folder, kind, config):
    name, pre, old = kind_of(kind)
    fields = {"clean_up_tokenization_spaces": False, "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}
    if name == "spm":
        path = os.path.join(folder, "spm")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=corpus(), model_prefix=path, vocab_size=VOCABULARY, model_type="bpe", byte_fallback=True,
            character_coverage=0.9995, pad_id=0, bos_id=1, eos_id=2, unk_id=3, add_dummy_prefix=pre != "plain",
            normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
        os.rename(path + ".model", os.path.join(folder, "tokenizer.model"))
        os.remove(path + ".vocab")
        fields.update(tokenizer_class="LlamaTokenizer", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
                      pad_token="<pad>", add_bos_token=True, add_eos_token=False)
    elif name == "wordpiece":
        tokenizer = tk.Tokenizer(tk.models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = tk.normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = tk.pre_tokenizers.BertPreTokenizer()
        tokenizer.train_from_iterator(corpus(), tk.trainers.WordPieceTrainer(
            vocab_size=VOCABULARY, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
        spare = [f"[unused{i}]" for i in range(VOCABULARY - tokenizer.get_vocab_size())]
        tokenizer.add_tokens(spare)
        tokenizer.post_processor = tk.processors.TemplateProcessing(
            "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
        if old:
            with open(os.path.join(folder, "vocab.txt"), "w") as file:
                for word, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
                    file.write(word + "\n")
        else:
            tokenizer.save(os.path.join(folder, "tokenizer.json"))
        fields.update(tokenizer_class="BertTokenizer", do_lower_case=True, unk_token="[UNK]", sep_token="[SEP]",
                      pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]")
        del fields["chat_template"]
    elif name == "unigram" and old:
        path = os.path.join(folder, "sentencepiece.bpe")
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=corpus(), model_prefix=path, vocab_size=300,
                                                 model_type="unigram", minloglevel=2)
        os.remove(path + ".vocab")
        fields.update(tokenizer_class="XLMRobertaTokenizer", bos_token="<s>", eos_token="</s>", sep_token="</s>",
                      cls_token="<s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>")
        del fields["chat_template"]
    elif name == "bpe" and old:
        save_old_bpe(folder, pre, fields)
    elif name == "unigram":
        path = os.path.join(folder, "spm")
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=corpus(), model_prefix=path, vocab_size=300,
                                                 model_type="unigram", minloglevel=2)
        with open(path + ".model", "rb") as file:
            charsmap = sentencepiece_model_pb2.ModelProto.FromString(file.read()).normalizer_spec.precompiled_charsmap
        for end in (".model", ".vocab"):
            os.remove(path + end)
        tokenizer = tk.Tokenizer(tk.models.Unigram())
        tokenizer.normalizer = tk.normalizers.Precompiled(charsmap)
        tokenizer.pre_tokenizer = tk.pre_tokenizers.Sequence([tk.pre_tokenizers.WhitespaceSplit(),
                                                              tk.pre_tokenizers.Metaspace()])
        tokenizer.train_from_iterator(corpus(), tk.trainers.UnigramTrainer(
            vocab_size=VOCABULARY - 1, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>"))
        state = json.loads(tokenizer.to_str())
        vocab = state["model"]["vocab"]
        vocab += [[f"▁spare{i}", -20.0] for i in range(VOCABULARY - 1 - len(vocab))] + [["<mask>", 0.0]]
        tokenizer = tk.Tokenizer.from_str(json.dumps(state))
        tokenizer.add_special_tokens([tk.AddedToken("<mask>", lstrip=True)])
        tokenizer.post_processor = tk.processors.TemplateProcessing(
            "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)])
        tokenizer.save(os.path.join(folder, "tokenizer.json"))
        fields.update(tokenizer_class="PreTrainedTokenizerFast", add_prefix_space=True,
                      clean_up_tokenization_spaces=True, bos_token="<s>", eos_token="</s>", sep_token="</s>",
                      cls_token="<s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>")
        del fields["chat_template"]
    else:
        special = ["<s>", "<pad>"] if config.pad_token_id == 1 else ["<pad>", "<s>"]
        tokenizer = byte_level(pre, special + ["</s>", "<unk>", "<mask>"])
        tokenizer.save(os.path.join(folder, "tokenizer.json"))
        fields.update(tokenizer_class="PreTrainedTokenizerFast", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
                      pad_token="<pad>")
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump(fields, file, indent=1)


# ---- llama.cpp's converter --------------------------------------------------------------------------------------------

def run(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError((result.stderr or result.stdout).strip().splitlines()[-1])
    return result.stdout


def load_config(folder, *arguments, **named):
    """The file's own keys beside those of transformers 5, which renames some that the converter asks for."""
    with open(os.path.join(folder, "config.json")) as file:
        return {**converter_load(folder, *arguments, **named), **json.load(file)}


def convert_theirs(folder, out, kind, pre):
    if pre != "plain":  # it knows pre-tokenisers by the published vocabularies only
        converter_base.TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
    arguments, sys.argv = sys.argv, ["convert_hf_to_gguf.py", folder, "--outfile", out, "--outtype", kind]
    try:
        converter.main()
    except (Exception, SystemExit) as problem:
        raise RuntimeError(f"their converter: {problem!r}") from problem
    finally:
        sys.argv = arguments
        logging.disable(logging.CRITICAL)


def value_of(field):
    kinds = [t.name for t in field.types]
    value = field.contents()
    return kinds, value


# What Quern writes and the converter does not, where llama.cpp would take a default: the name's end, and why.
EXTRA = {
    "vocab_size": "for readers without a tokenizer", "rope.dimension_count": "", "rope.freq_base": "",
    "attention.key_length": "", "attention.value_length": "", "general.file_type": "",
    "add_bos_token": "the default is of the pre-tokeniser, not of the folder", "add_eos_token": "",
    "add_space_prefix": "tokenizer.model says it", "remove_extra_whitespaces": "", "unknown_token_id": "",
    "cls_token_id": "", "head": "which head an encoder has", "head_activation": "",
    "cls.weight": "BERT's pooler, which the converter leaves out of classifiers", "cls.bias": "",
}


def is_extra(name):
    return any(name == end or name.endswith("." + end) for end in EXTRA)


def rounded_apart(x, y):
    """Quern rounds by the scale that is stored, the converter by the scale before it is made f16: a step apart, rarely."""
    if x.tensor_type != gguf.GGMLQuantizationType.Q8_0:
        return False
    a, b = (t.data.reshape(-1, 34) for t in (x, y))
    codes = np.abs(a[:, 2:].view(np.int8).astype(int) - b[:, 2:].view(np.int8))
    return np.array_equal(a[:, :2], b[:, :2]) and codes.max() <= 1 and np.count_nonzero(codes) <= 0.05 * codes.size


# The same for folders without tokenizer.json: the converter takes no more than config.json's ids from them.
EXTRA_OLD = ("token_id", "add_sep_token", "normalizer.lowercase", "chat_template")


def differences(ours, theirs, old=False):
    """Lines that say where two GGUF files differ."""
    a, b = gguf.GGUFReader(ours), gguf.GGUFReader(theirs)
    out = []
    for key in sorted(set(a.fields) | set(b.fields)):
        if key.startswith(("GGUF.", "general.")) and key not in ("general.architecture", "general.type",
                                                                  "general.file_type", "general.quantization_version"):
            continue
        if key == "tokenizer.ggml.eot_token_id" and value_of(a.fields["general.architecture"])[1] == "gemma":
            continue  # 107 whatever the vocabulary is; llama.cpp finds the token by its text
        if key not in a.fields:
            out.append(f"key {key} = {str(value_of(b.fields[key])[1])[:60]} is missing")
        elif key not in b.fields and (is_extra(key) or (old and key.endswith(EXTRA_OLD))):
            continue
        elif key not in b.fields:
            out.append(f"extra key {key} = {str(value_of(a.fields[key])[1])[:60]}")
        else:
            (kinds, x), (their_kinds, y) = value_of(a.fields[key]), value_of(b.fields[key])
            same = x == y or (isinstance(x, float) and abs(x - y) <= 1e-6 * abs(y)) or (
                isinstance(x, list) and x and isinstance(x[0], float) and np.allclose(x, y, 1e-6, 0))
            if kinds != their_kinds:
                out.append(f"key {key}: type {kinds}, theirs {their_kinds}")
            if old and not same and isinstance(x, list) and "<mask>" in value_of(a.fields["tokenizer.ggml.tokens"])[1]:
                # the converter gives XLM-RoBERTa's mask no row
                at = value_of(a.fields["tokenizer.ggml.tokens"])[1].index("<mask>")
                same = x[:at] == y[:at]
            if not same and isinstance(x, list):
                at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
                out.append(f"key {key}: element {at} of {len(x)}: {x[at:at + 2]}, theirs ({len(y)}) {y[at:at + 2]}")
            elif not same:
                out.append(f"key {key}: {str(x)[:60]}, theirs {str(y)[:60]}")
    mine, other = {t.name: t for t in a.tensors}, {t.name: t for t in b.tensors}
    for name in sorted(set(mine) | set(other)):
        if name not in other and is_extra(name):
            continue
        if name not in mine or name not in other:
            out.append(f"{'tensor' if name in other else 'extra tensor'} {name}"
                       f"{' is missing' if name in other else ''}")
            continue
        x, y = mine[name], other[name]
        if list(x.shape) != list(y.shape) or x.tensor_type != y.tensor_type:
            out.append(f"tensor {name}: {list(x.shape)} {x.tensor_type.name}, theirs {list(y.shape)} "
                       f"{y.tensor_type.name}")
        elif name == "rope_freqs.weight" and np.allclose(x.data, y.data, 1e-6, 0):
            continue  # computed, not copied
        elif x.data.tobytes() != y.data.tobytes() and not rounded_apart(x, y):
            count = np.count_nonzero(x.data.view(np.uint8) != y.data.view(np.uint8))
            out.append(f"tensor {name}: {count} of {x.data.nbytes} bytes differ")
    return out


# ---- logits -----------------------------------------------------------------------------------------------------------


@lc.llama_log_callback
def silent(level, text, data):
    pass


def llama_values(path, tokens, hidden):
    """Logits, or hidden states of an encoder, for all tokens."""
    lc.llama_log_set(silent, ctypes.c_void_p(0))
    options = lc.llama_model_default_params()
    options.use_mmap = False
    options.n_gpu_layers = 0
    model = lc.llama_model_load_from_file(path.encode(), options)
    if not model:
        raise RuntimeError("llama.cpp does not load the file")
    context_options = lc.llama_context_default_params()
    context_options.n_ctx = context_options.n_batch = context_options.n_ubatch = 64
    context_options.n_threads = context_options.n_threads_batch = 1
    context_options.type_k = context_options.type_v = 0  # f32
    context_options.flash_attn_type = 0
    context_options.embeddings = hidden
    context_options.pooling_type = 0
    context = lc.llama_init_from_model(model, context_options)
    batch = lc.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = int(token), i, 1, 0, 1
    code = (lc.llama_encode if hidden else lc.llama_decode)(context, batch)
    if code != 0:
        raise RuntimeError(f"llama.cpp's evaluation ends with {code}")
    size = lc.llama_model_n_embd(model) if hidden else lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(model))
    get = lc.llama_get_embeddings_ith if hidden else lc.llama_get_logits_ith
    values = np.array([np.ctypeslib.as_array(get(context, i), (size,)) for i in range(len(tokens))])
    lc.llama_batch_free(batch)
    lc.llama_free(context)
    lc.llama_model_free(model)
    return values


def quern_values(quern, path, tokens, hidden, out):
    ids = ",".join(map(str, tokens))
    if hidden:
        values = [run([quern, "embed", path, "--tokens", ids, "--pooling", kind, "--no-normalize", "--activations",
                       "f32", "-q", "-o", out]) and None or np.load(out)[0] for kind in ("cls", "mean")]
        return np.array(values)
    run([quern, "run", path, "--tokens", ids, "--logits", out, "--kv", "f32", "--activations", "f32", "-q"])
    return np.load(out)


def torch_values(model, tokens, hidden):
    with torch.no_grad():
        out = (model.base_model if hidden else model)(torch.tensor(np.array(tokens))[None])
    return (out.last_hidden_state if hidden else out.logits)[0].float().numpy()


def error(found, expected):
    return float(np.max(np.abs(found - expected)) / np.ptp(expected))


# ---- the whole --------------------------------------------------------------------------------------------------------


def legacy(folder, case):
    """Keys that the published config.json files have, and llama.cpp's converter asks for."""
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        values = json.load(file)
    parameters = values.get("rope_parameters") or {}
    if values["model_type"] == "gpt_neox":
        values["rotary_pct"] = parameters["partial_rotary_factor"]
    if values["model_type"] == "phi":
        values["partial_rotary_factor"] = parameters["partial_rotary_factor"]
    if values["model_type"] == "nomic_bert":
        values.update(n_positions=8192, max_trained_positions=2048, n_embd=values["hidden_size"],
                      n_head=values["num_attention_heads"], n_inner=values["intermediate_size"],
                      n_layer=values["num_hidden_layers"], layer_norm_epsilon=values["layer_norm_eps"],
                      activation_function="swiglu", causal=False, qkv_proj_bias=False, mlp_fc1_bias=False,
                      mlp_fc2_bias=False, prenorm=False, rotary_emb_fraction=1.0, rotary_emb_interleaved=False,
                      rotary_emb_scale_base=None, rotary_emb_base=parameters["rope_theta"])
    if kind_of(CASES[case][2])[2] and CASES[case][2].startswith("bpe"):
        tokenizer = tf.AutoTokenizer.from_pretrained(folder)
        values.update(bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                      pad_token_id=tokenizer.pad_token_id)
    if values["model_type"] == "gpt2":
        values["n_ctx"] = values["n_positions"]
    with open(path, "w") as file:
        json.dump(values, file, indent=1)


def check_folder(quern, case, kind, model, path, work, folder, tokens, hidden):
    """Back to a folder: what transformers makes of it."""
    back = os.path.join(work, case + "-back")
    run([quern, "convert", path, "-o", back, "-q"])
    again = kind.from_pretrained(back, dtype=torch.float32, attn_implementation="eager").eval()
    first, second = model.state_dict(), again.state_dict()
    changed = [name for name in first if name not in second or not same_values(case, name, first[name], second[name])]
    value = error(torch_values(again, tokens, hidden), torch_values(model, tokens, hidden))
    tokenizer, ids = tf.AutoTokenizer.from_pretrained(back), reference_ids(folder)
    return value, changed, [text for text in TEXTS if ids(text) not in (None, tokenizer(text)["input_ids"])]


def reference_ids(folder):
    """SentencePiece's own where the folder has its model: transformers' classes read one model in several ways."""
    path = os.path.join(folder, "tokenizer.model")
    if not os.path.exists(path):
        tokenizer = tf.AutoTokenizer.from_pretrained(folder)
        return lambda text: tokenizer(text)["input_ids"]
    model = sentencepiece.SentencePieceProcessor(path)
    return lambda text: None if "<s>" in text else [model.bos_id()] + model.encode(text)


# Texts whose ids must be the same from the folder that came back.
TEXTS = (["", "The old quern grinds.", " two  spaces\tand a tab\n\n  newline ", "They're 12345 café naïve 東京 город 🦙!",
          "HELLO World's (test) [x] {y}... a_b-c+d=e", "<s>special</s> <pad> [MASK] <mask> tokens<think>", "\u00a0\u3000ﬁ①"]
         + [" ".join(words) for words in np.random.default_rng(5).choice(WORDS, (40, 7))])


def same_values(case, name, first, second):
    """To the last bit, but for what GGUF does not have or has computed."""
    if name.endswith(("pooler.dense.weight", "pooler.dense.bias")) and case != "bert_classify":
        return True  # an embedding model's pooler, which no GGUF file has
    if name.endswith("position_embeddings.weight") and "roberta" in case:
        first, second = first[2:], second[2:]  # the rows that no token has
    if case.startswith("gemma") and "norm" in name:  # one is added in GGUF, and taken off again
        return torch.allclose(first, second, rtol=0, atol=2 ** -22)
    if name.endswith("A_log"):
        return torch.allclose(first, second, rtol=1e-6, atol=1e-6)
    return torch.equal(first, second)


def check(quern, case, work):
    kind, config, tokenizer = CASES[case]
    folder, problems = os.path.join(work, case, "model"), []
    model = kind(config).float().eval()
    hidden = tokenizer.startswith(("wordpiece", "unigram")) or case == "roberta"
    randomise(model)
    model.save_pretrained(folder)
    save_tokenizer(folder, tokenizer, config)
    legacy(folder, case)
    for out in TYPES:
        ours, theirs = (os.path.join(work, f"{case}-{who}-{out}.gguf") for who in ("quern", "llama"))
        run([quern, "convert", folder, "-o", ours, "--type", out, "-q"])
        try:
            convert_theirs(folder, theirs, out, kind_of(tokenizer)[1])
        except RuntimeError as problem:
            problems.append(str(problem))
            break
        problems += [f"{out}: {line}" for line in differences(ours, theirs, kind_of(tokenizer)[2]) if out == "f32" or "tensor" in line]
    path = os.path.join(work, f"{case}-quern-f32.gguf")
    tokens = np.random.default_rng(3).integers(5, VOCABULARY, TOKENS)
    expected = torch_values(model, tokens, hidden)
    quern_out = quern_values(quern, path, tokens, hidden, os.path.join(work, "out.npy"))
    pooled = np.array([expected[0], expected.mean(0)]) if hidden else expected
    values = [np.inf, error(quern_out, pooled)]
    try:
        theirs = llama_values(path, tokens, hidden)
        values[0] = error(theirs, expected)
    except RuntimeError as problem:
        problems.append(str(problem))
    back, changed, texts = np.inf, [], []
    try:
        back, changed, texts = check_folder(quern, case, kind, model, path, work, folder, tokens, hidden)
    except (RuntimeError, ValueError, OSError, KeyError) as problem:
        problems.append(f"back to a folder: {problem}")
    if changed:
        problems.append(f"back to a folder: {len(changed)} tensors differ, {changed[0]}")
    if texts:
        problems.append(f"back to a folder: {len(texts)} of {len(TEXTS)} texts have other ids, {texts[0]!r}")
    return values + [back], problems


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    quern, chosen, failed = sys.argv[1], sys.argv[2:] or list(CASES), 0
    converter_base.ModelBase.load_hparams = staticmethod(load_config)
    tf.logging.set_verbosity_error()
    tf.utils.logging.disable_progress_bar()
    logging.disable(logging.CRITICAL)
    print(f"{'case':18} {'llama.cpp':>10} {'Quern':>10} {'folder':>10}  files")
    with tempfile.TemporaryDirectory() as work:
        for case in chosen:
            (theirs, ours, back), problems = check(quern, case, os.environ.get("WORK") or work)
            bad = bool(problems) or theirs > 1e-3 or ours > 1e-3 or not back <= 1e-5
            failed += bad
            print(f"{case:18} {theirs:10.1e} {ours:10.1e} {back:10.1e}  {'differ' if problems else 'the same'}", flush=True)
            for line in problems:
                print("    " + line)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
