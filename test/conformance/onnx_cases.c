#include "conformance/onnx_cases.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "conformance/onnx_compare.h"
#include "quern/data.h"
#include "quern/model.h"
#include "quern/session.h"
#include "support/testing.h"

enum { PATH_SIZE = 1024, MAX_SLOTS = 64 };

/* ---- finding -------------------------------------------------------------------------------------------------- */

static char *joined(const char *a, const char *b, const char *end)
{
    char *out = malloc(strlen(a) + strlen(b) + strlen(end) + 2);
    if (out)
        sprintf(out, "%s%s%s%s", a, *a ? "/" : "", b, end);
    return out;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct onnx_case *)a)->name, ((const struct onnx_case *)b)->name);
}

static void add_case(struct onnx_cases *cases, const struct onnx_case *one)
{
    struct onnx_case *more = realloc(cases->items, (cases->count + 1) * sizeof *more);
    if (!more)
        return;
    cases->items = more;
    cases->items[cases->count++] = *one;
}

void onnx_find_cases(const char *group, const char *folder, enum onnx_layout layout, const char *pattern,
                     struct onnx_cases *out)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    *out = (struct onnx_cases){0};
    while (dir && (entry = readdir(dir))) {
        struct onnx_case one = {.group = group, .layout = layout};
        size_t size = strlen(entry->d_name);
        if (layout == ONNX_LAYOUT_LIGHT) {
            if (size < 6 || strcmp(entry->d_name + size - 5, ".onnx") != 0)
                continue;
            entry->d_name[size - 5] = 0;
            one.folder = strdup(folder);
        } else {
            char *model = joined(folder, entry->d_name, "/model.onnx");
            bool there = entry->d_name[0] != '.' && access(model, R_OK) == 0;
            free(model);
            if (!there)
                continue;
            one.folder = joined(folder, entry->d_name, "");
        }
        one.name = strdup(entry->d_name);
        if (pattern && !strstr(one.name, pattern)) {
            free(one.name);
            free(one.folder);
            continue;
        }
        add_case(out, &one);
    }
    if (dir)
        closedir(dir);
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_name);
}

void onnx_free_cases(struct onnx_cases *cases)
{
    for (uint32_t i = 0; i < cases->count; i++) {
        free(cases->items[i].name);
        free(cases->items[i].folder);
    }
    free(cases->items);
    *cases = (struct onnx_cases){0};
}

static struct onnx_case *find_case(struct onnx_cases *cases, const char *group, const char *name)
{
    for (uint32_t i = 0; i < cases->count; i++)
        if (strcmp(cases->items[i].group, group) == 0 && strcmp(cases->items[i].name, name) == 0)
            return &cases->items[i];
    return NULL;
}

void onnx_mark_known(char *text, struct onnx_cases *cases, bool whole_group, char stale[200])
{
    *stale = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *slash = strchr(line, '/'), *colon = slash ? strchr(slash, ':') : NULL;
        if (*line == '#' || !colon)
            continue;
        *slash = *colon = 0;
        if (!cases->count || strcmp(line, cases->items[0].group) != 0)
            continue;
        struct onnx_case *one = find_case(cases, line, slash + 1);
        if (one)
            one->known = colon + 1 + strspn(colon + 1, " ");
        else if (whole_group && !*stale)
            snprintf(stale, 200, "%s/%s", line, slash + 1);
    }
}

/* ---- running -------------------------------------------------------------------------------------------------- */

struct job {
    const struct onnx_case *one;
    struct qn_model *model;
    struct qn_session *session;
    struct qn_run *run;
    struct onnx_tolerance tolerance;
    struct onnx_outcome *out;
    struct qn_data inputs[MAX_SLOTS];
    struct qn_slot_info input_slots[MAX_SLOTS], output_slots[MAX_SLOTS];
    uint32_t input_count, output_count;
};

