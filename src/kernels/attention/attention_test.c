#include "kernels/attention/attention.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "support/testing.h"

enum { HEADS = 2, GROUP = 3, D = 64, E = 48, POSITIONS = 700, CACHE = 1500 };

/* One sequence of POSITIONS tokens with keys and values in the cache, under two page layouts. */
struct scene {
    float *q; /* [POSITIONS][HEADS][GROUP][D] */
    struct cf_tensor k, v;
    int32_t rows[2][POSITIONS]; /* sequence 0 and 1: the same content at other rows */
};

static struct qn_view view_of(void *data, qn_dtype dtype, uint32_t rank, const int64_t *dims)
{
    struct qn_view view = {.data = data, .dtype = dtype, .rank = rank};
    int64_t stride = 1;
    for (uint32_t i = rank; i-- > 0; stride *= dims[i]) {
        view.dims[i] = dims[i];
        view.strides[i] = stride;
    }
    return view;
}

static void make_scene(struct scene *s, qn_dtype kv)
{
    int64_t k_dims[] = {CACHE, HEADS, D}, v_dims[] = {CACHE, HEADS, kv == QN_DTYPE_Q8_0 ? D : E};
    s->q = malloc(sizeof(float) * POSITIONS * HEADS * GROUP * D);
    for (int i = 0; i < POSITIONS * HEADS * GROUP * D; i++)
        s->q[i] = (float)cf_uniform(-1, 1);
    s->k = cf_tensor(kv, CF_CONTIGUOUS, 3, k_dims);
    s->v = cf_tensor(kv, CF_CONTIGUOUS, 3, v_dims);
    cf_fill(&s->k, -1, 1);
    cf_fill(&s->v, -1, 1);
    size_t k_row = (size_t)(s->k.view.strides[0] * qn_dtype_info(kv)->block_bytes);
    size_t v_row = (size_t)(s->v.view.strides[0] * qn_dtype_info(kv)->block_bytes);
    for (int i = 0; i < POSITIONS; i++) {
        s->rows[0][i] = i;
        s->rows[1][i] = CACHE - 1 - (i * 11) % POSITIONS;
        memcpy((char *)s->k.view.data + (size_t)s->rows[1][i] * k_row, (char *)s->k.view.data + (size_t)i * k_row,
               k_row);
        memcpy((char *)s->v.view.data + (size_t)s->rows[1][i] * v_row, (char *)s->v.view.data + (size_t)i * v_row,
               v_row);
    }
}

static void free_scene(struct scene *s)
{
    free(s->q);
    cf_release(&s->k);
    cf_release(&s->v);
}

/* Queries of positions pos[0 .. n), of sequence seq[i]; results to out [n][HEADS][GROUP][e]. */
static struct qn_attention_params params_of(struct scene *s, int64_t n, float *q, int32_t *seq, int32_t *pos,
                                            float *out)
{
    int64_t e = s->v.view.dims[2];
    struct qn_attention_params p = {.paged = true, .scale = 0.17f, .k = s->k.view, .v = s->v.view};
    p.q = view_of(q, QN_DTYPE_F32, 4, (int64_t[]){n, HEADS, GROUP, D});
    p.y = view_of(out, QN_DTYPE_F32, 4, (int64_t[]){n, HEADS, GROUP, e});
    p.rows = view_of(s->rows, QN_DTYPE_I32, 2, (int64_t[]){2, POSITIONS});
    p.seq = view_of(seq, QN_DTYPE_I32, 1, &n);
    p.pos = view_of(pos, QN_DTYPE_I32, 1, &n);
    p.dequantise = qn_quant(p.k.dtype)->dequantise;
    return p;
}

static void *shared_memory(const struct qn_attention_params *p)
{
    return calloc(1, (size_t)qn_attention_shared_bytes(p->q.dims[0], HEADS, GROUP, p->y.dims[3], POSITIONS));
}

/* Whole prompt at once; in chunks; token by token with and without a split of the keys, with its tiles in any order; in
 * a batch where neighbours belong to another sequence; from another page layout: the same bits everywhere. */
