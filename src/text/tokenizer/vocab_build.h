/* The steps of qn_tokenizer_build (part of vocab.c). */
#ifndef QN_TEXT_VOCAB_BUILD_H
#define QN_TEXT_VOCAB_BUILD_H

#include "text/tokenizer/pre.h"
#include "text/tokenizer/vocab.h"

static inline bool qn_vocab_is_byte_level(const struct qn_tokenizer *t)
{
    return t->kind == QN_TOKENIZER_BPE && !(t->pre_flags & QN_PRE_CHARACTERS);
}

/* Room for the texts of all tokens, then one of them; of equal texts the last one counts. False on lack of memory. */
bool qn_text_ids_init(struct qn_text_ids *ids, struct qn_tokenizer *t);
bool qn_text_ids_put(struct qn_text_ids *ids, const char *text, uint32_t size, uint32_t id);

/* Texts, scores and types, and the map by text. */
qn_status qn_vocab_copy_tokens(struct qn_tokenizer *t, const struct qn_vocab_desc *desc) QN_MUST_USE;
/* Roles, ends of a generation, stripping; settles every token's flags. */
void qn_vocab_find_special(struct qn_tokenizer *t, const struct qn_vocab_desc *desc);
/* What each token adds to a text. */
qn_status qn_vocab_make_pieces(struct qn_tokenizer *t, const struct qn_vocab_desc *desc) QN_MUST_USE;

#endif
