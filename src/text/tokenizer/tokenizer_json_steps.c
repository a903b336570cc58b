/* The steps of tokenizer.json: normalizers, pre-tokenizers, decoders, post-processors. A type that is not known is
 * named and refused, since leaving it out would give other tokens. */
#include "text/tokenizer/tokenizer_json.h"

static const char *const schemes[] = {"always", "first", "never", NULL};
static const char *const behaviors[] = {"Isolated",       "Removed",    "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous", NULL};

/* The name under "type". */
static qn_status read_type(const struct qn_json *value, struct qn_str *type)
{
    if (value->kind != QN_JSON_OBJECT)
        return QN_ERROR(QN_INVALID_FILE, "a %s, expected an object with a 'type'", qn_json_kind_name(value->kind));
    const struct qn_json *name = qn_field(value, "type");
    QN_TRY(qn_json_expect(name, "type", QN_JSON_STRING));
    *type = qn_json_str(name);
    return NULL;
}

static qn_status fail_type(struct qn_str type)
{
    return QN_ERROR(QN_UNSUPPORTED, "the type '%.*s' is not known", QN_STR_ARG(type));
}

/* {"String": ...} or {"Regex": ...}. */
static qn_status read_pattern(struct qn_pipeline_reader *r, const struct qn_json *object, struct qn_regex **out)
{
    const struct qn_json *pattern = qn_field(object, "pattern");
    QN_TRY(qn_json_expect(pattern, "pattern", QN_JSON_OBJECT));
    const struct qn_json *text = qn_field(pattern, "String"), *regex = qn_field(pattern, "Regex");
    if (!text && !regex)
        return QN_ERROR(QN_INVALID_FILE, "'pattern' has neither 'String' nor 'Regex'");
    QN_TRY(qn_json_expect(text ? text : regex, "pattern", QN_JSON_STRING));
    return qn_pipeline_regex(r, qn_json_str(text ? text : regex), text != NULL, out);
}

/* Reads the elements of a sequence by the function that reads one. */
static qn_status read_sequence(struct qn_pipeline_reader *r, const struct qn_json *object, const char *key,
                               qn_status (*read)(struct qn_pipeline_reader *r, const struct qn_json *value))
{
    const struct qn_json *list = qn_field(object, key);
    QN_TRY(qn_json_expect(list, key, QN_JSON_ARRAY));
    const struct qn_json *item = qn_json_first(list);
    for (uint32_t i = 0; i < list->size; i++, item = qn_json_next(item)) {
        qn_status status = read(r, item);
        if (status)
            return qn_status_note(status, "'%s', element %u", key, i);
    }
    return NULL;
}

/* ---- normalizers ---------------------------------------------------------------------------------------------- */

