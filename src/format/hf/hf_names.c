/* The folder's tensors matched with the names of an architecture's table: each becomes a piece of one or more tensors
 * of the view. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "format/hf/hf.h"

enum { NAME_SIZE = 256, MAX_NUMBER = 1 << 20 };

/* ---- patterns ------------------------------------------------------------------------------------------------- */

struct captures {
    uint32_t count, numbers[2];
};

/* Whether `name` is `pattern` with decimal numbers for each "{}". */
static bool matches(struct qn_str name, const char *pattern, struct captures *out)
{
    size_t at = 0;
    *out = (struct captures){0};
    for (; *pattern; pattern++) {
        if (pattern[0] != '{' || pattern[1] != '}') {
            if (at >= name.size || name.data[at++] != *pattern)
                return false;
            continue;
        }
        pattern++;
        uint32_t number = 0;
        size_t start = at;
        while (at < name.size && name.data[at] >= '0' && name.data[at] <= '9' && number < MAX_NUMBER)
            number = number * 10 + (uint32_t)(name.data[at++] - '0');
        if (at == start || number >= MAX_NUMBER || out->count == 2 || (name.data[start] == '0' && at - start > 1))
            return false;
        out->numbers[out->count++] = number;
    }
    return at == name.size;
}

/* Matches with and without the prefix that a base model's files lack. */
static bool matches_row(const struct qn_hf *hf, struct qn_str name, const struct qn_hf_name *row, struct captures *out)
{
    const char *prefix = hf->arch->prefix;
    if (matches(name, row->from, out))
        return true;
    size_t size = prefix ? strlen(prefix) : 0;
    return size && strncmp(row->from, prefix, size) == 0 && matches(name, row->from + size, out);
}

bool qn_hf_matches_target(const struct qn_hf_name *row, struct qn_str name, uint32_t *layer)
{
    struct captures captures;
    if (!row->to || !matches(name, row->to, &captures))
        return false;
    *layer = captures.count ? captures.numbers[0] : 0;
    return true;
}

/* ---- what the configuration says of a shape ------------------------------------------------------------------- */

/* A factor: a number, "?", or a key. False when the configuration lacks it. */
static bool factor_value(struct qn_hf *hf, const char *text, size_t size, uint64_t *out)
{
    char key[64];
    if (size == 0 || size >= sizeof key || *text == '?')
        return false;
    memcpy(key, text, size);
    key[size] = 0;
    if (*key >= '0' && *key <= '9') {
        *out = strtoull(key, NULL, 10);
        return true;
    }
    if (!qn_hf_json(hf, key)) {
        if (strcmp(key, "head_dim") == 0)
            *out = qn_hf_head_dim(hf);
        else if (strcmp(key, "num_key_value_heads") == 0)
            *out = qn_hf_need_u64(hf, "num_attention_heads");
        else
            return false;
        return true;
    }
    *out = qn_hf_u64(hf, key, 0);
    return true;
}

bool qn_hf_product(struct qn_hf *hf, const char **text, uint64_t *out)
{
    bool known = true;
    *out = 1;
    for (;;) {
        size_t size = strcspn(*text, "*,");
        uint64_t value = 0;
        known = factor_value(hf, *text, size, &value) && known;
        known = known && qn_mul_u64(*out, value, out);
        *text += size;
        if (**text != '*')
            break;
        (*text)++;
    }
    return known;
}

static void print_dims(char buffer[96], uint32_t rank, const uint64_t *dims)
{
    size_t at = 0;
    buffer[0] = 0;
    for (uint32_t i = 0; i < rank && at < 72; i++)
        at += (size_t)snprintf(buffer + at, 96 - at, "%s%" PRIu64, i ? ", " : "", dims[i]);
}

static qn_status check_shape(struct qn_hf *hf, const struct qn_hf_name *row, const struct qn_hf_source *source)
{
    const char *at = row->shape;
    char shape[96];
    print_dims(shape, source->rank, source->dims);
    for (uint32_t i = 0; at && *at && !hf->status; i++) {
        const char *start = at;
        uint64_t value;
        bool known = qn_hf_product(hf, &at, &value);
        if (hf->status)
            break;
        if (i >= source->rank)
            return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' has shape [%s]; expected %u or more dimensions",
                            QN_STR_ARG(source->name), shape, i + 1);
        if (known && value != source->dims[i])
            return QN_ERROR(QN_INVALID_FILE,
                            "key '%.*s' is %" PRIu64 ", but tensor '%.*s' has shape [%s]: %" PRIu64 " there",
                            (int)(at - start), start, value, QN_STR_ARG(source->name), shape, source->dims[i]);
        at += *at == ',';
    }
    return hf->status;
}

