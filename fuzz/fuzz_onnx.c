/* Fuzzes the ONNX reader, `quern inspect` and the importer: what opens is walked and shown, brought into a graph,
 * verified, optimised and verified again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The command's sources, since the command is no library. */
#include "cli/json_out.c"
#include "cli/terminal.c"

#include "cli/inspect_ports.c"

#include "cli/inspect_file.c"

#include "base/json.h"
#include "exec/compiled.h"
#include "format/model.h"
#include "format/model_graph.h"
#include "format/onnx/onnx_file.h"
#include "ir/ir.h"

static uint64_t sum_bytes(const void *data, uint64_t size)
{
    const uint8_t *bytes = data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

/* Touches everything a reader shows; whoever uses the sum keeps the reads alive. */
static uint64_t walk(const struct qn_model *model)
{
    uint64_t sum = 0;
    struct qn_model_info info = {.struct_size = sizeof info};
    if (qn_model_info(model, &info))
        __builtin_trap();
    for (uint32_t i = 0; i < info.tensor_count; i++) {
        struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
        uint32_t found;
        if (qn_model_tensor(model, i, &tensor) || !qn_model_find_tensor(model, tensor.name, &found))
            __builtin_trap(); /* a tensor that is shown must be found */
        if (tensor.data)
            sum += sum_bytes(tensor.data, tensor.bytes);
    }
    return sum;
}

static qn_status resolve_tensor(void *context, const struct qn_onnx_tensor *tensor, bool initializer)
{
    struct qn_onnx_content content;
    struct qn_arena arena;
    (void)initializer;
    qn_arena_init(&arena, NULL);
    if (qn_onnx_resolve(context, tensor, &arena, &content) || (content.bytes && !content.data))
        __builtin_trap(); /* checked when the file was opened */
    uint64_t sum = sum_bytes(content.data, content.bytes);
    __asm__ volatile("" : : "r"(sum));
    qn_arena_deinit(&arena);
    return NULL;
}

/* Text holds no control character but the newline, and JSON reads back: a terminal or a reader is never fooled. */
static void check_shown(const char *text, size_t size, bool json)
{
    const struct qn_json_options options = {.unique_keys = true};
    const struct qn_json *root;
    struct qn_arena arena;
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f)
            __builtin_trap();
    if (!json)
        return;
    qn_arena_init(&arena, NULL);
    if (qn_json_read((struct qn_str){text, size}, &options, &arena, &root))
        __builtin_trap();
    qn_arena_deinit(&arena);
}

static void show(const struct qn_model *model, bool json, bool full)
{
    const struct qn_inspect_options options = {.json = json, .full = full};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    if (qn_inspect_file(model, &options, out))
        __builtin_trap(); /* what opens can be shown */
    fclose(out);
    check_shown(text, size, json);
    free(text);
}

static void check_words(qn_status status)
{
    if (!strstr(qn_status_message(status), "fuzz.onnx"))
        __builtin_trap(); /* errors name the file */
    qn_status_free(status);
}

static void import(const struct qn_model *model)
{
    const struct qn_session_options options = {.struct_size = sizeof options, .threads = 1};
    struct qn_graph *graph = NULL;
    struct qn_body_source *source = NULL;
    qn_status status = qn_model_graph(model, &options, NULL, &graph, &source);
    if (status) {
        check_words(status);
        return;
    }
    if (qn_graph_verify(graph))
        __builtin_trap(); /* the importer builds what is whole */
    status = qn_optimise(&graph, NULL, NULL);
    if (!status && qn_graph_verify(graph))
        __builtin_trap();
    qn_status_free(status);
    qn_graph_destroy(graph);
    if (source)
        source->destroy(source->context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_model *model;
    qn_status status = qn_model_open_memory(data, size, "fuzz.onnx", NULL, &model);
    if (status) {
        check_words(status);
        return 0;
    }
    struct qn_onnx_file *file = qn_model_onnx(model);
    if (file) {
        const struct qn_onnx_visitor visitor = {.context = file, .tensor = resolve_tensor};
        uint64_t sum = walk(model);
        __asm__ volatile("" : : "r"(sum));
        qn_status_free(qn_onnx_visit(&file->model, &visitor));
        show(model, false, false);
        show(model, false, true);
        show(model, true, false);
        import(model);
    }
    qn_model_close(model);
    return 0;
}