static int digit_of_base64(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static qn_status read_charsmap(struct qn_pipeline_reader *r, const struct qn_json *object, struct qn_charsmap *out)
{
    const struct qn_json *field = qn_field(object, "precompiled_charsmap");
    QN_TRY(qn_json_expect(field, "precompiled_charsmap", QN_JSON_STRING));
    struct qn_str text = qn_json_str(field), data = {NULL, 0};
    size_t size = text.size;
    while (size && text.size - size < 2 && text.data[size - 1] == '=')
        size--;
    char *bytes = qn_arena_alloc(r->arena, size / 4 * 3 + 3, 1);
    if (!bytes)
        return QN_OOM();
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = digit_of_base64(text.data[i]);
        if (digit < 0 || text.size % 4)
            return QN_ERROR(QN_INVALID_FILE, "'precompiled_charsmap' is not base64 (character %zu)", i);
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4)
            bytes[data.size++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    data.data = bytes;
    return qn_charsmap_init(out, data, r->arena);
}

static const struct {
    const char *name;
    enum qn_normalizer_kind kind;
    enum qn_normal_form form;
} normalizer_rows[] = {
    {"BertNormalizer", QN_NORMALIZER_BERT, 0},
    {"Bert", QN_NORMALIZER_BERT, 0},
    {"Strip", QN_NORMALIZER_STRIP, 0},
    {"StripAccents", QN_NORMALIZER_STRIP_ACCENTS, 0},
    {"NFC", QN_NORMALIZER_FORM, QN_NFC},
    {"NFD", QN_NORMALIZER_FORM, QN_NFD},
    {"NFKC", QN_NORMALIZER_FORM, QN_NFKC},
    {"NFKD", QN_NORMALIZER_FORM, QN_NFKD},
    {"Lowercase", QN_NORMALIZER_LOWERCASE, 0},
    {"Nmt", QN_NORMALIZER_NMT, 0},
    {"Precompiled", QN_NORMALIZER_PRECOMPILED, 0},
    {"Replace", QN_NORMALIZER_REPLACE, 0},
    {"Prepend", QN_NORMALIZER_PREPEND, 0},
    {"ByteLevel", QN_NORMALIZER_BYTE_LEVEL, 0},
};

static qn_status read_normalizer_fields(struct qn_pipeline_reader *r, const struct qn_json *value,
                                        struct qn_normalizer *n)
{
    switch (n->kind) {
    case QN_NORMALIZER_BERT:
        QN_TRY(qn_field_bool(value, "clean_text", true, &n->clean));
        QN_TRY(qn_field_bool(value, "handle_chinese_chars", true, &n->chinese));
        QN_TRY(qn_field_bool(value, "lowercase", true, &n->lower));
        n->accents = n->lower;
        return qn_field_bool(value, "strip_accents", false, &n->accents);
    case QN_NORMALIZER_STRIP:
        QN_TRY(qn_field_bool(value, "strip_left", true, &n->left));
        return qn_field_bool(value, "strip_right", true, &n->right);
    case QN_NORMALIZER_PRECOMPILED:
        return read_charsmap(r, value, &n->charsmap);
    case QN_NORMALIZER_REPLACE:
        QN_TRY(read_pattern(r, value, &n->regex));
        return qn_field_text(value, "content", true, r->arena, &n->content);
    case QN_NORMALIZER_PREPEND:
        return qn_field_text(value, "prepend", true, r->arena, &n->content);
    case QN_NORMALIZER_STRIP_ACCENTS:
    case QN_NORMALIZER_FORM:
    case QN_NORMALIZER_LOWERCASE:
    case QN_NORMALIZER_NMT:
    case QN_NORMALIZER_BYTE_LEVEL:
    case QN_NORMALIZER_SENTENCEPIECE:
        break;
    }
    return NULL;
}

static qn_status read_normalizer(struct qn_pipeline_reader *r, const struct qn_json *value)
{
    struct qn_pipeline *p = r->pipeline;
    struct qn_str type;
    QN_TRY(read_type(value, &type));
    if (qn_str_is(type, "Sequence"))
        return read_sequence(r, value, "normalizers", read_normalizer);
    for (size_t i = 0; i < sizeof normalizer_rows / sizeof normalizer_rows[0]; i++) {
        if (!qn_str_is(type, normalizer_rows[i].name))
            continue;
        struct qn_normalizer *list =
            qn_arena_push(r->arena, p->normalizers, &p->normalizer_count, &r->normalizer_capacity, sizeof *list);
        if (!list)
            return QN_OOM();
        p->normalizers = list;
        struct qn_normalizer *n = &list[p->normalizer_count - 1];
        *n = (struct qn_normalizer){.kind = normalizer_rows[i].kind, .form = normalizer_rows[i].form};
        qn_status status = read_normalizer_fields(r, value, n);
        return status ? qn_status_note(status, "'%s'", normalizer_rows[i].name) : NULL;
    }
    return fail_type(type);
}

qn_status qn_read_normalizers(struct qn_pipeline_reader *r, const struct qn_json *value)
{
    if (!value || value->kind == QN_JSON_NULL)
        return NULL;
    qn_status status = read_normalizer(r, value);
    return status ? qn_status_note(status, "'normalizer'") : NULL;
}

/* ---- pre-tokenizers ------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum qn_cutter_kind kind;
} cutter_rows[] = {
    {"BertPreTokenizer", QN_CUTTER_BERT},
    {"ByteLevel", QN_CUTTER_BYTE_LEVEL},
    {"CharDelimiterSplit", QN_CUTTER_DELIMITER},
    {"Metaspace", QN_CUTTER_METASPACE},
    {"Whitespace", QN_CUTTER_WHITESPACE},
    {"Split", QN_CUTTER_SPLIT},
    {"Punctuation", QN_CUTTER_PUNCTUATION},
    {"WhitespaceSplit", QN_CUTTER_WHITESPACE_SPLIT},
    {"Digits", QN_CUTTER_DIGITS},
    {"UnicodeScripts", QN_CUTTER_SCRIPTS},
    {"FixedLength", QN_CUTTER_FIXED_LENGTH},
};

static qn_status read_scheme(const struct qn_json *value, enum qn_prepend_scheme *scheme)
{
    int choice = QN_PREPEND_ALWAYS;
    bool prefix = true;
    QN_TRY(qn_field_choice(value, "prepend_scheme", false, schemes, &choice));
    QN_TRY(qn_field_bool(value, "add_prefix_space", false, &prefix));
    if (!prefix && choice != QN_PREPEND_NEVER)
        return QN_ERROR(QN_INVALID_FILE, "'add_prefix_space' is false, and 'prepend_scheme' is '%s'", schemes[choice]);
    *scheme = (enum qn_prepend_scheme)choice;
    return NULL;
}

static qn_status read_behavior(const struct qn_json *value, bool needed, struct qn_split *split)
{
    int choice = QN_SPLIT_ISOLATED;
    QN_TRY(qn_field_choice(value, "behavior", needed, behaviors, &choice));
    split->behavior = (enum qn_split_behavior)choice;
    return NULL;
}

static qn_status read_byte_level(struct qn_pipeline_reader *r, const struct qn_json *value, struct qn_cutter *c)
{
    bool trim;
    c->use_regex = true;
    QN_TRY(qn_field_bool(value, "add_prefix_space", true, &c->prefix_space));
    QN_TRY(qn_field_bool(value, "trim_offsets", true, &trim));
    QN_TRY(qn_field_bool(value, "use_regex", false, &c->use_regex));
    if (!c->use_regex || r->pipeline->gpt2)
        return NULL;
    return qn_pipeline_regex(
        r, QN_STR("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"), false,
        &r->pipeline->gpt2);
}

static qn_status read_cutter_fields(struct qn_pipeline_reader *r, const struct qn_json *value, struct qn_cutter *c)
{
    switch (c->kind) {
    case QN_CUTTER_BYTE_LEVEL:
        return read_byte_level(r, value, c);
    case QN_CUTTER_DELIMITER:
        return qn_field_character(value, "delimiter", &c->c);
    case QN_CUTTER_METASPACE:
        c->each = true;
        QN_TRY(qn_field_character(value, "replacement", &c->c));
        QN_TRY(qn_field_bool(value, "split", false, &c->each));
        return read_scheme(value, &c->scheme);
    case QN_CUTTER_SPLIT:
        QN_TRY(read_pattern(r, value, &c->split.regex));
        QN_TRY(qn_field_bool(value, "invert", true, &c->split.invert));
        return read_behavior(value, true, &c->split);
    case QN_CUTTER_PUNCTUATION:
        return read_behavior(value, false, &c->split);
    case QN_CUTTER_DIGITS:
        return qn_field_bool(value, "individual_digits", true, &c->each);
    case QN_CUTTER_FIXED_LENGTH:
        c->length = 5;
        QN_TRY(qn_field_count(value, "length", false, &c->length));
        return c->length ? NULL : QN_ERROR(QN_INVALID_FILE, "'length' is 0: a piece has at least one character");
    case QN_CUTTER_BERT:
    case QN_CUTTER_WHITESPACE:
    case QN_CUTTER_WHITESPACE_SPLIT:
    case QN_CUTTER_SCRIPTS:
        break;
    }
    return NULL;
}

static qn_status read_cutter(struct qn_pipeline_reader *r, const struct qn_json *value)
{
    struct qn_pipeline *p = r->pipeline;
    struct qn_str type;
    QN_TRY(read_type(value, &type));
    if (qn_str_is(type, "Sequence"))
        return read_sequence(r, value, "pretokenizers", read_cutter);
    for (size_t i = 0; i < sizeof cutter_rows / sizeof cutter_rows[0]; i++) {
        if (!qn_str_is(type, cutter_rows[i].name))
            continue;
        struct qn_cutter *list =
            qn_arena_push(r->arena, p->cutters, &p->cutter_count, &r->cutter_capacity, sizeof *list);
        if (!list)
            return QN_OOM();
        p->cutters = list;
        struct qn_cutter *c = &list[p->cutter_count - 1];
        *c = (struct qn_cutter){.kind = cutter_rows[i].kind};
        qn_status status = read_cutter_fields(r, value, c);
        return status ? qn_status_note(status, "'%s'", cutter_rows[i].name) : NULL;
    }
    return fail_type(type);
}

qn_status qn_read_cutters(struct qn_pipeline_reader *r, const struct qn_json *value)
{
    if (!value || value->kind == QN_JSON_NULL)
        return NULL;
    qn_status status = read_cutter(r, value);
    return status ? qn_status_note(status, "'pre_tokenizer'") : NULL;
}

/* ---- decoders ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum qn_decode_kind kind;
} decode_rows[] = {
    {"BPEDecoder", QN_DECODE_BPE},
    {"ByteLevel", QN_DECODE_BYTE_LEVEL},
    {"WordPiece", QN_DECODE_WORDPIECE},
    {"Metaspace", QN_DECODE_METASPACE},
    {"CTC", QN_DECODE_CTC},
    {"Replace", QN_DECODE_REPLACE},
    {"Fuse", QN_DECODE_FUSE},
    {"Strip", QN_DECODE_STRIP},
    {"ByteFallback", QN_DECODE_BYTE_FALLBACK},
};

static qn_status read_decode_fields(struct qn_pipeline_reader *r, const struct qn_json *value, struct qn_decode_step *s)
{
    bool unused;
    switch (s->kind) {
    case QN_DECODE_BPE:
        return qn_field_text(value, "suffix", true, r->arena, &s->content);
    case QN_DECODE_BYTE_LEVEL:
        QN_TRY(qn_field_bool(value, "add_prefix_space", true, &unused));
        return qn_field_bool(value, "trim_offsets", true, &unused);
    case QN_DECODE_WORDPIECE:
        QN_TRY(qn_field_text(value, "prefix", true, r->arena, &s->content));
        return qn_field_bool(value, "cleanup", true, &s->cleanup);
    case QN_DECODE_METASPACE:
        QN_TRY(qn_field_character(value, "replacement", &s->c));
        return read_scheme(value, &s->scheme);
    case QN_DECODE_CTC:
        QN_TRY(qn_field_text(value, "pad_token", true, r->arena, &s->content));
        QN_TRY(qn_field_text(value, "word_delimiter_token", true, r->arena, &s->delimiter));
        return qn_field_bool(value, "cleanup", true, &s->cleanup);
    case QN_DECODE_REPLACE:
        QN_TRY(read_pattern(r, value, &s->regex));
        return qn_field_text(value, "content", true, r->arena, &s->content);
    case QN_DECODE_STRIP:
        QN_TRY(qn_field_character(value, "content", &s->c));
        QN_TRY(qn_field_count(value, "start", true, &s->start));
        return qn_field_count(value, "stop", true, &s->stop);
    case QN_DECODE_FUSE:
    case QN_DECODE_BYTE_FALLBACK:
        break;
    }
    return NULL;
}

static qn_status read_decoder(struct qn_pipeline_reader *r, const struct qn_json *value)
{
    struct qn_pipeline *p = r->pipeline;
    struct qn_str type;
    QN_TRY(read_type(value, &type));
    if (qn_str_is(type, "Sequence"))
        return read_sequence(r, value, "decoders", read_decoder);
    for (size_t i = 0; i < sizeof decode_rows / sizeof decode_rows[0]; i++) {
        if (!qn_str_is(type, decode_rows[i].name))
            continue;
        struct qn_decode_step *list =
            qn_arena_push(r->arena, p->decoders, &p->decoder_count, &r->decoder_capacity, sizeof *list);
        if (!list)
            return QN_OOM();
        p->decoders = list;
        struct qn_decode_step *s = &list[p->decoder_count - 1];
        *s = (struct qn_decode_step){.kind = decode_rows[i].kind};
        qn_status status = read_decode_fields(r, value, s);
        return status ? qn_status_note(status, "'%s'", decode_rows[i].name) : NULL;
    }
    return fail_type(type);
}

qn_status qn_read_decoders(struct qn_pipeline_reader *r, const struct qn_json *value)
{
    if (!value || value->kind == QN_JSON_NULL)
        return NULL;
    r->pipeline->has_decoder = true;
    qn_status status = read_decoder(r, value);
    return status ? qn_status_note(status, "'decoder'") : NULL;
}

/* ---- post-processors ------------------------------------------------------------------------------------------ */

/* ["[SEP]", 102] */
static qn_status read_pair(const struct qn_json *object, const char *key, int32_t *id)
{
    const struct qn_json *pair = qn_field(object, key);
    QN_TRY(qn_json_expect(pair, key, QN_JSON_ARRAY));
    if (pair->size != 2)
        return QN_ERROR(QN_INVALID_FILE, "'%s' has %u elements, expected a token and its id", key, pair->size);
    return qn_json_id(qn_json_next(qn_json_first(pair)), key, id);
}

/* The tokens that a template's special token stands for. */
static qn_status read_special(struct qn_pipeline_reader *r, const struct qn_json *specials, struct qn_str name,
                              struct qn_template_part *part)
{
    const struct qn_json *key = qn_json_first(specials), *found = NULL;
    for (uint32_t i = 0; i < specials->size; i++, key = qn_json_next(qn_json_next(key)))
        if (qn_str_eq(qn_json_str(key), name))
            found = qn_json_next(key);
    if (!found)
        return QN_ERROR(QN_INVALID_FILE, "the template uses '%.*s', which 'special_tokens' lacks", QN_STR_ARG(name));
    const struct qn_json *ids = qn_field(found, "ids");
    QN_TRY(qn_json_expect(ids, "ids", QN_JSON_ARRAY));
    int32_t *list = QN_ARENA_ARRAY(r->arena, int32_t, ids->size);
    if (!list)
        return QN_OOM();
    const struct qn_json *id = qn_json_first(ids);
    for (uint32_t i = 0; i < ids->size; i++, id = qn_json_next(id))
        QN_TRY(qn_json_id(id, "ids", &list[i]));
    part->ids = list;
    part->count = ids->size;
    part->sequence = -1;
    return NULL;
}

static qn_status read_part(struct qn_pipeline_reader *r, const struct qn_json *piece, const struct qn_json *specials,
                           struct qn_template_part *part)
{
    static const char *const sequences[] = {"A", "B", NULL};
    QN_TRY(qn_json_expect(piece, "element", QN_JSON_OBJECT));
    const struct qn_json *text = qn_field(piece, "Sequence"), *special = qn_field(piece, "SpecialToken");
    const struct qn_json *body = text ? text : special;
    if (!body)
        return QN_ERROR(QN_INVALID_FILE, "an element that is neither 'Sequence' nor 'SpecialToken'");
    uint64_t type_id = 0;
    QN_TRY(qn_field_count(body, "type_id", true, &type_id));
    if (type_id > UINT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "'type_id' is %llu", (unsigned long long)type_id);
    part->type_id = (uint32_t)type_id;
    if (text) {
        int sequence = 0;
        QN_TRY(qn_field_choice(body, "id", true, sequences, &sequence));
        part->sequence = sequence;
        return NULL;
    }
    const struct qn_json *id = qn_field(body, "id");
    QN_TRY(qn_json_expect(id, "id", QN_JSON_STRING));
    return read_special(r, specials, qn_json_str(id), part);
}

static qn_status read_template(struct qn_pipeline_reader *r, const struct qn_json *value, const char *key,
                               struct qn_template *out)
{
    const struct qn_json *list = qn_field(value, key), *specials = qn_field(value, "special_tokens");
    QN_TRY(qn_json_expect(list, key, QN_JSON_ARRAY));
    QN_TRY(qn_json_expect(specials, "special_tokens", QN_JSON_OBJECT));
    out->parts = QN_ARENA_ARRAY(r->arena, struct qn_template_part, list->size);
    if (!out->parts)
        return QN_OOM();
    const struct qn_json *item = qn_json_first(list);
    for (; out->count < list->size; out->count++, item = qn_json_next(item)) {
        qn_status status = read_part(r, item, specials, &out->parts[out->count]);
        if (status)
            return qn_status_note(status, "'%s'", key);
        out->added += out->parts[out->count].count;
    }
    return NULL;
}

static const struct {
    const char *name;
    enum qn_surround_kind kind;
} surround_rows[] = {
    {"BertProcessing", QN_SURROUND_BERT},
    {"RobertaProcessing", QN_SURROUND_ROBERTA},
    {"ByteLevel", QN_SURROUND_BYTE_LEVEL},
    {"TemplateProcessing", QN_SURROUND_TEMPLATE},
};

static qn_status read_surround_fields(struct qn_pipeline_reader *r, const struct qn_json *value, struct qn_surround *s)
{
    if (s->kind == QN_SURROUND_TEMPLATE) {
        QN_TRY(read_template(r, value, "single", &s->single));
        return read_template(r, value, "pair", &s->pair);
    }
    if (s->kind != QN_SURROUND_BERT) {
        QN_TRY(qn_field_bool(value, "trim_offsets", true, &s->trim_offsets));
        QN_TRY(qn_field_bool(value, "add_prefix_space", true, &s->prefix_space));
    }
    if (s->kind == QN_SURROUND_BYTE_LEVEL)
        return NULL;
    QN_TRY(read_pair(value, "sep", &s->separator));
    return read_pair(value, "cls", &s->first);
}

static qn_status read_surround(struct qn_pipeline_reader *r, const struct qn_json *value)
{
    struct qn_pipeline *p = r->pipeline;
    struct qn_str type;
    QN_TRY(read_type(value, &type));
    if (qn_str_is(type, "Sequence"))
        return read_sequence(r, value, "processors", read_surround);
    for (size_t i = 0; i < sizeof surround_rows / sizeof surround_rows[0]; i++) {
        if (!qn_str_is(type, surround_rows[i].name))
            continue;
        struct qn_surround *list =
            qn_arena_push(r->arena, p->surrounds, &p->surround_count, &r->surround_capacity, sizeof *list);
        if (!list)
            return QN_OOM();
        p->surrounds = list;
        struct qn_surround *s = &list[p->surround_count - 1];
        *s = (struct qn_surround){.kind = surround_rows[i].kind};
        qn_status status = read_surround_fields(r, value, s);
        return status ? qn_status_note(status, "'%s'", surround_rows[i].name) : NULL;
    }
    return fail_type(type);
}

qn_status qn_read_surrounds(struct qn_pipeline_reader *r, const struct qn_json *value)
{
    if (!value || value->kind == QN_JSON_NULL)
        return NULL;
    r->pipeline->has_surround = true;
    qn_status status = read_surround(r, value);
    return status ? qn_status_note(status, "'post_processor'") : NULL;
}
