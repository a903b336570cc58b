/* Tokenizers of files older than tokenizer.json: tokenizer.model of SentencePiece, vocab.txt of BERT. */
#include <float.h>
#include <stddef.h>

#include "base/utf8.h"
#include "format/onnx/protobuf.h"
#include "text/tokenizer/character_set.h"
#include "text/tokenizer/folder_tokens.h"
#include "text/tokenizer/pipeline_build.h"
#include "text/tokenizer/vocab_files.h"

/* ---- SentencePiece: the message ------------------------------------------------------------------------------- */

struct piece {
    struct qn_str text;
    float score;
    int32_t type;
};

struct trainer {
    int32_t kind, byte_fallback, suffix;
    struct qn_str unknown_shown;
    bool has_shown;
};

/* Switches are 1 off, 0 or 1 when they stand in the file. */
struct normaliser {
    struct qn_onnx_bytes charsmap;
    int32_t prefix, merge, escape;
};

struct sp_model {
    struct piece *pieces;
    uint64_t piece_count;
    struct trainer trainer;
    struct normaliser normaliser;
};

#define FIELD(number, kind, type, member)                         \
    {                                                             \
        number, kind, #member, offsetof(type, member), 0, 0, NULL \
    }
#define MESSAGE(name, type, fields)                                                        \
    {                                                                                      \
        name, sizeof(type), _Alignof(type), fields, sizeof fields / sizeof fields[0], NULL \
    }

static const struct qn_pb_field piece_fields[] = {
    FIELD(1, QN_PB_TEXT, struct piece, text),
    FIELD(2, QN_PB_F32, struct piece, score),
    FIELD(3, QN_PB_I32, struct piece, type),
};
static const struct qn_pb_message piece_message = MESSAGE("SentencePiece", struct piece, piece_fields);

static const struct qn_pb_field trainer_fields[] = {
    FIELD(3, QN_PB_I32, struct trainer, kind),
    FIELD(24, QN_PB_I32, struct trainer, suffix),
    FIELD(35, QN_PB_I32, struct trainer, byte_fallback),
    FIELD(44, QN_PB_TEXT, struct trainer, unknown_shown),
};

static const struct qn_pb_field normaliser_fields[] = {
    FIELD(2, QN_PB_BYTES, struct normaliser, charsmap),
    FIELD(3, QN_PB_I32, struct normaliser, prefix),
    FIELD(4, QN_PB_I32, struct normaliser, merge),
    FIELD(5, QN_PB_I32, struct normaliser, escape),
};

/* Switches that the file leaves out are on. */
static qn_status finish_normaliser(void *object, const uint64_t *counts)
{
    struct normaliser *n = object;
    n->prefix = counts[1] ? n->prefix : 1;
    n->merge = counts[2] ? n->merge : 1;
    n->escape = counts[3] ? n->escape : 1;
    return NULL;
}

static qn_status finish_trainer(void *object, const uint64_t *counts)
{
    struct trainer *t = object;
    t->kind = counts[0] ? t->kind : 1;
    t->has_shown = counts[3];
    return NULL;
}

static const struct qn_pb_message normaliser_message = {
    "NormalizerSpec", sizeof(struct normaliser), _Alignof(struct normaliser), normaliser_fields, 4, finish_normaliser,
};
static const struct qn_pb_message trainer_message = {
    "TrainerSpec", sizeof(struct trainer), _Alignof(struct trainer), trainer_fields, 4, finish_trainer,
};

static const struct qn_pb_field model_fields[] = {
    {1, QN_PB_MESSAGES, "pieces", offsetof(struct sp_model, pieces), offsetof(struct sp_model, piece_count), 8,
     &piece_message},
    {2, QN_PB_MESSAGE, "trainer_spec", offsetof(struct sp_model, trainer), 0, 0, &trainer_message},
    {3, QN_PB_MESSAGE, "normalizer_spec", offsetof(struct sp_model, normaliser), 0, 0, &normaliser_message},
};
static const struct qn_pb_message model_message = MESSAGE("ModelProto", struct sp_model, model_fields);

/* ---- SentencePiece: the tokenizer ----------------------------------------------------------------------------- */

static const uint32_t flags_of_type[] = {
    QN_TOKEN_NORMAL,       QN_TOKEN_NORMAL, QN_TOKEN_UNKNOWN, QN_TOKEN_CONTROL,
    QN_TOKEN_USER_DEFINED, QN_TOKEN_UNUSED, QN_TOKEN_BYTE,
};