static bool fail_status(struct job *job, const char *what, qn_status status)
{
    if (!status)
        return true;
    snprintf(job->out->words, sizeof job->out->words, "%.50s: %.640s", what, qn_status_message(status));
    qn_status_free(status);
    return false;
}

static bool fail_words(struct job *job, const char *what, const char *name)
{
    snprintf(job->out->words, sizeof job->out->words, "%s %s", what, name);
    return false;
}

/* Integer kernels round in places of their own: models in Q/DQ form are compared by what they say, not to the digit. */
static bool is_quantised(const struct qn_model *model)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    qn_status_free(qn_model_info(model, &info));
    for (uint32_t i = 0; i < info.op_count; i++) {
        struct qn_model_op op = {.struct_size = sizeof op};
        qn_status_free(qn_model_op(model, i, &op));
        if (strcmp(op.name, "QuantizeLinear") == 0 || strncmp(op.name, "QLinear", 7) == 0 ||
            strcmp(op.name, "DynamicQuantizeLinear") == 0)
            return true;
    }
    return false;
}

static bool open_job(struct job *job, const char *path, const struct onnx_config *config)
{
    struct qn_session_options options = {
        .struct_size = sizeof options, .threads = config->threads, .disabled_passes = config->off};
    if (!fail_status(job, "opening", qn_model_open(path, NULL, &job->model)) ||
        !fail_status(job, "session", qn_session_create(job->model, &options, &job->session)) ||
        !fail_status(job, "session", qn_run_create(job->session, &job->run)))
        return false;
    job->input_count = qn_session_slot_count(job->session, QN_SLOT_INPUT);
    job->output_count = qn_session_slot_count(job->session, QN_SLOT_OUTPUT);
    if (job->input_count > MAX_SLOTS || job->output_count > MAX_SLOTS)
        return fail_words(job, "more inputs or outputs than expected:", job->one->name);
    for (uint32_t i = 0; i < job->input_count; i++) {
        job->input_slots[i].struct_size = sizeof *job->input_slots;
        qn_status_free(qn_session_slot(job->session, QN_SLOT_INPUT, i, &job->input_slots[i]));
    }
    for (uint32_t i = 0; i < job->output_count; i++) {
        job->output_slots[i].struct_size = sizeof *job->output_slots;
        qn_status_free(qn_session_slot(job->session, QN_SLOT_OUTPUT, i, &job->output_slots[i]));
    }
    return true;
}

static void free_inputs(struct job *job)
{
    for (uint32_t i = 0; i < MAX_SLOTS; i++)
        qn_data_free(&job->inputs[i], NULL);
}

static void close_job(struct job *job)
{
    qn_run_destroy(job->run);
    qn_session_destroy(job->session);
    qn_model_close(job->model);
    free_inputs(job);
}

static bool bind_file(struct job *job, uint32_t slot, const char *path)
{
    return fail_status(job, "input", qn_data_load(path, &job->input_slots[slot], NULL, NULL, &job->inputs[slot])) &&
           fail_status(job, "input", qn_run_bind_input(job->run, slot, &job->inputs[slot]));
}

/* The session's input for number `index` of the graph; UINT32_MAX when it has none. */
static uint32_t input_of(const struct job *job, uint32_t index)
{
    struct qn_model_port port = {.struct_size = sizeof port};
    qn_status status = qn_model_input(job->model, index, &port);
    int32_t slot = status ? -1 : qn_session_find(job->session, QN_SLOT_INPUT, port.name);
    qn_status_free(status);
    return slot < 0 ? UINT32_MAX : (uint32_t)slot;
}

static bool check_output(struct job *job, uint32_t slot, const struct qn_data *expected)
{
    struct qn_data found = {0};
    char words[500];
    if (!fail_status(job, "output", qn_run_output(job->run, slot, &found)))
        return false;
    if (onnx_compare(&found, expected, &job->tolerance, words, sizeof words))
        return true;
    snprintf(job->out->words, sizeof job->out->words, "output '%s': %s", job->output_slots[slot].name, words);
    return false;
}

