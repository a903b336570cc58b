/* Tokenizers of files in memory; `name` is the file, for messages, `extras` may be NULL. Nothing of the data is kept.
 */
#ifndef QN_TEXT_VOCAB_FILES_H
#define QN_TEXT_VOCAB_FILES_H

#include "text/tokenizer/vocab.h"

/* A SentencePiece model of the kinds unigram and BPE. Without extras nothing is put around a text. */
qn_status qn_tokenizer_from_sentencepiece(struct qn_str data, const char *name,
                                          const struct qn_tokenizer_extras *extras,
                                          const struct qn_allocator *allocator, struct qn_tokenizer **out) QN_MUST_USE;

/* BERT's WordPiece vocabulary: a token a line. */
qn_status qn_tokenizer_from_vocab_txt(struct qn_str text, const char *name, const struct qn_tokenizer_extras *extras,
                                      const struct qn_allocator *allocator, struct qn_tokenizer **out) QN_MUST_USE;

/* A folder's vocab.json with the merges.txt of `extras`, as transformers' byte-level classes read them: GPT-2, RoBERTa,
 * Qwen2, GPT-NeoX, DeBERTa, CLIP. The class is the folder's; GPT-2 where it names none. */
qn_status qn_tokenizer_from_vocab_json(struct qn_str text, const char *name, const struct qn_tokenizer_extras *extras,
                                       const struct qn_allocator *allocator, struct qn_tokenizer **out) QN_MUST_USE;

#endif