static qn_status put_pieces(struct qn_tokenizer *t, const struct sp_model *model)
{
    struct qn_unit_model *m = &t->pipeline->model;
    float lowest = FLT_MAX, highest = FLT_MIN;
    for (uint32_t i = 0; i < model->piece_count; i++) {
        const struct piece *piece = &model->pieces[i];
        if ((uint32_t)piece->type >= sizeof flags_of_type / sizeof flags_of_type[0])
            return QN_ERROR(QN_UNSUPPORTED, "piece %u has the type %d, which is not known", i, piece->type);
        if (piece->text.size == 0 || piece->score != piece->score)
            return QN_ERROR(QN_INVALID_FILE, "piece %u has %s", i, piece->text.size ? "no score" : "no text");
        struct qn_str text = qn_arena_str(&t->arena, piece->text);
        if (!text.data)
            return QN_OOM();
        if (qn_text_ids_find(&t->by_text, text.data, text.size) >= 0)
            return QN_ERROR(QN_INVALID_FILE, "piece %u, '%.*s', stands there twice", i, QN_STR_ARG(text));
        QN_TRY(qn_pipeline_put(t, (int32_t)i, text));
        t->tokens[i].score = piece->score;
        t->tokens[i].flags = flags_of_type[piece->type];
        if (t->tokens[i].flags == QN_TOKEN_UNKNOWN)
            m->unknown = (int32_t)i;
        if (t->tokens[i].flags == QN_TOKEN_NORMAL) {
            lowest = piece->score < lowest ? piece->score : lowest;
            highest = piece->score > highest ? piece->score : highest;
        }
    }
    m->lowest_score = (double)lowest;
    m->highest_score = highest;
    if (m->unknown < 0)
        return QN_ERROR(QN_INVALID_FILE, "no piece is the unknown one");
    return NULL;
}

/* The texts of user-defined pieces, which nothing changes. */
static qn_status index_kept(struct qn_tokenizer *t)
{
    uint32_t count = 0;
    struct qn_text_trie_key *keys = QN_ARENA_ARRAY(&t->arena, struct qn_text_trie_key, t->count);
    if (!keys)
        return QN_OOM();
    for (uint32_t i = 0; i < t->count; i++)
        if (t->tokens[i].flags & QN_TOKEN_USER_DEFINED)
            keys[count++] = (struct qn_text_trie_key){t->tokens[i].text, t->tokens[i].text_size, (int32_t)i};
    return qn_text_trie_init(&t->special, keys, count, t->arena.allocator);
}

/* transformers' Llama classes read the model in a way of their own. */
static bool is_llama(const struct qn_tokenizer_extras *extras)
{
    return extras && (qn_str_starts(extras->class_name, QN_STR("Llama")) ||
                      qn_str_starts(extras->class_name, QN_STR("CodeLlama")));
}

static qn_status set_steps(struct qn_tokenizer *t, const struct sp_model *model,
                           const struct qn_tokenizer_extras *extras)
{
    struct qn_pipeline *p = t->pipeline;
    const struct normaliser *given = &model->normaliser;
    bool llama = is_llama(extras), prefix = given->prefix && !(llama && extras->prefix_space == 0);
    struct qn_normalizer *n = QN_ARENA_NEW(&t->arena, struct qn_normalizer);
    if (!n)
        return QN_OOM();
    *n = (struct qn_normalizer){.kind = QN_NORMALIZER_SENTENCEPIECE,
                                .mark_before = prefix && !model->trainer.suffix,
                                .mark_once = extras && (llama ? extras->legacy != 1 : extras->legacy == 0),
                                .mark_missing = llama,
                                .mark_behind = given->prefix && model->trainer.suffix,
                                .merge_spaces = given->merge,
                                .mark_spaces = given->escape,
                                .kept = &t->special};
    struct qn_str charsmap = {(const char *)given->charsmap.data, given->charsmap.size};
    QN_TRY(qn_charsmap_init(&n->charsmap, charsmap, &t->arena));
    p->normalizers = n;
    p->normalizer_count = 1;
    p->has_decoder = true;
    p->model.trims_mark = prefix || given->merge;
    p->model.trims_marks = given->merge;
    p->model.unknown_shown = QN_STR(" \xe2\x81\x87 ");
    if (model->trainer.has_shown) {
        p->model.unknown_shown = qn_arena_str(&t->arena, model->trainer.unknown_shown);
        if (!p->model.unknown_shown.data)
            return QN_OOM();
    }
    return NULL;
}