static void bits_case(const struct qn_kernel *kernel, qn_dtype kv, int64_t window)
{
    struct scene s;
    make_scene(&s, kv);
    int64_t e = s.v.view.dims[2], q_row = HEADS * GROUP * D, y_row = HEADS * GROUP * e;
    float *all = malloc(sizeof(float) * (size_t)(POSITIONS * y_row)),
          *part = malloc(sizeof(float) * (size_t)(POSITIONS * y_row));
    float *mixed_q = malloc(sizeof(float) * (size_t)(POSITIONS * q_row));
    int32_t seq[POSITIONS] = {0}, other[POSITIONS], pos[POSITIONS], mixed_seq[64], mixed_pos[64];
    for (int i = 0; i < POSITIONS; i++) {
        pos[i] = i;
        other[i] = 1;
    }
    struct qn_attention_params p = params_of(&s, POSITIONS, s.q, seq, pos, all);
    p.window = window;
    cf_run_all(kernel, &p);
    static const int64_t chunks[] = {1, 3, 64, 257};
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        int64_t first = POSITIONS - 80 * chunks[c]; /* 80 chunks at the most */
        for (int64_t at = first > 0 ? first : 0; at < POSITIONS; at += chunks[c]) {
            int64_t n = chunks[c] < POSITIONS - at ? chunks[c] : POSITIONS - at;
            p = params_of(&s, n, s.q + at * q_row, c & 1 ? other : seq, pos + at, part + at * y_row);
            p.window = window;
            cf_run_all(kernel, &p);
            assert_memory_equal(part + at * y_row, all + at * y_row, sizeof(float) * (size_t)(n * y_row));
            memset(part + at * y_row, 0, sizeof(float) * (size_t)(n * y_row));
            p.shared = shared_memory(&p);
            for (int again = 0; again < 2; again++) { /* twice on the same memory */
                for (int64_t tile = kernel->tiles(&p); tile-- > 0;)
                    cf_run_tiles(kernel, &p, tile, tile + 1);
                assert_memory_equal(part + at * y_row, all + at * y_row, sizeof(float) * (size_t)(n * y_row));
            }
            free(p.shared);
        }
    }
    for (int i = 0; i < 64; i++) { /* positions in no order, sequences in turn */
        mixed_seq[i] = i % 3 == 1;
        mixed_pos[i] = (i * 311) % POSITIONS;
        memcpy(mixed_q + i * q_row, s.q + mixed_pos[i] * q_row, sizeof(float) * (size_t)q_row);
    }
    p = params_of(&s, 64, mixed_q, mixed_seq, mixed_pos, part);
    p.window = window;
    cf_run_all(kernel, &p);
    for (int i = 0; i < 64; i++)
        assert_memory_equal(part + i * y_row, all + mixed_pos[i] * y_row, sizeof(float) * (size_t)y_row);
    free(all);
    free(part);
    free(mixed_q);
    free_scene(&s);
}

static void test_bits_do_not_depend_on_company(void **state)
{
    (void)state;
    static const qn_dtype caches[] = {QN_DTYPE_F16, QN_DTYPE_BF16, QN_DTYPE_Q8_0};
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_ATTENTION, &at));) {
        bits_case(kernel, QN_DTYPE_F32, 130);
        if (!kernel->needs)
            continue; /* the reference takes its time */
        bits_case(kernel, QN_DTYPE_F32, 0);
        for (int i = 0; i < 3; i++) {
            bits_case(kernel, caches[i], 0);
            bits_case(kernel, caches[i], 130);
        }
    }
}

/* Memory of a larger call may be used by a smaller one and the other way round. */
static void test_shared_memory_of_any_call(void **state)
{
    (void)state;
    struct scene s;
    make_scene(&s, QN_DTYPE_F16);
    static float alone[8 * HEADS * GROUP * E], split[8 * HEADS * GROUP * E];
    int32_t seq[8] = {0}, pos[8];
    for (int i = 0; i < 8; i++)
        pos[i] = POSITIONS - 8 + i;
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_ATTENTION, &at));) {
        struct qn_attention_params p = params_of(&s, 8, s.q, seq, pos, alone);
        void *shared = shared_memory(&p);
        for (int64_t n = 8; n > 0; n -= 3) {
            p = params_of(&s, n, s.q, seq, pos, alone);
            cf_run_all(kernel, &p);
            p.y.data = split;
            p.shared = shared;
            cf_run_all(kernel, &p);
            assert_memory_equal(split, alone, sizeof(float) * (size_t)(n * HEADS * GROUP * E));
        }
        free(shared);
    }
    free_scene(&s);
}

struct worker {
    const struct qn_kernel *kernel;
    const struct qn_attention_params *p;
    int64_t *next;
};

static void *work(void *context)
{
    struct worker *w = context;
    int64_t tiles = w->kernel->tiles(w->p), tile;
    while ((tile = __atomic_fetch_add(w->next, 1, __ATOMIC_RELAXED)) < tiles)
        cf_run_tiles(w->kernel, w->p, tile, tile + 1);
    return NULL;
}

