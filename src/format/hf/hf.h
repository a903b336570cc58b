/* A Hugging Face folder (config.json and weights) seen as if it were a GGUF file: metadata under GGUF's keys, tensors
 * under GGUF's names. What the graph builder, the tokenizer and `quern convert` read is this view.
 *
 * One table an architecture (hf_archs.def) maps the keys of config.json and the tensors' names. A tensor whose bytes
 * are not those of the file has a recipe: rows put in another order, a transpose, experts stacked, quantised weights
 * unpacked, one added. Recipes are carried out by rows, when somebody reads the tensor.
 *
 * docs/architectures.md walks through adding one.
 */
#ifndef QN_FORMAT_HF_H
#define QN_FORMAT_HF_H

#include "base/json.h"
#include "format/format.h"
#include "format/tensor_set.h"

/* ---- the table of an architecture ----------------------------------------------------------------------------- */

enum qn_hf_kind { QN_HF_U32, QN_HF_F32, QN_HF_BOOL };

/* A key of config.json that goes over as it is. A key that is absent or null, and not needed, is left out. */
struct qn_hf_key {
    const char *from; /* "hidden_size" */
    const char *to;   /* relative to the architecture: "embedding_length" */
    enum qn_hf_kind kind;
    bool need;
};

enum qn_hf_value_op {
    QN_HF_SAME = 0,
    QN_HF_PLUS_ONE,  /* w + 1, as f32 */
    QN_HF_MINUS_EXP, /* -exp(w), as f32 */
};

enum qn_hf_heads {
    QN_HF_NO_HEADS = 0,
    QN_HF_QUERY_HEADS, /* num_attention_heads */
    QN_HF_KEY_HEADS,   /* num_key_value_heads */
};

/* A tensor name. "{}" stands for a number: the first is the layer and stands in `to` as well, a second is an expert,
 * whose matrices are stacked in that order. `from` counts with and without the architecture's prefix. Several rows may
 * have one `from` (a fused tensor that GGUF splits), or one `to` (tensors that GGUF joins, or names of several versions
 * of transformers). */
struct qn_hf_name {
    const char *from, *to; /* to NULL: known, and not needed */
    /* What the configuration says of the dims, outermost first: "num_attention_heads*head_dim,hidden_size". "?" is any
     * size, a key that the configuration lacks is not checked. NULL: nothing. */
    const char *shape;
    enum qn_hf_heads interleave; /* rotary halves of these heads become neighbouring pairs, as GGUF's llama has them */
    enum qn_hf_value_op value;
    bool transpose; /* the last two dims change places (Conv1D) */
    bool squeeze;   /* dims of 1 but the last are left out */
    /* Part `part` of `split` equal parts of the rows of each matrix (of a vector: of its elements); 0: all. */
    uint8_t split, part;
    bool elements;               /* the parts are of each row's elements instead */
    bool alternate;              /* row i belongs to part i % split, instead of whole runs */
    enum qn_hf_heads split_each; /* the parts are those of each of these heads: [heads, split, size] */
    /* Of each skip + take + rest rows those in the middle, as a stack of matrices [runs, take, size]. The numbers are
     * written as in `shape`; NULL: 0, take NULL: all rows, no stack. turn: each of the matrices is transposed. */
    const char *skip, *take, *rest;
    bool turn;
    uint8_t slot;      /* which piece of a joined tensor, in rows */
    const char *after; /* rows up to and with the one that this key numbers are left out */
    bool untied;       /* the row holds where tie_word_embeddings is false only */
    const char *rival; /* where it is false, a tensor of this name takes the row's place */
    const char *of;    /* the row holds for models whose name in `architectures` ends so; otherwise the tensor
                                    is not needed. NULL: for all */
};

struct qn_hf;
struct qn_hf_back;