static bool check_file(struct job *job, uint32_t slot, const char *path)
{
    struct qn_data expected = {0};
    if (slot >= job->output_count)
        return fail_words(job, "the model has no output for", path);
    bool good = fail_status(job, "expected", qn_data_load(path, &job->output_slots[slot], NULL, NULL, &expected)) &&
                check_output(job, slot, &expected);
    qn_data_free(&expected, NULL);
    return good;
}

static bool execute(struct job *job)
{
    if (!fail_status(job, "run", qn_run_execute(job->run)))
        return false;
    for (uint32_t i = 0; i < job->output_count; i++) {
        struct qn_data found = {0};
        if (!fail_status(job, "output", qn_run_output(job->run, i, &found)))
            return false;
        onnx_hash(&found, &job->out->hash);
    }
    return true;
}

/* ---- the three layouts ---------------------------------------------------------------------------------------- */

static bool run_set(struct job *job, const char *folder)
{
    char path[PATH_SIZE];
    free_inputs(job);
    for (uint32_t i = 0; i < MAX_SLOTS; i++) {
        snprintf(path, sizeof path, "%s/input_%u.pb", folder, i);
        uint32_t slot = input_of(job, i);
        if (access(path, R_OK) == 0 && slot != UINT32_MAX && !bind_file(job, slot, path))
            return false;
    }
    if (!execute(job))
        return false;
    for (uint32_t i = 0; i < MAX_SLOTS; i++) {
        snprintf(path, sizeof path, "%s/output_%u.pb", folder, i);
        if (access(path, R_OK) == 0 && !check_file(job, i, path))
            return false;
    }
    return true;
}

static bool run_sets(struct job *job)
{
    char folder[PATH_SIZE];
    uint32_t ran = 0;
    for (;; ran++) {
        snprintf(folder, sizeof folder, "%s/test_data_set_%u", job->one->folder, ran);
        if (access(folder, R_OK) != 0)
            break;
        if (!run_set(job, folder))
            return false;
    }
    return ran ? true : fail_words(job, "no test data in", job->one->folder);
}

/* The inputs of the light models: element i of n is i / n. */
static bool count_up(struct job *job, uint32_t slot)
{
    const struct qn_slot_info *info = &job->input_slots[slot];
    struct qn_data *data = &job->inputs[slot];
    uint64_t count = 1;
    *data = (struct qn_data){.kind = QN_DATA_TENSOR, .tensor = {.dtype = QN_DTYPE_F32, .rank = info->rank}};
    for (uint32_t i = 0; i < info->rank; i++) {
        data->tensor.dims[i] = info->dims[i] < 0 ? 1 : info->dims[i];
        count *= (uint64_t)data->tensor.dims[i];
    }
    const struct qn_allocator *a = qn_allocator_default();
    data->tensor.bytes = count * sizeof(float);
    float *values = data->tensor.data = a->resize(a->context, NULL, 0, data->tensor.bytes);
    for (uint64_t i = 0; values && i < count; i++)
        values[i] = (float)((double)i / (double)count);
    return fail_status(job, "input", qn_run_bind_input(job->run, slot, data));
}

static bool run_light(struct job *job)
{
    char path[PATH_SIZE];
    for (uint32_t i = 0; i < job->input_count; i++)
        if (!job->input_slots[i].optional && !count_up(job, i))
            return false;
    if (!execute(job))
        return false;
    for (uint32_t i = 0; i < job->output_count; i++) {
        snprintf(path, sizeof path, "%s/%s_output_%u.pb", job->one->folder, job->one->name, i);
        if (!check_file(job, i, path))
            return false;
    }
    return true;
}