static void test_threads_share_a_split(void **state)
{
    (void)state;
    struct scene s;
    make_scene(&s, QN_DTYPE_F32);
    static float alone[HEADS * GROUP * E], together[HEADS * GROUP * E];
    int32_t seq = 1, pos = POSITIONS - 1;
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_ATTENTION, &at));) {
        struct qn_attention_params p = params_of(&s, 1, s.q, &seq, &pos, alone);
        cf_run_all(kernel, &p);
        p.y.data = together;
        p.shared = shared_memory(&p);
        for (int round = 0; round < 20; round++) {
            int64_t next = 0;
            struct worker worker = {kernel, &p, &next};
            pthread_t threads[3];
            memset(together, 0, sizeof together);
            for (int i = 0; i < 3; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, work, &worker), 0);
            for (int i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
            assert_memory_equal(together, alone, sizeof alone);
        }
        free(p.shared);
    }
    free_scene(&s);
}

/* What lies outside the tables is reported and never read. */
static void test_faults(void **state)
{
    (void)state;
    struct scene s;
    make_scene(&s, QN_DTYPE_F16);
    static float out[3 * HEADS * GROUP * E];
    static const struct {
        int32_t seq, pos, row, fault;
    } cases[] = {
        {0, 5, 0, QN_FAULT_NONE},      {2, 5, 0, QN_FAULT_POSITION},         {-1, 5, 0, QN_FAULT_POSITION},
        {0, -1, 0, QN_FAULT_POSITION}, {0, POSITIONS, 0, QN_FAULT_POSITION}, {0, INT32_MAX, 0, QN_FAULT_POSITION},
        {0, 5, CACHE, QN_FAULT_INDEX}, {0, 5, -1, QN_FAULT_INDEX},           {0, 5, INT32_MIN, QN_FAULT_INDEX},
    };
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_ATTENTION, &at));) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            for (int split = 0; split < 2; split++) {
                int32_t seq[] = {0, cases[i].seq, 1}, pos[] = {300, cases[i].pos, 2}, fault = QN_FAULT_NONE;
                struct qn_attention_params p = params_of(&s, 3, s.q, seq, pos, out);
                p.fault = &fault;
                p.shared = split ? shared_memory(&p) : NULL;
                s.rows[0][3] = cases[i].row;
                cf_run_all(kernel, &p);
                assert_int_equal(fault, cases[i].fault);
                free(p.shared);
            }
        }
    }
    free_scene(&s);
}

/* Dense: a row's bits do not depend on the other rows of q, and a key that a mask hides weighs nothing. */
static void test_dense_rows(void **state)
{
    (void)state;
    enum { M = 70, L = 300 };
    static float q[M * D], k[L * D], v[L * E], mask[M * L], all[M * E], one[E], masked[E];
    for (int i = 0; i < M * D; i++)
        q[i] = (float)cf_uniform(-1, 1);
    for (int i = 0; i < L * D; i++)
        k[i] = (float)cf_uniform(-1, 1);
    for (int i = 0; i < L * E; i++)
        v[i] = (float)cf_uniform(-1, 1);
    for (int i = 0; i < M * L; i++)
        mask[i] = i % L > i / L + L - M ? -INFINITY : 0;
    const struct qn_kernel *kernel;
    for (uint32_t at = 0; (kernel = cf_next_kernel(QN_FAMILY_ATTENTION, &at));) {
        struct qn_attention_params p = {.scale = 0.2f};
        p.q = view_of(q, QN_DTYPE_F32, 2, (int64_t[]){M, D});
        p.k = view_of(k, QN_DTYPE_F32, 2, (int64_t[]){L, D});
        p.v = view_of(v, QN_DTYPE_F32, 2, (int64_t[]){L, E});
        p.mask = view_of(mask, QN_DTYPE_F32, 2, (int64_t[]){M, L});
        p.y = view_of(all, QN_DTYPE_F32, 2, (int64_t[]){M, E});
        cf_run_all(kernel, &p);
        for (int i = 0; i < M; i += 13) {
            struct qn_attention_params r = p;
            r.q.data = q + i * D;
            r.mask.data = mask + i * L;
            r.y.data = one;
            r.q.dims[0] = r.mask.dims[0] = r.y.dims[0] = 1;
            cf_run_all(kernel, &r);
            assert_memory_equal(one, all + i * E, sizeof one);
            r.k.dims[0] = r.v.dims[0] = r.mask.dims[1] = i + L - M + 1; /* without the keys that it does not see */
            r.y.data = masked;
            cf_run_all(kernel, &r);
            for (int j = 0; j < E; j++)
                assert_true(fabsf(masked[j] - one[j]) <= 1e-6f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_do_not_depend_on_company),
        cmocka_unit_test(test_shared_memory_of_any_call),
        cmocka_unit_test(test_threads_share_a_split),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_dense_rows),
    };
    return cmocka_run_group_tests_name("kernels/attention", tests, NULL, NULL);
}
