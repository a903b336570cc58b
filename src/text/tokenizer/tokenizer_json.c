/* tokenizer.json: the model with its vocabulary, the added tokens, lengths. The steps are read by
 * tokenizer_json_steps.c. */
#include "text/tokenizer/tokenizer_json.h"

#include "text/tokenizer/folder_tokens.h"
#include "text/tokenizer/pipeline_build.h"

struct reader {
    struct qn_pipeline_reader steps;
    struct qn_tokenizer *tokenizer;
    struct qn_arena *scratch; /* of the JSON; lives during the reading */
};

/* ---- vocabularies --------------------------------------------------------------------------------------------- */

/* Ids may leave some out, but not so many that the table would be mostly empty. */
static qn_status check_ids(uint32_t texts, int64_t highest)
{
    if (highest >= (int64_t)texts * 4 + (1 << 20))
        return QN_ERROR(QN_INVALID_FILE, "'vocab' has %u tokens and an id of %lld", texts, (long long)highest);
    return NULL;
}

qn_status qn_read_vocab(struct qn_tokenizer *t, const struct qn_json *vocab)
{
    QN_TRY(qn_json_expect(vocab, "vocab", QN_JSON_OBJECT));
    const struct qn_json *key = qn_json_first(vocab);
    uint64_t bytes = 0;
    int32_t id, highest = -1;
    for (uint32_t i = 0; i < vocab->size; i++, key = qn_json_next(qn_json_next(key))) {
        qn_status status = qn_json_id(key + 1, "vocab", &id);
        if (status)
            return qn_status_note(status, "token '%.*s'", QN_STR_ARG(qn_json_str(key)));
        highest = id > highest ? id : highest;
        bytes += key->size;
    }
    QN_TRY(check_ids(vocab->size, highest));
    QN_TRY(qn_pipeline_reserve(t, (uint32_t)(highest + 1), vocab->size));
    char *texts = qn_arena_alloc(&t->arena, (size_t)bytes, 1);
    if (!texts)
        return QN_OOM();
    key = qn_json_first(vocab);
    for (uint32_t i = 0; i < vocab->size; i++, key = qn_json_next(qn_json_next(key))) {
        QN_TRY(qn_json_id(key + 1, "vocab", &id));
        if (key->size)
            memcpy(texts, key->text, key->size);
        QN_TRY(qn_pipeline_put(t, id, (struct qn_str){texts, key->size}));
        texts += key->size;
    }
    t->pipeline->vocab_size = t->by_text.map.count;
    return NULL;
}

static double number_of(const struct qn_json *value)
{
    return value->kind == QN_JSON_INT ? (double)value->integer : value->number;
}

/* [["token", score], ...] */
static qn_status read_scored_vocab(struct reader *r, const struct qn_json *vocab)
{
    struct qn_tokenizer *t = r->tokenizer;
    struct qn_unit_model *m = &t->pipeline->model;
    QN_TRY(qn_json_expect(vocab, "vocab", QN_JSON_ARRAY));
    QN_TRY(qn_pipeline_reserve(t, vocab->size, vocab->size));
    double *scores = QN_ARENA_ARRAY(&t->arena, double, vocab->size);
    if (!scores)
        return QN_OOM();
    const struct qn_json *row = qn_json_first(vocab);
    for (uint32_t i = 0; i < vocab->size; i++, row = qn_json_next(row)) {
        const struct qn_json *text = qn_json_first(row);
        bool pair = row->kind == QN_JSON_ARRAY && row->size == 2 && text->kind == QN_JSON_STRING;
        const struct qn_json *score = pair ? qn_json_next(text) : NULL;
        if (!pair || (score->kind != QN_JSON_INT && score->kind != QN_JSON_DOUBLE))
            return QN_ERROR(QN_INVALID_FILE, "'vocab': element %u is not a token with a score", i);
        struct qn_str copy = qn_arena_str(&t->arena, qn_json_str(text));
        if (!copy.data)
            return QN_OOM();
        QN_TRY(qn_pipeline_put(t, (int32_t)i, copy));
        scores[i] = number_of(score);
        t->tokens[i].score = (float)scores[i];
        m->lowest_score = i == 0 || scores[i] < m->lowest_score ? scores[i] : m->lowest_score;
    }
    m->scores = scores;
    t->pipeline->vocab_size = vocab->size;
    return NULL;
}