struct qn_hf_arch {
    const char *model_type;         /* as config.json has it */
    const char *gguf;               /* general.architecture */
    const char *prefix;             /* "model.": what the base model's tensors may lack */
    const char *layers;             /* key of the number of layers */
    const char *layers_before;      /* what that key was once, or NULL */
    const struct qn_hf_key *keys;   /* ends with from NULL */
    const struct qn_hf_name *names; /* ends with from NULL */
    const char *defaults;           /* JSON: what config.json may leave out, where GGUF cannot; NULL: nothing */
    bool spare_layers;              /* tensors of layers beyond the number are left out, not an error */
    bool exact_ramp;                /* YaRN without a word in the file: the ramp's ends are not rounded (arch/arch.h) */
    /* What tables cannot say: further keys and tensors. NULL: nothing. Errors stick to hf->status. */
    void (*finish)(struct qn_hf *hf);
    /* The way back (hf_back.h). The class of transformers that `architectures` names; of an encoder without what its
     * head adds. Whether a model of this `gguf` is of this model_type: NULL for yes; of those that say yes, the last in
     * hf_archs.def is taken. What `finish` reads, written into config.json. */
    const char *class_;
    bool (*claims)(const struct qn_hf_back *back);
    void (*back)(struct qn_hf_back *back);
};

/* ---- what `finish` may call ----------------------------------------------------------------------------------- */

/* Values of config.json; of its text_config first, where it has one. null counts as absent. Values of another kind are
 * errors that name the key. */
const struct qn_json *qn_hf_json(const struct qn_hf *hf, const char *key);
uint64_t qn_hf_u64(struct qn_hf *hf, const char *key, uint64_t fallback);
uint64_t qn_hf_need_u64(struct qn_hf *hf, const char *key);
double qn_hf_f64(struct qn_hf *hf, const char *key, double fallback);
bool qn_hf_bool(struct qn_hf *hf, const char *key, bool fallback);
struct qn_str qn_hf_str(struct qn_hf *hf, const char *key); /* data NULL when absent */
/* The same of any object, named in errors. */
double qn_hf_member_f64(struct qn_hf *hf, const struct qn_json *object, const char *key, double fallback);
struct qn_str qn_hf_member_str(struct qn_hf *hf, const struct qn_json *object, const char *key);

/* Metadata: names relative to the architecture. A name that exists gets the new value. */
void qn_hf_put_u32(struct qn_hf *hf, const char *name, uint64_t value);
void qn_hf_put_f32(struct qn_hf *hf, const char *name, double value);
void qn_hf_put_bool(struct qn_hf *hf, const char *name, bool value);
void qn_hf_put_str(struct qn_hf *hf, const char *name, struct qn_str value); /* copied */
void qn_hf_put_u32s(struct qn_hf *hf, const char *name, const uint32_t *values, uint32_t count);
void qn_hf_put_f32s(struct qn_hf *hf, const char *name, const float *values, uint32_t count);
void qn_hf_put_bools(struct qn_hf *hf, const char *name, const bool *values, uint32_t count);
void qn_hf_put_strs(struct qn_hf *hf, const char *name, const struct qn_str *values, uint32_t count); /* copied */
/* The same under a full key ("general.name"). */
void qn_hf_put_general_u32(struct qn_hf *hf, const char *key, uint64_t value);
void qn_hf_put_general(struct qn_hf *hf, const char *key, struct qn_str value);

/* Whether the first name in `architectures` ends so: "ForMaskedLM". */
bool qn_hf_is_model(const struct qn_hf *hf, const char *ending);
/* The number of layers. */
uint64_t qn_hf_layers(struct qn_hf *hf);
/* pooling_type and whether embeddings are normalised, where a modules.json says it (hf_pooling.c). */
void qn_hf_put_pooling(struct qn_hf *hf);