/* ---- tensors of the view -------------------------------------------------------------------------------------- */

static struct qn_str target_name(struct qn_hf *hf, const struct qn_hf_name *row, uint32_t layer)
{
    const char *gap = strstr(row->to, "{}");
    if (!gap)
        return qn_str_from(row->to);
    return qn_arena_printf(&hf->arena, "%.*s%u%s", (int)(gap - row->to), row->to, layer, gap + 2);
}

static uint64_t heads_of(struct qn_hf *hf, enum qn_hf_heads heads)
{
    uint64_t queries = qn_hf_need_u64(hf, "num_attention_heads");
    return heads == QN_HF_KEY_HEADS ? qn_hf_u64(hf, "num_key_value_heads", queries) : queries;
}

static qn_status fail_rows(const struct qn_hf_source *source, uint64_t rows, const char *what, uint64_t count)
{
    return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s': %" PRIu64 " rows do not divide into %" PRIu64 " %s",
                    QN_STR_ARG(source->name), rows, count, what);
}

/* The runs of rows that a row of the table takes, and the stack that they become. */
static qn_status take_runs(struct qn_hf *hf, const struct qn_hf_name *row, const struct qn_hf_source *source,
                           struct qn_hf_piece *piece, struct qn_hf_tensor *shape)
{
    const char *texts[3] = {row->skip, row->take, row->rest};
    uint64_t sizes[3] = {0}, *dims = shape->dims, rows = dims[0], columns = dims[1];
    for (int i = 0; i < 3; i++) {
        const char *at = texts[i];
        if (at && (!qn_hf_product(hf, &at, &sizes[i]) || sizes[i] > UINT32_MAX))
            return hf->status ? hf->status
                              : QN_ERROR(QN_INVALID_FILE, "key '%s': expected a whole number, found nothing", texts[i]);
    }
    piece->start = sizes[0];
    piece->run = sizes[1];
    piece->period = sizes[0] + sizes[1] + sizes[2];
    if (shape->rank != 2 || qn_dtype_is_block(source->dtype))
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s': expected a matrix of plain numbers to take apart",
                        QN_STR_ARG(source->name));
    if (piece->run == 0 || rows % piece->period)
        return fail_rows(source, rows, "runs of", piece->period);
    shape->rank = 3;
    dims[0] = rows / piece->period;
    dims[1] = row->turn ? columns : piece->run;
    dims[2] = row->turn ? piece->run : columns;
    shape->columns = dims[2];
    piece->turn = row->turn;
    return NULL;
}

/* The piece that a source is by its row of the table, and the dims of a tensor made of it alone. */
static qn_status make_piece(struct qn_hf *hf, const struct qn_hf_name *row, const struct qn_hf_source *source,
                            struct qn_hf_piece *piece, struct qn_hf_tensor *shape)
{
    shape->rank = source->rank;
    memcpy(shape->dims, source->dims, sizeof shape->dims);
    if (row->transpose && source->kind == QN_HF_PLAIN) { /* quantised weights are [out, in] in any case */
        if (shape->rank < 2 || qn_dtype_is_block(source->dtype))
            return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s': expected a matrix of plain numbers to transpose",
                            QN_STR_ARG(source->name));
        uint64_t last = shape->dims[shape->rank - 1];
        shape->dims[shape->rank - 1] = shape->dims[shape->rank - 2];
        shape->dims[shape->rank - 2] = last;
        piece->transpose = true;
    }
    if (row->squeeze) {
        uint32_t rank = 0;
        for (uint32_t i = 0; i < shape->rank; i++)
            if (shape->dims[i] != 1 || i + 1 == shape->rank)
                shape->dims[rank++] = shape->dims[i];
        shape->rank = rank;
    }
    if (row->elements && (source->kind != QN_HF_PLAIN || qn_dtype_is_block(source->dtype)))
        return QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s': expected plain numbers to divide its rows",
                        QN_STR_ARG(source->name));
    /* Rows of a matrix; a vector's elements are rows of one column, and so are those of rows that are divided. */
    bool single = shape->rank < 2 || row->elements;
    uint64_t *rows = &shape->dims[shape->rank >= 2 ? shape->rank - (row->elements ? 1 : 2) : 0];
    shape->columns = single ? 1 : shape->dims[shape->rank - 1];
    piece->elements = row->elements;
    if (shape->rank == 0) {
        shape->rank = 1;
        shape->dims[0] = 1;
    }
    piece->matrix = piece->period = piece->run = *rows;
    if (row->split) {
        uint64_t each = row->alternate ? 1 : row->split_each ? heads_of(hf, row->split_each) : 1;
        if (!row->alternate && (each == 0 || *rows % each))
            return fail_rows(source, *rows, "heads", each);
        piece->period = row->alternate ? row->split : *rows / each;
        if (piece->period % row->split || (piece->period && *rows % piece->period))
            return fail_rows(source, *rows, "parts", row->split);
        piece->run = piece->period / row->split;
        piece->start = row->part * piece->run;
        *rows /= row->split;
    }
    if (row->take)
        QN_TRY(take_runs(hf, row, source, piece, shape));
    if (row->after) {
        uint64_t first = qn_hf_u64(hf, row->after, 1);
        if (first >= *rows - (*rows != 0))
            return QN_ERROR(QN_INVALID_FILE, "key '%s' is %" PRIu64 ", but tensor '%.*s' has %" PRIu64 " rows",
                            row->after, first, QN_STR_ARG(source->name), *rows);
        piece->start = first + 1;
        piece->run = *rows -= piece->start;
    }
    if (row->interleave) {
        piece->heads = heads_of(hf, row->interleave);
        if (piece->heads == 0 || *rows % piece->heads || *rows / piece->heads % 2)
            return fail_rows(source, *rows, "heads of an even size", piece->heads);
        piece->head_rows = *rows / piece->heads;
    }
    shape->elements = 1;
    for (uint32_t i = 0; i < shape->rank; i++)
        shape->elements *= shape->dims[i]; /* those of the source, or fewer */
    piece->rows = shape->columns ? shape->elements / shape->columns : 0;
    return hf->status;
}

