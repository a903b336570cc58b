/* What the other files of a model's folder say of its tokenizer: added tokens, tokens with a role, switches. */
#ifndef QN_TEXT_FOLDER_TOKENS_H
#define QN_TEXT_FOLDER_TOKENS_H

#include "base/json.h"
#include "text/tokenizer/pipeline.h"

/* Tokens that have a name, in the order in which transformers adds them to a vocabulary. */
enum qn_named_token {
    QN_NAMED_BOS,
    QN_NAMED_EOS,
    QN_NAMED_UNK,
    QN_NAMED_SEP,
    QN_NAMED_PAD,
    QN_NAMED_CLS,
    QN_NAMED_MASK,
    QN_NAMED_COUNT,
};

struct qn_added_list {
    struct qn_added_token *items;
    uint32_t count;
};

/* Switches are 1, 0, or -1 where nothing is said. Texts live as long as the files. */
struct qn_tokenizer_extras {
    struct qn_added_token named[QN_NAMED_COUNT]; /* content.size 0: not named */
    struct qn_added_list added, more;            /* by their ids; further special ones */
    struct qn_str class_name;                    /* "GPT2Tokenizer", or empty */
    struct qn_str model_type;                    /* of config.json, or empty */
    struct qn_str merges;                        /* merges.txt; data NULL: there is none */
    int add_bos, add_eos;                        /* tokens around a text */
    int prefix_space, legacy;                    /* a space before a text; before each part between added tokens, too */
    int lower_case, cut_chinese, strip_accents;  /* of vocab.txt */
};

/* The files, each NULL when absent: tokenizer_config.json, special_tokens_map.json, added_tokens.json, config.json. The
 * lists lie in the arena. */
struct qn_folder_files {
    const struct qn_json *config, *specials, *added, *model;
};
qn_status qn_folder_tokens(const struct qn_folder_files *files, struct qn_arena *arena,
                           struct qn_tokenizer_extras *out) QN_MUST_USE;

/* Adds those tokens of the folder that the tokenizer has not yet to its added ones, before qn_pipeline_finish; named
 * ones that the folder does not name are those of `usual`, which may be NULL. */
qn_status qn_pipeline_add_tokens(struct qn_tokenizer *t, const struct qn_tokenizer_extras *extras,
                                 const char *const usual[QN_NAMED_COUNT]) QN_MUST_USE;

/* The token of a name, after qn_pipeline_finish; QN_TOKEN_NONE: there is none. */
int32_t qn_folder_token(const struct qn_tokenizer *t, const struct qn_tokenizer_extras *extras,
                        const char *const usual[QN_NAMED_COUNT], enum qn_named_token name);
/* The roles that the names give, after qn_pipeline_finish; `extras` and `usual` may be NULL. QN_TOKEN_NONE: no such
 * token. */
void qn_folder_roles(const struct qn_tokenizer *t, const struct qn_tokenizer_extras *extras,
                     const char *const usual[QN_NAMED_COUNT], int32_t roles[QN_TOKEN_ROLE_COUNT]);

#endif
