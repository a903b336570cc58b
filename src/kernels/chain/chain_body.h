/* CHAIN. A file for an instruction set defines fast(), then UNARY, BINARY and COPY (its kernels of those families),
 * KERNEL, SERIAL, NAME, NEEDS and RANK and includes this. */
#include "kernels/binary/binary.h"
#include "kernels/chain/chain_program.h"
#include "kernels/copy/copy.h"
#include "kernels/unary/unary.h"
#include "kernels/walk.h"
#include "kernels/where/where.h"

extern const struct qn_kernel UNARY, BINARY, COPY, qn_where_ref;

enum { PIECE = 512 }; /* elements under way at once: a handful of values of f32 fit the first cache */

/* Where the results lie: a result's slot is free again after its last reader. */
struct layout {
    uint8_t slot[QN_CHAIN_MAX];
    uint32_t slots;
    int64_t slot_bytes;
};

static void free_operand(const struct qn_chain_params *p, struct layout *l, uint32_t *busy, uint32_t at,
                         uint8_t operand)
{
    if (operand >= QN_CHAIN_INPUT || operand >= at)
        return;
    for (uint32_t i = at + 1; i < p->length; i++) {
        const struct qn_chain_step *step = &p->code.steps[i];
        if (step->a == operand || step->b == operand || step->c == operand)
            return; /* an operand that the op does not have is 0: slot 0 may stay busy for longer, no more */
    }
    *busy &= ~(1u << l->slot[operand]);
}

static struct layout lay_out(const struct qn_chain_params *p)
{
    struct layout l = {.slot_bytes = qn_element_bytes(p->y.dtype)};
    uint32_t busy = 0;
    for (uint32_t i = 0; i < p->length; i++) {
        const struct qn_chain_step *step = &p->code.steps[i];
        int64_t bytes = qn_element_bytes((qn_dtype)step->dtype);
        l.slot_bytes = bytes > l.slot_bytes ? bytes : l.slot_bytes;
        l.slot[i] = (uint8_t)__builtin_ctz(~busy);
        busy |= 1u << l.slot[i];
        l.slots = l.slot[i] + 1u > l.slots ? l.slot[i] + 1u : l.slots;
        free_operand(p, &l, &busy, i, step->a);
        free_operand(p, &l, &busy, i, step->b);
        free_operand(p, &l, &busy, i, step->c);
    }
    for (uint32_t i = 0; i < p->input_count; i++) {
        int64_t bytes = qn_element_bytes(p->in[i].dtype);
        l.slot_bytes = bytes > l.slot_bytes ? bytes : l.slot_bytes;
    }
    l.slot_bytes = l.slot_bytes * PIECE + 64; /* slots a power of two apart would share cache lines */
    return l;
}

static int64_t tiles(const void *params)
{
    return qn_view_tiles(&((const struct qn_chain_params *)params)->y);
}

static int64_t scratch_bytes(const void *params)
{
    const struct qn_chain_params *p = params;
    struct layout l = lay_out(p);
    return (l.slots + p->input_count) * l.slot_bytes;
}

static struct qn_view line(const struct qn_chain_value *v, int64_t n)
{
    return (struct qn_view){.data = v->at, .dtype = v->dtype, .rank = 1, .dims = {n}, .strides = {!v->one}};
}

/* The op alone, by the kernel of its family. */
static void slow(const struct qn_chain_step *step, const struct qn_chain_value *v, const struct qn_chain_value *out,
                 int64_t n)
{
    if (step->op == QN_OP_where) {
        struct qn_where_params p = {line(&v[0], n), line(&v[1], n), line(&v[2], n), line(out, n)};
        qn_where_ref.run(&p, 0, qn_where_ref.tiles(&p), NULL);
    } else if (step->op == QN_OP_cast) {
        struct qn_copy_params p = {.x = line(&v[0], n), .y = line(out, n)};
        COPY.run(&p, 0, COPY.tiles(&p), NULL);
    } else if (qn_op_info(step->op)->max_inputs == 2) {
        struct qn_binary_params p = {.op = step->op, .a = line(&v[0], n), .b = line(&v[1], n), .y = line(out, n)};
        BINARY.run(&p, 0, BINARY.tiles(&p), NULL);
    } else {
        struct qn_unary_params p = {.op = step->op, .x = line(&v[0], n), .y = line(out, n)};
        UNARY.run(&p, 0, UNARY.tiles(&p), NULL);
    }
}

static uint32_t operands_of(uint16_t op)
{
    return op == QN_OP_where ? 3 : qn_op_info(op)->max_inputs;
}

/* Short runs are common, and calls for each would cost more than their bytes. */
#define QN_CHAIN_STAGE(bytes)                                                             \
    static inline void stage_##bytes(char *to, const char *from, int64_t step, int64_t n) \
    {                                                                                     \
        if (step == 0)                                                                    \
            for (int64_t i = 0; i < n; i++)                                               \
                __builtin_memcpy(to + i * (bytes), from, bytes);                          \
        else                                                                              \
            for (int64_t i = 0; i < n; i++)                                               \
                __builtin_memcpy(to + i * (bytes), from + i * (bytes), bytes);            \
    }
