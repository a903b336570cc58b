/* The way back: a model (a GGUF file, as a rule) as the folder that reading would make the same model of. config.json
 * is written by the architecture's `back`, the tensors follow from its table of names, turned round: the tensors that a
 * folder must have are made up and matched with the table as those of a folder are, and the pieces that come of it say
 * where each row is to be found. So what is written is known to be read as the same model before a byte is on the disk.
 *
 * A view is made by one thread; reading is free to be done by any one at a time.
 */
#ifndef QN_FORMAT_HF_BACK_H
#define QN_FORMAT_HF_BACK_H

#include "base/json.h"
#include "base/str.h"
#include "format/hf/hf.h"
#include "quern/model.h"

/* Where rows of a tensor of the folder lie in the model. */
struct qn_hf_link {
    uint32_t source; /* index into view.sources */
    uint32_t tensor; /* of the model */
    uint64_t offset; /* rows of the tensor before the piece's */
    const struct qn_hf_piece *piece;
    enum qn_hf_value_op value;
};

struct qn_hf_back {
    const struct qn_allocator *allocator;
    struct qn_model *model;
    qn_dtype type;     /* of matrices, NONE: as they are */
    struct qn_hf view; /* what reading the folder will give; its sources are the tensors to write */
    qn_status status;
    struct qn_strbuf text; /* config.json */
    struct qn_json_writer json;
    const char *avoid[2];              /* beginnings of the folder's names that are another version's; NULL: none */
    struct qn_map names;               /* of the view's sources */
    QN_ARRAY(struct qn_hf_link) links; /* by source */
    QN_ARRAY(uint32_t) first_link;     /* of each source, and one beyond */
};

/* `type` is that of all matrices: f32, f16 or bf16; NONE: as they are, quantised ones f16. QN_UNSUPPORTED where the
 * architecture has no table, or config.json no word for what the model has. */
qn_status qn_hf_back_open(struct qn_model *model, qn_dtype type, const struct qn_allocator *allocator,
                          struct qn_hf_back **out) QN_MUST_USE;
void qn_hf_back_close(struct qn_hf_back *back); /* NULL is allowed */

/* How many rows (along the last dim) of a source are made at a time: qn_hf_back_read takes multiples of it. */
uint64_t qn_hf_back_unit(const struct qn_hf_back *back, uint32_t source);
/* Rows [first, first + count) of a source as floats; `first` is a multiple of the unit, and so is `count` or it goes up
 * to the end. Rows that the model does not have are zeros. */
qn_status qn_hf_back_read(const struct qn_hf_back *back, uint32_t source, uint64_t first, uint64_t count,
                          float *out) QN_MUST_USE;

/* ---- what an architecture's `back` may call ------------------------------------------------------------------- */

/* Metadata of the model, names relative to the architecture. */
bool qn_hf_back_meta(const struct qn_hf_back *back, const char *name, struct qn_meta_item *out);
uint64_t qn_hf_back_u64(const struct qn_hf_back *back, const char *name, uint64_t fallback);
double qn_hf_back_f64(const struct qn_hf_back *back, const char *name, double fallback);
bool qn_hf_back_bool(const struct qn_hf_back *back, const char *name, bool fallback);
struct qn_str qn_hf_back_str(const struct qn_hf_back *back, const char *name); /* data NULL when absent */
/* The same under a full key ("tokenizer.ggml.model"). */
struct qn_str qn_hf_back_general(const struct qn_hf_back *back, const char *key);
bool qn_hf_back_has(const struct qn_hf_back *back, const char *tensor);
/* The size of a dim of a tensor, 0 when there is no such tensor or dim. */
uint64_t qn_hf_back_dim(const struct qn_hf_back *back, const char *tensor, uint32_t dim);

/* Members of config.json. */
void qn_hf_back_put_u64(struct qn_hf_back *back, const char *key, uint64_t value);
void qn_hf_back_put_f64(struct qn_hf_back *back, const char *key, double value); /* as short as a float can be said */
void qn_hf_back_put_bool(struct qn_hf_back *back, const char *key, bool value);
void qn_hf_back_put_str(struct qn_hf_back *back, const char *key, struct qn_str value);
void qn_hf_back_put_null(struct qn_hf_back *back, const char *key);

/* The other way round of qn_hf_heads_keys, qn_hf_rope_keys, both (qn_hf_attention_keys), qn_hf_window_keys and
 * qn_hf_activation_key. The window is written as `sliding_window`, with layer_types where they are not the
 * architecture's own, or `always`. */
void qn_hf_back_heads(struct qn_hf_back *back);
void qn_hf_back_rope(struct qn_hf_back *back);
void qn_hf_back_attention(struct qn_hf_back *back);
void qn_hf_back_window(struct qn_hf_back *back, uint64_t period, bool always);
void qn_hf_back_activation(struct qn_hf_back *back, const char *key, const char *usual);

/* Chooses the sources and links them with the model's tensors; view.config is set (hf_back_tensors.c). */
qn_status qn_hf_back_make_links(struct qn_hf_back *back) QN_MUST_USE;

#endif