static qn_status add_piece(struct qn_hf *hf, const struct qn_hf_name *row, const struct captures *captures,
                           uint32_t source_index)
{
    const struct qn_hf_source *source = &hf->sources.items[source_index];
    struct qn_str name = target_name(hf, row, captures->numbers[0]);
    bool stacked = captures->count == 2;
    struct qn_hf_piece piece = {.source = source_index, .order = stacked ? captures->numbers[1] : row->slot};
    struct qn_hf_tensor shape = {.name = name, .recipe = row, .stacked = stacked};
    if (!name.data)
        return QN_OOM();
    QN_TRY(make_piece(hf, row, source, &piece, &shape));
    shape.dtype = row->value ? QN_DTYPE_F32 : source->dtype;
    const uint32_t *index = qn_map_get(&hf->tensor_map, name);
    if (!index) {
        if (qn_map_put(&hf->tensor_map, name, hf->tensors.count) == QN_MAP_FAILED ||
            !qn_array_push(&hf->tensors, hf->allocator, shape))
            return QN_OOM();
        index = qn_map_get(&hf->tensor_map, name);
    }
    struct qn_hf_tensor *tensor = &hf->tensors.items[*index];
    bool same = tensor->dtype == shape.dtype && tensor->rank == shape.rank && tensor->columns == shape.columns &&
                tensor->stacked == stacked && tensor->recipe->value == row->value;
    for (uint32_t i = 0; i < shape.rank && same; i++) /* joined tensors may differ in rows */
        same = tensor->dims[i] == shape.dims[i] ||
               (!stacked && i == (shape.rank >= 2 ? shape.rank - 2 : 0) && row->slot != tensor->recipe->slot);
    if (!same)
        return QN_ERROR(QN_INVALID_FILE, "tensor '%.*s' differs in type or shape from '%.*s', which it is to join",
                        QN_STR_ARG(source->name), QN_STR_ARG(hf->sources.items[tensor->pieces.items[0].source].name));
    return qn_array_push(&tensor->pieces, hf->allocator, piece) ? NULL : QN_OOM();
}

/* ---- finishing ------------------------------------------------------------------------------------------------ */