QN_CHAIN_STAGE(4)
QN_CHAIN_STAGE(8)
#undef QN_CHAIN_STAGE

/* qn_walk_advance for a walk of one operand. */
static inline void advance_one(struct qn_walk *walk, int64_t n)
{
    for (uint32_t axis = walk->rank; axis-- > 0; n = 1) {
        walk->at[0] = (char *)((uintptr_t)walk->at[0] + (uintptr_t)(n * walk->steps[0][axis]));
        walk->index[axis] += n;
        if (walk->index[axis] < walk->dims[axis] || axis == 0)
            return;
        walk->at[0] = (char *)((uintptr_t)walk->at[0] - (uintptr_t)(walk->dims[axis] * walk->steps[0][axis]));
        walk->index[axis] = 0;
    }
}

/* The next n elements of an input: in place where they lie behind one another or are one number, otherwise copied. */
static struct qn_chain_value input(struct qn_walk *walk, qn_dtype dtype, char *stage, int64_t n)
{
    int64_t bytes = qn_element_bytes(dtype), step = qn_walk_step(walk, 0), run = qn_walk_run(walk, n);
    struct qn_chain_value v = {walk->at[0], dtype, step == 0};
    if (run == n && (step == bytes || step == 0)) {
        qn_walk_advance(walk, n);
        return v;
    }
    for (int64_t done = 0; done < n; done += run) {
        run = qn_walk_run(walk, n - done);
        if (bytes == 4 && (step == 4 || step == 0))
            stage_4(stage + done * 4, walk->at[0], step, run);
        else if (bytes == 8 && (step == 8 || step == 0))
            stage_8(stage + done * 8, walk->at[0], step, run);
        else
            qn_move_elements(stage + done * bytes, bytes, walk->at[0], step, bytes, run);
        advance_one(walk, run);
    }
    return (struct qn_chain_value){stage, dtype, false};
}

static void output(struct qn_walk *walk, const struct qn_chain_value *v, int64_t n)
{
    int64_t bytes = qn_element_bytes(v->dtype), step = qn_walk_step(walk, 0);
    for (int64_t done = 0, run; done < n; done += run) {
        run = qn_walk_run(walk, n - done);
        qn_move_elements(walk->at[0], step, (char *)v->at + (v->one ? 0 : done * bytes), v->one ? 0 : bytes, bytes,
                         run);
        qn_walk_advance(walk, run);
    }
}

static void run(const void *params, int64_t begin, int64_t end, void *scratch)
{
    const struct qn_chain_params *p = params;
    struct layout l = lay_out(p);
    int64_t first = begin * QN_ELEMENT_TILE, all = qn_view_elems(&p->y), left = end * QN_ELEMENT_TILE;
    left = (left < all ? left : all) - first;
    if (left <= 0)
        return;
    struct qn_walk walks[QN_CHAIN_INPUTS], y_walk;
    for (uint32_t i = 0; i < p->input_count; i++)
        qn_walk_start(&walks[i], (const struct qn_view *[]){&p->in[i]}, 1, first);
    qn_walk_start(&y_walk, (const struct qn_view *[]){&p->y}, 1, first);
    int64_t y_bytes = qn_element_bytes(p->y.dtype);
    char *stages = (char *)scratch + l.slots * l.slot_bytes;
    struct qn_chain_value in[QN_CHAIN_INPUTS], results[QN_CHAIN_MAX];
    for (int64_t n; left > 0; left -= n) {
        n = left < PIECE ? left : PIECE;
        for (uint32_t i = 0; i < p->input_count; i++)
            in[i] = input(&walks[i], p->in[i].dtype, stages + i * l.slot_bytes, n);
        bool direct = qn_walk_step(&y_walk, 0) == y_bytes && qn_walk_run(&y_walk, n) == n;
        for (uint32_t i = 0; i < p->length; i++) {
            const struct qn_chain_step *step = &p->code.steps[i];
            uint8_t names[3] = {step->a, step->b, step->c};
            struct qn_chain_value v[3] = {{0}}, *out = &results[i];
            uint32_t count = operands_of(step->op);
            *out = (struct qn_chain_value){(char *)scratch + l.slot[i] * l.slot_bytes, (qn_dtype)step->dtype, true};
            for (uint32_t k = 0; k < count; k++) {
                v[k] = names[k] >= QN_CHAIN_INPUT ? in[names[k] - QN_CHAIN_INPUT] : results[names[k]];
                out->one &= v[k].one;
            }
            if (direct && i + 1 == p->length && !out->one)
                out->at = y_walk.at[0];
            int64_t elems = out->one ? 1 : n;
            if (!fast(step->op, v, out, elems))
                slow(step, v, out, elems);
        }
        const struct qn_chain_value *last = &results[p->length - 1];
        if (last->at == y_walk.at[0])
            qn_walk_advance(&y_walk, n);
        else
            output(&y_walk, last, n);
    }
}

const struct qn_kernel KERNEL = {
    .serial = SERIAL,
    .name = NAME,
    .family = QN_FAMILY_CHAIN,
    .needs = NEEDS,
    .rank = RANK,
    .tiles = tiles,
    .scratch = scratch_bytes,
    .run = run,
};
