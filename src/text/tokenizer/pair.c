/* qn_tokenizer_encode_pair: for pipelines as their file says, for other vocabularies the tokens of each text with those
 * that belong around them. */
#include "text/tokenizer/surround.h"

/* ---- vocabularies without a pipeline -------------------------------------------------------------------------- */

static bool adds(const struct qn_tokenizer *t, enum qn_token_role role)
{
    return t->adds[role] && t->roles[role] >= 0;
}

/* The tokens around: first, behind the first text, before and behind the second one. -1: none. */
static void find_frame(const struct qn_tokenizer *t, bool pair, int32_t frame[4])
{
    int32_t begin = adds(t, QN_TOKEN_BOS) ? t->roles[QN_TOKEN_BOS] : -1;
    int32_t end = adds(t, QN_TOKEN_EOS) ? t->roles[QN_TOKEN_EOS] : adds(t, QN_TOKEN_SEP) ? t->roles[QN_TOKEN_SEP] : -1;
    bool bert = t->kind == QN_TOKENIZER_WORDPIECE;
    frame[0] = begin;
    frame[1] = end;
    /* BERT parts two texts by one SEP; RoBERTa and its kin by two ends */
    frame[2] = !pair || bert ? -1 : end >= 0 ? end : t->roles[QN_TOKEN_SEP];
    frame[3] = end;
}

static qn_status encode_ids(const struct qn_tokenizer *t, const struct qn_encode_call *call, uint32_t index,
                            struct qn_arena *arena, struct qn_items *out)
{
    struct qn_encode_options options = {
        .struct_size = sizeof options, .bare = true, .parse_special = call->special, .continued = call->continued};
    struct qn_tokens tokens = {.allocator = t->arena.allocator};
    struct qn_str text = call->texts[index];
    QN_TRY(qn_tokenizer_encode(t, text.data, text.size, &options, &tokens));
    out->items = QN_ARENA_ARRAY(arena, struct qn_item, tokens.count);
    out->count = out->items ? tokens.count : 0;
    for (size_t i = 0; i < out->count; i++)
        out->items[i] = (struct qn_item){
            .token = {.id = tokens.ids[i], .type_id = index, .word = -1, .sequence = (int8_t)index, .attended = true},
            .text = {"", 0}};
    qn_tokens_free(&tokens);
    return out->items ? NULL : QN_OOM();
}

/* The frame as the post-processor that does the same. */
static void make_surround(const int32_t frame[4], bool bert, struct qn_template_part parts[6],
                          struct qn_surround *surround)
{
    uint32_t count = 0;
    struct qn_template *to[2] = {&surround->single, &surround->pair};
    for (int pair = 0; pair < 2; pair++) {
        uint32_t first = count, second_type = bert ? 1 : 0;
        if (frame[0] >= 0)
            parts[count++] = (struct qn_template_part){-1, 0, &frame[0], 1};
        parts[count++] = (struct qn_template_part){.sequence = 0};
        if (frame[1] >= 0)
            parts[count++] = (struct qn_template_part){-1, 0, &frame[1], 1};
        if (pair && frame[2] >= 0)
            parts[count++] = (struct qn_template_part){-1, 0, &frame[2], 1};
        if (pair)
            parts[count++] = (struct qn_template_part){.sequence = 1, .type_id = second_type};
        if (pair && frame[3] >= 0)
            parts[count++] = (struct qn_template_part){-1, second_type, &frame[3], 1};
        *to[pair] = (struct qn_template){.parts = parts + first, .count = count - first};
        for (uint32_t i = first; i < count; i++)
            to[pair]->added += parts[i].count;
    }
}

static qn_status encode_plain(const struct qn_tokenizer *t, const struct qn_encode_call *call, struct qn_arena *arena,
                              struct qn_encoded *out)
{
    struct qn_items texts[2] = {{0}}, all;
    struct qn_template_part parts[10];
    struct qn_surround surround = {.kind = QN_SURROUND_TEMPLATE};
    struct qn_pipeline pipeline = {.surrounds = &surround, .surround_count = 1, .has_surround = true};
    int32_t frame[4];
    find_frame(t, call->text_count == 2, frame);
    make_surround(frame, t->kind == QN_TOKENIZER_WORDPIECE, parts, &surround);
    for (uint32_t i = 0; i < call->text_count; i++)
        QN_TRY(encode_ids(t, call, i, arena, &texts[i]));
    size_t added = call->bare ? 0 : qn_surround_added(&pipeline, call->text_count == 2);
    if (call->truncation)
        QN_TRY(qn_truncate(texts, call->text_count, call->truncation, added, arena));
    QN_TRY(qn_surround(&pipeline, texts, call->text_count, !call->bare, arena, &all));
    if (call->padding)
        QN_TRY(qn_pad(&all, call->padding, arena));
    return qn_items_give(&all, out);
}

/* ---- the call ------------------------------------------------------------------------------------------------- */

qn_status qn_tokenizer_encode_pair(const struct qn_tokenizer *t, const char *first, size_t first_size,
                                   const char *second, size_t second_size, const struct qn_pair_options *options,
                                   struct qn_encoded *out)
{
    struct qn_pair_options all = {.struct_size = sizeof all};
    if (options && options->struct_size < sizeof options->struct_size)
        return QN_ERROR(QN_INVALID_ARGUMENT, "qn_pair_options: struct_size is not set");
    if (options)
        memcpy(&all, options, options->struct_size < sizeof all ? options->struct_size : sizeof all);
    if (out->tokens || out->overflow)
        return QN_ERROR(QN_INVALID_ARGUMENT, "the encoding to be written is not empty");
    if (t->kind == QN_TOKENIZER_NONE)
        return QN_ERROR(QN_UNSUPPORTED, "the model has no vocabulary, so text cannot be turned into tokens");
    struct qn_encode_call call = {.texts = {{first, first_size}, {second, second_size}},
                                  .text_count = second ? 2 : 1,
                                  .bare = all.bare,
                                  .special = all.parse_special,
                                  .characters = all.characters};
    if (all.truncate == QN_LENGTH_GIVEN)
        call.truncation = &all.truncation;
    if (all.pad == QN_LENGTH_GIVEN)
        call.padding = &all.padding;
    if (t->pipeline) {
        if (all.truncate == QN_LENGTH_AS_FILE && t->pipeline->has_truncation)
            call.truncation = &t->pipeline->truncation;
        if (all.pad == QN_LENGTH_AS_FILE && t->pipeline->has_padding)
            call.padding = &t->pipeline->padding;
        return qn_pipeline_encode(t, &call, out);
    }
    struct qn_arena arena;
    qn_arena_init(&arena, t->arena.allocator);
    qn_status status = encode_plain(t, &call, &arena, out);
    qn_arena_deinit(&arena);
    if (status)
        qn_encoded_free(out);
    return status;
}