/* attention.head_count, head_count_kv, key_length and value_length. */
void qn_hf_heads_keys(struct qn_hf *hf);
/* Heads, kept heads, head sizes and rotary embedding of most decoders: attention.head_count, head_count_kv,
 * key_length, value_length, rope.* and, for llama3's scaling, the tensor rope_freqs.weight. */
void qn_hf_attention_keys(struct qn_hf *hf);
/* The size of a head: head_dim, else hidden_size / num_attention_heads. */
uint64_t qn_hf_head_dim(struct qn_hf *hf);
/* rope_parameters (transformers 5), or rope_scaling and rope_theta (4); `dims` are the rotated elements of a head. In
 * parameters by kind of layer, those of `layer_type` ("full_attention"); NULL: the plain ones. */
void qn_hf_rope_keys(struct qn_hf *hf, uint64_t dims, const char *layer_type);

/* The rotated elements of a head: partial_rotary_factor of it, where the configuration says so. */
uint64_t qn_hf_rotary_dims(struct qn_hf *hf, uint64_t head_dim);
/* LongRoPE of the parameters `rope`: original context, magnitude and the tensors rope_factors_long and _short. */
void qn_hf_longrope_keys(struct qn_hf *hf, const struct qn_json *rope, uint64_t dims);
/* What Llama 3's scaling divides a frequency by that makes so many turns within the original context. */
double qn_hf_llama3_factor(double turns, double factor, double low, double high);
/* attention.sliding_window, and attention.sliding_window_pattern where layer_types differ from the architecture's own
 * order: layers `period` - 1, 2 `period` - 1, ... see everything (0: none does). window 0: no layer has one. */
void qn_hf_window_keys(struct qn_hf *hf, uint64_t window, uint64_t period);
/* hidden_activation, where `key` of config.json is there and not the architecture's usual one. */
void qn_hf_activation_key(struct qn_hf *hf, const char *key, const char *usual);

/* A small tensor of the view that is no tensor of the folder; the values are copied. */
void qn_hf_add_f32(struct qn_hf *hf, const char *name, const float *values, uint32_t count);
/* Whether the view has a tensor of this (GGUF) name; its dims. */
bool qn_hf_has(const struct qn_hf *hf, const char *name, uint32_t *rank, const uint64_t **dims);

/* ---- the view ------------------------------------------------------------------------------------------------- */

enum { QN_HF_MAX_PARTS = 5 };

/* A tensor as transformers knows it: of the file, or one made of the parts of a quantised weight. */
enum qn_hf_source_kind { QN_HF_PLAIN = 0, QN_HF_GPTQ, QN_HF_AWQ, QN_HF_FP8, QN_HF_MXFP4 };

struct qn_hf_source {
    struct qn_str name; /* "model.layers.0.mlp.up_proj.weight" */
    enum qn_hf_source_kind kind;
    qn_dtype dtype; /* of what qn_hf_source_read gives */
    uint32_t rank;
    uint64_t dims[QN_SET_MAX_RANK];
    const struct qn_set_tensor *parts[QN_HF_MAX_PARTS]; /* [0] alone where plain; see hf_quant.c */
    uint32_t bits, group;                               /* GPTQ, AWQ: of a code; inputs that share a scale */
    uint32_t zero_shift;                                /* GPTQ: 1 where zero points are stored less one */
    uint32_t block[2];                                  /* FP8: rows and columns that share a scale */
};

/* Rows of a source that are rows of the result. */
struct qn_hf_piece {
    uint32_t source;                /* index into sources */
    uint32_t order;                 /* where it stands among the pieces */
    uint64_t rows;                  /* of the result */
    bool transpose, turn, elements; /* elements: a row is an element of the source */
    uint64_t matrix;                /* rows of a matrix of the source, after the transpose */
    uint64_t period, start, run;    /* of each `period` rows, `run` from `start` are taken */
    uint64_t heads, head_rows;      /* interleave: heads in a matrix of the result (0: none), rows of a head */
};

