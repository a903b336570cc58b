"""Write the model as GGUF (architecture ``llama``) and read it back into PyTorch."""

import gguf
import numpy as np
import sentencepiece as spm
import torch
from gguf import GGMLQuantizationType as Q

from model import Config, StoryModel, gguf_names


def token_lists(tokenizer):
    """Tokens, scores and types in the order and form of a Llama tokenizer."""
    tokens, scores, types = [], [], []
    for i in range(tokenizer.vocab_size()):
        tokens.append(tokenizer.id_to_piece(i).encode())
        scores.append(tokenizer.get_score(i))
        if tokenizer.is_unknown(i):
            types.append(gguf.TokenType.UNKNOWN)
        elif tokenizer.is_control(i):
            types.append(gguf.TokenType.CONTROL)
        elif tokenizer.is_byte(i):
            types.append(gguf.TokenType.BYTE)
        else:
            types.append(gguf.TokenType.NORMAL)
    return tokens, scores, types


def add_metadata(writer, cfg):
    writer.add_type("model")
    writer.add_name("Quern Stories")
    writer.add_description("A small model that tells short, simple stories.")
    writer.add_license("Apache-2.0")
    writer.add_languages(["en"])
    writer.add_context_length(cfg.context)
    writer.add_embedding_length(cfg.dim)
    writer.add_block_count(cfg.layers)
    writer.add_feed_forward_length(cfg.ff)
    writer.add_head_count(cfg.heads)
    writer.add_head_count_kv(cfg.kv_heads)
    writer.add_layer_norm_rms_eps(cfg.eps)
    writer.add_rope_dimension_count(cfg.head_dim)
    writer.add_rope_freq_base(cfg.rope_base)
    writer.add_vocab_size(cfg.vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_tokenizer(writer, tokenizer_path):
    tokenizer = spm.SentencePieceProcessor(model_file=str(tokenizer_path))
    tokens, scores, types = token_lists(tokenizer)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(tokenizer.bos_id())
    writer.add_eos_token_id(tokenizer.eos_id())
    writer.add_unk_token_id(tokenizer.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)


def export(model, tokenizer_path, path):
    """Matrices as Q8_0, norms as F32. Rows of q and k already pair as rope 'normal' wants."""
    writer = gguf.GGUFWriter(str(path), "llama")
    add_metadata(writer, model.cfg)
    add_tokenizer(writer, tokenizer_path)
    state = model.state_dict()
    for theirs, ours in gguf_names(model.cfg).items():
        data = state[ours].detach().float().numpy()
        if data.ndim == 1:
            writer.add_tensor(theirs, data)
        else:
            writer.add_tensor(theirs, gguf.quants.quantize(data, Q.Q8_0), raw_dtype=Q.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def field(reader, key):
    return reader.get_field(key).contents()


def load(path):
    """The PyTorch model with the dequantised weights of a GGUF file."""
    reader = gguf.GGUFReader(str(path))
    key = lambda name: field(reader, f"llama.{name}")
    cfg = Config(vocab=key("vocab_size"), dim=key("embedding_length"), layers=key("block_count"),
                 heads=key("attention.head_count"), kv_heads=key("attention.head_count_kv"),
                 ff=key("feed_forward_length"), context=key("context_length"),
                 rope_base=key("rope.freq_base"), eps=key("attention.layer_norm_rms_epsilon"))
    names, state = gguf_names(cfg), {}
    for tensor in reader.tensors:
        data = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        state[names[tensor.name]] = torch.from_numpy(np.array(data, dtype=np.float32))
    model = StoryModel(cfg)
    model.load_state_dict(state)
    return model.eval(), reader