/* ---- models --------------------------------------------------------------------------------------------------- */

qn_status qn_cut_merge(struct qn_str merge, uint32_t rank, struct qn_str *left, struct qn_str *right)
{
    const char *space = merge.size ? memchr(merge.data, ' ', merge.size) : NULL;
    size_t size = space ? (size_t)(space - merge.data) : 0;
    if (!space || memchr(space + 1, ' ', merge.size - size - 1))
        return QN_ERROR(QN_INVALID_FILE, "'merges': merge %u is '%.*s', not two tokens with a space between", rank,
                        QN_STR_ARG(merge));
    *left = (struct qn_str){merge.data, size};
    *right = (struct qn_str){space + 1, merge.size - size - 1};
    return NULL;
}

static qn_status read_merges(struct reader *r, const struct qn_json *merges)
{
    struct qn_tokenizer *t = r->tokenizer;
    QN_TRY(qn_json_expect(merges, "merges", QN_JSON_ARRAY));
    QN_TRY(qn_pipeline_begin_merges(t, merges->size));
    t->pipeline->model.last_merged = -1;
    const struct qn_json *item = qn_json_first(merges);
    for (uint32_t i = 0; i < merges->size; i++, item = qn_json_next(item)) {
        struct qn_str left, right;
        bool pair = item->kind == QN_JSON_ARRAY && item->size == 2 && item[1].kind == QN_JSON_STRING &&
                    item[2].kind == QN_JSON_STRING;
        if (pair) {
            left = qn_json_str(item + 1);
            right = qn_json_str(item + 2);
        } else if (item->kind == QN_JSON_STRING) {
            if (qn_str_starts(qn_json_str(item), QN_STR("#version")))
                continue;
            QN_TRY(qn_cut_merge(qn_json_str(item), i, &left, &right));
        } else {
            return QN_ERROR(QN_INVALID_FILE, "'merges': element %u is neither a text nor two", i);
        }
        QN_TRY(qn_pipeline_put_merge(t, i, left, right));
    }
    return NULL;
}

static qn_status read_optional_text(struct reader *r, const struct qn_json *model, const char *key, bool *has,
                                    struct qn_str *out)
{
    QN_TRY(qn_field_text(model, key, false, &r->tokenizer->arena, out));
    *has = out->data != NULL;
    return NULL;
}

static qn_status read_bpe(struct reader *r, const struct qn_json *model)
{
    struct qn_unit_model *m = &r->tokenizer->pipeline->model;
    const struct qn_json *dropout = qn_field(model, "dropout");
    /* a token that is left out by chance would make every encoding another one; the package, too, is deterministic only
     * without */
    if (dropout && dropout->kind != QN_JSON_INT && dropout->kind != QN_JSON_DOUBLE)
        return QN_ERROR(QN_INVALID_FILE, "'dropout' is a %s, expected a number", qn_json_kind_name(dropout->kind));
    if (dropout && !(number_of(dropout) >= 0 && number_of(dropout) <= 1))
        return QN_ERROR(QN_INVALID_FILE, "'dropout' is %g, expected 0 to 1", number_of(dropout));
    QN_TRY(qn_field_bool(model, "fuse_unk", false, &m->fuse_unknown));
    QN_TRY(qn_field_bool(model, "byte_fallback", false, &m->byte_fallback));
    QN_TRY(qn_field_bool(model, "ignore_merges", false, &m->ignore_merges));
    QN_TRY(read_optional_text(r, model, "unk_token", &m->names_unknown, &m->unknown_text));
    QN_TRY(read_optional_text(r, model, "continuing_subword_prefix", &m->has_prefix, &m->prefix));
    QN_TRY(read_optional_text(r, model, "end_of_word_suffix", &m->has_suffix, &m->suffix));
    QN_TRY(qn_read_vocab(r->tokenizer, qn_field(model, "vocab")));
    return read_merges(r, qn_field(model, "merges"));
}