struct qn_hf_tensor {
    struct qn_str name; /* terminated */
    qn_dtype dtype;
    uint32_t rank;
    uint64_t dims[QN_SET_MAX_RANK];
    uint64_t elements, bytes;
    uint64_t columns;                /* of a row of the pieces; 1 for a vector */
    const struct qn_hf_name *recipe; /* NULL: of `data` */
    QN_ARRAY(struct qn_hf_piece) pieces;
    const struct qn_set_tensor *direct; /* the file's own bytes are the tensor's; NULL: made */
    const void *data;                   /* computed, in memory */
    bool stacked;                       /* pieces are experts */
};

struct qn_hf_meta {
    struct qn_str key; /* terminated */
    enum qn_meta_kind kind, elem_kind;
    const char *type_name;
    uint64_t count;
    struct qn_meta_item value;        /* no array */
    const struct qn_meta_item *items; /* array */
};

struct qn_hf {
    const struct qn_allocator *allocator;
    struct qn_arena arena;
    qn_status status;     /* of building the view */
    struct qn_str folder; /* with a slash at its end */
    struct qn_str config_path;
    struct qn_file_map config_map;
    const struct qn_json *config, *text; /* the whole; text_config, or the whole */
    const struct qn_json *defaults;      /* of the architecture, or NULL */
    const struct qn_hf_arch *arch;       /* NULL: not known, the view shows the folder's own names */
    struct qn_tensor_set set;
    bool float_activations; /* weights of few bits that were made for activations in floats (GPTQ, AWQ) */
    uint32_t left_out;      /* tensors of towers for pictures and sound, which stand beside a text model */
    QN_ARRAY(struct qn_hf_source) sources;
    QN_ARRAY(struct qn_hf_meta) metas;
    QN_ARRAY(struct qn_hf_tensor) tensors;
    struct qn_map meta_map, tensor_map;
};

/* Opens the folder, builds the view. */
qn_status qn_hf_open(const char *folder, const struct qn_allocator *allocator, struct qn_hf **out) QN_MUST_USE;
void qn_hf_close(struct qn_hf *hf);  /* NULL is allowed */
void qn_hf_deinit(struct qn_hf *hf); /* what the view holds, not itself */

/* Makes the sources out of the set: quantised weights are brought together (hf_quant.c). */
qn_status qn_hf_make_sources(struct qn_hf *hf) QN_MUST_USE;
/* `count` rows from `first` of the source as a matrix [elements / last dim, last dim]. */
qn_status qn_hf_source_read(const struct qn_hf *hf, const struct qn_hf_source *source, uint64_t first, uint64_t count,
                            void *out) QN_MUST_USE;
/* Matches the sources with the names of the architecture (hf_names.c). */
qn_status qn_hf_make_tensors(struct qn_hf *hf) QN_MUST_USE;
/* Whether the row's `to` is this name; its layer. */
bool qn_hf_matches_target(const struct qn_hf_name *row, struct qn_str name, uint32_t *layer);
/* The product at *text (of numbers, and keys of config.json), which goes on to a comma or the end; false when it is not
 * known. */
bool qn_hf_product(struct qn_hf *hf, const char **text, uint64_t *out);
/* Rows of a tensor of the view (hf_recipe.c). */
qn_status qn_hf_read(const struct qn_hf *hf, const struct qn_hf_tensor *tensor, uint64_t first, uint64_t count,
                     void *out) QN_MUST_USE;
/* Writes the metadata that all have, the table's keys, and calls finish (hf_config.c). */
qn_status qn_hf_make_metas(struct qn_hf *hf) QN_MUST_USE;

/* The row of hf_archs.def with this index; NULL beyond the last. */
const struct qn_hf_arch *qn_hf_arch_at(size_t index);

#define QN_HF_ARCH(name) extern const struct qn_hf_arch qn_hf_arch_##name;
#include "format/hf/hf_archs.def"
#undef QN_HF_ARCH

#endif
