/* A decoder's graph: its configuration checked, its inputs, then what the architecture makes of them. */
#include <math.h>

#include "arch/lm_blocks.h"

/* A model without attention has neither heads nor feed-forward layers. */
qn_status qn_lm_check_config(const struct qn_lm_config *c, const struct qn_lm_options *options)
{
    bool recurrent = c->kv.kind == QN_LM_KV_RECURRENT;
    const struct {
        const char *what;
        uint64_t value, limit;
    } sizes[] = {
        {"vocabulary size", c->vocabulary, 1u << 24},
        {"context length", c->context, 1u << 28},
        {"block count", c->layers, 4096},
        {"embedding length", c->dim, 1u << 20},
        {"feed-forward length", c->ffn_dim, 1u << 22},
        {"head count", c->heads, 1u << 16},
        {"key-value head count", c->kv_heads, 1u << 16},
        {"head size", c->head_dim, 1u << 16},
    };
    for (size_t i = 0; i < (recurrent ? 4 : sizeof sizes / sizeof sizes[0]); i++)
        if (sizes[i].value == 0 || sizes[i].value > sizes[i].limit)
            return QN_ERROR(QN_INVALID_FILE, "%s is %llu; expected 1 to %llu", sizes[i].what,
                            (unsigned long long)sizes[i].value, (unsigned long long)sizes[i].limit);
    if (recurrent)
        return NULL;
    if (c->heads % c->kv_heads)
        return QN_ERROR(QN_INVALID_FILE, "head count %u is no multiple of the key-value head count %u", c->heads,
                        c->kv_heads);
    if (c->rope.dims % 2 || c->rope.dims > c->head_dim)
        return QN_ERROR(QN_INVALID_FILE, "rope dimension count %u: expected an even number up to the head size %u",
                        c->rope.dims, c->head_dim);
    if (c->experts > 4096 || c->experts_used > c->experts || (c->experts && !c->experts_used))
        return QN_ERROR(QN_INVALID_FILE, "%u experts used of %u", c->experts_used, c->experts);
    if (c->kv.value_dim == 0 || c->kv.value_dim > 1u << 16 ||
        (c->kv.kind == QN_LM_KV_COMPRESSED && c->kv.value_dim > c->kv.key_dim))
        return QN_ERROR(QN_INVALID_FILE, "value heads of %u beside key heads of %u", c->kv.value_dim, c->kv.key_dim);
    if (c->attention_scale < 0 || c->attention_cap < 0 || c->logit_cap < 0)
        return QN_ERROR(QN_INVALID_FILE, "attention scale %g, soft caps %g and %g: expected 0 or more",
                        c->attention_scale, c->attention_cap, c->logit_cap);
    uint32_t block = qn_dtype_info(options->kv_dtype)->block_elems;
    if (block == 0 || c->head_dim % block || c->kv.value_dim % block)
        return QN_ERROR(
            QN_INVALID_ARGUMENT, "KV cache type %s needs a head size that is a multiple of %u, this model's is %u",
            qn_dtype_name(options->kv_dtype), block, block && c->head_dim % block ? c->head_dim : c->kv.value_dim);
    return NULL;
}

qn_status qn_lm_build(const struct qn_lm_config *config, const struct qn_lm_source *source,
                      const struct qn_lm_options *options, struct qn_graph *graph)
{
    const struct qn_arch *arch = qn_arch_find(config->arch);
    if (!arch)
        return qn_status_note(QN_ERROR(QN_UNSUPPORTED, "architecture '%.*s' is not supported; known are:%s",
                                       QN_STR_ARG(config->arch), qn_arch_names()),
                              "%.*s", QN_STR_ARG(source->file));
    qn_status status = arch->encoder
                           ? QN_ERROR(QN_UNSUPPORTED, "'%s' is an encoder, which generates no text", arch->name)
                           : qn_lm_check_config(config, options);
    if (!status) {
        struct qn_lm lm = {.b.graph = graph, .arch = arch, .config = config, .source = source, .options = options};
        lm.attention_scale = config->attention_scale ? config->attention_scale
                             : config->head_dim      ? 1.0 / sqrt((double)config->head_dim)
                                                     : 1;
        lm.attention_cap = config->attention_cap;
        lm.logit_cap = config->logit_cap;
        lm.embedding_scale = 1;
        lm.keys = (struct qn_lm_keys){.source = source, .arch = config->arch, .status = &lm.b.status};
        lm.activation = qn_lm_key_activation(&lm, QN_LM_SILU);
        lm.n = qn_lm_symbol(&lm, "N", options->chunk);
        qn_dim s = qn_lm_symbol(&lm, "S", options->sequences);
        lm.l = qn_lm_symbol(&lm, "L", options->positions);
        qn_dim r = qn_lm_symbol(&lm, "R", options->chunk);
        lm.tokens = qn_lm_input(&lm, "tokens", 1, lm.n, 0);
        lm.pos = qn_lm_input(&lm, "pos", 1, lm.n, 0);
        lm.slot = qn_lm_input(&lm, "slot", 1, lm.n, 0);
        lm.seq = qn_lm_input(&lm, "seq", 1, lm.n, 0);
        lm.rows = qn_lm_input(&lm, "rows", 2, s, lm.l);
        lm.out_rows = qn_lm_input(&lm, "out_rows", 1, r, 0);
        if (config->rope.scaling == QN_ROPE_SCALING_LONGROPE)
            lm.stretch = qn_lm_input(&lm, "stretch", 1, lm.n, 0);
        lm.token_rows = qn_build_gather(&lm.b, lm.rows, lm.seq, 0, QN_DTYPE_NONE);
        if (!lm.b.status)
            arch->build(&lm);
        status = lm.b.status;
    }
    return qn_status_note(status, "%.*s", QN_STR_ARG(source->file));
}