/* Control tokens are found in a text only where that is asked for. */
static qn_status add_control_tokens(struct qn_tokenizer *t)
{
    struct qn_pipeline *p = t->pipeline;
    p->added = QN_ARENA_ARRAY(&t->arena, struct qn_added_token, t->count);
    if (!p->added)
        return QN_OOM();
    for (uint32_t i = 0; i < t->count; i++)
        if (t->tokens[i].flags & QN_TOKEN_CONTROL)
            p->added[p->added_count++] =
                (struct qn_added_token){.content = {t->tokens[i].text, t->tokens[i].text_size}, .special = true};
    return NULL;
}

qn_status qn_pipeline_set_frame(struct qn_tokenizer *t, bool add_bos, bool add_eos,
                                const int32_t roles[QN_TOKEN_ROLE_COUNT])
{
    struct qn_surround *s = QN_ARENA_NEW(&t->arena, struct qn_surround);
    struct qn_template_part *parts = QN_ARENA_ARRAY(&t->arena, struct qn_template_part, 10);
    int32_t *ends = QN_ARENA_ARRAY(&t->arena, int32_t, 2);
    if (!s || !parts || !ends)
        return QN_OOM();
    ends[0] = roles[QN_TOKEN_BOS];
    ends[1] = roles[QN_TOKEN_EOS];
    *s = (struct qn_surround){.kind = QN_SURROUND_TEMPLATE};
    struct qn_template *to[2] = {&s->single, &s->pair};
    int32_t *begin = add_bos && ends[0] >= 0 ? &ends[0] : NULL;
    int32_t *end = add_eos && ends[1] >= 0 ? &ends[1] : NULL;
    for (int pair = 0; pair < 2; pair++) {
        to[pair]->parts = parts;
        for (int i = 0; i <= pair; i++) {
            if (begin)
                *parts++ = (struct qn_template_part){-1, (uint32_t)i, begin, 1};
            *parts++ = (struct qn_template_part){.sequence = i, .type_id = (uint32_t)i};
            if (end)
                *parts++ = (struct qn_template_part){-1, (uint32_t)i, end, 1};
        }
        to[pair]->count = (uint32_t)(parts - to[pair]->parts);
        to[pair]->added = ((begin != NULL) + (uint32_t)(end != NULL)) * (uint32_t)(pair + 1);
    }
    t->pipeline->surrounds = s;
    t->pipeline->surround_count = 1;
    t->pipeline->has_surround = true;
    return NULL;
}

static qn_status build_sentence(struct qn_tokenizer *t, const struct sp_model *model,
                                const struct qn_tokenizer_extras *extras)
{
    static const char *const usual[QN_NAMED_COUNT] = {
        [QN_NAMED_BOS] = "<s>", [QN_NAMED_EOS] = "</s>", [QN_NAMED_PAD] = "<pad>"};
    static const char *const llama[QN_NAMED_COUNT] = {"<s>", "</s>", "<unk>"};
    struct qn_unit_model *m = &t->pipeline->model;
    if (model->trainer.kind != 1 && model->trainer.kind != 2)
        return QN_ERROR(QN_UNSUPPORTED, "'trainer_spec' names the model type %s, expected UNIGRAM or BPE",
                        model->trainer.kind == 3   ? "WORD"
                        : model->trainer.kind == 4 ? "CHAR"
                                                   : "of another number");
    if (model->piece_count == 0 || model->piece_count > INT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "%llu pieces", (unsigned long long)model->piece_count);
    m->kind = model->trainer.kind == 1 ? QN_UNIT_SENTENCE_UNIGRAM : QN_UNIT_SENTENCE_BPE;
    m->unknown = -1;
    m->byte_fallback = model->trainer.byte_fallback;
    QN_TRY(qn_pipeline_reserve(t, (uint32_t)model->piece_count, (uint32_t)model->piece_count));
    QN_TRY(put_pieces(t, model));
    t->pipeline->vocab_size = t->count;
    QN_TRY(index_kept(t));
    QN_TRY(set_steps(t, model, extras));
    QN_TRY(add_control_tokens(t));
    QN_TRY(qn_pipeline_add_tokens(t, extras, is_llama(extras) ? llama : NULL));
    for (uint32_t i = 0; i < t->pipeline->added_count; i++) /* the normaliser would put a mark before them */
        t->pipeline->added[i].normalized = false;
    QN_TRY(qn_pipeline_finish(t));
    int32_t roles[QN_TOKEN_ROLE_COUNT];
    qn_folder_roles(t, extras, usual, roles);
    if (extras)
        QN_TRY(qn_pipeline_set_frame(t, extras->add_bos != 0, extras->add_eos == 1, roles));
    qn_pipeline_set_roles(t, roles);
    return NULL;
}