/* <folder>/<prefix><name, all but letters, digits, '.', '_', '-' as '_'><end> */
static void npy_path(char path[PATH_SIZE], const char *folder, const char *prefix, const char *name, const char *end)
{
    size_t used = (size_t)snprintf(path, PATH_SIZE, "%s/%s", folder, prefix);
    for (; *name && used < PATH_SIZE - 40; name++)
        path[used++] = isalnum((unsigned char)*name) || strchr("._-", *name) ? *name : '_';
    snprintf(path + used, PATH_SIZE - used, "%s", end);
}

/* Strings of nested JSON arrays. */
struct texts {
    struct qn_string *strings; /* NULL while they are counted */
    char *text;
    uint64_t count, bytes;
};

static void gather_texts(const struct qn_json *value, uint32_t depth, struct qn_tensor *shape, struct texts *out)
{
    if (value->kind == QN_JSON_ARRAY && depth < QN_TENSOR_MAX_RANK) {
        shape->rank = depth + 1 > shape->rank ? depth + 1 : shape->rank;
        shape->dims[depth] = value->size;
        const struct qn_json *item = qn_json_first(value);
        for (uint32_t i = 0; i < value->size; i++, item = qn_json_next(item))
            gather_texts(item, depth + 1, shape, out);
        return;
    }
    struct qn_str text = qn_json_str(value);
    if (out->strings) {
        out->strings[out->count] = (struct qn_string){out->text + out->bytes, text.size};
        memcpy(out->text + out->bytes, text.data, text.size);
    }
    out->count++;
    out->bytes += text.size;
}

static bool load_json(struct job *job, const char *path, struct qn_data *out)
{
    static const struct qn_json_options options = {0};
    const struct qn_allocator *a = qn_allocator_default();
    const struct qn_json *root;
    struct qn_arena arena;
    size_t size;
    char *text = qn_test_read_file(path, &size);
    qn_arena_init(&arena, NULL);
    bool good = fail_status(job, path, qn_json_read((struct qn_str){text, size}, &options, &arena, &root));
    if (good) {
        struct texts texts = {0};
        *out = (struct qn_data){.kind = QN_DATA_TENSOR, .tensor = {.dtype = QN_DTYPE_STRING}};
        gather_texts(root, 0, &out->tensor, &texts);
        out->tensor.bytes = texts.count * sizeof(struct qn_string) + texts.bytes;
        out->tensor.data = a->resize(a->context, NULL, 0, out->tensor.bytes);
        texts =
            (struct texts){out->tensor.data, (char *)out->tensor.data + texts.count * sizeof(struct qn_string), 0, 0};
        gather_texts(root, 0, &out->tensor, &texts);
    }
    qn_arena_deinit(&arena);
    free(text);
    return good;
}

/* out_<name><end> as .npy, or as .json where numpy has no such type; *there says whether there is such a file. */
static bool load_expected(struct job *job, uint32_t slot, const char *end, bool *there, struct qn_data *out)
{
    static const struct qn_slot_info any = {.struct_size = sizeof any};
    char path[PATH_SIZE], whole[64];
    for (int json = 0; json < 2; json++) {
        snprintf(whole, sizeof whole, "%s%s", end, json ? ".json" : ".npy");
        npy_path(path, job->one->folder, "out_", job->output_slots[slot].name, whole);
        *there = access(path, R_OK) == 0;
        if (*there)
            return json ? load_json(job, path, out)
                        : fail_status(job, "expected", qn_data_load(path, &any, NULL, NULL, out));
    }
    return true;
}

/* Item `index` of a sequence: a tensor, or a map of keys and values. */
static bool load_item(struct job *job, uint32_t slot, uint32_t index, bool *there, struct qn_data *out)
{
    const struct qn_allocator *a = qn_allocator_default();
    char end[40];
    snprintf(end, sizeof end, ".%u", index);
    if (!load_expected(job, slot, end, there, out) || *there)
        return *there;
    for (uint32_t part = 0; part < 2; part++) {
        struct qn_data loaded = {0};
        snprintf(end, sizeof end, ".%u.%u", index, part);
        if (!load_expected(job, slot, end, there, &loaded) || !*there)
            return false;
        if (part == 0) {
            *out = (struct qn_data){.kind = QN_DATA_MAP, .count = 2};
            out->items = a->resize(a->context, NULL, 0, 2 * sizeof *out->items);
            memset(out->items, 0, 2 * sizeof *out->items);
        }
        out->items[part] = loaded;
    }
    return true;
}