static int compare_pieces(const void *a, const void *b)
{
    const struct qn_hf_piece *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

/* Whether the tensor is the source as it lies in the file. */
static bool is_direct(const struct qn_hf_tensor *t, const struct qn_hf_source *source, const struct qn_hf_piece *piece)
{
    return t->pieces.count == 1 && !t->stacked && source->kind == QN_HF_PLAIN && source->parts[0] &&
           qn_set_is_plain(source->parts[0]) && !piece->transpose && !piece->heads && piece->run == piece->period &&
           t->recipe->value == QN_HF_SAME;
}

static qn_status finish_tensor(struct qn_hf *hf, struct qn_hf_tensor *t)
{
    const struct qn_hf_source *first = &hf->sources.items[t->pieces.items[0].source];
    qsort(t->pieces.items, t->pieces.count, sizeof *t->pieces.items, compare_pieces);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < t->pieces.count; i++) {
        const struct qn_hf_piece *piece = &t->pieces.items[i];
        if (i && piece->order == piece[-1].order)
            return QN_ERROR(QN_INVALID_FILE, "tensors '%.*s' and '%.*s' are both '%s'",
                            QN_STR_ARG(hf->sources.items[piece[-1].source].name),
                            QN_STR_ARG(hf->sources.items[piece->source].name), t->name.data);
        if (piece->order != i)
            return QN_ERROR(QN_INVALID_FILE, "'%s': part %u is missing beside '%.*s'", t->name.data, i,
                            QN_STR_ARG(first->name));
        rows += piece->rows; /* each is at most the elements of a source */
    }
    if (t->stacked) {
        if (t->rank >= QN_SET_MAX_RANK)
            return QN_ERROR(QN_UNSUPPORTED, "'%s': more than %d dimensions", t->name.data, QN_SET_MAX_RANK);
        memmove(t->dims + 1, t->dims, t->rank * sizeof *t->dims);
        t->dims[0] = t->pieces.count;
        t->rank++;
        if (t->rank == 2) { /* experts' vectors become the rows of a matrix */
            t->columns = t->dims[1];
            rows = t->dims[0];
        }
    } else if (t->pieces.count > 1) {
        uint64_t others = 1; /* matrices of a stack cannot be joined in rows */
        for (uint32_t i = 0; i + 2 < t->rank; i++)
            others *= t->dims[i];
        if (others != 1)
            return QN_ERROR(QN_UNSUPPORTED, "'%s': stacks of matrices cannot be joined", t->name.data);
        t->dims[t->rank >= 2 ? t->rank - 2 : 0] = rows;
    }
    if (t->recipe->elements && t->rank >= 2) { /* so far rows were elements */
        t->columns = t->dims[t->rank - 1];
        rows = t->columns ? rows / t->columns : 0;
    }
    uint64_t row_bytes;
    if (!qn_mul_u64(rows, t->columns, &t->elements) || !qn_dtype_row_bytes(t->dtype, t->columns, &row_bytes) ||
        !qn_mul_u64(row_bytes, rows, &t->bytes))
        return QN_ERROR(QN_INVALID_FILE, "'%s': its size does not fit 64 bits", t->name.data);
    if (is_direct(t, first, &t->pieces.items[0]))
        t->direct = first->parts[0];
    return NULL;
}

static bool has_source(const struct qn_hf *hf, const char *name)
{
    for (uint32_t i = 0; i < hf->sources.count; i++)
        if (qn_str_is(hf->sources.items[i].name, name))
            return true;
    return false;
}

/* Tensors that others stand for: "lm_head.weight" beside tied embeddings is a copy of them. A masked model's are tied
 * unless it says otherwise. */
static bool is_copy(struct qn_hf *hf, const struct qn_hf_name *row)
{
    if (row->rival)
        return !qn_hf_bool(hf, "tie_word_embeddings", true) && has_source(hf, row->rival);
    if (row->untied || strcmp(row->to, "mlm.output.weight") == 0)
        return qn_hf_bool(hf, "tie_word_embeddings", true);
    return strcmp(row->to, "output.weight") == 0 && qn_hf_json(hf, "tie_word_embeddings") &&
           qn_hf_bool(hf, "tie_word_embeddings", false);
}

/* Names of a text model inside one that sees or hears: "language_model.model.layers", of transformers 4, and
 * "model.language_model.layers", of 5. *text false: of none of them. */
static qn_status inner_name(struct qn_hf *hf, struct qn_str name, struct qn_str *out, bool *text)
{
    static const struct {
        const char *outer, *inner;
    } prefixes[] = {{"language_model.", ""}, {"model.language_model.", "model."}, {"lm_head.", "lm_head."}};
    *out = name;
    *text = false;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0] && !*text && hf->text != hf->config; i++) {
        size_t size = strlen(prefixes[i].outer);
        if (!qn_str_starts(name, qn_str_from(prefixes[i].outer)))
            continue;
        *text = true;
        *out = qn_arena_printf(&hf->arena, "%s%.*s", prefixes[i].inner, (int)(name.size - size), name.data + size);
    }
    return out->data ? NULL : QN_OOM();
}