/* ---- XLM-RoBERTa ---------------------------------------------------------------------------------------------- */

/* Its tokens stand at other ids than the pieces, and the text is cut in another way: what transformers makes of it. */
static bool is_xlm_roberta(const struct qn_tokenizer_extras *extras)
{
    if (!extras)
        return false;
    if (extras->class_name.size)
        return qn_str_starts(extras->class_name, QN_STR("XLMRoberta"));
    return qn_str_starts(extras->model_type, QN_STR("xlm-roberta"));
}

/* Four tokens stand for the first three pieces, the mask follows the last one. */
static qn_status put_xlm_roberta(struct qn_tokenizer *t, const struct sp_model *model, const struct qn_str *names)
{
    static const enum qn_named_token first[] = {QN_NAMED_BOS, QN_NAMED_PAD, QN_NAMED_EOS, QN_NAMED_UNK};
    struct qn_unit_model *m = &t->pipeline->model;
    uint32_t count = (uint32_t)model->piece_count + 2;
    QN_TRY(qn_pipeline_reserve(t, count, count));
    double *scores = QN_ARENA_ARRAY(&t->arena, double, count);
    if (!scores)
        return QN_OOM();
    for (uint32_t i = 0; i < count; i++) {
        const struct piece *piece = i < 4 || i + 1 == count ? NULL : &model->pieces[i - 1];
        struct qn_str text = qn_arena_str(&t->arena, piece ? piece->text : names[i < 4 ? first[i] : QN_NAMED_MASK]);
        if (!text.data)
            return QN_OOM();
        if (piece && (text.size == 0 || piece->score != piece->score))
            return QN_ERROR(QN_INVALID_FILE, "piece %u has %s", i - 1, text.size ? "no score" : "no text");
        QN_TRY(qn_pipeline_put(t, (int32_t)i, text));
        scores[i] = piece ? (double)piece->score : 0;
        t->tokens[i].score = (float)scores[i];
        m->lowest_score = scores[i] < m->lowest_score ? scores[i] : m->lowest_score;
    }
    m->scores = scores;
    m->unknown = 3;
    t->pipeline->vocab_size = count;
    return NULL;
}

static qn_status set_xlm_roberta_steps(struct qn_tokenizer *t, const struct qn_onnx_bytes *charsmap, bool prefix_space)
{
#define METASPACE "{\"type\": \"Metaspace\", \"replacement\": \"" QN_SPACE_MARK "\", \"prepend_scheme\": \"%s\"}"
    struct qn_step_texts steps = {0};
    const char *scheme = prefix_space ? "always" : "never";
    struct qn_strbuf map;
    qn_strbuf_init(&map, t->arena.allocator);
    struct qn_json_writer writer = {.out = &map};
    qn_json_begin_object(&writer);
    qn_json_key(&writer, "type");
    qn_json_write_text(&writer, "Precompiled");
    qn_json_key(&writer, "precompiled_charsmap");
    qn_json_write_base64(&writer, charsmap->data, charsmap->size);
    qn_json_end_object(&writer);
    bool ok = !map.failed;
    if (ok && charsmap->size) {
        steps.normalizer = qn_arena_str(&t->arena, qn_strbuf_view(&map));
        ok = steps.normalizer.data;
    }
    qn_strbuf_deinit(&map);
    steps.decoder = qn_arena_printf(&t->arena, METASPACE, scheme);
    steps.cutter = qn_arena_printf(
        &t->arena, "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"WhitespaceSplit\"}, " METASPACE "]}",
        scheme);
    return ok && steps.decoder.data && steps.cutter.data ? qn_pipeline_set_steps(t, &steps) : QN_OOM();
#undef METASPACE
}

