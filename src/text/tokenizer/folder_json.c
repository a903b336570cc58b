/* What older files say of a tokenizer, written as tokenizer.json. */
#include "text/tokenizer/folder_json.h"

static void put_text(struct qn_json_writer *w, const char *key, struct qn_str text)
{
    qn_json_key(w, key);
    if (text.data)
        qn_json_write_str(w, text);
    else
        qn_json_write_null(w);
}

static void put_bool(struct qn_json_writer *w, const char *key, bool value)
{
    qn_json_key(w, key);
    qn_json_write_bool(w, value);
}

static void put_uint(struct qn_json_writer *w, const char *key, uint64_t value)
{
    qn_json_key(w, key);
    qn_json_write_uint(w, value);
}

static void put_json(struct qn_json_writer *w, const char *key, struct qn_str json)
{
    qn_json_key(w, key);
    qn_json_write_json(w, json.data ? json : QN_STR("null"));
}

static struct qn_str text_of(const struct qn_tokenizer *t, int32_t id)
{
    if (id < 0 || (uint32_t)id >= t->count || !t->tokens[id].text)
        return (struct qn_str){0};
    return (struct qn_str){t->tokens[id].text, t->tokens[id].text_size};
}

/* ---- what is put around a text -------------------------------------------------------------------------------- */

