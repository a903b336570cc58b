#include "convert/tensor_types.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/str.h"
#include "support/testing.h"

/* A model described and not stored: metadata and tensor shapes. */
struct fixture {
    struct qn_mix_model mix;
    struct qn_arena *arena;
    QN_ARRAY(struct qn_model_tensor) tensors;
    uint64_t layers, width, ffn, heads, kv_heads, experts;
    int tied;
    char name[32], arch[32];
};

static void add_tensor(struct fixture *f, qn_dtype dtype, int layer, const char *name, uint64_t d0, uint64_t d1,
                       uint64_t d2)
{
    uint64_t dims[3] = {d0, d1, d2};
    struct qn_model_tensor tensor = {.dtype = dtype};
    for (int i = 0; i < 3; i++)
        if (dims[i])
            tensor.dims[tensor.rank++] = dims[i];
    tensor.name = layer < 0 ? qn_arena_str(f->arena, qn_str_from(name)).data
                            : qn_arena_printf(f->arena, "blk.%d.%s", layer, name).data;
    assert_true(qn_array_push(&f->tensors, qn_allocator_default(), tensor));
}

static void add_layer(struct fixture *f, int layer)
{
    uint64_t w = f->width, kv = w / f->heads * f->kv_heads;
    const char *suffix = f->experts ? "_exps" : "";
    char name[64];
    bool fused = strcmp(f->arch, "gpt2") == 0 || strcmp(f->arch, "falcon") == 0;
    add_tensor(f, QN_DTYPE_F32, layer, "attn_norm.weight", w, 0, 0);
    if (fused) {
        add_tensor(f, QN_DTYPE_F16, layer, "attn_qkv.weight", w + 2 * kv, w, 0);
    } else {
        add_tensor(f, QN_DTYPE_F16, layer, "attn_q.weight", w, w, 0);
        add_tensor(f, QN_DTYPE_F16, layer, "attn_k.weight", kv, w, 0);
        add_tensor(f, QN_DTYPE_F16, layer, "attn_v.weight", kv, w, 0);
    }
    add_tensor(f, QN_DTYPE_F16, layer, "attn_output.weight", w, w, 0);
    if (f->experts)
        add_tensor(f, QN_DTYPE_F16, layer, "ffn_gate_inp.weight", f->experts, w, 0);
    snprintf(name, sizeof name, "ffn_gate%s.weight", suffix);
    add_tensor(f, QN_DTYPE_F16, layer, name, f->experts ? f->experts : f->ffn, f->experts ? f->ffn : w,
               f->experts ? w : 0);
    snprintf(name, sizeof name, "ffn_up%s.weight", suffix);
    add_tensor(f, QN_DTYPE_F16, layer, name, f->experts ? f->experts : f->ffn, f->experts ? f->ffn : w,
               f->experts ? w : 0);
    snprintf(name, sizeof name, "ffn_down%s.weight", suffix);
    add_tensor(f, QN_DTYPE_F16, layer, name, f->experts ? f->experts : w, f->experts ? w : f->ffn,
               f->experts ? f->ffn : 0);
}

/* The tensors of tools/quant/make_type_golden.py, the layers last one first: the order in the file must not matter. */
static void make_model(struct fixture *f)
{
    f->mix = (struct qn_mix_model){qn_str_from(f->arch), f->layers, f->experts, f->heads, f->kv_heads};
    if (!f->tied)
        add_tensor(f, QN_DTYPE_F16, -1, "output.weight", 256, f->width, 0);
    for (int layer = (int)f->layers - 1; layer >= 0; layer--)
        add_layer(f, layer);
    add_tensor(f, QN_DTYPE_F16, -1, "token_embd.weight", 256, f->width, 0);
}

static void free_model(struct fixture *f)
{
    qn_array_free(&f->tensors, qn_allocator_default());
}

static qn_status types_of(const struct fixture *f, enum qn_scheme_id scheme, bool pure,
                          struct qn_tensor_choice *choices)
{
    return qn_tensor_types(&f->mix, f->tensors.items, f->tensors.count, scheme, pure, qn_allocator_default(), choices);
}

/* The types of one kind by layer: "q6_k*2 q4_k*3 q6_k*1". */
static void describe(const struct fixture *f, const struct qn_tensor_choice *choices, const char *kind,
                     struct qn_strbuf *text)
{
    qn_strbuf_clear(text);
    qn_dtype last = QN_DTYPE_NONE;
    int count = 0;
    for (int layer = 0; layer <= (int)f->layers; layer++) {
        char name[96];
        snprintf(name, sizeof name, "blk.%d.%s", layer, kind);
        qn_dtype dtype = QN_DTYPE_NONE;
        for (uint32_t i = 0; i < f->tensors.count; i++)
            if (strcmp(f->tensors.items[i].name, name) == 0 ||
                (layer == 0 && strcmp(f->tensors.items[i].name, kind) == 0))
                dtype = choices[i].dtype;
        if (dtype != last && count)
            qn_strbuf_printf(text, "%s%s*%d", text->size ? " " : "", qn_dtype_name(last), count);
        count = dtype == last ? count + 1 : 1;
        last = dtype;
    }
    assert_int_equal(last, QN_DTYPE_NONE);
}