static qn_status build_xlm_roberta(struct qn_tokenizer *t, const struct sp_model *model,
                                   const struct qn_tokenizer_extras *extras)
{
    static const char *const usual[QN_NAMED_COUNT] = {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"};
    struct qn_str names[QN_NAMED_COUNT];
    int32_t roles[QN_TOKEN_ROLE_COUNT];
    if (model->trainer.kind != 1)
        return QN_ERROR(QN_UNSUPPORTED,
                        "'tokenizer_class' asks for XLM-RoBERTa's, which is UNIGRAM; 'trainer_spec' names "
                        "the model type %d",
                        model->trainer.kind);
    if (model->piece_count < 3 || model->piece_count > INT32_MAX - 2)
        return QN_ERROR(QN_INVALID_FILE, "%llu pieces", (unsigned long long)model->piece_count);
    for (int i = 0; i < QN_NAMED_COUNT; i++)
        names[i] = extras->named[i].content.size ? extras->named[i].content : qn_str_from(usual[i]);
    t->pipeline->model.kind = QN_UNIT_UNIGRAM;
    QN_TRY(put_xlm_roberta(t, model, names));
    QN_TRY(set_xlm_roberta_steps(t, &model->normaliser.charsmap, extras->prefix_space != 0));
    QN_TRY(qn_pipeline_add_tokens(t, extras, usual));
    QN_TRY(qn_pipeline_finish(t));
    qn_folder_roles(t, extras, usual, roles);
    struct qn_surround surround = {
        .kind = QN_SURROUND_ROBERTA, .first = roles[QN_TOKEN_BOS], .separator = roles[QN_TOKEN_EOS]};
    QN_TRY(qn_pipeline_surround(t, surround));
    qn_pipeline_set_roles(t, roles);
    return NULL;
}

qn_status qn_tokenizer_from_sentencepiece(struct qn_str data, const char *name,
                                          const struct qn_tokenizer_extras *extras,
                                          const struct qn_allocator *allocator, struct qn_tokenizer **out)
{
    struct qn_arena scratch;
    struct sp_model model = {.trainer = {.kind = 1}, .normaliser = {.prefix = 1, .merge = 1, .escape = 1}};
    struct qn_tokenizer *t = NULL;
    qn_arena_init(&scratch, allocator);
    qn_status status = qn_pb_decode(&model_message, data.data, data.size, &scratch, &model);
    if (!status)
        status = qn_pipeline_create(allocator, &t);
    if (!status)
        status = is_xlm_roberta(extras) ? build_xlm_roberta(t, &model, extras) : build_sentence(t, &model, extras);
    qn_arena_deinit(&scratch);
    if (status) {
        qn_tokenizer_free(t);
        return qn_status_note(status, "tokenizer of '%s'", name);
    }
    *out = t;
    return NULL;
}

/* ---- vocab.txt ------------------------------------------------------------------------------------------------ */

/* Without the white space at its end. */
static struct qn_str trim_end(struct qn_str line)
{
    for (size_t size; line.size; line.size -= size) {
        uint32_t c = 0xfffd;
        size = 1;
        while (size < line.size && size < 4 && ((uint8_t)line.data[line.size - size] & 0xc0) == 0x80)
            size++;
        if (qn_utf8_decode(line.data + line.size - size, size, &c) != size || !qn_is_white(c))
            break;
    }
    return line;
}

static bool next_line(struct qn_str *rest, struct qn_str *line)
{
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end ? (size_t)(end - rest->data) : rest->size, taken = size + (end != NULL);
    *line = trim_end((struct qn_str){rest->data, size});
    *rest = (struct qn_str){rest->data + taken, rest->size - taken};
    return true;
}

static const char *json_bool(bool value)
{
    return value ? "true" : "false";
}

static qn_status set_bert_steps(struct qn_tokenizer *t, const struct qn_tokenizer_extras *extras)
{
    bool lower = !extras || extras->lower_case != 0;
    struct qn_step_texts steps = {
        .cutter = QN_STR("{\"type\": \"BertPreTokenizer\"}"),
        .decoder = QN_STR("{\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true}"),
    };
    steps.normalizer = qn_arena_printf(
        &t->arena,
        "{\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": %s, "
        "\"strip_accents\": %s, \"lowercase\": %s}",
        json_bool(!extras || extras->cut_chinese != 0),
        extras && extras->strip_accents >= 0 ? json_bool(extras->strip_accents) : "null", json_bool(lower));
    return steps.normalizer.data ? qn_pipeline_set_steps(t, &steps) : QN_OOM();
}

qn_status qn_pipeline_surround(struct qn_tokenizer *t, struct qn_surround surround)
{
    struct qn_pipeline *p = t->pipeline;
    if (surround.first < 0 || surround.separator < 0)
        return NULL;
    p->surrounds = QN_ARENA_NEW(&t->arena, struct qn_surround);
    if (!p->surrounds)
        return QN_OOM();
    *p->surrounds = surround;
    p->surround_count = 1;
    p->has_surround = true;
    return NULL;
}

/* Those tokens that every such vocabulary has, where this one does. */
static qn_status add_usual_tokens(struct qn_tokenizer *t, const char *const usual[QN_NAMED_COUNT])
{
    struct qn_pipeline *p = t->pipeline;
    p->added = QN_ARENA_ARRAY(&t->arena, struct qn_added_token, QN_NAMED_COUNT);
    if (!p->added)
        return QN_OOM();
    for (int i = 0; i < QN_NAMED_COUNT; i++)
        if (usual[i] && qn_text_ids_find(&t->by_text, usual[i], strlen(usual[i])) >= 0)
            p->added[p->added_count++] = (struct qn_added_token){.content = qn_str_from(usual[i]), .special = true};
    return NULL;
}

static qn_status build_bert(struct qn_tokenizer *t, struct qn_str text, const struct qn_tokenizer_extras *extras)
{
    static const char *const usual[QN_NAMED_COUNT] = {[QN_NAMED_UNK] = "[UNK]",
                                                      [QN_NAMED_SEP] = "[SEP]",
                                                      [QN_NAMED_PAD] = "[PAD]",
                                                      [QN_NAMED_CLS] = "[CLS]",
                                                      [QN_NAMED_MASK] = "[MASK]"};
    struct qn_unit_model *m = &t->pipeline->model;
    struct qn_str rest = text, line;
    uint32_t count = 0;
    if (text.size >= INT32_MAX)
        return QN_ERROR(QN_INVALID_FILE, "%zu bytes", text.size);
    while (next_line(&rest, &line))
        count++;
    if (count == 0)
        return QN_ERROR(QN_INVALID_FILE, "the file is empty, expected a token a line");
    QN_TRY(qn_pipeline_reserve(t, count, count));
    rest = qn_arena_str(&t->arena, text);
    if (!rest.data)
        return QN_OOM();
    for (int32_t i = 0; next_line(&rest, &line); i++) {
        for (size_t at = 0, size; at < line.size; at += size) {
            uint32_t c;
            size = qn_utf8_decode(line.data + at, line.size - at, &c);
            if (!size)
                return QN_ERROR(QN_INVALID_FILE, "line %d is not UTF-8", i + 1);
        }
        QN_TRY(qn_pipeline_put(t, i, line));
    }
    t->pipeline->vocab_size = count;
    *m = (struct qn_unit_model){.kind = QN_UNIT_WORDPIECE,
                                .names_unknown = true,
                                .has_prefix = true,
                                .prefix = QN_STR("##"),
                                .longest_word = 100};
    struct qn_str unknown = extras ? extras->named[QN_NAMED_UNK].content : (struct qn_str){0};
    m->unknown_text = unknown.size ? qn_arena_str(&t->arena, unknown) : QN_STR("[UNK]");
    if (!m->unknown_text.data)
        return QN_OOM();
    m->unknown = qn_text_ids_find(&t->by_text, m->unknown_text.data, m->unknown_text.size);
    QN_TRY(set_bert_steps(t, extras));
    QN_TRY(extras ? qn_pipeline_add_tokens(t, extras, usual) : add_usual_tokens(t, usual));
    QN_TRY(qn_pipeline_finish(t));
    int32_t roles[QN_TOKEN_ROLE_COUNT];
    qn_folder_roles(t, extras, usual, roles);
    roles[QN_TOKEN_BOS] = qn_folder_token(t, extras, usual, QN_NAMED_CLS);
    struct qn_surround surround = {
        .kind = QN_SURROUND_BERT, .first = roles[QN_TOKEN_BOS], .separator = roles[QN_TOKEN_SEP]};
    QN_TRY(qn_pipeline_surround(t, surround));
    qn_pipeline_set_roles(t, roles);
    return NULL;
}

qn_status qn_tokenizer_from_vocab_txt(struct qn_str text, const char *name, const struct qn_tokenizer_extras *extras,
                                      const struct qn_allocator *allocator, struct qn_tokenizer **out)
{
    struct qn_tokenizer *t;
    QN_TRY(qn_pipeline_create(allocator, &t));
    qn_status status = build_bert(t, text, extras);
    if (status) {
        qn_tokenizer_free(t);
        return qn_status_note(status, "tokenizer of '%s'", name);
    }
    *out = t;
    return NULL;
}
