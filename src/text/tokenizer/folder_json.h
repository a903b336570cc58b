/* tokenizer.json for folders that have older files only. */
#ifndef QN_TEXT_FOLDER_JSON_H
#define QN_TEXT_FOLDER_JSON_H

#include "base/str.h"
#include "text/tokenizer/folder_tokens.h"

/* The tokenizer of a folder without tokenizer.json, as the text of one, appended to *out: of a vocab.txt, of a
 * vocab.json and its merges.txt, or of XLM-RoBERTa's SentencePiece model. Beside what tokenizer.json has, it names the
 * tokens with a role as tokenizer_config.json does ("unk_token": "[UNK]"). Nothing is appended for other folders. */
qn_status qn_tokenizer_folder_json(const char *folder, const struct qn_allocator *allocator,
                                   struct qn_strbuf *out) QN_MUST_USE;

/* The part of it that writes: `merges` is merges.txt (data NULL: none). Lack of memory shows in out->failed. */
void qn_pipeline_write_json(const struct qn_tokenizer *tokenizer, struct qn_str merges, struct qn_strbuf *out);

#endif