static void types_are_those_of_the_published_mixes(void **state)
{
    (void)state;
    FILE *file = fopen(qn_test_source("test/data/quant/types.txt"), "r");
    assert_non_null(file);
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    struct qn_strbuf text;
    qn_strbuf_init(&text, NULL);
    struct fixture f = {.arena = &arena};
    struct qn_tensor_choice *choices = NULL;
    char line[1024], scheme[32] = "", kind[64];
    int checked = 0, models = 0, offset;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        struct fixture next = {.arena = &arena};
        if (sscanf(line, "model %31s %31s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %d %" SCNu64,
                   next.name, next.arch, &next.layers, &next.width, &next.ffn, &next.heads, &next.kv_heads, &next.tied,
                   &next.experts) == 9) {
            free_model(&f);
            free(choices);
            f = next;
            make_model(&f);
            choices = calloc(f.tensors.count, sizeof *choices);
            scheme[0] = 0;
            models++;
            continue;
        }
        char row_scheme[32];
        assert_int_equal(sscanf(line, "%31s %63s %n", row_scheme, kind, &offset), 2);
        if (strcmp(scheme, row_scheme)) {
            strcpy(scheme, row_scheme);
            enum qn_scheme_id id = qn_scheme_find(scheme);
            assert_int_not_equal(id, QN_SCHEME_NONE);
            qn_assert_ok(types_of(&f, id, false, choices));
        }
        describe(&f, choices, kind, &text);
        if (strcmp(text.data, line + offset))
            fail_msg("%s %s %s: expected %s, found %s", f.name, scheme, kind, line + offset, text.data);
        checked++;
    }
    assert_true(models == 9 && checked > 1800);
    free(choices);
    free_model(&f);
    qn_strbuf_deinit(&text);
    qn_arena_deinit(&arena);
    fclose(file);
}

static void pure_gives_one_type(void **state)
{
    (void)state;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    struct fixture f = {
        .arena = &arena, .layers = 4, .width = 512, .ffn = 256, .heads = 4, .kv_heads = 1, .arch = "llama"};
    make_model(&f);
    struct qn_tensor_choice choices[64];
    qn_assert_ok(types_of(&f, QN_SCHEME_Q4_K_M, true, choices));
    for (uint32_t i = 0; i < f.tensors.count; i++) {
        assert_int_equal(choices[i].dtype, f.tensors.items[i].rank == 1 ? QN_DTYPE_F32 : QN_DTYPE_Q4_K);
        assert_false(choices[i].fallback);
    }
    free_model(&f);
    qn_arena_deinit(&arena);
}

static void small_tables_keep_their_type(void **state)
{
    (void)state;
    struct qn_arena arena;
    qn_arena_init(&arena, NULL);
    struct fixture f = {
        .arena = &arena, .layers = 1, .width = 256, .ffn = 256, .heads = 4, .kv_heads = 4, .tied = 1, .arch = "gpt2"};
    add_tensor(&f, QN_DTYPE_F16, -1, "position_embd.weight", 128, 256, 0);
    add_tensor(&f, QN_DTYPE_F16, 0, "attn_q_norm.weight", 4, 256, 0);
    add_tensor(&f, QN_DTYPE_F16, 0, "ffn_gate_inp.weight", 8, 256, 0);
    add_tensor(&f, QN_DTYPE_F16, 0, "ffn_down.bias", 8, 256, 0);
    add_tensor(&f, QN_DTYPE_F16, 0, "ffn_up.weight", 1, 256, 0); /* one real dimension */
    add_tensor(&f, QN_DTYPE_I32, 0, "table.weight", 8, 256, 0);
    uint32_t kept = f.tensors.count;
    make_model(&f);
    struct qn_tensor_choice choices[32];
    qn_assert_ok(types_of(&f, QN_SCHEME_Q8_0, false, choices));
    for (uint32_t i = 0; i < kept; i++)
        assert_int_equal(choices[i].dtype, f.tensors.items[i].dtype);
    assert_int_equal(choices[f.tensors.count - 1].dtype, QN_DTYPE_Q8_0);
    free_model(&f);
    qn_arena_deinit(&arena);
}

static void finds_schemes_by_name(void **state)
{
    (void)state;
    assert_int_equal(qn_scheme_find("q4_k_m"), QN_SCHEME_Q4_K_M);
    assert_int_equal(qn_scheme_find("Q4_K"), QN_SCHEME_Q4_K_M);
    assert_int_equal(qn_scheme_find("q5_K"), QN_SCHEME_Q5_K_M);
    assert_int_equal(qn_scheme_find("q3_k"), QN_SCHEME_Q3_K_M);
    assert_int_equal(qn_scheme_find("bf16"), QN_SCHEME_BF16);
    assert_int_equal(qn_scheme_find("q4"), QN_SCHEME_NONE);
    assert_int_equal(qn_scheme_find(""), QN_SCHEME_NONE);
    for (int id = 1; id < QN_SCHEME_COUNT; id++)
        assert_int_equal(qn_scheme_find(qn_scheme((enum qn_scheme_id)id)->name), id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_those_of_the_published_mixes),
        cmocka_unit_test(pure_gives_one_type),
        cmocka_unit_test(small_tables_keep_their_type),
        cmocka_unit_test(finds_schemes_by_name),
    };
    return cmocka_run_group_tests_name("tensor_types", tests, NULL, NULL);
}