static bool check_items(struct job *job, uint32_t slot)
{
    enum { MAX_ITEMS = 256 };
    const struct qn_allocator *a = qn_allocator_default();
    struct qn_data expected = {.kind = QN_DATA_SEQUENCE};
    struct qn_data items[MAX_ITEMS] = {0};
    bool there;
    while (expected.count < MAX_ITEMS && load_item(job, slot, expected.count, &there, &items[expected.count]))
        expected.count++;
    bool good = expected.count > 0 || fail_words(job, "no expected output for", job->output_slots[slot].name);
    if (good) {
        expected.items = a->resize(a->context, NULL, 0, expected.count * sizeof *items);
        memcpy(expected.items, items, expected.count * sizeof *items);
        good = check_output(job, slot, &expected);
    }
    qn_data_free(&expected, NULL);
    return good;
}

static bool run_npy(struct job *job)
{
    char path[PATH_SIZE];
    for (uint32_t i = 0; i < job->input_count; i++) {
        npy_path(path, job->one->folder, "in_", job->input_slots[i].name, ".npy");
        if ((access(path, R_OK) == 0 || !job->input_slots[i].optional) && !bind_file(job, i, path))
            return false;
    }
    if (!execute(job))
        return false;
    for (uint32_t i = 0; i < job->output_count; i++) {
        struct qn_data expected = {0};
        bool there, good = load_expected(job, i, "", &there, &expected);
        good = good && (there ? check_output(job, i, &expected) : check_items(job, i));
        qn_data_free(&expected, NULL);
        if (!good)
            return false;
    }
    snprintf(path, sizeof path, "%s/test_data_set_0", job->one->folder);
    return access(path, R_OK) != 0 || run_set(job, path); /* a reference of the model's publisher */
}

void onnx_run_case(const struct onnx_case *one, const struct onnx_config *config, struct onnx_outcome *out)
{
    struct job *job = calloc(1, sizeof *job);
    char path[PATH_SIZE];
    *out = (struct onnx_outcome){0};
    if (!job)
        return;
    *job = (struct job){.one = one, .out = out, .tolerance = {.relative = 1e-3, .absolute = 1e-7}};
    if (one->tolerance > 0)
        job->tolerance = (struct onnx_tolerance){.relative = one->tolerance < 1 ? one->tolerance : 0,
                                                 .absolute = one->tolerance < 1 ? 1e-7 : 1,
                                                 .of_range = true};
    snprintf(path, sizeof path, "%s/%s%s", one->folder, one->layout == ONNX_LAYOUT_LIGHT ? one->name : "model",
             ".onnx");
    if (open_job(job, path, config)) {
        if (one->layout == ONNX_LAYOUT_NPY)
            job->tolerance = (struct onnx_tolerance){
                .relative = 1e-4, .absolute = 1e-7, .of_range = true, .loose = is_quantised(job->model)};
        out->good = one->layout == ONNX_LAYOUT_SETS    ? run_sets(job)
                    : one->layout == ONNX_LAYOUT_LIGHT ? run_light(job)
                                                       : run_npy(job);
    }
    close_job(job);
    free(job);
}

/* ---- the stream ----------------------------------------------------------------------------------------------- */

enum { FRAME = 512, CONTEXT = 64, STATE = 2 * 128, RATE = 16000 };