static qn_status read_unigram(struct reader *r, const struct qn_json *model)
{
    struct qn_unit_model *m = &r->tokenizer->pipeline->model;
    const struct qn_json *unknown = qn_field(model, "unk_id");
    QN_TRY(qn_field_bool(model, "byte_fallback", false, &m->byte_fallback));
    QN_TRY(read_scored_vocab(r, qn_field(model, "vocab")));
    if (!unknown)
        return NULL;
    QN_TRY(qn_json_id(unknown, "unk_id", &m->unknown));
    if ((uint32_t)m->unknown >= r->tokenizer->count)
        return QN_ERROR(QN_INVALID_FILE, "'unk_id' is %d, and the vocabulary has %u tokens", m->unknown,
                        r->tokenizer->count);
    return NULL;
}

static qn_status read_words(struct reader *r, const struct qn_json *model)
{
    struct qn_tokenizer *t = r->tokenizer;
    struct qn_unit_model *m = &t->pipeline->model;
    m->names_unknown = true;
    QN_TRY(qn_field_text(model, "unk_token", true, &t->arena, &m->unknown_text));
    if (m->kind == QN_UNIT_WORDPIECE) {
        m->has_prefix = true;
        QN_TRY(qn_field_text(model, "continuing_subword_prefix", true, &t->arena, &m->prefix));
        QN_TRY(qn_field_count(model, "max_input_chars_per_word", true, &m->longest_word));
    }
    return qn_read_vocab(r->tokenizer, qn_field(model, "vocab"));
}

/* Early files have no type: then what is there tells. */
static int guess_kind(const struct qn_json *model)
{
    const struct qn_json *vocab = qn_field(model, "vocab");
    if (qn_field(model, "merges"))
        return QN_UNIT_BPE;
    if (vocab && vocab->kind == QN_JSON_ARRAY)
        return QN_UNIT_UNIGRAM;
    return qn_field(model, "max_input_chars_per_word") ? QN_UNIT_WORDPIECE : QN_UNIT_WORDLEVEL;
}

static qn_status read_model(struct reader *r, const struct qn_json *model)
{
    static const char *const kinds[] = {"BPE", "Unigram", "WordPiece", "WordLevel", NULL};
    struct qn_unit_model *m = &r->tokenizer->pipeline->model;
    QN_TRY(qn_json_expect(model, "model", QN_JSON_OBJECT));
    int kind = guess_kind(model);
    QN_TRY(qn_field_choice(model, "type", false, kinds, &kind));
    m->kind = (enum qn_unit_kind)kind;
    m->unknown = -1;
    if (m->kind == QN_UNIT_UNIGRAM)
        return read_unigram(r, model);
    QN_TRY(m->kind == QN_UNIT_BPE ? read_bpe(r, model) : read_words(r, model));
    if (m->names_unknown)
        m->unknown = qn_text_ids_find(&r->tokenizer->by_text, m->unknown_text.data, m->unknown_text.size);
    return NULL;
}

/* ---- added tokens --------------------------------------------------------------------------------------------- */

static qn_status read_added(struct reader *r, const struct qn_json *item, struct qn_added_token *out)
{
    QN_TRY(qn_json_expect(item, "element", QN_JSON_OBJECT));
    QN_TRY(qn_field_text(item, "content", true, &r->tokenizer->arena, &out->content));
    QN_TRY(qn_field_bool(item, "single_word", true, &out->single_word));
    QN_TRY(qn_field_bool(item, "lstrip", true, &out->lstrip));
    QN_TRY(qn_field_bool(item, "rstrip", true, &out->rstrip));
    QN_TRY(qn_field_bool(item, "normalized", true, &out->normalized));
    return qn_field_bool(item, "special", true, &out->special);
}