static void put_part(struct qn_json_writer *w, const char *kind, struct qn_str id, uint32_t type)
{
    qn_json_begin_object(w);
    qn_json_key(w, kind);
    qn_json_begin_object(w);
    put_text(w, "id", id);
    put_uint(w, "type_id", type);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

static void put_sequence(struct qn_json_writer *w, int sequence, uint32_t type)
{
    put_part(w, "Sequence", sequence ? QN_STR("B") : QN_STR("A"), type);
}

static void begin_template(struct qn_json_writer *w)
{
    qn_json_key(w, "post_processor");
    qn_json_begin_object(w);
    put_text(w, "type", QN_STR("TemplateProcessing"));
}

/* The list of the tokens that a template names. */
static void put_template_tokens(struct qn_json_writer *w, const struct qn_str *texts, const int32_t *ids,
                                uint32_t count)
{
    qn_json_key(w, "special_tokens");
    qn_json_begin_object(w);
    for (uint32_t i = 0; i < count; i++) {
        if (!texts[i].data || (i && qn_str_eq(texts[i], texts[0])))
            continue;
        qn_json_key_str(w, texts[i]);
        qn_json_begin_object(w);
        put_text(w, "id", texts[i]);
        qn_json_key(w, "ids");
        qn_json_begin_array(w);
        qn_json_write_int(w, ids[i]);
        qn_json_end_array(w);
        qn_json_key(w, "tokens");
        qn_json_begin_array(w);
        qn_json_write_str(w, texts[i]);
        qn_json_end_array(w);
        qn_json_end_object(w);
    }
    qn_json_end_object(w);
    qn_json_end_object(w); /* the step */
}

/* BERT's, as transformers 5 writes it: the second text has a type of its own. */
static void put_bert(struct qn_json_writer *w, const struct qn_tokenizer *t, const struct qn_surround *s)
{
    const int32_t ids[] = {s->first, s->separator};
    const struct qn_str texts[] = {text_of(t, s->first), text_of(t, s->separator)};
    begin_template(w);
    for (int pair = 0; pair < 2; pair++) {
        qn_json_key(w, pair ? "pair" : "single");
        qn_json_begin_array(w);
        put_part(w, "SpecialToken", texts[0], 0);
        for (int i = 0; i <= pair; i++) {
            put_sequence(w, i, (uint32_t)i);
            put_part(w, "SpecialToken", texts[1], (uint32_t)i);
        }
        qn_json_end_array(w);
    }
    put_template_tokens(w, texts, ids, 2);
}

static void put_named_id(struct qn_json_writer *w, const char *key, const struct qn_tokenizer *t, int32_t id)
{
    qn_json_key(w, key);
    qn_json_begin_array(w);
    qn_json_write_str(w, text_of(t, id));
    qn_json_write_int(w, id);
    qn_json_end_array(w);
}

static void put_roberta(struct qn_json_writer *w, const struct qn_tokenizer *t, const struct qn_surround *s)
{
    qn_json_key(w, "post_processor");
    qn_json_begin_object(w);
    put_text(w, "type", QN_STR("RobertaProcessing"));
    put_named_id(w, "sep", t, s->separator);
    put_named_id(w, "cls", t, s->first);
    put_bool(w, "trim_offsets", s->trim_offsets);
    put_bool(w, "add_prefix_space", s->prefix_space);
    qn_json_end_object(w);
}

static void put_template(struct qn_json_writer *w, const struct qn_tokenizer *t, const struct qn_surround *s)
{
    int32_t ids[2] = {-1, -1}; /* qn_pipeline_set_frame puts the same token before each text, and one behind each */
    struct qn_str texts[2] = {{0}, {0}};
    begin_template(w);
    for (int pair = 0; pair < 2; pair++) {
        const struct qn_template *from = pair ? &s->pair : &s->single;
        bool behind = false;
        qn_json_key(w, pair ? "pair" : "single");
        qn_json_begin_array(w);
        for (uint32_t i = 0; i < from->count; i++) {
            const struct qn_template_part *part = &from->parts[i];
            if (part->sequence >= 0) {
                put_sequence(w, part->sequence, part->type_id);
                behind = true;
                continue;
            }
            ids[behind && !pair] = pair ? ids[0] : part->ids[0];
            put_part(w, "SpecialToken", text_of(t, part->ids[0]), part->type_id);
        }
        qn_json_end_array(w);
    }
    texts[0] = text_of(t, ids[0]);
    texts[1] = text_of(t, ids[1]);
    put_template_tokens(w, texts, ids, 2);
}

static void put_surround(struct qn_json_writer *w, const struct qn_tokenizer *t)
{
    const struct qn_pipeline *p = t->pipeline;
    const struct qn_surround *s = p->surround_count ? p->surrounds : NULL;
    if (s && s->kind == QN_SURROUND_BERT)
        put_bert(w, t, s);
    else if (s && s->kind == QN_SURROUND_ROBERTA)
        put_roberta(w, t, s);
    else if (s && s->kind == QN_SURROUND_TEMPLATE && s->single.count > 1)
        put_template(w, t, s);
    else
        put_json(w, "post_processor", (struct qn_str){0});
}

/* ---- the model and the tokens --------------------------------------------------------------------------------- */

static void put_merges(struct qn_json_writer *w, struct qn_str rest)
{
    qn_json_key(w, "merges");
    qn_json_begin_array(w);
    while (rest.size) {
        const char *end = memchr(rest.data, '\n', rest.size);
        size_t size = end ? (size_t)(end - rest.data) : rest.size, taken = size + (end != NULL);
        struct qn_str line = {rest.data, size};
        line.size -= line.size && line.data[line.size - 1] == '\r';
        if (line.size && !qn_str_starts(line, QN_STR("#version")))
            qn_json_write_str(w, line);
        rest = (struct qn_str){rest.data + taken, rest.size - taken};
    }
    qn_json_end_array(w);
}

/* Of texts that stand there twice the last one counts. */
static void put_vocab(struct qn_json_writer *w, const struct qn_tokenizer *t)
{
    qn_json_key(w, "vocab");
    qn_json_begin_object(w);
    for (uint32_t id = 0; id < t->pipeline->vocab_size; id++) {
        struct qn_str text = text_of(t, (int32_t)id);
        if (!text.data || qn_text_ids_find(&t->by_text, text.data, text.size) != (int32_t)id)
            continue;
        qn_json_key_str(w, text);
        qn_json_write_uint(w, id);
    }
    qn_json_end_object(w);
}

static void put_scored_vocab(struct qn_json_writer *w, const struct qn_tokenizer *t)
{
    qn_json_key(w, "vocab");
    qn_json_begin_array(w);
    for (uint32_t id = 0; id < t->pipeline->vocab_size; id++) {
        qn_json_begin_array(w);
        qn_json_write_str(w, text_of(t, (int32_t)id));
        qn_json_write_double(w, t->pipeline->model.scores[id]);
        qn_json_end_array(w);
    }
    qn_json_end_array(w);
}

static void put_model(struct qn_json_writer *w, const struct qn_tokenizer *t, struct qn_str merges)
{
    const struct qn_unit_model *m = &t->pipeline->model;
    bool words = m->kind == QN_UNIT_WORDPIECE;
    qn_json_key(w, "model");
    qn_json_begin_object(w);
    if (m->kind == QN_UNIT_UNIGRAM) {
        put_text(w, "type", QN_STR("Unigram"));
        put_uint(w, "unk_id", (uint32_t)m->unknown);
        put_scored_vocab(w, t);
        qn_json_end_object(w);
        return;
    }
    put_text(w, "type", words ? QN_STR("WordPiece") : QN_STR("BPE"));
    put_text(w, "unk_token", m->names_unknown ? m->unknown_text : (struct qn_str){0});
    put_text(w, "continuing_subword_prefix", m->has_prefix ? m->prefix : (struct qn_str){0});
    if (words) {
        put_uint(w, "max_input_chars_per_word", m->longest_word);
    } else {
        put_text(w, "end_of_word_suffix", m->has_suffix ? m->suffix : (struct qn_str){0});
        put_merges(w, merges);
    }
    put_vocab(w, t);
    qn_json_end_object(w);
}

static void put_added(struct qn_json_writer *w, const struct qn_pipeline *p)
{
    qn_json_key(w, "added_tokens");
    qn_json_begin_array(w);
    for (uint32_t i = 0; i < p->added_count; i++) {
        const struct qn_added_token *token = &p->added[i];
        qn_json_begin_object(w);
        put_uint(w, "id", (uint32_t)token->id);
        put_text(w, "content", token->content);
        put_bool(w, "single_word", token->single_word);
        put_bool(w, "lstrip", token->lstrip);
        put_bool(w, "rstrip", token->rstrip);
        put_bool(w, "normalized", token->normalized);
        put_bool(w, "special", token->special);
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

static void put_roles(struct qn_json_writer *w, const struct qn_tokenizer *t)
{
    static const struct {
        enum qn_token_role role;
        const char *key;
    } names[] = {
        {QN_TOKEN_EOS, "eos_token"}, {QN_TOKEN_UNK, "unk_token"},   {QN_TOKEN_SEP, "sep_token"},
        {QN_TOKEN_PAD, "pad_token"}, {QN_TOKEN_MASK, "mask_token"},
    };
    bool words = t->pipeline->model.kind == QN_UNIT_WORDPIECE;
    const struct qn_surround *s = t->pipeline->surround_count ? t->pipeline->surrounds : NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (text_of(t, t->roles[names[i].role]).data)
            put_text(w, names[i].key, text_of(t, t->roles[names[i].role]));
    struct qn_str begin = text_of(t, t->roles[QN_TOKEN_BOS]);
    if (begin.data)
        put_text(w, words ? "cls_token" : "bos_token", begin);
    if (!words && s && s->kind == QN_SURROUND_ROBERTA)
        put_text(w, "cls_token", text_of(t, s->first));
}

void qn_pipeline_write_json(const struct qn_tokenizer *t, struct qn_str merges, struct qn_strbuf *out)
{
    const struct qn_pipeline *p = t->pipeline;
    struct qn_json_writer w = {.out = out};
    qn_json_begin_object(&w);
    put_text(&w, "version", QN_STR("1.0"));
    put_added(&w, p);
    put_json(&w, "normalizer", p->steps.normalizer);
    put_json(&w, "pre_tokenizer", p->steps.cutter);
    put_surround(&w, t);
    put_json(&w, "decoder", p->steps.decoder);
    put_model(&w, t, merges);
    put_roles(&w, t);
    qn_json_end_object(&w);
}
