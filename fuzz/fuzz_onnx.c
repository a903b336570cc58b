/* Fuzzes the ONNX reader, `quern inspect`, the importer, and the writer of `quern quantize`: what opens is walked and
 * shown, brought into a graph, verified, optimised and verified again, and laid out with its products in few bits. */
#include "fuzz_model.h"

#include "convert/onnx_layout.h"
#include "exec/compiled.h"
#include "format/model.h"
#include "format/model_graph.h"
#include "format/onnx/onnx_file.h"
#include "ir/ir.h"

/* Touches everything a reader shows. */
static void walk(const struct qn_model *model)
{
    struct qn_model_info info = {.struct_size = sizeof info};
    if (qn_model_info(model, &info))
        __builtin_trap();
    for (uint32_t i = 0; i < info.tensor_count; i++) {
        struct qn_model_tensor tensor = {.struct_size = sizeof tensor};
        uint32_t found;
        if (qn_model_tensor(model, i, &tensor) || !qn_model_find_tensor(model, tensor.name, &found))
            __builtin_trap(); /* a tensor that is shown must be found */
        if (tensor.data)
            touch(tensor.data, tensor.bytes);
    }
}

static qn_status resolve_tensor(void *context, const struct qn_onnx_tensor *tensor, bool initializer)
{
    struct qn_onnx_content content;
    struct qn_arena arena;
    (void)initializer;
    qn_arena_init(&arena, NULL);
    if (qn_onnx_resolve(context, tensor, &arena, &content) || (content.bytes && !content.data))
        __builtin_trap(); /* checked when the file was opened */
    touch(content.data, content.bytes);
    qn_arena_deinit(&arena);
    return NULL;
}

static void import(const struct qn_model *model, bool sizes_at_hand)
{
    const struct qn_session_options options = {.struct_size = sizeof options, .threads = 1};
    struct qn_graph *graph = NULL;
    struct qn_body_source *source = NULL;
    qn_status status = qn_model_graph(model, &options, sizes_at_hand, NULL, &graph, &source);
    if (status) {
        check_words(status, "fuzz.onnx");
        return;
    }
    if (qn_graph_verify(graph))
        __builtin_trap(); /* the importer builds what is whole */
    status = qn_optimise(&graph, NULL, NULL, 0, NULL);
    if (!status && qn_graph_verify(graph))
        __builtin_trap();
    qn_status_free(status);
    qn_graph_destroy(graph);
    if (source)
        source->destroy(source->context);
}

/* Every piece has its bytes, and the sizes add up. */
static void check_pieces(const struct qn_onnx_pieces *pieces)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < pieces->list.count; i++) {
        const struct qn_onnx_piece *p = &pieces->list.items[i];
        size += p->size;
        if (p->part == QN_ONNX_BYTES)
            touch(p->data, p->size);
    }
    if (size != pieces->size)
        __builtin_trap();
}

static void quantise(const struct qn_onnx_file *file)
{
    const struct qn_convert_options options = {.allocator = qn_allocator_default()};
    struct qn_onnx_products products;
    struct qn_onnx_layout layout = {0};
    qn_status status = qn_onnx_products_find(file, QN_DTYPE_Q4_1, &options, &products);
    if (!status)
        status = qn_onnx_layout_make(file, &products, "fuzz.onnx.data", options.allocator, &layout);
    if (!status) {
        check_pieces(&layout.model);
        check_pieces(&layout.data);
    }
    qn_status_free(status);
    qn_onnx_layout_deinit(&layout);
    qn_onnx_products_deinit(&products);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_model *model;
    qn_status status = qn_model_open_memory(data, size, "fuzz.onnx", NULL, &model);
    if (status) {
        check_words(status, "fuzz.onnx");
        return 0;
    }
    struct qn_onnx_file *file = qn_model_onnx(model);
    if (file) {
        const struct qn_onnx_visitor visitor = {.context = file, .tensor = resolve_tensor};
        walk(model);
        qn_status_free(qn_onnx_visit(&file->model, &visitor));
        show(model);
        import(model, false);
        import(model, true);
        quantise(file);
    }
    qn_model_close(model);
    return 0;
}