static qn_status read_all_added(struct reader *r, const struct qn_json *list)
{
    struct qn_pipeline *p = r->tokenizer->pipeline;
    if (!list)
        return NULL;
    QN_TRY(qn_json_expect(list, "added_tokens", QN_JSON_ARRAY));
    p->added = QN_ARENA_ARRAY(&r->tokenizer->arena, struct qn_added_token, list->size);
    if (!p->added)
        return QN_OOM();
    const struct qn_json *item = qn_json_first(list);
    for (; p->added_count < list->size; p->added_count++, item = qn_json_next(item)) {
        qn_status status = read_added(r, item, &p->added[p->added_count]);
        if (status)
            return qn_status_note(status, "'added_tokens', element %u", p->added_count);
    }
    return NULL;
}

/* ---- lengths -------------------------------------------------------------------------------------------------- */

static qn_status read_truncation(struct qn_pipeline *p, const struct qn_json *value)
{
    static const char *const directions[] = {"Right", "Left", NULL};
    static const char *const strategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond", NULL};
    int direction = 0, strategy = 0;
    uint64_t max_length = 0, stride = 0;
    QN_TRY(qn_json_expect(value, "truncation", QN_JSON_OBJECT));
    QN_TRY(qn_field_count(value, "max_length", true, &max_length));
    QN_TRY(qn_field_count(value, "stride", true, &stride));
    QN_TRY(qn_field_choice(value, "strategy", true, strategies, &strategy));
    QN_TRY(qn_field_choice(value, "direction", false, directions, &direction));
    p->has_truncation = true;
    p->truncation = (struct qn_truncation){.max_length = max_length,
                                           .stride = stride,
                                           .strategy = (enum qn_truncation_strategy)strategy,
                                           .left = direction};
    return NULL;
}

static qn_status read_padding(struct qn_pipeline *p, const struct qn_json *value)
{
    static const char *const directions[] = {"Right", "Left", NULL};
    static const char *const strategies[] = {"BatchLongest", NULL};
    int direction = 0, strategy = 0;
    uint64_t length = 0, multiple = 0, type_id = 0;
    QN_TRY(qn_json_expect(value, "padding", QN_JSON_OBJECT));
    const struct qn_json *how = qn_field(value, "strategy"), *fixed = qn_field(how, "Fixed");
    if (fixed)
        QN_TRY(qn_field_count(how, "Fixed", true, &length));
    else
        QN_TRY(qn_field_choice(value, "strategy", true, strategies, &strategy));
    QN_TRY(qn_field_choice(value, "direction", true, directions, &direction));
    QN_TRY(qn_field_count(value, "pad_to_multiple_of", false, &multiple));
    QN_TRY(qn_field_count(value, "pad_type_id", true, &type_id));
    p->padding =
        (struct qn_padding){.length = length, .multiple_of = multiple, .type_id = (uint32_t)type_id, .left = direction};
    QN_TRY(qn_json_id(qn_field(value, "pad_id"), "pad_id", &p->padding.id));
    p->has_padding = !fixed || length;
    return NULL;
}

/* ---- roles ---------------------------------------------------------------------------------------------------- */

static int32_t find_token(const struct qn_tokenizer *t, struct qn_str text)
{
    const struct qn_pipeline *p = t->pipeline;
    int32_t index = qn_text_ids_find(&p->added_ids, text.data, text.size);
    return index >= 0 ? p->added[index].id : qn_text_ids_find(&t->by_text, text.data, text.size);
}