static qn_status match_source(struct qn_hf *hf, uint32_t index, uint64_t layers)
{
    const struct qn_hf_source *source = &hf->sources.items[index];
    struct qn_str name;
    bool known = false, text;
    QN_TRY(inner_name(hf, source->name, &name, &text));
    for (const struct qn_hf_name *row = hf->arch->names; row->from; row++) {
        struct captures captures;
        if (!matches_row(hf, name, row, &captures))
            continue;
        known = true;
        if (!row->to)
            break;
        if (row->of && !qn_hf_is_model(hf, row->of))
            continue;
        if (captures.count && captures.numbers[0] >= layers) {
            if (hf->arch->spare_layers)
                break;
            return QN_ERROR(QN_INVALID_FILE, "key '%s' is %" PRIu64 ", but there is a tensor '%.*s'", hf->arch->layers,
                            layers, QN_STR_ARG(source->name));
        }
        if (is_copy(hf, row))
            break;
        QN_TRY(check_shape(hf, row, source));
        QN_TRY(add_piece(hf, row, &captures, index));
    }
    if (!known && !text && hf->text != hf->config) {
        hf->left_out++;
        return NULL;
    }
    return known ? NULL
                 : QN_ERROR(QN_UNSUPPORTED, "tensor '%.*s' has no place in architecture '%s'", QN_STR_ARG(source->name),
                            hf->arch->model_type);
}

/* A folder of an architecture without a table shows its tensors under their own names. */
static qn_status take_all(struct qn_hf *hf)
{
    static const struct qn_hf_name as_it_is = {0};
    for (uint32_t i = 0; i < hf->sources.count; i++) {
        const struct qn_hf_source *source = &hf->sources.items[i];
        struct qn_hf_piece piece = {.source = i};
        struct qn_hf_tensor tensor = {.name = source->name, .recipe = &as_it_is};
        QN_TRY(make_piece(hf, &as_it_is, source, &piece, &tensor));
        tensor.dtype = source->dtype;
        if (qn_map_put(&hf->tensor_map, tensor.name, hf->tensors.count) == QN_MAP_FAILED ||
            !qn_array_push(&hf->tensors, hf->allocator, tensor) ||
            !qn_array_push(&hf->tensors.items[hf->tensors.count - 1].pieces, hf->allocator, piece))
            return QN_OOM();
    }
    return NULL;
}

qn_status qn_hf_make_tensors(struct qn_hf *hf)
{
    uint64_t layers = hf->arch ? qn_hf_layers(hf) : 0;
    qn_status status = hf->status;
    if (!status && !hf->arch)
        status = take_all(hf);
    for (uint32_t i = 0; i < hf->sources.count && hf->arch && !status; i++)
        status = match_source(hf, i, layers);
    for (uint32_t i = 0; i < hf->tensors.count && !status; i++)
        status = finish_tensor(hf, &hf->tensors.items[i]);
    hf->status = NULL;
    return status;
}

void qn_hf_add_f32(struct qn_hf *hf, const char *name, const float *values, uint32_t count)
{
    struct qn_hf_tensor tensor = {.name = qn_arena_str(&hf->arena, qn_str_from(name)),
                                  .dtype = QN_DTYPE_F32,
                                  .rank = 1,
                                  .dims = {count},
                                  .elements = count,
                                  .bytes = (uint64_t)count * sizeof *values,
                                  .columns = 1};
    float *copy = QN_ARENA_ARRAY(&hf->arena, float, count);
    if (hf->status)
        return;
    if (!copy || !tensor.name.data || qn_map_put(&hf->tensor_map, tensor.name, hf->tensors.count) != QN_MAP_ADDED) {
        hf->status =
            copy && tensor.name.data ? QN_ERROR(QN_INVALID_FILE, "tensor '%s' exists already", name) : QN_OOM();
        return;
    }
    if (count)
        memcpy(copy, values, count * sizeof *copy);
    tensor.data = copy;
    if (!qn_array_push(&hf->tensors, hf->allocator, tensor))
        hf->status = QN_OOM();
}

bool qn_hf_has(const struct qn_hf *hf, const char *name, uint32_t *rank, const uint64_t **dims)
{
    const uint32_t *index = qn_map_get(&hf->tensor_map, qn_str_from(name));
    if (!index)
        return false;
    if (rank)
        *rank = hf->tensors.items[*index].rank;
    if (dims)
        *dims = hf->tensors.items[*index].dims;
    return true;
}