static bool stream_frame(struct job *job, const float *wav, uint32_t frame, float state[STATE], float *probability)
{
    float input[CONTEXT + FRAME] = {0};
    int64_t rate = RATE;
    memcpy(input + (frame ? 0 : CONTEXT), wav + (size_t)frame * FRAME - (frame ? CONTEXT : 0),
           (FRAME + (frame ? CONTEXT : 0)) * sizeof *wav);
    const struct qn_data data[3] = {
        {.kind = QN_DATA_TENSOR, .tensor = {input, sizeof input, QN_DTYPE_F32, 2, {1, CONTEXT + FRAME}}},
        {.kind = QN_DATA_TENSOR, .tensor = {state, STATE * sizeof *state, QN_DTYPE_F32, 3, {2, 1, 128}}},
        {.kind = QN_DATA_TENSOR, .tensor = {&rate, sizeof rate, QN_DTYPE_I64, 0, {0}}},
    };
    static const char *const names[3] = {"input", "state", "sr"};
    for (int i = 0; i < 3; i++) {
        int32_t slot = qn_session_find(job->session, QN_SLOT_INPUT, names[i]);
        if (slot < 0)
            return fail_words(job, "no input", names[i]);
        if (!fail_status(job, "input", qn_run_bind_input(job->run, (uint32_t)slot, &data[i])))
            return false;
    }
    if (!execute(job))
        return false;
    struct qn_data found = {0}, next = {0};
    if (!fail_status(job, "output", qn_run_output(job->run, 0, &found)) ||
        !fail_status(job, "output", qn_run_output(job->run, 1, &next)))
        return false;
    if (found.kind != QN_DATA_TENSOR || next.kind != QN_DATA_TENSOR || found.tensor.dims[0] != 1 ||
        next.tensor.dims[0] * next.tensor.dims[1] * next.tensor.dims[2] != STATE)
        return fail_words(job, "outputs of another shape from", job->one->name);
    *probability = *(const float *)found.tensor.data;
    memcpy(state, next.tensor.data, STATE * sizeof *state);
    return true;
}

static bool run_stream(struct job *job)
{
    static const struct qn_slot_info any = {.struct_size = sizeof any};
    char path[PATH_SIZE];
    struct qn_data wav = {0}, expected = {0};
    snprintf(path, sizeof path, "%s/stream/wav_f32.npy", job->one->folder);
    bool good = fail_status(job, "input", qn_data_load(path, &any, NULL, NULL, &wav));
    snprintf(path, sizeof path, "%s/stream/probs.npy", job->one->folder);
    good = good && fail_status(job, "expected", qn_data_load(path, &any, NULL, NULL, &expected));
    float state[STATE] = {0};
    uint32_t frames = good ? (uint32_t)expected.tensor.dims[0] : 0;
    struct qn_data found = {.kind = QN_DATA_TENSOR,
                            .tensor = {NULL, frames * sizeof(float), QN_DTYPE_F32, 1, {frames}}};
    float *probabilities = found.tensor.data = calloc(frames + 1, sizeof *probabilities);
    for (uint32_t i = 0; i < frames && good; i++)
        good = stream_frame(job, wav.tensor.data, i, state, &probabilities[i]);
    char words[500];
    if (good && !onnx_compare(&found, &expected, &job->tolerance, words, sizeof words))
        good = fail_words(job, "probabilities:", words);
    free(probabilities);
    qn_data_free(&wav, NULL);
    qn_data_free(&expected, NULL);
    return good;
}

void onnx_run_stream(const char *folder, const struct onnx_config *config, struct onnx_outcome *out)
{
    const struct onnx_case one = {.group = "models", .name = "silero_vad stream", .folder = (char *)folder};
    struct job *job = calloc(1, sizeof *job);
    char path[PATH_SIZE];
    *out = (struct onnx_outcome){0};
    if (!job)
        return;
    *job = (struct job){.one = &one, .out = out, .tolerance = {.relative = 1e-4, .absolute = 1e-7, .of_range = true}};
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (open_job(job, path, config))
        out->good = run_stream(job);
    close_job(job);
    free(job);
}