/* Where no file says which tokens have a role, those that the template puts around a text do. */
static void guess_roles(const struct qn_tokenizer *t, int32_t roles[QN_TOKEN_ROLE_COUNT])
{
    static const char *const masks[] = {"[MASK]", "<mask>"};
    const struct qn_pipeline *p = t->pipeline;
    int32_t first = -1, last = -1;
    for (uint32_t i = 0; i < p->surround_count; i++) {
        const struct qn_surround *s = &p->surrounds[i];
        const struct qn_template *template = &s->single;
        if (s->kind == QN_SURROUND_BERT || s->kind == QN_SURROUND_ROBERTA) {
            first = s->first;
            last = s->separator;
        } else if (s->kind == QN_SURROUND_TEMPLATE && template->count) {
            const struct qn_template_part *begin = &template->parts[0], *end = begin + template->count - 1;
            first = begin->count ? begin->ids[0] : -1;
            last = end->count ? end->ids[end->count - 1] : -1;
        }
    }
    enum qn_token_role ending = p->model.kind == QN_UNIT_WORDPIECE ? QN_TOKEN_SEP : QN_TOKEN_EOS;
    if (roles[QN_TOKEN_BOS] < 0)
        roles[QN_TOKEN_BOS] = first;
    if (roles[ending] < 0)
        roles[ending] = last;
    if (roles[QN_TOKEN_PAD] < 0 && p->has_padding)
        roles[QN_TOKEN_PAD] = p->padding.id;
    for (size_t i = 0; i < 2 && roles[QN_TOKEN_MASK] < 0; i++)
        roles[QN_TOKEN_MASK] = find_token(t, qn_str_from(masks[i]));
}

/* ---- the file ------------------------------------------------------------------------------------------------- */

static qn_status read_all(struct reader *r, const struct qn_json *root, const struct qn_tokenizer_extras *extras)
{
    struct qn_pipeline *p = r->tokenizer->pipeline;
    static const char *const versions[] = {"1.0", NULL};
    int version;
    QN_TRY(qn_json_expect(root, "the file", QN_JSON_OBJECT));
    QN_TRY(qn_field_choice(root, "version", false, versions, &version));
    qn_status status = read_model(r, qn_field(root, "model"));
    if (status)
        return qn_status_note(status, "'model'");
    QN_TRY(qn_read_normalizers(&r->steps, qn_field(root, "normalizer")));
    QN_TRY(qn_read_cutters(&r->steps, qn_field(root, "pre_tokenizer")));
    QN_TRY(qn_read_decoders(&r->steps, qn_field(root, "decoder")));
    QN_TRY(qn_read_surrounds(&r->steps, qn_field(root, "post_processor")));
    QN_TRY(read_all_added(r, qn_field(root, "added_tokens")));
    QN_TRY(qn_pipeline_add_tokens(r->tokenizer, extras, NULL));
    if (qn_field(root, "truncation")) {
        status = read_truncation(p, qn_field(root, "truncation"));
        if (status)
            return qn_status_note(status, "'truncation'");
    }
    if (qn_field(root, "padding")) {
        status = read_padding(p, qn_field(root, "padding"));
        if (status)
            return qn_status_note(status, "'padding'");
    }
    return qn_pipeline_finish(r->tokenizer);
}

static void set_roles(struct qn_tokenizer *t, const struct qn_tokenizer_extras *extras)
{
    int32_t roles[QN_TOKEN_ROLE_COUNT];
    qn_folder_roles(t, extras, NULL, roles);
    guess_roles(t, roles);
    qn_pipeline_set_roles(t, roles);
}

static qn_status build(struct qn_tokenizer *t, const struct qn_json *root, const struct qn_tokenizer_extras *extras,
                       struct qn_arena *scratch)
{
    struct reader r = {{.pipeline = t->pipeline, .arena = &t->arena}, t, scratch};
    QN_TRY(read_all(&r, root, extras));
    set_roles(t, extras);
    return NULL;
}

qn_status qn_tokenizer_from_json(struct qn_str text, const char *name, const struct qn_tokenizer_extras *extras,
                                 const struct qn_allocator *allocator, struct qn_tokenizer **out)
{
    return qn_pipeline_from_json(text, name, extras, build, allocator, out);
}
